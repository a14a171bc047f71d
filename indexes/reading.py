"""Read a store: every call sees the last commit of whichever process writes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from core.errors import EmbedderMismatch, UnknownCollection, UnknownSource
from core.interfaces import StoredFailure, StoredSource
from core.records import Chunk, SearchFilter
from core.tables import nearest
from indexes import generations, listing, rows
from indexes.database import connect, from_sql, mapped, to_sql, transaction
from indexes.generations import Generation
from indexes.listing import Listed
from indexes.rows import StoredChunk
from indexes.schema import DATABASE
from indexes.segments import ChunkRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """A named set of sources; ``n_failures`` files could not be read when they were last tried."""

    name: str
    n_sources: int
    n_chunks: int
    size_bytes: int
    n_failures: int
    created: float


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Where the store stands: ``change`` counts commits, ``epoch`` rewrites; ``embedder`` is a fingerprint or ""."""

    change: int
    epoch: int
    embedder: str
    dimension: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """What happened since a change: id ranges of removed chunks, and the chunks added, by id."""

    state: State
    removed: list[tuple[int, int]]
    added: list[ChunkRow]


class StoreReader:
    """The reading half of a store. Every method may be called from any thread; each has a connection of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._path = data_dir / DATABASE
        self._local = threading.local()

    def state(self) -> State:
        """Return where the store stands."""
        with mapped(self._path):
            return read_state(self._reader())

    def since(self, *, change: int, last_chunk: int) -> Delta:
        """Return what happened after ``change``, when the highest chunk id was ``last_chunk``, in one snapshot."""
        with self._reading() as connection:
            removed = connection.execute(
                "SELECT first_chunk, last_chunk FROM removals WHERE change > ? ORDER BY change", (change,)
            )
            ranges = [(int(first), int(last)) for first, last in removed]
            added = rows.read_indexed(connection, after=last_chunk)
            return Delta(state=read_state(connection), removed=ranges, added=added)

    def generations(self) -> list[Generation]:
        """Return the index files that count, newest first."""
        with mapped(self._path):
            return generations.manifest(self._reader())

    def collections(self) -> list[Collection]:
        """Return the collections by name."""
        with mapped(self._path):
            return [
                Collection(
                    name=from_sql(name),
                    n_sources=n_sources,
                    n_chunks=n_chunks,
                    size_bytes=size_bytes,
                    n_failures=n_failures,
                    created=created,
                )
                for name, n_sources, n_chunks, size_bytes, n_failures, created in self._reader().execute(listing.SUMS)
            ]

    def collection_names(self) -> list[str]:
        """Return the names of the collections, in alphabetical order; cheaper than :meth:`collections`."""
        with mapped(self._path):
            return sorted(from_sql(name) for (name,) in self._reader().execute("SELECT name FROM collections"))

    def sources(self, *, collection: str) -> dict[str, StoredSource]:
        """Return the sources of a collection by path; none for a collection that is not there."""
        with mapped(self._path):
            found = rows.read_sources(self._reader(), "WHERE c.name = ?", (to_sql(collection),))
        return {source.path: source for source in found}

    def list_sources(self, wanted: Listed, *, limit: int, offset: int = 0) -> list[StoredSource]:
        """Return a part of a collection's sources, in the order that is wanted."""
        with mapped(self._path):
            return listing.read_list(self._reader(), wanted, limit=limit, offset=offset)

    def count_sources(self, wanted: Listed) -> int:
        """Return how many sources :meth:`list_sources` has in all."""
        with mapped(self._path):
            return listing.count(self._reader(), wanted)

    def failures(self, *, collection: str, limit: int = -1, offset: int = 0) -> dict[str, StoredFailure]:
        """Return the files of a collection that failed when they were last tried, by path, or a part of them."""
        with mapped(self._path):
            return listing.read_failures(self._reader(), collection, limit=limit, offset=offset)

    def source_by_path(self, path: str, *, collection: str) -> StoredSource:
        """Return a source.

        Raises:
            UnknownCollection: There is no such collection.
            UnknownSource: It has no source of this path.
        """
        self.require_collections((collection,))
        with mapped(self._path):
            where = "WHERE c.name = ? AND s.path = ?"
            found = rows.read_sources(self._reader(), where, (to_sql(collection), to_sql(path)))
        if not found:
            raise UnknownSource("there is no such document", where=path, remedy=f"Collection {collection} lacks it")
        return found[0]

    def source(self, source_id: str) -> StoredSource:
        """Return the source of this id.

        Raises:
            UnknownSource: There is none, or it was deleted or replaced.
        """
        with mapped(self._path):
            found = rows.read_sources(self._reader(), "WHERE s.source_id = ?", (source_id,))
        if not found:
            raise _gone(source_id)
        return found[0]

    def document_text(self, source_id: str) -> str:
        """Return the whole text of a source, into which every character range points.

        Raises:
            UnknownSource: There is none, or it was deleted or replaced.
        """
        query = "SELECT t.text FROM texts AS t JOIN sources AS s ON s.id = t.source WHERE s.source_id = ?"
        with mapped(self._path):
            blob = self._reader().execute(query, (source_id,)).get
        if blob is None:
            raise _gone(source_id)
        return rows.unpack_text(blob)

    def chunks(self, source_id: str) -> list[Chunk]:
        """Return the chunks of a source in reading order; none when there is no such source."""
        with mapped(self._path):
            found = rows.read_chunks(self._reader(), "WHERE s.source_id = ?", (source_id,))
        return sorted((stored.chunk for stored in found), key=lambda chunk: chunk.locator.start)

    def list_chunks(self, source_id: str, *, limit: int, offset: int = 0) -> list[Chunk]:
        """Return a part of a source's chunks in reading order; none when there is no such source."""
        with mapped(self._path):
            return listing.read_chunk_list(self._reader(), source_id, limit=limit, offset=offset)

    def chunk_rows(self, ids: Sequence[int]) -> dict[int, StoredChunk]:
        """Return chunks by row id, without those that were deleted."""
        marks = ", ".join("?" * len(ids))
        with mapped(self._path):
            found = rows.read_chunks(self._reader(), f"WHERE k.id IN ({marks})", tuple(map(int, ids)))
        return {stored.row: stored for stored in found}

    def matching_sources(self, wanted: SearchFilter) -> list[int]:
        """Return the row ids of the sources that a filter lets through.

        Raises:
            UnknownCollection: The filter names a collection that is not there.
        """
        self.require_collections(wanted.collections)
        with mapped(self._path):
            return rows.matching_sources(self._reader(), wanted)

    def require_collections(self, names: Sequence[str]) -> None:
        """See that the collections are there.

        Raises:
            UnknownCollection: One is not; the nearest name is told.
        """
        if not names:
            return
        known = self.collection_names()
        for name in names:
            if name not in known:
                near = nearest(name, known)
                remedy = f"The nearest is {near}" if near else "Ingest something into it first"
                raise UnknownCollection("there is no such collection", where=name, remedy=remedy)

    def _reader(self) -> apsw.Connection:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self._path, writer=False)
            self._local.connection = connection
        return connection

    def _close_readers(self) -> None:
        # A search that another thread is in the middle of keeps its connection until it ends.
        self._local = threading.local()

    @contextmanager
    def _reading(self) -> Iterator[apsw.Connection]:
        with transaction(self._reader(), self._path, write=False) as connection:
            yield connection


def embedder_mismatch(*, stored: str, wanted: str) -> EmbedderMismatch:
    """Return the error that says which embedder made the stored vectors."""
    return EmbedderMismatch(
        f"the stored vectors were made by {stored}, not by {wanted}",
        where="embedder.model",
        remedy="Set embedder.model back to the one that made them, or ingest into another data directory",
    )


def _gone(source_id: str) -> UnknownSource:
    return UnknownSource("there is no such document", where=source_id, remedy="It was deleted or replaced meanwhile")


def read_state(connection: apsw.Connection) -> State:
    meta: dict[Any, Any] = dict(connection.execute("SELECT key, value FROM meta"))
    return State(
        change=int(meta["changes"]),
        epoch=int(meta["epoch"]),
        embedder=str(meta["embedder"]),
        dimension=int(meta["dimension"]),
    )
