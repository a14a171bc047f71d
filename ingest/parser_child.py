"""A parser process: reads jobs from its standard input, answers on its standard output, ends when its parent does.

It is started as ``python -m ingest.parser_child MODULE:FUNCTION MEMORY_BYTES`` and imports parsers on first use, so
that a new one costs little. An error that is no :class:`CitadelError` ends it, after naming the error.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from core.errors import CitadelError, DamagedDocument, FileChanged, ParseMemory
from core.records import Document, SourceFile
from core.tables import load
from ingest.builder import ParseOptions
from ingest.scan import failure_of, identify
from ingest.storable import storable_text
from ingest.wire import document_to_json, error_to_json, job_from_json, receive, send

Parse = Callable[[Path, SourceFile, ParseOptions], Document]

_PR_SET_PDEATHSIG = 1
# Whoever waits for an answer comes first; with nobody waiting, parsing is as fast as ever.
_NICENESS = 10


def main(parser: str, memory_bytes: int) -> None:
    """Answer jobs until the parent closes the pipe or is gone."""
    jobs, answers = _private_streams()
    _die_with_parent()
    if hasattr(os, "nice"):
        os.nice(_NICENESS)

    def name_and_end(kind: type[BaseException], error: BaseException, trace: object) -> None:
        # The error's words may be those of the document, so its kind alone is told.
        send(answers, {"crashed": kind.__name__})

    sys.excepthook = name_and_end
    parse: Parse = load(parser)
    for job in _arriving(jobs):
        _limit_growth(memory_bytes)
        send(answers, _answer(job, parse))


def _answer(job: dict[str, Any], parse: Parse) -> dict[str, Any]:
    source, options, max_file_bytes = job_from_json(job)
    try:
        return {"document": document_to_json(read(source, options, parse=parse, max_file_bytes=max_file_bytes))}
    except CitadelError as error:
        return {"error": error_to_json(error)}
    except OSError as error:
        return {"error": error_to_json(failure_of(error, source.path))}
    except RecursionError:
        deep = DamagedDocument(
            "is nested too deep to be read", where=source.path, remedy="Save it anew in a simpler form"
        )
        return {"error": error_to_json(deep)}
    except MemoryError:
        remedy = "Raise ingest.parse_memory_mb, or split the file"
        return {"error": error_to_json(ParseMemory("took too much memory to read", where=source.path, remedy=remedy))}


def read(source: SourceFile, options: ParseOptions, *, parse: Parse, max_file_bytes: int) -> Document:
    """Parse a file and make sure that it is the one that was hashed, before and after; a change is met by one retry.

    Raises:
        FileChanged: It changed again.
        DocumentError: What the parser or a new look at the file raises.
    """
    if not _is_as_hashed(source):
        source = identify(source.path, location=source.location, max_file_bytes=max_file_bytes)
    document = parse(Path(source.location), source, options)
    if not _is_as_hashed(source):
        source = identify(source.path, location=source.location, max_file_bytes=max_file_bytes)
        document = parse(Path(source.location), source, options)
        if not _is_as_hashed(source):
            remedy = "Ingest it again when nothing writes to it"
            raise FileChanged("changed while it was read", where=source.path, remedy=remedy)
    return storable_text(replace(document, source=source))


def _is_as_hashed(source: SourceFile) -> bool:
    status = os.lstat(source.location)
    return (status.st_size, status.st_mtime) == (source.size_bytes, source.modified)


def _private_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Move the pipes out of the way of whatever a library prints or reads."""
    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    return jobs, answers


def _arriving(jobs: IO[bytes]) -> Iterator[dict[str, Any]]:
    """Yield jobs; end the process at once, even in the middle of one, when the parent closes the pipe."""
    waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def listen() -> None:
        try:
            while True:
                waiting.put(receive(jobs))
        except (EOFError, OSError):
            os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        yield waiting.get()


def _die_with_parent() -> None:
    """Ask Linux for SIGKILL when the parent dies, should a library hold the interpreter when the pipe closes."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_growth(memory_bytes: int) -> None:
    """Let the address space grow by ``memory_bytes`` from where it is now; systems without such a limit go without."""
    if sys.platform == "linux":
        import resource

        with open("/proc/self/statm") as file:
            n_pages = int(file.read().split()[0])
        limit = n_pages * resource.getpagesize() + memory_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
