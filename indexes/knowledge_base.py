"""Search a knowledge base: a question in, passages out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from core.errors import EmptyQuestion, UnknownSource
from core.interfaces import PassageEmbedder, Vectors
from core.records import Hit, SearchFilter
from core.settings import RetrievalSettings
from indexes import fusion, passages, sparse
from indexes.reading import StoreReader, embedder_mismatch
from indexes.rows import StoredChunk
from indexes.segments import Snapshot
from indexes.snapshots import Snapshots
from indexes.sparse import Mask, Slots

EVERYTHING = SearchFilter()
_SAMPLED = 256


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
        ranked = self._ranked(query, snapshot, allowed, candidates=max(candidates or self._settings.candidates, 2 * k))
        return passages.read_whole(ranked, k=k, join=self._settings.merge_neighbours, text_of=self._text_of())

    def _ranked(self, query: str, snapshot: Snapshot, allowed: Mask, *, candidates: int) -> list[Hit]:
        vector = self._embedder.encode_query(query).astype(np.float32)
        nearest, _ = snapshot.nearest(vector, k=candidates, allowed=allowed)
        hashes = sparse.query_hashes(query)
        bm25 = snapshot.bm25(hashes)
        wordiest = sparse.top(bm25, k=candidates, allowed=allowed)
        found = np.union1d(nearest, wordiest)
        cosines = snapshot.cosines(vector, found)
        fused = self._fused(snapshot, found, nearest=nearest, wordiest=wordiest, cosines=cosines, bm25=bm25, asked=hashes)
        ranks = {"dense": _places(nearest), "sparse": _places(wordiest)}
        stored = self._store.chunk_rows(snapshot.ids[found].tolist())
        hits = []
        for i in np.lexsort((found, -fused)):
            # A chunk that was deleted since the snapshot has no row: it is passed over.
            if (row := stored.get(int(snapshot.ids[found[i]]))) is None:
                continue
            slot = int(found[i])
            scores = {"dense": float(cosines[i]), "sparse": float(bm25[slot])}
            own_ranks = {name: places[slot] for name, places in ranks.items() if slot in places}
            hits.append(_hit(row, score=float(fused[i]), ranks=own_ranks, scores=scores))
        return hits

    def _fused(
        self,
        snapshot: Snapshot,
        found: Slots,
        *,
        nearest: Slots,
        wordiest: Slots,
        cosines: sparse.Scores,
        bm25: sparse.Scores,
        asked: Mapping[int, int],
    ) -> npt.NDArray[np.float64]:
        weights = self._settings.dense_weight, self._settings.sparse_weight
        if self._settings.fusion == "ranks":
            return fusion.by_rank(found, [(weights[0], nearest), (weights[1], wordiest)])
        return fusion.by_score(
            cosines,
            bm25[found],
            highest_bm25=float(bm25[wordiest[0]]) if len(wordiest) else 0.0,
            full_bm25=snapshot.full_bm25(asked),
            spread=snapshot.spread,
            dense_weight=weights[0],
            sparse_weight=weights[1],
        )

    def _require_embedder(self) -> None:
        stored = self._store.state().embedder
        if stored not in ("", self._embedder.fingerprint):
            raise embedder_mismatch(stored=stored, wanted=self._embedder.fingerprint)
