"""The reader as LangChain's reranker: a ``BaseDocumentCompressor`` for any retrieval chain."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import ConfigDict, SkipValidation

from llm.reader.serving import Reader


class ReaderCompressor(BaseDocumentCompressor):
    """Keeps the ``top_n`` documents most relevant to the query, best first; ties keep their order.

    Each document's metadata gain ``relevance``, the reader's log-odds that it is the one that was asked for.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    reader: SkipValidation[Reader]
    top_n: int = 5

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> list[Document]:
        """Read ``query`` with each document and return the best."""
        passages = [(str(document.metadata.get("title", "")), document.page_content) for document in documents]
        scores = [reading.relevant for reading in self.reader.read(query, passages)]
        best = sorted(range(len(documents)), key=lambda i: -scores[i])[: self.top_n]
        return [
            documents[i].model_copy(update={"metadata": {**documents[i].metadata, "relevance": scores[i]}})
            for i in best
        ]
