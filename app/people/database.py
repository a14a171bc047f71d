"""The file of people: a SQLite database of its own beside that of the knowledge base.

The knowledge base has one writer for the time of an ingest; a chat must never wait for it, and a knowledge base can be
handed on without the persons who asked it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from app.people.schema import MIGRATIONS
from core.errors import StoreDamaged, StoreError, StoreTooNew
from indexes.database import BUSY_MILLISECONDS, connect, mapped, transaction

DATABASE = "people.db"
_APPLICATION_ID = 0x43746C70  # "Ctlp"
_SCRUB_MILLISECONDS = 1_000  # readers are done in less, and others wait to write meanwhile

log = logging.getLogger(__name__)

Bindings = Sequence[Any] | Mapping[str, Any]


class People:
    """The open file of people; use :meth:`open`. Every method may be called from any thread.

    Each thread has a connection of its own, so that readers never wait; writers take turns. ``clock`` returns seconds
    since the epoch; ``runner`` names this opening, so that what an earlier one left running is told from what runs.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.path = path
        self.clock = clock
        self.runner = new_id()
        self._writing = threading.RLock()
        self._listing = threading.Lock()
        self._local = threading.local()
        self._opened: weakref.WeakSet[apsw.Connection] = weakref.WeakSet()

    @classmethod
    def open(cls, data_dir: str | Path, *, clock: Callable[[], float] = time.time) -> People:
        """Open the people of a data directory, making folder and file when they are not there.

        Raises:
            StoreTooNew: A newer Citadel wrote the file.
            StoreDamaged: The file is another program's, or no database.
            StoreError: The directory cannot be made or used.
        """
        path = Path(data_dir) / DATABASE
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Made by us, so that nobody else on this machine may read it; SQLite gives its log the same rights.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise StoreError(
                f"the data directory cannot be used ({error.strerror})", where=path.parent.name, remedy="See its rights"
            ) from error
        people = cls(path, clock=clock)
        try:
            people._migrate()
        except BaseException:
            people.close()
            raise
        return people

    def __enter__(self) -> People:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every thread's connection."""
        with self._listing:
            opened = list(self._opened)
        for connection in opened:
            connection.close()
        self._local = threading.local()

    @contextmanager
    def reading(self) -> Iterator[apsw.Connection]:
        """Run the block on one snapshot; inside a block of :meth:`writing` it is part of that."""
        connection = self._connection()
        if connection.in_transaction:
            yield connection
            return
        with self._mapped(), transaction(connection, self.path, write=False):
            yield connection

    @contextmanager
    def writing(self) -> Iterator[apsw.Connection]:
        """Run the block in one transaction: on the disk at its end, undone when it raises; may be nested."""
        connection = self._connection()
        if connection.in_transaction:
            yield connection
            return
        with self._writing, self._mapped(), transaction(connection, self.path, write=True):
            yield connection

    def scrub(self, *, whole: bool = False) -> bool:
        """Take what was deleted out of the log and, with ``whole``, out of the slack of pages that are still used.

        Deleted rows are overwritten as they go, but where pages are split or joined a copy can stay behind; only
        writing the file anew is sure to leave none. Returns False where somebody was reading for long, or the disk has
        no room for the copy: the next call tries again.
        """
        connection = self._connection()
        with self._writing, self._mapped(), mapped(self.path):
            connection.set_busy_timeout(_SCRUB_MILLISECONDS)
            try:
                if whole:
                    connection.execute("VACUUM")
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").get
            except (apsw.FullError, apsw.BusyError) as error:
                log.warning("what was deleted could not be scrubbed yet: %s", error)
                return False
            finally:
                connection.set_busy_timeout(BUSY_MILLISECONDS)
        return not busy

    def _connection(self) -> apsw.Connection:
        connection: apsw.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            with self._mapped():
                connection = connect(self.path, writer=True)
                # FAST, as for documents, may leave words on pages that are no longer used.
                connection.execute("PRAGMA secure_delete = ON")
            self._local.connection = connection
            with self._listing:
                self._opened.add(connection)
        return connection

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except StoreDamaged as error:
            raise StoreDamaged(error.what, where=DATABASE, remedy="Restore it from a backup") from error

    def _migrate(self) -> None:
        with self.writing() as connection:
            version = int(connection.pragma("user_version"))
            owner = int(connection.pragma("application_id"))
            if owner not in (0, _APPLICATION_ID) or (owner == 0 and version):
                raise StoreDamaged("is the database of another program", where=DATABASE)
            if version > len(MIGRATIONS):
                raise StoreTooNew(
                    f"the file of people was written by a newer Citadel (its tables are version {version}, this one "
                    f"knows {len(MIGRATIONS)})",
                    where=DATABASE,
                    remedy="Use that version, or another data directory",
                )
            for number, step in enumerate(MIGRATIONS[version:], version + 1):
                connection.execute(step)
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")


def all_rows(connection: apsw.Connection, query: str, bindings: Bindings = ()) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    return connection.execute(query, bindings).fetchall()


def one_row(connection: apsw.Connection, query: str, bindings: Bindings = ()) -> tuple[Any, ...] | None:
    """Return the first row of a query, None where there is none."""
    return connection.execute(query, bindings).fetchone()


def new_id() -> str:
    """Return a random id that tells nothing, 72 bits."""
    return secrets.token_urlsafe(9)


def new_token() -> str:
    """Return a token that nobody can guess, 256 bits, safe in an address and a cookie."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """Return what is kept of a token: it is random, so that a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
