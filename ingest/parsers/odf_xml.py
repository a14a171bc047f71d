"""The names of OpenDocument's XML, and the text of its elements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_NS = "urn:oasis:names:tc:opendocument:xmlns"
TEXT, TABLE, DRAW, OFFICE = (
    f"{{{_NS}:text:1.0}}",
    f"{{{_NS}:table:1.0}}",
    f"{{{_NS}:drawing:1.0}}",
    f"{{{_NS}:office:1.0}}",
)
PRESENTATION, STYLE, CHART = f"{{{_NS}:presentation:1.0}}", f"{{{_NS}:style:1.0}}", f"{{{_NS}:chart:1.0}}"
XLINK = "{http://www.w3.org/1999/xlink}"
DC = "{http://purl.org/dc/elements/1.1/}"
MAX_REPEAT = 1_000  # of filled rows or cells; empty ones are only counted
ASIDE = frozenset(
    f"{prefix}{name}"
    for prefix, names in (
        (TEXT, ("tracked-changes", "table-of-content", "illustration-index", "note-citation")),
        (OFFICE, ("annotation", "annotation-end", "forms")),
        (DRAW, ("frame", "custom-shape", "text-box", "g")),
    )
    for name in names
)
SHAPES = frozenset(
    f"{DRAW}{name}" for name in ("frame", "custom-shape", "g", "rect", "ellipse", "text-box", "page", "line")
)


def pieces_of(element: Any) -> Iterator[str]:
    """Yield the pieces of an element's own text: spaces, tabs and line ends as they are shown, notes as marks."""
    yield " ".join((element.text or "").split("\n")) if element.text else ""
    for child in element:
        tag = child.tag
        if tag == f"{TEXT}s":
            yield " " * min(int(child.get(f"{TEXT}c") or 1), 100)
        elif tag == f"{TEXT}tab":
            yield "\t"
        elif tag == f"{TEXT}line-break":
            yield "\n"
        elif tag == f"{TEXT}note":
            yield f"[{child.findtext(f'{TEXT}note-citation') or '*'}]"
        elif isinstance(tag, str) and tag not in ASIDE:
            yield from pieces_of(child)
        yield " ".join((child.tail or "").split("\n")) if child.tail else ""


def anchored(element: Any) -> Iterator[Any]:
    """Yield the notes, comments and frames within an element, outermost ones only."""
    for child in element:
        if child.tag in (f"{TEXT}note", f"{OFFICE}annotation") or child.tag in SHAPES:
            yield child
        elif child.tag != f"{TABLE}table":
            yield from anchored(child)


def own_elements(parent: Any, tag: str, *, within: tuple[str, ...]) -> Iterator[Any]:
    """Yield the children with a tag, also those grouped by the elements named."""
    for child in parent:
        if child.tag == tag:
            yield child
        elif isinstance(child.tag, str) and child.tag.removeprefix(TABLE) in within:
            yield from own_elements(child, tag, within=within)


def repeats(element: Any, what: str) -> int:
    """Return how often a row or cell is repeated, ``MAX_REPEAT`` at most."""
    return min(int(element.get(f"{TABLE}number-{what}-repeated") or 1), MAX_REPEAT)


def numbered_depths(style: Any) -> list[int]:
    """Return the depths, 1 outermost, at which a list style counts its items."""
    levels = style.findall(f"{TEXT}list-level-style-number")
    return [int(e.get(f"{TEXT}level") or 1) for e in levels if e.get(f"{STYLE}num-format")]
