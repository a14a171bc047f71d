"""Fusion: reciprocal ranks by the formula, scores by evidence."""

from __future__ import annotations

import numpy as np
import pytest

from indexes.fusion import RANK_OFFSET, USUAL_SPREAD, by_rank, by_score, spread


def _slots(*slots: int) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
    return np.array(slots, np.int32)


def _floats(*values: float) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.array(values, np.float32)


def test_reciprocal_ranks_are_the_formulas() -> None:
    fused = by_rank(_slots(3, 5, 8, 9), [(1.0, _slots(5, 3)), (2.0, _slots(8, 5))])
    assert RANK_OFFSET == 60
    assert fused.tolist() == pytest.approx([1 / 62, 1 / 61 + 2 / 62, 2 / 61, 0])


def test_an_offset_of_nothing_lets_the_first_place_win() -> None:
    steep = by_rank(_slots(1, 2), [(1.0, _slots(1)), (0.6, _slots(2))], offset=0)
    assert steep[0] > steep[1]


def _fuse(cosines: list[float], bm25: list[float], **changes: float) -> list[int]:
    options = {"highest_bm25": max(bm25), "full_bm25": 10.0, "spread": 0.02} | changes
    fused = by_score(_floats(*cosines), _floats(*bm25), **options)
    return np.argsort(-fused, kind="stable").tolist()


def test_shared_words_decide_between_passages_that_are_equally_near() -> None:
    assert _fuse([0.85, 0.85, 0.84], [1.0, 6.0, 0.0]) == [1, 0, 2]


def test_a_clear_lead_of_either_searcher_wins() -> None:
    assert _fuse([0.95, 0.80], [0.0, 5.0])[0] == 0
    assert _fuse([0.85, 0.84], [0.5, 9.0])[0] == 1


def test_stray_words_of_a_question_in_another_language_weigh_little() -> None:
    weak = by_score(_floats(0.8, 0.8), _floats(0.0, 0.4), highest_bm25=0.4, full_bm25=40.0, spread=0.02)
    strong = by_score(_floats(0.8, 0.8), _floats(0.0, 30.0), highest_bm25=30.0, full_bm25=40.0, spread=0.02)
    assert 0 < weak[1] - weak[0] < (strong[1] - strong[0]) / 5


def test_a_weight_of_nothing_silences_a_searcher() -> None:
    assert _fuse([0.9, 0.8], [0.0, 9.0], sparse_weight=0.0)[0] == 0
    assert _fuse([0.9, 0.8], [0.0, 9.0], dense_weight=0.0)[0] == 1


def test_no_word_found_leaves_the_cosines() -> None:
    assert _fuse([0.8, 0.9], [0.0, 0.0], full_bm25=0.0) == [1, 0]


def test_the_bonus_follows_the_embedders_own_spread() -> None:
    assert _fuse([0.50, 0.40], [0.0, 9.0], spread=0.02)[0] == 0
    assert _fuse([0.50, 0.40], [0.0, 9.0], spread=0.1)[0] == 1


def test_spread_is_that_of_the_cosines_and_usual_where_there_are_few() -> None:
    vectors = np.random.default_rng(1).normal(size=(100, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = (vectors @ vectors.T)[np.triu_indices(100, 1)]
    assert spread(vectors) == pytest.approx(float(cosines.std()), rel=1e-4)
    assert spread(vectors[:3]) == spread(vectors[:0]) == USUAL_SPREAD
    assert spread(np.repeat(vectors[:1], 100, axis=0)) == USUAL_SPREAD
