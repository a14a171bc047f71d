"""Build a :class:`Document` piece by piece, in reading order, keeping every character range exact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from core.errors import NoText
from core.records import Box, Document, Locator, Section, SectionKind, SourceFile
from core.text import detect_language

CELL_SEPARATOR = " | "


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseOptions:
    """Limits and choices a parser keeps to."""

    ocr: bool = True
    max_unpacked_bytes: int = 600 * 2**20


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
        self._headings.append((level, " ".join(text.split())))

    def close_headings(self, *, level: int = 0) -> None:
        """Close the headings at ``level`` and below; 0 closes all."""
        self._headings = [(n, t) for n, t in self._headings if n < level]

    def add_text(self, text: str, *, kind: SectionKind = "paragraph", boxes: Sequence[Box] = ()) -> None:
        """Add a paragraph, list item, code block or caption; white space at its ends is dropped.

        Boxes' ranges are relative to ``text`` as given.
        """
        stripped = text.strip()
        if not stripped:
            return
        offset = len(text) - len(text.lstrip())
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
        self._append(stripped, kind=kind, level=0, boxes=moved)

    def add_table(
        self,
        rows: Sequence[Sequence[str]],
        *,
        has_header: bool = True,
        first_row: int | None = None,
        boxes: Sequence[Box] = (),
    ) -> None:
        """Add a table, one row a line.

        Args:
            rows: The cells; line ends within a cell become spaces, rows without text are dropped.
            has_header: Whether the first row names the columns.
            first_row: The 1-based row of ``rows[0]`` in its sheet.
            boxes: Ranges relative to the lines joined by a line end, so only for tables whose every row has text.
        """
        lines = [CELL_SEPARATOR.join(" ".join(str(cell).split()) for cell in row).strip() for row in rows]
        kept = [(i, line) for i, line in enumerate(lines) if line.replace("|", "").strip()]
        if not kept:
            return
        text = "\n".join(line for _, line in kept)
        header = kept[0][1] if has_header and len(kept) > 1 else ""
        last = None if first_row is None else first_row + kept[-1][0]
        start_row = None if first_row is None else first_row + kept[0][0]
        self._append(text, kind="table", level=0, boxes=boxes, header=header, row_start=start_row, row_end=last)

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
            title=" ".join(self.title.split()),
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
        self._sections.append(Section(text=text, locator=locator, kind=kind, level=level, table_header=header))
