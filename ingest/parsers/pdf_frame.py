"""Map the coordinates of a PDF page to those of the page as it is shown."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import pypdfium2.raw as pdfium_c

from ingest.parsers.pdf_layout import Bounds

_UNIT = 1_000_000  # FPDF_PageToDevice answers in whole pixels: a page of a million gives fractions to six digits


@dataclass(frozen=True, slots=True)
class Frame:
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
        """Return a box of page space as it is shown: left, top, right, bottom."""
        x0, y0 = self.a * left + self.c * bottom + self.e, self.b * left + self.d * bottom + self.f
        x1, y1 = self.a * right + self.c * top + self.e, self.b * right + self.d * top + self.f
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def frame_of(page: Any) -> Frame:
    """Return the map of a page, its rotation and crop box taken into account."""
    width, height = page.get_size()

    def shown(x: float, y: float) -> tuple[float, float]:
        px, py = ctypes.c_int(), ctypes.c_int()
        pdfium_c.FPDF_PageToDevice(page, 0, 0, _UNIT, _UNIT, 0, x, y, ctypes.byref(px), ctypes.byref(py))
        return px.value * width / _UNIT, py.value * height / _UNIT

    span = max(width, height, 1.0)
    (ex, ey), (ax, ay), (cx, cy) = shown(0, 0), shown(span, 0), shown(0, span)
    return Frame(width, height, (ax - ex) / span, (ay - ey) / span, (cx - ex) / span, (cy - ey) / span, ex, ey)
