"""Read what is drawn on a PDF page: rules, in points of the page as it is shown, and pictures."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import pypdfium2.raw as pdfium_c

from ingest.parsers.pdf_frame import Frame, frame_of
from ingest.parsers.pdf_layout import Bounds, Rule

_MAX_OBJECTS = 20_000  # a page with more is a drawing; its rules are not sought
_MAX_SEGMENTS = 400  # of one path; more is a curve or a map
_MAX_FORM_DEPTH = 4
_FEW_STROKES = 12  # rules and frames of an empty page
_THIN = 2.5  # points


def read_rules(page: Any) -> list[Rule]:
    """Read the horizontal and vertical rules drawn on a page: thin boxes, straight lines, sides of boxes."""
    frame = frame_of(page)
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


def _rules_of(placed: tuple[Any, Any], frame: Frame) -> Iterator[Rule]:
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


def _sides(shape: Any, form: Any, frame: Frame) -> Iterator[Rule]:
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


def _shown(corners: list[tuple[float, float]], matrix: Any, frame: Frame) -> Bounds:
    if matrix is not None:
        corners = [(matrix.a * x + matrix.c * y + matrix.e, matrix.b * x + matrix.d * y + matrix.f) for x, y in corners]
    (left, bottom), (right, top) = corners
    return frame.box(left, bottom, right, top)
