"""Ingests that a job runs for somebody: files read again although they have not changed, and folders kept in step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from app.people.own_knowledge_base import OwnKnowledgeBase

if TYPE_CHECKING:
    from app.knowledge_base import KnowledgeBase
    from ingest.reports import IngestEvent, IngestReport


class ReadingAgain:
    """Reads files anew for a person; the rights to the files are checked by whoever queues the job."""

    def __init__(self, knowledge_base: KnowledgeBase, own: OwnKnowledgeBase) -> None:
        self._kb, self._own = knowledge_base, own

    def ingest(
        self,
        *paths: str | Path,
        collection: str,
        on_event: Callable[[IngestEvent], None] | None = None,
        stop: Event | None = None,
    ) -> IngestReport:
        """Read files anew; raises as :meth:`OwnKnowledgeBase.ingest` does where the right to write is gone by now."""
        self._own.access.require(collection, "write")
        return self._kb.ingest(*paths, collection=collection, anew=True, on_event=on_event, stop=stop)


class KeepingInStep:
    """Reads folders and removes what is gone from them."""

    def __init__(self, own: OwnKnowledgeBase) -> None:
        self._own = own

    def ingest(
        self,
        *paths: str | Path,
        collection: str,
        on_event: Callable[[IngestEvent], None] | None = None,
        stop: Event | None = None,
    ) -> IngestReport:
        """Read folders, with removal; raises as :meth:`OwnKnowledgeBase.ingest` does."""
        return self._own.ingest(*paths, collection=collection, sync=True, on_event=on_event, stop=stop)
