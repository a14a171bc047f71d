"""Write and load the index files, which are caches: checked before use, and made anew from the rows when unfit.

A generation is ``idx-<n>.faiss`` (vectors by chunk id) and ``idx-<n>.npz`` (ids, lengths and postings; arrays only, no
pickle). Each is written under another name, flushed, hashed and renamed, the folder is flushed, and last of all a row
in ``generations`` makes it count. What was stored after it is read from the rows.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import faiss
import numpy as np

from indexes.segments import Segment
from indexes.sparse import Postings

FOLDER = "index"
_NAME = re.compile(r"idx-(\d+)\.(?:faiss|npz)(?:\.tmp)?")
_ARRAYS = ("ids", "sources", "n_terms", "hashes", "starts", "slots", "counts")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A row of the manifest: what the files of generation ``n`` hold and their SHA-256."""

    n: int
    epoch: int
    change: int
    last_chunk: int
    n_chunks: int
    dimension: int
    embedder: str
    dense_sha256: str
    sparse_sha256: str

    def files(self, data_dir: Path) -> tuple[tuple[Path, str], tuple[Path, str]]:
        """Return the two files with the hashes they must have, vectors first."""
        folder = data_dir / FOLDER
        return (
            (folder / f"idx-{self.n}.faiss", self.dense_sha256),
            (folder / f"idx-{self.n}.npz", self.sparse_sha256),
        )


_COLUMNS = "n, epoch, change, last_chunk, n_chunks, dimension, embedder, dense_sha256, sparse_sha256"


def manifest(connection: apsw.Connection) -> list[Generation]:
    """Return the generations, newest first."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM generations ORDER BY n DESC")
    return [Generation(**dict(zip(_COLUMNS.split(", "), row, strict=True))) for row in rows]


def write(data_dir: Path, segment: Segment, *, n: int) -> tuple[str, str]:
    """Write the files of generation ``n`` and return their SHA-256, vectors first.

    Raises:
        OSError: The files cannot be written; nothing of them is left.
    """
    folder = data_dir / FOLDER
    folder.mkdir(exist_ok=True)
    postings = segment.postings
    arrays: dict[str, Any] = {
        "ids": segment.ids,
        "sources": segment.sources,
        "n_terms": segment.n_terms,
        "hashes": postings.hashes,
        "starts": postings.starts,
        "slots": postings.slots,
        "counts": postings.counts,
    }
    dense_sha256 = _write(folder / f"idx-{n}.faiss", lambda path: _write_faiss(segment.index, path))
    sparse_sha256 = _write(folder / f"idx-{n}.npz", lambda path: _write_arrays(arrays, path))
    _flush(folder)
    return dense_sha256, sparse_sha256


def load(data_dir: Path, generation: Generation, *, dimension: int, embedder: str) -> Segment | None:
    """Return the segment of a generation, or None, with the reason logged, when it is unfit."""
    try:
        segment = _load(data_dir, generation)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        log.warning("index generation %d is not used: %s", generation.n, error)
        return None
    found = (segment.index.d, segment.index.ntotal, len(segment.ids), generation.embedder)
    if found != (dimension, generation.n_chunks, generation.n_chunks, embedder):
        log.warning("index generation %d is not used: it does not fit its row", generation.n)
        return None
    return segment


def fault(data_dir: Path, generation: Generation) -> str:
    """Return what is wrong with a generation's files, or ""."""
    for path, sha256 in generation.files(data_dir):
        try:
            if _sha256(path) != sha256:
                return f"{path.name} is not the file that was written"
        except OSError as error:
            return f"{path.name} cannot be read ({error.strerror})"
    return ""


def prune(data_dir: Path, *, keep: set[int]) -> None:
    """Delete the files of every generation but ``keep``, half-written ones too.

    A reader that has loaded one goes on: it holds the content in memory.
    """
    folder = data_dir / FOLDER
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _NAME.fullmatch(path.name)
        if match and (path.suffix == ".tmp" or int(match.group(1)) not in keep):
            path.unlink(missing_ok=True)


def _load(data_dir: Path, generation: Generation) -> Segment:
    (dense_path, dense_sha256), (sparse_path, sparse_sha256) = generation.files(data_dir)
    for path, sha256 in ((dense_path, dense_sha256), (sparse_path, sparse_sha256)):
        if _sha256(path) != sha256:
            raise ValueError(f"{path.name} is not the file that was written")
    with np.load(sparse_path, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in _ARRAYS}
    index = faiss.read_index(os.fspath(dense_path))
    postings = Postings(
        hashes=arrays["hashes"], starts=arrays["starts"], slots=arrays["slots"], counts=arrays["counts"]
    )
    return Segment(
        ids=arrays["ids"], sources=arrays["sources"], n_terms=arrays["n_terms"], index=index, postings=postings
    )


def _write(path: Path, writer: Callable[[Path], None]) -> str:
    unfinished = path.with_name(path.name + ".tmp")
    try:
        writer(unfinished)
        with unfinished.open("rb+") as file:
            os.fsync(file.fileno())
        sha256 = _sha256(unfinished)
        unfinished.rename(path)
    except (OSError, RuntimeError) as error:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise OSError(f"{path.name} cannot be written: {error}") from error
    return sha256


def _write_faiss(index: Any, path: Path) -> None:
    faiss.write_index(index, os.fspath(path))


def _write_arrays(arrays: dict[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
