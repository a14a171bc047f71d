"""How sources, documents and errors travel between the main process and its parser processes: JSON in frames.

JSON and no pickle: a parser that a hostile file has taken over can send text, but nothing that runs here.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict
from typing import IO, Any, get_args

from core.errors import CitadelError, every_error
from core.records import Document, Language, Locator, Section, SourceFile
from ingest.builder import ParseOptions

_LENGTH = struct.Struct(">Q")
# No document comes near the first; the second keeps a false length from taking memory before the bytes are there.
_MOST_BYTES = 2**32
_READ_BYTES = 2**20


def send(stream: IO[bytes], message: Mapping[str, Any]) -> None:
    """Write a message and flush it."""
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    stream.write(_LENGTH.pack(len(body)))
    stream.write(body)
    stream.flush()


def receive(stream: IO[bytes]) -> dict[str, Any]:
    """Read a message.

    Raises:
        EOFError: The stream ended, between messages or within one.
        ValueError: What came is no message.
    """
    (n_bytes,) = _LENGTH.unpack(_read(stream, _LENGTH.size))
    if n_bytes > _MOST_BYTES:
        raise ValueError("a message is not that long")
    try:
        message = json.loads(_read(stream, n_bytes).decode("utf-8", "surrogatepass"))
    except RecursionError as error:
        raise ValueError("a message is not that deep") from error
    if not isinstance(message, dict):
        raise ValueError("a message is an object")
    return message


def _read(stream: IO[bytes], n_bytes: int) -> bytes:
    body = bytearray()
    while len(body) < n_bytes:
        part = stream.read(min(n_bytes - len(body), _READ_BYTES))
        if not part:
            raise EOFError
        body += part
    return bytes(body)


def job_to_json(source: SourceFile, options: ParseOptions, *, max_file_bytes: int) -> dict[str, Any]:
    """Return what a parser process needs to know of a file."""
    return {"source": asdict(source), "options": asdict(options), "max_file_bytes": max_file_bytes}


def job_from_json(plain: Mapping[str, Any]) -> tuple[SourceFile, ParseOptions, int]:
    """Rebuild what :func:`job_to_json` was given."""
    return SourceFile(**plain["source"]), ParseOptions(**plain["options"]), int(plain["max_file_bytes"])


def document_to_json(document: Document) -> dict[str, Any]:
    """Return a document as JSON values; the text travels once, sections as ranges of it."""
    return {
        "source": asdict(document.source),
        "title": document.title,
        "text": document.text,
        "sections": [
            [section.kind, section.level, section.table_header, section.locator.to_json()]
            for section in document.sections
        ],
        "language": document.language,
        "n_pages": document.n_pages,
        "notes": list(document.notes),
    }


def document_from_json(plain: Mapping[str, Any]) -> Document:
    """Rebuild a document, trusting nothing about it.

    Raises:
        KeyError, TypeError, ValueError: It is malformed.
    """
    text = _text(plain["text"])
    sections = []
    for kind, level, table_header, place in plain["sections"]:
        locator = Locator.from_json(place)
        if not 0 <= locator.start <= locator.end <= len(text):
            raise ValueError("a section lies outside its document")
        for heading in locator.headings:
            _text(heading)
        section_text = text[locator.start : locator.end]
        header = _text(table_header)
        sections.append(Section(text=section_text, locator=locator, kind=kind, level=int(level), table_header=header))
    if plain["language"] not in get_args(Language):
        raise ValueError("a document is in a language that is known")
    return Document(
        source=SourceFile(**plain["source"]),
        title=_text(plain["title"]),
        text=text,
        sections=tuple(sections),
        language=plain["language"],
        n_pages=None if plain["n_pages"] is None else int(plain["n_pages"]),
        notes=tuple(_text(note) for note in plain["notes"]),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("text was expected")
    return value


def error_to_json(error: CitadelError) -> dict[str, Any]:
    """Return an error as JSON values."""
    return {"kind": type(error).__name__, "what": error.what, "where": error.where, "remedy": error.remedy}


def error_from_json(plain: Mapping[str, Any]) -> CitadelError:
    """Rebuild an error.

    Raises:
        KeyError, TypeError: It is malformed.
    """
    kinds = {kind.__name__: kind for kind in every_error()}
    kind = kinds.get(plain["kind"], CitadelError)
    return kind(_text(plain["what"]), where=_text(plain["where"]), remedy=_text(plain["remedy"]))
