"""One ingest as it goes: what is known, what was reported, how fast it is, and what to tell whoever listens."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping

from core.errors import CitadelError, DiskFull
from core.interfaces import DocumentStore, Pace, PassageEmbedder, StoredFailure, StoredSource
from core.records import Document, SourceFile
from core.settings import IngestSettings
from ingest.batches import Batches
from ingest.reports import FileDone, FileReport, IngestEvent, IngestReport, Progress, Status
from ingest.storable import storable_name

OnEvent = Callable[[IngestEvent], None]

_PROGRESS_SECONDS = 0.25


class Run:
    """Counts, reports and stores; a subclass brings the documents.

    Args:
        store: Where to.
        embedder: Counts tokens and makes the vectors.
        settings: How to read and cut.
        collection: Where to in the store.
        recipe: Names how this ingest reads, cuts and embeds.
        on_event: Called in this thread; what it raises ends the ingest, and what was stored stays.
        stop: Set it to end the ingest within about a second.
        pace: Asked before each document is cut and after each batch was embedded.
    """

    def __init__(
        self,
        store: DocumentStore,
        embedder: PassageEmbedder,
        *,
        settings: IngestSettings,
        collection: str,
        recipe: str,
        on_event: OnEvent | None,
        stop: threading.Event | None,
        pace: Pace,
    ) -> None:
        self.store, self.settings, self.collection, self.recipe = store, settings, collection, recipe
        self.stop, self.pace = stop or threading.Event(), pace
        self.scanned = False
        self._on_event = on_event or (lambda event: None)
        store.use_embedder(fingerprint=embedder.fingerprint, dimension=embedder.dimension)
        self.stored: Mapping[str, StoredSource] = store.sources(collection=collection)
        self.batches = Batches(store, embedder, settings=settings, collection=collection, recipe=recipe, pace=pace)
        self.failed_before: Mapping[str, StoredFailure] = store.failures(collection=collection)
        self._failed: list[StoredFailure] = []
        self._mended: list[str] = []
        self._reports: list[FileReport] = []
        self._open: dict[str, SourceFile] = {}
        self._error: CitadelError | None = None
        self._started = self._last_progress = time.monotonic()
        self._n_files = self._n_bytes = self._bytes_done = 0
        self._bytes_cut = self._bytes_to_cut = self._chunks_cut = self._chunks_done = 0

    @property
    def halted(self) -> bool:
        """Whether the run must end before its end: on request, or for a full disk."""
        return self.stop.is_set() or self._error is not None

    def is_unchanged(self, source: SourceFile) -> bool:
        """Return whether the store has just this, read, cut and embedded in just this way."""
        stored = self.stored.get(source.path)
        return stored is not None and (stored.sha256, stored.recipe) == (source.sha256, self.recipe)

    def found(self, *, size_bytes: int = 0) -> None:
        """Count a file that will be reported."""
        self._n_files += 1
        self._n_bytes += size_bytes

    def report(self, report: FileReport) -> None:
        """Note what became of a file, and tell."""
        self._open.pop(report.path, None)
        self._reports.append(report)
        self._bytes_done += report.size_bytes
        self._on_event(FileDone(report=report))
        self.tick()

    def fail(
        self,
        path: str,
        error: CitadelError,
        *,
        source: SourceFile | None = None,
        location: str = "",
        seconds: float = 0.0,
    ) -> None:
        """Report a file that failed; what was stored of it before stays, and the report says so."""
        notes = ("the version that was stored before stays",) if path in self.stored else ()
        size_bytes, media_type = (source.size_bytes, source.media_type) if source else (0, "")
        report = FileReport.failure(
            path, error, notes=notes, seconds=seconds, size_bytes=size_bytes, media_type=media_type
        )
        where = storable_name(source.location if source else location)
        if not os.path.isabs(path):  # what was asked for is not there: whoever asked is told, and nobody else
            self._failed.append(
                StoredFailure(path=path, location=where, code=report.error_code, error=report.error, at=time.time())
            )
        self.report(report)

    def keep(self, source: SourceFile, *, location: str) -> None:
        """Report an unchanged file, and note where and how it was seen."""
        stored = self.stored[source.path]
        if (stored.location, stored.modified) != (location, source.modified):
            self.store.refresh(source.path, collection=self.collection, location=location, modified=source.modified)
        if source.path in self.failed_before:
            self._mended.append(source.path)
        self.report(
            FileReport(
                path=source.path,
                status="unchanged",
                n_chunks=stored.n_chunks,
                size_bytes=source.size_bytes,
                media_type=source.media_type,
            )
        )

    def open(self, source: SourceFile) -> None:
        """Note a file that will be read."""
        self._open[source.path] = source
        self._bytes_to_cut += source.size_bytes

    def add(self, document: Document, *, seconds: float = 0.0, label: str | None = None) -> None:
        """Cut a document and let it wait to be stored; store what waits when it is enough."""
        self.pace.pause(self.stop)
        status: Status = "replaced" if document.source.path in self.stored else "added"
        self._chunks_cut += self.batches.add(document, status=status, seconds=seconds, label=label)
        self._bytes_cut += document.source.size_bytes
        if self.batches.is_full:
            self.flush()

    def flush(self) -> bool:
        """Embed and store what waits; False when nothing did. A full disk halts the run."""
        if not self.batches.waits:
            return False
        try:
            reports = self.batches.flush(embedded=self._embedded)
        except DiskFull as error:
            self._error = error
            for path in dict.fromkeys([*self.batches.give_up(), *self._open]):
                full = DiskFull(
                    "was not stored: no room is left", where=path, remedy="Free some space and ingest again"
                )
                self.fail(path, full, source=self._open.get(path))
            return True
        if self.halted:
            self.batches.give_up()
        for report in reports:
            self.report(report)
        return True

    def remove(self, source: StoredSource) -> None:
        """Delete a source that is gone."""
        self.found()
        if self.store.delete(source.path, collection=self.collection):
            self.report(FileReport(path=source.path, status="removed", media_type=source.media_type))

    def forget_failure(self, path: str) -> None:
        """Forget what failed before and is gone."""
        self._mended.append(path)

    def finished(self) -> IngestReport:
        """Return the whole report."""
        self._keep_failures()
        self.tick(now=True)
        return IngestReport(
            files=tuple(self._reports),
            seconds=time.monotonic() - self._started,
            cancelled=self.stop.is_set(),
            error=self._error,
        )

    def tick(self, *, now: bool = False) -> None:
        """Tell how far the run is, a few times a second."""
        at = time.monotonic()
        if not now and at - self._last_progress < _PROGRESS_SECONDS:
            return
        self._last_progress = at
        self._keep_failures()
        self._on_event(self._progress(at - self._started))

    def _keep_failures(self) -> None:
        """Write down what failed, a few times a second at most: each write waits for the disk."""
        failed, mended, self._failed, self._mended = self._failed, self._mended, [], []
        try:
            self.store.forget_failures(mended, collection=self.collection)
            self.store.note_failures(failed, collection=self.collection)
        except DiskFull as error:
            self._error = self._error or error

    def _embedded(self, n_chunks: int) -> bool:
        self._chunks_done += n_chunks
        self.tick()
        self.pace.pause(self.stop)
        return not self.halted

    def _progress(self, elapsed: float) -> Progress:
        rate = self._chunks_done / elapsed if elapsed > 0 else 0.0
        left = None
        if self.scanned and self._chunks_done and self._bytes_cut:
            # Embedding is most of the work; files not yet cut are taken to hold as many chunks a byte as the others.
            expected = self._chunks_cut * max(1.0, self._bytes_to_cut / self._bytes_cut)
            left = (expected - self._chunks_done) / rate
        elif self.scanned and not self._open:
            left = 0.0
        return Progress(
            files_done=len(self._reports),
            files_total=self._n_files,
            bytes_done=self._bytes_done,
            bytes_total=self._n_bytes,
            chunks_done=self._chunks_done,
            scanned=self.scanned,
            seconds_elapsed=elapsed,
            chunks_per_second=rate,
            seconds_left=left,
        )
