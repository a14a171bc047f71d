"""Weigh passages with the reader: rank them, find the sentence that answers and the answer in it, decide refusal.

The reader judges each passage with the question; three small regressions join what it says with what search found and
with the question's terms, names and numbers: which passage comes first (RANK), which sentence answers (PICK), and
whether any does (ANSWERABLE). ``benchmarks/reading.py`` fits them on held-out training questions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from app.evidence import (
    Evidence,
    Rarity,
    Weighed,
    lexical_features,
    logit,
    sentences_of,
    sigmoid,
)
from app.evidence_weights import FEATURES
from app.reading_weights import ANSWERABLE, ANSWERABLE_FEATURES, LEXICAL, PICK, PICK_FEATURES, RANK, RANK_FEATURES
from core.records import Hit
from core.text import content_terms, detect_language
from llm.reader import PassageReading, Span

_FLOOR = -16.0  # log-odds; what lies below says no more
_HIGHEST = 16.0


class PassageReader(Protocol):
    """What reads."""

    def read(self, question: str, passages: Sequence[tuple[str, str]]) -> list[PassageReading]:
        """Read ``question`` with each (context, text), in the order given."""


class ReadingScorer:
    """Weighs evidence with the reader; see :class:`app.evidence.Scorer`.

    Args:
        reader: The model.
        k: Passages that are kept, the best by rank.
    """

    def __init__(self, reader: PassageReader, *, k: int) -> None:
        self._reader = reader
        self._k = k

    def weigh(self, question: str, hits: Sequence[Hit], *, turn: str = "") -> Weighed:
        """Return the best passages, their sentences as evidence, best first, and whether they answer."""
        readings = self._reader.read(question, [(context_line(hit), hit.chunk.text) for hit in hits])
        ranks = [rank_features(hits, readings, i) for i in range(len(hits))]
        order = sorted(range(len(hits)), key=lambda i: -logit(RANK, ranks[i]))[: self._k]
        kept = tuple(hits[i] for i in order)
        return weighed(question, turn or question, kept, [readings[i] for i in order])


def context_line(hit: Hit) -> str:
    """Return what tells the reader where a passage stands: its context, or its document's title."""
    return (hit.chunk.context or hit.title).replace("\n", " > ")


def rank_features(hits: Sequence[Hit], readings: Sequence[PassageReading], i: int) -> list[float]:
    """Return what ranks ``hits[i]`` among the others, in the order of ``RANK_FEATURES``."""
    reading, hit = readings[i], hits[i]
    values = {
        "fused": hit.score - max(h.score for h in hits),
        "dense": hit.scores.get("dense", 0.8) - max(h.scores.get("dense", 0.8) for h in hits),
        "relevant": _bounded(reading.relevant) - max(_bounded(r.relevant) for r in readings),
        "holds": _bounded(reading.holds) - max(_bounded(r.holds) for r in readings),
        "span": _score(reading.best()) - max(_score(r.best()) for r in readings),
    }
    return [values[name] for name in RANK_FEATURES]


def weighed(question: str, turn: str, hits: tuple[Hit, ...], readings: Sequence[PassageReading]) -> Weighed:
    """Return the evidence of passages in the order given, and the probability that they answer."""
    sentences = sentences_of(hits)
    if not sentences:
        return Weighed(evidence=(), answerable=0.0, hits=hits)
    lexical = lexical_features(question, turn, sentences, hits, Rarity([hit.chunk.embedded_text for hit in hits]))
    found = []
    for (hit, start, end, text), terms in zip(sentences, lexical, strict=True):
        offset = hits[hit].chunk.locator.start
        span = readings[hit].best(start - offset, end - offset)
        features = _pick_features(hits, readings, hit, span, dict(zip(FEATURES, terms, strict=True)))
        found.append(
            Evidence(
                hit=hit,
                start=start,
                end=end,
                text=text,
                score=logit(PICK, features),
                features=tuple(features),
                span=(offset + span.start, offset + span.end) if span else None,
                span_score=_score(span),
            )
        )
    ranked = tuple(sorted(found, key=lambda e: (-e.score, e.hit, e.start)))
    chance = sigmoid(logit(ANSWERABLE, answerable_features(question, ranked, hits, readings)))
    return Weighed(evidence=ranked, answerable=chance, hits=hits)


def _pick_features(
    hits: Sequence[Hit],
    readings: Sequence[PassageReading],
    hit: int,
    span: Span | None,
    lexical: dict[str, float],
) -> list[float]:
    values = {
        **{name: lexical[name] for name in LEXICAL},
        "span": _score(span) - max(_score(r.best()) for r in readings),
        "relevant": _bounded(readings[hit].relevant) - max(_bounded(r.relevant) for r in readings),
        "holds": _bounded(readings[hit].holds) - max(_bounded(r.holds) for r in readings),
        "fused": hits[hit].score - max(h.score for h in hits),
    }
    return [values[name] for name in PICK_FEATURES]


def answerable_features(
    question: str, ranked: Sequence[Evidence], hits: Sequence[Hit], readings: Sequence[PassageReading]
) -> list[float]:
    """Return what tells whether the passages answer, in the order of ``ANSWERABLE_FEATURES``."""
    best = dict(zip(PICK_FEATURES, ranked[0].features, strict=True))
    reading = readings[ranked[0].hit]
    wanted = content_terms(question)
    held = [content_terms(f"{hit.source} {hit.title} {hit.chunk.embedded_text}") for hit in hits]
    values = {
        "span": ranked[0].span_score,
        "holds": _bounded(reading.holds),
        "relevant": _bounded(reading.relevant),
        "most_holds": max(_bounded(r.holds) for r in readings),
        "most_relevant": max(_bounded(r.relevant) for r in readings),
        "most_span": max(_score(r.best()) for r in readings),
        **{name: best[name] for name in ("near_coverage", "codes_missing", "number_lacks", "time_lacks")},
        "dense": max(hit.scores.get("dense", 0.8) for hit in hits),
        "fused": max(hit.score for hit in hits),
        "passage_share": max(len(wanted & terms) / len(wanted) if wanted else 1.0 for terms in held),
        "all_share": len(wanted & frozenset().union(*held)) / len(wanted) if wanted else 1.0,
        "chinese": float(detect_language(question) == "zh"),
    }
    return [values[name] for name in ANSWERABLE_FEATURES]


def _score(span: Span | None) -> float:
    return _bounded(span.score) if span else _FLOOR


def _bounded(log_odds: float) -> float:
    return max(_FLOOR, min(_HIGHEST, log_odds)) if math.isfinite(log_odds) else _FLOOR
