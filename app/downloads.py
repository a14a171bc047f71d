"""Files that a browser saves: their names, whatever they are made of, and nothing that it would show or run."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

from app.uploads import RESERVED_NAME

MAX_NAME_CHARS = 120
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f"*/:<>?\\|\u200e\u200f\u202a-\u202e\u2066-\u2069]+')


def saved_as(name: str, *, ending: str = "") -> str:
    """Return a file name that every system takes; ``ending``, as ".md", stays whole."""
    plain = _NOT_IN_NAMES.sub(" ", name.encode("utf-8", "replace").decode())
    plain = "".join(c for c in plain if unicodedata.category(c)[0] != "C")
    plain = " ".join(plain.split()).strip(". ")
    stem, dot, own_ending = plain.rpartition(".")
    if ending or not dot or len(own_ending) > 10:
        stem, own_ending = plain, ending
    else:
        own_ending = f".{own_ending}"
    stem = stem[: MAX_NAME_CHARS - len(own_ending)].rstrip(". ") or "citadel"
    return f"_{stem}{own_ending}" if RESERVED_NAME.match(stem) else f"{stem}{own_ending}"


def attachment(name: str, *, ending: str = "") -> dict[str, str]:
    """Return the headers with which a browser saves a file under this name, and neither shows nor guesses at it."""
    name = saved_as(name, ending=ending)
    plain = "".join(c if c.isascii() and c not in '%"' else "_" for c in name)
    return {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, no-store",
    }
