"""Tables with a question about one of their cells: made up, as those of public question sets are long and noisy."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from core.records import Language
from llm.training.records import Passage, Record

Cell = Callable[[random.Random], str]
_SEPARATOR = " | "


def _number(low: int, high: int, unit: str = "") -> Cell:
    return lambda chosen: f"{chosen.randint(low, high):,}{unit}"


def _decimal(low: int, high: int, unit: str = "") -> Cell:
    return lambda chosen: f"{chosen.randint(low * 10, high * 10) / 10}{unit}"


def _one_of(*words: str) -> Cell:
    return lambda chosen: chosen.choice(words)


def _day(chosen: random.Random) -> str:
    return f"{chosen.randint(2018, 2027)}-{chosen.randint(1, 12):02}-{chosen.randint(1, 28):02}"


def _code(*heads: str) -> Cell:
    return lambda chosen: f"{chosen.choice(heads)}-{chosen.randint(10, 990)}{chosen.choice(['', 'A', 'B', 'X'])}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """A kind of table: its title, the column that names a row, and the others."""

    title: str
    key: tuple[str, Cell]
    columns: Mapping[str, Cell]


_CITIES = ("Leeds", "Porto", "Utrecht", "Graz", "Tampa", "Osaka", "Lyon", "Cork", "Bergen", "Malmö", "Pune", "Quito")
_PEOPLE = ("A. Romero", "J. Okafor", "M. Lindqvist", "S. Tanaka", "P. Novak", "L. Haddad", "R. Silva", "E. Kowalski")
_CHINESE_CITIES = ("成都", "厦门", "苏州", "西安", "青岛", "昆明", "长沙", "合肥", "大连", "珠海")
_CHINESE_PEOPLE = ("王敏", "李强", "张伟", "陈静", "刘洋", "赵磊", "孙丽", "周涛")
THEMES: Mapping[Language, tuple[Theme, ...]] = {
    "en": (
        Theme(
            title="Price list",
            key=("Model", _code("KX", "PR", "VT", "LM")),
            columns={
                "Price": _number(40, 4000, " EUR"),
                "Weight": _decimal(1, 60, " kg"),
                "Warranty": _number(1, 5, " years"),
                "Power": _number(50, 2400, " W"),
            },
        ),
        Theme(
            title="Offices",
            key=("Office", _one_of(*_CITIES)),
            columns={
                "Manager": _one_of(*_PEOPLE),
                "Employees": _number(8, 420),
                "Opening date": _day,
                "Floor area": _number(200, 9000, " m²"),
            },
        ),
        Theme(
            title="Maintenance plan",
            key=("Part", _one_of("oil filter", "drive belt", "door seal", "air inlet", "main pump", "fuse", "sensor")),
            columns={
                "Interval": _number(50, 5000, " hours"),
                "Order number": _code("ON", "SP"),
                "Torque": _decimal(2, 90, " Nm"),
            },
        ),
        Theme(
            title="Quarterly results",
            key=("Quarter", lambda c: f"Q{c.randint(1, 4)} {c.randint(2015, 2026)}"),
            columns={
                "Revenue": _decimal(2, 900, " million"),
                "Operating margin": _decimal(1, 40, "%"),
                "Headcount": _number(50, 9000),
            },
        ),
    ),
    "zh": (
        Theme(
            title="价格表",
            key=("型号", _code("KX", "PR", "VT", "LM")),
            columns={
                "价格": _number(200, 9000, "元"),
                "重量": _decimal(1, 60, "公斤"),
                "保修期": _number(1, 5, "年"),
                "功率": _number(50, 2400, "瓦"),
            },
        ),
        Theme(
            title="分公司一览",
            key=("分公司", _one_of(*_CHINESE_CITIES)),
            columns={
                "负责人": _one_of(*_CHINESE_PEOPLE),
                "员工人数": _number(8, 420, "人"),
                "成立日期": _day,
                "面积": _number(200, 9000, "平方米"),
            },
        ),
        Theme(
            title="保养计划",
            key=("部件", _one_of("机油滤芯", "传动皮带", "门封条", "进气口", "主泵", "保险丝", "传感器")),
            columns={
                "保养周期": _number(50, 5000, "小时"),
                "订货号": _code("ON", "SP"),
                "拧紧力矩": _decimal(2, 90, "牛米"),
            },
        ),
        Theme(
            title="季度业绩",
            key=("季度", lambda c: f"{c.randint(2015, 2026)}年第{c.choice('一二三四')}季度"),
            columns={
                "营业收入": _decimal(2, 900, "亿元"),
                "利润率": _decimal(1, 40, "%"),
                "员工总数": _number(50, 9000, "人"),
            },
        ),
    ),
}
_ASKED: Mapping[Language, tuple[str, ...]] = {
    "en": ("What is the {column} of {row}?", "Which {column} is given for {row}?", "{row}: what {column}?"),
    "zh": ("{row}的{column}是多少？", "请问{row}的{column}是什么？", "{row}，{column}？"),
}
_SAID: Mapping[Language, str] = {"en": "The {column} of {row} is {cell}.", "zh": "{row}的{column}是{cell}。"}


def table_records(n_records: int, *, language: Language, seed: int) -> Iterator[Record]:
    """Yield records about one cell each of ``n_records`` tables; every tenth asks for a row that is not there."""
    for i in range(n_records):
        chosen = random.Random(f"{seed} {language} table {i}")
        theme = chosen.choice(THEMES[language])
        yield _record(theme, chosen, language=language, id=f"table-{language}-{seed}#{i}", answerable=i % 10 != 9)


def _record(theme: Theme, chosen: random.Random, *, language: Language, id: str, answerable: bool) -> Record:
    key, _ = theme.key
    columns = chosen.sample(list(theme.columns), k=chosen.randint(2, len(theme.columns)))
    rows = _rows(theme, columns, chosen)
    missing = rows.pop() if not answerable else None
    asked = missing or chosen.choice(rows)
    at = chosen.randrange(len(columns))
    text, cell = _text([key, *columns], rows), asked[at + 1]
    start = 0
    if answerable:
        before = sum(len(line) + 1 for line in text.split("\n")[: rows.index(asked) + 1])
        start = before + sum(len(each) + len(_SEPARATOR) for each in asked[: at + 1])
    column = columns[at].lower() if language == "en" else columns[at]
    rivals = [row for row in _rows(theme, columns, chosen) if row[0] != asked[0]]
    names = {"row": asked[0], "column": column, "cell": cell}
    return Record(
        id=id,
        question=chosen.choice(_ASKED[language]).format(**names),
        language=language,
        kind="table" if answerable else "unanswerable",
        answer=_SAID[language].format(**names) if answerable else "",
        span=cell if answerable else "",
        answerable=answerable,
        passages=(Passage(text=text, title=theme.title, spans=((start, start + len(cell)),) if answerable else ()),),
        distractors=(Passage(text=_text([key, *columns], rivals), title=theme.title),) if rivals else (),
        document=id,
        source=id,
    )


def _rows(theme: Theme, columns: Sequence[str], chosen: random.Random) -> list[list[str]]:
    _, name_of = theme.key
    names = dict.fromkeys(name_of(chosen) for _ in range(chosen.randint(4, 8)))
    return [[name, *(theme.columns[column](chosen) for column in columns)] for name in names]


def _text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(_SEPARATOR.join(row) for row in (header, *rows))
