"""Office files: DOCX, PPTX, XLSX, ODT and ODS."""

from __future__ import annotations

import datetime as dt
import re
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import docx
import openpyxl
import pptx
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from openpyxl.styles import Font, PatternFill
from pptx.dml.color import RGBColor
from pptx.util import Inches, Pt

from making.manuscript import Block, Manuscript
from making.pages import WHEN

STAMP = dt.datetime(*WHEN[:6])
NUMBER = re.compile(r"-?\d+(\.\d+)?")
GREEN = RGBColor(0x14, 0x51, 0x3A)


def write_zip(path: Path, members: Mapping[str, str | bytes]) -> None:
    """Write a zip with fixed dates; a member ``mimetype`` is stored and not packed, as ODF and EPUB ask."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, date_time=WHEN[:6])
            entry.compress_type = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


def _settle(path: Path) -> None:
    """Write an office file anew with fixed dates, so that the same manuscript gives the same bytes."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", WHEN).encode()
    core = "docProps/core.xml"
    members[core] = re.sub(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", stamp, members[core])
    write_zip(path, members)


def write_docx(manuscript: Manuscript, path: Path) -> None:
    """Write a DOCX with heading styles, a letterhead and page numbers."""
    document = docx.Document()
    document.core_properties.title = manuscript.title
    document.core_properties.author = "Tarwen Instruments"
    document.core_properties.created = document.core_properties.modified = STAMP
    document.sections[0].header.paragraphs[0].text = manuscript.head["header"]
    _number_pages(document.sections[0].footer.paragraphs[0])
    if manuscript.language.startswith("zh"):
        for style in ("Normal", "Heading 1", "Heading 2"):
            fonts = document.styles[style].element.get_or_add_rPr().get_or_add_rFonts()
            fonts.set(qn("w:eastAsia"), "Noto Sans CJK SC")
    for block in manuscript.blocks:
        _add_to_docx(document, block)
    document.save(str(path))
    _settle(path)


def _number_pages(paragraph: Any) -> None:
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), "PAGE")
    paragraph._p.append(field)
    paragraph.alignment = 2


def _add_to_docx(document: Any, block: Block) -> None:
    if block.kind == "heading":
        document.add_heading(block.text, level=block.level)
    elif block.kind == "table":
        table = document.add_table(rows=0, cols=len(block.rows[0]), style="Light Grid Accent 3")
        for row in block.rows:
            for cell, text in zip(table.add_row().cells, row, strict=True):
                cell.text = text
        document.add_paragraph()
    else:
        style = {"paragraph": "Normal", "bullets": "List Bullet", "numbers": "List Number"}[block.kind]
        for line in block.lines:
            document.add_paragraph(line, style=style)


def write_pptx(manuscript: Manuscript, path: Path) -> None:
    """Write a PPTX with one slide for each page of the manuscript."""
    show = pptx.Presentation()
    show.slide_width, show.slide_height = Inches(13.333), Inches(7.5)
    show.core_properties.title = manuscript.title
    show.core_properties.author = "Tarwen Instruments"
    show.core_properties.created = show.core_properties.modified = STAMP
    for number, page in enumerate(manuscript.pages, start=1):
        _add_slide(show, page, footer=f"{manuscript.head['header']}  ·  {number}")
    show.save(str(path))
    _settle(path)


def _add_slide(show: Any, page: tuple[Block, ...], *, footer: str) -> None:
    slide = show.slides.add_slide(show.slide_layouts[5])
    title = slide.shapes.title
    title.left, title.top, title.width, title.height = Inches(0.7), Inches(0.4), Inches(11.9), Inches(1.1)
    title.text = page[0].text
    title.text_frame.paragraphs[0].runs[0].font.color.rgb = GREEN
    for block in page[1:]:
        if block.kind == "table":
            _add_slide_table(slide, block)
        else:
            frame = slide.shapes.add_textbox(Inches(0.9), Inches(1.9), Inches(11.5), Inches(4)).text_frame
            frame.word_wrap = True
            for index, line in enumerate(block.lines):
                paragraph = frame.paragraphs[0] if index == 0 else frame.add_paragraph()
                paragraph.text = f"• {line}" if block.kind == "bullets" else line
                paragraph.font.size, paragraph.space_after = Pt(24), Pt(12)
    foot = slide.shapes.add_textbox(Inches(0.7), Inches(6.9), Inches(11.9), Inches(0.4)).text_frame
    foot.text = footer
    foot.paragraphs[0].font.size = Pt(11)


