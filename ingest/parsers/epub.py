"""EPUB: the chapters in the order of the spine."""

from __future__ import annotations

import posixpath
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from core.errors import DamagedDocument, EncryptedDocument
from core.records import Document, SourceFile
from ingest.archives import open_archive, parse_xml, read_member
from ingest.builder import DocumentBuilder, ParseOptions
from ingest.encodings import decode
from ingest.parsers.html_text import inline_text, tag_of
from ingest.parsers.webpage import add_page, html_root

_FONT_SCRAMBLING = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")
_PAGES = ("application/xhtml+xml", "text/html", "text/x-oeb1-document")


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse an EPUB book.

    Raises:
        DamagedDocument: It has no table of its parts, or is truncated.
        EncryptedDocument: It is under digital rights management.
    """
    with open_archive(path, name=source.path, options=options) as archive:
        _refuse_encrypted(archive, source)
        package_path = _package_path(archive, source)
        package = parse_xml(read_member(archive, package_path) or b"", name=source.path)
        builder = DocumentBuilder(source=source, title=_first(package, "title"))
        folder = posixpath.dirname(package_path)
        files = {item.get("id"): item for item in package.iter() if tag_of(item) == "item"}
        titles = _chapter_titles(archive, files, folder=folder)
        for reference in (element for element in package.iter() if tag_of(element) == "itemref"):
            item = files.get(reference.get("idref"))
            if item is not None and item.get("media-type") in _PAGES and "nav" not in (item.get("properties") or ""):
                _add_chapter(builder, archive, member=_member(folder, item.get("href")), titles=titles)
        return builder.build()


def _add_chapter(builder: DocumentBuilder, archive: zipfile.ZipFile, *, member: str, titles: dict[str, str]) -> None:
    content = read_member(archive, member)
    if content is None:
        builder.note(f"chapter {posixpath.basename(member)} is missing or damaged")
        return
    root = html_root(decode(content)[0])
    if root is None:
        return
    has_heading = any(tag_of(element) in ("h1", "h2", "h3") for element in root.iter())
    if not has_heading and member in titles:
        builder.close_headings()
        builder.set_heading(titles[member], level=1)
    add_page(builder, root)


def _refuse_encrypted(archive: zipfile.ZipFile, source: SourceFile) -> None:
    rights = read_member(archive, "META-INF/encryption.xml")
    if rights is None:
        return
    root = parse_xml(rights, name=source.path)
    methods = [element.get("Algorithm") for element in root.iter() if tag_of(element) == "encryptionmethod"]
    if any(method not in _FONT_SCRAMBLING for method in methods):
        raise EncryptedDocument("is under copy protection", where=source.path, remedy="Use a copy without it")


def _package_path(archive: zipfile.ZipFile, source: SourceFile) -> str:
    container = read_member(archive, "META-INF/container.xml")
    if container is not None:
        for element in parse_xml(container, name=source.path).iter():
            if tag_of(element) == "rootfile" and element.get("full-path"):
                return str(element.get("full-path"))
    raise DamagedDocument("names no book inside it", where=source.path, remedy="Fetch or save the book again")


def _chapter_titles(archive: zipfile.ZipFile, files: dict[str, Any], *, folder: str) -> dict[str, str]:
    """Return what the book's table of contents calls each of its files."""
    titles: dict[str, str] = {}
    for item in files.values():
        kind = item.get("media-type") or ""
        if kind != "application/x-dtbncx+xml" and "nav" not in (item.get("properties") or ""):
            continue
        listing = _member(folder, item.get("href"))
        root = html_root(decode(read_member(archive, listing) or b" ")[0])
        for element in root.iter() if root is not None else ():
            address, title = _entry(element)
            if address and title:
                titles.setdefault(_member(posixpath.dirname(listing), address.partition("#")[0]), title)
    return titles


def _entry(element: Any) -> tuple[str, str]:
    if tag_of(element) == "a":
        return element.get("href") or "", inline_text(element)
    if tag_of(element) == "navpoint":
        label = next((inline_text(e) for e in element.iter() if tag_of(e) == "navlabel"), "")
        content = next((e for e in element.iter() if tag_of(e) == "content"), None)
        return (content.get("src") or "" if content is not None else ""), label
    return "", ""


def _member(folder: str, address: str | None) -> str:
    return posixpath.normpath(posixpath.join(folder, unquote(address or "")))


def _first(root: Any, tag: str) -> str:
    return next((inline_text(element) for element in root.iter() if tag_of(element) == tag), "")
