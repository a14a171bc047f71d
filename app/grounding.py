"""Tie every sentence of an answer to the passage that supports it, and take the quote from there.

The model is not asked what it cites: each sentence is compared with the passages that were retrieved. A window, which
is one sentence of a passage or two where the second leans on the first ("It weighs ..."), supports it when it holds

- the share ``support`` of the sentence's terms, weighed by how rare they are among the passages,
- the same share of what the sentence says beyond the question (so that echoing the question proves nothing),
- three tenths of the question's terms,
- every number, and every name or code with a digit, that the sentence holds,
- and, in the sentence that shares most with it, a negation if it negates and none if it does not; a window that
  shares more and says the opposite contradicts it.

The quote is that window, a verbatim substring of the document.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.evidence import Evidence, Rarity
from app.rows import header_above, is_row, readable
from core.records import Citation, Hit, Sentence
from core.text import content_terms, detect_language, numbers, sentence_spans

LONGEST_QUOTE_CHARS = 900
_LABEL_WIDTH = 48  # columns; a sentence this short often needs the next one
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nor|neither|cannot)\b|n['’]t\b|"
    r"不(?![同仅但断少锈管论过久])|没|沒|無(?!線)|无(?![线锡论])|未(?![来來])|勿|非(?![常洲])|禁止",
    re.I,
)
_LEANS = re.compile(
    r"^\W*(?:it|its|this|these|those|that|they|their|he|she|his|her|such|both|each|the (?:same|latter|former))\b|"
    r"^\W*(?:该|它|其|这|此|他|她|上述|两者|二者|前者|后者)",
    re.I,
)
# What an answer says of itself, which no passage needs to hold.
_ABOUT_ITSELF = content_terms("answer text passage document states mentioned according provided given based question")
_FEWEST_TERMS, _BEST = 3, 2
_LEAST_RELEVANT = 0.3  # share of the question's terms, so that "It is 2." is not supported by any 2 there is
_ABBREVIATED = re.compile(r"\b(?:[A-Z]|Inc|Ltd|Co|Corp|Jr|Sr|etc|[ap]\.m)\.$")
_PAIRS = (("(", ")"), ("（", "）"), ("“", "”"), ("「", "」"), ("《", "》"), ("[", "]"), ("``", "''"))
_NAME = re.compile(r"(?<![.!?。！？\"“]\s)(?<!^)\b[A-Z][\w-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """The window ``[start, end)`` of ``hits[hit]`` that supports a sentence, with the share of terms it holds."""

    hit: int
    start: int
    end: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    hit: int
    start: int
    end: int
    terms: frozenset[str]
    numbers: frozenset[str]
    text: str
    relevance: float = 0.0
    sentences: tuple[tuple[frozenset[str], bool], ...] = ()  # each sentence's own terms, and whether it negates


class Grounder:
    """Finds support among the passages of one question.

    Args:
        question: The standalone question.
        hits: The passages.
        support: The share of a sentence's terms that its window must hold.
        evidence: The passages' sentences, best first. A sentence that says little ("It is 2.") could be supported by
            chance anywhere, so it has to agree with the best of them.
    """

    def __init__(
        self, question: str, hits: Sequence[Hit], *, support: float, evidence: Sequence[Evidence] = ()
    ) -> None:
        self._best = {(item.hit, item.start) for item in evidence[:_BEST]}
        self._asked = content_terms(question)
        self._asked_numbers = numbers(question)
        self._least = support
        self._rarity = Rarity([hit.chunk.embedded_text for hit in hits])
        self._windows = [
            replace(window, relevance=self._rarity.share(self._asked, window.terms))
            for i, hit in enumerate(hits)
            for window in _windows(i, hit)
        ]

    def support_of(self, sentence: str) -> Support | None:
        """Return the best window that supports ``sentence``, or None; the smaller window wins a tie."""
        said = content_terms(sentence) - _ABOUT_ITSELF
        if not said:
            return None
        new = said - self._asked
        stated = numbers(sentence)
        names = {name.lower() for name in _NAME.findall(sentence)}
        negated = bool(_NEGATION.search(sentence))
        best: Support | None = None
        contradicted = 0.0
        windows = self._windows
        if self._best and len(said) < _FEWEST_TERMS:
            windows = [window for window in windows if (window.hit, window.start) in self._best]
        for window in windows:
            if not stated <= window.numbers | self._asked_numbers or any(name not in window.text for name in names):
                continue
            share, new_share = self._rarity.share(said, window.terms), self._rarity.share(new, window.terms)
            if share < self._least or new_share < self._least or window.relevance < _LEAST_RELEVANT:
                continue
            if _main_negates(said, window) != negated:
                contradicted = max(contradicted, share)
            elif best is None or share > best.share + 1e-9:
                best = Support(hit=window.hit, start=window.start, end=window.end, share=share)
        return best if best and best.share > contradicted - 1e-9 else None


def _main_negates(said: frozenset[str], window: _Window) -> bool:
    return max(window.sentences, key=lambda sentence: len(sentence[0] & said))[1]


def _windows(index: int, hit: Hit) -> list[_Window]:
    text, offset = hit.chunk.text, hit.chunk.locator.start
    spans = list(sentence_spans(text))
    context = f"{hit.title}\n{hit.source}\n{hit.chunk.context}"
    context_terms, context_numbers = content_terms(context), numbers(context)
    terms = [content_terms(text[a:b]) for a, b in spans]
    found = [numbers(text[a:b]) for a, b in spans]
    negated = [bool(_NEGATION.search(text[a:b])) for a, b in spans]
    runs = [(i, i + 1) for i in range(len(spans))]  # single sentences first, so that ties go to the shorter quote
    runs += [(i - 1, i + 1) for i in range(1, len(spans)) if _LEANS.match(text[slice(*spans[i])])]
    return [
        _Window(
            hit=index,
            start=offset + spans[first][0],
            end=offset + spans[after - 1][1],
            terms=context_terms.union(*terms[first:after]),
            numbers=context_numbers.union(*found[first:after]),
            text=f"{context}\n{text[spans[first][0] : spans[after - 1][1]]}".lower(),
            sentences=tuple(zip(terms[first:after], negated[first:after], strict=True)),
        )
        for first, after in runs
    ]


class Citations:
    """Numbers quotes in the order they are first cited; the same quote keeps its number."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self._hits = hits
        self._numbers: dict[tuple[int, int, int], int] = {}

    def cite(self, hit: int, start: int, end: int) -> int:
        """Return the number of the quote ``[start, end)`` of ``hits[hit]``."""
        return self._numbers.setdefault((hit, start, end), len(self._numbers) + 1)

    def all(self) -> tuple[Citation, ...]:
        """Return the citations by number, each quote taken from its passage."""
        return tuple(
            citation_of(self._hits[hit], start=start, end=end, number=number)
            for (hit, start, end), number in self._numbers.items()
        )


