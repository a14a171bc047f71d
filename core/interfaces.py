"""The narrow waists between rooms that never import one another.

``ingest`` is given a :class:`DocumentStore` and a :class:`PassageEmbedder`; ``indexes`` is given a
:class:`PassageEmbedder`. Chat models, retrievers and tools use LangChain's own interfaces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from typing import Protocol

import numpy as np
import numpy.typing as npt

from core.records import Chunk, Document

Vectors = npt.NDArray[np.float32]


class PassageEmbedder(Protocol):
    """Turns text into unit vectors; a LangChain ``Embeddings`` with arrays and token offsets."""

    @property
    def fingerprint(self) -> str:
        """Name what made the vectors: model, its sha256 and pooling; equal only where vectors may be compared."""

    @property
    def dimension(self) -> int:
        """Length of a vector."""

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Return float32 (n, dimension), unit norm, in the order of ``texts``."""

    def encode_query(self, text: str) -> Vectors:
        """Return float32 (dimension,), unit norm."""

    def token_spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Return the ``[start, end)`` characters of each of the embedder's tokens in ``text``, of any length."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSource:
    """A source as the store knows it."""

    source_id: str
    path: str
    collection: str
    location: str
    sha256: str
    media_type: str
    size_bytes: int
    modified: float
    ingested: float
    title: str
    n_chunks: int
    n_pages: int | None
    language: str
    recipe: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFailure:
    """A file that could not be ingested when it was last tried, at ``at`` seconds since the epoch.

    ``code`` and ``error`` are those of its report; ``location`` is its absolute path, "" where it has none.
    """

    path: str
    location: str
    code: str
    error: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingestible:
    """A document ready to be stored: its chunks and their vectors, float32 (len(chunks), dimension).

    ``recipe`` names how it was parsed, cut and embedded; a stored source whose hash and recipe are unchanged costs
    nothing to ingest again.
    """

    document: Document
    chunks: tuple[Chunk, ...]
    vectors: Vectors
    recipe: str


class DocumentStore(Protocol):
    """What ingestion needs of the store."""

    def use_embedder(self, *, fingerprint: str, dimension: int) -> None:
        """Say what makes the vectors of the chunks to come; raises EmbedderMismatch when the stored ones differ."""

    def sources(self, *, collection: str) -> Mapping[str, StoredSource]:
        """Return the sources of a collection by path."""

    def put(self, items: Sequence[Ingestible], *, collection: str) -> None:
        """Store documents in one transaction, replacing those of the same path; durable when it returns."""

    def refresh(self, path: str, *, collection: str, location: str, modified: float) -> None:
        """Note that an unchanged source was seen again, at ``location`` and with ``modified``."""

    def delete(self, path: str, *, collection: str) -> bool:
        """Delete a source, at once invisible everywhere; False when there was none."""

    def failures(self, *, collection: str) -> Mapping[str, StoredFailure]:
        """Return the files of a collection that failed when they were last tried, by path."""

    def note_failures(self, failures: Sequence[StoredFailure], *, collection: str) -> None:
        """Keep what failed until :meth:`put` stores the path, or :meth:`delete` or this collection's end takes it."""

    def forget_failures(self, paths: Sequence[str], *, collection: str) -> None:
        """Forget what failed and is mended, or gone."""


class Pace(Protocol):
    """What long work asks before each of its steps, so that short work is not kept waiting."""

    @property
    def hurried(self) -> bool:
        """Whether work is to be done in small steps."""

    def pause(self, stop: Event) -> None:
        """Return when the next step may be done, or when ``stop`` is set."""


class FullSpeed:
    """A :class:`Pace` that never waits."""

    hurried = False

    def pause(self, stop: Event) -> None:
        """Return at once."""


def source_id(*, collection: str, path: str, sha256: str) -> str:
    """Return the name of a source's content at its place: 32 hexadecimal digits."""
    return hashlib.sha256(f"{collection}\n{path}\n{sha256}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
