"""The tables, as an ordered list of steps: a database says how many it has taken, and takes the rest when opened.

Truth is ``sources`` with their ``texts`` and ``chunks``; ``vectors`` and ``fulltext`` belong to a chunk each and are
stored with it in one transaction. ``failures`` are files that could not be read when they were last tried. ``changes``
in ``meta`` counts the commits that a search must notice; ``removals`` says which chunks each of them took away;
``epoch`` counts rewrites after which nothing read earlier holds.
Chunk ids are AUTOINCREMENT: never reused, so that a row of an old index can never name a new chunk.
"""

from __future__ import annotations

import time
from pathlib import Path

import apsw

from core.errors import StoreDamaged, StoreLocked, StoreTooNew
from indexes.database import connect, mapped, transaction
from indexes.lock import WriterLock

DATABASE = "citadel.db"
_APPLICATION_ID = 0x43746C64  # "Ctld"

_DOCUMENTS = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('changes', 0), ('epoch', 0), ('embedder', ''), ('dimension', 0);
CREATE TABLE collections (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name ANY NOT NULL UNIQUE,
    created REAL NOT NULL
) STRICT;
CREATE TABLE sources (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id TEXT NOT NULL UNIQUE,
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    path ANY NOT NULL,
    location ANY NOT NULL,
    sha256 TEXT NOT NULL,
    media_type TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    modified REAL NOT NULL,
    ingested REAL NOT NULL,
    title ANY NOT NULL,
    n_chunks INTEGER NOT NULL,
    n_pages INTEGER,
    language TEXT NOT NULL,
    recipe TEXT NOT NULL,
    UNIQUE (collection, path)
) STRICT;
CREATE TABLE texts (
    source INTEGER PRIMARY KEY REFERENCES sources (id) ON DELETE CASCADE,
    text BLOB NOT NULL
) STRICT;
CREATE TABLE chunks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    chunk_id TEXT NOT NULL UNIQUE,
    source INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    start INTEGER NOT NULL,
    end INTEGER NOT NULL,
    n_tokens INTEGER NOT NULL,
    text ANY NOT NULL,
    context ANY NOT NULL,
    locator ANY NOT NULL
) STRICT;
CREATE INDEX chunks_of_source ON chunks (source, start);
CREATE TABLE vectors (
    chunk INTEGER PRIMARY KEY REFERENCES chunks (id) ON DELETE CASCADE,
    vector BLOB NOT NULL
) STRICT;
CREATE TABLE fulltext (
    chunk INTEGER PRIMARY KEY REFERENCES chunks (id) ON DELETE CASCADE,
    n_terms INTEGER NOT NULL,
    terms BLOB NOT NULL,
    counts BLOB NOT NULL
) STRICT;
CREATE TABLE removals (
    change INTEGER NOT NULL,
    first_chunk INTEGER NOT NULL,
    last_chunk INTEGER NOT NULL
) STRICT;
CREATE INDEX removals_by_change ON removals (change);
CREATE TABLE generations (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    epoch INTEGER NOT NULL,
    change INTEGER NOT NULL,
    last_chunk INTEGER NOT NULL,
    n_chunks INTEGER NOT NULL,
    dimension INTEGER NOT NULL,
    embedder TEXT NOT NULL,
    dense_sha256 TEXT NOT NULL,
    sparse_sha256 TEXT NOT NULL,
    created REAL NOT NULL
) STRICT;
"""

_LISTS = """
CREATE INDEX sources_by_size ON sources (collection, size_bytes, n_chunks);
CREATE INDEX sources_by_time ON sources (collection, ingested);
CREATE INDEX sources_by_chunks ON sources (collection, n_chunks);
CREATE TABLE failures (
    collection INTEGER NOT NULL REFERENCES collections (id) ON DELETE CASCADE,
    path ANY NOT NULL,
    location ANY NOT NULL,
    code TEXT NOT NULL,
    error ANY NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (collection, path)
) STRICT, WITHOUT ROWID;
"""

# Append only: a step that has been released is never edited.
MIGRATIONS: tuple[str, ...] = (_DOCUMENTS, _LISTS)

_WAIT_SECONDS = 10.0


def prepare(data_dir: Path, lock: WriterLock | None) -> None:
    """Bring the database of ``data_dir`` to this version's tables, making it when it is not there.

    Args:
        data_dir: Made when it is not there.
        lock: The writer's lock when the caller holds it; a reader takes one for as long as the change lasts.

    Raises:
        StoreTooNew: The database has taken steps that this Citadel does not know.
        StoreDamaged: The file is another program's database, or none.
        StoreLocked: The tables must change and a writer holds the lock.
    """
    path = data_dir / DATABASE
    deadline = time.monotonic() + _WAIT_SECONDS
    while not _is_current(path):
        try:
            held = lock or WriterLock.acquire(data_dir)
        except StoreLocked:
            # The other may be making the tables at this moment.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
            continue
        try:
            _migrate(path)
        finally:
            if lock is None:
                held.release()


def _is_current(path: Path) -> bool:
    if not path.exists() or path.stat().st_size == 0:
        return False
    connection = connect(path, writer=False)
    try:
        return _version(connection, path) == len(MIGRATIONS)
    finally:
        connection.close()


def _version(connection: apsw.Connection, path: Path) -> int:
    with mapped(path):
        version = int(connection.pragma("user_version"))
        owner = int(connection.pragma("application_id"))
    if version > len(MIGRATIONS) and owner == _APPLICATION_ID:
        raise StoreTooNew(
            f"the knowledge base was written by a newer Citadel (its tables are version {version}, "
            f"this one knows {len(MIGRATIONS)})",
            where=path.name,
            remedy="Use that version, or another data directory",
        )
    if owner not in (0, _APPLICATION_ID) or (owner == 0 and version):
        raise StoreDamaged("is the database of another program", where=path.name, remedy="Name another data directory")
    return version


def _migrate(path: Path) -> None:
    connection = connect(path, writer=True)
    try:
        with transaction(connection, path, write=True):
            for number, step in enumerate(MIGRATIONS[_version(connection, path) :], _version(connection, path) + 1):
                connection.execute(step)
                connection.execute(f"PRAGMA user_version = {number}")
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    finally:
        connection.close()
