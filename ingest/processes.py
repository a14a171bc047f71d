"""A parser process as its owner sees it: asked, waited for, killed, and asked why it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from typing import Any

from core.errors import CitadelError, ParseMemory, ParserCrashed, ParseTimeout
from core.records import SourceFile
from ingest.wire import receive, send

# How long a process that has closed its pipe may take to end.
_END_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one file may cost; ``memory_bytes`` is the growth of its parser's address space."""

    seconds: float
    memory_bytes: int
    file_bytes: int


class ParserProcess:
    """One parser process, used by one thread; any thread may kill it."""

    def __init__(self, parser: str, limits: Limits, *, n_threads: int) -> None:
        self._limits = limits
        self._timed_out = self._garbled = False
        self.ended = False
        self.n_files = 0
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
        self.n_files += 1
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

    def fault(self, source: SourceFile, *, named: object) -> CitadelError:
        """Return why the process ended without an answer; ``named`` is the kind of error that it told of, if any."""
        code = self._process.wait()
        if self._timed_out:
            what = f"took longer than {self._limits.seconds:g} seconds to read"
            remedy = "Raise ingest.parse_seconds, or split the file"
            return ParseTimeout(what, where=source.path, remedy=remedy)
        if named or self._garbled:
            kind = str(named)[:40] if named else "no sensible answer"
            return crashed(source, f"made its parser fail ({kind})")
        if code == -signal.SIGKILL:
            remedy = "Close other programs, or split the file"
            return ParseMemory("was given up: the system ran out of memory", where=source.path, remedy=remedy)
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return crashed(source, f"made its parser fail ({how})")

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


def crashed(source: SourceFile, what: str) -> ParserCrashed:
    """Return the error of a file that ended its parser, or made it talk nonsense."""
    return ParserCrashed(what, where=source.path, remedy="Open it in its program and save it again")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except ProcessLookupError:
        return
