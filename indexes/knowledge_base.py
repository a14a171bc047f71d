"""Search a knowledge base: a question in, passages out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from core.errors import EmptyQuestion, UnknownSource
from core.interfaces import PassageEmbedder
from core.records import Hit, SearchFilter
from core.settings import RetrievalSettings
from indexes import fusion, passages, sparse
from indexes.reading import StoreReader, embedder_mismatch
from indexes.rows import StoredChunk
from indexes.segments import Snapshot
from indexes.snapshots import Snapshots
from indexes.sparse import Mask, Slots

EVERYTHING = SearchFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranking:
    """Candidates best first, ties by age: slots, fused scores and each searcher's own; ``ranks`` by slot."""

    slots: list[int]
    fused: list[float]
    scores: Mapping[str, list[float]]
    ranks: Mapping[str, Mapping[int, int]]

    def hit(self, row: StoredChunk, *, place: int) -> Hit:
        """Return the candidate at ``place``, whose row this is."""
        slot = self.slots[place]
        return Hit(
            chunk=row.chunk,
            source=row.source,
            title=row.title,
            collection=row.collection,
            media_type=row.media_type,
            score=self.fused[place],
            ranks={name: places[slot] for name, places in self.ranks.items() if slot in places},
            scores={name: values[place] for name, values in self.scores.items()},
        )


class KnowledgeIndex:
    """Dense and BM25 search over a store, fused; every search sees every commit made before it. Thread-safe."""

    def __init__(self, store: StoreReader, embedder: PassageEmbedder, settings: RetrievalSettings) -> None:
        self._store = store
        self._embedder = embedder
        self._settings = settings
        self._snapshots = Snapshots(store)

    def warm(self) -> None:
        """Load the indexes and run the embedder once, so that the first question does not wait for them.

        Raises:
            EmbedderMismatch: The stored vectors were made by another embedder.
        """
        self._require_embedder()
        self._snapshots.current()
        self._embedder.encode_query("warm")

    def search(
        self, query: str, *, k: int | None = None, filter: SearchFilter = EVERYTHING, candidates: int | None = None
    ) -> list[Hit]:
        """Return the ``k`` passages that answer ``query`` best, best first; the same for the same store.

        Args:
            query: A question or words.
            k: How many; None takes ``retrieval.k``.
            filter: What may be looked at; it is applied before ranking, so that ``k`` are found if there are as many.
            candidates: Chunks taken from each searcher before fusion; None takes ``retrieval.candidates``.

        Raises:
            EmptyQuestion: The query is blank.
            UnknownCollection: The filter names a collection that is not there.
            EmbedderMismatch: The stored vectors were made by another embedder.
        """
        if not query.strip():
            raise EmptyQuestion("the question has no words", remedy="Ask something")
        k = self._settings.k if k is None else k
        self._require_embedder()
        snapshot = self._snapshots.current()
        allowed = snapshot.alive if filter == EVERYTHING else snapshot.allowed(self._store.matching_sources(filter))
        if not allowed.any():
            return []
        candidates = max(candidates or self._settings.candidates, 2 * k)
        ranking = self._ranking(query, snapshot, allowed, candidates=candidates)
        ranked = self._hits(snapshot, ranking, batch=2 * k)
        try:
            return passages.read_whole(
                ranked, k=k, join=self._settings.merge_neighbours, text_of=self._store.document_text
            )
        except UnknownSource:  # deleted while this search ran: the next one does not see it
            return self.search(query, k=k, filter=filter, candidates=candidates)

    def _ranking(self, query: str, snapshot: Snapshot, allowed: Mask, *, candidates: int) -> _Ranking:
        vector = self._embedder.encode_query(query).astype(np.float32)
        nearest = snapshot.nearest(vector, k=candidates, allowed=allowed)
        bm25, full_bm25 = snapshot.bm25(sparse.query_hashes(query))
        wordiest = sparse.top(bm25, k=candidates, allowed=allowed)
        found = np.union1d(nearest, wordiest).astype(np.int32)
        cosines = snapshot.cosines(vector, found)
        weights = self._settings.dense_weight, self._settings.sparse_weight
        if self._settings.fusion == "ranks":
            fused = fusion.by_rank(found, [(weights[0], nearest), (weights[1], wordiest)])
        else:
            fused = fusion.by_score(
                cosines,
                bm25[found],
                highest_bm25=float(bm25[wordiest[0]]) if len(wordiest) else 0.0,
                full_bm25=full_bm25,
                spread=snapshot.spread,
                dense_weight=weights[0],
                sparse_weight=weights[1],
            )
        order = np.lexsort((found, -fused))
        return _Ranking(
            slots=found[order].tolist(),
            fused=fused[order].tolist(),
            scores={"dense": cosines[order].tolist(), "sparse": bm25[found][order].tolist()},
            ranks={"dense": _places(nearest), "sparse": _places(wordiest)},
        )

    def _hits(self, snapshot: Snapshot, ranking: _Ranking, *, batch: int) -> Iterator[Hit]:
        """Yield a ranking as hits of one chunk each; rows are read ``batch`` at a time, as few are wanted."""
        for first in range(0, len(ranking.slots), batch):
            slots = ranking.slots[first : first + batch]
            stored = self._store.chunk_rows(snapshot.ids[slots].tolist())
            for place, slot in enumerate(slots, start=first):
                # A chunk that was deleted since the snapshot has no row: it is passed over.
                if (row := stored.get(int(snapshot.ids[slot]))) is not None:
                    yield ranking.hit(row, place=place)

    def _require_embedder(self) -> None:
        stored = self._store.state().embedder
        if stored not in ("", self._embedder.fingerprint):
            raise embedder_mismatch(stored=stored, wanted=self._embedder.fingerprint)


def _places(ranking: Slots) -> dict[int, int]:
    return {int(slot): place for place, slot in enumerate(ranking, start=1)}
