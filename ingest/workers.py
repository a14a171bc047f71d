"""Parse files in processes of their own that may be killed: for time, for memory, or by what they read.

Each process is served by a thread. A file that hangs, eats memory or crashes its parser costs that process, which is
replaced, and a report; the others go on. Processes end with the pool and with the process that owns it.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from dataclasses import dataclass

from core.errors import CitadelError, ParserCrashed
from core.records import Document, SourceFile
from ingest.builder import ParseOptions
from ingest.processes import Limits, ParserProcess, crashed
from ingest.wire import document_from_json, error_from_json, job_to_json

PARSER = "ingest.types:parse_file"

# Text that waits to be taken, in characters: enough that many small files are at hand, little enough to hold in memory.
_WAITING_CHARS = 16_000_000
# Libraries leak, and a process's memory limit is counted from what it has already.
_FILES_A_PROCESS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What became of a file in a parser; one of ``document`` and ``error`` is set."""

    source: SourceFile
    seconds: float
    document: Document | None = None
    error: CitadelError | None = None


def default_workers() -> int:
    """Return how many parser processes suit this machine: one a core, at most 4."""
    return max(1, min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))


class ParserPool:
    """Parser processes, started when there is something to parse.

    Args:
        limits: What one file may cost.
        options: What parsers keep to.
        n_workers: Processes; 0: :func:`default_workers`.
        parser: ``module:function`` that a process parses with, found on this process's ``sys.path``.
    """

    def __init__(self, *, limits: Limits, options: ParseOptions, n_workers: int = 0, parser: str = PARSER) -> None:
        self._limits, self._options, self._parser = limits, options, parser
        self._n_workers = n_workers or default_workers()
        self._jobs: queue.SimpleQueue[SourceFile | None] = queue.SimpleQueue()
        self._parsed: queue.SimpleQueue[Parsed] = queue.SimpleQueue()
        self._room = threading.Condition()
        self._waiting_chars = 0
        self._lanes: list[_Lane] = []
        self._closed = threading.Event()
        self._n_taken = 0
        self._n_given = 0

    def __enter__(self) -> ParserPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def n_pending(self) -> int:
        """Files submitted and not yet taken."""
        return self._n_given - self._n_taken

    def submit(self, source: SourceFile) -> None:
        """Queue a file; another thread may call this than takes what was parsed."""
        self._n_given += 1
        self._jobs.put(source)
        if len(self._lanes) < min(self._n_workers, self._n_given):
            lane = _Lane(self)
            self._lanes.append(lane)
            lane.start()

    def take(self, *, timeout: float) -> Parsed | None:
        """Return a file that was parsed, in any order, or None when none was within ``timeout`` seconds."""
        try:
            parsed = self._parsed.get(timeout=timeout)
        except queue.Empty:
            if self.n_pending and not any(lane.is_alive() for lane in self._lanes):
                raise RuntimeError("every thread that serves a parser has failed") from None
            return None
        self._n_taken += 1
        with self._room:
            self._waiting_chars -= _n_chars(parsed)
            self._room.notify_all()
        return parsed

    def close(self) -> None:
        """Kill the processes; what was not taken is lost."""
        self._closed.set()
        for lane in self._lanes:
            self._jobs.put(None)
            lane.kill()
        with self._room:
            self._room.notify_all()
        for lane in self._lanes:
            lane.join()


class _Lane(threading.Thread):
    """The thread that serves one parser process."""

    def __init__(self, pool: ParserPool) -> None:
        super().__init__(name="parser", daemon=True)
        self._pool = pool
        self._child: ParserProcess | None = None

    def run(self) -> None:
        pool = self._pool
        while True:
            source = pool._jobs.get()
            with pool._room:
                pool._room.wait_for(lambda: pool._closed.is_set() or pool._waiting_chars < _WAITING_CHARS)
            if source is None or pool._closed.is_set():
                break
            parsed = Parsed(source=source, seconds=0.0, error=crashed(source, "could not be given to its parser"))
            try:
                parsed = self._parse(source)
            finally:  # whatever goes wrong here, nobody may wait for this file for ever
                with pool._room:
                    pool._waiting_chars += _n_chars(parsed)
                pool._parsed.put(parsed)
        self._replace()

    def kill(self) -> None:
        """End the process; the thread notices."""
        if self._child is not None:
            self._child.kill()

    def _replace(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.end()
            self._child = None

    def _parse(self, source: SourceFile) -> Parsed:
        pool = self._pool
        started = time.monotonic()
        if self._child is not None and (self._child.ended or self._child.n_files == _FILES_A_PROCESS):
            self._replace()
        if self._child is None:
            n_threads = max(1, (os.cpu_count() or 1) // pool._n_workers)
            try:
                self._child = ParserProcess(pool._parser, pool._limits, n_threads=n_threads)
            except OSError as refused:
                what = f"could not be read: no parser process can be started ({refused.strerror})"
                busy = ParserCrashed(what, where=source.path, remedy="Close other programs and ingest again")
                return Parsed(source=source, seconds=time.monotonic() - started, error=busy)
            if pool._closed.is_set():  # closed between the check and the start
                self._child.kill()
        job = job_to_json(source, pool._options, max_file_bytes=pool._limits.file_bytes)
        answer = self._child.ask(job)
        document: Document | None = None
        error: CitadelError | None = None
        try:
            if "document" in answer:
                document = document_from_json(answer["document"])
                if (document.source.path, document.source.location) != (source.path, source.location):
                    raise ValueError("the document is another's")
            elif "error" in answer:
                error = error_from_json(answer["error"])
            else:
                error = self._child.fault(source, named=answer.get("crashed"))
        except (KeyError, TypeError, ValueError):
            document, error = None, crashed(source, "made its parser fail (no sensible answer)")
        seconds = time.monotonic() - started
        found = document.source if document is not None else source
        return Parsed(source=found, seconds=seconds, document=document, error=error)


def _n_chars(parsed: Parsed) -> int:
    return len(parsed.document.text) if parsed.document else 0
