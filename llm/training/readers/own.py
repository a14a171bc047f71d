"""Citadel's own records, as ``prepare`` writes them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.errors import MalformedInput
from llm.training.records import Record, record_from_json


def fits(item: dict[str, Any]) -> bool:
    """Return whether an item is a record."""
    return {"id", "question", "kind", "language"} <= item.keys()


def read(item: dict[str, Any], where: str) -> Iterator[Record | MalformedInput]:
    """Yield the record."""
    yield record_from_json({"source": where, **item})
