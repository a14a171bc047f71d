"""What Word, PowerPoint, Excel and OpenDocument files show, read in order and placed exactly."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml as word_xml
from openpyxl.comments import Comment
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from core.records import Document, Section, SourceFile
from ingest.builder import ParseOptions
from ingest.formats import ODS, ODT
from ingest.parsers.number_formats import shown
from ingest.parsers.sheets import find_blocks
from ingest.parsers.word_styles import written_number
from ingest.types import media_type_of, parse_file

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
M = "http://schemas.openxmlformats.org/officeDocument/2006/math"


@pytest.fixture
def read(tmp_path: Path) -> Callable[[Any, str], Document]:
    def parsed(document: Any, name: str) -> Document:
        path = tmp_path / name
        path.write_bytes(document) if isinstance(document, bytes) else document.save(str(path))
        source = SourceFile(
            path=name, location=str(path), sha256="0" * 64, media_type=media_type_of(path), size_bytes=1, modified=0.0
        )
        return parse_file(path, source, ParseOptions(ocr=False))

    return parsed


Read = Callable[[Any, str], Document]


def tables(document: Document) -> list[Section]:
    return [section for section in document.sections if section.kind == "table"]


# --- Word -------------------------------------------------------------------------------------------------------------


def test_headings_make_the_path_and_the_title_style_makes_the_title(read: Read) -> None:
    document = docx.Document()
    document.add_paragraph("Staff Handbook", style="Title")
    document.add_heading("Leave", level=1)
    document.add_heading("Sick leave", level=2)
    document.add_paragraph("Ten days a year.")
    found = read(document, "a.docx")
    assert found.title == "Staff Handbook"
    assert found.sections[-1].locator.headings == ("Staff Handbook", "Leave", "Sick leave")


def test_a_style_that_inherits_from_a_heading_is_a_heading_of_its_level(read: Read) -> None:
    document = docx.Document()
    style = document.styles.add_style("Firm Clause", docx.enum.style.WD_STYLE_TYPE.PARAGRAPH)
    style.base_style = document.styles["Heading 2"]
    document.add_paragraph("Liability", style="Firm Clause")
    document.add_paragraph("Limited to the price.")
    found = read(document, "a.docx")
    assert [section.level for section in found.sections] == [2, 0]


def test_bold_numbered_lines_are_headings_only_where_no_style_marks_any(read: Read) -> None:
    document = docx.Document()
    document.add_paragraph().add_run("第一章 总则").bold = True
    document.add_paragraph("本制度适用于全体员工。")
    assert read(document, "a.docx").sections[-1].locator.headings == ("第一章 总则",)
    document.add_heading("Appendix", level=1)
    assert read(document, "b.docx").sections[0].kind == "paragraph"


def test_lists_are_one_section_with_the_markers_that_word_shows(read: Read) -> None:
    document = docx.Document()
    for style, text in [("List Number", "Open"), ("List Number", "Check"), ("List Bullet", "Note")]:
        document.add_paragraph(text, style=style)
    assert read(document, "a.docx").text == "1. Open\n2. Check\n- Note"


@pytest.mark.parametrize(
    ("number", "kind", "written"),
    [
        (4, "lowerRoman", "iv"),
        (28, "upperLetter", "BB"),
        (12, "chineseCounting", "十二"),
        (30, "chineseCountingThousand", "三十"),
        (105, "ideographDigital", "一〇五"),
        (7, "decimalZero", "07"),
        (3, "decimal", "3"),
    ],
)
def test_numbers_are_written_as_word_writes_them(number: int, kind: str, written: str) -> None:
    assert written_number(number, kind) == written


def test_merged_cells_read_whole_in_each_row_and_a_title_row_once(read: Read) -> None:
    document = docx.Document()
    table = document.add_table(rows=4, cols=3)
    cells = ["Prices 2025", "", "", "Item", "Net", "Gross", "Pump", "10", "12", "", "20", "24"]
    for cell, text in zip(table._cells, cells, strict=True):
        cell.text = text
    table.cell(0, 0).merge(table.cell(0, 2))
    table.cell(2, 0).merge(table.cell(3, 0))
    assert tables(read(document, "a.docx"))[0].text == "Prices 2025\nItem | Net | Gross\nPump | 10 | 12\nPump | 20 | 24"


def test_an_inner_table_stays_in_its_cell_and_a_frame_of_one_cell_is_no_table(read: Read) -> None:
    document = docx.Document()
    outer = document.add_table(rows=1, cols=2)
    outer.cell(0, 0).text = "Sizes"
    inner = outer.cell(0, 1).add_table(rows=1, cols=2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "S", "M"
    document.add_table(rows=1, cols=1).cell(0, 0).text = "Mind the gap."
    found = read(document, "a.docx")
    assert [(section.kind, section.text) for section in found.sections] == [
        ("table", "Sizes | S M"),
        ("paragraph", "Mind the gap."),
    ]


def test_deleted_hidden_and_field_text_is_left_out_and_inserted_text_kept(read: Read) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("Pay within ")
    for xml in (
        f'<w:del xmlns:w="{W}"><w:r><w:delText>30</w:delText></w:r></w:del>',
        f'<w:ins xmlns:w="{W}"><w:r><w:t>14</w:t></w:r></w:ins>',
        f'<w:r xmlns:w="{W}"><w:rPr><w:vanish/></w:rPr><w:t>secret</w:t></w:r>',
        f'<w:r xmlns:w="{W}"><w:instrText>PAGE</w:instrText></w:r>',
        f'<w:r xmlns:w="{W}"><w:t xml:space="preserve"> days.</w:t></w:r>',
    ):
        paragraph._p.append(word_xml(xml))
    assert read(document, "a.docx").text == "Pay within 14 days."


def test_equations_are_written_on_the_line(read: Read) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("Area: ")

    def run(text: str) -> str:
        return f"<m:r><m:t>{text}</m:t></m:r>"

    fraction = f"<m:f><m:num>{run('a+b')}</m:num><m:den>{run('2')}</m:den></m:f>"
    power = f"<m:sSup><m:e>{run('r')}</m:e><m:sup>{run('2')}</m:sup></m:sSup>"
    paragraph._p.append(word_xml(f'<m:oMath xmlns:m="{M}">{run("π")}{power}{run("=")}{fraction}</m:oMath>'))
    assert read(document, "a.docx").text == "Area: πr^2=(a+b)/2"


def test_text_boxes_are_read_once_where_they_are_anchored(read: Read) -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("Before the box.")
    box = "<w:txbxContent><w:p><w:r><w:t>In the box.</w:t></w:r></w:p></w:txbxContent>"
    paragraph._p.append(
        word_xml(
            f'<w:r xmlns:w="{W}" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
            f"<mc:AlternateContent><mc:Choice Requires='wps'><w:drawing>{box}</w:drawing></mc:Choice>"
            f"<mc:Fallback><w:pict>{box}</w:pict></mc:Fallback></mc:AlternateContent></w:r>"
        )
    )
    document.add_paragraph("After the box.")
    assert read(document, "a.docx").text == "Before the box.\n\nIn the box.\n\nAfter the box."


def test_page_headers_are_read_once_and_page_numbers_not_at_all(read: Read) -> None:
    document = docx.Document()
    document.add_paragraph("Body.")
    for section in (document.sections[0], document.add_section()):
        section.header.paragraphs[0].text = "Confidential"
    footer = document.sections[0].footer.paragraphs[0]
    footer.add_run("Page ")
    footer._p.append(word_xml(f'<w:fldSimple xmlns:w="{W}" w:instr="PAGE"><w:r><w:t>1</w:t></w:r></w:fldSimple>'))
    assert read(document, "a.docx").text == "Body.\n\nConfidential"


def test_a_strict_file_reads_like_any_other(read: Read) -> None:
    document, buffer = docx.Document(), io.BytesIO()
    document.add_heading("Scope", level=1)
    document.save(buffer)
    strict = io.BytesIO()
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(strict, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            content = content.replace(W.encode(), b"http://purl.oclc.org/ooxml/wordprocessingml/main")
            content = content.replace(
                b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
                b"http://purl.oclc.org/ooxml/officeDocument/relationships",
            )
            target.writestr(name, content)
    found = read(strict.getvalue(), "a.docx")
    assert (found.sections[0].kind, found.text) == ("heading", "Scope")


# --- PowerPoint -------------------------------------------------------------------------------------------------------


def test_slides_give_their_number_title_text_table_chart_and_notes(read: Read) -> None:
    deck = pptx.Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[1])
    first.shapes.title.text = "Results"
    first.placeholders[1].text = "Sales grew\nCosts fell"
    first.placeholders[1].text_frame.paragraphs[1].level = 1
    first.notes_slide.notes_text_frame.text = "Mention the audit."
    second = deck.slides.add_slide(deck.slide_layouts[5])
    second.shapes.title.text = "Figures"
    table = second.shapes.add_table(2, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    for cell, text in zip(table.iter_cells(), ["Year", "Sales", "2024", "7"], strict=True):
        cell.text = text
    values = CategoryChartData()
    values.categories = ["Q1", "Q2"]
    values.add_series("Pumps", (3, 4.5))
    second.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, Inches(1), Inches(3), Inches(4), Inches(2), values)
    found = read(deck, "a.pptx")
    assert [section.text for section in found.sections] == [
        "Results",
        "- Sales grew\n  - Costs fell",
        "Notes: Mention the audit.",
        "Figures",
        "Year | Sales\n2024 | 7",
        "| Pumps\nQ1 | 3\nQ2 | 4.5",
    ]
    assert [section.locator.slide for section in found.sections] == [1, 1, 1, 2, 2, 2]
    assert (found.title, found.n_pages) == ("Results", 2)
    assert found.sections[-1].locator.headings == ("Figures",)


def test_grouped_shapes_are_read_and_hidden_slides_noted(read: Read) -> None:
    deck = pptx.Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[6])
    group = slide.shapes.add_group_shape()
    group.shapes.add_textbox(Inches(1), Inches(1), Inches(1), Inches(1)).text_frame.text = "Inside a group"
    slide._element.set("show", "0")
    found = read(deck, "a.pptx")
    assert found.text == "Inside a group"
    assert found.notes == ("slide 1 is hidden",)


# --- Excel ------------------------------------------------------------------------------------------------------------


def test_tables_in_a_sheet_keep_their_rows_and_the_title_above_them(read: Read) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Prices"
    sheet["B2"] = "Pumps 2025"
    rows = [["Item", "Price", "Since"], ["P-1", 1200.5, dt.date(2025, 3, 1)], ["P-2", 0.125, None]]
    for r, row in enumerate(rows, start=3):
        for c, value in enumerate(row, start=2):
            sheet.cell(r, c, value)
    sheet["C4"].number_format, sheet["C5"].number_format, sheet["D4"].number_format = "#,##0.00", "0.0%", "yyyy-mm-dd"
    sheet["B9"], sheet["C9"], sheet["B10"], sheet["C10"] = "Code", "Meaning", "E1", "No water"
    found = tables(read(book, "a.xlsx"))
    assert [table.text for table in found] == [
        "Item | Price | Since\nP-1 | 1,200.50 | 2025-03-01\nP-2 | 12.5%",
        "Code | Meaning\nE1 | No water",
    ]
    assert [(table.locator.row_start, table.locator.row_end) for table in found] == [(3, 5), (9, 10)]
    assert [table.locator.headings for table in found] == [("Prices", "Pumps 2025"), ("Prices",)]
    assert {table.locator.sheet for table in found} == {"Prices"}
    assert found[0].table_header == "Item | Price | Since"


def test_merged_cells_comments_formulas_and_hidden_sheets(read: Read) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    for place, value in {
        "A1": "Region",
        "B1": "Sales",
        "A2": "North",
        "B2": 3,
        "B3": 4,
        "A4": "Sum",
        "B4": "=SUM(B2:B3)",
    }.items():
        sheet[place] = value
    sheet.merge_cells("A2:A3")
    sheet["B2"].comment = Comment("Provisional", "Ann")
    book.create_sheet("Old").sheet_state = "hidden"
    book["Old"]["A1"] = "2019"
    found = read(book, "a.xlsx")
    assert tables(found)[0].text == "Region | Sales\nNorth | 3\nNorth | 4\nSum | =SUM(B2:B3)"
    assert "Comment at B2 by Ann: Provisional" in found.text
    assert found.notes[0].startswith("formulas without stored results")
    assert found.notes[1] == "sheet 'Old' is hidden"


def test_tables_side_by_side_part_but_a_form_reads_across() -> None:
    side_by_side = {(r, c): "x" for r in (1, 2) for c in (1, 2, 5, 6)}
    assert [block.columns for block in find_blocks(side_by_side)] == [(1, 2), (5, 6)]
    form = {(r, c): "x" for r in (1, 2) for c in (1, 4, 5)}
    assert [block.columns for block in find_blocks(form)] == [(1, 4, 5)]


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (1234.5, "General", "1234.5"),
        (0.1 + 0.2, "General", "0.3"),
        (5.0, "General", "5"),
        (-1234.5, "#,##0.00;(#,##0.00)", "(1,234.50)"),
        (0.1234, "0.00%", "12.34%"),
        (1200, '"$"#,##0', "$1,200"),
        (1200, "[$¥-804]#,##0.00", "¥1,200.00"),
        (7, "000", "007"),
        (2.5, "0.0##", "2.5"),
        (1500000, '0.0,,"M"', "1.5M"),
        (12000, "0.00E+00", "1.20E+04"),
        (True, "General", "TRUE"),
        (dt.datetime(2025, 3, 1, 14, 5), "yyyy/m/d h:mm", "2025/3/1 14:05"),
        (dt.datetime(2025, 3, 1, 14, 5), "d-mmm-yy h:mm AM/PM", "1-Mar-25 2:05 PM"),
        (dt.datetime(2025, 3, 1), 'yyyy"年"m"月"d"日"', "2025年3月1日"),
        (dt.time(9, 30), "hh:mm", "09:30"),
        (dt.timedelta(hours=26, minutes=5), "[h]:mm", "26:05"),
        (dt.datetime(2025, 3, 1, 9, 0), "General", "2025-03-01 09:00:00"),
    ],
)
def test_values_are_shown_as_excel_shows_them(value: object, code: str, text: str) -> None:
    assert shown(value, code) == text


# --- OpenDocument -----------------------------------------------------------------------------------------------------


def opendocument(kind: str, body: str) -> bytes:
    names = ("office", "text", "table", "style", "presentation")
    spaces = " ".join(f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in names)
    content = f"<office:document-content {spaces}><office:body>{body}</office:body></office:document-content>"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", kind)
        archive.writestr("content.xml", content)
    return buffer.getvalue()


def test_an_opendocument_text_keeps_headings_spaces_lists_notes_and_spans(read: Read) -> None:
    body = (
        '<office:text><text:h text:outline-level="1">Rules</text:h>'
        "<text:p>Two<text:s text:c='2'/>spaces<text:note><text:note-citation>1</text:note-citation>"
        "<text:note-body><text:p>See annex.</text:p></text:note-body></text:note></text:p>"
        "<text:list><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>two</text:p></text:list-item>"
        "</text:list></text:list-item></text:list>"
        "<table:table><table:table-row>"
        "<table:table-cell table:number-rows-spanned='2'><text:p>A</text:p></table:table-cell>"
        "<table:table-cell><text:p>1</text:p></table:table-cell></table:table-row><table:table-row>"
        "<table:covered-table-cell/><table:table-cell><text:p>2</text:p></table:table-cell></table:table-row></table:table>"
        "</office:text>"
    )
    found = read(opendocument(ODT, body), "a.odt")
    assert [section.text for section in found.sections] == [
        "Rules",
        "Two  spaces[1]",
        "[1] See annex.",
        "- one\n  - two",
        "A | 1\nA | 2",
    ]
    assert found.sections[-1].locator.headings == ("Rules",)


def test_rows_that_an_opendocument_sheet_repeats_a_million_times_are_only_counted(read: Read) -> None:
    def row(text: str) -> str:
        return f"<table:table-row><table:table-cell><text:p>{text}</text:p></table:table-cell></table:table-row>"

    empty = '<table:table-row table:number-rows-repeated="1048000"><table:table-cell/></table:table-row>'
    filled = row("again").replace("<table:table-row>", '<table:table-row table:number-rows-repeated="900000">')
    rows = row("first") + empty + filled
    body = f'<office:spreadsheet><table:table table:name="S">{rows}</table:table></office:spreadsheet>'
    found = tables(read(opendocument(ODS, body), "a.ods"))
    assert found[0].locator.row_start == 1
    assert found[1].locator.row_start == 1_048_002
    assert found[1].text.count("again") == 1000
