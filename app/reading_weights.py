"""Weights of the reading scorer, written by ``python -m benchmarks.reading --write``."""

from __future__ import annotations

from app.evidence_weights import ANSWERABLE_FEATURES as BY_TERMS
from app.evidence_weights import FEATURES, Weights
from core.records import Language

READ = ("span", "relevant", "holds")
RANK_FEATURES = ("fused", "dense", *READ)
PICK_FEATURES = (*FEATURES, *READ)
ANSWERABLE_FEATURES = (*BY_TERMS, *READ, "most_span", "most_relevant", "most_holds", "chinese")
RANK = Weights(weights=(87.776, -4.8083, 0.0936, 0.2863, 0.286), bias=0.0)
PICK = Weights(
    weights=(
        1.3758,
        2.3153,
        2.0738,
        24.6615,
        10.4779,
        1.8844,
        -1.6513,
        0.7421,
        -0.3532,
        0.1919,
        -0.3931,
        -2.016,
        -2.2535,
        0.0,
        1.1459,
        0.3179,
        0.0548,
        0.1286,
    ),
    bias=0.0,
)
ANSWERABLE = Weights(
    weights=(
        0.3693,
        0.3498,
        -1.2375,
        -0.2624,
        0.2251,
        0.7147,
        -0.1737,
        0.1469,
        -5.8633,
        -1.7439,
        -0.0098,
        18.0213,
        0.0565,
        0.1023,
        0.103,
        0.0584,
        0.0749,
        0.0749,
        0.0799,
    ),
    bias=-5.0346,
)
# The score of a span, in log-odds, from which its words are the answer.
SURE: dict[Language, float] = {"en": -3.0, "zh": -3.0}