def citation_of(hit: Hit, *, start: int, end: int, number: int) -> Citation:
    """Return the citation of the characters ``[start, end)`` of a hit's document."""
    chunk = hit.chunk
    offset = chunk.locator.start
    return Citation(
        number=number,
        chunk_id=chunk.id,
        source=hit.source,
        collection=hit.collection,
        locator=chunk.locator.narrowed(start=start, end=end),
        quote=chunk.text[start - offset : end - offset],
    )


def ground(text: str, hits: Sequence[Hit], grounder: Grounder) -> tuple[tuple[Sentence, ...], tuple[Citation, ...]]:
    """Return the sentences of ``text`` with the citations that support each, and the citations."""
    citations = Citations(hits)
    sentences = []
    for start, end in sentence_spans(text):
        support = grounder.support_of(text[start:end])
        cited = (citations.cite(support.hit, support.start, support.end),) if support else ()
        sentences.append(Sentence(start=start, end=end, citations=cited))
    return tuple(sentences), citations.all()


def quote_answer(
    evidence: Sequence[Evidence], hits: Sequence[Hit], *, separator: str
) -> tuple[str, tuple[Sentence, ...], tuple[Citation, ...]]:
    """Return an answer made of quotes alone: its text, sentences and citations.

    A table's row is shown with the names of its columns; the quote stays the row as it stands in the source.
    """
    citations = Citations(hits)
    text, sentences = "", []
    for item in evidence:
        shown = readable(" ".join(item.text.split()), header_above(hits[item.hit], item.start))
        start = len(text) + (len(separator) if text else 0)
        text = f"{text}{separator}{shown}" if text else shown
        number = citations.cite(item.hit, item.start, item.end)
        sentences.append(Sentence(start=start, end=len(text), citations=(number,)))
    return text, tuple(sentences), citations.all()


def span_answer(item: Evidence, hits: Sequence[Hit]) -> tuple[str, tuple[Sentence, ...], tuple[Citation, ...]] | None:
    """Return an answer that is the span a reader found, quoting its sentence; None where the span says nothing."""
    if item.span is None:
        return None
    text, offset = hits[item.hit].chunk.text, hits[item.hit].chunk.locator.start
    said = _trimmed(" ".join(text[item.span[0] - offset : item.span[1] - offset].split()))
    if not any(c.isalnum() for c in said):
        return None
    citations = Citations(hits)
    whole = extended(item, hits[item.hit])
    number = citations.cite(whole.hit, whole.start, whole.end)
    return said, (Sentence(start=0, end=len(said), citations=(number,)),), citations.all()


def _trimmed(span: str) -> str:
    """Return a span without the punctuation at its ends and without a bracket or quotation mark that has no partner."""
    said = (
        span.strip(" ,;:，；：、。．-–—|").removesuffix(".") if not _ABBREVIATED.search(span) else span.strip(" ,;:|")
    )
    for opening, closing in _PAIRS:
        if said.startswith(opening) and closing not in said:
            said = said[len(opening) :]
        if said.endswith(closing) and opening not in said:
            said = said[: -len(closing)]
    return said.strip()


def extended(item: Evidence, hit: Hit) -> Evidence:
    """Return the evidence with what it announces: the list after its colon, or the sentence after a mere label.

    "E57: flow meter reports no pulses." is followed in its paragraph by what to do about it.
    """
    text, offset = hit.chunk.text, hit.chunk.locator.start
    announces = item.text.rstrip().endswith((":", "："))
    width = len(item.text) * (2 if detect_language(item.text) == "zh" else 1)
    if is_row(item.text) or not (announces or width < _LABEL_WIDTH):
        return item
    end = item.end
    for start, stop in sentence_spans(text):
        if offset + start < end or offset + stop - item.start > LONGEST_QUOTE_CHARS:
            continue
        if not announces and ("\n" in text[end - offset : start] or end > item.end):
            break
        end = offset + stop
    return replace(item, end=end, text=text[item.start - offset : end - offset])
