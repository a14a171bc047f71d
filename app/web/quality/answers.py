"""Answers as these pages show them: sentence by sentence with their citations, and the passages with what is quoted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.ui.render import file_name, place
from core.errors import printable
from core.records import Answer, Citation, Hit, Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of an answer; ``cited`` are (number of the citation, place of its passage from 1, 0 for none)."""

    text: str
    supported: bool = True
    cited: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A passage in stretches, each quoted or not; ``numbers`` are the citations that quote it."""

    source: str
    where: str
    numbers: tuple[int, ...]
    stretches: tuple[tuple[str, bool], ...]


def pieces(answer: Answer) -> list[Piece]:
    """Return the answer's text in order; what stands between two sentences is a piece that needs no support."""
    order = {hit.chunk.id: i for i, hit in enumerate(answer.hits, 1)}
    places = {citation.number: order.get(citation.chunk_id, 0) for citation in answer.citations}
    found, end = [], 0
    for sentence in sorted(answer.sentences, key=lambda s: s.start):
        start = max(sentence.start, end)
        found.append(Piece(text=answer.text[end:start]))
        end = max(sentence.end, start)
        cited = tuple((number, places[number]) for number in sentence.citations if number in places)
        found.append(Piece(text=answer.text[start:end], supported=sentence.supported, cited=cited))
    found.append(Piece(text=answer.text[end:]))
    return [piece for piece in found if piece.text]


def passages(answer: Answer, language: Language) -> list[Passage]:
    """Return the passages that were before the model, in their order."""
    return [_passage(hit, answer.citations, language) for hit in answer.hits]


def _passage(hit: Hit, citations: Sequence[Citation], language: Language) -> Passage:
    quoted = [citation for citation in citations if citation.chunk_id == hit.chunk.id]
    where = place(hit.chunk.locator, language) or printable(" › ".join(hit.chunk.locator.headings), limit=80)
    return Passage(
        source=file_name(hit.source),
        where=where,
        numbers=tuple(citation.number for citation in quoted),
        stretches=tuple(_stretches(hit, quoted)),
    )


def _stretches(hit: Hit, quoted: Sequence[Citation]) -> Iterator[tuple[str, bool]]:
    text, begin, end = hit.chunk.text, hit.chunk.locator.start, 0
    for at, to in sorted((c.locator.start - begin, c.locator.end - begin) for c in quoted):
        at, to = max(at, end), min(to, len(text))
        if at < to:
            yield text[end:at], False
            yield text[at:to], True
            end = to
    yield text[end:], False
