"""Tell what a file is by its content, and hand it to the parser for it.

The extension only chooses between kinds of text. A file whose content is another type than its name says is read as
what it is, with a note.
"""

from __future__ import annotations

import json
import logging
import re
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import ParseError

import olefile
from lxml import etree

from core.errors import DamagedDocument, EmptyFile, EncryptedDocument, UnreadableFile, UnsupportedType, WrongExtension
from core.records import Document, SourceFile
from core.tables import load
from ingest.builder import ParseOptions
from ingest.encodings import decode, is_text
from ingest.formats import (
    BINARY_EXTENSIONS,
    KNOWN_OTHERS,
    MAGIC,
    NAMED_FILES,
    ODP,
    ODS,
    ODT,
    OLE_STREAMS,
    PARSERS,
    TEXT_EXTENSIONS,
    ZIP_MEMBERS,
)

log = logging.getLogger(__name__)

__all__ = ["LIBRARY_FAULTS", "PARSERS", "extension_of", "media_type_of", "parse_file"]

_HEAD_BYTES = 64 * 2**10
_JSON_BYTES = 64 * 2**20
_PDF_WITHIN = 1024
_REMEDY = "Convert it to a type that is read, such as PDF, DOCX, HTML or text"

_HTML = re.compile(r"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S)
_HTML_PIECE = re.compile(r"\s*<(?:div|p|table|h[1-6]|article|section|ul|ol|title|meta)\b[^>]*>", re.I)
_MAIL_HEADER = re.compile(
    r"^(?:From|To|Subject|Date|Message-ID|MIME-Version|Return-Path|Received|Delivered-To|Content-Type|Reply-To):",
    re.I | re.M,
)
_ANY_HEADER = re.compile(r"(?:[\x21-\x39\x3b-\x7e]+:.*(?:\n[ \t].*)*(?:\n|\Z))+")

# What libraries raise on a malformed file besides errors of their own; ``parse_file`` is where they become ours.
LIBRARY_FAULTS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    etree.LxmlError,
    ParseError,
)


def media_type_of(path: Path) -> str:
    """Return the media type of a file's content; a key of :data:`PARSERS`.

    Raises:
        EmptyFile: It has no bytes.
        UnreadableFile: It may not be read.
        UnsupportedType: No parser reads this type.
        WrongExtension: The name promises a type that the content is not, and the content is none that is read.
        EncryptedDocument: It is an Office file under a password.
        DamagedDocument: It is an Office file cut short.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError as error:
        said = error.strerror or "it may not be opened"
        raise UnreadableFile(f"cannot be read ({said.lower()})", where=path.name, remedy="Check its rights") from error
    if not head:
        raise EmptyFile("is empty", where=path.name, remedy="Check how it was made or copied")
    if b"%PDF-" in head[:_PDF_WITHIN]:
        return "application/pdf"
    for magic, media_type in MAGIC:
        if head.startswith(magic):
            return media_type
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    if head.startswith(b"BM") and int.from_bytes(head[2:6], "little") == path.stat().st_size:
        return "image/bmp"
    if head.startswith(b"PK\x03\x04"):
        return _zip_type(path)
    if head.startswith(olefile.MAGIC):
        return _ole_type(path)
    if is_text(head):
        return _text_type(path, head)
    raise _unknown(path, head)


def parse_file(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse a file with the parser for its media type.

    Raises:
        DocumentError: The file cannot be parsed.
    """
    target = PARSERS.get(source.media_type)
    if target is None:
        raise UnsupportedType(f"is of type {source.media_type}, which is not read", where=source.path, remedy=_REMEDY)
    try:
        document: Document = load(target)(path, source, options)
    except LIBRARY_FAULTS as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the system's word about the file, not a library's about its content
        log.info("parsing failed with %s", type(error).__name__, exc_info=error)
        said = f"cannot be read as {source.media_type} ({type(error).__name__})"
        raise DamagedDocument(said, where=source.path, remedy="Open it in its program and save it again") from error
    contradiction = _contradiction(source)
    return replace(document, notes=(contradiction, *document.notes)) if contradiction else document


def extension_of(name: str) -> str:
    """Return the extension of a file name in lower case, without its dot; "" where there is none."""
    return PurePosixPath(name).suffix[1:].lower()


def _contradiction(source: SourceFile) -> str:
    extension = extension_of(source.path)
    promised = BINARY_EXTENSIONS.get(extension)
    if promised is None and extension in TEXT_EXTENSIONS and not _is_text_type(source.media_type):
        promised = (TEXT_EXTENSIONS[extension],)
    if promised is None or source.media_type in promised:
        return ""
    return f"the name ends in .{extension} but the content is {source.media_type}, and is read as that"


