"""Weigh the sentences of the retrieved passages as evidence for a question.

One pass serves three ends: it picks the sentence that answers (the whole answer where no model writes the question's
language), it decides whether anything retrieved supports an answer at all, and it tells the prompt which part of a
passage must not be cut. The weights are those of a logistic regression over the features below, fitted on training
questions with and without their passage; ``benchmarks/evidence.py`` repeats the fit.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from app.evidence_weights import ANSWERABLE, ANSWERABLE_FEATURES, FEATURES, PICK, Weights
from app.rows import header_above, is_header, is_row, readable
from core.interfaces import PassageEmbedder
from core.records import Hit
from core.text import content_terms, detect_language, numbers, sentence_spans

MAX_EMBEDDED_SENTENCES = 32
_OF_THE_BEST = ("coverage", "near_coverage", "cosine", "codes_missing", "number_lacks", "time_lacks")
_LONGEST_HEADING = 60
_SAYS = re.compile(r": |：|=|^\W")  # a label with its value, an assignment, an item of a list
_ENDS = re.compile(r"[.!?;。！？；][\"'”’)\]]*$")
_ASKS_NUMBER = re.compile(
    r"\bhow (?:many|much|long|often|far|old|big|fast|large|high|tall|wide|heavy|deep)\b|\bwhat (?:percentage|number|"
    r"price|cost|amount|rate|size|weight|range|temperature|pressure|voltage)\b|多少|几[个天年月次名台份人元倍]|多[长久大高重远快]|"
    r"价格|比例|百分之",
    re.I,
)
_ASKS_TIME = re.compile(
    r"\bwhen\b|\bwhat (?:year|date|day|month|time)\b|哪[一]?年|何时|什么时候|几[月号日点]|日期", re.I
)
_HAS_TIME = re.compile(
    r"\b(?:1[0-9]|20)\d{2}\b|\b\d{1,2}:\d{2}\b|\b(?:january|february|march|april|may|june|july|august|september|october|"
    r"november|december|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b|\d+\s*[年月日号点时]",
    re.I,
)
_HAS_NUMBER = re.compile(
    r"\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|hundred|thousand|million)\b|"
    r"[一二两三四五六七八九十百千万]",
    re.I,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A sentence ``[start, end)``, in its document's characters, of ``hits[hit]``, with how well it answers.

    ``score`` is the log-odds that it holds the answer among its rivals; ``span`` is where in the sentence a reader
    found the answer, ``span_score`` the log-odds that it is there and not nowhere.
    """

    hit: int
    start: int
    end: int
    text: str
    score: float
    features: tuple[float, ...] = ()
    span: tuple[int, int] | None = None
    span_score: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """All evidence, best first, and the probability that the passages hold an answer.

    ``hits`` are the passages that the evidence counts, in the order of preference; empty where the scorer kept those
    it was given.
    """

    evidence: tuple[Evidence, ...]
    answerable: float
    hits: tuple[Hit, ...] = ()


