"""Questions about the cells of a table in a passage: "What is the Price of KX-200?"."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from core.text import detect_language
from llm.training.question_forms import Asking

_SEPARATOR = " | "
_VALUE = re.compile(r"^[\d+\-−±<>≤≥€$£¥%]")
_LONGEST_NAME = 40
# What asks or says, and does not name: "How much", "May be stored", "Counted", "Planned".
_NO_NAME = re.compile(r"(?:how|who|what|when|where|why|may|can|must|is|are|no\.?|#)\b|\w+ed$|什么|谁|如何", re.I)
_PLURAL = re.compile(r"[a-z]{3}(?<!s)(?<!u)(?<!i)s$")
_LONGEST_CELL = 80


def ask_table(text: str, *, header: str = "") -> Iterator[Asking]:
    """Yield a question a cell of each row that its first cell names among the rows.

    Args:
        text: A passage; a table's rows are lines, their cells parted by " | ".
        header: The names of the columns, where the passage begins inside a table.
    """
    lines: list[tuple[int, list[str]]] = []
    at = 0
    for line in text.split("\n"):
        if _SEPARATOR in line:
            lines.append((at, line.split(_SEPARATOR)))
        at += len(line) + 1
    names = header.split(_SEPARATOR) if header else (lines[0][1] if lines else [])
    rows = lines if header else lines[1:]
    if len(names) < 2 or any(_VALUE.match(name.strip()) for name in names):
        return
    keys = Counter(row[0].strip() for _, row in rows)
    for start, row in rows:
        key = row[0].strip()
        if len(row) == len(names) and keys[key] == 1 and _names(key) and key != names[0].strip():
            yield from _of_row(start, key, row, names)


def _names(key: str) -> bool:
    """Return whether a row's first cell is a name, and no value."""
    return 1 < len(key) <= _LONGEST_NAME and not _VALUE.match(key) and any(c.isalpha() for c in key)


def _of_row(start: int, key: str, row: list[str], names: list[str]) -> Iterator[Asking]:
    at = start + len(row[0])
    for name, cell in zip(names[1:], row[1:], strict=True):
        at += len(_SEPARATOR)
        column, value = name.strip(), cell.strip()
        if (
            any(c.isalpha() for c in column)
            and not _NO_NAME.match(column)
            and len(column) <= _LONGEST_NAME
            and 0 < len(value) <= _LONGEST_CELL
        ):
            first = at + len(cell) - len(cell.lstrip())
            asked, said = _wording(key, column, value)
            yield Asking(question=asked, kind="table", start=first, end=first + len(value), answer=said)
        at += len(cell)


def _wording(key: str, column: str, value: str) -> tuple[str, str]:
    if detect_language(f"{key} {column}") == "zh":
        return f"{key}的{column}是什么？", f"{key}的{column}是{value}。"
    plain = column if column[1:] != column[1:].lower() else column[0].lower() + column[1:]
    be = "are" if _PLURAL.search(plain) else "is"
    return f"What {be} the {plain} for {key}?", f"The {plain} for {key} {be} {value.rstrip('.')}."
