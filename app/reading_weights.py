"""Weights of the reading scorer, written by ``python -m benchmarks.reading --write``."""

from __future__ import annotations

from app.evidence_weights import ANSWERABLE_FEATURES as BY_TERMS
from app.evidence_weights import FEATURES, Weights
from core.records import Language

READ = ("span", "relevant", "holds")
RANK_FEATURES = ("fused", "dense", *READ)
PICK_FEATURES = (*FEATURES, *READ)
ANSWERABLE_FEATURES = (*BY_TERMS, *READ, "most_span", "most_relevant", "most_holds", "chinese")
RANK = Weights(weights=(87.1425, -5.1751, 0.0918, 0.2833, 0.2829), bias=0.0)
PICK = Weights(
    weights=(
        0.7444,
        0.3751,
        2.396,
        27.9044,
        16.5378,
        1.4189,
        -2.2442,
        0.6469,
        -0.1934,
        0.0746,
        -0.235,
        -1.7688,
        -0.0192,
        0.0,
        1.5223,
        0.288,
        0.0389,
        0.1365,
    ),
    bias=0.0,
)
ANSWERABLE = Weights(
    weights=(
        0.7204,
        0.7433,
        3.6873,
        0.5078,
        1.8431,
        -0.704,
        -0.0096,
        0.2268,
        -14.0162,
        -0.4259,
        -0.4024,
        18.7683,
        0.0678,
        0.0666,
        0.0758,
        0.09,
        -0.0212,
        0.0271,
        0.1043,
    ),
    bias=-9.6696,
)
# The score of a span, in log-odds, from which its words are the answer.
SURE: dict[Language, float] = {"en": -3.0, "zh": -3.0}
