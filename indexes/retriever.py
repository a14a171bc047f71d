"""A LangChain retriever over the knowledge base, for any chain that takes one."""

from __future__ import annotations

from typing import Any, Protocol

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field, SkipValidation

from core.records import Hit, SearchFilter


class Searches(Protocol):
    """What finds passages."""

    def search(self, query: str, *, k: int | None = None, filter: SearchFilter = ...) -> list[Hit]:
        """Return the ``k`` best passages, best first."""


class CitadelRetriever(BaseRetriever):
    """Returns passages as LangChain documents, best first; see :func:`to_document` for their metadata."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    index: SkipValidation[Searches]
    k: int | None = None
    filter: SearchFilter = Field(default_factory=SearchFilter)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        return [to_document(hit) for hit in self.index.search(query, k=self.k, filter=self.filter)]


def to_document(hit: Hit) -> Document:
    """Return a hit as a LangChain document; ``start`` and ``end`` are offsets into the source's text."""
    locator = hit.chunk.locator
    metadata = {
        "source": hit.source,
        "title": hit.title,
        "collection": hit.collection,
        "page": hit.page,
        "chunk_id": hit.chunk.id,
        "score": hit.score,
        "start": locator.start,
        "end": locator.end,
        "headings": list(locator.headings),
    }
    return Document(id=hit.chunk.id, page_content=hit.chunk.text, metadata=metadata)
