"""Ratings as the lines that training and evaluation read; nobody's name is in them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from app.cases import Case
from app.people.records import Rating
from core.records import Hit
from llm.training.readers.feedback import NOT_IN_DOCUMENTS

SET_NAME = "feedback"


def example_lines(ratings: Iterable[Rating]) -> Iterator[str]:
    """Yield one JSON object a line, as :mod:`llm.training.readers.feedback` reads them."""
    for rating in ratings:
        yield json.dumps(example(rating), ensure_ascii=False)


def case_lines(ratings: Iterable[Rating]) -> Iterator[str]:
    """Yield one JSON object a line, as :func:`app.cases.read_cases` reads them."""
    for rating in ratings:
        yield json.dumps(case(rating), ensure_ascii=False)


def example(rating: Rating) -> dict[str, Any]:
    """Return a rating as training data."""
    refuse = _is_refusal(rating)
    cited = {citation.chunk_id for citation in rating.answer.citations}
    # A refusal that was right says "not in documents" too: to the reader "up" means that the answer's words are right.
    plain = {
        "question": rating.question,
        "passages": [_passage(hit, cited=hit.chunk.id in cited or not cited) for hit in rating.answer.hits],
        "answer": "" if rating.answer.abstained else rating.answer.text,
        "verdict": "down" if refuse else rating.verdict,
        "corrected": "" if refuse else rating.corrected,
    }
    if refuse:
        plain["reason"] = NOT_IN_DOCUMENTS
    elif rating.reason:
        plain["reason"] = rating.reason
    if rating.history:
        plain["history"] = _history(rating)
    return plain


def case(rating: Rating) -> dict[str, Any]:
    """Return a rating as an evaluation case; places count only where the rater found nothing wrong with them."""
    refuse = _is_refusal(rating)
    right = rating.corrected or rating.answer.text
    places = {(citation.source, citation.page): None for citation in rating.answer.citations}
    made = Case(
        id=rating.id,
        question=rating.question,
        answers=() if refuse else (right,),
        sources=() if refuse or rating.reason in ("wrong", "wrong_source") else tuple(places),
        answerable=not refuse,
        free_form=True,
        language=rating.answer.language,
        kind=rating.reason or rating.verdict,
        set_name=SET_NAME,
    )
    history = {"history": _history(rating)} if rating.history else {}
    return made.to_json() | history


def _is_refusal(rating: Rating) -> bool:
    """Whether the right answer is that the documents do not hold it."""
    if rating.corrected:
        return False
    return rating.reason == "should_have_refused" or (rating.verdict == "up" and rating.answer.abstained)


def _passage(hit: Hit, *, cited: bool) -> dict[str, Any]:
    return {"text": hit.chunk.text, "title": hit.title, "source": hit.source, "cited": cited}


def _history(rating: Rating) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in rating.history]
