"""JSON and JSON Lines: values by their path, flat records as tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.errors import DamagedDocument
from core.records import Document, SourceFile
from ingest.builder import DocumentBuilder, ParseOptions
from ingest.encodings import decode, encoding_note

_TITLES = ("title", "name", "subject", "标题", "名称")
_MAX_CELL = 200  # characters; records with longer values read better as lines than as a row


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse a JSON file; one that holds a value a line is read as JSON Lines.

    Raises:
        DamagedDocument: It is neither.
    """
    text, encoding = decode(path.read_bytes())
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise DamagedDocument("is nested too deeply", where=source.path, remedy="Flatten it") from error
    except ValueError as error:
        lines = text.strip().splitlines()
        if len(lines) > 1 and _loads(lines[0]) is not None:
            return parse_lines(path, source, options)
        raise DamagedDocument(f"is not JSON ({error})", where=source.path, remedy="Mend it at that place") from error
    builder = DocumentBuilder(source=source, title=_title(value), notes=list(encoding_note(encoding)))
    _add_value(builder, value)
    return builder.build()


def parse_lines(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse JSON Lines: each line a section, numbered as a row; lines that are no JSON are noted and kept as text."""
    text, encoding = decode(path.read_bytes())
    builder = DocumentBuilder(source=source, notes=list(encoding_note(encoding)))
    n_broken = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        value = _loads(line)
        if value is None:
            n_broken += 1
            builder.add_text(line, row_start=number, row_end=number)
        else:
            builder.add_text("\n".join(flat_lines(value)), row_start=number, row_end=number)
    if n_broken:
        builder.note(f"{n_broken} lines are not JSON and are kept as text")
    return builder.build()


def flat_lines(value: Any, *, path: str = "") -> Iterator[str]:
    """Yield ``path: value`` for every value in a tree, lists of plain values on one line."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat_lines(inner, path=f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        if all(_is_plain(inner) for inner in value):
            if value:
                yield _line(path, ", ".join(_said(inner) for inner in value))
            return
        for n, inner in enumerate(value, start=1):
            yield from flat_lines(inner, path=f"{path}[{n}]")
    elif value not in (None, ""):
        yield _line(path, _said(value))


def _add_value(builder: DocumentBuilder, value: Any, *, path: str = "") -> None:
    if isinstance(value, dict):
        _add_object(builder, value, path=path)
    elif isinstance(value, list) and _is_table(value):
        columns = list(dict.fromkeys(key for record in value for key in record))
        rows = [[_said(record.get(column)) for column in columns] for record in value]
        builder.add_table([columns, *rows])
    elif isinstance(value, list) and any(not _is_plain(inner) for inner in value):
        for n, inner in enumerate(value, start=1):
            builder.add_text("\n".join(flat_lines(inner, path=f"{path}[{n}]" if path else "")))
    else:
        builder.add_text("\n".join(flat_lines(value, path=path)))


def _add_object(builder: DocumentBuilder, record: dict[str, Any], *, path: str) -> None:
    """Add an object's plain values as one paragraph, then each of its trees and tables under its key."""
    plain = {key: value for key, value in record.items() if _is_plain(value) or _is_plain_list(value)}
    builder.add_text("\n".join(flat_lines(plain, path=path)))
    for key, value in record.items():
        if key in plain:
            continue
        inner = f"{path}.{key}" if path else str(key)
        if not path:
            builder.set_heading(str(key), level=1)
        if isinstance(value, list) and _is_table(value):
            builder.add_text(inner, kind="caption")
        _add_value(builder, value, path=inner)
    if not path:
        builder.close_headings()


def _is_plain(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _is_plain_list(value: Any) -> bool:
    return isinstance(value, list) and all(_is_plain(inner) for inner in value)


def _is_table(values: list[Any]) -> bool:
    """Whether values are flat records with short values and mostly the same keys."""
    if len(values) < 2 or not all(isinstance(value, dict) and value for value in values):
        return False
    if any(not _is_plain(cell) or len(_said(cell)) > _MAX_CELL for record in values for cell in record.values()):
        return False
    columns = {key for record in values for key in record}
    return sum(len(record) for record in values) * 2 >= len(columns) * len(values)


def _line(path: str, said: str) -> str:
    return f"{path}: {said}" if path else said


def _said(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _title(value: Any) -> str:
    if isinstance(value, dict):
        for key in _TITLES:
            if isinstance(value.get(key), str):
                return str(value[key])
    return ""


def _loads(line: str) -> Any | None:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
