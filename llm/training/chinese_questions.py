"""Chinese sentences -> questions that they answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from llm.training.question_forms import Asking
from llm.training.records import Kind

_DATE = r"(?:\d{4}年(?:\d{1,2}月(?:\d{1,2}日)?)?|\d{1,2}月\d{1,2}日|每[年月周季][^，。；]{0,6}[日号])"
_UNIT = (
    "个工作日|个自然日|个月|小时|分钟|工作日|平方米|公里|公斤|千克|毫米|厘米|毫升|万元|亿元|人民币|欧元|美元|牛米|千瓦|"
    "天|周|年|元|米|克|升|瓦|伏|安|人|名|位|次|份|台|件|页|℃|%|％|倍|级"
)
_AMOUNT = rf"(?:约|大约|至少|最多|不超过|不少于|不低于|不高于)?\s?(?!(?:19|20)\d\d年)\d[\d,.]*\s?(?P<unit>{_UNIT})"
_REFERS = re.compile("^(?:其|该|此|这|那|它|他|她|本条|上述|以上|以下|前款)|[它其该此]的?$")
_SUBJECT = r"[^，。；：、！？\s|（(]{2,24}"

_DEFINED = re.compile(
    rf"^(?P<subject>{_SUBJECT}?)(?:是指|指的是|是)(?P<answer>(?:一[种个类款套项]|指|由|用于|为了)?[^。；：]{{8,90}})。?$"
)
_AMOUNTS = re.compile(
    rf"^(?P<subject>{_SUBJECT}?)(?P<verb>为|是|共有|达到)(?P<answer>{_AMOUNT})(?P<rest>以上|以内|以下)?。?$"
)
_DATED = re.compile(
    rf"^(?P<subject>{_SUBJECT}?)(?:于|在)(?P<answer>{_DATE})(?P<done>(?![至到起前后])[^。；：，]{{2,16}})(?:，[^。]*)?。?$"
)
_LABELLED = re.compile(r"^(?P<label>[^：:，。；、|\d\s]{2,12})[：:]\s?(?P<answer>[^：:；。|]{1,50})。?$")
_LONGEST = 140


def ask_chinese(sentence: str) -> Iterator[Asking]:
    """Yield the questions that rules make of a sentence, with the answer's place in it."""
    plain = sentence.replace("\n", " ")
    if len(plain) > _LONGEST:
        return
    for pattern, rule in _RULES:
        if (match := pattern.match(plain)) and (asking := rule(match)):
            yield asking
            return


def _asking(match: re.Match[str], question: str, *, kind: Kind, answer: str = "") -> Asking | None:
    if _REFERS.search(match.groupdict().get("subject") or match.groupdict().get("label") or ""):
        return None
    start, end = match.span("answer")
    said = answer or f"{match.group().rstrip('。')}。"
    return Asking(question=question, kind=kind, start=start, end=end, answer=said)


def _definition(match: re.Match[str]) -> Asking | None:
    subject = match["subject"]
    if not re.match(r"一[种个类款套项]|指|用于", match["answer"]) and "指" not in match.group()[: len(subject) + 3]:
        return None
    return _asking(match, f"什么是{subject}？", kind="definition")


def _amount(match: re.Match[str]) -> Asking | None:
    unit = match["unit"]
    asked = "百分之多少" if unit in "%％" else f"多少{unit}"
    return _asking(match, f"{match['subject']}{match['verb']}{asked}？", kind="number")


def _date(match: re.Match[str]) -> Asking | None:
    return _asking(match, f"{match['subject']}是什么时候{match['done']}的？", kind="number")


def _label(match: re.Match[str]) -> Asking | None:
    label = match["label"].strip()
    if label in ("注意", "备注", "例如", "说明", "警告", "提示", "注", "主题", "如下", "步骤"):
        return None
    return _asking(match, f"{label}是什么？", kind="span", answer=f"{label}是{match['answer'].strip()}。")


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Asking | None]], ...] = (
    (_DATED, _date),
    (_AMOUNTS, _amount),
    (_DEFINED, _definition),
    (_LABELLED, _label),
)
