"""Put the cells of aligned rows under their columns, columns named whole.

A heading that spans columns is repeated over each of them: "Three Months Ended June 25, 2022".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ingest.parsers.pdf_layout import Bounds, Row, Rule, Segment, is_right_to_left

_NUMBER = re.compile(r"[(\-–—−+]?\s*[$€£¥]?\s*\(?\d[\d,.]*\s*[%)元万亿]*\s*\)?%?$|[—–-]{1,2}%?$|N/?A$|\*$")
_UNIT = re.compile(
    r"\((?:(?:amounts |dollars |u\.s\. dollars )?in (?:millions|thousands|billions)|unaudited|单位)", re.IGNORECASE
)
_GOES_ON = re.compile(r"(?:,|\b(?:and|or|of|to|in|for|by|from|the|with))$")
_YEAR = re.compile(r"(?:19|20)\d\d$")
_PERIOD = re.compile(
    r"\b(?:months?|weeks?|quarters?|years?|periods?)\s+end(?:ed|ing)\b|\bas (?:of|at)\b"
    r"|\b(?:January|February|March|April|June|July|August|September|October|November|December)\b|\bMay \d",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Cell:
    """A cell's text and the box around its words, in points; an empty cell has none."""

    text: str = ""
    bounds: Bounds | None = None

    def add(self, text: str, bounds: Bounds | None) -> None:
        """Append a line or a word to the cell."""
        self.text = cell_text(f"{self.text} {text}".strip())
        if self.bounds is None or bounds is None:
            self.bounds = self.bounds or bounds
            return
        (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = self.bounds, bounds
        self.bounds = min(ax0, bx0), min(ay0, by0), max(ax1, bx1), max(ay1, by1)


@dataclass(slots=True)
class TableRow:
    """A row's cells, one for each column."""

    cells: list[Cell]

    @property
    def texts(self) -> list[str]:
        """The cells' texts."""
        return [cell.text for cell in self.cells]

    @property
    def bounds(self) -> Bounds:
        """The box around the cells that are not empty, of which there is at least one."""
        whole = Cell()
        for cell in self.cells:
            whole.add("", cell.bounds)
        return whole.bounds or (0.0, 0.0, 0.0, 0.0)


@dataclass(slots=True)
class Table:
    """A table; the first row names the columns where ``has_header``."""

    rows: list[TableRow] = field(default_factory=list)
    has_header: bool = False

    @property
    def bounds(self) -> Bounds:
        """The box around all rows, of which there is at least one."""
        return TableRow([cell for row in self.rows for cell in row.cells]).bounds


def cell_text(text: str) -> str:
    """Return a cell with its signs against its number: "$ 82,959 )" reads "$82,959)"."""
    text = re.sub(r"([$€£¥])\s+(?=[\d(—–-])", r"\1", text)
    text = re.sub(r"\(\s+(?=[$€£¥\d])", "(", text)
    return re.sub(r"(?<=\d)\s+(?=[)%])", "", text)


def is_number(text: str) -> bool:
    """Whether a cell holds a value and no words."""
    return _NUMBER.match(text) is not None


def is_year(text: str) -> bool:
    """Whether a cell holds a year, which names a column rather than being a value."""
    return _YEAR.match(text) is not None


def is_unit(text: str) -> bool:
    """Whether a line says what a table's values are counted in."""
    return _UNIT.match(text) is not None


def names_period(text: str) -> bool:
    """Whether a heading names a date or a span of time."""
    return _PERIOD.search(text) is not None


def _columns(rows: Sequence[Row]) -> list[list[float]]:
    """Return the ``[x0, x1]`` of each column, left to right, from the fullest rows to the emptiest."""
    columns: list[list[float]] = []
    for row in sorted((r for r in rows if len(r.segments) > 1), key=lambda r: -len(r.segments)):
        for segment in row.segments:
            over = [c for c in columns if min(c[1], segment.x1) - max(c[0], segment.x0) > 0]
            if not over:
                columns.append([segment.x0, segment.x1])
                columns.sort()
            elif len(over) == 1:
                i = columns.index(over[0])
                before = columns[i - 1][1] + 1 if i else float("-inf")
                after = columns[i + 1][0] - 1 if i + 1 < len(columns) else float("inf")
                over[0][0] = min(over[0][0], max(segment.x0, before))
                over[0][1] = max(over[0][1], min(segment.x1, after))
    return columns


def _spanned(segment: Segment, columns: Sequence[Sequence[float]], rules: Sequence[Rule]) -> list[int]:
    """Return the columns that a segment stands over; the rule under a heading says how far it reaches."""
    x0, x1 = segment.x0, segment.x1
    for rule in rules:
        if rule.level and segment.y1 - 4 < rule.y0 < segment.y1 + 5 and rule.x0 - 3 <= x0 and x1 <= rule.x1 + 3:
            middle = (rule.x0 + rule.x1) / 2
            if abs(middle - (segment.x0 + segment.x1) / 2) < 0.2 * (rule.x1 - rule.x0):
                x0, x1 = rule.x0, rule.x1
                break
    over = [i for i, c in enumerate(columns) if min(c[1], x1) - max(c[0], x0) > 0.2 * min(c[1] - c[0], x1 - x0)]
    if over:
        return over
    middle = (x0 + x1) / 2
    return [min(range(len(columns)), key=lambda i: abs((columns[i][0] + columns[i][1]) / 2 - middle))]


def built(rows: Sequence[Row], rules: Sequence[Rule]) -> Table:
    """Return the table that some rows make, from top to bottom."""
    columns = _columns(rows)
    left, right = columns[0][0], columns[-1][1]
    # Rules as wide as the table part its rows and say nothing of its columns.
    rules = [r for r in rules if r.level and r.x1 - r.x0 < 0.9 * (right - left)]
    spans = [[(s, _spanned(s, columns, rules)) for s in row.segments] for row in rows]
    n_head = _n_head(rows, spans)
    for cells in spans[: n_head - 1]:
        _widen(cells, len(columns))
    table = Table(has_header=n_head > 0)
    if n_head:
        table.rows.append(_headed(spans[:n_head], len(columns)))
    for cells in spans[n_head:]:
        made = TableRow([Cell() for _ in columns])
        for segment, over in cells:
            at = over[0] if len(over) == 1 or segment.x0 <= columns[0][1] else _most_over(segment, over, columns)
            made.cells[at].add(segment.text, segment.bounds)
        _add_body(table, made, n_head=n_head)
    if sum(is_right_to_left(row.text) for row in rows) * 2 > len(rows):
        reverse(table)
    return table


def reverse(table: Table) -> None:
    """Put the cells of each row into the order of a script that runs from right to left."""
    for row in table.rows:
        row.cells.reverse()


def _widen(cells: list[tuple[Segment, list[int]]], n_columns: int) -> None:
    """Let periods that are named once for several columns, each over the last of its own, stand over all of them."""
    values = [i for i, (_, over) in enumerate(cells) if over != [0]]
    n_values = n_columns - 1
    if not values or n_values % len(values) or not all(names_period(cells[i][0].text) for i in values):
        return
    each = n_values // len(values)
    groups = [list(range(1 + g * each, 1 + (g + 1) * each)) for g in range(len(values))]
    if all(set(cells[i][1]) <= set(group) for i, group in zip(values, groups, strict=True)):
        for i, group in zip(values, groups, strict=True):
            cells[i] = (cells[i][0], group)


def _most_over(segment: Segment, over: Sequence[int], columns: Sequence[Sequence[float]]) -> int:
    return max(over, key=lambda i: min(columns[i][1], segment.x1) - max(columns[i][0], segment.x0))


def _n_head(rows: Sequence[Row], spans: Sequence[Sequence[tuple[Segment, list[int]]]]) -> int:
    """Return how many leading rows name the columns."""
    n = 0
    for cells in spans[:8]:
        if all(is_unit(s.text) for s, _ in cells):
            n += 1
            continue
        values = [s.text for s, over in cells if over != [0]]
        if any(is_number(v) and not is_year(v) for v in values):
            break
        labelled = any(over == [0] for _, over in cells)
        if labelled and not values and n:
            break
        if not values and len(spans) > n + 1 and n == 0:
            # A lone label on top: it heads the columns only when the next row does.
            following = [s.text for s, over in spans[n + 1] if over != [0]]
            if any(is_number(v) and not is_year(v) for v in following):
                break
        n += 1
    has_values = any(is_number(s.text) for cells in spans[n:] for s, over in cells if over != [0])
    if has_values and n < len(rows):
        return n
    first, others = rows[0], rows[1:]
    distinct = all(s.bold for s in first.segments) and not all(s.bold for row in others for s in row.segments)
    return 1 if distinct and len(first.segments) > 1 else 0


def _headed(spans: Sequence[Sequence[tuple[Segment, list[int]]]], n_columns: int) -> TableRow:
    row = TableRow([Cell() for _ in range(n_columns)])
    for cells in spans:
        for segment, over in cells:
            for i in [0] if is_unit(segment.text) else over:
                row.cells[i].add(segment.text, segment.bounds)
    return row


def _add_body(table: Table, row: TableRow, *, n_head: int) -> None:
    """Add a row, or join it with the one above where a label or cell is wrapped over two lines."""
    above = table.rows[-1] if len(table.rows) > bool(n_head) else None
    if above is not None and _wraps(above.texts, row.texts):
        _, top, _, bottom = row.bounds
        if top - above.bounds[3] < 0.8 * (bottom - top):
            for cell, more in zip(above.cells, row.cells, strict=True):
                cell.add(more.text, more.bounds)
            return
    table.rows.append(row)


def _wraps(above: Sequence[str], cells: Sequence[str]) -> bool:
    label, values = cells[0], [c for c in cells[1:] if c]
    if label:
        # "common stockholders | 3.40" under "Net income per share attributable to"; or a label's end under its values.
        goes_on = label[0].islower() or (_GOES_ON.search(above[0]) is not None and not any(above[1:]))
        return goes_on and not (values and any(above[1:])) and not above[0].endswith((".", ":"))
    return bool(values) and any(above[1:]) and not any(is_number(v) or v[0].isupper() for v in values)
