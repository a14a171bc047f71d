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
RANK = Weights(weights=(4.0, 4.0, 0.5, 0.3, 0.05), bias=0.0)
PICK = Weights(weights=(0.3, 0.1, 0.3, -0.5, 0.3, -0.3, 0.3, -0.3, -2.0, -2.0, 0.0, 0.3, 0.5, 0.3, 0.3, 2.0), bias=0.0)
ANSWERABLE = Weights(weights=(0.1, 0.3, 0.3, 0.1, 0.1, 0.0, 0.3, -0.5, -0.2, -0.2, 0.0, 0.0, 0.3, 0.3, 0.0), bias=0.0)
# The score of a span, in log-odds, from which its words are the answer.
SURE: dict[Language, float] = {"en": 0.0, "zh": 0.0}