def _is_text_type(media_type: str) -> bool:
    return media_type.startswith(("text/", "message/")) or media_type in ("application/json", "application/jsonl")


def _zip_type(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            mimetype = archive.read("mimetype").decode("ascii", "replace").strip() if "mimetype" in names else ""
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise DamagedDocument(
            "is truncated or damaged", where=path.name, remedy="Copy or save it again from where it came"
        ) from error
    for known in (ODT, ODS, ODP):
        if mimetype in (known, f"{known}-template"):
            return known
    if mimetype == "application/epub+zip" or "META-INF/container.xml" in names:
        return "application/epub+zip"
    if any(name.startswith("xl/") and name.endswith(".bin") and "workbook" in name for name in names):
        raise UnsupportedType("is a binary Excel workbook", where=path.name, remedy="Save it as .xlsx")
    if "[Content_Types].xml" in names:
        for prefix, media_type in ZIP_MEMBERS:
            if any(name.startswith(prefix) for name in names):
                return media_type
    promised = extension_of(path.name)
    if promised in BINARY_EXTENSIONS:
        raise WrongExtension(
            f"ends in .{promised} but holds other packed files",
            where=path.name,
            remedy="Unpack it and add what it holds",
        )
    raise UnsupportedType("is a ZIP archive", where=path.name, remedy="Unpack it and add what it holds")


def _ole_type(path: Path) -> str:
    try:
        with olefile.OleFileIO(path) as ole:
            streams = {entry[0].lower() for entry in ole.listdir()}
    except (OSError, ValueError, IndexError, struct.error) as error:
        raise DamagedDocument(
            "is truncated or damaged", where=path.name, remedy="Copy or save it again from where it came"
        ) from error
    if "encryptedpackage" in streams:
        raise EncryptedDocument("is protected by a password", where=path.name, remedy="Save it without a password")
    for stream, media_type in OLE_STREAMS:
        if stream.lower() in streams:
            return media_type
    if extension_of(path.name) in BINARY_EXTENSIONS:
        said = "holds none of the parts that its name promises"
        raise DamagedDocument(said, where=path.name, remedy="Copy or save it again from where it came")
    raise UnsupportedType("is an old Office container of no known kind", where=path.name, remedy=_REMEDY)


def _text_type(path: Path, head: bytes) -> str:
    text, _ = decode(head)
    extension = extension_of(path.name)
    named = NAMED_FILES.get(path.name.lower()) or TEXT_EXTENSIONS.get(extension)
    if _HTML.match(text) and named in (None, "text/plain", "text/csv", "text/tab-separated-values", "text/xml"):
        return "text/html"
    if named not in (None, "text/plain"):
        return named or "text/plain"
    if _is_mail(text):
        return "message/rfc822"
    if text.lstrip()[:1] in ("{", "["):
        records = _json_type(path)
        if records:
            return records
    if named is None and _HTML_PIECE.match(text):
        return "text/html"
    if named is None and text.lstrip().startswith("<?xml"):
        return "text/xml"
    if named is None and text.startswith("#!"):
        return "text/x-python" if "python" in text.partition("\n")[0] else "text/x-shell"
    return "text/plain"


def _is_mail(text: str) -> bool:
    headers = _ANY_HEADER.match(text)
    if headers is None:
        return False
    known = {match.group().lower() for match in _MAIL_HEADER.finditer(headers.group())}
    return len(known) >= 3 or len(known & {"message-id:", "mime-version:", "received:", "return-path:"}) >= 2


def _json_type(path: Path) -> str:
    if path.stat().st_size > _JSON_BYTES:
        return ""
    text, _ = decode(path.read_bytes())
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        lines = [line for line in text.splitlines() if line.strip()]
        return "application/jsonl" if len(lines) > 1 and all(_is_record(line) for line in lines[:20]) else ""
    return "application/json"


def _is_record(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict | list)
    except (ValueError, RecursionError):
        return False


def _unknown(path: Path, head: bytes) -> UnsupportedType | WrongExtension:
    extension = extension_of(path.name)
    what = next((said for magic, said in KNOWN_OTHERS if head.startswith(magic)), "")
    if head[4:8] == b"ftyp":
        what = "a film or a recording"
    if extension in BINARY_EXTENSIONS or extension in TEXT_EXTENSIONS:
        found = f"is {what}" if what else "is of no type that is known"
        said = f"ends in .{extension} but its content {found}"
        return WrongExtension(said, where=path.name, remedy="Check how it was made, or save it again")
    return UnsupportedType(f"is {what or 'a binary file of unknown type'}", where=path.name, remedy=_REMEDY)
