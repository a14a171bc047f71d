"""Find the lines that repeat at the edges of pages: running heads, footers, page numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ingest.parsers.pdf_layout import Row, Segment, rows_of

_ZONE = 0.13  # of the page's height, at the top and at the bottom
_MAX_LINES = 4  # at each edge
_SHIFT = 0.025  # of the page's height that a line may move from page to page
_GAP = 0.8  # heights of a line
_N_PAGES = 3  # on which a line stands before it is taken for a running one
_PAGE_NUMBER = re.compile(
    r"\W*(?:page|p\.|pg\.?|seite|第)?\s*(?:#|[ivxlc]{1,6})\s*(?:页|頁)?\s*(?:(?:of|/|-|–|von|共)\s*#\s*(?:页|頁)?)?\W*$",
    re.I,
)
_DIGITS = re.compile(r"\d+")
# A footer that ends in its page's number; where a program set it right below the text, its height changes by page.
_NUMBERED = re.compile(r"[^\W\d_].*[|·•–—-]\s*(?:page\s*)?#$")


@dataclass(slots=True)
class EdgeLine:
    """A line near the top or bottom.

    ``shape`` is its text with numbers masked, ``y`` a fraction of the page's height, ``gap`` the space to what stands
    next to it on the inner side, in heights of the line.
    """

    shape: str
    y: float
    row: Row
    gap: float

    @property
    def is_page_number(self) -> bool:
        """Whether the line is a page number alone."""
        return _PAGE_NUMBER.match(self.shape) is not None


Edges = tuple[list[EdgeLine], list[EdgeLine]]


def edges_of(segments: Sequence[Segment], *, height: float) -> Edges:
    """Return the lines at the top and at the bottom of a page, those nearest to the edge first."""
    zone = _ZONE * height
    lowest = max((s.y1 for s in segments), default=0.0) - zone / 3  # a page number follows a short page's text
    rows = rows_of([s for s in segments if s.y1 < zone or s.y0 > min(height - zone, lowest)])
    top = [_edge_line(row, segments, height, inwards=1) for row in rows if row.y1 < zone]
    bottom = [_edge_line(row, segments, height, inwards=-1) for row in reversed(rows) if row.y1 >= zone]
    return top[:_MAX_LINES], bottom[:_MAX_LINES]


def _edge_line(row: Row, segments: Sequence[Segment], height: float, *, inwards: int) -> EdgeLine:
    middle = (row.y0 + row.y1) / 2
    if inwards > 0:
        space = min((s.y0 - row.y1 for s in segments if s.y0 > middle), default=height)
    else:
        space = min((row.y0 - s.y1 for s in segments if s.y1 < middle), default=height)
    return EdgeLine(_shape(row.text), middle / height, row, space / max(1.0, row.y1 - row.y0))


def _shape(text: str) -> str:
    return _DIGITS.sub("#", " ".join(text.lower().split()))


def running_lines(edges: Edges, others: Iterable[Edges], *, n_pages: int) -> list[EdgeLine]:
    """Return the lines of a page that stand at the same place on pages near it.

    Counting goes from the edge inwards and ends at the first line that is the page's own, so that a table that begins
    alike on every page is kept; and a space has to part running lines from the text, so that a form letter is kept.
    """
    wanted = min(_N_PAGES, n_pages) - 1
    near = list(others)
    running: list[EdgeLine] = []
    for side in (0, 1):
        found: list[EdgeLine] = []
        for line in edges[side]:
            n = sum(any(_same(line, other) for other in page[side]) for page in near)
            speaks = line.is_page_number or any(c.isalpha() for c in line.shape)
            if not wanted or n < wanted or not speaks:
                break
            found.append(line)
        while found and found[-1].gap < _GAP and not found[-1].is_page_number:
            found.pop()
        running.extend(found)
    return running


def _same(a: EdgeLine, b: EdgeLine) -> bool:
    anywhere = a.is_page_number or _NUMBERED.search(a.shape) is not None
    return a.shape == b.shape and (anywhere or abs(a.y - b.y) < _SHIFT)
