"""Turn the rows of a page into paragraphs, lists and headings, lines re-joined and each line's range kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

from core.records import SectionKind
from ingest.parsers.pdf_layout import Row, Segment, is_chinese

_LIST = re.compile(
    r"[•▪■□●○◦‣➢✓❖·*]|[–—-](?=\s)|\(?(?:\d{1,3}|[a-zA-Z]|[ivx]{2,5})[.)](?=\s)|\d{1,2}[.．、](?=[\u3400-\u9fff])"
    r"|[（(][一二三四五六七八九十\d]+[）)]"
)
_NAMED_VALUE = re.compile(r"[^\s:：。.,，][^:：。.!?]{0,30}[:：]\s?\S")
_LEADER = re.compile(r"(?:\s?[.·…_]){4,}\s*")
_LEADS = re.compile(r"(?:[.·…_]\s?){4,}\s*[\divxlc]+$")
_SENTENCE_END = re.compile(r"[.!?:;。！？：；…][\"'”’」』）)\]]*$")
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,3}){0,4})\.?\s+[^\W\d_]")
_CHINESE_HEADING = re.compile(r"第[一二三四五六七八九十百零〇\d]{1,5}[章节篇部编条]|[一二三四五六七八九十]{1,3}[、．.]")
_SOFT = re.compile(r"([^\W\d_]+)-$")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_MAX_VOCABULARY = 200_000
_MAX_HEADING = 160  # characters
_MAX_NUMBERED = 70  # characters of a heading that only its number tells
_PLAIN_LEVEL = 6  # of headings in the size of the text, below any that are larger or numbered
_HEADING_ROWS = 3


@dataclass(slots=True)
class Paragraph:
    """Lines that read on; ``ranges`` are the lines' ``[start, end)`` in ``text``."""

    rows: list[Row]
    text: str
    ranges: list[tuple[int, int]]
    kind: SectionKind = "paragraph"

    @property
    def size(self) -> float:
        """The height of the font that most of it is set in."""
        return self._main.size

    @property
    def bold(self) -> bool:
        """Whether all of it is bold."""
        return all(segment.bold for row in self.rows for segment in row.segments)

    @property
    def _main(self) -> Segment:
        return max((s for row in self.rows for s in row.segments), key=lambda s: len(s.text))


@dataclass(slots=True)
class Vocabulary:
    """The words of a document so far: they tell "transfor-mation", cut to fit, from "long-term", cut at its hyphen."""

    words: set[str] = field(default_factory=set)

    def add(self, texts: Iterable[str]) -> None:
        """Learn the words of some texts."""
        for text in texts:
            if len(self.words) < _MAX_VOCABULARY:
                self.words.update(word.strip(".,;:()\"'“”").lower() for word in text.split())

    def keeps_hyphen(self, left: str, right: str) -> bool:
        """Whether the hyphen between two parts of a word belongs to the word."""
        left, right = left.lower(), right.lower()
        if left + right in self.words:
            return False
        return f"{left}-{right}" in self.words or (left in self.words and right in self.words)


@dataclass(slots=True)
class Fonts:
    """How much text is set in which size, and how much of it in bold."""

    sizes: Counter[float] = field(default_factory=Counter)
    n_chars: int = 0
    n_bold: int = 0

    def add(self, segments: Iterable[Segment]) -> None:
        """Count the characters of some segments."""
        for segment in segments:
            n = len(segment.text)
            self.sizes[round(segment.size * 2) / 2] += n
            self.n_chars += n
            self.n_bold += n if segment.bold else 0

    @property
    def body(self) -> float:
        """The size that most text is set in; of equals the smallest."""
        return max(self.sizes.items(), key=lambda item: (item[1], -item[0]), default=(10.0, 0))[0] or 10.0

    @property
    def bold_stands_out(self) -> bool:
        """Whether bold is the exception."""
        return self.n_bold < 0.4 * self.n_chars


def join_lines(lines: Sequence[str], vocabulary: Vocabulary | None = None) -> str:
    """Join the lines of one paragraph into its text."""
    return _joined(lines, vocabulary or Vocabulary())[0]


def _joined(lines: Sequence[str], vocabulary: Vocabulary) -> tuple[str, list[tuple[int, int]]]:
    text = ""
    ranges: list[tuple[int, int]] = []
    for line in lines:
        if text:
            cut = _SOFT.search(text)
            follows = _FIRST_WORD.match(line)
            if cut and follows and line[0].islower():
                if not vocabulary.keeps_hyphen(cut.group(1), follows.group()):
                    text = text[:-1]
                    start, end = ranges[-1]
                    ranges[-1] = (start, max(start, end - 1))
            elif not (is_chinese(text[-1]) or is_chinese(line[0])):
                text += " "
        start = len(text)
        text += line
        ranges.append((start, len(text)))
    return text, ranges


