"""The one truth of a knowledge base: sources, texts, chunks, vectors and full-text rows in one SQLite file.

One process writes at a time; any number of processes and threads read, each on a snapshot, and see a commit with their
next search. A process that serves opens a reader for good and a writer for as long as it writes.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import apsw

from core.errors import DiskFull, EmbedderMismatch, StoreError, StoreLocked
from core.interfaces import Ingestible, StoredFailure
from indexes import generations, rows
from indexes.checking import OnProgress, Problem, problems
from indexes.database import connect, from_sql, mapped, to_sql, transaction
from indexes.lock import WriterLock
from indexes.reading import StoreReader, embedder_mismatch, read_state
from indexes.schema import prepare
from indexes.segments import Segment

# A search replays what no index file holds yet: at most this many chunks, or this share of them.
REPLAYED_CHUNKS = 4096
REPLAYED_SHARE = 0.25
_KEPT_GENERATIONS = 2  # the one before stays for readers that are loading it
_FORGET_FAILURE = "DELETE FROM failures WHERE collection = ? AND path = ?"

log = logging.getLogger(__name__)


class Store(StoreReader):
    """An open data directory; use :meth:`open`. Every method may be called from any thread."""

    def __init__(self, data_dir: Path, lock: WriterLock | None) -> None:
        super().__init__(data_dir)
        self._lock = lock
        self._writing = threading.RLock()
        self._writer = connect(self._path, writer=True) if lock else None
        self._unindexed = 0

    @classmethod
    def open(cls, data_dir: str | Path, *, writer: bool) -> Store:
        """Open a data directory, making it when it is not there.

        Args:
            data_dir: Where the database and the index files lie.
            writer: Take the one right to write, until :meth:`close`.

        Raises:
            StoreLocked: Another writes; its process id is named.
            StoreTooNew: A newer Citadel wrote the database.
            StoreDamaged: The database cannot be read as one.
            StoreError: The directory cannot be made or used.
        """
        folder = Path(data_dir)
        lock = WriterLock.acquire(folder) if writer else None
        try:
            prepare(folder, lock)
            store = cls(folder, lock)
            if writer:
                store._unindexed = store._count_unindexed()
        except BaseException:
            if lock:
                lock.release()
            raise
        return store

    @property
    def writes(self) -> bool:
        """Whether this store may write."""
        return self._lock is not None

    def close(self) -> None:
        """Leave the data directory: index what is new, when it is much, and let the next writer in."""
        with self._writing:
            if self._writer is not None:
                if self._unindexed > REPLAYED_CHUNKS // 8:
                    self._try_to_index()
                self._writer.close()
                self._writer = None
            self._close_readers()
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Writing

    def use_embedder(self, *, fingerprint: str, dimension: int) -> None:
        """Say what makes the vectors of the chunks to come; a writer's first :meth:`put` needs it.

        Raises:
            EmbedderMismatch: The stored vectors were made by another.
        """
        state = self.state()
        if (state.embedder, state.dimension) == (fingerprint, dimension):
            return
        with self._change() as connection:
            if connection.execute("SELECT count(*) FROM chunks").get:
                raise embedder_mismatch(stored=state.embedder, wanted=fingerprint)
            connection.execute("UPDATE meta SET value = ? WHERE key = 'embedder'", (fingerprint,))
            connection.execute("UPDATE meta SET value = ? WHERE key = 'dimension'", (dimension,))
            connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'epoch'")

    def create_collection(self, name: str) -> None:
        """Make a collection; one that is there already stays as it is."""
        with self._change() as connection:
            _collection_row(connection, name)

    def put(self, items: Sequence[Ingestible], *, collection: str) -> None:
        """Store documents in one transaction, replacing those of the same path; durable when it returns.

        Raises:
            DiskFull: No room is left; nothing of ``items`` was stored.
            EmbedderMismatch: No embedder was named with :meth:`use_embedder`.
            ValueError: A document's chunks or vectors do not belong together.
        """
        state = self.state()
        if not state.embedder:
            raise EmbedderMismatch("it is not known what made the vectors", remedy="Name the embedder first")
        for item in items:
            rows.check(item, collection=collection, dimension=state.dimension)
        with self._change() as connection:
            collection_row = _collection_row(connection, collection)
            for item in items:
                _remove(connection, collection_row=collection_row, path=item.document.source.path)
                rows.write_document(
                    connection, item, collection=collection, collection_row=collection_row, now=time.time()
                )
        with self._writing:
            self._unindexed += sum(len(item.chunks) for item in items)
            if self._unindexed > REPLAYED_CHUNKS and self._unindexed > REPLAYED_SHARE * self._n_chunks():
                self._try_to_index()

    def refresh(self, path: str, *, collection: str, location: str, modified: float) -> None:
        """Note that an unchanged source was seen again, at ``location`` and with ``modified``."""
        with self._change() as connection:
            connection.execute(
                "UPDATE sources SET location = ?, modified = ? "
                "WHERE path = ? AND collection = (SELECT id FROM collections WHERE name = ?)",
                (to_sql(location), modified, to_sql(path), to_sql(collection)),
            )

    def delete(self, path: str, *, collection: str) -> bool:
        """Delete a source, at once invisible everywhere; False when there was none."""
        with self._change() as connection:
            row = connection.execute("SELECT id FROM collections WHERE name = ?", (to_sql(collection),)).get
            return row is not None and _remove(connection, collection_row=row, path=path)

    def note_failures(self, failures: Sequence[StoredFailure], *, collection: str) -> None:
        """Keep what failed, instead of what was kept of the same paths; the collection is made when it is not there."""
        if not failures:
            return
        with self._change() as connection:
            row = _collection_row(connection, collection)
            connection.executemany(
                "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?)",
                ((row, to_sql(f.path), to_sql(f.location), f.code, to_sql(f.error), f.at) for f in failures),
            )

    def forget_failures(self, paths: Sequence[str], *, collection: str) -> None:
        """Forget what failed and is mended, or gone."""
        if not paths:
            return
        with self._change() as connection:
            row = _collection_row(connection, collection)
            connection.executemany(_FORGET_FAILURE, ((row, to_sql(path)) for path in paths))

    def delete_collection(self, name: str) -> bool:
        """Delete a collection with all its sources; False when there was none."""
        with self._change() as connection:
            row = connection.execute("SELECT id FROM collections WHERE name = ?", (to_sql(name),)).get
            if row is None:
                return False
            for (path,) in connection.execute("SELECT path FROM sources WHERE collection = ?", (row,)).fetchall():
                _remove(connection, collection_row=row, path=from_sql(path))
            connection.execute("DELETE FROM collections WHERE id = ?", (row,))
            return True

    def rebuild(self) -> int:
        """Make the full-text rows and the index files anew from the stored chunks, without embedding; return how many.

        Raises:
            DiskFull: No room is left; the rows stand as they were.
        """
        with self._change() as connection:
            texts = rows.read_embedded_texts(connection)
            connection.execute("DELETE FROM fulltext")
            rows.write_fulltext(connection, texts)
            _forget_indexes(connection)
        self._index()
        return len(texts)

    def purge(self) -> None:
        """Scrub what was deleted from every file: the database is written anew, old index files go.

        Raises:
            StoreLocked: A reader is in the middle of a search, so that the log cannot be emptied.
            DiskFull: There is no room for the new copy.
        """
        with self._writing:
            with self._change() as connection:
                _forget_indexes(connection)
            generations.prune(self.data_dir, keep=set())
            with mapped(self._path):
                connection.execute("VACUUM")
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").get
            if busy:
                raise StoreLocked("a search is running", where=self._path.name, remedy="Purge again when it has ended")
            self._index()

    def verify(self, *, on_progress: OnProgress | None = None) -> list[Problem]:
        """Return what is wrong with the stored rows and index files, each with where; empty when all is well."""
        with self._reading() as connection:
            return problems(connection, data_dir=self.data_dir, on_progress=on_progress)

    # Index files

    def _index(self) -> None:
        """Write a generation of everything stored, and drop old ones."""
        with self._writing:
            with self._reading() as connection:
                state = read_state(connection)
                segment = Segment.build(rows.read_indexed(connection, after=0), dimension=state.dimension)
                n = int(connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'generations'").get or 0) + 1
            try:
                hashes = generations.write(self.data_dir, segment, n=n)
            except OSError as error:
                raise DiskFull(str(error), remedy="Free some space, then rebuild the indexes") from error
            with transaction(self._write_connection(), self._path, write=True) as connection:
                connection.execute(
                    "INSERT INTO generations VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        n,
                        state.epoch,
                        state.change,
                        segment.last_id,
                        len(segment.ids),
                        state.dimension,
                        state.embedder,
                        *hashes,
                        time.time(),
                    ),
                )
                connection.execute("DELETE FROM generations WHERE n <= ?", (n - _KEPT_GENERATIONS,))
            generations.prune(self.data_dir, keep={row.n for row in self.generations()})
            self._unindexed = 0

    def _try_to_index(self) -> None:
        try:
            self._index()
        except StoreError as error:  # the rows are safe, and a search replays them
            log.warning("the index files were not written: %s", error)

    def _count_unindexed(self) -> int:
        newest = next(iter(self.generations()), None)
        last = newest.last_chunk if newest and newest.epoch == self.state().epoch else 0
        with mapped(self._path):
            return int(self._reader().execute("SELECT count(*) FROM chunks WHERE id > ?", (last,)).get)

    def _n_chunks(self) -> int:
        with mapped(self._path):
            return int(self._reader().execute("SELECT count(*) FROM chunks").get)

    # Connections

    def _write_connection(self) -> apsw.Connection:
        if self._writer is None:
            raise StoreLocked("was opened for reading", where=self.data_dir.name, remedy="Open it as the writer")
        return self._writer

    @contextmanager
    def _change(self) -> Iterator[apsw.Connection]:
        """Run one writing transaction that searches notice."""
        with self._writing, transaction(self._write_connection(), self._path, write=True) as connection:
            connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'changes'")
            yield connection


def _collection_row(connection: apsw.Connection, name: str) -> int:
    connection.execute("INSERT OR IGNORE INTO collections (name, created) VALUES (?, ?)", (to_sql(name), time.time()))
    return int(connection.execute("SELECT id FROM collections WHERE name = ?", (to_sql(name),)).get)


def _remove(connection: apsw.Connection, *, collection_row: int, path: str) -> bool:
    connection.execute(_FORGET_FAILURE, (collection_row, to_sql(path)))
    row = connection.execute(
        "SELECT id FROM sources WHERE collection = ? AND path = ?", (collection_row, to_sql(path))
    ).get
    if row is None:
        return False
    # A source's chunks were stored together, so their ids follow one another.
    first, last = connection.execute("SELECT min(id), max(id) FROM chunks WHERE source = ?", (row,)).get
    if first is not None:
        change = connection.execute("SELECT value FROM meta WHERE key = 'changes'").get
        connection.execute("INSERT INTO removals VALUES (?, ?, ?)", (change, first, last))
    connection.execute("DELETE FROM sources WHERE id = ?", (row,))
    return True


def _forget_indexes(connection: apsw.Connection) -> None:
    connection.execute("DELETE FROM removals")
    connection.execute("DELETE FROM generations")
    connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'epoch'")
