"""The text of HTML elements: on one line, as it stands, or as a browser collapses it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

SKIPPED = frozenset(
    "script style noscript template head iframe object embed canvas audio video map datalist select button svg".split()
)
BLOCKS = frozenset(
    "address article aside blockquote body center details dialog dd div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 header hgroup hr html legend li main menu nav ol optgroup p pre section summary table tbody td "
    "tfoot th thead tr ul caption".split()
)
_SPACES = re.compile(r"[ \t\n\r\f\u00a0]+")


def tag_of(element: Any) -> str:
    """Return an element's local name in lower case, "" for comments and the like."""
    tag = element.tag
    return tag.rpartition("}")[2].lower() if isinstance(tag, str) else ""


def is_hidden(element: Any) -> bool:
    """Whether a browser would not show the element."""
    style = (element.get("style") or "").replace(" ", "").lower()
    return element.get("hidden") is not None or "display:none" in style or "visibility:hidden" in style


def inline_text(element: Any) -> str:
    """Return the text of an element on one line, ``br`` and blocks within it as spaces."""
    return " ".join("".join(_texts(element)).split())


def verbatim_text(element: Any) -> str:
    """Return the text of an element with its line ends and indents."""
    pieces = [element.text or ""]
    for child in element:
        if tag_of(child) == "br":
            pieces.append("\n")
        elif tag_of(child) and tag_of(child) not in SKIPPED:
            pieces.append(verbatim_text(child))
        pieces.append(child.tail or "")
    return "".join(pieces)


def tidy(text: str) -> str:
    """Collapse white space as a browser does, keeping the line ends that ``br`` left as "\\v"."""
    lines = (_SPACES.sub(" ", line).strip() for line in text.split("\v"))
    return "\n".join(line for line in lines if line)


def first_number(listing: Any) -> int:
    """Return the number of an ordered list's first item."""
    value = listing.get("start") or "1"
    return int(value) if value.lstrip("-").isdigit() else 1


def _texts(element: Any) -> Iterator[str]:
    """Yield the pieces of text under an element, spaces where blocks part, list items with their markers."""
    yield element.text or ""
    number = first_number(element) if tag_of(element) == "ol" else 0
    for child in element:
        tag = tag_of(child)
        if tag and tag not in SKIPPED and not is_hidden(child):
            if tag == "li":
                yield f" {number}. " if number else " - "
                number += bool(number)
            if tag in BLOCKS:
                yield " "
                yield from _texts(child)
                yield " "
            elif tag in ("br", "img", "math", "input", "sub", "sup", "wbr"):
                yield own_inline(child, tag).replace("\v", " ")
            else:
                yield from _texts(child)
        yield child.tail or ""


def own_inline(element: Any, tag: str) -> str:
    """Return what an inline element reads as; "\\v" for a line end."""
    if tag in SKIPPED or is_hidden(element):
        return ""
    if tag == "br":
        return "\v"
    if tag == "wbr":
        return ""
    if tag == "img":
        alternative = " ".join((element.get("alt") or "").split())
        return f" {alternative} " if alternative else ""
    if tag == "input":
        checked = element.get("checked") is not None
        return ("[x] " if checked else "[ ] ") if element.get("type") in ("checkbox", "radio") else ""
    if tag == "math":
        notation = element.get("alttext") or element.xpath("string(.//*[local-name()='annotation'])")
        return f" {notation} " if notation else inline_text(element)
    pieces = [element.text or ""]
    for child in element:
        if tag_of(child):
            pieces.append(own_inline(child, tag_of(child)))
        pieces.append(child.tail or "")
    return "".join(pieces)
