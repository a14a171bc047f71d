"""Build a :class:`Document` piece by piece, in reading order, keeping every character range exact."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.errors import NoText
from core.records import Box, Document, Locator, Section, SectionKind, SourceFile
from core.text import detect_language

CELL_SEPARATOR = " | "
# No database stores a lone surrogate, no screen shows a control character: each becomes one harmless character, so
# that ranges stand.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseOptions:
    """Limits and choices a parser keeps to; ``depth`` counts the mails that the file is attached within."""

    ocr: bool = True
    max_unpacked_bytes: int = 600 * 2**20
    depth: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListItem:
    """An item of a list; ``depth`` 0 is outermost, ``marker`` is what stands before it, such as "-" or "2.1."."""

    text: str
    depth: int = 0
    marker: str = "-"


@dataclass(slots=True)
class _Place:
    page: int | None = None
    slide: int | None = None
    sheet: str | None = None


@dataclass(slots=True)
class DocumentBuilder:
    """Collects sections; ``page``, ``slide`` and ``sheet`` hold for all that is added until they are set anew."""

    source: SourceFile
    title: str = ""
    place: _Place = field(default_factory=_Place)
    notes: list[str] = field(default_factory=list)
    n_pages: int | None = None
    _parts: list[str] = field(default_factory=list)
    _sections: list[Section] = field(default_factory=list)
    _headings: list[tuple[int, str]] = field(default_factory=list)
    _length: int = 0

    @property
    def headings(self) -> tuple[str, ...]:
        """The path of headings at this point, outermost first."""
        return tuple(text for _, text in self._headings)

    @property
    def next_start(self) -> int:
        """Where the next section's text will start in the document's text."""
        return self._length + (2 if self._parts else 0)

    def add_heading(self, text: str, *, level: int, boxes: Sequence[Box] = ()) -> None:
        """Add a heading, 1 outermost; it closes the headings at its level and below.

        Boxes' ranges are relative to ``text``.
        """
        text = " ".join(text.split())
        if not text:
            return
        self.set_heading(text, level=level)
        self._append(text, kind="heading", level=level, boxes=boxes)

    def set_heading(self, text: str, *, level: int) -> None:
        """Open a heading in the path without putting its text into the document."""
        self.close_headings(level=level)
        self._headings.append((level, _clean(" ".join(text.split()))))

    def close_headings(self, *, level: int = 0) -> None:
        """Close the headings at ``level`` and below; 0 closes all."""
        self._headings = [(n, t) for n, t in self._headings if n < level]

    def note(self, remark: str) -> None:
        """Add a remark for the report, once."""
        if remark not in self.notes:
            self.notes.append(remark)

    def add_text(
        self,
        text: str,
        *,
        kind: SectionKind = "paragraph",
        boxes: Sequence[Box] = (),
        row_start: int | None = None,
        row_end: int | None = None,
    ) -> None:
        """Add a paragraph, list item, code block or caption; white space at its ends is dropped.

        Code keeps the indent of its first line. Boxes' ranges are relative to ``text`` as given; rows are 1-based
        records or lines of the source.
        """
        stripped = text.strip()
        if not stripped:
            return
        offset = len(text) - len(text.lstrip())
        if kind == "code":
            offset = text.rfind("\n", 0, offset) + 1
            stripped = text[offset:].rstrip()
        moved = [
            Box(
                page=b.page,
                x0=b.x0,
                y0=b.y0,
                x1=b.x1,
                y1=b.y1,
                start=max(0, b.start - offset),
                end=min(len(stripped), b.end - offset),
            )
            for b in boxes
            if b.end > offset and b.start - offset < len(stripped)
        ]
        self._append(stripped, kind=kind, level=0, boxes=moved, row_start=row_start, row_end=row_end)

    def add_list(self, items: Sequence[ListItem]) -> None:
        """Add a list as one section, one item a line, indented by two spaces a level."""
        kept = [item for item in items if item.text.strip()]
        if not kept:
            return
        outermost = min(item.depth for item in kept)
        lines = (
            f"{'  ' * (item.depth - outermost)}{item.marker} {' '.join(item.text.split())}".rstrip() for item in kept
        )
        self.add_text("\n".join(lines), kind="list")

    def add_table(
        self,
        rows: Sequence[Sequence[str]],
        *,
        has_header: bool = True,
        header: Sequence[str] = (),
        first_row: int | None = None,
        boxes: Sequence[Box] = (),
    ) -> None:
        """Add a table, one row a line.

        Args:
            rows: The cells; line ends within a cell become spaces, rows without text are dropped.
            has_header: Whether the first row names the columns.
            header: The names of the columns where they stand in an earlier section.
            first_row: The 1-based row of ``rows[0]`` in its sheet.
            boxes: Ranges relative to the lines joined by a line end, so only for tables whose every row has text.
        """
        lines = [_table_line(row) for row in rows]
        kept = [(i, line) for i, line in enumerate(lines) if line.replace("|", "").strip()]
        if not kept:
            return
        text = "\n".join(line for _, line in kept)
        named = _table_line(header) if header else kept[0][1] if has_header and len(kept) > 1 else ""
        last = None if first_row is None else first_row + kept[-1][0]
        start_row = None if first_row is None else first_row + kept[0][0]
        self._append(text, kind="table", level=0, boxes=boxes, header=named, row_start=start_row, row_end=last)

    def add_document(self, document: Document, *, level: int) -> None:
        """Add the sections of a document that this one carries, its headings under the heading open at ``level``.

        Boxes are dropped, since they point into the carried file and not into this source.
        """
        carrier = [(n, text) for n, text in self._headings if n <= level]
        for section in document.sections:
            inner = section.locator
            self._headings = carrier + [(level + n, text) for n, text in enumerate(inner.headings, start=1)]
            self.place = _Place(page=inner.page, slide=inner.slide, sheet=inner.sheet)
            self._append(
                section.text,
                kind=section.kind,
                level=section.level + level if section.kind == "heading" else 0,
                boxes=(),
                header=section.table_header,
                row_start=inner.row_start,
                row_end=inner.row_end,
            )
            last = self._sections[-1]
            self._sections[-1] = replace(last, locator=replace(last.locator, page_end=inner.page_end))
        self._headings, self.place = carrier, _Place()
        for remark in document.notes:
            self.note(remark)

    def build(self) -> Document:
        """Return the document.

        Raises:
            NoText: Nothing was added.
        """
        if not self._sections:
            raise NoText("holds no text", where=self.source.path, remedy="If it is a picture or a scan, switch on OCR")
        text = "".join(self._parts)
        return Document(
            source=self.source,
            title=_clean(" ".join(self.title.split())),
            text=text,
            sections=tuple(self._sections),
            language=detect_language(text),
            n_pages=self.n_pages,
            notes=tuple(self.notes),
        )

    def _append(
        self,
        text: str,
        *,
        kind: SectionKind,
        level: int,
        boxes: Sequence[Box],
        header: str = "",
        row_start: int | None = None,
        row_end: int | None = None,
    ) -> None:
        text = _clean(text)
        start = self.next_start
        if self._parts:
            self._parts.append("\n\n")
        self._parts.append(text)
        end = start + len(text)
        self._length = end
        absolute = tuple(
            Box(page=b.page, x0=b.x0, y0=b.y0, x1=b.x1, y1=b.y1, start=b.start + start, end=b.end + start)
            for b in boxes
        )
        pages = [b.page for b in boxes]
        locator = Locator(
            start=start,
            end=end,
            page=min(pages) if pages else self.place.page,
            page_end=max(pages) if pages else self.place.page,
            slide=self.place.slide,
            sheet=self.place.sheet,
            row_start=row_start,
            row_end=row_end,
            headings=self.headings,
            boxes=absolute,
        )
        self._sections.append(Section(text=text, locator=locator, kind=kind, level=level, table_header=_clean(header)))


def _table_line(row: Sequence[str]) -> str:
    cells = [" ".join(str(cell).split()) for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return CELL_SEPARATOR.join(cells).strip()


def _clean(text: str) -> str:
    return _SURROGATE.sub("\ufffd", _UNPRINTABLE.sub(" ", text))
