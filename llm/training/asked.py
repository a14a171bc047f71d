"""More questions over paragraphs that other files hold: the questions travel, the paragraphs stay where they are.

A line is ``{"id", "language", "opens", "letters", "questions": [{"question", "answer", "in"}]}``: ``opens`` tells the
paragraph (see :func:`opening`), of which the first ``letters`` letters and digits are asked about; ``answer`` stands in
it, within ``in`` where it stands there more than once; a question without one is a near miss that it does not answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from core.errors import MalformedInput
from llm.training.readers import Item, attempt, read_items
from llm.training.readers.squad import record
from llm.training.records import Passage, Record

_OPENING_LETTERS = 200


def opening(text: str) -> str:
    """Return what tells a paragraph: a hash of its first 200 letters and digits in lower case, 16 hex digits."""
    letters = "".join(c for c in text if c.isalnum())[:_OPENING_LETTERS].casefold()
    return hashlib.sha256(letters.encode("utf-8")).hexdigest()[:16]


def read_asked(
    path: Path, records: Iterable[Record], *, on_error: Literal["stop", "collect"] = "stop"
) -> tuple[list[Record], int, list[MalformedInput]]:
    """Return the records of a file of questions, how many paragraphs ``records`` do not hold, and what was wrong.

    A question belongs to the document of the record whose paragraph it asks about.

    Raises:
        MissingPath: There is no such file.
        MalformedInput: A line or a question is malformed and ``on_error`` is "stop".
    """
    known = _by_opening(records)
    n_missing = 0

    def read(item: Item, where: str) -> Iterator[Record | MalformedInput]:
        nonlocal n_missing
        questions, n_letters, held = item["questions"], item["letters"], known.get(item["opens"])
        if held is None:
            n_missing += 1
            return
        passage = replace(held[0], text=_cut(held[0].text, n_letters), spans=())
        for i, asked in enumerate(questions):
            make = partial(_record, passage, held[1], asked, id=f"{item['id']}#{i}", source=where)
            yield attempt(make, f"{where}, question {i}")

    made, wrong = read_items(path, read, on_error=on_error)
    return made, n_missing, wrong


def _by_opening(records: Iterable[Record]) -> dict[str, tuple[Passage, str]]:
    """Return the passages of records by what tells them, each with its document."""
    known: dict[str, tuple[Passage, str]] = {}
    for each in records:
        for passage in each.passages:
            known.setdefault(opening(passage.text), (passage, each.document))
        for passage in each.distractors:
            known.setdefault(opening(passage.text), (passage, passage.title or passage.text))
    return known


def _record(passage: Passage, document: str, asked: dict[str, Any], *, id: str, source: str) -> Record:
    answer, within = asked.get("answer") or "", asked.get("in") or asked.get("answer") or ""
    if within not in passage.text:
        raise ValueError(f"{within[:60]!r} is not in its paragraph")
    start = passage.text.index(within) + within.index(answer)
    answers = [{"text": answer, "answer_start": start}] if answer else []
    paragraph, question = {"context": passage.text}, {"question": asked["question"], "answers": answers}
    made = record(passage.title, paragraph, question, source)
    return replace(made, id=id, document=document)


def _cut(text: str, letters: int) -> str:
    """Return a text up to the word that ends with so many letters and digits; the whole where it has no more."""
    seen = 0
    for end, c in enumerate(text):
        seen += c.isalnum()
        if seen == letters:
            after = text[end + 1 :]
            return text[: end + 1] + after[: len(after) - len(after.lstrip(".!?。！？)）”\"'"))]
    return text
