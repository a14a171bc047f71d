"""Read what stands on a PDF page: words with boxes, and the rules that are drawn on it.

All boxes are in points of the page as it is shown: rotated, cut to its crop box, origin at the top left.
"""

from __future__ import annotations

import ctypes
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2.raw as pdfium_c

from ingest.parsers.pdf_layout import Rule, Word, is_right_to_left

Bounds = tuple[float, float, float, float]

_UNIT = 1_000_000  # FPDF_PageToDevice answers in whole pixels: a page of a million gives fractions to six digits
_SPACES = frozenset((0x20, 0x09, 0x0A, 0x0D, 0xA0, 0x3000, 0x200B, 0x2028, 0x2029, 0xFEFF, *range(0x2000, 0x200B)))
_HYPHENS = frozenset((0x02, 0xAD, 0xFFFE))  # what PDFium calls a hyphen that ends a line
_BOLD_NAMES = (b"bold", b"black", b"heavy", b"semibold", b"simhei", b"-demi")
_MAX_OBJECTS = 20_000  # a page with more is a drawing; its rules are not sought
_MAX_SEGMENTS = 400  # of one path; more is a curve or a map
_MAX_FORM_DEPTH = 4
_FEW_STROKES = 12  # rules and frames of an empty page
_THIN = 2.5  # points


@dataclass(frozen=True, slots=True, kw_only=True)
class PageText:
    """The words of a page in the order of its content, and how far they can be trusted.

    ``n_chars`` counts characters that are not white space, ``n_garbled`` those among them without a meaning.
    """

    width: float
    height: float
    words: tuple[Word, ...]
    n_chars: int
    n_garbled: int


@dataclass(frozen=True, slots=True)
class _Frame:
    """The affine map from page space to the page as shown, in points."""

    width: float
    height: float
    a: float
    b: float
    c: float
    d: float
    e: float
    f: float

    def box(self, left: float, bottom: float, right: float, top: float) -> Bounds:
        x0, y0 = self.a * left + self.c * bottom + self.e, self.b * left + self.d * bottom + self.f
        x1, y1 = self.a * right + self.c * top + self.e, self.b * right + self.d * top + self.f
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _frame(page: Any) -> _Frame:
    width, height = page.get_size()

    def shown(x: float, y: float) -> tuple[float, float]:
        px, py = ctypes.c_int(), ctypes.c_int()
        pdfium_c.FPDF_PageToDevice(page, 0, 0, _UNIT, _UNIT, 0, x, y, ctypes.byref(px), ctypes.byref(py))
        return px.value * width / _UNIT, py.value * height / _UNIT

    span = max(width, height, 1.0)
    (ex, ey), (ax, ay), (cx, cy) = shown(0, 0), shown(span, 0), shown(0, span)
    return _Frame(width, height, (ax - ex) / span, (ay - ey) / span, (cx - ex) / span, (cy - ey) / span, ex, ey)


def read_words(page: Any) -> PageText:
    """Read the words of a page; text outside the page's visible part is left out."""
    frame = _frame(page)
    textpage = page.get_textpage()
    try:
        reader = _WordReader(textpage.raw, frame)
        words = tuple(reader.words(textpage.count_chars()))
    finally:
        textpage.close()
    return PageText(
        width=frame.width, height=frame.height, words=words, n_chars=reader.n_chars, n_garbled=reader.n_garbled
    )


