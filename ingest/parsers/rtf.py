"""RTF: text, headings and tables, in whichever code page it names."""

from __future__ import annotations

import re
from pathlib import Path

from striprtf.striprtf import rtf_to_text

from core.records import Document, SourceFile
from ingest.builder import DocumentBuilder, ParseOptions

# striprtf keeps the text and drops structure, so structure is put into the text first, as characters of private use.
_CELL_MARK, _LEVEL_MARK = "\ue000", 0xE010
_CELL = re.compile(r"\\(?:nest)?cell(?![a-z])")
_OUTLINE = re.compile(r"\\outlinelevel([0-8])(?!\d)")
_STYLE_SHEET = re.compile(r"\{\\stylesheet\b")
_STYLE = re.compile(r"\{\\s(\d+)\b([^{}]*)\}")
_STYLE_HEADING = re.compile(r"(?:heading|überschrift|titre|título|标题|標題)\s*([1-9])\s*;\s*$", re.I)
_TITLE = re.compile(r"\{\\title\s+([^{}\\]+)\}")
_MARKED = re.compile("[\ue010-\ue018]")
_BULLET = re.compile(r"^[\t ]*(?:[•·●○▪\u2022-]|\d{1,3}[.)])\t")


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse an RTF file."""
    raw = path.read_bytes().decode("latin-1")
    text: str = rtf_to_text(_with_marks(raw), errors="replace")  # type: ignore[no-untyped-call]
    # A character beyond the basic plane is written as two halves.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\u00ad", "")
    builder = DocumentBuilder(source=source)
    titled = _TITLE.search(raw)
    builder.title = titled.group(1) if titled else ""
    _add_lines(builder, text.replace("\r", "").split("\n"))
    return builder.build()


def _with_marks(raw: str) -> str:
    levels = _heading_styles(raw)
    raw = _CELL.sub(lambda found: f"\\u{ord(_CELL_MARK) - 0x10000}?{found.group()}", raw)
    raw = _OUTLINE.sub(lambda found: f"{found.group()}{_level_word(int(found.group(1)))}", raw)
    for style, level in levels.items():
        raw = re.sub(rf"(\\s{style})(?=[\\ ])", rf"\1\{_level_word(level)}", raw)
    return raw


def _level_word(level: int) -> str:
    return f"\\u{_LEVEL_MARK + level - 0x10000}?"


def _heading_styles(raw: str) -> dict[str, int]:
    """Return the 0-based outline level of each paragraph style that is a heading's."""
    sheet = _STYLE_SHEET.search(raw)
    levels: dict[str, int] = {}
    if sheet:
        for number, rest in _STYLE.findall(raw[sheet.end() : sheet.end() + 100_000]):
            outline, named = _OUTLINE.search(rest), _STYLE_HEADING.search(rest)
            if outline or named:
                levels[number] = int(outline.group(1)) if outline else int(named.group(1)) - 1 if named else 0
    return levels


def _add_lines(builder: DocumentBuilder, lines: list[str]) -> None:
    rows: list[list[str]] = []
    for line in lines:
        if _CELL_MARK in line:
            cells = _MARKED.sub("", line).replace(f"{_CELL_MARK}|", _CELL_MARK).split(_CELL_MARK)
            rows.append([cell.strip() for cell in cells[:-1]])
            continue
        builder.add_table(rows)
        rows = []
        marked = _MARKED.search(line)
        text = _MARKED.sub("", line).strip()
        if marked and text:
            builder.add_heading(text, level=ord(marked.group()) - _LEVEL_MARK + 1)
            builder.title = builder.title or text
        elif _BULLET.match(line):
            builder.add_text(" ".join(text.split()), kind="list")
        else:
            builder.add_text(text)
    builder.add_table(rows)
