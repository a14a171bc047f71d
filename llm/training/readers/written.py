"""Documents written for training: passages of one document with questions, their answers and near misses.

``{"id", "language", "title", "passages": [{"heading", "text"}], "questions": [{"question", "passage", "answer", "in",
"kind", "said"}]}``: ``answer`` stands in the text of passage number ``passage``, within ``in`` where it stands there
more than once; ``said`` is the answer as a sentence. A question of kind "unanswerable" has neither. ``after`` is the
number of the question that it follows up, ``asked_in`` its language where that is not the document's. Documents that
name the same ``collection`` are one folder, and what is asked about one of them is asked of all.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

from core.errors import MalformedInput
from core.records import Message
from llm.training.readers import attempt
from llm.training.records import Passage, Record

_SEPARATOR = " | "
_BEGIN, _END = "\x02", "\x03"  # stand around the answer while its passage is laid out
_AS_FIELDS = 0.2  # of tables, as rows of spreadsheets and data files are read: every cell with its column's name


def fits(item: dict[str, Any]) -> bool:
    """Return whether an item is a written document."""
    return {"title", "passages", "questions"} <= item.keys()


def read(item: dict[str, Any], where: str) -> Iterator[Record | MalformedInput]:
    """Yield a record a question."""
    for i, asked in enumerate(item["questions"]):
        make = partial(_record, item, asked, id=f"{item['id']}#{i}", source=where)
        yield attempt(make, f"{where}, question {i}")


def _record(item: dict[str, Any], asked: dict[str, Any], *, id: str, source: str) -> Record:
    n, answerable = asked["passage"], asked["kind"] != "unanswerable"
    text, answer = item["passages"][n]["text"], asked.get("answer") or ""
    span = _span(text, answer, asked.get("in") or answer) if answerable else None
    pieces = [_laid_out(each, span if i == n else None, document=item["id"]) for i, each in enumerate(item["passages"])]
    pieces = [Passage(text=p.text, title=item["title"], context=item["title"], spans=p.spans) for p in pieces]
    return Record(
        id=id,
        question=asked["question"],
        language=asked.get("asked_in", item["language"]),
        kind=asked["kind"],
        answer=asked["said"] if answerable else "",
        span=answer,
        answerable=answerable,
        passages=(pieces[n],),
        distractors=tuple(piece for i, piece in enumerate(pieces) if i != n),
        place=n,
        history=_history(item["questions"], asked),
        document=item["id"],
        collection=item.get("collection", ""),
        source=source,
    )


def _history(questions: list[dict[str, Any]], asked: dict[str, Any]) -> tuple[Message, ...]:
    """Return the questions that ``asked`` follows up, with their answers."""
    if asked.get("after") is None:
        return ()
    before = questions[asked["after"]]
    if not 0 <= asked["after"] < questions.index(asked):
        raise ValueError("it follows up a question that comes later")
    said = (Message(role="user", content=before["question"]), Message(role="assistant", content=before["said"]))
    return (*_history(questions, before), *said)


def _span(text: str, answer: str, within: str) -> tuple[int, int]:
    if text.count(within) != 1 or within.count(answer) != 1:
        raise ValueError(f"the answer {answer[:60]!r} is not in its passage, or more than once")
    start = text.index(within) + within.index(answer)
    return start, start + len(answer)


def _laid_out(passage: dict[str, str], span: tuple[int, int] | None, *, document: str) -> Passage:
    """Return the passage below its heading, some with their tables as fields."""
    text = passage["text"]
    if span:
        text = f"{text[: span[0]]}{_BEGIN}{text[span[0] : span[1]]}{_END}{text[span[1] :]}"
    if random.Random(f"{document} {passage['heading']}").random() < _AS_FIELDS and (fields := _as_fields(text)):
        text = fields
    text = f"{passage['heading']}\n\n{text}" if passage["heading"] else text
    start, end = text.find(_BEGIN), text.find(_END) - len(_BEGIN)
    spans = ((start, end),) if span else ()
    return Passage(text=text.replace(_BEGIN, "").replace(_END, ""), spans=spans)


def _as_fields(text: str) -> str:
    """Return the text with the rows of its tables as "column: cell; ...", or "" where the answer is not of one cell."""
    lines: list[str] = []
    header: list[str] = []
    for line in text.split("\n"):
        cells = line.split(_SEPARATOR)
        if len(cells) < 2:
            header = []
            lines.append(line)
        elif len(cells) != len(header):
            header = cells
        else:
            lines.append("; ".join(f"{name}: {cell}" for name, cell in zip(header, cells, strict=True)))
        kept_apart = any((_BEGIN in cell) != (_END in cell) for cell in cells)
        if kept_apart or _BEGIN in "".join(header):
            return ""
    return "\n".join(lines)
