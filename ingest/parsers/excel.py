"""XLSX: each sheet's tables, with the rows and values that Excel shows."""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.cell import Cell
from openpyxl.utils.exceptions import InvalidFileException

from core.errors import DamagedDocument
from core.records import Document, SourceFile
from ingest.archives import open_archive, parse_xml, read_member
from ingest.builder import DocumentBuilder, ParseOptions
from ingest.parsers.number_formats import shown
from ingest.parsers.ooxml import PictureReader, add_chart, drawing_paragraphs, read_chart, relations
from ingest.parsers.sheets import add_cells

_UNCALCULATED = re.compile(rb"</f>\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>|<f[^>]*/>\s*(?:<v\s*/>|<v>\s*</v>)?\s*</c>")
_THREADED = re.compile(r"^\[Threaded comment\].*?(?:Comment|批注|注释)[:：]\s*", re.S)
_LARGE_BYTES = 60 * 2**20  # of a sheet's XML; openpyxl's full model takes fifty times as much memory


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse a workbook, sheets in their order; hidden ones are read too, and noted.

    Raises:
        DamagedDocument: openpyxl cannot read it.
    """
    with open_archive(path, name=source.path, options=options) as archive:
        builder = DocumentBuilder(source=source)
        large = any(m.file_size > _LARGE_BYTES for m in archive.infolist() if "worksheets/" in m.filename)
        values = _load(archive, source, values=True, large=large)
        formulas = _load(archive, source, values=False, large=large) if _has_uncalculated(archive) else None
        builder.title = values.properties.title or ""
        pictures = PictureReader(builder=builder, options=options)
        parts = _sheet_parts(archive, source)
        for name in values.sheetnames:
            builder.close_headings()
            builder.place.sheet = name
            builder.add_heading(name, level=1)
            has_cells = _add_sheet(builder, values[name], formulas[name] if formulas else None, large=large)
            _add_drawings(builder, archive, part=parts.get(name, ""), pictures=pictures, whole=not has_cells)
        values.close()
        return builder.build()


def _load(archive: zipfile.ZipFile, source: SourceFile, *, values: bool, large: bool) -> Any:
    """Open a workbook for its stored values or for its formulas."""
    file = archive.fp
    if file is None:
        raise DamagedDocument("was closed while it was read", where=source.path, remedy="Try again")
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about pictures and styles that it leaves out
            return openpyxl.load_workbook(file, data_only=values, read_only=large, keep_links=False)
    except (InvalidFileException, KeyError, ValueError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        said = f"cannot be read as a workbook ({type(error).__name__})"
        raise DamagedDocument(said, where=source.path, remedy="Open it in Excel and save it again") from error


def _has_uncalculated(archive: zipfile.ZipFile) -> bool:
    sheets = [
        member for member in archive.namelist() if member.startswith("xl/worksheets/") and member.endswith(".xml")
    ]
    return any(_UNCALCULATED.search(read_member(archive, sheet) or b"") for sheet in sheets)


def _add_sheet(builder: DocumentBuilder, sheet: Any, formulas: Any | None, *, large: bool) -> bool:
    """Add a sheet's tables and comments; return whether any of its cells is filled."""
    if getattr(sheet, "sheet_state", "visible") != "visible":
        builder.note(f"sheet {sheet.title!r} is hidden")
    if not hasattr(sheet, "iter_rows"):  # a sheet that is one chart
        return False
    cells: dict[tuple[int, int], str] = {}
    comments: list[tuple[str, str, str]] = []
    for cell in _filled(sheet):
        value = cell.value
        cells[cell.row, cell.column] = shown(value, cell.number_format or "General").strip()
        comment = getattr(cell, "comment", None)
        if comment is not None:
            author = "" if (comment.author or "").startswith("tc=") else comment.author  # an id, no name
            comments.append((cell.coordinate, author or "", _THREADED.sub("", comment.text or "")))
    if formulas is not None:
        _fill_formulas(builder, cells, formulas)
    spans = {} if large else _fill_merged(cells, sheet)
    add_cells(builder, {place: text for place, text in cells.items() if text}, spans=spans)
    for coordinate, author, text in comments:
        builder.add_text(f"Comment at {coordinate}{f' by {author}' if author else ''}: {text}")
    return bool(cells)


def _filled(sheet: Any) -> Iterator[Cell]:
    for row in sheet.iter_rows():
        for cell in row:
            if getattr(cell, "value", None) is not None or getattr(cell, "comment", None) is not None:
                yield cell


def _fill_formulas(builder: DocumentBuilder, cells: dict[tuple[int, int], str], formulas: Any) -> None:
    """Show formulas that were never calculated as they are written."""
    for cell in _filled(formulas):
        if cells.get((cell.row, cell.column)) or cell.data_type != "f":
            continue
        written = getattr(cell.value, "text", cell.value)
        cells[cell.row, cell.column] = str(written or "")
        builder.note("formulas without stored results are shown as formulas; open and save the file to calculate them")


def _fill_merged(cells: dict[tuple[int, int], str], sheet: Any) -> dict[tuple[int, int], int]:
    """Give every place of a merged area its text, so that each row reads whole; return how wide the areas are."""
    spans: dict[tuple[int, int], int] = {}
    for area in sheet.merged_cells.ranges:
        text = cells.get((area.min_row, area.min_col), "")
        if not text or area.size["rows"] * area.size["columns"] > 10_000:
            continue
        for row in range(area.min_row, area.max_row + 1):
            spans[row, area.min_col] = area.size["columns"]
            for column in range(area.min_col, area.max_col + 1):
                cells[row, column] = text
    return spans


def _sheet_parts(archive: zipfile.ZipFile, source: SourceFile) -> dict[str, str]:
    links = relations(archive, "xl/workbook.xml", name=source.path)
    content = read_member(archive, "xl/workbook.xml")
    if content is None:
        return {}
    parts: dict[str, str] = {}
    for element in parse_xml(content, name=source.path).iter("{*}sheet"):
        ids = [value for key, value in element.attrib.items() if key.endswith("}id")]
        if ids and ids[0] in links:
            parts[element.get("name")] = links[ids[0]].target
    return parts


def _add_drawings(
    builder: DocumentBuilder, archive: zipfile.ZipFile, *, part: str, pictures: PictureReader, whole: bool
) -> None:
    """Add the text boxes, chart words and pictures of a sheet; a chart's values where the ``whole`` sheet is charts.

    A chart among cells shows values of those cells, which would otherwise be said twice.
    """
    where = builder.source.path
    drawings = [found.target for found in relations(archive, part, name=where).values() if found.kind == "drawing"]
    for drawing in drawings if part else ():
        content = read_member(archive, drawing)
        for text in drawing_paragraphs(parse_xml(content, name=where)) if content else ():
            builder.add_text(text)
        for link in relations(archive, drawing, name=where).values():
            member = read_member(archive, link.target)
            if link.kind == "chart" and member:
                chart = read_chart(parse_xml(member, name=where))
                if whole:
                    add_chart(builder, chart)
                else:
                    builder.add_text(chart.title, kind="caption")
            elif link.kind == "image":
                pictures.add(member, name=link.target)
