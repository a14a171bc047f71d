"""Rows of the store as records, and records as rows."""

from __future__ import annotations

import fnmatch
import json
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import numpy as np

from core.interfaces import Ingestible, StoredSource, source_id
from core.records import Chunk, Locator, SearchFilter, chunk_id
from indexes.database import from_sql, to_sql
from indexes.segments import ChunkRow, pack_vectors
from indexes.sparse import term_row

_SOURCE = """
SELECT s.source_id, s.path, c.name, s.location, s.sha256, s.media_type, s.size_bytes, s.modified, s.ingested, s.title,
       s.n_chunks, s.n_pages, s.language, s.recipe
FROM sources AS s JOIN collections AS c ON c.id = s.collection
"""
_CHUNK = """
SELECT k.id, k.chunk_id, k.source, k.n_tokens, k.text, k.context, k.locator, s.source_id, s.path, s.title, c.name,
       s.media_type
FROM chunks AS k JOIN sources AS s ON s.id = k.source JOIN collections AS c ON c.id = s.collection
"""
_INDEXED = """
SELECT k.id, k.source, f.n_terms, f.terms, f.counts, v.vector
FROM chunks AS k JOIN fulltext AS f ON f.chunk = k.id JOIN vectors AS v ON v.chunk = k.id
WHERE k.id > ? ORDER BY k.id
"""
_NORM_TOLERANCE = 1e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredChunk:
    """A chunk with its row id, the row id of its source, and what a hit says of the source."""

    row: int
    source_row: int
    chunk: Chunk
    source: str
    title: str
    collection: str
    media_type: str


def read_sources(
    connection: apsw.Connection, where: str = "", bindings: Sequence[Any] = (), *, order: str = "c.name, s.path"
) -> list[StoredSource]:
    """Return sources, by collection and path unless ``order`` (which may end in a LIMIT) says otherwise."""
    rows = connection.execute(f"{_SOURCE} {where} ORDER BY {order}", tuple(bindings))
    return [
        StoredSource(
            source_id=row[0],
            path=from_sql(row[1]),
            collection=from_sql(row[2]),
            location=from_sql(row[3]),
            sha256=row[4],
            media_type=row[5],
            size_bytes=row[6],
            modified=row[7],
            ingested=row[8],
            title=from_sql(row[9]),
            n_chunks=row[10],
            n_pages=row[11],
            language=row[12],
            recipe=row[13],
        )
        for row in rows
    ]


def read_chunks(
    connection: apsw.Connection, where: str, bindings: Sequence[Any], *, order: str = "k.id"
) -> list[StoredChunk]:
    """Return chunks in the order of their rows, unless ``order`` (which may end in a LIMIT) says otherwise."""
    return [
        StoredChunk(
            row=row[0],
            source_row=row[2],
            chunk=Chunk(
                id=row[1],
                source_id=row[7],
                text=from_sql(row[4]),
                locator=Locator.from_json(json.loads(from_sql(row[6]))),
                n_tokens=row[3],
                context=from_sql(row[5]),
            ),
            source=from_sql(row[8]),
            title=from_sql(row[9]),
            collection=from_sql(row[10]),
            media_type=row[11],
        )
        for row in connection.execute(f"{_CHUNK} {where} ORDER BY {order}", tuple(bindings))
    ]


def read_indexed(connection: apsw.Connection, *, after: int) -> list[ChunkRow]:
    """Return what the indexes are made of, of the chunks with ids above ``after``, by id."""
    return list(connection.execute(_INDEXED, (after,)))


def matching_sources(connection: apsw.Connection, wanted: SearchFilter) -> list[int]:
    """Return the row ids of the sources that a filter lets through."""
    conditions: list[str] = ["1"]
    bindings: list[Any] = []
    if wanted.collections:
        conditions.append(f"c.name IN ({', '.join('?' * len(wanted.collections))})")
        bindings.extend(to_sql(name) for name in wanted.collections)
    for operator, bound in ((">=", wanted.modified_after), ("<=", wanted.modified_before)):
        if bound is not None:
            conditions.append(f"s.modified {operator} ?")
            bindings.append(bound)
    rows = connection.execute(
        "SELECT s.id, s.path, s.media_type FROM sources AS s JOIN collections AS c ON c.id = s.collection "
        f"WHERE {' AND '.join(conditions)}",
        tuple(bindings),
    )
    path_fits, type_fits = _matcher(wanted.sources), _matcher(wanted.media_types)
    left_out = _matcher(wanted.without) if wanted.without else lambda path: False
    return [
        row
        for row, path, media_type in rows
        if path_fits(from_sql(path)) and type_fits(media_type) and not left_out(from_sql(path))
    ]


