"""Read PDF: pages in reading order, paragraphs, tables, headings, with boxes for highlighting.

A page that holds no text, or only characters without meaning, is rendered and recognized. Pages are read through a
window of neighbours, so that lines that repeat at their edges are known and memory does not grow with the document.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from core.errors import DamagedDocument, EncryptedDocument, NoText
from core.records import Document, SourceFile
from ingest import ocr
from ingest.builder import DocumentBuilder, ParseOptions
from ingest.parsers.pdf_chars import PageText, read_words
from ingest.parsers.pdf_content import PageContent
from ingest.parsers.pdf_edges import Edges, edges_of, running_lines
from ingest.parsers.pdf_legible import is_legible
from ingest.parsers.pdf_page import PageWriter
from ingest.parsers.pdf_shapes import has_picture, image_coverage, read_rules

_WINDOW = 8  # pages looked at to each side for running lines
_MAX_OUTLINE = 20_000  # entries; more is damage
_OCR_SCALE = 200 / 72  # pixels a point: 200 dpi
_OCR_SIDE = 2400  # pixels; longest side of a page that is recognized
_CONTRAST = 24  # of 255; a page with less is blank
_FEW_CHARS = 50  # a page of a scan may hold a stamp or a number as text
_MAX_RANGES = 12  # pages or runs of pages named in a note
_USELESS_TITLE = re.compile(
    r"untitled|microsoft|powerpoint|slide \d|document\d*$|无标题|幻灯片"
    r"|\.(?:docx?|pptx?|xlsx?|pdf|indd|qxd|tex|dvi|ps|html?)$",
    re.IGNORECASE,
)


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Read a PDF.

    Raises:
        EncryptedDocument: It asks for a password.
        DamagedDocument: It is cut short or malformed.
        NoText: It holds no text, and none was recognized or OCR is off.
    """
    with opened(path, name=source.path) as pdf:
        return _Reading(pdf, source, options).document()


@contextmanager
def opened(path: Path, *, name: str) -> Iterator[Any]:
    """Open a PDF whose password, if any, is empty.

    Raises:
        EncryptedDocument: It asks for a password.
        DamagedDocument: It is cut short or malformed.
    """
    _check_whole(path, name=name)
    try:
        pdf = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        if error.err_code in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY):
            raise EncryptedDocument(
                "asks for a password", where=name, remedy="Save a copy without a password and ingest that"
            ) from error
        raise DamagedDocument(
            "is no PDF that can be read: it is cut short or malformed", where=name, remedy="Get the file anew"
        ) from error
    try:
        pdf.init_forms()
        yield pdf
    finally:
        pdf.close()


def _check_whole(path: Path, *, name: str) -> None:
    """Refuse a file that ends before its end: PDFium would repair it in silence and lose the rest.

    Raises:
        DamagedDocument: The end-of-file mark is missing, or the file is shorter than it says.
    """
    with path.open("rb") as file:
        head = file.read(2048)
        size = file.seek(0, 2)
        file.seek(max(0, size - 4096))
        tail = file.read()
    linearized = re.search(rb"/Linearized\b[^>]*?/L\s+(\d+)", head)
    if (linearized and size < int(linearized.group(1))) or (b"%%EOF" not in tail and b"startxref" not in tail):
        raise DamagedDocument("is cut short: its end is missing", where=name, remedy="Get the file anew")