class EvidenceScorer:
    """Weighs sentences with the embedder and the question's terms."""

    def __init__(self, embedder: PassageEmbedder) -> None:
        self._embedder = embedder

    def weigh(self, question: str, hits: Sequence[Hit], *, turn: str = "") -> Weighed:
        """Return every sentence of ``hits`` as evidence, best first; ties go to the earlier passage.

        Args:
            question: The standalone question.
            hits: The passages.
            turn: What was typed, where that is a follow-up: it says what is wanted, and the rest what about.
        """
        turn = turn or question
        sentences = sentences_of(hits)
        if not sentences:
            return Weighed(evidence=(), answerable=0.0)
        rows = self.features(question, turn, sentences, hits)
        evidence = tuple(
            Evidence(hit=hit, start=start, end=end, text=text, score=logit(PICK, rows[i]), features=tuple(rows[i]))
            for i, (hit, start, end, text) in enumerate(sentences)
        )
        ranked = tuple(sorted(evidence, key=lambda e: (-e.score, e.hit, e.start)))
        return Weighed(
            evidence=ranked, answerable=sigmoid(logit(ANSWERABLE, answerable_features(question, ranked, hits)))
        )

    def features(
        self,
        question: str,
        turn: str,
        sentences: Sequence[_Sentence],
        hits: Sequence[Hit],
        *,
        promise: Sequence[float] = (),
    ) -> list[list[float]]:
        """Return each sentence's features in the order of ``FEATURES``.

        The sentences that promise most by their terms, and by ``promise`` where something else speaks for them, are
        embedded; the others count as the least alike of those.
        """
        rarity = Rarity([hit.chunk.embedded_text for hit in hits])
        rows = lexical_features(question, turn, sentences, hits, rarity)
        promises = promise or [0.0] * len(rows)
        order = sorted(range(len(rows)), key=lambda i: -logit(PICK, rows[i]) - promises[i])[:MAX_EMBEDDED_SENTENCES]
        cosines = self._cosines(question, turn, [sentences[i] for i in order], hits)
        column = FEATURES.index("cosine")
        for i, cosine in zip(order, cosines, strict=True):
            rows[i][column] = cosine
        floor = min(cosines)
        for i in set(range(len(rows))) - set(order):
            rows[i][column] = floor
        return rows

    def _cosines(self, question: str, turn: str, sentences: Sequence[_Sentence], hits: Sequence[Hit]) -> list[float]:
        query = self._embedder.encode_query(question)
        if turn != question:
            query = query + self._embedder.encode_query(turn)
            query /= np.linalg.norm(query)
        texts = [_in_context(hits[hit], start, text) for hit, start, _, text in sentences]
        vectors = self._embedder.encode_passages(texts)
        return [float(c) for c in np.asarray(vectors @ query)]


_Sentence = tuple[int, int, int, str]


def sentences_of(hits: Sequence[Hit]) -> list[_Sentence]:
    """Return (hit, start, end, text) of every sentence with a letter or digit, in its document's characters."""
    found: list[_Sentence] = []
    for i, hit in enumerate(hits):
        offset = hit.chunk.locator.start
        for start, end in sentence_spans(hit.chunk.text):
            text = hit.chunk.text[start:end]
            if any(c.isalnum() for c in text):
                found.append((i, offset + start, offset + end, text))
    return found


def _in_context(hit: Hit, start: int, text: str) -> str:
    """Return a sentence with the headings, or the names of the columns, that often say what it is about."""
    if is_row(text):
        text = readable(text, header_above(hit, start))
    headings = " > ".join(hit.chunk.locator.headings[-2:])
    return f"{headings}\n{text}" if headings else text


def _is_heading(hit: Hit, start: int, text: str) -> bool:
    """Return whether a sentence only names what follows: a heading, or the header row of a table."""
    plain = " ".join(text.split())
    if plain in hit.chunk.locator.headings or plain in hit.chunk.context or plain == hit.title:
        return True
    if is_row(text):
        return is_header(hit, start, text)
    return len(plain) < _LONGEST_HEADING and not _ENDS.search(plain) and not _SAYS.search(plain)