def _matcher(patterns: Iterable[str]) -> Any:
    exact = frozenset(patterns)
    if not exact:
        return lambda name: True
    anyone = re.compile("|".join(fnmatch.translate(pattern) for pattern in sorted(exact)))
    return lambda name: name in exact or anyone.match(name) is not None


def check(item: Ingestible, *, collection: str, dimension: int) -> None:
    """See that a document's chunks and vectors belong together.

    Raises:
        ValueError: They do not; the caller is wrong, and nothing may be stored.
    """
    source, text = item.document.source, item.document.text
    owner = source_id(collection=collection, path=source.path, sha256=source.sha256)
    if item.vectors.shape != (len(item.chunks), dimension):
        raise ValueError(f"{source.path}: vectors are {item.vectors.shape}, not ({len(item.chunks)}, {dimension})")
    norms = np.linalg.norm(item.vectors, axis=1)
    if not np.all(np.abs(norms - 1) < _NORM_TOLERANCE):  # also false for NaN
        raise ValueError(f"{source.path}: a vector has not unit norm")
    for chunk in item.chunks:
        if fault := chunk_fault(chunk, text=text, source_id=owner):
            raise ValueError(f"{source.path}: chunk {chunk.id} {fault}")


def chunk_fault(chunk: Chunk, *, text: str, source_id: str) -> str:
    """Return what is wrong with a chunk of a source with this text, or ""."""
    start, end = chunk.locator.start, chunk.locator.end
    if chunk.source_id != source_id:
        return "belongs to another source"
    if text[start:end] != chunk.text:
        return f"is not the text at [{start}, {end})"
    if chunk.id != chunk_id(source_id=source_id, start=start, end=end, text=chunk.text):
        return "has an id that is not its content's"
    return ""


def write_document(
    connection: apsw.Connection, item: Ingestible, *, collection: str, collection_row: int, now: float
) -> None:
    """Insert a document's source, text, chunks, vectors and full-text rows."""
    document, source = item.document, item.document.source
    row = connection.execute(
        "INSERT INTO sources (source_id, collection, path, location, sha256, media_type, size_bytes, modified, "
        "ingested, title, n_chunks, n_pages, language, recipe) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            source_id(collection=collection, path=source.path, sha256=source.sha256),
            collection_row,
            to_sql(source.path),
            to_sql(source.location),
            source.sha256,
            source.media_type,
            source.size_bytes,
            source.modified,
            now,
            to_sql(document.title),
            len(item.chunks),
            document.n_pages,
            document.language,
            item.recipe,
        ),
    ).get
    connection.execute("INSERT INTO texts VALUES (?, ?)", (row, pack_text(document.text)))
    first = next_chunk_row(connection)
    connection.executemany(
        "INSERT INTO chunks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                first + i,
                chunk.id,
                row,
                chunk.locator.start,
                chunk.locator.end,
                chunk.n_tokens,
                to_sql(chunk.text),
                to_sql(chunk.context),
                to_sql(json.dumps(chunk.locator.to_json(), ensure_ascii=False, separators=(",", ":"))),
            )
            for i, chunk in enumerate(item.chunks)
        ),
    )
    vectors = pack_vectors(item.vectors)
    connection.executemany("INSERT INTO vectors VALUES (?, ?)", ((first + i, v) for i, v in enumerate(vectors)))
    write_fulltext(connection, ((first + i, chunk.embedded_text) for i, chunk in enumerate(item.chunks)))


def write_fulltext(connection: apsw.Connection, texts: Iterable[tuple[int, str]]) -> None:
    """Insert or replace the full-text rows of (chunk row id, text)."""
    rows = ((row, term_row(text)) for row, text in texts)
    connection.executemany(
        "INSERT OR REPLACE INTO fulltext VALUES (?, ?, ?, ?)",
        ((row, found.n_terms, found.hashes, found.counts) for row, found in rows),
    )


def read_embedded_texts(connection: apsw.Connection) -> list[tuple[int, str]]:
    """Return the row id and the text that is searched (:attr:`Chunk.embedded_text`) of every chunk, by id."""
    found: list[Any] = connection.execute("SELECT id, context, text FROM chunks ORDER BY id").fetchall()
    pairs = ((row, from_sql(context), from_sql(text)) for row, context, text in found)
    return [(row, f"{context}\n{text}" if context else text) for row, context, text in pairs]


def next_chunk_row(connection: apsw.Connection) -> int:
    """Return the lowest id that no chunk has ever had."""
    last = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'chunks'").get
    return int(last or 0) + 1


def pack_text(text: str) -> bytes:
    """Return a document's text as it is stored."""
    return zlib.compress(text.encode("utf-8", "surrogatepass"), 6)


def unpack_text(blob: bytes) -> str:
    """Undo :func:`pack_text`."""
    return zlib.decompress(blob).decode("utf-8", "surrogatepass")
