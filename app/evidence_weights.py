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
    weights=(2.0, 1.0, 2.0, 20.0, 4.0, 1.0, -1.5, 1.0, -1.0, 1.0, -1.0, -2.0, -2.0, 0.2, 1.0),
    bias=0.0,
)
ANSWERABLE = Weights(
    weights=(1.0, 2.0, 12.0, -2.0, -0.5, -0.5, 0.1, 0.1, 15.0, 20.0, 2.0, 2.0, 0.0, 0.0),
    bias=-25.0,
)
