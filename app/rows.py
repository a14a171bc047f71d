"""Rows of tables in passages: the header above a row, and a row as a reader would say it."""

from __future__ import annotations

import re

from core.records import Hit

SEPARATOR = " | "
_VALUE = re.compile(r"^[\d+\-−±<>≤≥€$£¥%]")


def is_row(text: str) -> bool:
    """Return whether a sentence of a passage is a table's row."""
    return SEPARATOR in text


def header_above(hit: Hit, start: int) -> str:
    """Return the header row of the table whose row begins at ``start`` in the document's characters, or "".

    It is the first row of the row's block in the passage; where the passage begins inside the table, the header that
    its context carries. A row that is itself first has none.
    """
    before = hit.chunk.text[: start - hit.chunk.locator.start]
    block = before.rpartition("\n\n")[2]
    rows = [line for line in block.split("\n") if is_row(line)]
    carried = [line for line in hit.chunk.context.split("\n") if is_row(line)]
    if carried and "\n\n" not in before:
        return carried[-1]
    return rows[0] if rows else ""


def is_header(hit: Hit, start: int, text: str) -> bool:
    """Return whether a row is the first of its table and has no values, so that it names columns."""
    if not is_row(text) or header_above(hit, start):
        return False
    return not any(_VALUE.match(cell.strip()) for cell in text.split(SEPARATOR))


def readable(text: str, header: str) -> str:
    """Return a row with the names of its columns, "Model: 300; Price: 1,900 EUR"; as it is where they do not fit."""
    cells, names = text.split(SEPARATOR), header.split(SEPARATOR)
    if len(cells) < 2 or len(names) != len(cells):
        return text
    pairs = zip(names, cells, strict=True)
    return "; ".join(f"{name.strip()}: {cell.strip()}" for name, cell in pairs if cell.strip())
