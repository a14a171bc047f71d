"""MuSiQue: questions of two to four hops over paragraphs that are marked as supporting or not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.errors import MalformedInput
from llm.training.records import Passage, Record


def fits(item: dict[str, Any]) -> bool:
    """Return whether an item is of MuSiQue."""
    return {"question", "answer", "paragraphs"} <= item.keys() and "is_supporting" in str(item["paragraphs"])[:4000]


def read(item: dict[str, Any], where: str) -> Iterator[Record | MalformedInput]:
    """Yield the record."""
    answer = item["answer"].strip()
    gold: list[Passage] = []
    others: list[Passage] = []
    for paragraph in item["paragraphs"]:
        text = paragraph["paragraph_text"].strip()
        at = text.find(answer) if paragraph["is_supporting"] else -1
        passage = Passage(
            text=text, title=paragraph.get("title", ""), spans=((at, at + len(answer)),) if at >= 0 else ()
        )
        (gold if paragraph["is_supporting"] else others).append(passage)
    answerable = item.get("answerable", True)
    if answerable and not any(passage.spans for passage in gold):
        raise ValueError("no supporting paragraph holds the answer")
    yield Record(
        id=where,
        question=item["question"].strip(),
        language="en",
        kind="multi_hop" if answerable else "unanswerable",
        answer=answer if answerable else "",
        span=answer if answerable else "",
        answerable=answerable,
        passages=tuple(gold),
        distractors=tuple(others),
        document=" & ".join(sorted(passage.title for passage in gold)) or where,
        source=where,
    )
