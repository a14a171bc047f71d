"""Markdown: CommonMark with tables, rendered to HTML and walked like a page, so that no markup is left in the text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from markdown_it import MarkdownIt

from core.records import Document, SourceFile
from ingest.builder import DocumentBuilder, ParseOptions
from ingest.encodings import decode, encoding_note
from ingest.parsers.blocks import HtmlWalker
from ingest.parsers.html_text import inline_text
from ingest.parsers.webpage import html_root

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.S)
_MAX_FRONT_MATTER = 20_000  # characters


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse a Markdown file."""
    text, encoding = decode(path.read_bytes())
    builder = DocumentBuilder(source=source, notes=list(encoding_note(encoding)))
    matter, text = _front_matter(text)
    _add_front_matter(builder, matter)
    root = html_root(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))
    if root is not None:
        body = root.find("body")
        if body is not None:  # a script or a style alone makes a page of a head
            HtmlWalker(builder=builder).walk(body)
        headings = (inline_text(heading) for heading in root.iter("h1", "h2"))
        builder.title = builder.title or next((heading for heading in headings if heading), "")
    return builder.build()


def _front_matter(text: str) -> tuple[dict[str, Any], str]:
    found = _FRONT_MATTER.match(text)
    if not found or len(found.group(1)) > _MAX_FRONT_MATTER or "&" in found.group(1):  # "&" names what may be repeated
        return {}, text
    try:
        matter = yaml.safe_load(found.group(1))
    except yaml.YAMLError:
        return {}, text
    return (matter, text[found.end() :]) if isinstance(matter, dict) else ({}, text)


def _add_front_matter(builder: DocumentBuilder, matter: dict[str, Any]) -> None:
    lines = []
    for key, value in matter.items():
        if isinstance(value, list):
            value = ", ".join(str(part) for part in value)
        if value not in (None, "") and not isinstance(value, dict):
            lines.append(f"{key}: {value}")
    builder.title = str(matter.get("title") or "")
    builder.add_text("\n".join(lines))
