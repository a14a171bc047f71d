"""Write the content of a page, read from a PDF or recognized from a picture, into a document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from core.records import Box
from ingest.builder import CELL_SEPARATOR, DocumentBuilder
from ingest.ocr import turn_box_back
from ingest.parsers.pdf_cells import Table
from ingest.parsers.pdf_columns import regions_of
from ingest.parsers.pdf_content import PageContent
from ingest.parsers.pdf_edges import EdgeLine
from ingest.parsers.pdf_flow import (
    Fonts,
    Paragraph,
    Vocabulary,
    heading_level,
    numbered_heading_level,
    paragraphs,
    rejoined,
)
from ingest.parsers.pdf_layout import Bounds, Row, Segment, Word
from ingest.parsers.pdf_tables import parted

_PLACEHOLDER = "\ue000"  # stands in a page's flow for a table whose cells are drawn
_NOT_WORD = re.compile(r"[\W_]+")


@dataclass(slots=True)
class PageWriter:
    """Writes pages, in order, into a builder; learns the document's fonts and words from the pages it is shown."""

    builder: DocumentBuilder
    fonts: Fonts = field(default_factory=Fonts)
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    _outline_level: int = 0
    _title_size: float = 0.0
    _edge_shapes: set[str] = field(default_factory=set)

    def learn(self, page: PageContent) -> None:
        """Count a page's fonts and words, before it or pages near it are written."""
        self.fonts.add(page.segments)
        self.vocabulary.add(segment.text for segment in page.segments)

    def write(self, page: PageContent, running: Sequence[EdgeLine] = ()) -> None:
        """Write a page; of lines that run over pages only the first of each shape, after the page's own text."""
        self.builder.place.page = page.number
        left_out = {id(segment) for line in running for segment in line.row.segments}
        segments = [s for s in page.segments if id(s) not in left_out]
        blocks = self._blocks(page, segments)
        self._open_outline(page, blocks)
        items: list[Paragraph] = []
        for block, after in zip_longest(blocks, blocks[1:]):
            level = self._level(page, block, after) if isinstance(block, Paragraph) else 0
            if isinstance(block, Paragraph) and block.kind == "list" and not level:
                items.append(block)
                continue
            self._add_list(page, items)
            items = []
            if isinstance(block, Table):
                self._add_table(page, block)
            else:
                self._add_paragraph(page, block, level)
        self._add_list(page, items)
        self._add_sideways(page)
        for line in running:
            if not line.is_page_number and line.shape not in self._edge_shapes and len(self._edge_shapes) < 1000:
                self._edge_shapes.add(line.shape)
                self._add_plain(page, Paragraph([line.row], line.row.text, [(0, len(line.row.text))]))

    def _blocks(self, page: PageContent, segments: list[Segment]) -> list[Paragraph | Table]:
        stand_ins = [_stand_in(table, i) for i, table in enumerate(page.tables)]
        blocks: list[Paragraph | Table] = []
        for region in regions_of([*segments, *stand_ins], width=page.width):
            first = True
            for rows in _cut_at_stand_ins(region.rows):
                if isinstance(rows, int):
                    blocks.append(page.tables[rows])
                    continue
                for block in parted(rows, page.rules):
                    if isinstance(block, Table):
                        blocks.append(block)
                        continue
                    for paragraph in paragraphs(block, self.vocabulary, exact_sizes=page.exact_sizes):
                        last = blocks[-1] if blocks and first else None
                        joined = rejoined(last, paragraph, self.vocabulary) if isinstance(last, Paragraph) else None
                        if joined is not None:
                            blocks[-1] = joined
                        else:
                            blocks.append(paragraph)
                        first = False
                first = False
        return blocks

    def _open_outline(self, page: PageContent, blocks: Sequence[Paragraph | Table]) -> None:
        """Open the outline's titles that do not stand on the page in so many words."""
        present = {_bare(b.text) for b in blocks if isinstance(b, Paragraph)}
        for level, title in page.outline:
            if _bare(title) not in present:
                self.builder.set_heading(title, level=level)
                self._outline_level = level

    def _add_paragraph(self, page: PageContent, paragraph: Paragraph, level: int) -> None:
        if not any(map(str.isalnum, paragraph.text)):
            return  # strokes and signs of a drawing
        if not level:
            self._add_plain(page, paragraph)
            return
        if self.builder.n_pages is None or page.number == 1:
            self._take_title(paragraph, level)
        self.builder.add_heading(paragraph.text, level=level, boxes=_line_boxes(page, paragraph))

    def _level(self, page: PageContent, paragraph: Paragraph, after: Paragraph | Table | None) -> int:
        """Return the depth of the heading that a paragraph is, by the outline, its font or its number; 0: none."""
        bare = _bare(paragraph.text)
        for level, title in page.outline:
            if bare and _bare(title) == bare:
                self._outline_level = level
                return level
        level = heading_level(paragraph, self.fonts, exact_sizes=page.exact_sizes)
        if not level and paragraph.size > 0.93 * self.fonts.body:  # footnotes have numbers too
            level = numbered_heading_level(paragraph, after.text if isinstance(after, Paragraph) else "")
        return max(level, self._outline_level + 1) if level and self._outline_level else level

    def _take_title(self, paragraph: Paragraph, level: int) -> None:
        is_ours = self._title_size > 0 or not self.builder.title
        if is_ours and level <= 3 and paragraph.size > 1.05 * self._title_size:
            self.builder.title = paragraph.text
            self._title_size = paragraph.size

    def _add_plain(self, page: PageContent, paragraph: Paragraph) -> None:
        self.builder.add_text(paragraph.text, boxes=_line_boxes(page, paragraph))

    def _add_list(self, page: PageContent, items: Sequence[Paragraph]) -> None:
        lines: list[str] = []
        boxes: list[Box] = []
        at = 0
        for item in items:
            boxes.extend(_line_boxes(page, item, offset=at))
            lines.append(item.text)
            at += len(item.text) + 1
        self.builder.add_text("\n".join(lines), kind="list", boxes=boxes)

    def _add_table(self, page: PageContent, table: Table) -> None:
        rows: list[list[str]] = []
        boxes: list[Box] = []
        at = 0
        for row in table.rows:
            texts = row.texts
            while not texts[-1]:
                texts.pop()
            rows.append(texts)
            line = CELL_SEPARATOR.join(texts)
            indent = len(line) - len(line.lstrip())  # before the separator of an empty first cell
            start = at - indent
            for cell in row.cells:
                if cell.text and cell.bounds:
                    boxes.append(_box(page, cell.bounds, start, start + len(cell.text)))
                start += len(cell.text) + len(CELL_SEPARATOR)
            at += len(line) - indent + 1
        self.builder.add_table(rows, has_header=table.has_header, boxes=boxes)

    def _add_sideways(self, page: PageContent) -> None:
        """Write text that stands sideways, such as a stamp in the margin, after the page's own."""
        runs: list[list[Word]] = []
        for word in page.sideways:
            if runs and word.index - (runs[-1][-1].index + len(runs[-1][-1].text)) <= 2:
                runs[-1].append(word)
            else:
                runs.append([word])
        for run in runs:
            text = "".join(
                word.text if not i or word.index <= run[i - 1].index + len(run[i - 1].text) else f" {word.text}"
                for i, word in enumerate(run)
            )
            if len(text) > 3:
                bounds = (
                    min(w.x0 for w in run),
                    min(w.y0 for w in run),
                    max(w.x1 for w in run),
                    max(w.y1 for w in run),
                )
                self.builder.add_text(text, boxes=[_box(page, bounds, 0, len(text))])


