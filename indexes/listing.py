"""Long lists in parts, each read through an index: what is shown of a collection costs the same whatever it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import apsw

from core.interfaces import StoredFailure, StoredSource
from core.records import Chunk
from indexes import rows
from indexes.database import from_sql, to_sql

Order = Literal["path", "newest", "largest", "most_chunks"]

SUMS = """
SELECT c.name, count(s.id), coalesce(sum(s.n_chunks), 0), coalesce(sum(s.size_bytes), 0),
       (SELECT count(*) FROM failures AS f WHERE f.collection = c.id), c.created
FROM collections AS c LEFT JOIN sources AS s INDEXED BY sources_by_size ON s.collection = c.id
GROUP BY c.id ORDER BY c.name
"""
# Each is the order of an index, ties and all, so that a part is read without sorting the whole.
_ORDERS: dict[Order, str] = {
    "path": "s.path",
    "newest": "s.ingested DESC, s.id DESC",
    "largest": "s.size_bytes DESC, s.n_chunks DESC, s.id DESC",
    "most_chunks": "s.n_chunks DESC, s.id DESC",
}
ORDERS = tuple(_ORDERS)
_HOLDS = "s.path LIKE ? ESCAPE '\\' OR s.title LIKE ? ESCAPE '\\'"
_OF_COLLECTION = "s.collection = (SELECT id FROM collections WHERE name = ?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """Which sources of a collection are wanted: those whose path or title holds every one of ``words``."""

    collection: str
    words: tuple[str, ...] = ()
    order: Order = "path"


def read_list(connection: apsw.Connection, wanted: Listed, *, limit: int, offset: int) -> list[StoredSource]:
    """Return a part of the sources that are wanted."""
    where, bindings = _condition(wanted)
    order = f"{_ORDERS[wanted.order]} LIMIT ? OFFSET ?"
    return rows.read_sources(connection, where, (*bindings, limit, offset), order=order)


def count(connection: apsw.Connection, wanted: Listed) -> int:
    """Return how many sources are wanted."""
    where, bindings = _condition(wanted)
    return int(connection.execute(f"SELECT count(*) FROM sources AS s {where}", tuple(bindings)).get)


def read_failures(connection: apsw.Connection, collection: str, *, limit: int, offset: int) -> dict[str, StoredFailure]:
    """Return a part of a collection's failures by path, in the order of the paths; -1 as ``limit`` is all of them."""
    found = connection.execute(
        "SELECT path, location, code, error, at FROM failures "
        "WHERE collection = (SELECT id FROM collections WHERE name = ?) ORDER BY path LIMIT ? OFFSET ?",
        (to_sql(collection), limit, offset),
    )
    failures = (
        StoredFailure(path=from_sql(path), location=from_sql(location), code=code, error=from_sql(error), at=at)
        for path, location, code, error, at in found
    )
    return {failure.path: failure for failure in failures}


def read_chunk_list(connection: apsw.Connection, source_id: str, *, limit: int, offset: int) -> list[Chunk]:
    """Return a part of a source's chunks, in reading order."""
    where, order = "WHERE k.source = (SELECT id FROM sources WHERE source_id = ?)", "k.start LIMIT ? OFFSET ?"
    found = rows.read_chunks(connection, where, (source_id, limit, offset), order=order)
    return [stored.chunk for stored in found]


def _condition(wanted: Listed) -> tuple[str, Sequence[Any]]:
    conditions, bindings = [_OF_COLLECTION], [to_sql(wanted.collection)]
    for word in wanted.words:
        written = _cases(word)
        conditions.append(f"({' OR '.join([_HOLDS] * len(written))})")
        bindings += [to_sql(f"%{_literal(each)}%") for each in written for _ in range(2)]
    return f"WHERE {' AND '.join(conditions)}", bindings


def _cases(word: str) -> list[str]:
    """Return a word as it may be written: LIKE knows small and capital letters of ASCII alone."""
    return [word] if word.isascii() else list(dict.fromkeys((word, word.lower(), word.upper(), word.capitalize())))


def _literal(word: str) -> str:
    """Return a word as LIKE finds it, its wild cards plain characters."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
