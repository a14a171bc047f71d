"""Collections as people pick them: by labels, which may be alike, for the names that programs use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from app.people.records import CollectionRights


def named_shelves(shelves: Sequence[CollectionRights]) -> list[tuple[str, str]]:
    """Return (label, name) of each collection; labels that are alike are told apart by their owners, or else names."""
    alike = Counter(shelf.label for shelf in shelves)
    labels = [_label(shelf) if alike[shelf.label] > 1 else shelf.label for shelf in shelves]
    still_alike = Counter(labels)
    return [
        (f"{label} ({shelf.name})" if still_alike[label] > 1 else label, shelf.name)
        for label, shelf in zip(labels, shelves, strict=True)
    ]


def _label(shelf: CollectionRights) -> str:
    return f"{shelf.label} · {shelf.owner_name}" if shelf.owner_name else shelf.label
