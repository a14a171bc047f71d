"""Write the content of a page, read from a PDF or recognized from a picture, into a document."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

from core.records import Box
from ingest.builder import CELL_SEPARATOR, DocumentBuilder
from ingest.ocr import Recognition, turn_box_back
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
from ingest.parsers.pdf_layout import Row, Rule, Segment, Word, regions_of, segments_of
from ingest.parsers.pdf_tables import Table, drawn_tables, parted

_POINTS_WIDE = 600.0  # a picture is measured as if printed on a sheet this wide
_PLACEHOLDER = "\ue000"  # stands in a page's flow for a table whose cells are drawn
_NOT_WORD = re.compile(r"[\W_]+")

Bounds = tuple[float, float, float, float]


@dataclass(slots=True)
class PageContent:
    """What stands on a page, in points of the page upright.

    ``turn`` is by how many degrees clockwise the page as shown was turned to stand upright. ``outline`` holds the
    outline's (level, title) that lead to this page.
    """

    number: int
    width: float
    height: float
    segments: list[Segment]
    tables: list[Table] = field(default_factory=list)
    sideways: list[Word] = field(default_factory=list)
    rules: Sequence[Rule] = ()
    outline: Sequence[tuple[int, str]] = ()
    turn: int = 0
    exact_sizes: bool = True

    @classmethod
    def of_words(
        cls, words: Sequence[Word], rules: Sequence[Rule], *, number: int, size: tuple[float, float]
    ) -> PageContent:
        """Sort the words of a PDF page into tables with drawn cells, lines, and what stands sideways.

        A page whose text runs up or down for the most part, such as a wide table on a tall page, is turned.
        """
        turn = _main_turn(words)
        if turn:
            words = [_turned_word(word, turn=turn, size=size) for word in words]
            rules = [Rule(*_turned((r.x0, r.y0, r.x1, r.y1), turn=turn, size=size)) for r in rules]
            size = size if turn == 180 else (size[1], size[0])
        tables, left = drawn_tables(words, rules)
        return cls(
            number=number,
            width=size[0],
            height=size[1],
            segments=segments_of(left),
            tables=tables,
            sideways=[w for w in left if w.turn],
            rules=rules,
            turn=turn,
        )

    @classmethod
    def of_recognition(cls, found: Recognition, *, number: int) -> PageContent:
        """Take over the lines recognized in a picture."""
        scale = _POINTS_WIDE / max(1, min(found.width, found.height))
        width, height = found.width * scale, found.height * scale
        words = []
        for i, line in enumerate(found.lines):
            tall = (line.y1 - line.y0) * height
            words.append(
                Word(
                    line.text,
                    line.x0 * width,
                    line.y0 * height,
                    line.x1 * width,
                    line.y1 * height,
                    size=tall * 0.75,
                    turn=270 if len(line.text) > 1 and tall > 1.8 * (line.x1 - line.x0) * width else 0,
                    index=i * 1000,
                )
            )
        return cls(
            number=number,
            width=width,
            height=height,
            segments=segments_of(words),
            sideways=[w for w in words if w.turn],
            turn=found.turn,
            exact_sizes=False,
        )


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
        level = level or numbered_heading_level(paragraph, after.text if isinstance(after, Paragraph) else "")
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
            cells = [" ".join(cell.split()) for cell in row.cells]
            while cells and not cells[-1]:
                cells.pop()
            line = CELL_SEPARATOR.join(cells).strip()
            if not line:
                continue
            rows.append(cells)
            boxes.append(_box(page, (row.x0, row.y0, row.x1, row.y1), at, at + len(line)))
            at += len(line) + 1
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


def _main_turn(words: Sequence[Word]) -> int:
    """Return the turn that most of a page's text asks for."""
    counts: Counter[int] = Counter()
    for word in words:
        counts[word.turn] += len(word.text)
    return max(counts, key=lambda turn: (counts[turn], turn == 0), default=0)


def _turned_word(word: Word, *, turn: int, size: tuple[float, float]) -> Word:
    x0, y0, x1, y1 = _turned((word.x0, word.y0, word.x1, word.y1), turn=turn, size=size)
    return replace(word, x0=x0, y0=y0, x1=x1, y1=y1, turn=(word.turn - turn) % 360)


def _turned(bounds: Bounds, *, turn: int, size: tuple[float, float]) -> Bounds:
    """Return a box on a page of the given size as it lies once the page is turned clockwise."""
    x0, y0, x1, y1 = bounds
    width, height = size
    if turn == 90:
        return height - y1, x0, height - y0, x1
    if turn == 180:
        return width - x1, height - y1, width - x0, height - y0
    return y0, width - x1, y1, width - x0


def _bare(text: str) -> str:
    return _NOT_WORD.sub("", text).casefold()


def _stand_in(table: Table, i: int) -> Segment:
    first = table.rows[0]
    return Segment([Word(f"{_PLACEHOLDER}{i}", first.x0, first.y0, first.x1, first.y0 + 1, size=1.0)])


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
