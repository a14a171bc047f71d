"""Texts without what may differ between two copies of them: width, case, marks and white space."""

from __future__ import annotations

import re
import unicodedata

_UNIT = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]|[^\W_\u3400-\u9fff\uf900-\ufaff]+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_DECIMAL = re.compile(r"(?<=\d)\.(?=\d)")


def units(text: str) -> list[str]:
    """Return the words and the single Chinese characters of ``text``, folded."""
    plain = _THOUSANDS.sub("", unicodedata.normalize("NFKC", text).casefold())
    return _UNIT.findall(_DECIMAL.sub("point", plain))


def folded(text: str) -> str:
    """Return the units of ``text`` with one space around each, so that a part of it is found by whole words."""
    return f" {' '.join(units(text))} "


def holds(text: str, part: str) -> bool:
    """Return whether ``text`` holds the words of ``part``; nothing holds what has no words."""
    wanted = folded(part)
    return wanted.strip() != "" and wanted in folded(text)
