"""DOCX: headings, lists and tables as Word shows them, with text boxes, notes, equations and pictures."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import DamagedDocument
from core.records import Document, SourceFile
from ingest.archives import open_archive, parse_xml, read_member
from ingest.builder import DocumentBuilder, ListItem, ParseOptions
from ingest.grid import Grid
from ingest.outline import heading_level
from ingest.parsers.ooxml import PictureReader, Relation, relations
from ingest.parsers.word_runs import ParagraphReader
from ingest.parsers.word_styles import Numbering, Style, Styles, W, is_monospaced, number_of, value_of

_WRAPPERS = frozenset(("sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag", "txbxContent", "body"))
_MAX_BOLD_HEADING = 60  # characters of a bold paragraph that is taken for a heading where no style marks any
_CODE_SIGNS = frozenset("=;{}()<>[]_$#/\\|")


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse a Word document.

    Raises:
        DamagedDocument: It has no main part.
    """
    with open_archive(path, name=source.path, options=options) as archive:
        links = relations(archive, "", name=source.path)
        main = next((link.target for link in links.values() if link.kind == "officeDocument"), "word/document.xml")
        content = read_member(archive, main)
        if content is None:
            raise DamagedDocument("holds no text part", where=source.path, remedy="Open it in Word and save it again")
        builder = DocumentBuilder(source=source)
        reader = _Reader(builder, archive, main=main, options=options)
        root = parse_xml(content, name=source.path)
        reader.prepare(root)
        reader.blocks(root.find(f"{W}body"))
        reader.finish()
        builder.title = builder.title or _core_title(archive, source)
        return builder.build()