class _WordReader:
    """Walks the characters of a text page and yields its words."""

    def __init__(self, textpage: Any, frame: _Frame) -> None:
        self._textpage, self._frame = textpage, frame
        self._rect = pdfium_c.FS_RECTF()
        self._matrix = pdfium_c.FS_MATRIX()
        self._name = ctypes.create_string_buffer(128)
        self.n_chars = self.n_garbled = 0

    def words(self, n_chars: int) -> Iterator[Word]:
        unicode_of, box_of = pdfium_c.FPDFText_GetUnicode, pdfium_c.FPDFText_GetLooseCharBox
        textpage, rect, box = self._textpage, self._rect, self._frame.box
        by_reference = ctypes.byref(rect)
        first, text = 0, ""
        x0 = y0 = x1 = y1 = 0.0
        for i in range(n_chars):
            code = unicode_of(textpage, i)
            if code in _SPACES:
                if text:
                    yield from self._word(text, first, (x0, y0, x1, y1))
                    text = ""
                continue
            self.n_chars += 1
            char = self._char(code)
            if not box_of(textpage, i, by_reference):
                continue
            left, top, right, bottom = box(rect.left, rect.bottom, rect.right, rect.top)
            if text:
                if self._follows((x0, y0, x1, y1), (left, top, right, bottom), text, char):
                    text += char
                    x0, y0, x1, y1 = min(x0, left), min(y0, top), max(x1, right), max(y1, bottom)
                    continue
                yield from self._word(text, first, (x0, y0, x1, y1))
            first, text, x0, y0, x1, y1 = i, char, left, top, right, bottom
        if text:
            yield from self._word(text, first, (x0, y0, x1, y1))

    def _follows(self, word: Bounds, box: Bounds, text: str, char: str) -> bool:
        """Whether a character continues a word: beside its end or, where it runs up or down, at its end."""
        x0, y0, x1, y1 = word
        left, top, right, bottom = box
        height, width = y1 - y0, x1 - x0
        if y0 < (top + bottom) / 2 < y1:
            return left <= x1 + 0.6 * height and (left >= x0 - 0.3 * height or is_right_to_left(char))
        standing = len(text) == 1 or height > width
        return standing and x0 < (left + right) / 2 < x1 and max(top - y1, y0 - bottom) < 0.6 * width

    def _char(self, code: int) -> str:
        """Return the character, ligatures and compatibility radicals resolved; count it when it means nothing."""
        if code in _HYPHENS:
            return "-"
        if code < 0x20 or code == 0xFFFD or 0xE000 <= code <= 0xF8FF or 0xD800 <= code <= 0xDFFF:
            if 0xF0A0 <= code <= 0xF0FF:  # bullets of the Symbol and Wingdings fonts
                return "•"
            self.n_garbled += 1
            return ""
        char = chr(code)
        if 0xFB00 <= code <= 0xFB06 or 0x2E80 <= code <= 0x2FDF or 0xF900 <= code <= 0xFAFF:
            return unicodedata.normalize("NFKC", char)
        return char

    def _word(self, text: str, index: int, box: Bounds) -> Iterator[Word]:
        x0, y0, x1, y1 = box
        frame = self._frame
        if not text or x1 <= 0 or y1 <= 0 or x0 >= frame.width or y0 >= frame.height:
            return
        size, turn = y1 - y0, 0
        if pdfium_c.FPDFText_GetMatrix(self._textpage, index, ctypes.byref(self._matrix)):
            m = self._matrix
            along = (frame.a * m.a + frame.c * m.b, frame.b * m.a + frame.d * m.b)
            turn = _turn_for(along)
            scale = (m.c * m.c + m.d * m.d) ** 0.5
            size = pdfium_c.FPDFText_GetFontSize(self._textpage, index) * scale or size
        yield Word(text, x0, y0, x1, y1, size=size, bold=self._bold(index), turn=turn, index=index)

    def _bold(self, index: int) -> bool:
        if pdfium_c.FPDFText_GetFontWeight(self._textpage, index) >= 600:
            return True
        flags = ctypes.c_int()
        pdfium_c.FPDFText_GetFontInfo(self._textpage, index, self._name, 128, ctypes.byref(flags))
        name = self._name.value.lower()
        return any(bold in name for bold in _BOLD_NAMES)


def _turn_for(along: tuple[float, float]) -> int:
    """Return the clockwise turn that makes text run to the right which runs along a direction, y counted downwards."""
    x, y = along
    if abs(y) < 0.3 * abs(x):
        return 0 if x > 0 else 180
    return 90 if y < 0 else 270


def read_rules(page: Any) -> list[Rule]:
    """Read the horizontal and vertical rules drawn on a page: thin boxes, straight lines, sides of boxes."""
    frame = _frame(page)
    rules: list[Rule] = []
    if pdfium_c.FPDFPage_CountObjects(page) <= _MAX_OBJECTS:
        for shape in _paths(page, pdfium_c.FPDFPage_CountObjects(page), pdfium_c.FPDFPage_GetObject, depth=0):
            rules.extend(_rules_of(shape, frame))
    return rules


def image_coverage(page: Any) -> float:
    """Return the share of the page's area that its largest picture covers."""
    width, height = page.get_size()
    area = max(width * height, 1.0)
    sides = [ctypes.c_float() for _ in range(4)]
    largest = 0.0
    for i in range(min(pdfium_c.FPDFPage_CountObjects(page), _MAX_OBJECTS)):
        shape = pdfium_c.FPDFPage_GetObject(page, i)
        if pdfium_c.FPDFPageObj_GetType(shape) in (pdfium_c.FPDF_PAGEOBJ_IMAGE, pdfium_c.FPDF_PAGEOBJ_FORM) and (
            pdfium_c.FPDFPageObj_GetBounds(shape, *(ctypes.byref(side) for side in sides))
        ):
            left, bottom, right, top = (side.value for side in sides)
            largest = max(largest, abs(right - left) * abs(top - bottom) / area)
    return min(largest, 1.0)


