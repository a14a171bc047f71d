"""Split records into training and validation, so that no document is on both sides."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from core.errors import EmptySplit
from llm.training.records import Record


def split(records: Sequence[Record], *, validation: float, seed: int) -> tuple[list[Record], list[Record]]:
    """Return the records for training and those for validation, each in the order given.

    Records belong together when they are of one document or folder, or share a passage; a group's side depends on the
    seed and its first document alone, so that data added later moves nothing over.

    Args:
        records: All of them.
        validation: The share of groups to validate on; 0 leaves the second side empty.
        seed: Another seed draws other groups.

    Raises:
        EmptySplit: A side that should hold records holds none.
    """
    groups = _Groups()
    for record in records:
        keys = [f"document {record.document or record.id}", *(f"passage {p.text}" for p in record.passages)]
        keys += [f"folder {record.collection}"] if record.collection else []
        for key in keys[1:]:
            groups.join(keys[0], key)
    held = [r for r in records if _draw(seed, groups.name(f"document {r.document or r.id}")) < validation]
    chosen = {id(record) for record in held}
    rest = [record for record in records if id(record) not in chosen]
    if not rest or (validation > 0 and not held):
        raise EmptySplit(
            f"{len(records)} records leave {len(rest)} to train on and {len(held)} to validate on",
            remedy="Give more documents, or another --validation or --seed",
        )
    return rest, held


def _draw(seed: int, name: str) -> float:
    digest = hashlib.sha256(f"{seed} {name}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


class _Groups:
    """Keys that belong together, by union and find; a group is named by its least key."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def name(self, key: str) -> str:
        """Return the least key of the group."""
        path = []
        while (above := self._above.get(key, key)) != key:
            path.append(key)
            key = above
        for passed in path:
            self._above[passed] = key
        return key

    def join(self, one: str, other: str) -> None:
        """Make two groups one."""
        first, second = sorted((self.name(one), self.name(other)))
        self._above[second] = first