class _Reader:
    """Walks the body of a document; ``runs`` reads what is inside a paragraph."""

    def __init__(self, builder: DocumentBuilder, archive: zipfile.ZipFile, *, main: str, options: ParseOptions) -> None:
        self.builder, self.archive = builder, archive
        self.links = relations(archive, main, name=builder.source.path)
        self.styles = Styles(self._part("styles"))
        self.numbering = Numbering(self._part("numbering"))
        pictures = PictureReader(builder=builder, options=options)
        self.runs = ParagraphReader(builder, archive, links=self.links, pictures=pictures)
        self.runs.notes = {kind: self._notes(kind) for kind in ("footnotes", "endnotes")}
        self._items: list[ListItem] = []
        self._code: list[str] = []
        self._title_shift = 0
        self._has_headings = True

    def prepare(self, root: Any) -> None:
        """Look whether the document marks its headings by styles; where it marks none, bold lines stand for them."""
        self._has_headings = any(
            (self.styles.of(p).heading_level or number_of(p, "pPr", "outlineLvl") is not None)
            and self.runs.plain(p).strip()
            for p in root.iter(f"{W}p")
        )

    def blocks(self, parent: Any | None) -> None:
        """Add the paragraphs and tables under an element."""
        for element in parent if parent is not None else ():
            tag = _local(element)
            if tag == "p":
                self._paragraph(element)
            elif tag == "tbl":
                self._flush()
                self._table(element)
            elif tag == "sdt" and _is_contents(element):
                continue
            elif tag in _WRAPPERS:
                self.blocks(element)
        self._flush()

    def finish(self) -> None:
        """Add what stands outside the text: endnotes, page headers and footers, comments."""
        self._flush()
        self.builder.close_headings()
        said: set[str] = set()
        for kind in ("header", "footer"):
            for root in self._parts(kind):
                lines = [text for p in root.iter(f"{W}p") if (text := self.runs.plain(p).strip())]
                text = "\n".join(dict.fromkeys(lines))
                if any(c.isalpha() for c in text) and text not in said and not self.runs.has_page_number_only(root):
                    said.add(text)
                    self.builder.add_text(text)
        for root in self._parts("comments"):
            for comment in root.findall(f"{W}comment"):
                author = comment.get(f"{W}author") or ""
                text = " ".join(self.runs.plain(p) for p in comment.iter(f"{W}p")).strip()
                self.builder.add_text(f"Comment{f' by {author}' if author else ''}: {text}" if text else "")

    def _paragraph(self, paragraph: Any) -> None:
        style = self.styles.of(paragraph)
        if style.is_contents:
            return
        text = self.runs.text(paragraph)
        level = self._heading_level(paragraph, style, text)
        marker = self._marker(paragraph, style) if text.strip() else None
        if style.is_title and text.strip() and not self.builder.title:
            self._flush()
            self._title_shift = 1
            self.builder.title = text
            self.builder.add_heading(text, level=1)
        elif level and text.strip():
            self._flush()
            number = marker[0] if marker and marker[0] != "-" else ""
            heading = f"{number} {text}".strip()
            self.builder.add_heading(heading, level=level + self._title_shift)
        elif text.strip() and (style.is_code or style.monospaced or self._is_code(paragraph, text)):
            self._flush_items()
            self._code.append(text)
        elif marker and text.strip():
            self._flush_code()
            self._items.append(ListItem(text=text, depth=marker[1], marker=marker[0] or ""))
        elif text.strip():
            self._flush()
            self.builder.add_text(text)
        self._after(paragraph)

    def _after(self, paragraph: Any) -> None:
        """Add what hangs on a paragraph: its notes, text boxes, charts and pictures."""
        hanging = self.runs.hanging()
        boxes = list(self.runs.text_boxes(paragraph))
        if hanging or boxes:
            self._flush()
        for add in hanging:
            add()
        for box in boxes:
            self.blocks(box)

    def _heading_level(self, paragraph: Any, style: Style, text: str) -> int | None:
        outline = number_of(paragraph, "pPr", "outlineLvl")
        if outline is not None:
            return outline + 1 if outline <= 8 else None
        if style.heading_level is not None:
            return style.heading_level
        if self._has_headings or len(text) > _MAX_BOLD_HEADING or not _is_bold(paragraph):
            return None
        return heading_level(text, stands_alone=True)

    def _marker(self, paragraph: Any, style: Style) -> tuple[str, int] | None:
        """Return what stands before a paragraph of a list, and its depth; None outside lists."""
        num_id, depth = value_of(paragraph, "pPr", "numPr", "numId"), number_of(paragraph, "pPr", "numPr", "ilvl")
        if not num_id and style.numbering is not None:
            num_id, styled = style.numbering
            style_id = value_of(paragraph, "pPr", "pStyle")
            depth = (
                depth
                if depth is not None
                else styled
                if styled >= 0
                else self.numbering.level_of_style(num_id, style_id)
            )
        if not num_id or num_id == "0":
            return None
        return self.numbering.marker(num_id, depth or 0), depth or 0

    def _is_code(self, paragraph: Any, text: str) -> bool:
        runs = [run for run in paragraph.iter(f"{W}r") if run.find(f"{W}t") is not None]
        return (
            bool(runs)
            and all(is_monospaced(run) for run in runs)
            and (bool(self._code) or bool(_CODE_SIGNS & set(text)))
        )

    def _table(self, table: Any) -> None:
        rows = table.findall(f"{W}tr") or list(table.iter(f"{W}tr"))
        cells = [list(_cells(row)) for row in rows]
        if len(cells) == 1 and len(cells[0]) == 1:  # a frame around text
            self.blocks(cells[0][0])
            return
        grid = Grid()
        for row, row_cells in zip(rows, cells, strict=True):
            grid.start_row()
            for _ in range(number_of(row, "trPr", "gridBefore") or 0):
                grid.place("")
            for cell in row_cells:
                self._cell(grid, cell)
            grid.end_row()
        hanging = self.runs.hanging()
        self.builder.add_table(grid.finished())
        for add in hanging:
            add()

    def _cell(self, grid: Grid, cell: Any) -> None:
        merged = cell.find(f"{W}tcPr/{W}vMerge")
        if merged is not None and merged.get(f"{W}val") != "restart":
            if not grid.continue_from_above(columns=_columns(cell)):
                grid.place(self._cell_text(cell), columns=_columns(cell))
            return
        grid.place(self._cell_text(cell), columns=_columns(cell))

    def _cell_text(self, cell: Any) -> str:
        """Return a cell's paragraphs, lists and inner tables on one line."""
        pieces: list[str] = []
        for element in cell:
            tag = _local(element)
            if tag == "p":
                text = self.runs.text(element)
                marker = self._marker(element, self.styles.of(element)) if text.strip() else None
                pieces.append(f"{marker[0]} {text}" if marker else text)
                pieces += [self._cell_text(box) for box in self.runs.text_boxes(element)]
            elif tag == "tbl":
                inner = [" ".join(self._cell_text(inner) for inner in _cells(row)) for row in element.iter(f"{W}tr")]
                pieces.append("; ".join(inner))
            elif tag in _WRAPPERS:
                pieces.append(self._cell_text(element))
        return " ".join(" ".join(pieces).split())

    def _flush(self) -> None:
        self._flush_items()
        self._flush_code()

    def _flush_items(self) -> None:
        self.builder.add_list(self._items)
        self._items.clear()

    def _flush_code(self) -> None:
        self.builder.add_text("\n".join(self._code), kind="code")
        self._code.clear()

    def _notes(self, kind: str) -> dict[str, str]:
        root = self._part(kind)
        found = root.findall(f"{W}{kind[:-1]}") if root is not None else []
        return {note.get(f"{W}id"): " ".join(self.runs.plain(p) for p in note.iter(f"{W}p")).strip() for note in found}

    def _part(self, kind: str) -> Any | None:
        return next(self._parts(kind), None)

    def _parts(self, kind: str) -> Iterator[Any]:
        for link in self.links.values():
            content = read_member(self.archive, link.target) if link.kind == kind else None
            if content:
                yield parse_xml(content, name=self.builder.source.path)


def _cells(row: Any) -> Iterator[Any]:
    for element in row:
        if _local(element) == "tc":
            yield element
        elif _local(element) in _WRAPPERS:
            yield from _cells(element)


def _columns(cell: Any) -> int:
    return number_of(cell, "tcPr", "gridSpan") or 1


def _local(element: Any) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _is_contents(control: Any) -> bool:
    """Whether a content control holds the table of contents, whose lines all stand again as headings."""
    gallery = control.find(f"{W}sdtPr/{W}docPartObj/{W}docPartGallery")
    return gallery is not None and gallery.get(f"{W}val") == "Table of Contents"


def _is_bold(paragraph: Any) -> bool:
    runs = [run for run in paragraph.findall(f"{W}r") if "".join(t.text or "" for t in run.findall(f"{W}t")).strip()]
    return bool(runs) and all(
        (bold := run.find(f"{W}rPr/{W}b")) is not None and bold.get(f"{W}val") not in ("0", "false") for run in runs
    )


def _core_title(archive: zipfile.ZipFile, source: SourceFile) -> str:
    links: dict[str, Relation] = relations(archive, "", name=source.path)
    part = next((link.target for link in links.values() if link.kind == "core-properties"), "")
    content = read_member(archive, part) if part else None
    if not content:
        return ""
    found = parse_xml(content, name=source.path).find("{http://purl.org/dc/elements/1.1/}title")
    return (found.text or "").strip() if found is not None else ""
