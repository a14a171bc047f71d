"""Search, with what was found ranked by the reader."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.reading import PassageReader, places, read_hits
from app.reading_weights import RANK
from core.records import Hit, SearchFilter
from core.settings import Settings
from indexes.knowledge_base import EVERYTHING, KnowledgeIndex


class Searcher:
    """Searches an index; where there is a reader, the first of its passages are put in the reader's order."""

    def __init__(self, index: KnowledgeIndex, reader: PassageReader | None, settings: Settings) -> None:
        self._index, self._reader, self._settings = index, reader, settings

    def search(self, query: str, *, k: int | None = None, filter: SearchFilter = EVERYTHING) -> list[Hit]:
        """Return the ``k`` best passages, best first; raises as :meth:`KnowledgeIndex.search` does.

        ``reader.passages`` of them are read; what was found beyond those follows in the order of the search.
        """
        k = self._settings.retrieval.k if k is None else k
        n_read = self._settings.reader.passages if self._reader else 0
        hits = self._index.search(query, k=max(k, n_read), filter=filter)
        if self._reader and hits:
            hits = [*ranked(self._reader, query, hits[:n_read]), *hits[n_read:]]
        return hits[:k]


def ranked(reader: PassageReader, query: str, hits: Sequence[Hit]) -> list[Hit]:
    """Return the passages in the reader's order; ``scores`` tells its log-odds of relevance."""
    readings = read_hits(reader, query, hits)
    order = places(RANK, hits, readings)
    return [replace(hits[i], scores={**hits[i].scores, "reader": readings[i].relevant}) for i in order]
