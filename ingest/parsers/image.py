"""Read pictures: their text is recognized, frame by frame."""

from __future__ import annotations

from pathlib import Path

from core.errors import DamagedDocument, NoText
from core.records import Document, SourceFile
from ingest import ocr
from ingest.builder import DocumentBuilder, ParseOptions
from ingest.parsers.pdf_content import PageContent
from ingest.parsers.pdf_page import PageWriter

_PAGED = frozenset(("TIFF", "MPO"))  # formats whose frames are pages; those of GIF and WebP are one moving picture
_MAX_PAGES = 2000


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Read a picture (PNG, JPEG, TIFF of any number of pages, BMP, WebP, GIF).

    Raises:
        DamagedDocument: It is cut short or malformed.
        BombSuspected: It has more pixels than are decoded.
        NoText: No text was recognized, or OCR is off.
    """
    if not options.ocr:
        raise NoText("is a picture, and OCR is off", where=source.path, remedy="Switch on OCR to read it")
    builder = DocumentBuilder(source=source)
    writer = PageWriter(builder)
    damaged: list[int] = []
    with ocr.open_image(path, name=source.path) as image:
        paged = image.format in _PAGED and getattr(image, "n_frames", 1) > 1
        n_pages = min(getattr(image, "n_frames", 1), _MAX_PAGES) if paged else 1
        for number in range(1, n_pages + 1):
            try:
                found = ocr.recognize_frame(image, number - 1, name=source.path)
            except DamagedDocument:
                if n_pages == 1:
                    raise
                damaged.append(number)
                continue
            if found.lines:
                page = PageContent.of_recognition(found, number=number)
                writer.learn(page)
                writer.write(page)
    if damaged:
        builder.note(f"pages that are damaged and left out: {', '.join(map(str, damaged))}")
    builder.n_pages = n_pages
    builder.note(f"{n_pages} page{'s' if n_pages > 1 else ''} recognized by OCR")
    try:
        return builder.build()
    except NoText as error:
        raise NoText("holds no text that could be recognized", where=source.path) from error
