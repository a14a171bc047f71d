"""Join the words of a page into segments and rows.

A segment is a run of words on one baseline without a wide gap: a line of prose, or a cell of a table. A row holds the
segments of one baseline. Everything is in points, origin at the top left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Bounds = tuple[float, float, float, float]  # left, top, right, bottom

_GAP = 1.15  # widths of a letter that part two segments; justified prose stays below it
_MARKER = re.compile(r"(?:[•▪■□●○◦‣–—\-*·➢✓❖]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)、])$")
_CHINESE = re.compile("[\u2e80-\u312f\u3400-\u9fff\uf900-\ufaff\uff01-\uff60\U00020000-\U0003134f]")
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufefc]")


def is_chinese(char: str) -> bool:
    """Whether a character is written without spaces around it: Chinese, kana, their punctuation."""
    return _CHINESE.match(char) is not None


def is_right_to_left(text: str) -> bool:
    """Whether a text holds Arabic or Hebrew letters."""
    return _RTL.search(text) is not None


@dataclass(slots=True)
class Word:
    """A word; ``size`` is the height of its font, ``index`` its place in the page's content.

    ``turn`` is by how many degrees clockwise the page has to be turned for the word to run from left to right.
    """

    text: str
    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    bold: bool = False
    turn: int = 0
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

    @property
    def bounds(self) -> Bounds:
        """The box around the words."""
        return self.x0, self.y0, self.x1, self.y1


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


def joined_words(words: Sequence[Word]) -> str:
    """Join words as they are written: no space where Chinese stands close to what is beside it."""
    text = ""
    last: Word | None = None
    for word in words:
        if last is not None and _spaced(last, word):
            text += " "
        text += word.text
        last = word
    return text


def _spaced(last: Word, word: Word) -> bool:
    n_chinese = is_chinese(last.text[-1]) + is_chinese(word.text[0])
    if n_chinese:
        return word.x0 - last.x1 >= (0.35 if n_chinese == 2 else 0.2) * word.size
    return not _touching(last, word)


def _touching(last: Word, word: Word) -> bool:
    """Whether two words were parted by a change of font alone, such as a superscript."""
    return word.index == last.index + len(last.text) and abs(word.x0 - last.x1) < 0.1 * word.size


def segments_of(words: Iterable[Word]) -> list[Segment]:
    """Join words into segments, in no particular order; words that do not run to the right are left out."""
    runs: list[list[Word]] = []
    for word in words:
        if word.turn:
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
