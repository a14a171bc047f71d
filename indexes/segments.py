"""An immutable run of chunks with its vectors and postings; a snapshot is a few of them and says which still live."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from core.interfaces import Vectors
from indexes import dense
from indexes.fusion import spread
from indexes.sparse import Mask, Postings, Scores, Slots, bm25

Ids = npt.NDArray[np.int64]
_SAMPLED = 256

ChunkRow = tuple[int, int, int, bytes, bytes, bytes]  # id, source, n_terms, hashes, counts, vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Chunks by ascending id: ``ids`` and ``sources`` int64 (n,), ``n_terms`` float32 (n,), a FAISS index by id."""

    ids: Ids
    sources: Ids
    n_terms: npt.NDArray[np.float32]
    index: Any
    postings: Postings

    @classmethod
    def build(cls, rows: Sequence[ChunkRow], *, dimension: int) -> Segment:
        """Make a segment of stored rows, which must be ordered by id."""
        ids = np.array([row[0] for row in rows], np.int64)
        vectors = unpack_vectors(b"".join(row[5] for row in rows), dimension=dimension)
        return cls(
            ids=ids,
            sources=np.array([row[1] for row in rows], np.int64),
            n_terms=np.array([row[2] for row in rows], np.float32),
            index=dense.build(ids, vectors),
            postings=Postings.build([(row[3], row[4]) for row in rows]),
        )

    @property
    def last_id(self) -> int:
        """The highest id, or 0."""
        return int(self.ids[-1]) if len(self.ids) else 0


def pack_vectors(vectors: Vectors) -> list[bytes]:
    """Return each row of float32 (n, dimension) as it is stored: little-endian float16, which costs no recall."""
    return [row.tobytes() for row in vectors.astype("<f2")]


def unpack_vectors(blob: bytes, *, dimension: int) -> Vectors:
    """Return stored vectors as float32 (n, dimension), scaled back to unit norm."""
    if not blob:
        return np.empty((0, dimension), np.float32)
    vectors = np.frombuffer(blob, "<f2").astype(np.float32).reshape(-1, dimension)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norms > 0, norms, 1), np.float32)


@dataclass(frozen=True)
class Snapshot:
    """What one search sees, however the store moves on.

    A chunk's slot is its place in the segments put end to end; ids ascend over all of them. ``alive`` bool (n,).
    ``change`` and ``epoch`` are the store's at the time.
    """

    change: int
    epoch: int
    segments: tuple[Segment, ...]
    alive: Mask

    @cached_property
    def ids(self) -> Ids:
        """The chunk id of every slot, int64 (n,), ascending."""
        return np.concatenate([np.empty(0, np.int64), *(s.ids for s in self.segments)])

    @cached_property
    def sources(self) -> Ids:
        """The source's row id of every slot, int64 (n,)."""
        return np.concatenate([np.empty(0, np.int64), *(s.sources for s in self.segments)])

    @cached_property
    def n_terms(self) -> npt.NDArray[np.float32]:
        """The length in terms of every slot's chunk, float32 (n,)."""
        return np.concatenate([np.empty(0, np.float32), *(s.n_terms for s in self.segments)])

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """The first slot of each segment."""
        return tuple(int(n) for n in np.cumsum([0, *(len(s.ids) for s in self.segments)])[:-1])

    @cached_property
    def last_id(self) -> int:
        """The highest chunk id seen, or 0."""
        return max((s.last_id for s in self.segments), default=0)

    def without(self, removed: Iterable[tuple[int, int]]) -> Mask:
        """Return ``alive`` with the chunks of the id ranges, both ends included, taken out."""
        alive = self.alive.copy()
        for first, last in removed:
            alive[np.searchsorted(self.ids, first) : np.searchsorted(self.ids, last, side="right")] = False
        return alive

    def allowed(self, sources: Iterable[int]) -> Mask:
        """Return which slots live and belong to one of the sources' row ids."""
        return np.asarray(self.alive & np.isin(self.sources, np.fromiter(sources, np.int64)), bool)

    def nearest(self, query: Vectors, *, k: int, allowed: Mask) -> Slots:
        """Return the ``k`` nearest allowed slots, best first, ties by slot."""
        slots, scores = [np.empty(0, np.int32)], [np.empty(0, np.float32)]
        for offset, segment in zip(self.offsets, self.segments, strict=True):
            own = allowed[offset : offset + len(segment.ids)]
            if not own.any():
                continue
            found, cosines = dense.search(segment.index, query, k=k, only=dense.selector(segment.ids[own]))
            slots.append((np.searchsorted(segment.ids, found) + offset).astype(np.int32))
            scores.append(cosines)
        every, cosine = np.concatenate(slots), np.concatenate(scores)
        return every[np.lexsort((every, -cosine))[:k]]

    def cosines(self, query: Vectors, slots: Slots) -> Scores:
        """Return the cosine of each slot's vector with ``query``, float32 (len(slots),)."""
        return self._vectors(slots) @ query

    def _vectors(self, slots: Slots) -> Vectors:
        dimension = self.segments[0].index.d if self.segments else 0
        vectors = np.zeros((len(slots), dimension), np.float32)
        for offset, segment in zip(self.offsets, self.segments, strict=True):
            own = (slots >= offset) & (slots < offset + len(segment.ids))
            if own.any():
                vectors[own] = dense.vectors_of(segment.index, segment.ids[slots[own] - offset])
        return vectors

    @cached_property
    def spread(self) -> float:
        """The spread of the cosines between the stored vectors, by a sample spaced evenly over the living."""
        living = np.flatnonzero(self.alive).astype(np.int32)
        sampled = living[np.unique(np.linspace(0, len(living) - 1, min(len(living), _SAMPLED)).astype(int))]
        return spread(self._vectors(sampled))

    def bm25(self, query: Mapping[int, int]) -> tuple[Scores, float]:
        """Return the BM25 score of every slot for the hashes of a question's terms, float32 (n,), and the full score.

        See :func:`indexes.sparse.bm25`.
        """
        parts = [(offset, s.postings) for offset, s in zip(self.offsets, self.segments, strict=True)]
        return bm25(query, parts, n_terms=self.n_terms, alive=self.alive)
