"""Weigh passages with the reader: rank them, find the sentence that answers and the answer in it, decide refusal.

The reader judges each passage with the question; three small regressions join what it says with what search found and
with the question's terms, names and numbers: which passage comes first (RANK), which sentence answers (PICK), and
whether any does (ANSWERABLE). ``benchmarks/reading.py`` fits them on held-out training questions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from app.evidence import Evidence, EvidenceScorer, Weighed, logit, sentences_of, sigmoid
from app.evidence import answerable_features as by_terms
from app.evidence_weights import ANSWERABLE_FEATURES as BY_TERMS
from app.evidence_weights import FEATURES, Weights
from app.reading_weights import ANSWERABLE, ANSWERABLE_FEATURES, PICK, RANK, RANK_FEATURES, READ
from app.rows import is_row
from core.records import Hit
from core.text import content_terms, detect_language, numbers
from llm.reader import PassageReading, Span

_FLOOR = -16.0  # log-odds; what lies below says no more
_HIGHEST = 16.0
_CODE = re.compile(r"[a-z]\d|\d[a-z]")  # of terms, which are in lower case
# A span that is less likely than none at all says nothing: there the sentences' terms and vectors decide.
_NO_SPAN = -2.0
# Off the log-odds of an answer where every number and code of the question is nowhere: of held-out questions, 1 of 343
# that have an answer names one such, and 40 of 49 near misses.
_NOWHERE = 3.0
# Off the log-odds of a table's row where the question names a code ("E03") and another row of the passage has it: so
# small a reader takes the row beside it at times.
_OTHER_ROW = 3.0


class PassageReader(Protocol):
    """What reads."""

    def read(self, question: str, passages: Sequence[tuple[str, str]]) -> list[PassageReading]:
        """Read ``question`` with each (context, text), in the order given."""


class ReadingScorer:
    """Weighs evidence with the reader; see :class:`app.evidence.Scorer`.

    Args:
        reader: The model.
        scorer: What weighs sentences by their terms and vectors; the reader's findings are added to that.
        k: Passages that are kept, the best by rank.
    """

    def __init__(self, reader: PassageReader, scorer: EvidenceScorer, *, k: int) -> None:
        self._reader, self._scorer, self._k = reader, scorer, k

    def weigh(self, question: str, hits: Sequence[Hit], *, turn: str = "") -> Weighed:
        """Return the best passages, their sentences as evidence, best first, and whether they answer."""
        readings = read_hits(self._reader, question, hits)
        order = places(RANK, hits, readings)[: self._k]
        kept, read = tuple(hits[i] for i in order), [readings[i] for i in order]
        ranked = evidence(self._scorer, question, turn or question, kept, read)
        if not ranked:
            return Weighed(evidence=(), answerable=0.0, hits=kept)
        odds = logit(ANSWERABLE, answerable_features(question, ranked, kept, read))
        odds -= _NOWHERE * codes_nowhere(question, kept)
        return Weighed(evidence=ranked, answerable=sigmoid(odds), hits=kept)

    def supports(self, question: str, said: Sequence[tuple[str, Hit]]) -> list[float]:
        """Return, for each sentence with the passage it cites, the log-odds that the passage bears it out."""
        joint = "" if detect_language(question) == "zh" else " "
        readings = [
            self._reader.read(f"{question}{joint}{sentence}", [(context_line(hit), hit.chunk.text)])[0]
            for sentence, hit in said
        ]
        return [_bounded(reading.supports) for reading in readings]


def codes_nowhere(question: str, hits: Sequence[Hit]) -> float:
    """Return the share of the question's numbers and of its words with digits that no passage, title or path holds."""
    wanted = _codes(question)
    held = [_codes(f"{hit.source} {hit.title} {hit.chunk.context}\n{hit.chunk.text}") for hit in hits]
    return len(wanted - frozenset().union(*held)) / len(wanted) if wanted else 0.0


def _codes(text: str) -> frozenset[str]:
    return numbers(text) | {term for term in content_terms(text) if any(c.isdigit() for c in term)}


def context_line(hit: Hit) -> str:
    """Return what tells the reader where a passage stands: its context, or its document's title."""
    return (hit.chunk.context or hit.title).replace("\n", " > ")


def read_hits(reader: PassageReader, question: str, hits: Sequence[Hit]) -> list[PassageReading]:
    """Read ``question`` with each passage."""
    return reader.read(question, [(context_line(hit), hit.chunk.text) for hit in hits])