def _add_slide_table(slide: Any, block: Block) -> None:
    size = (len(block.rows), len(block.rows[0]))
    grid = slide.shapes.add_table(*size, Inches(0.9), Inches(1.9), Inches(11.5), Inches(0.6 * size[0])).table
    for at, row in enumerate(block.rows):
        for column, text in enumerate(row):
            grid.cell(at, column).text = text


def write_xlsx(manuscript: Manuscript, path: Path) -> None:
    """Write an XLSX with one sheet for each table; numbers are numbers."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    book.properties.title, book.properties.creator = manuscript.title, "Tarwen Instruments"
    book.properties.created = STAMP
    for name, rows in manuscript.sheets():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append([_typed(cell) for cell in row])
        for cell in sheet[1]:
            cell.font, cell.fill = Font(bold=True), PatternFill("solid", fgColor="DFE7F1")
        for column in sheet.columns:
            sheet.column_dimensions[column[0].column_letter].width = max(len(str(c.value)) for c in column) * 1.4 + 2
    book.save(path)
    _settle(path)


def _typed(cell: str) -> str | float | int:
    if not NUMBER.fullmatch(cell):
        return cell
    return float(cell) if "." in cell else int(cell)


ODF_NAMES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{urn}:1.0"'
    for name, urn in (("office", "office"), ("text", "text"), ("table", "table"), ("style", "style"), ("meta", "meta"))
)
ODF_TYPES = {"odt": "text", "ods": "spreadsheet"}


def _write_odf(path: Path, manuscript: Manuscript, *, body: str) -> None:
    kind = ODF_TYPES[path.suffix[1:]]
    media_type = f"application/vnd.oasis.opendocument.{kind}"
    entries = [("/", media_type), ("content.xml", "text/xml"), ("meta.xml", "text/xml")]
    listed = "".join(f'<m:file-entry m:full-path="{name}" m:media-type="{of}"/>' for name, of in entries)
    root = f'{ODF_NAMES} xmlns:dc="http://purl.org/dc/elements/1.1/" office:version="1.3"'
    language = f"<dc:language>{manuscript.language}</dc:language>"
    meta = f"<office:meta><dc:title>{escape(manuscript.title)}</dc:title>{language}</office:meta>"
    declaration = '<?xml version="1.0" encoding="UTF-8"?>'
    write_zip(
        path,
        {
            "mimetype": media_type,
            "META-INF/manifest.xml": f'{declaration}<m:manifest m:version="1.3" '
            f'xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">{listed}</m:manifest>',
            "content.xml": f"{declaration}<office:document-content {root}><office:body><office:{kind}>{body}"
            f"</office:{kind}></office:body></office:document-content>",
            "meta.xml": f"{declaration}<office:document-meta {root}>{meta}</office:document-meta>",
        },
    )


def write_odt(manuscript: Manuscript, path: Path) -> None:
    """Write an ODT text."""
    head = f"<text:p>{escape(manuscript.head['header'])}</text:p>"
    _write_odf(path, manuscript, body=head + "".join(_odt_element(block) for block in manuscript.blocks))


def _odt_element(block: Block) -> str:
    if block.kind == "heading":
        return f'<text:h text:outline-level="{block.level}">{escape(block.text)}</text:h>'
    if block.kind == "paragraph":
        return f"<text:p>{escape(block.text)}</text:p>"
    if block.kind == "table":
        return _odf_table("Table", block.rows)
    items = (f"<text:list-item><text:p>{escape(item)}</text:p></text:list-item>" for item in block.lines)
    return f"<text:list>{''.join(items)}</text:list>"


def write_ods(manuscript: Manuscript, path: Path) -> None:
    """Write an ODS with one sheet for each table; numbers are numbers."""
    _write_odf(path, manuscript, body="".join(_odf_table(name, rows) for name, rows in manuscript.sheets()))


def _odf_table(name: str, rows: tuple[tuple[str, ...], ...]) -> str:
    lines = "".join(f"<table:table-row>{''.join(map(_odf_cell, row))}</table:table-row>" for row in rows)
    columns = f'<table:table-column table:number-columns-repeated="{len(rows[0])}"/>'
    return f'<table:table table:name="{escape(name)}">{columns}{lines}</table:table>'


def _odf_cell(text: str) -> str:
    kind = f'"float" office:value="{text}"' if NUMBER.fullmatch(text) else '"string"'
    return f"<table:table-cell office:value-type={kind}><text:p>{escape(text)}</text:p></table:table-cell>"
