"""What stands on a page, whether it was read from a PDF or recognized from a picture, upright."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ingest.ocr import Recognition
from ingest.parsers.pdf_cells import Table
from ingest.parsers.pdf_grids import drawn_tables
from ingest.parsers.pdf_layout import Bounds, Rule, Segment, Word, segments_of

_POINTS_WIDE = 600.0  # a picture is measured as if printed on a sheet this wide


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
