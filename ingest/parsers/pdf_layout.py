"""Find the reading order of a page: words -> segments -> rows -> columns -> blocks.

A segment is a run of words on one baseline without a wide gap: a line of prose, or a cell of a table. Columns of prose
are told from the columns of a table by what fills them: lines of prose reach from side to side of their column.
Everything is in points, origin at the top left.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

_GAP = 1.15  # widths of a letter that part two segments; justified prose stays below it
_MARKER = re.compile(r"(?:[•▪■□●○◦‣–—\-*·➢✓❖]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)、])$")
_CHINESE = re.compile("[\u2e80-\u312f\u3400-\u9fff\uf900-\ufaff\uff01-\uff60\U00020000-\U0003134f]")
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufefc]")
_PROSE_SHARE = 0.6  # of the characters on each side
_N_PROSE = 4  # lines of prose on each side that make two columns


def is_chinese(char: str) -> bool:
    """Whether a character is written without spaces around it: Chinese, kana, their punctuation."""
    return _CHINESE.match(char) is not None


def is_right_to_left(text: str) -> bool:
    """Whether a text holds Arabic or Hebrew letters."""
    return _RTL.search(text) is not None


@dataclass(slots=True)
class Word:
    """A word; ``size`` is the height of its font, ``index`` its place in the page's content."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    bold: bool = False
    upright: bool = True
    index: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A thin line or box on the page."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def level(self) -> bool:
        """Whether the rule lies rather than stands."""
        return self.x1 - self.x0 >= self.y1 - self.y0


@dataclass(slots=True)
class Segment:
    """Words of one baseline that belong together, left to right."""

    words: list[Word]
    x0: float = 0.0
    y0: float = 0.0
    x1: float = 0.0
    y1: float = 0.0
    text: str = ""
    size: float = 0.0
    bold: bool = False

    def __post_init__(self) -> None:
        self.measure()

    def measure(self) -> None:
        """Take box, text and font anew from the words."""
        words = self.words
        self.x0, self.x1 = min(w.x0 for w in words), max(w.x1 for w in words)
        self.y0, self.y1 = min(w.y0 for w in words), max(w.y1 for w in words)
        self.text = joined_words(words)
        n_chars = sum(len(w.text) for w in words)
        self.size = max(words, key=lambda w: (len(w.text), w.size)).size
        self.bold = sum(len(w.text) for w in words if w.bold) * 2 > n_chars

    @property
    def width(self) -> float:
        """Width in points."""
        return self.x1 - self.x0


@dataclass(slots=True)
class Row:
    """Segments that share a baseline, left to right."""

    segments: list[Segment]
    y0: float = 0.0
    y1: float = 0.0

    def __post_init__(self) -> None:
        self.y0 = min(s.y0 for s in self.segments)
        self.y1 = max(s.y1 for s in self.segments)

    @property
    def text(self) -> str:
        """The row's words on one line."""
        return " ".join(s.text for s in self.segments)

    @property
    def x0(self) -> float:
        """Left edge."""
        return self.segments[0].x0

    @property
    def x1(self) -> float:
        """Right edge."""
        return max(s.x1 for s in self.segments)


@dataclass(slots=True)
class Region:
    """Rows of one column, or of the page's full width, from top to bottom."""

    rows: list[Row] = field(default_factory=list)


def joined_words(words: Sequence[Word]) -> str:
    """Join words as they are written: no space where both sides are Chinese and stand close."""
    text = ""
    last: Word | None = None
    for word in words:
        if (
            last is not None
            and not ((is_chinese(last.text[-1]) or is_chinese(word.text[0])) and word.x0 - last.x1 < 0.35 * word.size)
            and not _touching(last, word)
        ):
            text += " "
        text += word.text
        last = word
    return text


def _touching(last: Word, word: Word) -> bool:
    """Whether two words were parted by a change of font alone, such as a superscript."""
    return word.index == last.index + len(last.text) and abs(word.x0 - last.x1) < 0.1 * word.size


def segments_of(words: Iterable[Word]) -> list[Segment]:
    """Join words into segments, in no particular order; words that do not stand upright are left out."""
    runs: list[list[Word]] = []
    for word in words:
        if not word.upright:
            continue
        if runs and _continues(runs[-1][-1], word):
            runs[-1].append(word)
        else:
            runs.append([word])
    return _merged([Segment(run) for run in runs])


def _continues(last: Word, word: Word) -> bool:
    if not _same_line(last, word):
        return False
    size = max(last.size, word.size)
    gap = word.x0 - last.x1
    if _RTL.search(word.text) or _RTL.search(last.text):
        gap = max(word.x0 - last.x1, last.x0 - word.x1)
        return gap < _GAP * size
    return -0.5 * size < gap < _GAP * size


def _same_line(a: Word | Segment, b: Word | Segment) -> bool:
    overlap = min(a.y1, b.y1) - max(a.y0, b.y0)
    return overlap > 0.5 * min(a.y1 - a.y0, b.y1 - b.y0)


def _merged(segments: list[Segment]) -> list[Segment]:
    """Join segments that were written apart but stand side by side."""
    done: list[Segment] = []
    for row in rows_of(segments):
        last: Segment | None = None
        for segment in row.segments:
            gap = segment.x0 - last.x1 if last else 0.0
            size = max(segment.size, last.size) if last else 0.0
            if last is not None and -0.5 * size < gap < _GAP * size and _same_line(last, segment):
                last.words.extend(segment.words)
                last.measure()
            else:
                done.append(segment)
                last = segment
    return done


def rows_of(segments: Sequence[Segment]) -> list[Row]:
    """Group segments by baseline, rows from top to bottom, segments from left to right."""
    groups: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda s: (s.y0 + s.y1, s.x0)):
        # The last few rows only: a tall letter may have opened a row a little earlier.
        for group in reversed(groups[-3:]):
            if _same_line(group[0], segment) and all(
                other.x1 <= segment.x0 + 1 or segment.x1 <= other.x0 + 1 for other in group
            ):
                group.append(segment)
                break
        else:
            groups.append([segment])
    rows = [Row(sorted(group, key=lambda s: s.x0)) for group in groups]
    return sorted(rows, key=lambda row: (row.y0 + row.y1) / 2)


def glue_markers(rows: Sequence[Row]) -> None:
    """Join a bullet or number that stands before a line with that line."""
    for row in rows:
        first = row.segments[0]
        if len(row.segments) > 1 and _MARKER.match(first.text) and row.segments[1].x0 - first.x1 < 4 * first.size:
            second = row.segments.pop(1)
            first.words.extend(second.words)
            size, bold = second.size, second.bold
            first.measure()
            first.size, first.bold = size, bold


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
