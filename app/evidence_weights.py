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
PICK = Weights(
    weights=(2.0, 1.0, 2.0, 20.0, 4.0, 1.0, -1.5, 1.0, -1.0, 1.0, -1.0, -2.0, -2.0, 0.2, 1.0),
    bias=0.0,
)
ANSWERABLE = Weights(
    weights=(1.0, 0.0, 4.0, 15.0, 10.0, 0.0, -2.0, 0.0, -0.5, 0.0, -0.5, 0.0, -1.0, 0.0, 0.5, 5.0, 0.0, 0.0, 0.0, 0.3),
    bias=-25.0,
)
