"""Parse files in processes of their own that may be killed: for time, for memory, or by what they read.

Each process is served by a thread. A file that hangs, eats memory or crashes its parser costs that process, which is
replaced, and a report; the others go on. Processes end with the pool and with the process that owns it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from core.errors import CitadelError, ParseMemory, ParserCrashed, ParseTimeout
from core.records import Document, SourceFile
from ingest.builder import ParseOptions
from ingest.wire import document_from_json, error_from_json, job_to_json, receive, send

PARSER = "ingest.types:parse_file"

# Text that waits to be taken, in characters: enough that many small files are at hand, little enough to hold in memory.
_WAITING_CHARS = 16_000_000
# How long a process that has closed its pipe may take to end.
_END_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one file may cost; ``memory_bytes`` is the growth of its parser's address space."""

    seconds: float
    memory_bytes: int
    file_bytes: int


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
        self._child: _Child | None = None

    def run(self) -> None:
        pool = self._pool
        while True:
            source = pool._jobs.get()
            with pool._room:
                pool._room.wait_for(lambda: pool._closed.is_set() or pool._waiting_chars < _WAITING_CHARS)
            if source is None or pool._closed.is_set():
                break
            parsed = self._parse(source)
            with pool._room:
                pool._waiting_chars += _n_chars(parsed)
            pool._parsed.put(parsed)
        if self._child is not None:
            self._child.kill()
            self._child.end()

    def kill(self) -> None:
        """End the process; the thread notices."""
        if self._child is not None:
            self._child.kill()

    def _parse(self, source: SourceFile) -> Parsed:
        pool = self._pool
        started = time.monotonic()
        if self._child is not None and self._child.ended:
            self._child.end()
            self._child = None
        if self._child is None:
            n_threads = max(1, (os.cpu_count() or 1) // pool._n_workers)
            self._child = _Child(pool._parser, pool._limits, n_threads=n_threads)
            if pool._closed.is_set():  # closed between the check and the start
                self._child.kill()
        job = job_to_json(source, pool._options, max_file_bytes=pool._limits.file_bytes)
        answer = self._child.ask(job)
        document: Document | None = None
        error: CitadelError | None = None
        try:
            if "document" in answer:
                document = document_from_json(answer["document"])
            elif "error" in answer:
                error = error_from_json(answer["error"])
            else:
                error = self._child.fault(source, crashed=answer.get("crashed"))
        except (KeyError, TypeError, ValueError):
            error = _crashed(source, "made its parser fail (no sensible answer)")
        seconds = time.monotonic() - started
        found = document.source if document is not None else source
        return Parsed(source=found, seconds=seconds, document=document, error=error)


class _Child:
    """One parser process, used by one thread; any thread may kill it."""

    def __init__(self, parser: str, limits: Limits, *, n_threads: int) -> None:
        self._limits = limits
        self._timed_out = self._garbled = False
        self.ended = False
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
            "OMP_NUM_THREADS": str(n_threads),
        }
        # A session of its own: Ctrl-C reaches the owner alone, and what a parser starts is killed with it.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "ingest.parser_child", parser, str(limits.memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a job; without "document" and "error" it was the last."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        timer = threading.Timer(self._limits.seconds, self._kill_for_time)
        timer.daemon = True
        timer.start()
        answer: dict[str, Any] = {}
        try:
            send(stdin, job)
            answer = receive(stdout)
        except (EOFError, OSError):
            self.ended = True
        except ValueError:
            self._garbled = True
        finally:
            timer.cancel()
            timer.join()  # should it be killing, the next job must not meet a process about to die
        if "document" not in answer and "error" not in answer:
            self.end()
        return answer

    def fault(self, source: SourceFile, *, crashed: object) -> CitadelError:
        """Return why the process ended without an answer."""
        code = self._process.wait()
        if self._timed_out:
            what = f"took longer than {self._limits.seconds:g} seconds to read"
            remedy = "Raise ingest.parse_seconds, or split the file"
            return ParseTimeout(what, where=source.path, remedy=remedy)
        if crashed or self._garbled:
            return _crashed(source, f"made its parser fail ({crashed or 'no sensible answer'})")
        if code == -signal.SIGKILL:
            remedy = "Close other programs, or split the file"
            return ParseMemory("was given up: the system ran out of memory", where=source.path, remedy=remedy)
        named = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return _crashed(source, f"made its parser fail ({named})")

    def kill(self) -> None:
        """Kill the process and what it started."""
        self.ended = True
        if self._process.poll() is None:
            _kill_group(self._process)

    def end(self) -> None:
        """Let a process that has closed its pipe end by itself, kill it otherwise, and close the pipes."""
        try:
            if not self._garbled:
                self._process.wait(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            self._garbled = True
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was not sent is of no use any more
                    pipe.close()

    def _kill_for_time(self) -> None:
        self._timed_out = True
        self.kill()


def _n_chars(parsed: Parsed) -> int:
    return len(parsed.document.text) if parsed.document else 0


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except ProcessLookupError:
        return


def _crashed(source: SourceFile, what: str) -> ParserCrashed:
    return ParserCrashed(what, where=source.path, remedy="Open it in its program and save it again")
