"""Read the words of a PDF page with their boxes and fonts.

All boxes are in points of the page as it is shown: rotated, cut to its crop box, origin at the top left.
"""

from __future__ import annotations

import ctypes
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pypdfium2.raw as pdfium_c

from ingest.parsers.pdf_frame import Frame, frame_of
from ingest.parsers.pdf_layout import Bounds, Word, is_right_to_left

_SPACES = frozenset(
    (
        0x20,
        0x09,
        0x0A,
        0x0D,
        0xA0,
        0x3000,
        0x200B,
        0x2028,
        0x2029,
        0x202F,
        0x205F,
        0xFEFF,
        0x85,
        0x1680,
        *range(0x2000, 0x200B),
        *range(0x1C, 0x20),
    )
)
_HYPHENS = frozenset((0x02, 0xAD, 0xFFFE))  # what PDFium calls a hyphen that ends a line
_BOLD_NAMES = (b"bold", b"black", b"heavy", b"semibold", b"simhei", b"-demi")


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


def read_words(page: Any) -> PageText:
    """Read the words of a page; text outside the page's visible part is left out."""
    frame = frame_of(page)
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

    def __init__(self, textpage: Any, frame: Frame) -> None:
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
