"""Weights of the reading scorer, written by ``python -m benchmarks.reading --write``."""

from __future__ import annotations

from app.evidence_weights import ANSWERABLE_FEATURES as BY_TERMS
from app.evidence_weights import FEATURES, Weights
from core.records import Language

READ = ("span", "relevant", "holds")
RANK_FEATURES = ("fused", "dense", *READ)
PICK_FEATURES = (*FEATURES, *READ)
ANSWERABLE_FEATURES = (*BY_TERMS, *READ, "most_span", "most_relevant", "most_holds", "chinese")
RANK = Weights(weights=(86.1109, -7.9315, 0.097, 0.2882, 0.2892), bias=0.0)
PICK = Weights(
    weights=(
        2.3911,
        1.172,
        1.6114,
        26.8427,
        7.8824,
        1.4259,
        -1.3796,
        1.1128,
        -1.1349,
        0.0,
        -0.0826,
        -2.2717,
        -2.4227,
        0.2583,
        1.63,
        0.4063,
        0.0591,
        0.169,
    ),
    bias=0.0,
)
ANSWERABLE = Weights(
    weights=(
        0.2108,
        0.1414,
        4.4722,
        0.8373,
        0.0,
        0.7782,
        -0.0918,
        0.3163,
        -18.8883,
        -1.2573,
        -1.9251,
        24.3801,
        0.0295,
        0.0428,
        0.0848,
        0.0733,
        0.016,
        0.085,
        -0.3963,
    ),
    bias=-6.5589,
)
# The score of a span, in log-odds, from which its words are the answer.
SURE: dict[Language, float] = {"en": -3.0, "zh": -3.0}
