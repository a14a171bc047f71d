"""Search a knowledge base: a question in, passages out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

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
        ranked = self._ranked(query, snapshot, allowed, candidates=candidates, batch=2 * k)
        try:
            return passages.read_whole(
                ranked, k=k, join=self._settings.merge_neighbours, text_of=self._store.document_text
            )
        except UnknownSource:  # deleted while this search ran: the next one does not see it
            return self.search(query, k=k, filter=filter, candidates=candidates)

    def _ranked(self, query: str, snapshot: Snapshot, allowed: Mask, *, candidates: int, batch: int) -> Iterator[Hit]:
        """Yield the candidates of both searchers as hits of one chunk each, best first, ties by age.

        Rows are read ``batch`` at a time, as few are wanted.
        """
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
        order = found[np.lexsort((found, -fused))]
        scored = {int(slot): float(score) for slot, score in zip(found, fused, strict=True)}
        own = {"dense": dict(zip(found.tolist(), cosines.tolist(), strict=True)), "sparse": bm25}
        places = {"dense": _places(nearest), "sparse": _places(wordiest)}
        for first in range(0, len(order), batch):
            slots = order[first : first + batch].tolist()
            stored = self._store.chunk_rows(snapshot.ids[slots].tolist())
            for slot in slots:
                # A chunk that was deleted since the snapshot has no row: it is passed over.
                if (row := stored.get(int(snapshot.ids[slot]))) is None:
                    continue
                ranks = {name: place[slot] for name, place in places.items() if slot in place}
                scores = {name: float(values[slot]) for name, values in own.items()}
                yield _hit(row, score=scored[slot], ranks=ranks, scores=scores)

    def _require_embedder(self) -> None:
        stored = self._store.state().embedder
        if stored not in ("", self._embedder.fingerprint):
            raise embedder_mismatch(stored=stored, wanted=self._embedder.fingerprint)


def _places(ranking: Slots) -> dict[int, int]:
    return {int(slot): place for place, slot in enumerate(ranking, start=1)}


def _hit(row: StoredChunk, *, score: float, ranks: Mapping[str, int], scores: Mapping[str, float]) -> Hit:
    return Hit(
        chunk=row.chunk,
        source=row.source,
        title=row.title,
        collection=row.collection,
        media_type=row.media_type,
        score=score,
        ranks=ranks,
        scores=scores,
    )
