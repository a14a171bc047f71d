"""Names and texts as a database can hold them."""

from __future__ import annotations

import os
import re
from dataclasses import replace

from core.records import Document

# Half of a surrogate pair and NUL are no text; one character for one keeps every range in place.
_UNSTORABLE = re.compile("[\ud800-\udfff\0]")


def storable_name(name: str) -> str:
    """Return a file name without undecodable bytes, which are written ``\\xff``; other names are unchanged."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def storable_text(document: Document) -> Document:
    """Return a document in whose text and title what is no character is U+FFFD, in place."""
    text = _UNSTORABLE.sub("\ufffd", document.text)
    title = _UNSTORABLE.sub("\ufffd", document.title)
    if (text, title) == (document.text, document.title):
        return document
    sections = tuple(replace(s, text=text[s.locator.start : s.locator.end]) for s in document.sections)
    return replace(document, text=text, title=title, sections=sections)
