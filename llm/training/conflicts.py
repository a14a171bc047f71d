"""Two documents that disagree about a number, made of one that does not."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass

from core.records import Language
from core.text import sentence_spans
from llm.training.records import Passage, Record

_NUMBER = re.compile(r"\d+")
_EDITIONS: Mapping[Language, tuple[tuple[str, str], ...]] = {
    "en": (
        ("2019 edition", "2023 edition"),
        ("draft", "final version"),
        ("old guide", "new guide"),
        ("first report", "second report"),
        ("website", "handbook"),
        ("part 1", "part 2"),
    ),
    "zh": (
        ("2019年版", "2023年版"),
        ("草稿", "定稿"),
        ("旧手册", "新手册"),
        ("第一份报告", "第二份报告"),
        ("网站", "手册"),
        ("上册", "下册"),
    ),
}
_SAYS: Mapping[Language, str] = {
    "en": "{one} according to {first}, but {other} according to {second}.",
    "zh": "据《{first}》是{one}，而据《{second}》是{other}。",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Two passages, what each says, and the answer that names both."""

    passages: tuple[Passage, Passage]
    said: tuple[str, str]
    answer: str


def conflict_of(record: Record, *, chosen: random.Random) -> Conflict | None:
    """Return the record's passage with a rival of another number; None where its answer is no short number."""
    if record.kind != "number" or len(record.passages) != 1 or len(record.passages[0].spans) != 1:
        return None
    passage = record.passages[0]
    start, end = passage.spans[0]
    one = passage.text[start:end]
    number = _NUMBER.search(one)
    if not number or len(number.group()) > 6 or len(one) > 30:
        return None
    other = one[: number.start()] + _another(number.group(), chosen) + one[number.end() :]
    if other in passage.text:
        return None
    first, last = next((a, b) for a, b in sentence_spans(passage.text) if start < b)
    if end > last:
        return None
    rival = passage.text[first:last].replace(one, other)
    title = passage.title or " ".join(passage.text[:30].split()[:3])
    names = [f"{title}, {edition}" for edition in chosen.choice(_EDITIONS[record.language])]
    passages = (
        Passage(text=passage.text, title=title, context=names[0], spans=passage.spans),
        Passage(text=rival, title=title, context=names[1]),
    )
    answer = _SAYS[record.language].format(one=one, other=other, first=names[0], second=names[1])
    return Conflict(passages=passages, said=(one, other), answer=answer[0].upper() + answer[1:])


def _another(number: str, chosen: random.Random) -> str:
    """Return a number of as many digits that differs in its last two at most."""
    value = int(number)
    step = chosen.choice([-7, -3, -2, 2, 3, 5, 8]) if value > 9 else chosen.choice([1, 2, 3])
    return str(value + step).zfill(len(number)) if number[0] == "0" else str(value + step)
