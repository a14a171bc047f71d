"""PolicyQA: SQuAD's shape over privacy policies, with clauses cut at random for answers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from core.errors import MalformedInput
from core.text import sentence_spans
from llm.training.readers import attempt
from llm.training.readers.squad import record
from llm.training.records import Passage, Record

_LONGEST = 240
_SHORTEST = 30
_N_OTHERS = 6


def fits(item: dict[str, Any]) -> bool:
    """Return whether an item is a policy."""
    paragraphs = item.get("paragraphs")
    return isinstance(paragraphs, list) and bool(paragraphs) and "|||" in str(paragraphs[0].get("qas"))


def read(item: dict[str, Any], where: str) -> Iterator[Record | MalformedInput]:
    """Yield a record a question that a sentence answers: the one that holds the clause.

    Each policy is asked the same questions, so that another policy answers them too: the paragraphs that do not are
    those of the same policy where the question was not asked.
    """
    paragraphs = item["paragraphs"]
    for i, paragraph in enumerate(paragraphs):
        for j, asked in enumerate(paragraph["qas"]):
            place = f"{where}/{i}/{j}"
            made = attempt(partial(record, item.get("title", ""), paragraph, asked, place), place)
            if isinstance(made, MalformedInput):
                yield made
            elif whole := _whole_sentence(made.passages[0]):
                start, end = whole
                passage = replace(made.passages[0], spans=(whole,))
                said = " ".join(passage.text[start:end].split())
                others = _others(item, made.question, beside=i)
                yield replace(made, answer=said, span=said, kind="span", passages=(passage,), distractors=others)


def _whole_sentence(passage: Passage) -> tuple[int, int] | None:
    for start, end in sentence_spans(passage.text):
        if any(start <= first and last <= end for first, last in passage.spans):
            return (start, end) if _SHORTEST <= end - start <= _LONGEST else None
    return None


def _others(item: dict[str, Any], question: str, *, beside: int) -> tuple[Passage, ...]:
    """Return the nearest paragraphs that were not asked the question."""
    paragraphs = item["paragraphs"]
    nearest = sorted(range(len(paragraphs)), key=lambda i: abs(i - beside))
    silent = (
        paragraphs[i]["context"]
        for i in nearest
        if all(asked["question"].strip() != question for asked in paragraphs[i]["qas"])
    )
    return tuple(Passage(text=text, title=item.get("title", "")) for text in islice(silent, _N_OTHERS))
