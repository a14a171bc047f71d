"""Chinese question + answer -> a full sentence: what asks gives way to the answer, in its place."""

from __future__ import annotations

import re

LONGEST = 80
_SAID_TWICE = 4  # characters: an answer that begins with so many of the question's is a sentence of its own
_POLITE = re.compile(r"^(?:请问|那么|那|你知道)[，,]?")
_NOUN = (
    "国家|城市|公司|大学|学校|学院|地区|地方|省份|省|市|县|朝代|时期|年代|时代|民族|语言|语系|宗教|组织|机构|单位|部门|电视台|"
    "电台|频道|球队|俱乐部|乐队|唱片公司|出版社|奖项|奖|比赛|项目|站|车站|路线|线路|线|州|岛|洲|区|镇|村|河流|海域|类型|种类|职位|职务|"
    "名称|名字|颜色|材料|科|属|目|人|年份|年|月|日|天|季节|版本|平台|系列|专辑|歌曲|电影|小说|战役|战争|事件|派别|党派|学位|专业"
)
_THINGS = (
    "用途|设备|关系|身份|角色|作品|书|运动|动物|植物|学派|风格|形状|食物|工作|题材|主题|节目|游戏|产品|职业|称号|头衔|荣誉|绰号|别名|简称|"
    "曲目|车型|武器|物质|元素|气候|地形|建筑|星座|音乐|乐器|文字|制度|技术"
)
_UNIT = (
    "个|座|家|所|部|位|种|支|本|张|项|场|届|条|只|颗|款|级|名|类|片|间|处|段|方面|年|月|日|天|号|世纪|年代|岁|次|人|元|米|公里|"
    "平方公里|公顷|集|层"
)
# Each: what asks, and what of it stays after the answer.
_ASKS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile("什么时候|什么时间|何时|哪一年的?几月几日|哪年哪月哪日|几月几日|哪一天|哪一年|哪年|什么年代|何年"), ""),
    (re.compile("什么地方|何处|何地|哪里|哪儿|哪个地方"), ""),
    (re.compile("哪一?位(?:[一-鿿]{0,2}人)?|哪个人|什么人|何人|谁"), ""),
    (re.compile(f"哪(?:一|几|两|三)?(?:{_UNIT})?(?:{_NOUN})(?=[？?。]|$|[由被所的任出发制担主举进获])"), ""),
    (re.compile(f"什么(?:{_NOUN}|(?:{_THINGS})(?=[？?]|$))"), ""),
    (re.compile("什么(?=(?:所|而|来)?[组构]成|而闻名|而得名|为[主核重])"), ""),
    (re.compile("哪些[一-鿿]{0,8}(?=[？?]|$)"), ""),
    (re.compile("什么(?=[？?]|$)"), ""),
    (re.compile(f"(?:多少|几)(?=(?:{_UNIT}))"), "unit"),
    (re.compile("多少(?=[？?]|$)|多[长高大远深宽重](?=[？?]|$)"), ""),
)
_ASKS_HOW = re.compile("为什么|为何|怎么|怎样|如何|是否|吗$")
_STILL_ASKS = re.compile("什么|哪|谁|多少|几[个年月日]|怎么|怎样|如何|为什么|为何|何时|何处|吗|呢|是否|[？?]")
_ENDS = "。．.，,；;、：: "


def chinese_sentence(question: str, span: str) -> str:
    """Return a sentence with its full stop, or "" where no rule is sure."""
    plain = _POLITE.sub("", question.strip()).rstrip("？?。！! ")
    span = span.strip().strip(_ENDS)
    if not span or len(span) > LONGEST // 2 or "。" in span or _ASKS_HOW.search(plain):
        return ""
    if len(span) > _SAID_TWICE and span[:_SAID_TWICE] in plain:
        return ""
    for pattern, keeps in _ASKS:
        found = list(pattern.finditer(plain))
        if len(found) != 1:
            continue
        made = _put(plain, found[0].start(), found[0].end(), span, unit=keeps == "unit")
        if not made or _STILL_ASKS.search(made.replace(span, "", 1)) or len(made) > LONGEST or made == span:
            return ""
        return f"{made}。"
    return ""


def _put(plain: str, start: int, end: int, span: str, *, unit: bool) -> str:
    """Return the question with the answer in place, words that both hold said once."""
    head, tail = plain[:start], plain[end:]
    if unit and not any(character.isdigit() or character in "零一二三四五六七八九十百千万亿两数" for character in span):
        return ""
    for n in range(min(4, len(span), len(tail)), 0, -1):
        if span.endswith(tail[:n]):
            tail = tail[n:]
            break
    for n in range(min(4, len(span), len(head)), 0, -1):
        if head.endswith(span[:n]) and not span[:n].isdigit():
            head = head[:-n]
            break
    if head.endswith("在") and span[0] in "于在":
        span = span[1:]
    return head + span + tail
