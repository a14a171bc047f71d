"""OpenDocument: texts, sheets and presentations, read from their one XML."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import DamagedDocument, EncryptedDocument
from core.records import Document, SourceFile
from ingest.archives import open_archive, parse_xml, read_member
from ingest.builder import DocumentBuilder, ListItem, ParseOptions
from ingest.formats import ODP, ODS
from ingest.grid import Grid
from ingest.parsers.odf_xml import (
    ASIDE,
    CHART,
    DC,
    DRAW,
    MAX_REPEAT,
    OFFICE,
    PRESENTATION,
    SHAPES,
    STYLE,
    TABLE,
    TEXT,
    XLINK,
    anchored,
    numbered_depths,
    own_elements,
    pieces_of,
    repeats,
)
from ingest.parsers.ooxml import PictureReader
from ingest.parsers.sheets import add_cells

_MAX_CELLS = 2_000_000
_MAX_CHAIN = 20
_FURNITURE = frozenset(("page-number", "date-time", "header"))


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse an ODT, ODS or ODP file.

    Raises:
        DamagedDocument: It has no content.
        EncryptedDocument: It is under a password.
    """
    with open_archive(path, name=source.path, options=options) as archive:
        if b"encryption-data" in (read_member(archive, "META-INF/manifest.xml") or b""):
            raise EncryptedDocument(
                "is protected by a password", where=source.path, remedy="Save it without a password"
            )
        content = read_member(archive, "content.xml")
        if content is None:
            raise DamagedDocument("holds no content", where=source.path, remedy="Save it again")
        root = parse_xml(content, name=source.path)
        builder = DocumentBuilder(source=source)
        meta = read_member(archive, "meta.xml")
        if meta is not None:
            builder.title = parse_xml(meta, name=source.path).findtext(f".//{DC}title") or ""
        reader = _Reader(builder, archive, root, PictureReader(builder=builder, options=options))
        for body in root.findall(f"{OFFICE}body/*"):
            if source.media_type == ODS:
                reader.sheets(body)
            elif source.media_type == ODP:
                reader.slides(body)
            else:
                reader.blocks(body)
        return builder.build()


