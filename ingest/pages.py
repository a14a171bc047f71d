"""Render pages as pictures, with the passages that are cited marked on them."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pypdfium2 as pdfium
from PIL import Image, ImageChops, ImageDraw

from core.errors import DamagedDocument
from core.records import Box
from ingest import ocr
from ingest.parsers.pdf import opened

_MARK = (255, 225, 77)  # multiplied with the page, so that dark text stays dark
_PAD = 0.0015  # of the page's size around each mark
_MAX_WIDTH = 4000  # pixels
_MAX_SIDES = 6  # a page longer than this many widths is rendered narrower

_lock = threading.Lock()  # PDFium is not thread-safe


def n_pages(path: Path) -> int:
    """Return how many pages a PDF or picture has.

    Raises:
        DocumentError: The file cannot be read, or has no pages.
    """
    if _is_pdf(path):
        with _lock, opened(path, name=path.name) as pdf:
            return len(pdf)
    with ocr.open_image(path, name=path.name) as image:
        return int(getattr(image, "n_frames", 1)) if image.format == "TIFF" else 1


def render_page(path: Path, page: int, *, boxes: Sequence[Box] = (), width_px: int = 1000) -> bytes:
    """Return a page, counted from 1, of a PDF or picture as PNG, the boxes on it marked.

    Boxes of other pages are ignored; those of one line are marked as one.

    Raises:
        DocumentError: The file cannot be read, has no pages, or has no such page.
    """
    width_px = max(16, min(width_px, _MAX_WIDTH))
    picture = _pdf_page(path, page, width_px) if _is_pdf(path) else _picture(path, page, width_px)
    marked = _marked(picture, [box for box in boxes if box.page == page])
    out = io.BytesIO()
    marked.save(out, format="PNG")
    return out.getvalue()


def _is_pdf(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return b"%PDF-" in file.read(1024)
    except OSError as error:
        raise DamagedDocument("cannot be read any more", where=path.name, remedy="Ingest it again") from error


def _no_such_page(path: Path, page: int) -> DamagedDocument:
    return DamagedDocument(f"has no page {page} that can be shown", where=path.name)


def _pdf_page(path: Path, page: int, width_px: int) -> Image.Image:
    with _lock, opened(path, name=path.name) as pdf:
        if not 1 <= page <= len(pdf):
            raise _no_such_page(path, page)
        try:
            opened_page = pdf[page - 1]
            width, height = opened_page.get_size()
            if width < 1 or height < 1:
                raise _no_such_page(path, page)
            scale = min(width_px / width, width_px * _MAX_SIDES / height)
            bitmap = opened_page.render(scale=scale, may_draw_forms=True)
            try:
                picture: Image.Image = bitmap.to_pil().convert("RGB")
                return picture
            finally:
                bitmap.close()
                opened_page.close()
        except pdfium.PdfiumError as error:
            raise _no_such_page(path, page) from error


def _picture(path: Path, page: int, width_px: int) -> Image.Image:
    with ocr.open_image(path, name=path.name) as image:
        if image.format is None or not 1 <= page <= int(getattr(image, "n_frames", 1)):
            raise _no_such_page(path, page)
        frame = ocr.decoded_frame(image, page - 1, name=path.name)
    scale = min(width_px / frame.width, width_px * _MAX_SIDES / frame.height, 1.0)
    return frame.resize((max(1, round(frame.width * scale)), max(1, round(frame.height * scale))))


def _marked(picture: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    marks = Image.new("RGB", picture.size, "white")
    draw = ImageDraw.Draw(marks)
    width, height = picture.size
    for x0, y0, x1, y1 in line_marks(boxes):
        corners = ((x0 - _PAD) * width, (y0 - _PAD) * height, (x1 + _PAD) * width, (y1 + _PAD) * height)
        draw.rectangle(corners, fill=_MARK)
    return ImageChops.multiply(picture, marks)


def line_marks(boxes: Sequence[Box]) -> Iterator[tuple[float, float, float, float]]:
    """Yield one ``(x0, y0, x1, y1)`` for the boxes of each line, in fractions of the page, top to bottom."""
    lines: list[list[float]] = []
    for box in sorted(boxes, key=lambda b: (b.y0, b.x0)):
        mine = [box.x0, box.y0, box.x1, box.y1]
        for line in lines:
            overlap = min(line[3], box.y1) - max(line[1], box.y0)
            near = box.x0 - line[2] < 0.02 and line[0] - box.x1 < 0.02
            if near and overlap > 0.6 * min(line[3] - line[1], box.y1 - box.y0):
                line[:] = [min(line[0], mine[0]), min(line[1], mine[1]), max(line[2], mine[2]), max(line[3], mine[3])]
                break
        else:
            lines.append(mine)
    yield from (tuple(line) for line in lines)  # type: ignore[misc]
