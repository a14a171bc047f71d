"""Settings -> services: the store, the models and the chain, each made on first use and once."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from threading import RLock
from typing import TYPE_CHECKING

from core.settings import Settings

if TYPE_CHECKING:
    from app.chain import AnswerChain
    from app.searching import Searcher
    from indexes.knowledge_base import KnowledgeIndex
    from indexes.store import Store
    from llm.backends import GroundedChatModel
    from llm.embedders import Embedder
    from llm.reader import Reader

_SILENCED = {
    "LANGSMITH_TRACING": "false",
    "LANGCHAIN_TRACING_V2": "false",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
}

Progress = Callable[[str, int, int], None]


def silence_libraries() -> None:
    """Switch the libraries' own reporting off, before they are imported: nothing leaves this machine."""
    os.environ.update(_SILENCED)


class Services:
    """Everything that is held open for a data directory.

    Args:
        settings: The settings.
        progress: Called with (model name, bytes done, bytes in all) while a model is fetched.
    """

    def __init__(self, settings: Settings, *, progress: Progress | None = None) -> None:
        self.settings = settings
        self.progress = progress
        self._lock = RLock()
        silence_libraries()

    @property
    def store(self) -> Store:
        """The store, for reading."""
        with self._lock:
            return self._store

    @property
    def embedder(self) -> Embedder:
        """The embedder."""
        with self._lock:
            return self._embedder

    @property
    def index(self) -> KnowledgeIndex:
        """What searches."""
        with self._lock:
            return self._index

    @property
    def reader(self) -> Reader | None:
        """The model that reads passages; None where answers do without one."""
        with self._lock:
            return self._reader

    @property
    def searcher(self) -> Searcher:
        """What searches, and ranks what it found with the reader."""
        with self._lock:
            return self._searcher

    @property
    def writer_model(self) -> GroundedChatModel | None:
        """The model that writes answers; None when answers are quotes alone."""
        with self._lock:
            return self._writer_model

    @property
    def chain(self) -> AnswerChain:
        """The answering chain."""
        with self._lock:
            return self._chain

    def open_writer(self) -> Store:
        """Open the store for writing; the caller closes it.

        Raises:
            StoreLocked: Another process writes.
        """
        from indexes.store import Store

        return Store.open(self.settings.data_dir, writer=True)

    def warm(self) -> None:
        """Load what the first question needs."""
        self.index.warm()
        _ = self.reader, self.writer_model, self.chain

    def close(self) -> None:
        """Free what was opened; what is asked for afterwards is opened anew."""
        with self._lock:
            for name in ("_chain", "_searcher", "_index", "_reader", "_embedder"):
                self.__dict__.pop(name, None)
            for name in ("_writer_model", "_store"):
                held = self.__dict__.pop(name, None)
                if held is not None:
                    held.close()

    @cached_property
    def _store(self) -> Store:
        from indexes.store import Store

        return Store.open(self.settings.data_dir, writer=False)

    @cached_property
    def _embedder(self) -> Embedder:
        from llm.embedders import open_embedder

        return open_embedder(self.settings.embedder, self.settings.models_dir, progress=self.progress)

    @cached_property
    def _index(self) -> KnowledgeIndex:
        from indexes.knowledge_base import KnowledgeIndex

        return KnowledgeIndex(self._store, self._embedder, self.settings.retrieval)

    @cached_property
    def _reader(self) -> Reader | None:
        from llm.reader import open_reader

        return open_reader(
            self.settings.reader, self.settings.embedder, self.settings.models_dir, progress=self.progress
        )

    @cached_property
    def _searcher(self) -> Searcher:
        from app.searching import Searcher

        return Searcher(self.index, self.reader, self.settings)

    @cached_property
    def _writer_model(self) -> GroundedChatModel | None:
        if self.settings.generator.backend == "none":
            return None
        from llm.backends import open_chat_model

        return open_chat_model(self.settings.generator, self.settings.models_dir, progress=self.progress)

    @cached_property
    def _chain(self) -> AnswerChain:
        from app.chain import AnswerChain
        from app.evidence import EvidenceScorer
        from app.reading import ReadingScorer

        reader, scorer, k = self.reader, EvidenceScorer(self._embedder), self.settings.retrieval.k
        reading = ReadingScorer(reader, scorer, k=k) if reader else None
        n_read = max(k, self.settings.reader.passages) if reader else k
        return AnswerChain(
            search=lambda query, filter: self.index.search(query, k=n_read, filter=filter),
            weigh=reading.weigh if reading else scorer.weigh,
            verify=reading.supports if reading else None,
            writer=lambda: self.writer_model,
            model_name=self.settings.generator.model,
            settings=self.settings,
        )
