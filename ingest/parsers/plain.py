"""Plain text: paragraphs as they stand, with the headings that underlines, numbers and chapters show."""

from __future__ import annotations

import re
from pathlib import Path

from core.records import Document, SourceFile
from ingest.builder import DocumentBuilder, ParseOptions
from ingest.encodings import decode, encoding_note
from ingest.outline import heading_level

_UNDERLINE = re.compile(r"^([=\-~^*#])\1{2,}\s*$")
_RULE = re.compile(r"^\W{0,3}([=\-~_*#+.─━═—])(?:\s*\1){2,}\W{0,3}$")
_MARKED = re.compile(r"^(#{1,6})\s+(\S.*?)\s*#*$")
_ITEM = re.compile(r"^\s*(?:[-*•·●○▪]|\d{1,3}[.)、]|[（(]\d{1,3}[）)]|[a-z][.)])\s*\S")
_COUNTED = re.compile(r"\s*(?:\d+[.、]?\s|[（(]?[一二三四五六七八九十]+[、）)])")
_MAX_TITLE = 90  # characters
_FEWEST_MARKED = 2  # lines that start with "#" before they are taken for headings


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse a text file; its title is the first line that could be one."""
    text, encoding = decode(path.read_bytes())
    builder = DocumentBuilder(source=source, notes=list(encoding_note(encoding)))
    add_plain_text(builder, text)
    return builder.build()


def add_plain_text(builder: DocumentBuilder, text: str, *, level_offset: int = 0) -> None:
    """Add text paragraph by paragraph, lines kept verbatim."""
    lines = text.expandtabs(4).split("\n")
    marked = sum(bool(_MARKED.match(line)) for line in lines) >= _FEWEST_MARKED
    if not builder.title:
        builder.title = _title(lines)
    paragraph: list[str] = []
    n = 0
    while n < len(lines):
        heading, level, used = _heading_at(lines, n, marked=marked)
        if level:
            _flush(builder, paragraph)
            builder.add_heading(heading, level=level + level_offset)
        elif not lines[n].strip() or _RULE.match(lines[n].strip()):
            _flush(builder, paragraph)
        else:
            paragraph.append(lines[n].rstrip())
        n += used
    _flush(builder, paragraph)


def _heading_at(lines: list[str], n: int, *, marked: bool) -> tuple[str, int, int]:
    """Return the heading at a line, its level (0: none), and how many lines it takes."""
    line = lines[n].strip()
    following = lines[n + 1].strip() if n + 1 < len(lines) else ""
    alone_above = n == 0 or not lines[n - 1].strip() or bool(_RULE.match(lines[n - 1].strip()))
    if not line:
        return "", 0, 1
    underline = _UNDERLINE.match(following)
    if underline and alone_above and len(line) <= _MAX_TITLE and len(following) >= min(3, len(line)):
        return line, 1 if underline.group(1) in "=#*" else 2, 2
    hashes = _MARKED.match(line) if marked else None
    if hashes:
        return hashes.group(2), len(hashes.group(1)), 1
    level = heading_level(line, stands_alone=alone_above and not following)
    if level and _continues(lines, n):
        level = None
    return line, level or 0, 1


def _continues(lines: list[str], n: int) -> bool:
    """Whether a numbered line is a list's item and no heading: one right before or after is numbered alike."""
    if not _COUNTED.match(lines[n]):
        return False
    before = next((line for line in reversed(lines[:n]) if line.strip()), "")
    after = next((line for line in lines[n + 1 :] if line.strip()), "")
    level = heading_level(lines[n], stands_alone=True)
    return any(_COUNTED.match(line) and heading_level(line, stands_alone=True) == level for line in (before, after))


def _title(lines: list[str]) -> str:
    first = next((line.strip() for line in lines if line.strip() and not _RULE.match(line.strip())), "")
    marked = _MARKED.match(first)
    title = marked.group(2) if marked else first
    return title if len(title) <= _MAX_TITLE and not title.endswith((",", "，", ";", "；")) else ""


def _flush(builder: DocumentBuilder, paragraph: list[str]) -> None:
    if paragraph:
        is_list = all(_ITEM.match(line) for line in paragraph) and len(paragraph) > 1
        indent = min(len(line) - len(line.lstrip()) for line in paragraph)
        builder.add_text("\n".join(line[indent:] for line in paragraph), kind="list" if is_list else "paragraph")
        paragraph.clear()
