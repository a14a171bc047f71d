"""Weights of the reading scorer, written by ``python -m benchmarks.reading --write``."""

from __future__ import annotations

from app.evidence_weights import Weights
from core.records import Language

RANK_FEATURES = ("fused", "dense", "relevant", "holds", "span")
LEXICAL = (
    "coverage",
    "context_coverage",
    "near_coverage",
    "codes_missing",
    "number_fits",
    "number_lacks",
    "time_fits",
    "time_lacks",
    "is_heading",
    "is_question",
    "log_length",
    "new_terms",
)
PICK_FEATURES = (*LEXICAL, "span", "relevant", "holds", "fused")
ANSWERABLE_FEATURES = (
    "span",
    "holds",
    "relevant",
    "most_holds",
    "most_relevant",
    "most_span",
    "near_coverage",
    "codes_missing",
    "number_lacks",
    "time_lacks",
    "dense",
    "fused",
    "passage_share",
    "all_share",
    "chinese",
)
RANK = Weights(weights=(22.4274, 30.8337, 0.5409, 0.4088, 0.0072), bias=0.0)
PICK = Weights(
    weights=(
        3.0862,
        6.0171,
        -1.8717,
        -1.2702,
        -0.1484,
        0.255,
        0.3715,
        -0.3033,
        -1.2126,
        -0.1266,
        0.5802,
        5.3747,
        0.4712,
        0.0514,
        0.055,
        28.8639,
    ),
    bias=0.0,
)
ANSWERABLE = Weights(
    weights=(
        0.0966,
        0.1729,
        0.1516,
        0.1539,
        0.1411,
        0.0836,
        3.7451,
        1.0395,
        1.0167,
        0.3681,
        18.0838,
        7.5847,
        -1.1734,
        -1.3313,
        -0.4507,
    ),
    bias=-23.2186,
)
# The score of a span, in log-odds, from which its words are the answer.
SURE: dict[Language, float] = {"en": -3.0, "zh": -3.0}
