"""The stock recipe, as a tutorial builds it from LangChain's own parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from langchain_core.messages import BaseMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter

from app.knowledge_base import KnowledgeBase

CHUNK_CHARS, OVERLAP_CHARS, K = 1000, 200, 4
PROMPT = ChatPromptTemplate.from_messages(
    [
        (
            "system",
            "Use the following pieces of context to answer the question at the end. If you don't know the answer, "
            "just say that you don't know, don't try to make up an answer.\n\n{context}",
        ),
        ("human", "{question}"),
    ]
)


class StockIndex:
    """Splitter, embeddings and a flat index, which is what ``FAISS.from_documents`` holds.

    Args:
        model: A sentence-transformers folder, the one we embed with.
    """

    def __init__(self, model: Path) -> None:
        # float32, as the model's makers publish it: the float16 in which ours is stored is slow on a processor.
        how = {"device": "cpu", "model_kwargs": {"dtype": "float32"}}
        self.embeddings = HuggingFaceEmbeddings(model_name=str(model), model_kwargs=how)
        self.splitter = RecursiveCharacterTextSplitter(chunk_size=CHUNK_CHARS, chunk_overlap=OVERLAP_CHARS)
        self.chunks: list[str] = []
        self.sources: list[str] = []
        self._index: Any = None

    def add(self, source: str, text: str) -> int:
        """Split, embed and index one text; return its number of chunks."""
        chunks = self.splitter.split_text(text)
        if not chunks:
            return 0
        vectors = np.asarray(self.embeddings.embed_documents(chunks), np.float32)
        if self._index is None:
            self._index = faiss.IndexFlatL2(vectors.shape[1])
        self._index.add(vectors)
        self.chunks.extend(chunks)
        self.sources.extend([source] * len(chunks))
        return len(chunks)

    def search(self, question: str, k: int = K) -> list[tuple[str, str]]:
        """Return (source, chunk) of the ``k`` nearest, nearest first."""
        vector = np.asarray([self.embeddings.embed_query(question)], np.float32)
        _, found = self._index.search(vector, min(k, len(self.chunks)))
        return [(self.sources[i], self.chunks[i]) for i in found[0]]


class StockChain:
    """Retrieve the four nearest chunks, stuff them into the prompt, stream the model."""

    def __init__(self, index: StockIndex, model: Any) -> None:
        self.index = index
        self.chain = PROMPT | model

    @classmethod
    def over(cls, kb: KnowledgeBase) -> StockChain:
        """Build the recipe over the documents of a knowledge base, with its generator."""
        index = StockIndex(kb.settings.models_dir / kb.settings.embedder.model)
        for source in kb.documents():
            index.add(source.path, kb.document_text(source.path, collection=source.collection))
        return cls(index, kb.services.writer_model)

    def stream(self, question: str) -> Iterator[str]:
        """Yield the answer as it is written."""
        context = "\n\n".join(chunk for _, chunk in self.index.search(question))
        for piece in self.chain.stream({"context": context, "question": question}):
            yield str(piece.content) if isinstance(piece, BaseMessage) else str(piece)
