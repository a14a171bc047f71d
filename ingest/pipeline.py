"""Files to stored chunks: scan, parse in killable processes, cut, embed across files, commit, report.

A thread scans, processes parse, and this thread cuts, embeds and stores, so that embedding, the longest work, waits for
nothing. A file is acknowledged by its report, which comes after the commit: whatever ends an ingest, what was
acknowledged is there, and the next ingest goes on from there.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from core.interfaces import DocumentStore, FullSpeed, Pace, PassageEmbedder
from core.records import SourceFile
from core.settings import IngestSettings
from ingest.builder import ParseOptions
from ingest.known import Known, is_passage_recipe
from ingest.processes import Limits
from ingest.reports import IngestReport
from ingest.runs import OnEvent, Run
from ingest.scan import FileFailure, is_inside, scan
from ingest.storable import storable_name
from ingest.workers import PARSER, Parsed, ParserPool

# Raised whenever the parsers or the cutting give something else for the same file, so that it is ingested anew.
RECIPE_VERSION = 3

_MIB = 2**20
_WAIT_SECONDS = 0.05


class Pipeline:
    """Ingests into one store with one embedder.

    Args:
        store: Where to.
        embedder: Counts tokens and makes the vectors.
        settings: How to read and cut.
        exclude: Folders that are never ingested, such as the data directory.
        parser: ``module:function`` that parser processes parse with.
        pace: What cutting and embedding keep to; None: full speed.
    """

    def __init__(
        self,
        store: DocumentStore,
        embedder: PassageEmbedder,
        settings: IngestSettings,
        *,
        exclude: Sequence[str | os.PathLike[str]] = (),
        parser: str = PARSER,
        pace: Pace | None = None,
    ) -> None:
        self.store, self.embedder, self.settings = store, embedder, settings
        self.exclude, self.parser, self.pace = tuple(exclude), parser, pace or FullSpeed()

    @property
    def recipe(self) -> str:
        """How files are read, cut and embedded; a stored source of another recipe is ingested anew."""
        return f"files-{RECIPE_VERSION} ocr={int(self.settings.ocr)} {self.cutting}"

    @property
    def cutting(self) -> str:
        """The part of the recipe that is about cutting and embedding."""
        settings = self.settings
        return f"cut={settings.chunk_tokens}/{settings.chunk_overlap_tokens} embedder={self.embedder.fingerprint}"

    def ingest(
        self,
        roots: Iterable[str | os.PathLike[str]],
        *,
        collection: str,
        sync: bool = False,
        anew: bool = False,
        on_event: OnEvent | None = None,
        stop: threading.Event | None = None,
    ) -> IngestReport:
        """Ingest files and folders; one report per file, whatever happened to it.

        Args:
            roots: Files and folders.
            collection: Where to; made when it is not there.
            sync: Remove the sources of these folders that are gone, unless the folder itself is.
            anew: Read files again that have not changed.
            on_event: Called with ``Progress`` and ``FileDone`` in this thread; what it raises ends the ingest.
            stop: Set it to end the ingest within about a second.

        Raises:
            InvalidSetting: An ignore pattern is malformed.
            StoreError: The store fails otherwise than by a full disk, which is reported.
            ModelError: The embedder fails.
        """
        places = [Path(root) for root in roots]
        run = _FileRun(self, places, collection=collection, anew=anew, on_event=on_event, stop=stop)
        run.work()
        if not run.halted:
            run.forget_gone_failures()
        if sync and not run.halted:
            run.remove_gone()
        return run.finished()

    def limits(self) -> Limits:
        """Return what one file may cost."""
        settings = self.settings
        return Limits(
            seconds=settings.parse_seconds,
            memory_bytes=settings.parse_memory_mb * _MIB,
            file_bytes=settings.max_file_mb * _MIB,
        )


class _FileRun(Run):
    """The ingest of files and folders."""

    def __init__(
        self,
        pipeline: Pipeline,
        roots: Sequence[Path],
        *,
        collection: str,
        anew: bool,
        on_event: OnEvent | None,
        stop: threading.Event | None,
    ) -> None:
        super().__init__(
            pipeline.store,
            pipeline.embedder,
            settings=pipeline.settings,
            collection=collection,
            recipe=pipeline.recipe,
            on_event=on_event,
            stop=stop,
            pace=pipeline.pace,
        )
        self._pipeline, self._roots, self._anew = pipeline, roots, anew
        self._found: queue.SimpleQueue[SourceFile | FileFailure] = queue.SimpleQueue()
        self._ended = threading.Event()
        self._seen: set[str] = set()
        self._out_of_sight: list[str] = []

    def work(self) -> None:
        """Do everything but the removing."""
        settings = self.settings
        options = ParseOptions(ocr=settings.ocr, max_unpacked_bytes=settings.max_unpacked_mb * _MIB)
        pool = ParserPool(
            limits=self._pipeline.limits(),
            options=options,
            n_workers=settings.parse_workers,
            parser=self._pipeline.parser,
        )
        with ThreadPoolExecutor(1, thread_name_prefix="scan") as scanner, pool:
            try:
                self._loop(scanner.submit(self._scan), pool)
            finally:
                self._ended.set()

    def _scan(self) -> None:
        found = scan(
            self._roots,
            ignore=self.settings.ignore,
            max_file_bytes=self.settings.max_file_mb * _MIB,
            known=Known(self.stored, recipe="" if self._anew else self.recipe),
            exclude=self._pipeline.exclude,
        )
        for one in found:
            self._found.put(one)
            if self._ended.is_set() or self.halted:
                break

    def _loop(self, scanning: Future[None], pool: ParserPool) -> None:
        while not self.halted:
            self.scanned = scanning.done()
            self._sort_found(pool)
            # What is parsed already is gathered before the next flush; what is not is not waited for.
            wait = 0.0 if self.batches.waits else _WAIT_SECONDS
            parsed = pool.take(timeout=wait)
            if parsed is not None:
                self._parsed(parsed)
            elif not self.flush() and self.scanned and self._found.empty() and not pool.n_pending:
                break
            self.tick()
        if scanning.done():
            scanning.result()

    def _sort_found(self, pool: ParserPool) -> None:
        while not self._found.empty() and not self.halted:
            found = self._found.get()
            self._seen.add(found.path)
            if isinstance(found, FileFailure):
                self.found()
                self._out_of_sight.append(storable_name(found.location))
                self.fail(found.path, found.error, location=found.location)
                continue
            self.found(size_bytes=found.size_bytes)
            if not self._anew and self.is_unchanged(found):
                self.keep(found, location=storable_name(found.location))
            else:
                self.open(found)
                pool.submit(found)

    def _parsed(self, parsed: Parsed) -> None:
        if parsed.document is not None:
            self.add(parsed.document, seconds=parsed.seconds)
        elif parsed.error is not None:
            self.fail(parsed.source.path, parsed.error, source=parsed.source, seconds=parsed.seconds)

    def remove_gone(self) -> None:
        """Remove the sources under folders that are there, of which nothing was seen."""
        folders = self._places(folders_only=True)
        for source in list(self.stored.values()):
            if source.path in self._seen or is_passage_recipe(source.recipe):
                continue
            if self._in_sight(source.location, folders):
                self.remove(source)

    def forget_gone_failures(self) -> None:
        """Forget what failed before and was not met again where it was."""
        places = self._places(folders_only=False)
        for failure in self.failed_before.values():
            if failure.path not in self._seen and self._in_sight(failure.location, places):
                self.forget_failure(failure.path)

    def _places(self, *, folders_only: bool) -> list[str]:
        roots = (root for root in self._roots if not folders_only or root.is_dir())
        return [storable_name(os.path.realpath(root)) for root in roots]

    def _in_sight(self, location: str, places: Sequence[str]) -> bool:
        """Return whether a file was looked for: a folder that could not be listed says nothing of what is in it."""
        hidden = any(is_inside(location, place) for place in self._out_of_sight)
        return not hidden and any(is_inside(location, place) for place in places)
