"""HTML pages: what a reader came for, without menus, scripts and forms."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import lxml.html
from lxml import etree

from core.errors import NoText
from core.records import Document, SourceFile
from ingest.builder import DocumentBuilder, ParseOptions
from ingest.encodings import decode, encoding_note
from ingest.parsers.blocks import HtmlWalker
from ingest.parsers.html_text import inline_text, tag_of

_DECLARED = re.compile(rb"<meta[^>]+charset\s*=\s*[\"']?\s*([\w-]+)|<\?xml[^>]+encoding\s*=\s*[\"']([\w-]+)", re.I)
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>", re.I)
_MENU_ROLES = frozenset(("navigation", "menu", "menubar", "search", "dialog"))
_EDGES = frozenset(("header", "footer", "aside"))
_MAIN_SHARE = 0.4  # of a page's text; a smaller <main> is not where the page's text is
_SHORT_PAGE = 200  # characters
_LINKED_SHARE = 0.5  # of an edge's text; above it, it is a menu


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse an HTML file.

    Raises:
        NoText: Nothing on the page is text.
    """
    data = path.read_bytes()
    declared = _DECLARED.search(data[:4096])
    name = next((group.decode() for group in declared.groups() if group), "") if declared else ""
    text, encoding = decode(data, declared=name)
    builder = DocumentBuilder(source=source, notes=list(encoding_note(encoding)))
    root = html_root(text)
    if root is None:
        raise NoText("holds no text", where=source.path, remedy="Check that the page was saved whole")
    builder.title = page_title(root)
    add_page(builder, root)
    return builder.build()


def html_root(text: str) -> Any | None:
    """Return the root of an HTML text, or None when it has no elements and no text."""
    text = _DECLARATION.sub("", text)
    parser = lxml.html.HTMLParser(no_network=True, huge_tree=False, remove_comments=True, remove_pis=True)
    try:
        return lxml.html.document_fromstring(text, parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):
        return None


def page_title(root: Any) -> str:
    """Return what the page calls itself, else its first heading."""
    for found in root.iter("title", "h1"):
        title = inline_text(found)
        if title:
            return title
    return ""


def add_page(builder: DocumentBuilder, root: Any, *, level_offset: int = 0) -> None:
    """Add a page's text; its menus too when there is nothing else."""
    part = _main_part(root)
    length, whole = len(inline_text(part)), len(inline_text(_whole(root)))
    if length < _SHORT_PAGE and length * 2 < whole:  # a page that is little but its menus is read with them
        part = _whole(root)
    HtmlWalker(builder=builder, level_offset=level_offset).walk(part)


def _whole(root: Any) -> Any:
    body = root.find("body")
    return root if body is None else body


def _main_part(root: Any) -> Any:
    """Return a copy of the part of a page that holds its text, without menus."""
    body = _whole(root)
    length = len(inline_text(body))
    mains = [e for e in body.iter() if tag_of(e) == "main" or (tag_of(e) and e.get("role") == "main")]
    part = mains[0] if len(mains) == 1 and len(inline_text(mains[0])) > length * _MAIN_SHARE else body
    part = copy.deepcopy(part)
    for element in list(part.iter()):
        if element is not part and element.getparent() is not None and _is_menu(element):
            element.drop_tree()
    return part


def _is_menu(element: Any) -> bool:
    tag = tag_of(element)
    if tag == "nav" or (tag and (element.get("role") or "") in _MENU_ROLES):
        return True
    if tag not in _EDGES:
        return False
    n_linked = sum(len(inline_text(link)) for link in element.iter("a"))
    return n_linked > _LINKED_SHARE * len(inline_text(element))
