"""SQuAD and what is shaped like it: articles of paragraphs, each with its questions, answers and their starts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from core.errors import MalformedInput
from core.text import detect_language
from llm.training.readers import attempt, spans_of
from llm.training.records import Passage, Record
from llm.training.rewording import kind_of, sentence


def fits(item: dict[str, Any]) -> bool:
    """Return whether an item is an article."""
    paragraphs = item.get("paragraphs")
    return isinstance(paragraphs, list) and "question" not in item


def read(item: dict[str, Any], where: str) -> Iterator[Record | MalformedInput]:
    """Yield a record a question; answers that are marked impossible are unanswerable."""
    for i, paragraph in enumerate(item["paragraphs"]):
        for j, asked in enumerate(paragraph["qas"]):
            place = f"{where}/{i}/{j}"
            yield attempt(partial(record, item.get("title", ""), paragraph, asked, place), place)


def record(title: str, paragraph: dict[str, Any], asked: dict[str, Any], where: str) -> Record:
    """Return the record of one question; of several answers the shortest is taken."""
    text, question = paragraph["context"], asked["question"].strip()
    answers = asked.get("answers") or []
    language = detect_language(question + text)
    answerable = bool(answers) and not asked.get("is_impossible", False)
    spans: tuple[tuple[int, int], ...] = ()
    if answerable:
        shortest = min(answers, key=lambda answer: len(answer["text"]))
        spans = spans_of(text, [shortest["text"]], [shortest["answer_start"]])
    passage = Passage(text=text, title=title, spans=spans)
    found = [text[start:end] for start, end in spans]
    return Record(
        id=where,
        question=question,
        language=language,
        kind=kind_of(found) if answerable else "unanswerable",
        answer=sentence(question, found, passage=passage, language=language) if answerable else "",
        span=found[0] if answerable else "",
        answerable=answerable,
        passages=(passage,),
        document=title or text,
        source=where,
    )
