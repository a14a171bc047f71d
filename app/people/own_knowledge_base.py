"""A knowledge base as one person has it: every read, write, search and answer passes the gate.

What others have does not exist here: it is not found, not counted, not suggested and not said to be missing in other
words than what never was.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.chain import nothing_to_search
from app.knowledge_base import finished_answer
from app.people.access import Access
from app.people.conversation_rows import unknown_conversation
from app.people.database import People
from app.people.records import CollectionRights, Filled, Person
from app.people.sharing import Sharing
from app.uploads import attached_collection, attachments_folder, safe_name
from core.errors import CitadelError, NotAllowed, UnknownCollection, UnknownSource
from core.interfaces import StoredSource
from core.records import Answer, Chunk, Citation, Event, Finished, Hit, Message, Retrieved, SearchFilter, Token
from core.settings import Settings
from core.tables import nearest
from indexes.listing import Listed

if TYPE_CHECKING:
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.tools import BaseTool

    from app.knowledge_base import KnowledgeBase
    from indexes.checking import Problem
    from ingest.reports import IngestEvent, IngestReport

_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """A conversation whose files are searched beside the collections that are asked, or alone."""

    conversation: str
    alone: bool = False


class OwnKnowledgeBase:
    """What one person may see and do of a knowledge base; its methods are those of :class:`KnowledgeBase`.

    An empty filter means all that the person may read. Rights are looked up at each call, and again when a stream
    begins, so that an object may be kept for as long as one likes.
    """

    def __init__(
        self, knowledge_base: KnowledgeBase, people: People, person: Person, *, beside: Beside | None = None
    ) -> None:
        self._kb, self._person, self._beside = knowledge_base, person, beside
        self.access = Access(people, person, known=knowledge_base.collections)
        self.sharing = Sharing(self.access)

    @property
    def settings(self) -> Settings:
        """The settings of the knowledge base."""
        return self._kb.settings

    # --- reading ---------------------------------------------------------------------------------------------------

    def collections(self) -> list[str]:
        """Return the names of the collections, in alphabetical order; ones that hold nothing yet are among them."""
        return self.access.readable()

    def shelves(self) -> list[CollectionRights]:
        """Return the collections with their labels, owners and what the person may do, by label."""
        return self.access.collections()

    def label(self, collection: str) -> str:
        """Return what people read as a collection's name; the name itself where it is not there for this person."""
        return next((shelf.label for shelf in self.shelves() if shelf.name == collection), collection)

    def documents(self, *, collection: str | None = None) -> list[StoredSource]:
        """Return the sources of one collection, or of all, by collection and path.

        Raises:
            UnknownCollection: There is no such collection for this person.
        """
        store = self._kb.services.store
        names = self._names(collection)
        return [source for name in names for _, source in sorted(store.sources(collection=name).items())]

    def listed(
        self, *, collection: str | None = None, words: Sequence[str] = (), limit: int
    ) -> tuple[list[StoredSource], int]:
        """Return the first sources in whose path or title each of the words stands, and how many there are in all.

        They are in the order of :meth:`documents`, and cost what is returned; raises as that does.
        """
        store, total = self._kb.services.store, 0
        found: list[StoredSource] = []
        for name in self._names(collection):
            wanted = Listed(collection=name, words=tuple(words))
            if len(found) < limit:
                found += store.list_sources(wanted, limit=limit - len(found))
            total += store.count_sources(wanted)
        return found, total

    def filled(self) -> list[Filled]:
        """Return the collections that hold documents, the one that was added to last first."""
        store, readable = self._kb.services.store, set(self.access.readable())
        found = [
            Filled(name=held.name, n_documents=held.n_sources, newest=newest)
            for held in store.collections()
            if held.name in readable
            for newest in store.list_sources(Listed(collection=held.name, order="newest"), limit=1)
        ]
        return sorted(found, key=lambda each: -each.newest.ingested)

    def unread(self, paths: Sequence[Path], *, collection: str) -> list[Path]:
        """Return those of a collection's files that were neither stored nor failed as they now are.

        Raises:
            UnknownCollection: There is no such collection for this person.
        """
        self._names(collection)
        store = self._kb.services.store
        modified = {Path(s.location): s.modified for s in store.sources(collection=collection).values()}
        failed = {Path(failure.location): failure.at for failure in store.failures(collection=collection).values()}
        there = [(path, path.stat().st_mtime) for path in paths if path.is_file()]
        return [path for path, time in there if modified.get(path) != time and failed.get(path, -1.0) < time]

    def document(self, path: str, *, collection: str | None = None) -> StoredSource:
        """Return the source of this path, of the first collection that has it.

        Raises:
            UnknownCollection: There is no such collection for this person.
            UnknownSource: There is none; the nearest path that they may read is named.
        """
        for name in self._names(collection):
            try:
                return self._kb.services.store.source_by_path(path, collection=name)
            except (UnknownCollection, UnknownSource):
                continue
        near = nearest(path, [source.path for source in self.documents(collection=collection)])
        raise UnknownSource("there is no such document", where=path, remedy=f"The nearest is {near}" if near else "")

    def source(self, source_id: str) -> StoredSource:
        """Return the source of this id.

        Raises:
            UnknownSource: There is none that the person may read.
        """
        try:
            found = self._kb.services.store.source(source_id)
        except UnknownSource:
            found = None
        if found is None or self.access.right(found.collection) is None:
            raise UnknownSource("there is no such document", where=source_id, remedy="It may have been deleted")
        return found

    def document_text(self, path: str, *, collection: str | None = None) -> str:
        """Return the whole text of a source; raises as :meth:`document` does."""
        return self._kb.services.store.document_text(self.document(path, collection=collection).source_id)

    def chunks(self, path: str, *, collection: str | None = None) -> list[Chunk]:
        """Return a source as it was cut, in reading order; raises as :meth:`document` does."""
        return self._kb.services.store.chunks(self.document(path, collection=collection).source_id)

    def search(self, query: str, k: int | None = None, *, filter: SearchFilter | None = None) -> list[Hit]:
        """Return the ``k`` best passages that the person may read, best first.

        Raises:
            EmptyQuestion: The query has no words.
            QuestionTooLong: The query is longer than ``answer.max_question_chars``.
            UnknownCollection: The filter names one that is not there for this person.
        """
        query = self._kb.checked_question(query)
        for last in self._attempts(filter):
            narrowed = self._narrowed(filter)
            if narrowed is None:
                return []
            try:
                hits = self._kb.search(query, k, filter=narrowed)
            except UnknownCollection as error:
                if last:
                    raise self.access.unknown(error.where) from None
                continue
            _require_within(hits, narrowed)
            return hits
        raise AssertionError("the last attempt returns or raises")

    # --- asking ----------------------------------------------------------------------------------------------------

    def checked_question(self, question: str) -> str:
        """Return a question without the white space around it; raises as :meth:`search` does."""
        return self._kb.checked_question(question)

    def ask(self, question: str, *, history: Sequence[Message] = (), filter: SearchFilter | None = None) -> Answer:
        """Answer a question from what the person may read; raises as :meth:`search` does."""
        return finished_answer(self.stream(question, history=history, filter=filter))

    def stream(
        self, question: str, *, history: Sequence[Message] = (), filter: SearchFilter | None = None
    ) -> Iterator[Event]:
        """Yield ``Retrieved``, ``Token``..., ``Finished``; closing the iterator stops the model.

        Raises as :meth:`search` does, before the first event. Who may read nothing is told that there is nothing.
        """
        question = self._kb.checked_question(question)
        self._narrowed(filter)  # a wrong name is said at once
        return self._streamed(question, history=history, filter=filter)

    def as_retriever(self, *, k: int | None = None, filter: SearchFilter | None = None) -> BaseRetriever:
        """Return a LangChain retriever over what the person may read."""
        from indexes.retriever import CitadelRetriever

        self._narrowed(filter)
        return CitadelRetriever(index=self, k=k, filter=filter or SearchFilter())

    def as_tool(self) -> BaseTool:
        """Return a LangChain tool that answers from what the person may read."""
        from app.tools import ask_tool

        return ask_tool(self)

    # --- writing ---------------------------------------------------------------------------------------------------

    def create_collection(self, label: str) -> str:
        """Make a private collection and return its name; raises as :meth:`Sharing.create` does."""
        return self.sharing.create(label)

    def collection_for(self, label: str) -> str:
        """Return the collection of this name or label that the person may write to, made when there is none."""
        own = [shelf for shelf in self.shelves() if shelf.right != "read"]
        found = [shelf.name for shelf in own if shelf.name == label] or [s.name for s in own if s.label == label]
        return found[0] if found else self.create_collection(label)

    def ingest(
        self,
        *paths: str | Path,
        collection: str,
        sync: bool = False,
        on_event: Callable[[IngestEvent], None] | None = None,
        stop: threading.Event | None = None,
    ) -> IngestReport:
        """Read files and folders into a collection, as :meth:`KnowledgeBase.ingest` does.

        Raises:
            UnknownCollection: There is none for this person; :meth:`collection_for` makes one.
            NotAllowed: They may not write to it, or a path is not one of its uploads and they do not administer.
            StoreLocked: Another process writes.
        """
        self.access.require(collection, "write")
        if self.access.role != "admin":
            _require_uploads(paths, self.settings.data_dir / "uploads" / safe_name(collection))
        return self._kb.ingest(*paths, collection=collection, sync=sync, on_event=on_event, stop=stop)

    def delete(self, path: str, *, collection: str | None = None) -> StoredSource:
        """Delete a source; it is invisible at once.

        Raises:
            UnknownCollection, UnknownSource: As :meth:`document` says.
            NotAllowed: The person may read it only.
            StoreLocked: Another process writes.
        """
        source = self.document(path, collection=collection)
        self.access.require(source.collection, "write")
        return self._kb.delete(path, collection=source.collection)

    def delete_collection(self, name: str) -> list[StoredSource]:
        """Delete a collection with its sources, which are returned, and all that was granted.

        Raises:
            UnknownCollection: There is none for this person.
            NotAllowed: It is not theirs.
            StoreLocked: Another process writes; the collection is shared with nobody then, and can be deleted later.
        """
        self.sharing.withdraw(name)  # first, so that whatever stops us leaves nothing shared
        sources = self._kb.delete_collection(name) if name in self._kb.collections() else []
        self.sharing.forget(name)
        return sources

    # --- what is attached to conversations -------------------------------------------------------------------------

    def with_attachments(self, conversation_id: str, *, alone: bool = False) -> OwnKnowledgeBase:
        """Return what also searches the files of a conversation of the person's, or these ``alone``."""
        beside = Beside(conversation=conversation_id, alone=alone)
        return OwnKnowledgeBase(self._kb, self.access.people, self._person, beside=beside)

    def attach(self, path: Path, *, conversation_id: str, stop: threading.Event | None = None) -> IngestReport:
        """Read a file that was uploaded to a conversation of the person's, beside whatever else is ingested.

        Raises:
            UnknownConversation: The person has no such conversation.
            NotAllowed: The file was not uploaded to it.
            StoreLocked: Another process writes.
        """
        collection = attached_collection(conversation_id)
        if self.access.right(collection) is None:
            raise unknown_conversation()
        _require_uploads([path], attachments_folder(self.settings.data_dir) / conversation_id)
        return self._kb.ingest(path, collection=collection, beside=True, stop=stop)

    # --- for administrators ----------------------------------------------------------------------------------------

    def verify(self) -> list[Problem]:
        """Return what is wrong with the store; raises NotAllowed unless the person administers."""
        self.access.require_admin()
        return self._kb.verify()

    def rebuild(self) -> int:
        """Build the search indexes again; raises NotAllowed unless the person administers."""
        self.access.require_admin()
        return self._kb.rebuild()

    def purge(self) -> None:
        """Scrub deleted documents and conversations from the disk; raises NotAllowed unless the person administers."""
        self.access.require_admin()
        self._kb.purge()
        self.access.people.scrub(whole=True)

    # --- the gate --------------------------------------------------------------------------------------------------

    def _names(self, collection: str | None) -> list[str]:
        if collection is None:
            return self.access.readable()
        self.access.require(collection, "read")
        return [collection]

    def _narrowed(self, filter: SearchFilter | None) -> SearchFilter | None:
        """Return the filter with the names of what may be looked at, all of them; None where that is nothing.

        To the index a filter without names means everything, so that none is ever passed on.
        """
        filter = filter or SearchFilter()
        readable = set(self.access.readable())
        for name in filter.collections:
            if name not in readable:
                raise self.access.unknown(name)
        wanted = filter.collections or sorted(readable)
        filled = set(self._kb.collections())
        names = tuple(name for name in dict.fromkeys(wanted) if name in filled)
        if self._beside is not None:
            names = (*(() if self._beside.alone else names), *self._attached(self._beside.conversation))
        return replace(filter, collections=names) if names else None

    def _attached(self, conversation_id: str) -> tuple[str, ...]:
        """Return the hidden collection of a conversation, nothing where it is not the person's or has no file."""
        name = attached_collection(conversation_id)
        there = self.access.right(name) is not None and name in self._kb.services.store.collection_names()
        return (name,) if there else ()

    def _streamed(self, question: str, *, history: Sequence[Message], filter: SearchFilter | None) -> Iterator[Event]:
        for last in self._attempts(filter):
            try:
                yield from self._events(question, history=history, filter=self._narrowed(filter))
                return
            except UnknownCollection as error:  # raised by the search, before the first event
                if last:
                    raise self.access.unknown(error.where) from None

    def _attempts(self, filter: SearchFilter | None) -> Iterator[bool]:
        """Yield whether an attempt is the last: all that may be read can shrink between the look and the search."""
        named = filter is not None and filter.collections and not self._beside
        n_attempts = 1 if named else _ATTEMPTS
        yield from (attempt == n_attempts for attempt in range(1, n_attempts + 1))

    def _events(self, question: str, *, history: Sequence[Message], filter: SearchFilter | None) -> Iterator[Event]:
        if filter is None:
            answer = nothing_to_search(question)
            yield from (Retrieved(hits=()), Token(text=answer.text), Finished(answer=answer))
            return
        events = self._kb.stream(question, history=history, filter=filter)
        try:
            for event in events:
                if isinstance(event, Retrieved):
                    _require_within(event.hits, filter)
                elif isinstance(event, Finished):
                    _require_within((*event.answer.hits, *event.answer.citations), filter)
                yield event
        finally:
            close = getattr(events, "close", None)
            if close:
                close()


def _require_within(found: Sequence[Hit | Citation], filter: SearchFilter) -> None:
    """See that what was found is of the collections that were looked at: a fault elsewhere must not become a leak."""
    if any(item.collection not in filter.collections for item in found):
        raise CitadelError("what was found is not of the collections that were asked", remedy="Report this")


def _require_uploads(paths: Sequence[str | Path], folder: Path) -> None:
    allowed = folder.resolve()
    for path in paths:
        if not Path(path).resolve().is_relative_to(allowed):
            raise NotAllowed(
                "only administrators may read folders of this machine", remedy="Upload the files, or ask one of them"
            )
