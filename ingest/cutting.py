"""Cut a section that is too long for a chunk at the best places it offers: rows, blocks, sentences, clauses, words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from core.records import Section
from core.text import sentence_spans
from ingest.builder import CELL_SEPARATOR
from ingest.tokens import TokenCounter

_BLANK_LINES = re.compile(r"\n[^\S\n]*\n\s*")
_LINE_ENDS = re.compile(r"\n\s*")
_CELL_ENDS = re.compile(re.escape(CELL_SEPARATOR))
_CLAUSE_ENDS = re.compile(r"(?<=[，、；：）】—])\s*|(?<=[,;:)\]])\s+")
_WHITE_SPACE = re.compile(r"\s+")

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of a cut section; ``overlap_start`` is where it starts with the sentences repeated before it."""

    start: int
    end: int
    overlap_start: int


def cut(section: Section, counter: TokenCounter, *, first_room: int, room: int, overlap_tokens: int) -> list[Piece]:
    """Cut a section into pieces of about equal length that cover all but white space at the cuts.

    Args:
        section: What to cut.
        counter: The tokens of the whole document.
        first_room: The most tokens of the first piece, at least 1.
        room: The most tokens of the others, with the sentences that they repeat.
        overlap_tokens: The most tokens of whole sentences to repeat; tables and code repeat nothing.
    """
    if section.kind in ("table", "code"):
        overlap_tokens = 0
    overlap_tokens = min(overlap_tokens, room // 3)
    own_room = room - overlap_tokens
    sentences = list(_atoms(section, counter, room=min(first_room, own_room)))
    pieces: list[Piece] = []
    at = 0
    while at < len(sentences):
        start = sentences[at].start
        limit = own_room if pieces else min(first_room, own_room)
        after = _fill(sentences, at, counter, limit=limit, following=own_room, end=sentences[-1].end)
        end = sentences[after - 1].end
        overlap_start = start
        if pieces and overlap_tokens:
            overlap_start = _overlap(sentences, at, counter, limit=overlap_tokens, floor=pieces[-1].start)
        pieces.append(Piece(start, end, overlap_start))
        at = after
    return pieces


@dataclass(frozen=True, slots=True)
class _Atom:
    """A range that is not cut further; ``whole`` means that it is a sentence, row or block and no part of one."""

    start: int
    end: int
    whole: bool


def _fill(atoms: list[_Atom], at: int, counter: TokenCounter, *, limit: int, following: int, end: int) -> int:
    """Return the index after the last atom of the piece that starts at ``atoms[at]``, aiming at equal pieces."""
    start = atoms[at].start
    remaining = counter.count(start, end)
    if remaining <= limit:
        return len(atoms)
    lead = following - limit
    n_pieces = -(-(remaining + lead) // following)
    target = (remaining + lead) / n_pieces - lead
    after, n_tokens = at + 1, counter.count(start, atoms[at].end)
    while after < len(atoms):
        n_more = counter.count(start, atoms[after].end)
        if n_more > limit or (n_tokens + n_more) / 2 > target:
            break
        after, n_tokens = after + 1, n_more
    return after


def _overlap(atoms: list[_Atom], at: int, counter: TokenCounter, *, limit: int, floor: int) -> int:
    """Return where the whole sentences before ``atoms[at]`` start that are worth repeating; its own start for none."""
    end = atoms[at - 1].end
    start = atoms[at].start
    for atom in reversed(atoms[max(0, at - limit) : at]):
        if not atom.whole or atom.start <= floor or counter.count(atom.start, end) > limit:
            break
        start = atom.start
    return start


def _atoms(section: Section, counter: TokenCounter, *, room: int) -> Iterator[_Atom]:
    text, offset = counter.text, section.locator.start
    whole = (offset, section.locator.end)
    if section.kind == "code":
        first, finer = _parted(text, whole, _BLANK_LINES), [_LINE_ENDS, _WHITE_SPACE]
    elif section.kind == "table":
        first, finer = _parted(text, whole, _LINE_ENDS), [_CELL_ENDS, _WHITE_SPACE]
    else:
        first = ((offset + start, offset + end) for start, end in sentence_spans(section.text))
        finer = [_CLAUSE_ENDS, _WHITE_SPACE]
    for start, end in first:
        if counter.count(start, end) <= room:
            yield _Atom(start, end, True)
        else:
            yield from (_Atom(*part, False) for part in _refined((start, end), counter, finer, room=room))


def _refined(span: Range, counter: TokenCounter, finer: list[re.Pattern[str]], *, room: int) -> Iterator[Range]:
    if counter.count(*span) <= room:
        yield span
    elif finer:
        for part in _parted(counter.text, span, finer[0]):
            yield from _refined(part, counter, finer[1:], room=room)
    else:
        start, end = span
        while start < end:
            until = min(counter.end_of(start, room), end)
            yield start, until
            start = until


def _parted(text: str, span: Range, separators: re.Pattern[str]) -> Iterator[Range]:
    """Yield the parts of a range between separators; a separator that is no white space stays with what is before."""
    start, end = span
    for match in separators.finditer(text, start, end):
        stop = match.start() + len(match.group().rstrip())
        if stop > start:
            yield start, stop
        start = match.end()
    if start < end:
        yield start, end
