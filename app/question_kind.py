"""Questions about all that there is: to count it, to list it, or to say which of it is the most.

A search finds the best passages, not all of them, so that an answer to such a question covers what was found and no
more. The rules are careful: what one passage may well answer ("how many days of leave", "the highest temperature it
stands") is none of these.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from core.errors import CitadelError
from core.records import Answer, Hit

QuestionKind = Literal["count", "list", "extreme"]
_CELL = " | "

# A number of these is a fact that a document states.
_UNITS = (
    r"(?:working |business |calendar |vacation |holiday |sick |leave |paid |free |more |extra )*"
    r"(?:seconds?|minutes?|hours?|days?|nights?|weeks?|months?|quarters?|years?|times|percent|per cent|points?|"
    r"degrees?|euros?|dollars?|yuan|pounds?|francs?|cents?|eur|usd|cny|rmb|grams?|kilos?|kilograms?|tons?|tonnes?|kg|"
    r"lit(?:re|er)s?|met(?:re|er)s?|kilomet(?:re|er)s?|miles?|volts?|amperes?|watts?|bytes?|megabytes?|characters|"
    r"decibels?|copies)\b"
)
_PAPERS = (
    r"(?:documents|files|contracts|agreements|e-?mails|letters|invoices|reports|policies|manuals|tickets|records|"
    r"entries)\b"
)
_THINGS = rf"\bhow many (?!{_UNITS})[\w' -]{{2,60}}?"
_SUPERLATIVE = (
    r"(?:(?:most|least|fewest)\b(?! (?:likely|of|recent))|(?:high|low|larg|small|bigg|long|short|old|young|new|fast|"
    r"slow|cheap|heavi|light|strong|weak|earli|lat|great|dear|rar|deep|wid|thick|thinn?|bright|loud|quiet|clos|near)est\b"
    r"|(?:best|worst|most recent)\b)"
)
_NEEDED = r"(?! (?:do|must|should|need|are (?:needed|required)|can i|shall)\b)"
_ENGLISH: tuple[tuple[QuestionKind, str], ...] = (
    ("count", rf"{_THINGS} (?:are|were|is) there\b"),
    ("count", rf"{_THINGS} (?:do|have|did) (?:we|you|they)\b(?! (?:need|have to|get))"),
    ("count", rf"{_THINGS} (?:exist|are listed|were listed|are mentioned|are named)\b"),
    ("count", rf"\bhow many (?:[\w'-]+ ){{0,3}}?(?:{_PAPERS}|pages\b|passages\b|rows\b)"),
    ("count", rf"{_THINGS}[^.?!]*(?:in total|altogether|overall|(?:in|across|among|of|over) (?:all|every|each)\b)"),
    ("count", r"\b(?:total|overall) number of\b|\bcount (?:all|every|the|how many|up)\b"),
    (
        "list",
        r"\b(?:list|name|show|enumerate|give|tell|find|get|collect)(?: me| us)?(?: all| every| each)\b(?!.{0,5}steps)",
    ),
    ("list", r"\bwhat are all (?:the|of|our|its|their)\b(?! steps)"),
    ("list", r"\b(?:complete|full|entire|exhaustive) list of\b(?! steps)"),
    ("list", rf"\b(?:which|what|all) (?:[\w'-]+ ){{0,2}}?{_PAPERS}{_NEEDED}"),
    ("extreme", rf"\b(?:which|who|whose)\b[^.?!]*?\b{_SUPERLATIVE}"),
    ("extreme", r"\b(?:rank|sort|order) (?:all|the|every|our)\b[^.?!]*\b(?:by|from|according)\b"),
    ("extreme", r"\b(?:average|mean|median|sum|total)\b[^.?!]*\b(?:across|among|over|of) (?:all|every|each)\b"),
)
_NOT_ENGLISH = r"\bat (?:the )?(?:most|least|latest|earliest|best)\b|\b(?:which|what) (?:day|date|month|year|time)\b"

_CHINESE_UNITS = (
    r"(?:天|日|个?工作日|个?小时|个?钟头|分钟|秒|周|个?星期|个?月|季度|年|元|块|万|亿|美元|欧元|次|倍|度|米|公里|厘米|毫米|"
    r"公斤|千克|克|吨|升|毫升|伏|瓦|安|个?百分点|字节|字|分贝|分)"
)
_HOW_MANY = rf"(?:多少|几)(?!{_CHINESE_UNITS})(?:个|份|家|种|款|条|名|位|台|项|篇|封|页|张|只|件|间|类|本|套|批|起|人)?"
_CHINESE_PAPERS = r"(?:文档|文件|合同|协议|邮件|信件|发票|报告|纪要|制度|手册|工单|文章|记录|条目|资料)"
_CHINESE: tuple[tuple[QuestionKind, str], ...] = (
    ("count", rf"(?:一共|总共|合计|共计|共|总计)(?:有|是|签了?|收到了?|提到了?)?{_HOW_MANY}"),
    ("count", rf"{_HOW_MANY}[^，。？]{{0,4}}{_CHINESE_PAPERS}"),
    ("count", rf"(?:我们|公司|目前|现在)(?:公司|目前|现在|一共)?有{_HOW_MANY}"),
    ("count", r"(?:统计|数)(?:一下|一数)|(?:总数|总量|总人数)(?:是|有|为)"),
    ("list", r"(?:列出|列举|罗列|找出|给出|说出|汇总)(?:一下)?(?:我们|公司)?的?(?:所有|全部|每|一切)(?!.{0,8}步骤)"),
    (
        "list",
        r"(?:所有|全部|每一?[个份家种款条名位台项篇])[^，。？]{0,20}(?:[有是]哪些|分别是|都是什么|名单|清单|列表)",
    ),
    ("list", r"(?:都|总共|一共|分别)有哪些(?!步骤)|完整的?[^，。？]{0,8}(?:名单|清单|列表)"),
    ("list", rf"(?<![要交带供看])(?:哪些|哪几[份个封篇])[^，。？]{{0,6}}{_CHINESE_PAPERS}(?!需要|要|应)"),
    ("extreme", r"(?:哪|谁)[^，。？天日年月]{0,24}最(?![后初近终])[^，。？]"),
    ("extreme", r"最(?![后初近终])[^，。？的]{1,6}的[^，。？]{0,12}(?:是|为)(?:哪|谁)"),
    ("extreme", r"(?:所有|全部|各)[^，。？]{0,16}(?:平均|排名|排序|总和|合计)|按[^，。？]{1,12}(?:排序|排名|排列)"),
)
_NOT_CHINESE = r"最[多少晚早迟][能可须应要][^，。？]*(?:哪|几|多少)"


def question_kind(question: str) -> QuestionKind | None:
    """Return what a question asks of all that there is; None for any other question."""
    text = " ".join(question.casefold().replace("’", "'").split())
    if not re.search(_NOT_ENGLISH, text) and (found := _first(_ENGLISH, text)):
        return found
    return _first(_CHINESE, text) if not re.search(_NOT_CHINESE, text) else None


def kind_uncovered(answer: Answer, text_of: Callable[[Hit], str]) -> QuestionKind | None:
    """Return what was asked of all that there is, where the answer covers only a part of it.

    A table that stands whole in the one passage that is cited is all there is.

    Args:
        answer: The answer.
        text_of: Returns the whole text of a hit's source; an error of ours, as of a deleted one, counts as a part.
    """
    kind = None if answer.abstained else question_kind(answer.question)
    if kind is None:
        return None
    cited = {citation.chunk_id for citation in answer.citations}
    hits = [hit for hit in answer.hits if hit.chunk.id in cited]
    if len(cited) != 1 or len(hits) != 1 or _CELL not in hits[0].chunk.text:
        return kind
    try:
        return None if _is_whole_table(hits[0], text_of(hits[0])) else kind
    except CitadelError:
        return kind


def _first(rules: tuple[tuple[QuestionKind, str], ...], text: str) -> QuestionKind | None:
    return next((kind for kind, pattern in rules if re.search(pattern, text)), None)


def _is_whole_table(hit: Hit, text: str) -> bool:
    """Return whether no row stands before or after the passage's rows."""
    start, end = hit.chunk.locator.start, hit.chunk.locator.end
    if text[start:end] != hit.chunk.text:
        return False
    first, last = (hit.chunk.text.strip("\n").split("\n")[i] for i in (0, -1))
    before, after = text[:start].rstrip("\n").rpartition("\n")[2], text[end:].lstrip("\n").partition("\n")[0]
    return not (_CELL in first and _CELL in before) and not (_CELL in last and _CELL in after)
