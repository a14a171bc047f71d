"""Open SQLite the way the store needs it, and turn its errors into ours.

apsw carries a current SQLite: Python's own may be older than 3.51.3, whose write-ahead log can lose a page when two
connections checkpoint at the same moment, and it differs from machine to machine.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from core.errors import DiskFull, StoreDamaged, StoreError, StoreLocked

BUSY_MILLISECONDS = 10_000
_OPEN = apsw.SQLITE_OPEN_READWRITE
_CREATE = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE


def connect(path: Path, *, writer: bool) -> apsw.Connection:
    """Open the database at ``path``; a reader's connection refuses to write, a writer's creates the file.

    Raises:
        StoreError: As :func:`mapped` says.
    """
    with mapped(path):
        connection = apsw.Connection(os.fspath(path), flags=_CREATE if writer else _OPEN)
        connection.set_busy_timeout(BUSY_MILLISECONDS)
        connection.execute("PRAGMA foreign_keys = ON")
        if writer:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = FAST")
        else:
            connection.execute("PRAGMA query_only = ON")
    return connection


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Raise SQLite's errors as the store's.

    Raises:
        DiskFull: No room is left.
        StoreDamaged: The file is no database or its pages are malformed.
        StoreLocked: Another process held the database for longer than the busy timeout.
        StoreError: The file cannot be opened, read or written.
    """
    name = path.name
    try:
        yield
    except apsw.FullError as error:
        raise DiskFull(
            "no room is left for the knowledge base; nothing of this change was stored",
            where=name,
            remedy="Free some space and run the command again",
        ) from error
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise StoreDamaged(
            f"the database is damaged ({error})",
            where=name,
            remedy="Restore it from a backup, or move it away and ingest again",
        ) from error
    except (apsw.BusyError, apsw.LockedError) as error:
        raise StoreLocked(
            "another process keeps the database busy", where=name, remedy="Wait for it to end, then try again"
        ) from error
    except (apsw.CantOpenError, apsw.PermissionsError, apsw.ReadOnlyError, apsw.IOError, apsw.AuthError) as error:
        raise StoreError(
            f"the database cannot be used ({error})",
            where=name,
            remedy="See that the data directory exists and may be read and written",
        ) from error


@contextmanager
def transaction(connection: apsw.Connection, path: Path, *, write: bool) -> Iterator[apsw.Connection]:
    """Run the block in one transaction: committed at its end, undone when it raises.

    A reading transaction sees one snapshot throughout, whatever others commit meanwhile.
    """
    with mapped(path):
        connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # a full disk may have undone it already
                connection.execute("ROLLBACK")
            raise


def to_sql(text: str) -> str | bytes:
    """Return ``text`` as SQLite can hold it: names of files may carry lone surrogates, which go in as bytes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
    return text


def from_sql(value: Any) -> str:
    """Undo :func:`to_sql`."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else str(value)
