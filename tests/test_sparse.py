"""BM25: the textbook's numbers, the same words for indexing and asking, in English and both Chinese scripts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.text import query_terms, terms
from indexes.sparse import K1, B, Postings, Scores, bm25, query_hashes, term_row, top

TEXTS = ["the cat sat on the mat", "the dog sat", "a cat and a cat and a dog", "年假共有十五天", "nothing shared here"]


def _scored(texts: list[str], query: str, alive: list[bool] | None = None) -> Scores:
    rows = [term_row(text) for text in texts]
    scores, _ = bm25(
        query_hashes(query),
        [(0, Postings.build([(row.hashes, row.counts) for row in rows]))],
        n_terms=np.array([row.n_terms for row in rows], np.float32),
        alive=np.array(alive or [True] * len(texts)),
    )
    return scores


def _by_hand(texts: list[str], query: str) -> list[float]:
    words = [terms(text) for text in texts]
    mean = sum(map(len, words)) / len(words)
    scores = []
    for own in words:
        score = 0.0
        for term in query_terms(query):
            holding = sum(term in other for other in words)
            idf = math.log(1 + (len(words) - holding + 0.5) / (holding + 0.5))
            count = own.count(term)
            score += idf * count * (K1 + 1) / (count + K1 * (1 - B + B * len(own) / mean))
        scores.append(score)
    return scores


@pytest.mark.parametrize("query", ["cat", "where is the cat and the dog", "年假有多少天", "unheard of"])
def test_scores_are_the_textbooks(query: str) -> None:
    assert np.allclose(_scored(TEXTS, query), _by_hand(TEXTS, query), atol=1e-5)


def test_segments_score_as_one_index_would() -> None:
    rows = [term_row(text) for text in TEXTS]
    pairs = [(row.hashes, row.counts) for row in rows]
    lengths = np.array([row.n_terms for row in rows], np.float32)
    parts = [(0, Postings.build(pairs[:2])), (2, Postings.build(pairs[2:]))]
    split, full = bm25(query_hashes("cat dog"), parts, n_terms=lengths, alive=np.ones(5, bool))
    assert np.allclose(split, _scored(TEXTS, "cat dog"))
    assert full > float(split.max())


def test_a_deleted_chunk_scores_nothing_and_counts_for_nothing() -> None:
    alive = [True, True, False, True, True]
    scores = _scored(TEXTS, "cat dog", alive)
    assert scores[2] == 0
    living = [text for text, lives in zip(TEXTS, alive, strict=True) if lives]
    assert np.allclose(scores[np.array(alive)], _by_hand(living, "cat dog"), atol=1e-5)


def test_nothing_is_found_in_nothing() -> None:
    assert len(top(_scored([], "cat"), k=5)) == 0
    assert len(top(_scored(["", ""], "cat"), k=5)) == 0


def test_the_best_come_first_ties_by_age_within_what_is_allowed() -> None:
    scores = np.array([0, 2, 1, 2, 2, 0.5], np.float32)
    assert top(scores, k=10).tolist() == [1, 3, 4, 2, 5]
    assert top(scores, k=2).tolist() == [1, 3]
    assert top(scores, k=2, allowed=np.array([1, 0, 1, 0, 1, 1], bool)).tolist() == [4, 2]


def test_a_term_row_counts_each_term_once_and_stops_at_255() -> None:
    row = term_row("word " * 300)
    assert (row.n_terms, len(row.hashes), row.counts) == (300, 8, bytes([255]))


@pytest.mark.parametrize(
    ("asked", "written"),
    [
        ("running shoes", "the shoe for runners who run"),
        ("DiffExecutor", "the executor of a diff"),
        ("cafe Rontgen", "Café Röntgen"),
        ("1,250 units", "1250 units"),
        ("ＡＢＣ１２", "abc12"),
        ("請問年假有多少天？", "年假共十五天"),
        ("资讯系统", "資訊系統"),
        ("張三的頭髮", "张三的头发"),
    ],
)
def test_a_question_and_a_text_share_terms_across_forms(asked: str, written: str) -> None:
    assert set(query_terms(asked)) & set(terms(written))


def test_traditional_and_simplified_give_the_same_terms() -> None:
    assert terms("臺灣的發展與頭髮乾燥") == terms("台湾的发展与头发干燥")


@pytest.mark.parametrize(
    ("question", "left"),
    [
        ("What is the purpose of the DiffExecutor struct?", ["purpos", "diffexecutor", "diff", "executor", "struct"]),
        ("when was it", ["when", "was", "it"]),
        ("谁是什么", ["谁", "是", "什", "么", "谁是", "是什", "什么"]),
        ("公司什么时候成立？", ["公", "司", "公司", "成", "立", "成立"]),
    ],
)
def test_words_that_only_ask_are_left_out_unless_nothing_else_is_left(question: str, left: list[str]) -> None:
    assert query_terms(question) == left
