"""Ingesting in the background: one job at a time, watched by any page, gone on with when a page is reloaded."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Literal, Protocol

from app.live import Live
from app.one_by_one import OneByOne
from core.errors import CitadelError
from ingest.reports import FileDone, FileReport, IngestEvent, IngestReport, Progress

log = logging.getLogger(__name__)

JobStage = Literal["queued", "scanning", "running", "cancelling", "finished", "cancelled", "failed"]
KEPT_JOBS = 20


class Ingests(Protocol):
    """What a job needs of the knowledge base."""

    def ingest(
        self,
        *paths: str | Path,
        collection: str,
        on_event: Callable[[IngestEvent], None] | None = None,
        stop: Event | None = None,
    ) -> IngestReport:
        """Read files and folders into a collection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """An ingest as it stands; ``reports`` has one for each file that is done.

    ``label`` is what people read as the collection's name. ``names`` are those of the files that were given; a folder
    is looked through first, and names none.
    """

    id: str
    collection: str
    label: str = ""
    names: tuple[str, ...] = ()
    stage: JobStage = "queued"
    progress: Progress | None = None
    reports: tuple[FileReport, ...] = ()
    error: CitadelError | None = None

    @property
    def running(self) -> bool:
        """Whether more is to come."""
        return self.stage in ("queued", "scanning", "running", "cancelling")


class Job:
    """One ingest of files or folders, for its ``owner`` and into the knowledge base as they have it.

    ``on_end`` is called with the last state before that is shown.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        collection: str,
        label: str = "",
        owner: str = "",
        into: Ingests,
        on_end: Callable[[JobState], None] = lambda state: None,
    ) -> None:
        self.paths = tuple(paths)
        self.owner = owner
        names = tuple(path.name for path in paths if path.is_file())
        self.live = Live(
            JobState(id=secrets.token_urlsafe(9), collection=collection, label=label or collection, names=names)
        )
        self._into, self._on_end = into, on_end
        self._cancelled = Event()

    @property
    def state(self) -> JobState:
        """The job as it stands."""
        return self.live.state

    def cancel(self) -> None:
        """Stop after the file that is being stored; what was read stays."""
        self._cancelled.set()
        state = self.state
        if state.stage == "queued":
            self._end(replace(state, stage="cancelled"))
        else:
            self.live.put(replace(state, stage="cancelling"))

    def cut_off(self) -> None:
        """Have nothing done at the end, which is the server's; unless somebody has cancelled the job before."""
        if not self._cancelled.is_set():
            self._on_end = lambda state: None

    def run(self) -> None:
        """Ingest; whatever happens becomes the job's state."""
        if not self.live.put(replace(self.state, stage="scanning")):
            return
        try:
            report = self._into.ingest(
                *self.paths, collection=self.state.collection, on_event=self._noted, stop=self._cancelled
            )
            stage: JobStage = "failed" if report.error else "cancelled" if report.cancelled else "finished"
            self._end(replace(self.state, stage=stage, error=report.error))
        except CitadelError as error:
            self._end(replace(self.state, stage="failed", error=error))
        finally:  # whatever else went wrong is in the log; nobody may wait for ever
            unforeseen = CitadelError("something went wrong", remedy="Try again; the server's log says more")
            self.live.put(replace(self.state, stage="failed", error=unforeseen), last=True)

    def _end(self, state: JobState) -> None:
        try:
            self._on_end(state)
        finally:
            self.live.put(state, last=True)

    def _noted(self, event: IngestEvent) -> None:
        state = self.state
        stage: JobStage = "cancelling" if self._cancelled.is_set() else "running"
        match event:
            case Progress():
                self.live.put(replace(state, stage=stage, progress=event))
            case FileDone(report=report):
                self.live.put(replace(state, stage=stage, reports=(*state.reports, report)))


class Jobs:
    """The jobs of this server, run one after another."""

    def __init__(self) -> None:
        self._jobs: OneByOne[Job] = OneByOne(name="ingest-jobs", kept=KEPT_JOBS)

    def start(
        self,
        paths: Sequence[Path],
        *,
        collection: str,
        into: Ingests,
        label: str = "",
        owner: str = "",
        on_end: Callable[[JobState], None] = lambda state: None,
    ) -> Job:
        """Queue an ingest; for the arguments see :class:`Job`."""
        return self._jobs.put(Job(paths, collection=collection, label=label, owner=owner, into=into, on_end=on_end))

    def newest(self, owner: str | None = None) -> Job | None:
        """Return the job that runs, else the one that was queued last, of one owner or of all."""
        jobs = [job for job in self._jobs.pieces if owner is None or job.owner == owner]
        running = [job for job in jobs if job.state.running]
        return running[0] if running else (jobs[-1] if jobs else None)

    def get(self, job_id: str) -> Job | None:
        """Return a job by its id."""
        return next((job for job in self._jobs.pieces if job.state.id == job_id), None)

    def close(self, *, patience_seconds: float = 5.0) -> None:
        """Cut off what runs and wait for it a while; what was not read yet is when the server is back."""
        for job in self._jobs.pieces:
            job.cut_off()
        self._jobs.close(patience_seconds=patience_seconds)
