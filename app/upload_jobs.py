"""Reading uploaded files: what was kept is read, or gone on with when the server is back."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from app.jobs import Job, Jobs, JobState
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.uploads import Uploads
from core.errors import CitadelError

log = logging.getLogger(__name__)


class UploadJobs:
    """Begins the jobs that read uploaded files.

    A job that somebody cancels discards the files that it did not come to; one that fails as a whole, or that the
    server's end cuts off, however hard, leaves them for :meth:`resume`.

    Args:
        jobs: Where they run.
        uploads: Where the files lie.
        own: Returns the knowledge base as a person has it; raises where there is no such person.
    """

    def __init__(self, jobs: Jobs, uploads: Uploads, own: Callable[[str], OwnKnowledgeBase]) -> None:
        self._jobs, self._uploads, self._own = jobs, uploads, own

    def begin(self, kept: Sequence[Path], *, collection: str, own: OwnKnowledgeBase) -> Job:
        """Begin to read files that were kept for a person, into the knowledge base as they have it."""

        def discard_unread(state: JobState) -> None:
            if state.stage != "cancelled":
                return
            read = {report.path for report in state.reports}
            if unread := [path.name for path in kept if path.name not in read]:
                stored = own.documents(collection=collection)
                for name in unread:
                    self._uploads.discard_failed(name, collection=collection, stored=stored)

        return self._jobs.start(
            list(kept),
            collection=collection,
            into=own,
            label=own.label(collection),
            owner=own.access.person_id,
            on_end=discard_unread,
        )

    def resume(self) -> None:
        """Read what had been kept, and neither read nor failed, when the last server ended."""
        for person_id, places in self._uploads.noted().items():
            try:
                own = self._own(person_id)
                unread = self._unread(own, places)
            except CitadelError as error:  # of one person; the others' files are read all the same
                log.warning("uploaded files were not gone on with: %s", error)
                continue
            for collection, paths in unread.items():
                log.info("%d uploaded files are gone on with", len(paths))
                self.begin(paths, collection=collection, own=own)

    def _unread(self, own: OwnKnowledgeBase, places: Sequence[Path]) -> dict[str, list[Path]]:
        """Return those of the places that were neither stored nor failed, by collection."""
        by_folder: dict[Path, list[Path]] = defaultdict(list)
        for place in places:
            by_folder[place.parent].append(place)
        writable = [shelf.name for shelf in own.shelves() if shelf.right != "read"]
        waiting = {name: by_folder.get(self._uploads.folder_of(name), []) for name in writable}
        unread = {name: own.unread(paths, collection=name) for name, paths in waiting.items() if paths}
        return {name: paths for name, paths in unread.items() if paths}
