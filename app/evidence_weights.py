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
    "dense_lead",
    "passage_share",
    "all_share",
    "fused",
    "fused_lead",
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
    weights=(0.8342, 0.75, 2.422, 0.07, 0.0, -0.5144, 0.0669, 0.2866, 0.7312, 34.0028, 0.1737, 1.236, 11.3042, 21.1287),
    bias=-19.5271,
)
