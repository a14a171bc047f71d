"""Manuscripts: a small part of Markdown with a head of ``key: value`` lines, closed by ``---``.

The body knows headings, paragraphs of one line, ``- `` and ``1. `` lists and pipe tables. A line ``---`` in the body
starts a new page, slide, chapter or, in mail, the attachment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["heading", "paragraph", "bullets", "numbers", "table"]
LIST_ITEM = re.compile(r"(- |\d+\. )(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A heading or paragraph (one line), a list (its items) or a table (its rows; the first is the header)."""

    kind: Kind
    lines: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    level: int = 0

    @property
    def text(self) -> str:
        """The one line of a heading or paragraph."""
        return self.lines[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manuscript:
    """What a file of the knowledge base says, before it has a format."""

    head: dict[str, str]
    pages: tuple[tuple[Block, ...], ...]
    raw_pages: tuple[str, ...]

    @property
    def title(self) -> str:
        """The title, for the metadata of the file."""
        return self.head["title"]

    @property
    def language(self) -> str:
        """The BCP 47 tag of the language."""
        return self.head.get("lang", "en")

    @property
    def blocks(self) -> tuple[Block, ...]:
        """All blocks, pages joined."""
        return tuple(block for page in self.pages for block in page)

    def sheets(self) -> list[tuple[str, tuple[tuple[str, ...], ...]]]:
        """Return (name, rows) of each table, named by the heading above it."""
        named, name = [], ""
        for block in self.blocks:
            if block.kind == "heading":
                name = block.text
            elif block.kind == "table":
                named.append((name, block.rows))
        return named


def read_manuscript(path: Path) -> Manuscript:
    """Read a manuscript.

    Raises:
        ValueError: The head is not closed by ``---``.
    """
    head_text, mark, body = path.read_text("utf-8").partition("\n---\n")
    if not mark:
        raise ValueError(f"{path}: no line --- after the head")
    pairs = (line.partition(":") for line in head_text.splitlines())
    raw_pages = tuple(part.strip() for part in re.split(r"^---$", body, flags=re.MULTILINE))
    return Manuscript(
        head={key.strip(): value.strip() for key, _, value in pairs},
        pages=tuple(tuple(_blocks(part)) for part in raw_pages),
        raw_pages=raw_pages,
    )


def _blocks(page: str) -> list[Block]:
    return [_block(paragraph.splitlines()) for paragraph in re.split(r"\n\s*\n", page) if paragraph]


def _block(lines: list[str]) -> Block:
    first = lines[0]
    if first.startswith("#"):
        marks, _, text = first.partition(" ")
        return Block(kind="heading", lines=(text,), level=len(marks))
    if first.startswith("|"):
        cells = (tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines)
        return Block(kind="table", rows=tuple(row for row in cells if set("".join(row)) - {"-"}))
    if found := LIST_ITEM.match(first):
        items = tuple(LIST_ITEM.sub(r"\2", line) for line in lines)
        return Block(kind="bullets" if found[1] == "- " else "numbers", lines=items)
    return Block(kind="paragraph", lines=("\n".join(lines),))