def paragraphs(rows: Sequence[Row], vocabulary: Vocabulary, *, exact_sizes: bool = True) -> list[Paragraph]:
    """Part the rows of running text of one region into paragraphs and list items.

    Sizes measured from a picture are not exact: a line without tall letters seems smaller than its neighbours.
    """
    if not rows:
        return []
    left, right = min(row.x0 for row in rows), max(row.x1 for row in rows)
    pitches = [b.y1 - a.y1 for a, b in pairwise(rows)]
    usual = median(pitches) if len(pitches) >= 3 else 0.0
    slack = 0.12 if exact_sizes else 0.4
    groups: list[list[Row]] = [[rows[0]]]
    for above, row in pairwise(rows):
        if _parts(above, row, groups[-1], left=left, right=right, usual=usual, slack=slack):
            groups.append([row])
        else:
            groups[-1].append(row)
    return [_paragraph(group, vocabulary) for group in groups]


def _paragraph(rows: list[Row], vocabulary: Vocabulary) -> Paragraph:
    text, ranges = _joined([_LEADER.sub(" … ", row.text) for row in rows], vocabulary)
    return Paragraph(rows, text, ranges, "list" if _LIST.match(text) else "paragraph")


def _parts(
    above: Row, row: Row, group: Sequence[Row], *, left: float, right: float, usual: float, slack: float
) -> bool:
    """Whether a new paragraph begins at ``row``."""
    a, b = above.segments[0], row.segments[0]
    pitch, size = row.y1 - above.y1, max(a.size, b.size)
    if pitch > (1.3 * usual if 1.05 * size < usual < 2.6 * size else 1.85 * size):
        return True
    if _LEADS.search(above.text):
        return True
    if abs(a.size - b.size) > slack * size or a.bold != b.bold or _LIST.match(row.text):
        return True
    width = right - left
    room = right - above.x1
    text = above.text
    if room > 0.1 * width and _NAMED_VALUE.match(text) and _NAMED_VALUE.match(row.text):
        return True
    if _SENTENCE_END.search(text):
        if room > 0.2 * width:
            return True
    elif room > 0.5 * width and not row.text[0].islower():
        return True
    first = group[0]
    indented = row.x0 - left > 0.9 * size and above.x0 - left < 0.5 * size and len(group) > 0
    in_list = _LIST.match(first.text) is not None
    if in_list:  # a line that returns to the left of its list's marker ends the item
        return row.x0 < first.x0 - 0.5 * size
    return indented and row.x0 - above.x0 > 0.9 * size and room < 0.5 * width


def rejoined(before: Paragraph, after: Paragraph, vocabulary: Vocabulary) -> Paragraph | None:
    """Return the paragraph that goes on from one column into the next, None where a new one begins."""
    goes_on = after.text[0].islower() and before.kind == after.kind == "paragraph"
    if not goes_on or _SENTENCE_END.search(before.text) or abs(before.size - after.size) > 0.05 * before.size:
        return None
    return _paragraph([*before.rows, *after.rows], vocabulary)


def heading_level(paragraph: Paragraph, fonts: Fonts, *, exact_sizes: bool) -> int:
    """Return the depth of the heading that a paragraph is, 1 outermost; 0 when it is none.

    Sizes measured from a picture are not exact: there only a much larger line is a heading.
    """
    text = paragraph.text
    n_chinese = sum(map(is_chinese, text))
    if (
        len(paragraph.rows) > _HEADING_ROWS
        or len(text) + 2 * n_chinese > _MAX_HEADING
        or sum(c.isalpha() for c in text) < max(2, 0.4 * len(text))
        or text.endswith((",", ";", "，", "；", "。", "、", "-"))
        or (text.endswith(".") and not text.isupper())
        or text[0] in "•▪■□●○◦‣➢✓❖·*–—-"
    ):
        return 0
    ratio = paragraph.size / fonts.body
    larger = ratio >= (1.12 if exact_sizes else 1.45)
    stands_out = larger or (paragraph.bold and fonts.bold_stands_out and ratio > 0.9)
    if numbered := _NUMBERED.match(text):
        return _numbered_level(numbered) if stands_out or text.isupper() else 0
    if _CHINESE_HEADING.match(text) and len(paragraph.rows) == 1 and len(text) <= 30:
        return 4 if text[0] != "第" else 3 if "条" in text[:8] else 2
    if larger:
        return 1 if ratio >= 1.7 else 2 if ratio >= 1.35 else 3
    if stands_out and not text.endswith(":"):
        return _PLAIN_LEVEL
    is_capitals = text.isupper() and not n_chinese and len(text) >= 5 and len(paragraph.rows) <= 2
    return _PLAIN_LEVEL if is_capitals and exact_sizes and len(text.split()) >= 2 else 0


def numbered_heading_level(paragraph: Paragraph, after: str) -> int:
    """Return the depth of a heading that only its number tells from the text below it, 0 when it is none.

    ``after`` is the paragraph below, "" where a table or nothing follows.
    """
    text = paragraph.text
    numbered = _NUMBERED.match(text)
    if not numbered or len(paragraph.rows) > 1 or len(text) > _MAX_NUMBERED or _SENTENCE_END.search(text):
        return 0
    follows = not _NUMBERED.match(after) and not _LIST.match(after) and len(after) > len(text)
    return _numbered_level(numbered) if follows else 0


def _numbered_level(numbered: re.Match[str]) -> int:
    """Return 3 for chapters, below the document's title and parts, and one more for each dot."""
    return 3 + numbered.group(1).count(".")
