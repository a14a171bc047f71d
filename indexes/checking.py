"""Compare what is stored with what it must be."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import numpy as np

from indexes import generations, rows
from indexes.database import from_sql
from indexes.rows import StoredChunk, chunk_fault
from indexes.sparse import term_row

_NORM_TOLERANCE = 1e-2
OnProgress = Callable[[int, int], None]
"""Called with the number of sources that were looked at, and of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that is not as it must be: ``where`` a source's path, a file or a table; ``what`` one sentence."""

    where: str
    what: str


def problems(connection: apsw.Connection, *, data_dir: Path, on_progress: OnProgress | None = None) -> list[Problem]:
    """Return every problem of the database and its index files; run it in a reading transaction."""
    return [
        *_database_problems(connection),
        *_source_problems(connection, on_progress=on_progress),
        *_index_problems(connection, data_dir=data_dir),
    ]


def _database_problems(connection: apsw.Connection) -> Iterator[Problem]:
    for (said,) in connection.execute("PRAGMA integrity_check"):
        if said != "ok":
            yield Problem(where="database", what=str(said))
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield Problem(where=str(table), what=f"row {row} belongs to a row of {parent} that is not there")
    for table in ("vectors", "fulltext"):
        lacking = connection.execute(f"SELECT count(*) FROM chunks WHERE id NOT IN (SELECT chunk FROM {table})").get
        if lacking:
            yield Problem(where=table, what=f"{lacking} chunks have no row")
    textless = connection.execute("SELECT count(*) FROM sources WHERE id NOT IN (SELECT source FROM texts)").get
    if textless:
        yield Problem(where="texts", what=f"{textless} sources have no text")


def _source_problems(connection: apsw.Connection, *, on_progress: OnProgress | None) -> Iterator[Problem]:
    dimension = int(connection.execute("SELECT value FROM meta WHERE key = 'dimension'").get)
    query = (
        "SELECT s.id, s.source_id, s.path, s.n_chunks, t.text FROM sources AS s JOIN texts AS t ON t.source = s.id "
        "ORDER BY s.id"
    )
    sources: list[Any] = connection.execute(query).fetchall()
    for done, (row, source_id, raw_path, n_chunks, blob) in enumerate(sources):
        if on_progress:
            on_progress(done, len(sources))
        path = from_sql(raw_path)
        try:
            text = rows.unpack_text(blob)
        except (zlib.error, UnicodeDecodeError) as error:
            yield Problem(where=path, what=f"its text cannot be read ({error})")
            continue
        chunks = rows.read_chunks(connection, "WHERE k.source = ?", (row,))
        if len(chunks) != n_chunks:
            yield Problem(where=path, what=f"has {len(chunks)} chunks, not {n_chunks}")
        for stored in chunks:
            if fault := chunk_fault(stored.chunk, text=text, source_id=source_id):
                yield Problem(where=path, what=f"chunk {stored.chunk.id} {fault}")
            yield from _row_problems(connection, stored, dimension=dimension)


def _row_problems(connection: apsw.Connection, stored: StoredChunk, *, dimension: int) -> Iterator[Problem]:
    blob = connection.execute("SELECT vector FROM vectors WHERE chunk = ?", (stored.row,)).get
    if blob is not None and (fault := _vector_fault(blob, dimension=dimension)):
        yield Problem(where=stored.source, what=f"the vector of chunk {stored.chunk.id} {fault}")
    found = connection.execute("SELECT n_terms, terms, counts FROM fulltext WHERE chunk = ?", (stored.row,)).get
    wanted = term_row(stored.chunk.embedded_text)
    if found is not None and found != (wanted.n_terms, wanted.hashes, wanted.counts):
        yield Problem(where=stored.source, what=f"the full-text row of chunk {stored.chunk.id} is not its text's")


def _vector_fault(blob: bytes, *, dimension: int) -> str:
    if len(blob) != 2 * dimension:
        return f"has {len(blob) // 2} dimensions, not {dimension}"
    norm = float(np.linalg.norm(np.frombuffer(blob, "<f2").astype(np.float32)))
    return "" if abs(norm - 1) < _NORM_TOLERANCE else f"has norm {norm:.3f}"


def _index_problems(connection: apsw.Connection, *, data_dir: Path) -> Iterator[Problem]:
    for generation in generations.manifest(connection):
        if fault := generations.fault(data_dir, generation):
            yield Problem(where=f"index generation {generation.n}", what=fault)
