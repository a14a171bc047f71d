"""Find the tables in a sheet of cells; Excel and OpenDocument share it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ingest.builder import DocumentBuilder
from ingest.grid import spans_most

Cells = Mapping[tuple[int, int], str]  # (row, column), both 1-based, to the text shown; empty cells are absent

_NUMBER = re.compile(r"[-+(]?[$€£¥]?\s?\d[\d.,\s]*%?\)?")
_LEAST_WIDTH = 2  # columns on each side of an empty column for the two to be tables of their own


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A table: its cells' rows and columns, ends included, none of them empty throughout."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]


def add_cells(builder: DocumentBuilder, cells: Cells, *, spans: Mapping[tuple[int, int], int]) -> None:
    """Add the tables of a sheet, top to bottom and left to right; ``builder.place.sheet`` names the sheet.

    A lone cell above a table is its title: it heads the table's path.

    Args:
        builder: Takes the tables.
        cells: What the sheet shows; merged areas filled throughout.
        spans: How many columns a merged area takes, by each of its rows and its first column.
    """
    for block in find_blocks(cells):
        rows = list(block.rows)
        builder.close_headings(level=2)
        while len(rows) > 1 and len(block.columns) > 1 and (title := _lone_cell(cells, rows[0], block.columns)):
            builder.add_text(title, kind="caption", row_start=rows[0], row_end=rows[0])
            builder.set_heading(title, level=2)
            del rows[0]
        table = [_row(cells, row, block.columns, spans) for row in rows]
        builder.add_table(table, has_header=_is_header(table), first_row=rows[0])
    builder.close_headings(level=2)


def find_blocks(cells: Cells) -> list[Block]:
    """Return the tables of a sheet: parted by empty rows, and by empty columns where both sides are tables."""
    filled: dict[int, set[int]] = {}
    for row, column in cells:
        filled.setdefault(row, set()).add(column)
    return _bands(filled)


def _bands(filled: dict[int, set[int]]) -> list[Block]:
    """Part filled columns by row at the empty rows."""
    return [block for band in _runs(sorted(filled)) for block in _split({row: filled[row] for row in band})]


def _split(filled: dict[int, set[int]]) -> list[Block]:
    """Part rows that follow one another at the empty columns, then each part at its own empty rows."""
    groups: list[list[int]] = []
    for run in _runs(sorted(set().union(*filled.values()))):
        # A narrow run beside a gap is a form's labels or values: its rows are read across.
        if groups and (len(run) < _LEAST_WIDTH or len(groups[-1]) < _LEAST_WIDTH):
            groups[-1].extend(run)
        else:
            groups.append(run)
    if len(groups) == 1:
        return [Block(rows=tuple(filled), columns=tuple(groups[0]))]
    parts = [{row: columns & set(group) for row, columns in filled.items() if columns & set(group)} for group in groups]
    return [block for part in parts for block in _bands(part)]


def _runs(numbers: list[int]) -> Iterator[list[int]]:
    run: list[int] = []
    for number in numbers:
        if run and number != run[-1] + 1:
            yield run
            run = []
        run.append(number)
    if run:
        yield run


def _lone_cell(cells: Cells, row: int, columns: tuple[int, ...]) -> str:
    texts = {text for column in columns if (text := cells.get((row, column), ""))}
    n_filled = sum((row, column) in cells for column in columns)
    if len(texts) != 1 or (1 < n_filled < len(columns)):
        return ""
    text = texts.pop()
    return "" if _NUMBER.fullmatch(text) else text


def _row(cells: Cells, row: int, columns: tuple[int, ...], spans: Mapping[tuple[int, int], int]) -> list[str]:
    """Return a row of a table; a cell that spans most of it is written once."""
    texts = {column: cells.get((row, column), "") for column in columns}
    for column in columns:
        width = spans.get((row, column), 1)
        if spans_most(width, columns[-1] - columns[0] + 1):
            texts.update(dict.fromkeys((c for c in columns if column < c < column + width), ""))
    return list(texts.values())


def _is_header(table: list[list[str]]) -> bool:
    cells = [cell for cell in table[0] if cell]
    return len(table) > 1 and bool(cells) and not any(_NUMBER.fullmatch(cell) for cell in cells)
