"""Citadel's own feedback export: what was asked and answered, and what a reader thought of it.

One JSON object a line: ``question``; ``passages``, each ``{"text", "title", "source", "cited"}``; ``answer``;
``verdict``, "up" or "down"; and where there are any ``history``, ``reason`` and ``corrected``, the answer as the reader
would have it. ``corrected`` that is "" while ``reason`` is "not in documents" says that it should have been refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.errors import MalformedInput
from core.records import Message
from core.text import detect_language
from llm.training.records import Passage, Record

NOT_IN_DOCUMENTS = "not in documents"


def fits(item: dict[str, Any]) -> bool:
    """Return whether an item is feedback."""
    return {"question", "passages", "verdict"} <= item.keys()


def read(item: dict[str, Any], where: str) -> Iterator[Record | MalformedInput]:
    """Yield the record; a "down" that says nothing of what would be right is passed over."""
    verdict, answer = item["verdict"], item.get("answer", "").strip()
    corrected = (item.get("corrected") or "").strip()
    refuse = verdict == "down" and not corrected and item.get("reason") == NOT_IN_DOCUMENTS
    if verdict not in ("up", "down"):
        raise ValueError(f'the verdict {verdict!r} is neither "up" nor "down"')
    if verdict == "down" and not corrected and not refuse:
        return
    cited = [passage for passage in item["passages"] if passage.get("cited", True)]
    right = "" if refuse else corrected or answer
    question = item["question"].strip()
    passages = tuple(_passage(passage, right) for passage in cited)
    yield Record(
        id=where,
        question=question,
        language=detect_language(question),
        kind="unanswerable" if refuse else "feedback",
        answer=right,
        answerable=not refuse,
        passages=passages,
        distractors=tuple(_passage(passage, "") for passage in item["passages"] if passage not in cited),
        history=tuple(Message(role=turn["role"], content=turn["content"]) for turn in item.get("history") or ()),
        rejected=answer if verdict == "down" else "",
        document=" & ".join(sorted({passage.source for passage in passages if passage.source})) or question,
        source=where,
    )


def _passage(plain: dict[str, Any], answer: str) -> Passage:
    text = plain["text"]
    at = text.find(answer) if answer else -1
    return Passage(
        text=text,
        title=plain.get("title", ""),
        source=plain.get("source", ""),
        spans=((at, at + len(answer)),) if at >= 0 else (),
    )
