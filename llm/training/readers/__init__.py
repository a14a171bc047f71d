"""Files -> records, one module a format; ``FORMATS`` is the table.

A format's ``fits(item)`` tells it from the others by its first item, and its ``read(item, where)`` yields records, or a
``MalformedInput`` for a part that is none. An item is a line of a JSONL file, plain or gzipped, or an element of a JSON
file's list, which may stand under "data".
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from core.errors import MalformedInput, MissingPath
from core.tables import load
from llm.training.records import Record

Item = dict[str, Any]
Reader = Callable[[Item, str], Iterator[Record | MalformedInput]]

# The first that fits reads the file.
FORMATS = {
    "records": "llm.training.readers.own",
    "feedback": "llm.training.readers.feedback",
    "preferences": "llm.training.readers.preferences",
    "qed": "llm.training.readers.qed",
    "hotpotqa": "llm.training.readers.hotpotqa",
    "musique": "llm.training.readers.musique",
    "policyqa": "llm.training.readers.policyqa",
    "squad": "llm.training.readers.squad",
    "quac": "llm.training.readers.quac",
    "written": "llm.training.readers.written",
    "yes_no": "llm.training.readers.yes_no",
}
_STRAY = " \n\t,;:，、；：。"
_WRONG = (KeyError, IndexError, TypeError, ValueError, AttributeError)


def read_file(
    path: Path, *, format: str = "", on_error: Literal["stop", "collect"] = "stop"
) -> tuple[str, list[Record], list[MalformedInput]]:
    """Return the format of a file, its records in order and what was wrong.

    Args:
        path: A ``.json``, ``.jsonl`` or ``.jsonl.gz`` file.
        format: A name in ``FORMATS``; "" takes the one that fits the first item.
        on_error: Whether the first malformed item ends the reading or all are collected.

    Raises:
        MissingPath: There is no such file.
        MalformedInput: An item is malformed and ``on_error`` is "stop"; or the file is of no known format, or empty.
    """
    found = format

    def read(item: Item, where: str) -> Iterator[Record | MalformedInput]:
        nonlocal found
        found = found or _format_of(item, where)
        yield from load(f"{FORMATS[found]}:read")(item, where)

    records, wrong = read_items(path, read, on_error=on_error)
    if not records:
        raise wrong[0] if wrong else MalformedInput("holds no records", where=str(path))
    return found, records, wrong


def read_items(
    path: Path, read: Reader, *, on_error: Literal["stop", "collect"] = "stop"
) -> tuple[list[Record], list[MalformedInput]]:
    """Return what ``read`` makes of a file's items, in order, and what was wrong.

    Raises:
        MissingPath: There is no such file.
        MalformedInput: An item is malformed and ``on_error`` is "stop"; or the file cannot be read.
    """
    if not path.is_file():
        raise MissingPath("there is no such file", where=str(path))
    records: list[Record] = []
    wrong: list[MalformedInput] = []
    for where, item in _items(path):
        for record in [item] if isinstance(item, MalformedInput) else _read(read, item, where):
            if isinstance(record, Record):
                records.append(record)
            elif on_error == "stop":
                raise record
            else:
                wrong.append(record)
    return records, wrong


def attempt(make: Callable[[], Record], where: str) -> Record | MalformedInput:
    """Return what ``make`` makes, or what is wrong with it as an error that names the place."""
    try:
        return make()
    except _WRONG as error:
        return _malformed(error, where)


def spans_of(text: str, answers: list[str], starts: list[int]) -> tuple[tuple[int, int], ...]:
    """Return where the answers stand in ``text``: at ``starts``, or where they are found when those are off.

    Raises:
        ValueError: An answer is not in the text.
    """
    spans = []
    for answer, start in zip(answers, starts, strict=True):
        if not text.startswith(answer, start):
            start = text.find(answer)
        if start < 0 or not answer.strip():
            raise ValueError(f"the answer {answer[:60]!r} is not in its passage")
        spans.append(_trimmed(text, start, start + len(answer)))
    return tuple(spans)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return the span without stray marks at its ends, and with the whole of its last word."""
    while start < end and (text[start] in _STRAY or text[start : start + 2] == ". "):
        start += 1
    while end > start and text[end - 1] in _STRAY:
        end -= 1
    while (
        start < end < len(text)
        and text[end - 1].isascii()
        and text[end - 1].isalpha()
        and text[end].isascii()
        and text[end].isalpha()
    ):
        end += 1
    return start, end


def _read(read: Reader, item: Item, where: str) -> Iterator[Record | MalformedInput]:
    try:
        yield from read(item, where)
    except _WRONG as error:
        yield _malformed(error, where)


def _malformed(error: Exception, where: str) -> MalformedInput:
    said = f"lacks {error}" if isinstance(error, KeyError) else str(error)
    return MalformedInput(f"is malformed: {said}", where=where, remedy="Correct it, or collect with --on-error collect")


def _items(path: Path) -> Iterator[tuple[str, Item | MalformedInput]]:
    raw = path.read_bytes()
    try:
        text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise MalformedInput(f"cannot be read: {error}", where=str(path)) from None
    whole = None if ".jsonl" in path.suffixes else _whole(text)
    if whole is not None:
        for i, item in enumerate(whole):
            yield f"{path.name}#{i}", _dictionary(item, f"{path.name}#{i}")
        return
    for number, line in enumerate(text.split("\n"), 1):
        where = f"{path.name}:{number}"
        if line.strip():
            try:
                yield where, _dictionary(json.loads(line), where)
            except json.JSONDecodeError as error:
                yield where, _malformed(ValueError(error.msg), where)


def _whole(text: str) -> list[Any] | None:
    """Return the elements of a JSON file; None where the text is not one JSON value, but one a line."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        return None
    if isinstance(whole, dict):
        return list(whole["data"]) if isinstance(whole.get("data"), list) else [whole]
    return list(whole) if isinstance(whole, list) else [whole]


def _dictionary(item: Any, where: str) -> Item | MalformedInput:
    return item if isinstance(item, dict) else _malformed(ValueError("it is no JSON object"), where)


def _format_of(item: Item, where: str) -> str:
    for name, module in FORMATS.items():
        if load(f"{module}:fits")(item):
            return name
    raise MalformedInput(
        f"is of no known format; it has {', '.join(sorted(item)[:8])}",
        where=where,
        remedy=f"Known are: {', '.join(FORMATS)}",
    )
