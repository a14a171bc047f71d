"""Part a page into regions in reading order: columns of prose, and what crosses them.

Columns of prose are told from the columns of a table by what fills them: lines of prose reach from side to side of
their column, and beside a table's labels stand its values.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from ingest.parsers.pdf_layout import Row, Segment, glue_markers, is_chinese, rows_of

_PROSE_SHARE = 0.6  # of the characters on each side
_N_PROSE = 4  # lines of prose on each side that make two columns


@dataclass(slots=True)
class Region:
    """Rows of one column, or of the page's full width, from top to bottom."""

    rows: list[Row] = field(default_factory=list)


def regions_of(segments: Sequence[Segment], *, width: float) -> list[Region]:
    """Part a page into regions in reading order: columns of prose, and what crosses them."""
    gutter = _gutter(segments, width=width)
    if gutter is not None:
        segments = [part for segment in segments for part in _split_at(segment, gutter)]
    if gutter is None:
        rows = rows_of(segments)
        glue_markers(rows)
        return [Region(rows)] if rows else []
    regions: list[Region] = []
    for crossing, band in _bands(segments, gutter):
        if crossing:
            rows = rows_of(band)
            glue_markers(rows)
            regions.append(Region(rows))
            continue
        for side in (
            [s for s in band if (s.x0 + s.x1) / 2 < gutter],
            [s for s in band if (s.x0 + s.x1) / 2 >= gutter],
        ):
            regions.extend(regions_of(side, width=width))
    return regions


def _split_at(segment: Segment, gutter: float) -> list[Segment]:
    """Part a segment where words of two columns stand so close that they were taken for one line."""
    if not segment.x0 < gutter < segment.x1:
        return [segment]
    words = segment.words
    gaps = [b.x0 - a.x1 for a, b in pairwise(words)]
    for i, gap in enumerate(gaps, start=1):
        wide = gap > max(0.5 * words[i].size, 1.3 * median(gaps))
        if wide and words[i - 1].x1 - 1 <= gutter <= words[i].x0 + 1:
            return [Segment(words[:i]), Segment(words[i:])]
    return [segment]


def _is_prose(segment: Segment) -> bool:
    text = segment.text
    n_chinese = sum(map(is_chinese, text))
    if len(text) + 2 * n_chinese < 24:
        return False
    return n_chinese >= 8 or sum(c.isalpha() or c == " " for c in text) > 0.75 * len(text)


def _gutter(segments: Sequence[Segment], *, width: float) -> float | None:
    """Return the x of the gap between two columns of prose, None where there is one column."""
    prose = [s for s in segments if s.width > 0.12 * width and _is_prose(s)]
    if len(prose) < 2 * _N_PROSE:
        return None
    left_edges = sorted({round(s.x0) for s in prose})
    starts = sorted(s.x0 for s in prose)
    best: tuple[int, float] | None = None
    for edge in left_edges:
        gutter = edge - 2.0
        n_right = len(starts) - bisect_left(starts, gutter)
        if n_right < _N_PROSE:
            break
        left = [s for s in prose if s.x1 <= gutter]
        right = [s for s in prose if s.x0 >= gutter]
        if len(left) < _N_PROSE or len(left) + len(right) < 0.5 * len(prose):
            continue
        if _filled(left) and _filled(right) and _side_by_side(left, right) and _mostly(prose, segments, gutter):
            score = len(left) + len(right)
            if best is None or score > best[0]:
                best = (score, (max(s.x1 for s in left) + min(s.x0 for s in right)) / 2)
    return best[1] if best else None


def _mostly(prose: Sequence[Segment], segments: Sequence[Segment], gutter: float) -> bool:
    """Whether prose makes up most of both sides; beside a table's labels stand its values."""
    for right in (False, True):
        all_chars = sum(len(s.text) for s in segments if (s.x0 >= gutter if right else s.x1 <= gutter))
        prose_chars = sum(len(s.text) for s in prose if (s.x0 >= gutter if right else s.x1 <= gutter))
        if prose_chars < _PROSE_SHARE * all_chars:
            return False
    return True


def _filled(column: Sequence[Segment]) -> bool:
    """Whether the lines of a column reach from its one side to the other, as prose does and cells do not."""
    extent = max(s.x1 for s in column) - min(s.x0 for s in column)
    return median(s.width for s in column) > 0.62 * extent


def _side_by_side(left: Sequence[Segment], right: Sequence[Segment]) -> bool:
    top = max(min(s.y0 for s in left), min(s.y0 for s in right))
    bottom = min(max(s.y1 for s in left), max(s.y1 for s in right))
    height = sum(s.y1 - s.y0 for s in left) / len(left)
    return bottom - top > 2 * height


def _bands(segments: Sequence[Segment], gutter: float) -> list[tuple[bool, list[Segment]]]:
    """Part segments from top to bottom into bands that cross the gutter and bands that keep to their sides."""
    rows = rows_of(segments)
    crosses = [any(s.x0 < gutter - 3 and s.x1 > gutter + 3 for s in row.segments) for row in rows]
    # Short rows between crossing ones are the rest of a wide table or a title.
    for i, row in enumerate(rows):
        if not crosses[i] and not any(_is_prose(s) for s in row.segments):
            above = any(crosses[max(0, i - 3) : i])
            below = any(crosses[i + 1 : i + 4])
            crosses[i] = above and below
    bands: list[tuple[bool, list[Segment]]] = []
    for row, crossing in zip(rows, crosses, strict=True):
        if bands and bands[-1][0] == crossing:
            bands[-1][1].extend(row.segments)
        else:
            bands.append((crossing, list(row.segments)))
    return bands
