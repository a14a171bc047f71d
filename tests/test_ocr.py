"""Recognition of pictures: both languages, any way up, rows of a table, every format, nothing fetched."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from core.errors import BombSuspected, DamagedDocument, NoText
from core.records import Document
from ingest import ocr
from ingest.builder import ParseOptions
from ingest.parsers.image import parse
from tests.small_pdf import source_of

LETTER_LINES = ("Dear customer,", "your pump was repaired on 12 May.", "Please collect it within 30 days.")


def drawn(
    texts: Sequence[tuple[int, int, str]], *, size: tuple[int, int] = (1000, 500), font: object = None
) -> Image.Image:
    """Return a white picture with texts at places."""
    picture = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(picture)
    for x, y, words in texts:
        draw.text((x, y), words, fill="black", font=font or ImageFont.load_default(36))  # type: ignore[arg-type]
    return picture


def letter() -> Image.Image:
    """Return a picture of a short letter."""
    return drawn([(60, 60 + 80 * i, line) for i, line in enumerate(LETTER_LINES)])


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    """Return a picture as the bytes of a file."""
    out = io.BytesIO()
    picture.save(out, format=kind, **options)
    return out.getvalue()


def read(path: Path, data: bytes, *, recognize: bool = True) -> Document:
    """Write and parse a picture."""
    path.write_bytes(data)
    return parse(path, source_of(path, media_type="image/png"), ParseOptions(ocr=recognize))


def chinese_font(size: int) -> ImageFont.FreeTypeFont:
    """Return a font of this machine that has Chinese characters, or skip."""
    try:
        found = subprocess.run(
            ["fc-match", "-f", "%{file}|%{index}", ":lang=zh-cn"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs fontconfig to find a Chinese font")
    file, _, index = found.partition("|")
    try:
        font = ImageFont.truetype(file, size, index=int(index or 0))
    except OSError:
        pytest.skip("needs a Chinese font, and none is installed")
    if font.getmask("年").getbbox() == font.getmask("\uffff").getbbox():
        pytest.skip("needs a Chinese font, and none is installed")
    return font


def test_lines_come_in_reading_order_with_their_boxes() -> None:
    found = ocr.recognize_image(encoded(letter(), "PNG"))
    assert [line.text for line in found] == list(LETTER_LINES)
    for i, line in enumerate(found):
        assert line.x0 == pytest.approx(0.06, abs=0.02)
        assert line.y0 < (60 + 80 * i + 22) / 500 < line.y1
        assert line.score > 0.9
    assert ocr.recognize_image(encoded(letter(), "PNG")) == found


def test_chinese_is_recognized() -> None:
    font = chinese_font(40)
    written = ["员工入职满一年后", "每年享有十天带薪年假"]
    picture = drawn([(60, 60 + 90 * i, line) for i, line in enumerate(written)], font=font)
    assert [line.text for line in ocr.recognize_image(encoded(picture, "PNG"))] == written


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_picture_that_lies_on_its_side_or_head_is_read_upright(turn: int) -> None:
    lying = letter().rotate(turn, expand=True)  # turned to the left: to the right it stands again
    found = ocr.recognize(lying)
    assert found.turn == turn
    assert [line.text for line in found.lines] == list(LETTER_LINES)
    first = ocr.turned_back(found.lines[0], turn=found.turn)
    cut = lying.crop(
        (
            int(first.x0 * lying.width),
            int(first.y0 * lying.height),
            int(first.x1 * lying.width),
            int(first.y1 * lying.height),
        )
    )
    assert [line.text for line in ocr.recognize(cut.rotate(-turn, expand=True)).lines] == [LETTER_LINES[0]]


def test_exif_orientation_is_obeyed() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # stored turned to the left
    stored = letter().rotate(90, expand=True)
    found = ocr.recognize_image(encoded(stored, "JPEG", exif=exif, quality=95))
    assert [line.text for line in found] == list(LETTER_LINES)
    assert found[0].x0 < 0.1


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF"])
def test_every_format_is_read(tmp_path: Path, kind: str) -> None:
    document = read(tmp_path / f"letter.{kind.lower()}", encoded(letter(), kind))
    assert "repaired on 12 May" in document.text
    assert document.n_pages == 1
    assert document.notes == ("1 page recognized by OCR",)
    assert all(box.page == 1 for s in document.sections for box in s.locator.boxes)


def test_dark_text_on_nothing_is_read_as_on_white(tmp_path: Path) -> None:
    clear = Image.new("RGBA", (900, 200), (0, 0, 0, 0))
    ImageDraw.Draw(clear).text((40, 60), "Keep this side up", fill="black", font=ImageFont.load_default(40))
    assert read(tmp_path / "a.png", encoded(clear, "PNG")).text == "Keep this side up"


def test_each_page_of_a_tiff_keeps_its_number(tmp_path: Path) -> None:
    pages = [drawn([(60, 60, f"This is sheet {word}.")], size=(800, 200)) for word in ("one", "two", "three")]
    data = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    document = read(tmp_path / "a.tiff", data)
    assert [(s.locator.page, s.text) for s in document.sections] == [
        (1, "This is sheet one."),
        (2, "This is sheet two."),
        (3, "This is sheet three."),
    ]
    assert document.n_pages == 3


def test_a_table_in_a_scan_becomes_rows(tmp_path: Path) -> None:
    cells = [("Item", "Price", "Stock"), ("Hammer", "19.90", "12"), ("Pliers", "24.50", "7"), ("Saw", "31.00", "3")]
    texts = [(60 + 320 * c, 40 + 80 * r, cell) for r, row in enumerate(cells) for c, cell in enumerate(row)]
    document = read(tmp_path / "a.png", encoded(drawn(texts), "PNG"))
    assert [s.text for s in document.sections if s.kind == "table"] == ["\n".join(" | ".join(row) for row in cells)]


def test_a_picture_without_text_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoText, match="could be recognized"):
        read(tmp_path / "a.png", encoded(Image.new("RGB", (300, 300), "white"), "PNG"))
    with pytest.raises(NoText, match="OCR is off"):
        read(tmp_path / "b.png", encoded(letter(), "PNG"), recognize=False)
    assert ocr.recognize_image(encoded(Image.new("L", (3, 3), "white"), "PNG")) == []


def test_a_picture_that_is_cut_short_is_damaged(tmp_path: Path) -> None:
    data = encoded(letter(), "PNG")
    with pytest.raises(DamagedDocument, match="cut short"):
        read(tmp_path / "a.png", data[: len(data) // 2])
    with pytest.raises(DamagedDocument, match="no picture"):
        read(tmp_path / "b.png", b"not a picture")


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BombSuspected, match="million pixels"):
        read(tmp_path / "a.png", encoded(Image.new("1", (20_000, 20_000)), "PNG"))
