"""Documents on their way from parsed to stored: cut, embedded across documents, committed together."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from core.interfaces import DocumentStore, Ingestible, Pace, PassageEmbedder, Vectors, source_id
from core.records import Chunk, Document
from core.settings import IngestSettings
from ingest.chunking import split
from ingest.reports import FileReport, Status
from ingest.storable import storable_name

# Chunks of many files are embedded in order of length, so that little of a batch is padding. A wider window pads a few
# hundredths less, but a killed ingest loses the window's work.
_WINDOW_CHUNKS = 96
_BATCH_TOKENS = 3072  # about half a second on two cores, which is how soon an ingest can be stopped
_BATCH_CHUNKS, _BATCH_STEP = 64, 8  # embedders work in eights: no batch leaves a part of one over


@dataclass(slots=True)
class _Waiting:
    document: Document
    chunks: list[Chunk]
    vectors: Vectors
    status: Status
    seconds: float

    @property
    def n_tokens(self) -> int:
        return sum(chunk.n_tokens for chunk in self.chunks)

    def report(self) -> FileReport:
        source = self.document.source
        return FileReport(
            path=source.path,
            status=self.status,
            n_chunks=len(self.chunks),
            n_tokens=self.n_tokens,
            seconds=self.seconds,
            size_bytes=source.size_bytes,
            media_type=source.media_type,
            notes=self.document.notes,
        )


class Batches:
    """Cuts documents as they come, and embeds and stores what has gathered.

    Args:
        store: Where to.
        embedder: Counts tokens and makes the vectors.
        settings: How to cut.
        collection: Where to in the store.
        recipe: What to remember with each source.
        pace: Says whether batches are to be small.
    """

    def __init__(
        self,
        store: DocumentStore,
        embedder: PassageEmbedder,
        *,
        settings: IngestSettings,
        collection: str,
        recipe: str,
        pace: Pace,
    ) -> None:
        self._pace = pace
        self._store, self._embedder, self._settings = store, embedder, settings
        self._collection, self._recipe = collection, recipe
        self._waiting: list[_Waiting] = []
        self._n_chunks = 0

    @property
    def waits(self) -> bool:
        """Whether a document waits to be stored."""
        return bool(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether enough has gathered to be worth a flush."""
        return self._n_chunks >= _WINDOW_CHUNKS

    def add(self, document: Document, *, status: Status, seconds: float = 0.0, label: str | None = None) -> int:
        """Cut a document and let it wait; return its number of chunks. ``seconds`` is what it took so far."""
        started = time.monotonic()
        source = replace(document.source, location=storable_name(document.source.location))
        document = replace(document, source=source)
        chunks = split(
            document,
            token_spans=self._embedder.token_spans,
            chunk_tokens=self._settings.chunk_tokens,
            overlap_tokens=self._settings.chunk_overlap_tokens,
            source_id=source_id(collection=self._collection, path=source.path, sha256=source.sha256),
            label=label,
        )
        vectors = np.empty((len(chunks), self._embedder.dimension), np.float32)
        seconds += time.monotonic() - started
        self._waiting.append(_Waiting(document, chunks, vectors, status, seconds))
        self._n_chunks += len(chunks)
        return len(chunks)

    def flush(self, *, embedded: Callable[[int], bool]) -> list[FileReport]:
        """Embed and store all that waits in one transaction, and return the reports, which are true from then on.

        Args:
            embedded: Called with the number of chunks after each batch; False stops, and nothing is stored.

        Raises:
            StoreError: Nothing was stored, and the documents still wait.
        """
        for batch in self._embedding_batches():
            started = time.monotonic()
            vectors = self._embedder.encode_passages([document.chunks[i].embedded_text for document, i in batch])
            each = (time.monotonic() - started) / len(batch)
            for (document, i), vector in zip(batch, vectors, strict=True):
                document.vectors[i] = vector
                document.seconds += each
            if not embedded(len(batch)):
                return []
        self._store.put([self._ingestible(document) for document in self._waiting], collection=self._collection)
        reports = [document.report() for document in self._waiting]
        self._waiting, self._n_chunks = [], 0
        return reports

    def give_up(self) -> list[str]:
        """Drop all that waits and return the paths."""
        paths = [document.document.source.path for document in self._waiting]
        self._waiting, self._n_chunks = [], 0
        return paths

    def _ingestible(self, waiting: _Waiting) -> Ingestible:
        return Ingestible(
            document=waiting.document, chunks=tuple(waiting.chunks), vectors=waiting.vectors, recipe=self._recipe
        )

    def _embedding_batches(self) -> Iterator[Sequence[tuple[_Waiting, int]]]:
        """Yield (document, index of chunk), the longest chunks first."""
        places = [(document, i) for document in self._waiting for i in range(len(document.chunks))]
        places.sort(key=lambda place: -place[0].chunks[place[1]].n_tokens)
        start = 0
        while start < len(places):
            document, i = places[start]
            n_fitting = _BATCH_TOKENS // max(1, document.chunks[i].n_tokens)
            n_rows = max(_BATCH_STEP, min(_BATCH_CHUNKS, n_fitting // _BATCH_STEP * _BATCH_STEP))
            n_rows = _BATCH_STEP if self._pace.hurried else n_rows
            yield places[start : start + n_rows]
            start += n_rows
