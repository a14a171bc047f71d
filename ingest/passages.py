"""A corpus of ready passages: JSON lines ``{"id", "title", "text"}``, each a source of its own named by its id."""

from __future__ import annotations

import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import MalformedInput, MissingPath, NotRegularFile
from core.records import Document, Locator, Section, SourceFile
from core.text import detect_language
from ingest.known import is_passage_recipe
from ingest.pipeline import Pipeline
from ingest.reports import IngestReport
from ingest.runs import OnEvent, Run
from ingest.scan import FileFailure, failure_of
from ingest.storable import storable_name, storable_text

RECIPE_VERSION = 1
MEDIA_TYPE = "text/plain"

_MIB = 2**20
_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A line of a corpus: its number in the file, from 1, and what it says."""

    line: int
    id: str
    title: str
    text: str


def ingest_passages(
    pipeline: Pipeline,
    path: str | os.PathLike[str],
    *,
    collection: str,
    sync: bool = False,
    on_event: OnEvent | None = None,
    stop: threading.Event | None = None,
) -> IngestReport:
    """Ingest a file of passages line by line; a line that cannot be used is reported, and the others go on.

    Args:
        pipeline: What to ingest with.
        path: The file of JSON lines.
        collection: Where to; made when it is not there.
        sync: Remove the passages that came from this file and are in it no more.
        on_event: Called with ``Progress`` and ``FileDone`` in this thread; what it raises ends the ingest.
        stop: Set it to end the ingest within about a second.

    Raises:
        MissingPath: There is no such file.
        DocumentError: It is no regular file, or may not be read.
        StoreError: The store fails otherwise than by a full disk, which is reported.
    """
    file = Path(path)
    shown = storable_name(os.fspath(path))
    if not file.exists():
        raise MissingPath("does not exist", where=shown, remedy="Check the spelling")
    if not file.is_file():
        raise NotRegularFile("is not a file", where=shown, remedy="Name a file of JSON lines")
    run = Run(
        pipeline.store,
        pipeline.embedder,
        settings=pipeline.settings,
        collection=collection,
        recipe=f"passages-{RECIPE_VERSION} {pipeline.cutting}",
        on_event=on_event,
        stop=stop,
        pace=pipeline.pace,
    )
    location = os.path.realpath(file)
    try:
        seen = _ingest_lines(run, file, location)
    except OSError as error:
        raise failure_of(error, shown) from error
    if sync and not run.halted:
        for source in list(run.stored.values()):
            ours = source.location == storable_name(location) and is_passage_recipe(source.recipe)
            if ours and source.path not in seen:
                run.remove(source)
    return run.finished()


def read_passages(path: Path, *, max_line_bytes: int = 16 * _MIB) -> Iterator[Passage | FileFailure]:
    """Yield the passages of a file, and for each line that holds none, why.

    Raises:
        OSError: The file cannot be read.
    """
    first_lines: dict[str, int] = {}
    with path.open("rb") as file:
        number = 0
        while line := file.readline(max_line_bytes + 1):
            number += 1
            whole = len(line) <= max_line_bytes
            while not whole and (rest := file.readline(max_line_bytes)) and not rest.endswith(b"\n"):
                pass  # the rest of a line that is too long is not kept
            if not line.strip():
                continue
            try:
                if not whole:
                    raise _malformed("is longer than a passage may be", path, number)
                passage = _passage(line, path, number)
                if passage.id in first_lines:
                    raise _malformed(f"its id stands on line {first_lines[passage.id]} already", path, number)
            except MalformedInput as error:
                yield FileFailure(path=_line_name(path, number), location=os.path.realpath(path), error=error)
            else:
                first_lines[passage.id] = number
                yield passage


def _ingest_lines(run: Run, path: Path, location: str) -> set[str]:
    """Ingest what has changed and return the ids that were read."""
    status = path.stat()
    seen: set[str] = set()
    for one in read_passages(path):
        if run.halted:
            return seen
        if isinstance(one, FileFailure):
            run.found()
            run.fail(one.path, one.error, location=one.location)
            continue
        seen.add(one.id)
        source = _source(one, location=location, modified=status.st_mtime)
        run.found(size_bytes=source.size_bytes)
        if run.is_unchanged(source):
            run.keep(source, location=storable_name(location))
        else:
            run.open(source)
            run.add(_document(one, source), label="")
    run.scanned = True
    run.flush()
    return seen


def _passage(line: bytes, path: Path, number: int) -> Passage:
    try:
        plain: Any = json.loads(line.decode("utf-8-sig"))
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise _malformed("is no JSON in UTF-8", path, number) from error
    if not isinstance(plain, dict):
        raise _malformed("is not an object", path, number)
    name, title, text = plain.get("id"), plain.get("title") or "", plain.get("text")
    if isinstance(name, int) and not isinstance(name, bool):
        name = str(name)
    if not isinstance(name, str) or not name.strip():
        raise _malformed('has no "id"', path, number)
    if not isinstance(title, str):
        raise _malformed('has a "title" that is no text', path, number)
    if not isinstance(text, str) or not text.strip():
        raise _malformed('has no "text"', path, number)
    return Passage(line=number, id=name.encode("utf-8", "replace").decode(), title=title, text=text)


def _malformed(what: str, path: Path, number: int) -> MalformedInput:
    remedy = 'A line is {"id": "…", "title": "…", "text": "…"}'
    return MalformedInput(what, where=_line_name(path, number), remedy=remedy)


def _line_name(path: Path, number: int) -> str:
    return f"{storable_name(path.name)}, line {number}"


def _source(passage: Passage, *, location: str, modified: float) -> SourceFile:
    content = f"{passage.title}\n{passage.text}".encode("utf-8", "surrogatepass")
    return SourceFile(
        path=passage.id,
        location=location,
        sha256=hashlib.sha256(content).hexdigest(),
        media_type=MEDIA_TYPE,
        size_bytes=len(content),
        modified=modified,
    )


def _document(passage: Passage, source: SourceFile) -> Document:
    """Return a passage as a document whose text is the passage's own, its paragraphs the sections."""
    sections = []
    start = 0
    for end, following in [
        *((m.start(), m.end()) for m in _BLANK_LINES.finditer(passage.text)),
        (len(passage.text),) * 2,
    ]:
        if text := passage.text[start:end].strip():
            first = passage.text.index(text, start)
            sections.append(Section(text=text, locator=Locator(start=first, end=first + len(text))))
        start = following
    return storable_text(
        Document(
            source=source,
            title=passage.title,
            text=passage.text,
            sections=tuple(sections),
            language=detect_language(passage.text),
        )
    )
