"""Weights of the evidence scorer, written by ``python -m benchmarks.evidence --write``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """A logistic regression: log-odds = bias + weights · features."""

    weights: tuple[float, ...]
    bias: float


FEATURES = (
    "coverage",
    "context_coverage",
    "near_coverage",
    "cosine",
    "passage_cosine",
    "reciprocal_rank",
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
ANSWERABLE_FEATURES = (
    "best_coverage",
    "best_near_coverage",
    "best_cosine",
    "best_codes_missing",
    "best_number_lacks",
    "best_time_lacks",
    "score",
    "lead",
    "dense",
    "passage_share",
    "all_share",
    "fused",
)
PICK = Weights(
    weights=(
        1.3338,
        1.0,
        2.447,
        24.0307,
        11.6662,
        2.3355,
        -2.0885,
        0.8825,
        -0.6669,
        0.9249,
        -0.9366,
        -2.603,
        -2.1143,
        0.2136,
        1.5549,
    ),
    bias=0.0,
)
ANSWERABLE = Weights(
    weights=(0.8355, 0.6405, 0.1227, 0.2935, 0.0, -0.1154, 0.0727, 0.4958, 6.7021, 0.1794, 1.7792, 18.9376),
    bias=-29.571,
)
