"""Pages as pictures: the marks stand on the words that are cited, on any page."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from core.errors import DamagedDocument, DocumentError, EncryptedDocument
from core.records import Box
from ingest.builder import ParseOptions
from ingest.pages import line_marks, n_pages, render_page
from ingest.parsers.pdf import parse
from tests.small_pdf import Page, lines, pdf_bytes, source_of, text

YELLOW = (255, 225, 77)


def shown(data: bytes) -> Image.Image:
    """Return a rendered page."""
    return Image.open(io.BytesIO(data)).convert("RGB")


def yellow_extent(picture: Image.Image) -> tuple[int, int, int, int] | None:
    """Return the pixels that are marked, as left, top, right and bottom."""
    marked = Image.new("1", picture.size)
    pixels = picture.get_flattened_data()
    marked.putdata([pixel == YELLOW for pixel in pixels])
    return marked.getbbox()


def dark_extent(picture: Image.Image) -> tuple[int, int, int, int] | None:
    """Return the extent of the ink."""
    return picture.convert("L").point(lambda value: 255 if value < 100 else 0).getbbox()


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_marks_enclose_the_words_on_a_page_rotated_any_way(tmp_path: Path, rotate: int) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf_bytes([Page(content=text(100, 650, "Water level"), rotate=rotate)]))
    boxes = parse(path, source_of(path), ParseOptions(ocr=False)).sections[0].locator.boxes
    picture = shown(render_page(path, 1, boxes=boxes, width_px=800))
    assert picture.width == 800
    ink, mark = dark_extent(picture), yellow_extent(picture)
    assert ink is not None
    assert mark is not None
    assert mark[0] <= ink[0] + 2
    assert mark[1] <= ink[1] + 2
    assert mark[2] >= ink[2] - 2
    assert mark[3] >= ink[3] - 2
    assert (mark[2] - mark[0]) * (mark[3] - mark[1]) < 4 * (ink[2] - ink[0]) * (ink[3] - ink[1])


def test_only_the_line_that_is_cited_is_marked(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(
        pdf_bytes([Page(content=lines(72, 700, ["The first line of it goes on", "until the second ends."]))])
    )
    document = parse(path, source_of(path), ParseOptions(ocr=False))
    start = document.text.index("second")
    cited = document.sections[0].locator.narrowed(start=start, end=start + 6).boxes
    mark = yellow_extent(shown(render_page(path, 1, boxes=cited, width_px=612)))
    assert mark is not None
    assert 792 - 700 < (mark[1] + mark[3]) / 2 < 792 - 680
    assert yellow_extent(shown(render_page(path, 1, width_px=612))) is None


def test_boxes_of_one_line_are_marked_as_one_and_those_of_other_pages_not() -> None:
    def box(x0: float, x1: float, y0: float) -> Box:
        return Box(page=1, x0=x0, y0=y0, x1=x1, y1=y0 + 0.02, start=0, end=1)

    assert list(line_marks([box(0.1, 0.2, 0.5), box(0.21, 0.4, 0.501), box(0.1, 0.3, 0.6), box(0.7, 0.8, 0.5)])) == [
        (0.1, 0.5, 0.4, 0.521),
        (0.7, 0.5, 0.8, 0.52),
        (0.1, 0.6, 0.3, 0.62),
    ]


def test_a_picture_is_shown_with_its_frames_as_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    frames = [Image.new("RGB", (400, 200), colour) for colour in ("white", "red")]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    assert n_pages(path) == 2
    assert shown(render_page(path, 2)).getpixel((10, 10)) == (255, 0, 0)
    marked = shown(render_page(path, 1, boxes=[Box(page=1, x0=0.25, y0=0.25, x1=0.5, y1=0.5, start=0, end=1)]))
    assert marked.getpixel((150, 80)) == YELLOW
    assert marked.getpixel((300, 150)) == (255, 255, 255)


def test_what_cannot_be_shown_says_why(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf_bytes([Page(content=text(72, 700, "One"))]))
    assert n_pages(path) == 1
    for page in (0, 2, -1):
        with pytest.raises(DamagedDocument, match="has no page"):
            render_page(path, page)
    with pytest.raises(DocumentError, match="cannot be read any more"):
        render_page(tmp_path / "gone.pdf", 1)
    (tmp_path / "note.txt").write_text("no pages here")
    with pytest.raises(DocumentError, match="no picture"):
        render_page(tmp_path / "note.txt", 1)


def test_a_locked_pdf_is_not_shown(tmp_path: Path) -> None:
    import pypdf

    plain, locked = tmp_path / "plain.pdf", tmp_path / "locked.pdf"
    plain.write_bytes(pdf_bytes([Page(content=text(72, 700, "One"))]))
    writer = pypdf.PdfWriter(clone_from=plain)
    writer.encrypt(user_password="secret", algorithm="RC4-128")
    writer.write(locked)
    with pytest.raises(EncryptedDocument):
        render_page(locked, 1)


def test_a_page_as_long_as_a_receipt_is_shown_narrower(tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(pdf_bytes([Page(content=text(10, 100, "Total 12.50"), size=(100, 10_000))]))
    picture = shown(render_page(path, 1, width_px=1000))
    assert picture.height <= 6001
