"""HotpotQA: questions whose answer takes facts of two paragraphs, among others that do not help."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.errors import MalformedInput
from llm.training.records import Passage, Record


def fits(item: dict[str, Any]) -> bool:
    """Return whether an item is of HotpotQA."""
    return {"supporting_facts", "context", "question", "answer"} <= item.keys()


def read(item: dict[str, Any], where: str) -> Iterator[Record | MalformedInput]:
    """Yield the record."""
    wanted = {title for title, _ in item["supporting_facts"]}
    answer = item["answer"].strip()
    gold: list[Passage] = []
    others: list[Passage] = []
    for title, sentences in item["context"]:
        text = "".join(sentences).strip()
        at = text.find(answer)
        spans = ((at, at + len(answer)),) if title in wanted and at >= 0 else ()
        (gold if title in wanted else others).append(Passage(text=text, title=title, spans=spans))
    verdict = {"yes": "Yes.", "no": "No."}.get(answer.lower())
    if not gold or not (verdict or any(passage.spans for passage in gold)):
        raise ValueError("no supporting paragraph holds the answer")
    yield Record(
        id=where,
        question=item["question"].strip(),
        language="en",
        kind="multi_hop",
        answer=verdict or answer,
        span="" if verdict else answer,
        passages=tuple(gold),
        distractors=tuple(others),
        document=" & ".join(sorted(wanted)),
        source=where,
    )