def has_picture(page: Any) -> bool:
    """Whether a page shows a picture or a drawing of more than a few strokes."""
    n_objects = pdfium_c.FPDFPage_CountObjects(page)
    kinds = [
        pdfium_c.FPDFPageObj_GetType(pdfium_c.FPDFPage_GetObject(page, i)) for i in range(min(n_objects, _MAX_OBJECTS))
    ]
    strokes = kinds.count(pdfium_c.FPDF_PAGEOBJ_PATH)
    return strokes > _FEW_STROKES or len(kinds) > strokes


def _paths(parent: Any, n_objects: int, object_at: Any, *, depth: int) -> Iterator[tuple[Any, Any]]:
    """Yield each path with the matrix of the form it stands in, None at the page's own level."""
    for i in range(n_objects):
        shape = object_at(parent, i)
        kind = pdfium_c.FPDFPageObj_GetType(shape)
        if kind == pdfium_c.FPDF_PAGEOBJ_PATH:
            yield shape, None
        elif kind == pdfium_c.FPDF_PAGEOBJ_FORM and depth < _MAX_FORM_DEPTH:
            matrix = pdfium_c.FS_MATRIX()
            pdfium_c.FPDFPageObj_GetMatrix(shape, ctypes.byref(matrix))
            n_inner = min(pdfium_c.FPDFFormObj_CountObjects(shape), _MAX_OBJECTS)
            for inner, outer in _paths(shape, n_inner, pdfium_c.FPDFFormObj_GetObject, depth=depth + 1):
                yield inner, _product(outer, matrix) if outer is not None else matrix


def _product(inner: Any, outer: Any) -> Any:
    return pdfium_c.FS_MATRIX(
        inner.a * outer.a + inner.b * outer.c,
        inner.a * outer.b + inner.b * outer.d,
        inner.c * outer.a + inner.d * outer.c,
        inner.c * outer.b + inner.d * outer.d,
        inner.e * outer.a + inner.f * outer.c + outer.e,
        inner.e * outer.b + inner.f * outer.d + outer.f,
    )


def _rules_of(placed: tuple[Any, Any], frame: _Frame) -> Iterator[Rule]:
    shape, form = placed
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    if not pdfium_c.FPDFPageObj_GetBounds(shape, *(ctypes.byref(side) for side in (left, bottom, right, top))):
        return
    corners = [(left.value, bottom.value), (right.value, top.value)]
    x0, y0, x1, y1 = _shown(corners, form, frame)
    if y1 - y0 <= _THIN or x1 - x0 <= _THIN:
        yield Rule(x0, y0, x1, y1)
        return
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    pdfium_c.FPDFPath_GetDrawMode(shape, ctypes.byref(fill), ctypes.byref(stroke))
    if stroke.value and pdfium_c.FPDFPath_CountSegments(shape) <= _MAX_SEGMENTS:
        yield from _sides(shape, form, frame)


def _sides(shape: Any, form: Any, frame: _Frame) -> Iterator[Rule]:
    """Yield the straight sides of a stroked path that lie level or upright."""
    matrix = pdfium_c.FS_MATRIX()
    pdfium_c.FPDFPageObj_GetMatrix(shape, ctypes.byref(matrix))
    whole = _product(matrix, form) if form is not None else matrix
    x, y = ctypes.c_float(), ctypes.c_float()
    start: tuple[float, float] | None = None
    last: tuple[float, float] | None = None
    for i in range(pdfium_c.FPDFPath_CountSegments(shape)):
        segment = pdfium_c.FPDFPath_GetPathSegment(shape, i)
        pdfium_c.FPDFPathSegment_GetPoint(segment, ctypes.byref(x), ctypes.byref(y))
        point = (x.value, y.value)
        kind = pdfium_c.FPDFPathSegment_GetType(segment)
        ends = [(last, point)] if kind == pdfium_c.FPDF_SEGMENT_LINETO and last else []
        if kind == pdfium_c.FPDF_SEGMENT_MOVETO:
            start = point
        if pdfium_c.FPDFPathSegment_GetClose(segment) and start:
            ends.append((point, start))
        for a, b in ends:
            x0, y0, x1, y1 = _shown([a, b], whole, frame)
            if min(x1 - x0, y1 - y0) <= _THIN < max(x1 - x0, y1 - y0):
                yield Rule(x0, y0, x1, y1)
        last = point


def _shown(corners: list[tuple[float, float]], matrix: Any, frame: _Frame) -> Bounds:
    if matrix is not None:
        corners = [(matrix.a * x + matrix.c * y + matrix.e, matrix.b * x + matrix.d * y + matrix.f) for x, y in corners]
    (left, bottom), (right, top) = corners
    return frame.box(left, bottom, right, top)