def _bare(text: str) -> str:
    return _NOT_WORD.sub("", text).casefold()


def _stand_in(table: Table, i: int) -> Segment:
    x0, y0, x1, _ = table.bounds
    return Segment([Word(f"{_PLACEHOLDER}{i}", x0, y0, x1, y0 + 1, size=1.0)])


def _cut_at_stand_ins(rows: Sequence[Row]) -> Iterable[list[Row] | int]:
    """Yield runs of rows, and for each table that stands between them its number."""
    run: list[Row] = []
    for row in rows:
        numbers = [int(s.text[1:]) for s in row.segments if s.text.startswith(_PLACEHOLDER)]
        rest = [s for s in row.segments if not s.text.startswith(_PLACEHOLDER)]
        if not numbers:
            run.append(row)
            continue
        if rest:
            run.append(Row(rest))
        if run:
            yield run
            run = []
        yield from numbers
    if run:
        yield run


def _line_boxes(page: PageContent, paragraph: Paragraph, *, offset: int = 0) -> list[Box]:
    return [
        _box(page, (row.x0, row.y0, row.x1, row.y1), offset + start, offset + end)
        for row, (start, end) in zip(paragraph.rows, paragraph.ranges, strict=True)
    ]


def _box(page: PageContent, bounds: Bounds, start: int, end: int) -> Box:
    x0, y0, x1, y1 = bounds
    fractions = (x0 / page.width, y0 / page.height, x1 / page.width, y1 / page.height)
    x0, y0, x1, y1 = (round(min(1.0, max(0.0, v)), 5) for v in turn_box_back(fractions, turn=page.turn))
    return Box(page=page.number, x0=x0, y0=y0, x1=x1, y1=y1, start=start, end=end)
