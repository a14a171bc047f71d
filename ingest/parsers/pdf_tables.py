"""Find tables in the rows of a page by cells that line up, as in statements without ruled columns.

Rows belong to a table while their cells line up with those above; a row without a second cell is a label within it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ingest.parsers.pdf_cells import Table, built, is_number, is_unit, is_year, names_period
from ingest.parsers.pdf_layout import Row, Rule, Segment

_CURRENCY = frozenset("$€£¥")
_CLOSING = frozenset((")", "%", ")%", "%)"))
_MAX_PITCH = 2.6  # heights of a row between rows of one table
_N_AHEAD = 3  # rows without a second cell that a table may hold in a row
_MAX_CELL = 46  # characters; cells longer than this on average are prose side by side


Block = Table | list[Row]


def parted(rows: Sequence[Row], rules: Sequence[Rule]) -> list[Block]:
    """Part the rows of a region, top to bottom, into tables of aligned cells and rows of running text."""
    for row in rows:
        _glue_signs(row)
    blocks: list[Block] = []
    text: list[Row] = []
    i = 0
    while i < len(rows):
        start, end = _table_at(rows, i)
        if end == start:
            text.append(rows[i])
            i += 1
            continue
        n_head = _n_spanning_above(text, rows[i:end])
        head = text[len(text) - n_head :]
        del text[len(text) - n_head :]
        if text:
            blocks.append(text)
            text = []
        blocks.append(built([*head, *rows[i:end]], rules))
        i = end
    if text:
        blocks.append(text)
    return blocks


def _glue_signs(row: Row) -> None:
    """Join a currency sign with the number to its right, a closing bracket or percent sign with that to its left."""
    glued: list[Segment] = []
    sign: Segment | None = None
    for segment in [part for whole in row.segments for part in _values_apart(whole)]:
        if sign is not None:
            segment.words[:0] = sign.words
            segment.measure()
            sign = None
        if segment.text in _CURRENCY:
            sign = segment
        elif glued and segment.text in _CLOSING and segment.x0 - glued[-1].x1 < 3 * segment.size:
            glued[-1].words.extend(segment.words)
            glued[-1].measure()
        else:
            glued.append(segment)
    if sign is not None:
        glued.append(sign)
    row.segments[:] = glued


def _values_apart(segment: Segment) -> list[Segment]:
    """Part values of two columns that stand so close that they were taken for one: "54,876 $ 59,340"."""
    words = segment.words
    cuts = [
        i
        for i, (last, word) in enumerate(pairwise(words), start=1)
        if is_number(last.text)
        and word.x0 - last.x1 > 0.45 * word.size
        and (word.text in _CURRENCY or (is_number(word.text) and all(is_number(w.text) for w in words)))
    ]
    if not cuts:
        return [segment]
    return [Segment(words[a:b]) for a, b in pairwise([0, *cuts, len(words)])]


def _table_at(rows: Sequence[Row], start: int) -> tuple[int, int]:
    """Return the range of rows of the table that starts at ``start``, empty when none does."""
    if len(rows[start].segments) < 2:
        return start, start
    cells: list[Row] = [rows[start]]
    end = start + 1
    for i in range(start + 1, len(rows)):
        row, above = rows[i], rows[i - 1]
        if row.y0 - above.y1 > _MAX_PITCH * min(row.y1 - row.y0, above.y1 - above.y0):
            break
        if len(row.segments) > 1:
            if _heads_anew(row, cells):
                break
            if not any(_lines_up(row, other) for other in reversed(cells[-12:])):
                break
            cells.append(row)
            end = i + 1
        elif i - end >= _N_AHEAD or _is_running_text(row, cells) or _stands_apart(rows, i):
            break
    return (start, end) if _is_table(cells) else (start, start)


def _lines_up(row: Row, other: Row) -> bool:
    """Whether a cell of one row, past its first, stands under one of the other's."""
    for a in row.segments[1:]:
        near = 0.9 * a.size
        for b in other.segments[1:]:
            overlap = min(a.x1, b.x1) - max(a.x0, b.x0)
            if overlap > 0 and (
                abs(a.x0 - b.x0) < near or abs(a.x1 - b.x1) < near or abs(a.x0 + a.x1 - b.x0 - b.x1) < 2 * near
            ):
                return True
    return False


def _is_running_text(row: Row, cells: Sequence[Row]) -> bool:
    """Whether a row without a second cell runs over the columns as a sentence does."""
    left = min(cell.x0 for cell in cells)
    right = max(cell.x1 for cell in cells)
    return len(row.text) > 40 and row.x1 - left > 0.8 * (right - left)


def _heads_anew(row: Row, cells: Sequence[Row]) -> bool:
    """Whether a row below values names columns again: periods over them, and no label but a unit."""
    if sum(any(is_number(s.text) and not is_year(s.text) for s in cell.segments[1:]) for cell in cells) < 2:
        return False
    first = row.segments[0]
    values = row.segments[1:] if first.text.startswith("(") and not is_number(first.text) else row.segments
    second = min(segment.x0 for cell in cells for segment in cell.segments[1:])
    if values is row.segments and first.x0 < second - 2 * first.size:
        return False
    return all(is_year(s.text) or (names_period(s.text) and not is_number(s.text)) for s in values)


def _stands_apart(rows: Sequence[Row], i: int) -> bool:
    """Whether a row has space above and below it, as a sentence between two tables does."""
    row = rows[i]
    space = 0.7 * (row.y1 - row.y0)
    below = rows[i + 1].y0 - row.y1 if i + 1 < len(rows) else space
    return len(row.text) > 30 and row.y0 - rows[i - 1].y1 > space and below >= space


def _is_table(cells: Sequence[Row]) -> bool:
    if len(cells) < 2:
        return False
    values = [segment.text for row in cells for segment in row.segments[1:]]
    n_numbers = sum(map(is_number, values))
    if n_numbers >= 0.4 * len(values):
        return True
    return len(cells) >= 3 and sum(map(len, values)) / len(values) < _MAX_CELL


def _n_spanning_above(text: Sequence[Row], rows: Sequence[Row]) -> int:
    """Return how many of the rows just above a table head its columns without a label of their own."""
    values = [row for row in rows if len(row.segments) > 1]
    left = min(row.x0 for row in values)
    right = max(row.x1 for row in values)
    second = min(segment.x0 for row in values for segment in row.segments[1:])
    below, n = rows[0], 0
    for row in reversed(text[-4:]):
        inside = (row.x0 > second - 0.06 * (right - left) and row.x1 < right + 12) or is_unit(row.text)
        if not inside or below.y0 - row.y1 > 1.2 * (row.y1 - row.y0) or len(row.text) > 90:
            break
        n += 1
        below = row
    return n
