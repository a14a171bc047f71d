"""Walk an HTML tree into headings, paragraphs, lists, tables and code; HTML, EPUB, Markdown and mail share it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ingest.builder import DocumentBuilder, ListItem
from ingest.grid import Grid
from ingest.parsers.html_text import (
    BLOCKS,
    SKIPPED,
    first_number,
    inline_text,
    is_hidden,
    own_inline,
    tag_of,
    tidy,
    verbatim_text,
)

_HEADINGS = {f"h{n}": n for n in range(1, 7)}
_CAPTIONS = frozenset(("figcaption", "caption"))
_LONG_CELL = 600  # characters; a cell longer than this holds a page layout, not a value


@dataclass(slots=True)
class HtmlWalker:
    """Adds the blocks under an element to a builder.

    Args:
        builder: Takes the sections.
        level_offset: Added to the level of every heading.
    """

    builder: DocumentBuilder
    level_offset: int = 0
    _inline: list[str] = field(default_factory=list)

    def walk(self, root: Any) -> None:
        """Add everything under ``root``, in order."""
        self._children(root)
        self._flush()

    def _children(self, element: Any) -> None:
        self._inline.append(element.text or "")
        for child in element:
            self._element(child)
            self._inline.append(child.tail or "")

    def _element(self, element: Any) -> None:
        tag = tag_of(element)
        if not tag or tag in SKIPPED or is_hidden(element):
            return
        if tag not in BLOCKS:
            self._inline_element(element, tag)
            return
        self._flush()
        if tag in _HEADINGS:
            self.builder.add_heading(inline_text(element), level=_HEADINGS[tag] + self.level_offset)
        elif tag in ("ul", "ol", "menu", "dl"):
            self._list(element)
        elif tag == "table":
            self._table(element)
        elif tag == "pre":
            self.builder.add_text(verbatim_text(element), kind="code")
        elif tag in _CAPTIONS:
            self.builder.add_text(inline_text(element), kind="caption")
        else:
            self._children(element)
            self._flush()

    def _inline_element(self, element: Any, tag: str) -> None:
        if any(tag_of(inner) in BLOCKS for inner in element.iterdescendants()):
            self._children(element)  # a link or span around blocks
        else:
            self._inline.append(own_inline(element, tag))

    def _flush(self) -> None:
        text = tidy("".join(self._inline))
        self._inline.clear()
        if text:
            self.builder.add_text(text)

    def _list(self, element: Any) -> None:
        items: list[ListItem] = []
        for piece in list_pieces(element, depth=0):
            if isinstance(piece, ListItem):
                items.append(piece)
                continue
            self.builder.add_list(items)
            items = []
            self._element(piece)
        self.builder.add_list(items)

    def _table(self, table: Any) -> None:
        if _is_layout(table):
            self._children(table)
            self._flush()
            return
        for caption in table.iterchildren("caption"):
            self.builder.add_text(inline_text(caption), kind="caption")
        rows, has_header = table_rows(table)
        self.builder.add_table(rows, has_header=has_header)


def list_pieces(element: Any, *, depth: int) -> Iterator[ListItem | Any]:
    """Yield the items of a list and those of the lists within it, and elements that no item can hold."""
    if tag_of(element) == "dl":
        yield from _definitions(element, depth)
        return
    number = first_number(element)
    for child in element:
        tag = tag_of(child)
        if tag in ("ul", "ol", "menu", "dl"):
            yield from list_pieces(child, depth=depth + 1)
        elif tag and not is_hidden(child):
            marker = f"{number}." if tag_of(element) == "ol" else "-"
            yield from _item(child, depth, marker)
            number += 1


def _item(element: Any, depth: int, marker: str) -> Iterator[ListItem | Any]:
    own, nested = _split_item(element)
    text = " ".join("".join(own).split())
    if text:
        yield ListItem(text=text, depth=depth, marker=marker)
    for inner in nested:
        if tag_of(inner) in ("ul", "ol", "menu", "dl"):
            yield from list_pieces(inner, depth=depth + 1)
        else:
            yield inner


def _split_item(element: Any) -> tuple[list[str], list[Any]]:
    """Part an item's own text from the lists, tables and code within it, however deep."""
    own: list[str] = [element.text or ""]
    nested: list[Any] = []
    for child in element:
        tag = tag_of(child)
        if tag in ("ul", "ol", "menu", "dl", "pre", "table"):
            nested.append(child)
        elif tag in BLOCKS and not is_hidden(child):
            inner_own, inner_nested = _split_item(child)
            own += [" ", *inner_own, " "]
            nested += inner_nested
        elif tag and tag not in SKIPPED:
            own.append(own_inline(child, tag))
        own.append(child.tail or "")
    return own, nested


def _definitions(element: Any, depth: int) -> Iterator[ListItem | Any]:
    has_terms = any(tag_of(child) == "dt" for child in element.iterdescendants())
    for child in element:
        tag = tag_of(child)
        if tag == "dt":
            yield from _item(child, depth, "-")
        elif tag == "dd":
            yield from _item(child, depth + 1 if has_terms else depth, "-")
        elif tag == "div":
            yield from _definitions(child, depth)


def table_rows(table: Any) -> tuple[list[list[str]], bool]:
    """Return the rows of a table, spans filled, and whether the first one names the columns."""
    grid = Grid()
    has_header = True
    for n, row in enumerate(_own_rows(table)):
        cells = [cell for cell in row if tag_of(cell) in ("td", "th")]
        if n == 0 and cells and not any(tag_of(cell) == "th" for cell in cells):
            has_header = bool(table.xpath("./*[local-name()='thead']")) or not any(_is_number(c) for c in cells)
        grid.start_row()
        for cell in cells:
            grid.place(_cell_text(cell), columns=_span(cell, "colspan"), rows=_span(cell, "rowspan"))
        grid.end_row()
    return grid.finished(), has_header


def _is_number(cell: Any) -> bool:
    return bool(re.fullmatch(r"[-+]?[\d.,]+%?", inline_text(cell)))


def _own_rows(table: Any) -> Iterator[Any]:
    for child in table:
        tag = tag_of(child)
        if tag == "tr":
            yield child
        elif tag in ("thead", "tbody", "tfoot"):
            yield from (row for row in child if tag_of(row) == "tr")


def _span(cell: Any, name: str) -> int:
    value = (cell.get(name) or "1").strip()
    return max(1, int(value)) if value.isdecimal() else 1


def _cell_text(cell: Any) -> str:
    return inline_text(cell)


def _is_layout(table: Any) -> bool:
    """Whether a table only arranges a page: old pages and mails are built of such."""
    if (table.get("role") or "") in ("presentation", "none"):
        return True
    if any(tag_of(inner) in ("th", "caption", "thead") for inner in table.iterdescendants()):
        return False
    inner_tables = [inner for inner in table.iterdescendants() if tag_of(inner) == "table"]
    cells = [cell for row in _own_rows(table) for cell in row if tag_of(cell) == "td"]
    if len(cells) <= 1:
        return True
    return bool(inner_tables) and any(len(inline_text(cell)) > _LONG_CELL for cell in cells)
