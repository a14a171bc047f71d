"""PDF: reading order, paragraphs, tables, headings, boxes, and every way a file can be bad."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

import pypdf
import pypdfium2 as pdfium
import pytest
from PIL import Image, ImageDraw, ImageFont

from core.errors import DamagedDocument, EncryptedDocument, NoText
from core.records import Box, Document, Section
from ingest.builder import ParseOptions
from ingest.parsers.pdf import parse
from ingest.parsers.pdf_flow import Vocabulary, join_lines
from tests.small_pdf import Page, lines, pdf_bytes, rule, source_of, text

PROSE = (
    "The boiler heats the water to the set temperature and keeps",
    "it there. When the tank runs empty the heater stops, and a",
    "red lamp asks for water.",
)


def read(path: Path, data: bytes, *, ocr: bool = False) -> Document:
    """Write and parse a PDF; every section must stand in the text where it says."""
    path.write_bytes(data)
    document = parse(path, source_of(path), ParseOptions(ocr=ocr))
    for section in document.sections:
        where = section.locator
        assert document.text[where.start : where.end] == section.text
        for box in where.boxes:
            assert where.start <= box.start < box.end <= where.end
            assert 0 <= box.x0 < box.x1 <= 1
            assert 0 <= box.y0 < box.y1 <= 1
    return document


def texts(document: Document, *kinds: str) -> list[str]:
    """Return the texts of the sections of some kinds, or of all."""
    return [s.text for s in document.sections if not kinds or s.kind in kinds]


def section_with(document: Document, words: str) -> Section:
    """Return the one section that holds some words."""
    (found,) = [s for s in document.sections if words in s.text]
    return found


def test_lines_of_a_paragraph_are_joined_and_each_keeps_its_box(tmp_path: Path) -> None:
    document = read(tmp_path / "a.pdf", pdf_bytes([Page(content=lines(72, 700, PROSE))]))
    assert texts(document) == [" ".join(PROSE)]
    boxes = document.sections[0].locator.boxes
    assert [document.text[b.start : b.end] for b in boxes] == list(PROSE)
    assert boxes[0].x0 == pytest.approx(72 / 612, abs=0.01)
    assert boxes[0].y1 == pytest.approx(1 - 700 / 792, abs=0.01)
    assert document.n_pages == 1
    assert document.sections[0].locator.page == 1


def test_a_word_cut_at_a_line_end_is_joined_and_a_compound_keeps_its_hyphen() -> None:
    known = Vocabulary()
    known.add(["a long-term loan", "the transformation of heat"])
    assert join_lines(["the transfor-", "mation of"], known) == "the transformation of"
    assert join_lines(["a long-", "term loan"], known) == "a long-term loan"
    assert join_lines(["年假需提前十个工作日", "通过系统申请"], known) == "年假需提前十个工作日通过系统申请"


def test_two_columns_are_read_one_after_the_other(tmp_path: Path) -> None:
    left = [f"Left column line {i} runs from one side to the other" for i in range(8)]
    right = [f"Right column line {i} runs from one side to its end" for i in range(8)]
    content = text(72, 740, "A title that stands over both of the columns of this page", size=16)
    content += lines(50, 700, left, size=9.5) + lines(320, 700, right, size=9.5)
    document = read(tmp_path / "a.pdf", pdf_bytes([Page(content=content)]))
    whole = document.text
    assert whole.index("A title") < whole.index("Left column line 7") < whole.index("Right column line 0")


STATEMENT = (
    (300, 640, "Three Months Ended"),
    (300, 626, "June 25,"),
    (420, 626, "June 26,"),
    (300, 613, "2022"),
    (420, 613, "2021"),
)


INCOME = (
    ("Net sales:", "", ""),
    ("Products", "63,355", "63,948"),
    ("Services", "19,604", "17,486"),
    ("Total net sales", "82,959", "81,434"),
    ("Other expense, net", "(10", "243"),
)


def statement() -> str:
    """Return a statement of income as they are filed: signs far from their numbers, no rules between columns."""
    content = "".join(text(x, y, words, size=9) for x, y, words in STATEMENT)
    content += rule(290, 637, 480, 637)
    for i, (label, first, second) in enumerate(INCOME):
        y = 590 - 14 * i
        content += text(72, y, label, size=9)
        for x, value in ((300, first), (420, second)):
            if value:
                content += text(x - 20, y, "$", size=9) if label == "Products" else ""
                content += text(x + 20, y, value, size=9)
        if first.startswith("("):
            content += text(351, y, ")", size=9)
    return content


def test_a_statement_without_ruled_cells_becomes_rows_under_whole_column_names(tmp_path: Path) -> None:
    content = lines(72, 740, PROSE) + statement() + lines(72, 480, PROSE)
    document = read(tmp_path / "a.pdf", pdf_bytes([Page(content=content)]))
    (table,) = [s for s in document.sections if s.kind == "table"]
    assert table.text.splitlines() == [
        "| Three Months Ended June 25, 2022 | Three Months Ended June 26, 2021",
        "Net sales:",
        "Products | $63,355 | $63,948",
        "Services | 19,604 | 17,486",
        "Total net sales | 82,959 | 81,434",
        "Other expense, net | (10) | 243",
    ]
    assert table.table_header == table.text.splitlines()[0]
    assert [document.text[b.start : b.end] for b in table.locator.boxes] == re.split(
        r" \| |\n", table.text.lstrip("| ")
    )
    start = document.text.index("Total net sales")
    (box,) = table.locator.narrowed(start=start, end=start + 8).boxes
    assert box.y0 < 1 - (590 - 42 + 3) / 792 < box.y1
    start = document.text.index("82,959")
    (box,) = table.locator.narrowed(start=start, end=start + 6).boxes
    assert box.x0 == pytest.approx(320 / 612, abs=0.005)


def test_cells_that_are_drawn_keep_their_wrapped_lines_together(tmp_path: Path) -> None:
    content = "".join(rule(72, y, 500, y) for y in (700, 670, 630, 600))
    content += "".join(rule(x, 700, x, 600) for x in (72, 200, 350, 500))
    for x, y, words in [
        (80, 682, "Error"),
        (210, 682, "Cause"),
        (360, 682, "Remedy"),
        (80, 650, "E-07"),
        (210, 654, "Water level"),
        (210, 640, "too low"),
        (360, 650, "Fill the tank"),
        (80, 612, "E-09"),
        (210, 612, "Pump blocked"),
        (360, 612, "Call service"),
    ]:
        content += text(x, y, words)
    document = read(tmp_path / "a.pdf", pdf_bytes([Page(content=content)]))
    assert texts(document, "table") == [
        "Error | Cause | Remedy\nE-07 | Water level too low | Fill the tank\nE-09 | Pump blocked | Call service"
    ]


def test_headings_are_known_by_size_and_by_weight(tmp_path: Path) -> None:
    content = text(72, 740, "Service Manual", size=22) + text(72, 700, "Filling the tank", bold=True)
    content += lines(72, 680, PROSE) + text(72, 600, "Cleaning", bold=True) + lines(72, 580, PROSE)
    document = read(tmp_path / "a.pdf", pdf_bytes([Page(content=content)]))
    assert texts(document, "heading") == ["Service Manual", "Filling the tank", "Cleaning"]
    assert document.sections[-1].locator.headings == ("Service Manual", "Cleaning")
    assert document.title == "Service Manual"


def outline_objects(*, page: int, looped: bool = False) -> list[str]:
    """Return an outline of two levels at object 6; looped, its second entry follows itself."""
    second = 8 if looped else 9
    return [
        "<< /Type /Outlines /First 7 0 R /Last 8 0 R /Count 2 >>",
        f"<< /Title (Part One) /Parent 6 0 R /Next 8 0 R /Dest [{page} 0 R /Fit] >>",
        f"<< /Title (Part Two) /Parent 6 0 R /Dest [{page} 0 R /Fit] /First 9 0 R /Last 9 0 R /Next {second} 0 R >>",
        f"<< /Title (Water) /Parent 8 0 R /Dest [{page} 0 R /Fit] >>",
    ]


@pytest.mark.parametrize("looped", [False, True])
def test_the_outline_gives_headings_even_when_it_runs_in_a_loop(tmp_path: Path, *, looped: bool) -> None:
    objects = outline_objects(page=10, looped=looped)
    content = text(72, 740, "Water") + lines(72, 700, PROSE)
    data = pdf_bytes([Page(content=content)], objects=objects, catalog="/Outlines 6 0 R")
    document = read(tmp_path / "a.pdf", data)
    assert texts(document, "heading") == ["Water"]
    assert document.sections[-1].locator.headings == ("Part Two", "Water")


def test_running_heads_and_page_numbers_stay_out_of_the_flow(tmp_path: Path) -> None:
    pages = [
        Page(
            content=text(72, 760, "Acme GmbH confidential")
            + lines(72, 700, [f"Page {i} speaks of topic {i} alone.", *PROSE])
            + text(300, 30, str(i))
        )
        for i in range(1, 31)
    ]
    document = read(tmp_path / "a.pdf", pdf_bytes(pages))
    assert document.text.count("Acme GmbH confidential") == 1
    assert not re.search(r"^\d+$", document.text, re.MULTILINE)
    assert [s.locator.page for s in document.sections if "speaks of" in s.text] == list(range(1, 31))
    assert document.n_pages == 30


def test_a_numbered_footer_that_follows_the_text_up_and_down_stays_out_of_the_flow(tmp_path: Path) -> None:
    pages = [
        Page(
            content=lines(72, 700, [f"Page {i} speaks of topic {i} alone.", *PROSE])
            + text(200, 30 + 9 * (i % 5), f"Acme Inc. | Q1 2023 Form 10-Q | {i}")
        )
        for i in range(1, 12)
    ]
    document = read(tmp_path / "a.pdf", pdf_bytes(pages))
    assert document.text.count("Acme Inc.") == 1


def test_items_of_a_list_stand_one_a_line(tmp_path: Path) -> None:
    content = lines(72, 700, PROSE) + lines(
        90, 640, ["\u2022 Empty the tray.", "\u2022 Rinse it.", "\u2022 Put it back."]
    )
    document = read(tmp_path / "a.pdf", pdf_bytes([Page(content=content)]))
    assert texts(document, "list") == ["\u2022 Empty the tray.\n\u2022 Rinse it.\n\u2022 Put it back."]


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_boxes_follow_the_page_as_it_is_shown(tmp_path: Path, rotate: int) -> None:
    # Text set to stand upright once the page is rotated, near the top left corner of what is then seen.
    matrix = {0: "1 0 0 1 60 720", 90: "0 1 -1 0 72 60", 180: "-1 0 0 -1 552 72", 270: "0 -1 1 0 540 732"}[rotate]
    content = f"BT /R 12 Tf {matrix} Tm (Water level) Tj ET"
    document = read(tmp_path / "a.pdf", pdf_bytes([Page(content=content, rotate=rotate)]))
    assert document.text == "Water level"
    (box,) = document.sections[0].locator.boxes
    width, height = (612, 792) if rotate % 180 == 0 else (792, 612)
    assert box.x0 == pytest.approx(60 / width, abs=0.005)
    assert box.y1 == pytest.approx(72 / height, abs=0.01)
    assert box.x1 - box.x0 > box.y1 - box.y0


def test_a_table_set_sideways_on_a_tall_page_is_read_as_if_turned(tmp_path: Path) -> None:
    cells = [("Part", "Pieces", "Price"), ("Valve", "12", "4.50"), ("Spring", "40", "0.80"), ("Seal", "100", "0.15")]
    content = "".join(
        f"BT /R 11 Tf 0 1 -1 0 {100 + 16 * r} {80 + 150 * c} Tm ({cell}) Tj ET\n"
        for r, row in enumerate(cells)
        for c, cell in enumerate(row)
    )
    document = read(tmp_path / "a.pdf", pdf_bytes([Page(content=content)]))
    assert texts(document) == ["\n".join(" | ".join(row) for row in cells)]
    box = document.sections[0].locator.boxes[0]  # of the first cell, at the foot of the page as it is shown
    assert box.y1 == pytest.approx(1 - 80 / 792, abs=0.005)
    assert box.x1 == pytest.approx(102 / 612, abs=0.01)


def test_chapters_that_only_a_number_sets_apart_are_headings(tmp_path: Path) -> None:
    content = lines(72, 700, ["1 Delivery", *PROSE]) + lines(72, 600, ["2 Warranty", *PROSE])
    document = read(tmp_path / "a.pdf", pdf_bytes([Page(content=content)]))
    assert texts(document, "heading") == ["1 Delivery", "2 Warranty"]
    assert document.sections[-1].locator.headings == ("2 Warranty",)


def test_letters_of_one_form_keep_their_opening(tmp_path: Path) -> None:
    letters = [[f"To customer {i}, Sir or Madam,", *PROSE, *PROSE, *PROSE] for i in range(9)]
    pages = [Page(content=lines(72, 760, letter, leading=20)) for letter in letters]
    document = read(tmp_path / "a.pdf", pdf_bytes(pages))
    assert document.text.count("Sir or Madam") == 9


def test_boxes_are_fractions_of_the_crop_box_and_text_outside_it_is_left_out(tmp_path: Path) -> None:
    content = text(200, 500, "Inside") + text(200, 20, "Printer's marks")
    document = read(tmp_path / "a.pdf", pdf_bytes([Page(content=content, crop=(100, 300, 500, 600))]))
    assert document.text == "Inside"
    (box,) = document.sections[0].locator.boxes
    assert box.x0 == pytest.approx((200 - 100) / 400, abs=0.01)
    assert box.y1 == pytest.approx((600 - 500) / 300, abs=0.02)


def test_the_values_of_form_fields_are_read(tmp_path: Path) -> None:
    field = (
        "<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (Anna Schmidt) /Rect [150 690 400 712]"
        " /DA (/R 11 Tf 0 g) /F 4 >>"
    )
    page = Page(content=text(72, 695, "Name:") + lines(72, 600, PROSE), extra="/Annots [6 0 R]")
    catalog = "/AcroForm << /Fields [6 0 R] /NeedAppearances true /DR << /Font << /R 3 0 R >> >> >>"
    document = read(tmp_path / "a.pdf", pdf_bytes([page], objects=[field], catalog=catalog))
    assert "Anna Schmidt" in document.text


def test_text_that_lies_invisible_over_a_scan_is_used(tmp_path: Path) -> None:
    content = "".join(text(72, 700 - 14 * i, line, mode=3) for i, line in enumerate(PROSE))
    assert read(tmp_path / "a.pdf", pdf_bytes([Page(content=content)])).text == " ".join(PROSE)


def test_a_password_is_asked_for_only_when_it_is_not_empty(tmp_path: Path) -> None:
    plain = tmp_path / "plain.pdf"
    plain.write_bytes(pdf_bytes([Page(content=lines(72, 700, PROSE))]))
    for name, password in (("locked.pdf", "secret"), ("open.pdf", "")):
        writer = pypdf.PdfWriter(clone_from=plain)
        writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
        writer.write(tmp_path / name)
    opened = parse(tmp_path / "open.pdf", source_of(tmp_path / "open.pdf"), ParseOptions(ocr=False))
    assert opened.text == " ".join(PROSE)
    with pytest.raises(EncryptedDocument, match=r"locked\.pdf: asks for a password"):
        parse(tmp_path / "locked.pdf", source_of(tmp_path / "locked.pdf"), ParseOptions(ocr=False))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_pdf_that_is_cut_short_is_damaged(tmp_path: Path, share: float) -> None:
    data = pdf_bytes([Page(content=lines(72, 700, PROSE)) for _ in range(8)])
    with pytest.raises(DamagedDocument, match="cut short"):
        read(tmp_path / "a.pdf", data[: int(share * len(data))])


def test_a_file_that_only_claims_to_be_a_pdf_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(DamagedDocument, match="malformed"):
        read(tmp_path / "a.pdf", b"%PDF-1.7\nnothing of the kind\nstartxref\n5\n%%EOF\n")


def test_a_page_that_fails_is_noted_and_the_others_are_read(tmp_path: Path) -> None:
    data = pdf_bytes([Page(content=text(72, 700, f"Page {word} is whole.")) for word in ("one", "two", "three")])
    broken = data.replace(b"8 0 obj\n<< /Type /Page ", b"8 0 obj\n<< /Type /Nope ", 1)
    document = read(tmp_path / "a.pdf", broken)
    assert texts(document) == ["Page one is whole.", "Page three is whole."]
    assert document.notes == ("1 page damaged and left out: 2",)


def test_a_pdf_without_text_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoText, match="switch on OCR"):
        read(tmp_path / "a.pdf", scanned(["unread"]))
    with pytest.raises(NoText, match="holds no text"):
        read(tmp_path / "b.pdf", pdf_bytes([Page()]), ocr=True)


def test_a_page_without_size_harms_nothing(tmp_path: Path) -> None:
    pages = [Page(content=text(0, 0, "x"), size=(0.1, 0.1)), Page(content=lines(72, 700, PROSE))]
    document = read(tmp_path / "a.pdf", pdf_bytes(pages))
    assert [s.locator.page for s in document.sections] == [2]


def scanned(written: Sequence[str], *, turn: int = 0) -> bytes:
    """Return a PDF whose page is a picture of some lines, turned clockwise."""
    picture = Image.new("L", (1240, 700), "white")
    draw = ImageDraw.Draw(picture)
    for i, line in enumerate(written):
        draw.text((100, 80 + 90 * i), line, fill="black", font=ImageFont.load_default(44))
    picture = picture.rotate(-turn, expand=True)
    document = pdfium.PdfDocument.new()
    page = document.new_page(picture.width * 0.48, picture.height * 0.48)
    shown = pdfium.PdfImage.new(document)
    shown.set_bitmap(pdfium.PdfBitmap.from_pil(picture))
    shown.set_matrix(pdfium.PdfMatrix().scale(*page.get_size()))
    page.insert_obj(shown)
    page.gen_content()
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def test_a_scan_is_recognized_and_says_so(tmp_path: Path) -> None:
    document = read(tmp_path / "a.pdf", scanned(["The warranty covers", "twenty four months."]), ocr=True)
    assert "The warranty covers" in document.text
    assert document.notes == ("1 page recognized by OCR",)
    boxes = section_with(document, "warranty").locator.boxes
    assert boxes[0].x0 == pytest.approx(100 / 1240, abs=0.02)
    assert boxes[0].y0 == pytest.approx(85 / 700, abs=0.04)


def test_a_page_of_characters_without_meaning_is_recognized_instead(tmp_path: Path) -> None:
    # A font whose map to Unicode sends each letter to a private place, as cut-down fonts do.
    mapped = "\n".join(f"<{code:02x}> <{0xE000 + code:04x}>" for code in range(0x20, 0x7F))
    stream = (
        "/CIDInit /ProcSet findresource begin begincmap /CMapName /X def\n1 begincodespacerange <00> <ff>"
        f" endcodespacerange\n95 beginbfchar\n{mapped}\nendbfchar endcmap end"
    )
    objects = [
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 7 0 R >>",
        f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
    ]
    content = "".join(
        text(72, 600 - 40 * i, line, size=24) for i, line in enumerate(["The warranty covers", "two years."])
    )
    page = Page(content=content.replace("/R ", "/G "), extra="/Resources << /Font << /G 6 0 R >> >>")
    data = pdf_bytes([page], objects=objects).replace(b"/Resources << /Font << /R 3 0 R /B 4 0 R >> >> ", b"", 1)
    assert "The warranty covers" in read(tmp_path / "a.pdf", data, ocr=True).text
    with pytest.raises(NoText):
        read(tmp_path / "a.pdf", data)


def sharing(box: Box, page: Image.Image) -> float:
    """Return the share of dark pixels inside a box."""
    width, height = page.size
    cut = page.crop((int(box.x0 * width), int(box.y0 * height), int(box.x1 * width), int(box.y1 * height)))
    return sum(cut.convert("L").histogram()[:128]) / max(1, cut.width * cut.height)


@pytest.mark.shared
def test_expected_strings_of_a_private_knowledge_base_stand_in_one_section(shared_data: Path) -> None:
    folder = shared_data / "dev" / "private_kb"
    for cases, name in (("atlas7", "atlas7_service_manual.pdf"), ("hr", "northwind_leave_policy.pdf")):
        path = folder / name
        document = parse(path, source_of(path), ParseOptions(ocr=False))
        sections = [" ".join(s.text.split()).lower() for s in document.sections]
        for line in (folder / f"{cases}.jsonl").read_text(encoding="utf-8").splitlines():
            for expected in json.loads(line)["expected"]:
                assert any(" ".join(expected.split()).lower() in s for s in sections), expected


@pytest.mark.shared
def test_numbers_of_a_quarterly_report_stand_in_rows_with_their_label(shared_data: Path) -> None:
    folder = shared_data / "dev" / "sec_10q"
    path = folder / "2022 Q3 AAPL.pdf"
    document = parse(path, source_of(path), ParseOptions(ocr=False))
    rows = [row for s in document.sections if s.kind == "table" for row in s.text.splitlines()]
    assert "Total net sales | 82,959 | 81,434 | 304,182 | 282,457" in rows
    cited = set()
    with (folder / "qna_data.csv").open(encoding="utf-8-sig", newline="") as file:
        for case in csv.DictReader(file):
            if case["Source Docs"] == "*2022 Q3 AAPL*" and "Table" in case["Source Chunk Type"]:
                cited |= set(re.findall(r"\d{1,3}(?:,\d{3})+", case["Answer"]))
    assert cited
    present = {number for number in cited if number in document.text}
    assert all(any(re.search(rf"[A-Za-z].*\|.*{number}", row) for row in rows) for number in present)


@pytest.mark.shared
def test_boxes_of_a_real_page_hold_its_ink(shared_data: Path) -> None:
    path = shared_data / "dev" / "private_kb" / "northwind_leave_policy.pdf"
    document = parse(path, source_of(path), ParseOptions(ocr=False))
    with pdfium.PdfDocument(path) as pdf:
        picture = pdf[0].render(scale=1.5).to_pil()
    boxes = [box for s in document.sections for box in s.locator.boxes if box.page == 1]
    assert boxes
    assert all(sharing(box, picture) > 0.03 for box in boxes)
