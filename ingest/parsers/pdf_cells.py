"""Put the cells of aligned rows under their columns, columns named whole.

A heading that spans columns is repeated over each of them: "Three Months Ended June 25, 2022".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ingest.parsers.pdf_layout import Row, Rule, Segment, is_right_to_left

_NUMBER = re.compile(r"[(\-–—−+]?\s*[$€£¥]?\s*\(?\d[\d,.]*\s*[%)元万亿]*\s*\)?%?$|[—–-]{1,2}%?$|N/?A$|\*$")
_UNIT = re.compile(
    r"\((?:(?:amounts |dollars |u\.s\. dollars )?in (?:millions|thousands|billions)|unaudited|单位)", re.IGNORECASE
)
_YEAR = re.compile(r"(?:19|20)\d\d$")
_PERIOD = re.compile(
    r"\b(?:months?|weeks?|quarters?|years?|periods?)\s+end(?:ed|ing)\b|\bas (?:of|at)\b"
    r"|\b(?:January|February|March|April|June|July|August|September|October|November|December)\b|\bMay \d",
    re.IGNORECASE,
)


@dataclass(slots=True)
class TableRow:
    """A row's cells and the box around them, in points."""

    cells: list[str]
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(slots=True)
class Table:
    """A table; the first row names the columns where ``has_header``."""

    rows: list[TableRow] = field(default_factory=list)
    has_header: bool = False


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
        table.rows.append(_headed(rows[:n_head], spans[:n_head], len(columns)))
    for row, cells in zip(rows[n_head:], spans[n_head:], strict=True):
        texts = [""] * len(columns)
        for segment, over in cells:
            at = over[0] if len(over) == 1 or segment.x0 <= columns[0][1] else _most_over(segment, over, columns)
            texts[at] = f"{texts[at]} {segment.text}".strip()
        built = TableRow([cell_text(t) for t in texts], row.x0, row.y0, row.x1, row.y1)
        _add_body(table, built, n_head=n_head)
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


def _headed(rows: Sequence[Row], spans: Sequence[Sequence[tuple[Segment, list[int]]]], n_columns: int) -> TableRow:
    texts = [""] * n_columns
    for cells in spans:
        for segment, over in cells:
            for i in [0] if is_unit(segment.text) else over:
                texts[i] = f"{texts[i]} {segment.text}".strip()
    return TableRow(
        [cell_text(t) for t in texts],
        min(r.x0 for r in rows),
        min(r.y0 for r in rows),
        max(r.x1 for r in rows),
        max(r.y1 for r in rows),
    )


def _add_body(table: Table, row: TableRow, *, n_head: int) -> None:
    """Add a row, or join it with the one above where a label or cell is wrapped over two lines."""
    above = table.rows[-1] if len(table.rows) > bool(n_head) else None
    if above is not None and row.y0 - above.y1 < 0.8 * (row.y1 - row.y0) and _wraps(above.cells, row.cells):
        above.cells = [f"{a} {b}".strip() for a, b in zip(above.cells, row.cells, strict=True)]
        above.x0, above.x1 = min(above.x0, row.x0), max(above.x1, row.x1)
        above.y0, above.y1 = min(above.y0, row.y0), max(above.y1, row.y1)
        return
    table.rows.append(row)


def _wraps(above: Sequence[str], cells: Sequence[str]) -> bool:
    label, values = cells[0], [c for c in cells[1:] if c]
    if label:
        # "common stockholders | 3.40" under "Net income per share attributable to"; or a label's end under its values.
        return label[0].islower() and not (values and any(above[1:])) and not above[0].endswith((".", ":"))
    return bool(values) and any(above[1:]) and not any(is_number(v) or v[0].isupper() for v in values)