class _Reader:
    """Walks a content tree; ``styles`` answers which lists are numbered and which paragraphs are titles."""

    def __init__(self, builder: DocumentBuilder, archive: zipfile.ZipFile, root: Any, pictures: PictureReader) -> None:
        self.builder, self.archive, self.pictures = builder, archive, pictures
        roots = [root]
        styles = read_member(archive, "styles.xml")
        if styles is not None:
            roots.append(parse_xml(styles, name=builder.source.path))
        self._numbered = {
            (s.get(f"{STYLE}name"), d) for r in roots for s in r.iter(f"{TEXT}list-style") for d in numbered_depths(s)
        }
        self._styles = {s.get(f"{STYLE}name"): s for r in roots for s in r.iter(f"{STYLE}style")}
        self._shift = 0
        self._n_notes = 0

    def blocks(self, parent: Any) -> None:
        """Add the headings, paragraphs, lists, tables and frames under an element."""
        for element in parent:
            tag = element.tag
            if tag == f"{TEXT}h":
                level = int(element.get(f"{TEXT}outline-level") or 1)
                self.builder.add_heading(self._text(element), level=level + self._shift)
                self._after(element)
            elif tag == f"{TEXT}p":
                self._paragraph(element)
            elif tag == f"{TEXT}list":
                self.builder.add_list(list(self._items(element, depth=0, style="")))
                self._after(element)
            elif tag == f"{TABLE}table":
                self.builder.add_table(self._rows(element))
                self._after(element)
            elif tag in SHAPES:
                self._shape(element)
            elif tag == f"{OFFICE}annotation":
                self._annotation(element)
            elif isinstance(tag, str) and tag not in ASIDE:
                self.blocks(element)

    def sheets(self, body: Any) -> None:
        """Add each sheet's tables, with the row numbers that the program shows."""
        for table in body.findall(f"{TABLE}table"):
            name = table.get(f"{TABLE}name") or ""
            self.builder.close_headings()
            self.builder.place.sheet = name
            self.builder.add_heading(name, level=1)
            spans: dict[tuple[int, int], int] = {}
            add_cells(self.builder, self._cells(table, spans), spans=spans)
            for note in table.iter(f"{OFFICE}annotation"):
                self._annotation(note)
            for shapes in table.findall(f"{TABLE}shapes"):
                self.blocks(shapes)

    def slides(self, body: Any) -> None:
        """Add each slide: title, shapes, notes."""
        pages = body.findall(f"{DRAW}page")
        for number, page in enumerate(pages, start=1):
            self.builder.close_headings()
            self.builder.place.slide = number
            titled = [f for f in page.findall(f"{DRAW}frame") if f.get(f"{PRESENTATION}class") == "title"]
            for frame in titled:
                title = " ".join(self._text(p) for p in frame.iter(f"{TEXT}p"))
                self.builder.add_heading(title, level=1)
                self.builder.title = self.builder.title or title
            for shape in page:
                if shape in titled or shape.get(f"{PRESENTATION}class") in _FURNITURE:
                    continue
                if shape.tag == f"{PRESENTATION}notes":
                    notes = "\n".join(self._text(p) for p in shape.iter(f"{TEXT}p")).strip()
                    self.builder.add_text(f"Notes: {notes}" if notes else "")
                elif shape.tag in SHAPES:
                    self._shape(shape)
        self.builder.n_pages = len(pages)

    def _paragraph(self, paragraph: Any) -> None:
        text = self._text(paragraph)
        if text and self._is_title(paragraph.get(f"{TEXT}style-name")) and not self._shift:
            self._shift = 1
            self.builder.title = text
            self.builder.add_heading(text, level=1)
        else:
            self.builder.add_text(text)
        self._after(paragraph)

    def _after(self, element: Any) -> None:
        """Add the notes, comments and frames that are anchored in an element's text."""
        for inner in anchored(element):
            if inner.tag == f"{TEXT}note":
                self._n_notes += 1
                body = inner.find(f"{TEXT}note-body")
                text = " ".join(self._text(p) for p in body.iter(f"{TEXT}p")) if body is not None else ""
                self.builder.add_text(f"[{self._n_notes}] {text}" if text else "")
            elif inner.tag == f"{OFFICE}annotation":
                self._annotation(inner)
            else:
                self._shape(inner)

    def _annotation(self, note: Any) -> None:
        author = note.findtext(f"{DC}creator") or ""
        text = " ".join(self._text(p) for p in note.iter(f"{TEXT}p"))
        self.builder.add_text(f"Comment{f' by {author}' if author else ''}: {text}" if text.strip() else "")

    def _shape(self, shape: Any) -> None:
        for element in shape:
            if element.tag == f"{DRAW}image":
                member = (element.get(f"{XLINK}href") or "").removeprefix("./")
                self.pictures.add(read_member(self.archive, member) if member else None, name=member)
            elif element.tag == f"{DRAW}object":
                self._object((element.get(f"{XLINK}href") or "").removeprefix("./"))
        has_object = shape.find(f"{DRAW}object") is not None
        if not (has_object and shape.find(f"{DRAW}image") is not None and len(shape) <= 2):
            self.blocks(shape)

    def _object(self, folder: str) -> None:
        """Add an embedded chart: its words and its values."""
        content = read_member(self.archive, f"{folder}/content.xml") if folder else None
        if content is None:
            return
        root = parse_xml(content, name=self.builder.source.path)
        for chart in root.iter(f"{CHART}chart"):
            title = chart.find(f"{CHART}title")
            self.builder.add_text(self._text(title) if title is not None else "", kind="caption")
            for table in chart.findall(f"{TABLE}table"):
                self.builder.add_table(self._rows(table))

    def _items(self, listing: Any, *, depth: int, style: str) -> Iterator[ListItem]:
        style = listing.get(f"{TEXT}style-name") or style
        numbered = (style, depth + 1) in self._numbered
        number = 0
        for item in listing.findall(f"{TEXT}list-item") + listing.findall(f"{TEXT}list-header"):
            own = [e for e in item if e.tag in (f"{TEXT}p", f"{TEXT}h")]
            text = " ".join(said for p in own if (said := self._text(p)))
            if text:
                number += 1
                yield ListItem(text=text, depth=depth, marker=f"{number}." if numbered else "-")
            for inner in item.findall(f"{TEXT}list"):
                yield from self._items(inner, depth=depth + 1, style=style)

    def _rows(self, table: Any) -> list[list[str]]:
        grid = Grid()
        for row in own_elements(
            table, f"{TABLE}table-row", within=("table-header-rows", "table-rows", "table-row-group")
        ):
            cells = list(own_elements(row, f"{TABLE}table-cell", within=()))
            for _ in range(repeats(row, "rows") if any(len(cell) for cell in cells) else 1):
                grid.start_row()
                for cell in cells:
                    columns = int(cell.get(f"{TABLE}number-columns-spanned") or 1)
                    rows = int(cell.get(f"{TABLE}number-rows-spanned") or 1)
                    for _ in range(repeats(cell, "columns") if len(cell) else min(repeats(cell, "columns"), 100)):
                        grid.place(self._cell_text(cell), columns=columns, rows=rows)
                grid.end_row()
        return grid.finished()

    def _cell_text(self, cell: Any) -> str:
        pieces: list[str] = []
        for element in cell:
            if element.tag in (f"{TEXT}p", f"{TEXT}h"):
                pieces.append(self._text(element))
            elif element.tag == f"{TEXT}list":
                items = list(self._items(element, depth=0, style=""))
                # Presentations put each cell of a table into a list of one.
                pieces += [f"{item.marker} {item.text}" if len(items) > 1 else item.text for item in items]
            elif element.tag == f"{TABLE}table":
                pieces.append("; ".join(" ".join(row) for row in self._rows(element)))
            elif element.tag in SHAPES:
                pieces.append(self._cell_text(element))
        return " ".join(" ".join(pieces).split())

    def _cells(self, table: Any, spans: dict[tuple[int, int], int]) -> dict[tuple[int, int], str]:
        """Return a sheet's filled cells by 1-based row and column; put the widths of merged areas in ``spans``."""
        cells: dict[tuple[int, int], str] = {}
        row_number = 1
        groups = ("table-header-rows", "table-rows", "table-row-group")
        for row in own_elements(table, f"{TABLE}table-row", within=groups):
            wide: dict[tuple[int, int], int] = {}
            filled = dict(self._row_cells(row, wide))
            spans.update({(row_number + down, column): columns for (down, column), columns in wide.items()})
            repeat = int(row.get(f"{TABLE}number-rows-repeated") or 1)
            for n in range(min(repeat, MAX_REPEAT) if filled else 0):
                for (down, column), text in filled.items():
                    cells.setdefault((row_number + n + down, column), text)
                if len(cells) > _MAX_CELLS:
                    self.builder.note(f"only the first {_MAX_CELLS:,} cells of a sheet were read")
                    return cells
            row_number += repeat
        return cells

    def _row_cells(self, row: Any, wide: dict[tuple[int, int], int]) -> Iterator[tuple[tuple[int, int], str]]:
        column = 1
        for cell in row:
            if cell.tag not in (f"{TABLE}table-cell", f"{TABLE}covered-table-cell"):
                continue
            repeat = int(cell.get(f"{TABLE}number-columns-repeated") or 1)
            text = self._cell_text(cell) if cell.tag == f"{TABLE}table-cell" else ""
            if text:
                rows = min(int(cell.get(f"{TABLE}number-rows-spanned") or 1), MAX_REPEAT)
                columns = min(int(cell.get(f"{TABLE}number-columns-spanned") or 1), MAX_REPEAT)
                for down in range(rows):
                    wide[down, column] = columns
                    for across in range(max(columns, min(repeat, MAX_REPEAT))):
                        yield (down, column + across), text
            column += repeat

    def _text(self, element: Any) -> str:
        return "".join(pieces_of(element)).strip()

    def _is_title(self, style_name: str | None) -> bool:
        for _ in range(_MAX_CHAIN):
            if style_name == "Title":
                return True
            style = self._styles.get(style_name)
            if style is None:
                return False
            style_name = style.get(f"{STYLE}parent-style-name")
        return False
