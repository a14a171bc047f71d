"""Weights of the reading scorer, written by ``python -m benchmarks.reading --write``."""

from __future__ import annotations

from app.evidence_weights import ANSWERABLE_FEATURES as BY_TERMS
from app.evidence_weights import FEATURES, Weights
from core.records import Language

READ = ("span", "relevant", "holds")
RANK_FEATURES = ("fused", "dense", *READ)
PICK_FEATURES = (*FEATURES, *READ)
ANSWERABLE_FEATURES = (*BY_TERMS, *READ, "most_span", "most_relevant", "most_holds", "chinese")
RANK = Weights(weights=(47.1359, 14.0073, 0.0675, 0.2774, 0.3794), bias=0.0)
PICK = Weights(
    weights=(
        2.5283,
        1.3718,
        1.7684,
        28.0599,
        20.4863,
        1.7298,
        -2.3848,
        0.0,
        0.0,
        1.2492,
        -1.1781,
        -2.7062,
        -2.3785,
        0.0,
        0.0,
        0.307,
        0.0178,
        0.1391,
    ),
    bias=0.0,
)
ANSWERABLE = Weights(
    weights=(
        1.3194,
        0.741,
        0.8428,
        -2.1227,
        -0.0805,
        -0.2176,
        0.0723,
        0.2017,
        -3.8692,
        -0.2806,
        1.4016,
        9.9258,
        0.1138,
        0.0799,
        0.1382,
        0.1188,
        0.0235,
        0.0919,
        -0.59,
    ),
    bias=-12.2497,
)
# The score of a span, in log-odds, from which its words are the answer.
SURE: dict[Language, float] = {"en": -3.0, "zh": -3.0}
