"""Open what comes packed, zip files and XML, without letting it burst.

Every OOXML, OpenDocument and EPUB file is unpacked once here, counted and checked, before a library sees it.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

from lxml import etree

from core.errors import BombSuspected, DamagedDocument, EncryptedDocument
from ingest.builder import ParseOptions

MAX_MEMBERS = 20_000
MAX_RATIO = 400  # of one member; honest spreadsheets stay under 100
_RATIO_MATTERS_BYTES = 16 * 2**20
_STEP_BYTES = 2**20
_XML_ENDS = (".xml", ".rels", ".xhtml", ".html", ".htm", ".opf", ".ncx", ".vml", ".svg")
_ENTITY = "<!ENTITY"
_ENTITY_BYTES = (_ENTITY.encode(), _ENTITY.encode("utf-16-le"), _ENTITY.encode("utf-16-be"))
_OVERLAP_BYTES = max(len(mark) for mark in _ENTITY_BYTES) - 1

# ISO 29500 "strict" files name the same things by other addresses, which the libraries do not know.
_STRICT = b"http://purl.oclc.org/ooxml/"
_TRANSITIONAL = (
    (b"http://purl.oclc.org/ooxml/drawingml/", b"http://schemas.openxmlformats.org/drawingml/2006/"),
    (b"http://purl.oclc.org/ooxml/presentationml/main", b"http://schemas.openxmlformats.org/presentationml/2006/main"),
    (b"http://purl.oclc.org/ooxml/spreadsheetml/main", b"http://schemas.openxmlformats.org/spreadsheetml/2006/main"),
    (
        b"http://purl.oclc.org/ooxml/wordprocessingml/main",
        b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    ),
    (b"http://purl.oclc.org/ooxml/officeDocument/math", b"http://schemas.openxmlformats.org/officeDocument/2006/math"),
    (
        b"http://purl.oclc.org/ooxml/officeDocument/relationships",
        b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    ),
)


def open_archive(path: Path, *, name: str, options: ParseOptions) -> zipfile.ZipFile:
    """Open a zip file whose every member was read once and found whole and harmless.

    Args:
        path: The file.
        name: What users call it, for errors.
        options: ``max_unpacked_bytes`` bounds the sum of the members.

    Raises:
        DamagedDocument: It is truncated, or a member that is no picture does not match its checksum.
        EncryptedDocument: A member asks for a password.
        BombSuspected: It holds too many members, too many bytes, or XML that declares entities.
    """
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise _damaged(name) from error
    try:
        strict = _check(archive, name=name, limit=options.max_unpacked_bytes)
        return _transitional(archive) if strict else archive
    except BaseException:
        archive.close()
        raise


def parse_xml(content: bytes, *, name: str) -> Any:
    """Return the root of an XML text, without expanding entities or reaching for other files.

    Raises:
        DamagedDocument: It is malformed.
        BombSuspected: It declares entities.
    """
    if any(mark in content for mark in _ENTITY_BYTES):
        raise _entities(name)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False, load_dtd=False)
    try:
        return etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise DamagedDocument(f"holds malformed XML ({error})", where=name, remedy="Save it again") from error


def read_member(archive: zipfile.ZipFile, member: str) -> bytes | None:
    """Return a member's content, or None when there is no such member or it is damaged."""
    try:
        return archive.read(member)
    except (KeyError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError):
        return None


def _check(archive: zipfile.ZipFile, *, name: str, limit: int) -> bool:
    """Read every member once; return whether any speaks strict OOXML."""
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise _bomb(f"holds {len(members):,} packed files", name)
    declared = sum(member.file_size for member in members)
    if declared > limit:
        raise _bomb(f"would unpack to {declared // 2**20:,} MiB, more than the {limit // 2**20:,} MiB allowed", name)
    unpacked, strict = 0, False
    for member in members:
        if member.flag_bits & 1:
            raise EncryptedDocument("is protected by a password", where=name, remedy="Save it without a password")
        if member.file_size > max(_RATIO_MATTERS_BYTES, MAX_RATIO * member.compress_size):
            raise _bomb(f"unpacks {member.file_size // max(1, member.compress_size):,} times its size", name)
        is_xml = member.filename.lower().endswith(_XML_ENDS)
        n_bytes, is_strict = _stream(archive, member, name=name, is_xml=is_xml, left=limit - unpacked)
        unpacked += n_bytes
        strict = strict or is_strict
    return strict


def _stream(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, *, name: str, is_xml: bool, left: int
) -> tuple[int, bool]:
    n_bytes, tail, strict = 0, b"", False
    try:
        with archive.open(member) as stream:
            while step := stream.read(_STEP_BYTES):
                n_bytes += len(step)
                if n_bytes > left:  # what a member declares need not be what it holds
                    raise _bomb("unpacks to more than it declares", name)
                if is_xml:
                    window = tail + step
                    if any(mark in window for mark in _ENTITY_BYTES):
                        raise _entities(name)
                    strict = strict or _STRICT in window
                    tail = window[-_OVERLAP_BYTES:]
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        if is_xml:  # a broken picture harms nothing but itself
            raise _damaged(name) from error
    return n_bytes, strict


def _transitional(archive: zipfile.ZipFile) -> zipfile.ZipFile:
    copy = io.BytesIO()
    with archive, zipfile.ZipFile(copy, "w", zipfile.ZIP_STORED) as target:
        for member in archive.infolist():
            content = read_member(archive, member.filename) or b""
            if member.filename.lower().endswith(_XML_ENDS):
                for strict, transitional in _TRANSITIONAL:
                    content = content.replace(strict, transitional)
            target.writestr(member.filename, content)
    copy.seek(0)
    return zipfile.ZipFile(copy)


def _damaged(name: str) -> DamagedDocument:
    return DamagedDocument("is truncated or damaged", where=name, remedy="Copy or save it again from where it came")


def _bomb(what: str, name: str) -> BombSuspected:
    return BombSuspected(what, where=name, remedy="If you trust it, raise ingest.max_unpacked_mb")


def _entities(name: str) -> BombSuspected:
    return BombSuspected("declares XML entities, as entity bombs do", where=name, remedy="Save it again without them")
