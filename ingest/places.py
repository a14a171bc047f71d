"""Where a range over several sections stands: pages, slide, sheet and rows, headings and boxes."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from core.records import Locator, Section


def common_headings(sections: Sequence[Section]) -> tuple[str, ...]:
    """Return the heading path that holds for all text of some sections, headings themselves left aside."""
    paths = [s.locator.headings for s in sections if s.kind != "heading"] or [sections[-1].locator.headings]
    shortest, longest = min(paths), max(paths)
    for n, part in enumerate(shortest):
        if n == len(longest) or part != longest[n]:
            return shortest[:n]
    return shortest


class Places:
    """The locators of ranges of one document."""

    def __init__(self, sections: Sequence[Section]) -> None:
        self._sections = sections
        self._line_ends: dict[int, array[int]] = {}

    def of(self, first: int, last: int, *, start: int, end: int) -> Locator:
        """Return the locator of ``[start, end)``, which touches each of the sections ``first`` to ``last``."""
        parts = [self._narrowed(i, start, end) for i in range(first, last + 1)]
        pages = [part.page for part in parts if part.page is not None]
        pages_end = [part.page_end for part in parts if part.page_end is not None]
        first_rows = [part.row_start for part in parts if part.row_start is not None]
        last_rows = [part.row_end for part in parts if part.row_end is not None]
        in_rows = len(first_rows) == len(last_rows) == len(parts)
        return Locator(
            start=start,
            end=end,
            page=min(pages, default=None),
            page_end=max(pages_end or pages, default=None),
            slide=parts[0].slide,
            sheet=parts[0].sheet,
            row_start=min(first_rows) if in_rows else None,
            row_end=max(last_rows) if in_rows else None,
            headings=common_headings(self._sections[first : last + 1]),
            boxes=tuple(box for part in parts for box in part.boxes),
        )

    def _narrowed(self, i: int, start: int, end: int) -> Locator:
        section = self._sections[i]
        at = section.locator
        start, end = max(start, at.start), min(end, at.end)
        if (start, end) == (at.start, at.end):
            return at
        narrow = at.narrowed(start=start, end=end)
        if section.kind != "table" or at.row_start is None or at.row_end is None:
            return narrow
        if i not in self._line_ends:
            self._line_ends[i] = array("q", (n for n, character in enumerate(section.text) if character == "\n"))
        ends = self._line_ends[i]
        before = bisect_left(ends, start - at.start)
        after = len(ends) - bisect_left(ends, end - at.start)
        # Rows without text are not in the section: where there are any, the range is wide enough to hold the true one.
        return replace(narrow, row_start=at.row_start + before, row_end=at.row_end - after)
