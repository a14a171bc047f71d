"""Sizes, times, names in addresses and failures as these pages write them."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote

from app.error_texts import ERROR_TEXTS
from app.ui.reports import explain_failure
from core.records import Language
from ingest.reports import FileReport

_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP = 1000


def size(n_bytes: float) -> str:
    """Return a size in the unit that people would take for it."""
    unit = 0
    while n_bytes >= _STEP and unit < len(_UNITS) - 1:
        n_bytes, unit = n_bytes / _STEP, unit + 1
    return f"{n_bytes:,.0f} {_UNITS[unit]}" if unit == 0 or n_bytes >= 100 else f"{n_bytes:.1f} {_UNITS[unit]}"


def moment(at: float | None) -> str:
    """Return a time in seconds since the epoch as a date and a time of day, "" for none."""
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M") if at is not None else ""


def in_address(name: str) -> str:
    """Return a name as one part of an address, whatever is in it.

    Slashes and names of dots alone, which lead elsewhere, are written as ``!2F`` and ``!2E``: what servers, proxies and
    browsers make of their usual form differs.
    """
    marked = re.sub(r"[!/]", _marked, name)
    return quote(marked if marked.strip(".") else re.sub(r"\.", _marked, marked), safe="!", errors="replace")


def from_address(part: str) -> str:
    """Undo :func:`in_address` in what the server has unquoted."""
    return re.sub("!([0-9A-F]{2})", lambda match: chr(int(match[1], 16)), part)


def _marked(match: re.Match[str]) -> str:
    return f"!{ord(match[0]):02X}"


def failure(code: str, error: str, *, where: str, language: Language) -> str:
    """Return why something failed, and what to do."""
    known = code if code in ERROR_TEXTS else "error"
    return explain_failure(FileReport(path=where, status="failed", error_code=known, error=error), language)