@dataclass(slots=True)
class _Reading:
    """One pass over a PDF's pages."""

    pdf: Any
    source: SourceFile
    options: ParseOptions
    recognized: list[int] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    unread: list[int] = field(default_factory=list)

    def document(self) -> Document:
        builder = DocumentBuilder(source=self.source, title=_title(self.pdf), n_pages=len(self.pdf))
        writer = PageWriter(builder)
        before: deque[Edges] = deque(maxlen=_WINDOW)
        ahead: deque[tuple[PageContent, Edges]] = deque()
        for page in self._pages():
            writer.learn(page)
            ahead.append((page, edges_of(page.segments, height=page.height)))
            if len(ahead) > _WINDOW:
                self._write_next(writer, before, ahead)
        while ahead:
            self._write_next(writer, before, ahead)
        self._add_notes(builder)
        if len(self.failed) == len(self.pdf):
            raise DamagedDocument("has no page that can be read", where=self.source.path, remedy="Get the file anew")
        return self._built(builder)

    def _built(self, builder: DocumentBuilder) -> Document:
        try:
            return builder.build()
        except NoText as error:
            looked = "recognition found none either" if self.options.ocr else "its pages were not recognized"
            remedy = "Check that its pages are legible" if self.options.ocr else "If it is a scan, switch on OCR"
            raise NoText(f"holds no text, and {looked}", where=self.source.path, remedy=remedy) from error

    def _write_next(self, writer: PageWriter, before: deque[Edges], ahead: deque[tuple[PageContent, Edges]]) -> None:
        page, edges = ahead.popleft()
        others = [*before, *(later for _, later in ahead)]
        writer.write(page, running_lines(edges, others, n_pages=len(self.pdf)))
        before.append(edges)

    def _pages(self) -> Iterator[PageContent]:
        outline = _outline(self.pdf)
        for i in range(len(self.pdf)):
            try:
                with _page(self.pdf, i) as page:
                    content = self._read(page, i)
            except pdfium.PdfiumError:
                self.failed.append(i + 1)
                continue
            if content is not None:
                content.outline = outline.get(i, ())
                yield content

    def _read(self, page: Any, i: int) -> PageContent | None:
        width, height = page.get_size()
        if width < 1 or height < 1:
            return None
        text = read_words(page)
        if is_legible(text) and not (text.n_chars < _FEW_CHARS and _is_picture(page, text)):
            return PageContent.of_words(text.words, read_rules(page), number=i + 1, size=(width, height))
        pictured = bool(text.n_chars) or _is_picture(page, text)
        if self.options.ocr and pictured and (found := _recognized(page)).lines:
            self.recognized.append(i + 1)
            return PageContent.of_recognition(found, number=i + 1)
        if text.words and is_legible(text):
            return PageContent.of_words(text.words, read_rules(page), number=i + 1, size=(width, height))
        if pictured:
            self.unread.append(i + 1)
        return None

    def _add_notes(self, builder: DocumentBuilder) -> None:
        if self.recognized:
            builder.note(f"{_count(self.recognized)} recognized by OCR")
        if self.failed:
            builder.note(f"{_count(self.failed)} damaged and left out: {_named(self.failed)}")
        if self.unread:
            why = "recognition found none" if self.options.ocr else "OCR is off"
            builder.note(f"{_count(self.unread)} without legible text ({why}): {_named(self.unread)}")


@contextmanager
def _page(pdf: Any, i: int) -> Iterator[Any]:
    """Open a page, the values of its form fields drawn into it so that they are read as its text."""
    page = pdf[i]
    if _has_fields(page):
        page.flatten()
        page.close()
        page = pdf[i]
    try:
        yield page
    finally:
        page.close()


def _is_picture(page: Any, text: PageText) -> bool:
    """Whether a page shows a picture where its text should be; any drawing will do where there is no text at all."""
    if not text.n_chars:
        return has_picture(page)
    return image_coverage(page) > 0.5


def _recognized(page: Any) -> ocr.Recognition:
    width, height = page.get_size()
    scale = min(_OCR_SCALE, _OCR_SIDE / max(width, height))
    bitmap = page.render(scale=scale, may_draw_forms=True)
    try:
        image = bitmap.to_pil().convert("RGB")
        darkest, lightest = image.convert("L").getextrema()
        if lightest - darkest < _CONTRAST:
            return ocr.Recognition(lines=(), turn=0, width=image.width, height=image.height)
        return ocr.recognize(image)
    finally:
        bitmap.close()


def _has_fields(page: Any) -> bool:
    """Whether a page has form fields, whose values only stand in the text once they are drawn into the page."""
    if not page.formenv:
        return False
    for i in range(min(pdfium_c.FPDFPage_GetAnnotCount(page), 10_000)):
        annotation = pdfium_c.FPDFPage_GetAnnot(page, i)
        kind = pdfium_c.FPDFAnnot_GetSubtype(annotation)
        pdfium_c.FPDFPage_CloseAnnot(annotation)
        if kind == pdfium_c.FPDF_ANNOT_WIDGET:
            return True
    return False


def _outline(pdf: Any) -> Mapping[int, Sequence[tuple[int, str]]]:
    """Return the outline's (level, title) by page index, level 1 outermost."""
    pages: dict[int, list[tuple[int, str]]] = {}
    for n, bookmark in enumerate(pdf.get_toc(max_depth=8)):
        if n >= _MAX_OUTLINE:
            break
        title = " ".join(bookmark.get_title().split())
        target = bookmark.get_dest()
        index = target.get_index() if target is not None else None
        if title and index is not None:
            pages.setdefault(index, []).append((bookmark.level + 1, title))
    return pages


def _title(pdf: Any) -> str:
    title = " ".join(pdf.get_metadata_value("Title").replace("\x00", "").split())
    if len(title) < 3 or _USELESS_TITLE.search(title) or not any(c.isalpha() for c in title):
        return ""
    return title


def _count(pages: Sequence[int]) -> str:
    return f"{len(pages)} page{'s' if len(pages) > 1 else ''}"


def _named(pages: Sequence[int]) -> str:
    """Return page numbers as runs: 1-3, 7."""
    runs: list[list[int]] = []
    for page in pages:
        if runs and page == runs[-1][-1] + 1:
            runs[-1][1:] = [page]
        else:
            runs.append([page])
    named = ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs[:_MAX_RANGES])
    return f"{named}, …" if len(runs) > _MAX_RANGES else named