class Rarity:
    """How much a term tells among the passages: BM25's idf over them; a term of none counts as one of a single one."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._n = len(texts)
        self._frequency: Counter[str] = Counter()
        for text in texts:
            self._frequency.update(content_terms(text))

    def __call__(self, term: str) -> float:
        frequency = max(1, self._frequency[term])
        return math.log(1 + (self._n - frequency + 0.5) / (frequency + 0.5))

    def share(self, wanted: frozenset[str], held: frozenset[str]) -> float:
        """Return the weight of the wanted terms that are held, of all wanted; 1 when nothing is wanted."""
        total = sum(self(term) for term in wanted)
        return sum(self(term) for term in wanted & held) / total if total else 1.0


def lexical_features(
    question: str, turn: str, sentences: Sequence[_Sentence], hits: Sequence[Hit], rarity: Rarity
) -> list[list[float]]:
    """Return each sentence's features in the order of ``FEATURES``; ``cosine`` is 0."""
    wanted = content_terms(question)
    own = content_terms(turn) or wanted
    wanted_codes = frozenset(t for t in wanted if any(c.isdigit() for c in t)) | numbers(question)
    asks_number, asks_time = bool(_ASKS_NUMBER.search(turn)), bool(_ASKS_TIME.search(turn))
    contexts = [content_terms(f"{hit.title} {hit.source} {hit.chunk.context}") for hit in hits]
    held = [content_terms(text) for _, _, _, text in sentences]
    rows = []
    for i, (hit, start, _, text) in enumerate(sentences):
        # What the headings and the file's name establish, the sentence itself need not say.
        open_terms = own - contexts[hit]
        near = held[i] | contexts[hit]
        if is_row(text):
            near |= content_terms(header_above(hits[hit], start))
        for j in (i - 1, i + 1):
            if 0 <= j < len(sentences) and sentences[j][0] == hit:
                near |= held[j]
        codes = {c.lower() for c in near} | numbers(text) | numbers(hits[hit].chunk.context)
        values = {
            "coverage": rarity.share(open_terms, held[i]) if open_terms else 0.5,
            "context_coverage": rarity.share(wanted, contexts[hit]),
            "near_coverage": rarity.share(wanted, near),
            "cosine": 0.0,
            "passage_cosine": hits[hit].scores.get("dense", 0.8),
            "reciprocal_rank": 1.0 / (1 + hit),
            "codes_missing": len(wanted_codes - codes) / len(wanted_codes) if wanted_codes else 0.0,
            "number_fits": float(asks_number and bool(_HAS_NUMBER.search(text))),
            "number_lacks": float(asks_number and not _HAS_NUMBER.search(text)),
            "time_fits": float(asks_time and bool(_HAS_TIME.search(text))),
            "time_lacks": float(asks_time and not _HAS_TIME.search(text)),
            "is_heading": float(_is_heading(hits[hit], start, text)),
            "is_question": float(text.rstrip().endswith(("?", "？"))),
            "log_length": math.log(1 + len(text) * (2 if detect_language(text) == "zh" else 1)),
            "new_terms": min(1.0, len(held[i] - wanted) / 3),
        }
        rows.append([values[name] for name in FEATURES])
    return rows


def answerable_features(question: str, ranked: Sequence[Evidence], hits: Sequence[Hit]) -> list[float]:
    """Return what tells whether the passages answer, in the order of ``ANSWERABLE_FEATURES``.

    How far the best passage leads the others is left out: it tells much in an encyclopedia, where each paragraph has a
    subject of its own, and misleads among a firm's quarterly reports, which are all alike.

    Args:
        question: The standalone question.
        ranked: The evidence, best first.
        hits: The passages it comes from.
    """
    best = dict(zip(FEATURES, ranked[0].features, strict=True))
    wanted = content_terms(question)
    held = [content_terms(f"{hit.source} {hit.title} {hit.chunk.embedded_text}") for hit in hits]
    shares = [len(wanted & terms) / len(wanted) if wanted else 1.0 for terms in held]
    everywhere = len(wanted & frozenset().union(*held)) / len(wanted) if wanted else 1.0
    values = {
        **{f"best_{name}": best[name] for name in _OF_THE_BEST},
        "score": ranked[0].score,
        "lead": ranked[0].score - sum(e.score for e in ranked) / len(ranked),
        "dense": max(hit.scores.get("dense", 0.8) for hit in hits),
        "passage_share": max(shares),
        "all_share": everywhere,
        "fused": max(hit.score for hit in hits),
    }
    return [values[name] for name in ANSWERABLE_FEATURES]


def logit(weights: Weights, row: Sequence[float]) -> float:
    """Return bias + weights · row."""
    return weights.bias + sum(w * x for w, x in zip(weights.weights, row, strict=True))


def sigmoid(x: float) -> float:
    """Return the probability of log-odds ``x``."""
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, x))))


class Scorer(Protocol):
    """What weighs evidence."""

    def __call__(self, question: str, hits: Sequence[Hit], *, turn: str = "") -> Weighed:
        """Return the sentences of ``hits``, best first, and whether they answer."""
