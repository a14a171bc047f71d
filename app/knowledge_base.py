"""The knowledge base as programs use it: ingest, search, ask, stream, delete, verify, rebuild."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app.uploads import conversation_of
from core.errors import EmptyQuestion, QuestionTooLong, StoreLocked, UnknownCollection, UnknownSource
from core.interfaces import FullSpeed, Pace, StoredSource
from core.records import Answer, Event, Finished, Hit, Message, SearchFilter
from core.settings import Settings, load_settings
from core.tables import nearest

if TYPE_CHECKING:
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.tools import BaseTool

    from app.services import Services
    from indexes.checking import OnProgress, Problem
    from indexes.store import Store
    from ingest.pipeline import Pipeline
    from ingest.reports import IngestEvent, IngestReport

DEFAULT_COLLECTION = "default"
_NEVER_INGESTED = ("models", "citadel.db", "people.db", "evaluations", "attachments")  # of the data directory
_PATIENCE_SECONDS = 3.0  # how long a deletion waits for an ingest of this process before it says so


class KnowledgeBase:
    """A data directory of documents that can be searched and asked; safe to use from many threads.

    Readers never block. The writer's lock is taken for the time of an ingest, a deletion or a rebuild only, so that
    the command line can ingest while the web app serves.
    """

    def __init__(self, services: Services) -> None:
        self.services = services
        self.pace: Pace = FullSpeed()  # what an ingest of this process keeps to
        self.origins: Mapping[str, str] = {}  # where settings that are not defaults came from, by name
        self._writing = threading.RLock()
        self._joining = threading.Lock()
        self._writer_open: Store | None = None
        self._n_writers = 0

    @classmethod
    def open(cls, data_dir: str | Path | None = None, *, settings: Settings | None = None) -> KnowledgeBase:
        """Open the knowledge base in ``data_dir``, made when it is not there; models load on first use.

        Args:
            data_dir: The data directory; None takes it from the settings.
            settings: None reads ``citadel.toml`` and the environment.
        """
        import os

        from app.services import Services

        if settings is None:
            loaded = load_settings(environ=os.environ, data_dir=data_dir)
            opened = cls(Services(loaded.settings))
            opened.origins = loaded.origins
            return opened
        if data_dir is not None:
            settings = settings.model_copy(update={"data_dir": Path(data_dir)})
        return cls(Services(settings))

    def __enter__(self) -> KnowledgeBase:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the models and the store."""
        self.services.close()

    @property
    def settings(self) -> Settings:
        """The settings it was opened with."""
        return self.services.settings

    # --- reading ---------------------------------------------------------------------------------------------------

    def collections(self) -> list[str]:
        """Return the names of the collections, in alphabetical order, without what is attached to conversations."""
        return [name for name in self.services.store.collection_names() if not conversation_of(name)]

    def documents(self, *, collection: str | None = None) -> list[StoredSource]:
        """Return the sources of one collection, or of all, by collection and path.

        Raises:
            UnknownCollection: There is no such collection.
        """
        names = self.collections() if collection is None else [self._known_collection(collection)]
        return [source for name in names for _, source in sorted(self.services.store.sources(collection=name).items())]

    def document(self, path: str, *, collection: str | None = None) -> StoredSource:
        """Return the source of this path.

        Raises:
            UnknownSource: There is none; the nearest path is named.
        """
        sources = self.documents(collection=collection)
        found = [source for source in sources if source.path == path]
        if not found:
            near = nearest(path, [source.path for source in sources])
            raise UnknownSource(
                "there is no such document", where=path, remedy=f"The nearest is {near}" if near else ""
            )
        return found[0]

    def document_text(self, path: str, *, collection: str | None = None) -> str:
        """Return the whole text of a source; quotes are substrings of it."""
        return self.services.store.document_text(self.document(path, collection=collection).source_id)

    def search(self, query: str, k: int | None = None, *, filter: SearchFilter | None = None) -> list[Hit]:
        """Return the ``k`` best passages, best first.

        Raises:
            EmptyQuestion: The query has no words.
            QuestionTooLong: The query is longer than ``answer.max_question_chars``.
            UnknownCollection: The filter names one that is not there.
        """
        return self.services.searcher.search(self.checked_question(query), k=k, filter=self._checked_filter(filter))

    # --- asking ----------------------------------------------------------------------------------------------------

    def ask(self, question: str, *, history: Sequence[Message] = (), filter: SearchFilter | None = None) -> Answer:
        """Answer a question from the documents; raises as :meth:`search` does."""
        return finished_answer(self.stream(question, history=history, filter=filter))

    def stream(
        self, question: str, *, history: Sequence[Message] = (), filter: SearchFilter | None = None
    ) -> Iterator[Event]:
        """Yield ``Retrieved``, ``Token``..., ``Finished``; closing the iterator stops the model.

        The text of ``Finished`` is the one that counts: where nothing supports what was written, it differs from the
        tokens. Raises as :meth:`search` does, before the first event.
        """
        question, checked = self.checked_question(question), self._checked_filter(filter)
        return self.services.chain.stream(question, history=tuple(history), filter=checked)

    def as_retriever(self, *, k: int | None = None, filter: SearchFilter | None = None) -> BaseRetriever:
        """Return a LangChain retriever over this knowledge base."""
        from indexes.retriever import CitadelRetriever

        return CitadelRetriever(index=self.services.searcher, k=k, filter=self._checked_filter(filter))

    def as_tool(self) -> BaseTool:
        """Return a LangChain tool that answers a question with citations."""
        from app.tools import ask_tool

        return ask_tool(self)

    # --- writing ---------------------------------------------------------------------------------------------------

    def ingest(
        self,
        *paths: str | Path,
        collection: str = DEFAULT_COLLECTION,
        sync: bool = False,
        anew: bool = False,
        format: Literal["files", "passages"] = "files",
        beside: bool = False,
        on_event: Callable[[IngestEvent], None] | None = None,
        stop: threading.Event | None = None,
    ) -> IngestReport:
        """Read files and folders into a collection; one report per file, whatever happened to it.

        Args:
            paths: Files and folders.
            collection: Where to; made when it is not there.
            sync: Remove sources of these folders that are gone.
            anew: Read files again that have not changed.
            format: "passages" reads each file as lines of {"id", "title", "text"}, each its own source.
            beside: Do not wait until another ingest of this process has ended; no other may read the same files.
            on_event: Called with the pipeline's ``Progress`` and ``FileDone`` events, in the calling thread.
            stop: Set it to end the ingest within about a second.

        Raises:
            StoreLocked: Another process writes.
            MissingPath: A file of passages is not there; a missing folder of files is in the report.
        """
        from ingest.passages import ingest_passages

        with self._pipeline(beside=beside) as pipeline:
            if format == "files":
                return pipeline.ingest(paths, collection=collection, sync=sync, anew=anew, on_event=on_event, stop=stop)
            reports = [
                ingest_passages(pipeline, path, collection=collection, sync=sync, on_event=on_event, stop=stop)
                for path in paths
            ]
        return replace(
            reports[-1],
            files=tuple(file for report in reports for file in report.files),
            seconds=sum(report.seconds for report in reports),
        )

    def watch(
        self,
        *paths: str | Path,
        collection: str = DEFAULT_COLLECTION,
        on_event: Callable[[IngestEvent], None] | None = None,
        on_report: Callable[[IngestReport], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        """Ingest folders, then follow their changes until ``stop`` is set; the writer's lock is held meanwhile."""
        from ingest.watch import watch

        with self._pipeline() as pipeline:
            watch(pipeline, paths, collection=collection, on_event=on_event, on_report=on_report, stop=stop)

    def delete(self, path: str, *, collection: str | None = None, beside: bool = False) -> StoredSource:
        """Delete a source; it is invisible at once. ``beside`` does not wait until an ingest of this process has ended.

        Raises:
            UnknownSource: There is none of this path.
            StoreLocked: Another process writes.
        """
        source = self.document(path, collection=collection)
        with self._writer(patience_seconds=_PATIENCE_SECONDS, beside=beside) as store:
            store.delete(source.path, collection=source.collection)
        return source

    def delete_collection(self, name: str, *, beside: bool = False) -> list[StoredSource]:
        """Delete a collection with its sources, which are returned; they are invisible at once.

        ``beside`` does not wait until an ingest of this process has ended.

        Raises:
            UnknownCollection: There is no such collection.
            StoreLocked: Another process writes.
        """
        sources = self.documents(collection=name)
        with self._writer(patience_seconds=_PATIENCE_SECONDS, beside=beside) as store:
            store.delete_collection(name)
        return sources

    def forget_failures(self, paths: Sequence[str], *, collection: str, beside: bool = False) -> None:
        """Forget files that could not be read; raises StoreLocked as :meth:`delete` does."""
        with self._writer(patience_seconds=_PATIENCE_SECONDS, beside=beside) as store:
            store.forget_failures(paths, collection=collection)

    def verify(self, *, on_progress: OnProgress | None = None) -> list[Problem]:
        """Return what is wrong with the store, nothing when it is sound; told of (sources seen, all sources)."""
        return self.services.store.verify(on_progress=on_progress)

    def rebuild(self) -> int:
        """Build the search indexes again from the store, without embedding; return the number of chunks."""
        with self._writer() as store:
            return store.rebuild()

    def purge(self) -> None:
        """Scrub the bytes of deleted documents from the disk."""
        with self._writer() as store:
            store.purge()

    @contextmanager
    def _pipeline(self, *, beside: bool = False) -> Iterator[Pipeline]:
        from ingest.pipeline import Pipeline

        embedder = self.services.embedder
        with self._writer(beside=beside) as store:
            exclude = [self.settings.data_dir.resolve() / name for name in _NEVER_INGESTED]
            yield Pipeline(store, embedder, self.settings.ingest, exclude=exclude, pace=self.pace)

    @contextmanager
    def _writer(self, *, patience_seconds: float = -1, beside: bool = False) -> Iterator[Store]:
        """Give the right to write: one after another in this process, but for those that write ``beside`` others."""
        if not beside and not self._writing.acquire(timeout=patience_seconds):
            raise StoreLocked("an ingest is running", remedy="Try again when it has ended, or stop it")
        try:
            with self._joined_writer() as store:
                yield store
        finally:
            if not beside:
                self._writing.release()

    @contextmanager
    def _joined_writer(self) -> Iterator[Store]:
        """Give the one open writer of this process, which is closed when the last of its users has done."""
        with self._joining:
            store = self._writer_open or self.services.open_writer()
            self._writer_open = store
            self._n_writers += 1
        try:
            yield store
        finally:
            with self._joining:
                self._n_writers -= 1
                if not self._n_writers:
                    self._writer_open = None
                    store.close()

    # --- checking input --------------------------------------------------------------------------------------------

    def checked_question(self, question: str) -> str:
        """Return a question without the white space around it.

        Raises:
            EmptyQuestion: It has no words.
            QuestionTooLong: It is longer than ``answer.max_question_chars``.
        """
        question = question.strip()
        if not any(character.isalnum() for character in question):
            raise EmptyQuestion("the question has no words", remedy="Type what you want to know")
        limit = self.settings.answer.max_question_chars
        if len(question) > limit:
            raise QuestionTooLong(
                f"the question has {len(question):,} characters and the limit is {limit:,}",
                remedy="Shorten it, or ingest the long text as a document and ask about it",
            )
        return question

    def _checked_filter(self, filter: SearchFilter | None) -> SearchFilter:
        filter = filter or SearchFilter()
        names = self.services.store.collection_names()
        for name in filter.collections:
            if name not in names:
                self._known_collection(name)
        return filter if filter.collections else _but_attached(filter, names)

    def _known_collection(self, name: str) -> str:
        if name not in self.services.store.collection_names():
            near = nearest(name, self.collections())
            raise UnknownCollection(
                "there is no such collection", where=name, remedy=f"The nearest is {near}" if near else ""
            )
        return name


def _but_attached(filter: SearchFilter, names: Sequence[str]) -> SearchFilter:
    """Return a filter of all collections but those of what is attached to conversations, which must be named."""
    known = tuple(name for name in names if not conversation_of(name))
    if len(known) == len(names):
        return filter
    return replace(filter, collections=known) if known else replace(filter, without=("*",))


def finished_answer(events: Iterator[Event]) -> Answer:
    """Return the answer that a stream of events ends with."""
    for event in events:
        if isinstance(event, Finished):
            return event.answer
    raise AssertionError("a stream of events ends with Finished")
