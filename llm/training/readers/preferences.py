"""Preference pairs: one dialogue with an answer that people chose and one that they rejected."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from core.errors import MalformedInput
from core.records import Message
from core.text import detect_language
from llm.training.records import Record

_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")


def fits(item: dict[str, Any]) -> bool:
    """Return whether an item is a pair."""
    return {"chosen", "rejected"} <= item.keys()


def read(item: dict[str, Any], where: str) -> Iterator[Record | MalformedInput]:
    """Yield the record; a pair whose answers are alike, or whose dialogues differ, teaches nothing and is malformed."""
    *before, chosen = _turns(item["chosen"])
    *other, rejected = _turns(item["rejected"])
    if before != other or not before or before[-1].role != "user":
        raise ValueError("the two dialogues differ before their last answer")
    if chosen.role != "assistant" or rejected.role != "assistant" or chosen.content == rejected.content:
        raise ValueError("it does not end with two different answers")
    yield Record(
        id=where,
        question=before[-1].content,
        language=detect_language(before[-1].content),
        kind="preference",
        answer=chosen.content,
        rejected=rejected.content,
        history=tuple(before[:-1]),
        document=before[0].content,
        source=where,
    )


def _turns(dialogue: str) -> list[Message]:
    parts = _TURN.split(dialogue)[1:]
    turns = [
        Message(role="user" if who == "Human" else "assistant", content=said.strip())
        for who, said in zip(parts[::2], parts[1::2], strict=True)
    ]
    if not turns:
        raise ValueError("it has no turns")
    return turns
