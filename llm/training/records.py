"""The one record that every training file becomes, and its form on disk: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from core.records import Language, Message

Kind = Literal[
    "span", "number", "list", "yes_no", "multi_hop", "chat", "table", "definition", "procedure", "conflict",
    "unanswerable", "preference", "feedback",
]  # fmt: skip
KINDS: tuple[str, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A piece of a document; ``spans`` are the ``[start, end)`` characters of ``text`` that answer."""

    text: str
    title: str = ""
    context: str = ""
    source: str = ""
    spans: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise ValueError("a passage has no text")
        for start, end in self.spans:
            if not 0 <= start < end <= len(self.text):
                raise ValueError(f"the span [{start}, {end}) is not within its passage of {len(self.text)} characters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A question with what answers it.

    ``passages`` are those that answer, all of them needed; of an unanswerable question, those that come near.
    ``answer`` is a sentence where one could be made safely, else ``span``, the bare words. ``distractors`` are passages
    that the file itself names as not answering, ``rejected`` a worse answer. Where the distractors are the other parts
    of the passage's document, in order, ``place`` is how many of them stand before it. ``document`` is what must not
    be parted between training and validation, ``collection`` the folder that the question is asked of, where it is one
    of its own: then nothing else in it answers. ``source`` is the file and the line or item that the record came from.
    """

    id: str
    question: str
    language: Language
    kind: Kind
    answer: str = ""
    span: str = ""
    answerable: bool = True
    passages: tuple[Passage, ...] = ()
    distractors: tuple[Passage, ...] = ()
    place: int | None = None
    history: tuple[Message, ...] = ()
    rejected: str = ""
    document: str = ""
    collection: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not any(c.isalnum() for c in self.question):
            raise ValueError("the question has no words")
        if self.answerable and not self.answer.strip():
            raise ValueError("the question is answerable and has no answer")
        if self.kind not in KINDS:
            raise ValueError(f"the kind {self.kind!r} is none of: {', '.join(KINDS)}")
        if self.place is not None and not 0 <= self.place <= len(self.distractors):
            raise ValueError(f"the place {self.place} is not among its document's {len(self.distractors)} other parts")

    def to_json(self) -> dict[str, Any]:
        """Return the record as JSON values; what is empty is left out."""
        return {name: value for name, value in asdict(self).items() if value not in ("", (), None)}


def record_from_json(plain: dict[str, Any]) -> Record:
    """Return the record of :meth:`Record.to_json`.

    Raises:
        KeyError, TypeError, ValueError: It is none.
    """
    record = dict(plain)
    for name in ("passages", "distractors"):
        record[name] = tuple(_passage(each) for each in record.get(name, ()))
    record["history"] = tuple(Message(**each) for each in record.get("history", ()))
    return Record(**record)


def _passage(plain: dict[str, Any]) -> Passage:
    return Passage(**{**plain, "spans": tuple((start, end) for start, end in plain.get("spans", ()))})


def write_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write one JSON object a line, whole or not at all, and return how many."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    n_rows = 0
    with partial.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            n_rows += 1
    partial.replace(path)
    return n_rows