def places(rank: Weights, hits: Sequence[Hit], readings: Sequence[PassageReading]) -> list[int]:
    """Return the places of the passages, best first; ties keep their order."""
    ranks = [logit(rank, row) for row in rank_features(hits, readings)]
    return sorted(range(len(hits)), key=lambda i: -ranks[i])


def rank_features(hits: Sequence[Hit], readings: Sequence[PassageReading]) -> list[list[float]]:
    """Return what ranks each passage, how far it is behind the best of them, in the order of ``RANK_FEATURES``."""
    values = [
        {"fused": hit.score, "dense": hit.scores.get("dense", 0.8), **_judgements(reading)}
        for hit, reading in zip(hits, readings, strict=True)
    ]
    most = {name: max(each[name] for each in values) for name in RANK_FEATURES} if values else {}
    return [[each[name] - most[name] for name in RANK_FEATURES] for each in values]


def evidence(
    scorer: EvidenceScorer, question: str, turn: str, hits: Sequence[Hit], readings: Sequence[PassageReading]
) -> tuple[Evidence, ...]:
    """Return the sentences of passages with the span the reader found in each, best first."""
    sentences = sentences_of(hits)
    if not sentences:
        return ()
    spans = []
    for hit, start, end, _ in sentences:
        offset = hits[hit].chunk.locator.start
        spans.append(readings[hit].best(start - offset, end - offset))
    judgements = [_judgements(reading) for reading in readings]
    most = {name: max(each[name] for each in judgements) for name in READ}
    most["span"] = max(most["span"], _NO_SPAN)
    found = []
    rows = scorer.features(question, turn, sentences, hits, promise=[_score(span) for span in spans])
    beside = other_rows(question, [(hit, text) for hit, _, _, text in sentences])
    for (hit, start, end, text), row, span, other in zip(sentences, rows, spans, beside, strict=True):
        judged = judgements[hit] | {"span": max(_score(span), _NO_SPAN)}
        features = (*row, *(judged[name] - most[name] for name in READ))
        offset = hits[hit].chunk.locator.start
        found.append(
            Evidence(
                hit=hit,
                start=start,
                end=end,
                text=text,
                score=logit(PICK, features) - _OTHER_ROW * other,
                features=features,
                span=(offset + span.start, offset + span.end) if span else None,
                span_score=_score(span),
            )
        )
    return tuple(sorted(found, key=lambda e: (-e.score, e.hit, e.start)))


def other_rows(question: str, sentences: Sequence[tuple[int, str]]) -> list[bool]:
    """Return of each (passage, sentence) whether it is a table's row without the question's codes, where another row
    of the passage has one."""
    codes = {term for term in content_terms(question) if _CODE.search(term)}
    if not codes:
        return [False] * len(sentences)
    held = [codes & content_terms(text) if is_row(text) else set() for _, text in sentences]
    named = {hit for (hit, _), found in zip(sentences, held, strict=True) if found}
    return [is_row(text) and hit in named and not found for (hit, text), found in zip(sentences, held, strict=True)]


def answerable_features(
    question: str, ranked: Sequence[Evidence], hits: Sequence[Hit], readings: Sequence[PassageReading]
) -> list[float]:
    """Return what tells whether the passages answer, in the order of ``ANSWERABLE_FEATURES``."""
    best = ranked[0]
    plain = replace(best, features=best.features[: len(FEATURES)])
    judgements = [_judgements(reading) for reading in readings]
    values = {
        **dict(zip(BY_TERMS, by_terms(question, [plain, *ranked[1:]], hits), strict=True)),
        **judgements[best.hit],
        "span": best.span_score,
        **{f"most_{name}": max(each[name] for each in judgements) for name in READ},
        "chinese": float(detect_language(question) == "zh"),
    }
    return [values[name] for name in ANSWERABLE_FEATURES]


def _judgements(reading: PassageReading) -> dict[str, float]:
    return {
        "span": _score(reading.best()),
        "relevant": _bounded(reading.relevant),
        "holds": _bounded(reading.holds),
    }


def _score(span: Span | None) -> float:
    return _bounded(span.score) if span else _FLOOR


def _bounded(log_odds: float) -> float:
    return max(_FLOOR, min(_HIGHEST, log_odds)) if math.isfinite(log_odds) else _FLOOR
