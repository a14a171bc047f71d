"""Read files of JSON lines: one JSON value a line, blank lines between them as one likes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.errors import MalformedInput, MissingPath


def json_lines(path: Path) -> list[tuple[int, Any]]:
    """Return (line number, value) of every line that is not blank.

    Raises:
        MissingPath: There is no such file.
        MalformedInput: The file is no UTF-8, or a line is no JSON; file and line are named.
    """
    return [(number, json_value(line, where=f"{path}:{number}")) for number, line in numbered_lines(path)]


def numbered_lines(path: Path) -> list[tuple[int, str]]:
    """Return (line number, line) of every line that is not blank; raises as :func:`json_lines` for the file itself."""
    try:
        text = path.read_text("utf-8-sig")
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise MissingPath("there is no such file", where=str(path), remedy="Check the spelling") from None
    except UnicodeDecodeError as error:
        raise MalformedInput(f"is not text in UTF-8 ({error.reason})", where=str(path)) from error
    return numbered(text)


def numbered(text: str) -> list[tuple[int, str]]:
    """Return (line number, line) of every line of a text that is not blank."""
    # A line of JSON may hold other ends of lines.
    return [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]


def json_value(line: str, *, where: str) -> Any:
    """Return the value of a line.

    Raises:
        MalformedInput: It is no JSON.
    """
    try:
        return json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise MalformedInput(f"is no JSON: {error}", where=where) from None
