"""Scores of answers, rankings, refusals and models: what they are by hand, and what they may never be."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from llm.evaluating import answers
from llm.evaluating.figures import difference, figure, percentiles
from llm.evaluating.perplexity import perplexity
from llm.evaluating.rankings import ndcg_at, recall_at, reciprocal_rank
from llm.evaluating.refusals import Judged, area_under, risk_coverage, separation, trade_offs

ALL = {
    "contained": answers.contained,
    "exact match": answers.exact_match,
    "F1": answers.token_f1,
    "longest run": answers.lcs_f1,
    "ROUGE-L": answers.rouge_l,
    "METEOR": answers.meteor,
    "BLEU": lambda text, wanted: answers.bleu(text, wanted, language="en"),
}


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ALL)
def test_every_score_is_between_nothing_and_all(name: str) -> None:
    score = ALL[name]
    text = "the quick brown fox jumps over it"
    assert score(text, [text]) == pytest.approx(1, abs=0.01)  # METEOR never quite forgives that there is one run
    assert score("entirely other words here", [text]) == pytest.approx(0, abs=1e-9)
    assert score("", [text]) == 0
    assert score(text, []) == 0
    assert 0 <= score("brown fox", [text]) <= 1


@pytest.mark.parametrize("name", ALL)
def test_of_several_accepted_answers_the_best_counts(name: str) -> None:
    score = ALL[name]
    assert score("in May 1968 or so", ["something else", "in May 1968 or so"]) >= score(
        "in May 1968 or so", ["May 1968"]
    )


def test_what_a_tokenized_paragraph_parts_is_one_with_what_a_writer_joins() -> None:
    assert answers.contained("It was the children's home, of Germany.", ["children 's home , of Germany"])
    assert answers.exact_match("The Beatles", ["beatles"])
    assert answers.token_f1("１，２５０ EUR", ["1250 eur"]) == 1


def test_an_answer_is_contained_in_whole_words_only() -> None:
    assert answers.contained("There are two.", ["two"])
    assert not answers.contained("It is a network.", ["two"])
    assert not answers.contained("It was 1968.", ["196"])


def test_chinese_is_scored_by_characters() -> None:
    assert answers.contained("生命数耗完即算为踢爆。", ["踢爆"])
    assert answers.token_f1("四分钟", ["4分钟"]) == pytest.approx(2 * 2 / 6)
    assert answers.token_f1("1963年", ["1963 年"]) == 1


def test_f1_counts_a_repeated_word_as_often_as_it_is_wanted() -> None:
    assert answers.token_f1("red red red", ["red car"]) == pytest.approx(2 * 1 / 5)


def test_the_longest_run_is_unbroken_and_the_longest_subsequence_is_not() -> None:
    said, wanted = "one two three four", ["one two nine four"]
    assert answers.lcs_f1(said, wanted) == pytest.approx(2 * 2 / 8)
    assert answers.rouge_l(said, wanted) == pytest.approx(3 / 4)


def test_meteor_matches_stems_and_counts_runs() -> None:
    assert answers.meteor("cats sleeping", ["cat sleeps"]) == pytest.approx(1 - 0.5 * (1 / 2) ** 3)
    in_order = answers.meteor("on the mat sat cat", ["on the mat sat cat"])
    assert answers.meteor("cat sat mat on", ["on mat sat cat"]) < in_order


def test_meteor_pairs_a_repeated_word_so_that_runs_stay_whole() -> None:
    precision, recall = 2 / 3, 1
    mean = 10 * precision * recall / (recall + 9 * precision)
    assert answers.meteor("blue red car", ["red car"]) == pytest.approx(mean * (1 - 0.5 * (1 / 2) ** 3))
    assert answers.meteor("red red car", ["red car"]) == pytest.approx(mean * (1 - 0.5 * (1 / 2) ** 3))


def test_bleu_is_that_of_sacrebleu_in_both_languages() -> None:
    assert answers.bleu("The fee is due in May .", ["The fee is due in May."], language="en") == pytest.approx(1)
    assert 0 < answers.bleu("员工享有十五天年假", ["员工每年享有十五天带薪年假。"], language="zh") < 1


# --- rankings --------------------------------------------------------------------------------------------------------


def test_a_ranking_is_scored_by_where_the_gold_stands() -> None:
    ranking, gold = ["x", "a", "y", "b"], {"a", "b"}
    assert recall_at(ranking, gold, k=1) == 0
    assert recall_at(ranking, gold, k=3) == 0.5
    assert reciprocal_rank(ranking, gold) == 0.5
    expected = (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3))
    assert ndcg_at(ranking, gold, k=4) == pytest.approx(expected)


def test_what_was_not_found_scores_nothing() -> None:
    assert (recall_at([], {"a"}, k=5), ndcg_at([], {"a"}, k=5), reciprocal_rank(["x"], {"a"})) == (0, 0, 0)


def test_the_same_place_found_twice_gains_once() -> None:
    assert ndcg_at(["a", "a"], {"a"}, k=2) == 1


# --- figures ---------------------------------------------------------------------------------------------------------


def test_an_interval_holds_its_value_and_narrows_with_n() -> None:
    few, many = figure([1.0, 0.0] * 5), figure([1.0, 0.0] * 500)
    assert few.low <= few.value <= few.high
    assert many.high - many.low < few.high - few.low
    assert few.n == 10


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    chosen = random.Random(1)
    hits = 0
    for seed in range(100):
        sample = figure([float(chosen.random() < 0.3) for _ in range(80)], seed=seed)
        hits += sample.low <= 0.3 <= sample.high
    assert 88 <= hits <= 100


def test_no_values_make_no_figure() -> None:
    with pytest.raises(ValueError, match="no values"):
        figure([])


def test_a_difference_is_paired() -> None:
    found = difference([0, 0, 0, 1, 1] * 8, [1, 0, 0, 1, 1] * 8)
    assert (found.wins, found.losses, found.n) == (8, 0, 40)
    assert found.mean == pytest.approx(0.2)
    assert found.p == pytest.approx(2 * 0.5**8)  # McNemar's, by hand
    assert found.low > 0


def test_what_does_not_differ_is_not_significant() -> None:
    assert difference([1, 0, 1], [1, 0, 1]).p == 1
    assert difference([0.2, 0.4, 0.6], [0.2, 0.4, 0.6]).p == 1
    chosen = random.Random(2)
    noise = [chosen.random() for _ in range(60)], [chosen.random() for _ in range(60)]
    assert difference(*noise).p > 0.05


def test_graded_scores_are_tested_by_permutation() -> None:
    before = [i / 40 for i in range(30)]
    found = difference(before, [value + 0.1 for value in before])
    assert found.p < 0.01
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))


def test_a_difference_needs_pairs() -> None:
    with pytest.raises(ValueError, match="pairs"):
        difference([1], [1, 0])


def test_percentiles_of_few_values() -> None:
    assert percentiles([]) == (0, 0)
    assert percentiles([7]) == (7, 7)
    assert percentiles([1, 2, 3]) == (2, pytest.approx(2.9))


# --- refusals --------------------------------------------------------------------------------------------------------

CASES = [
    Judged(confidence=0.9, answerable=True, right=True),
    Judged(confidence=0.8, answerable=True, right=False),
    Judged(confidence=0.6, answerable=False, right=False),
    Judged(confidence=0.1, answerable=False, right=None),
]


def test_the_risk_is_of_what_was_answered_and_the_coverage_of_all() -> None:
    points = risk_coverage(CASES)
    assert [(p.coverage, p.risk) for p in points] == [(0.25, 0), (0.5, 0.5), (0.75, pytest.approx(2 / 3))]
    assert 0 < area_under(points) < 2 / 3


def test_equal_confidence_is_one_point_for_no_threshold_parts_it() -> None:
    twice = [Judged(confidence=0.5, answerable=True, right=right) for right in (True, False)]
    assert [(p.coverage, p.risk) for p in risk_coverage(twice)] == [(1, 0.5)]
    assert area_under(risk_coverage(twice)) == 0.5
    assert area_under([]) == 0


def test_a_threshold_costs_answers_and_catches_what_has_none() -> None:
    (at,) = trade_offs(CASES, [0.85])
    assert (at.unanswerable_refused, at.answerable_refused) == (1, 0.5)
    assert trade_offs(CASES[:2], [0.5]) == []


def test_separation_is_the_chance_of_the_right_order() -> None:
    assert separation(CASES) == 1
    assert separation(CASES[:2]) is None
    tied = [Judged(confidence=0.5, answerable=answerable, right=None) for answerable in (True, False)]
    assert separation(tied) == 0.5


# --- perplexity ------------------------------------------------------------------------------------------------------


def test_a_model_that_knows_nothing_is_as_perplexed_as_it_has_words(tmp_path: Path) -> None:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.lm_head.weight.zero_()
    found = perplexity(model, _by_letters, ["some words", "and a few more of them", "x"])
    assert found.value == pytest.approx(50, rel=1e-4)
    assert (found.n, found.n_tokens) == (2, 9 + 21)
    assert found.low <= found.value + 1e-3
    assert found.high >= found.value - 1e-3


def test_texts_too_short_to_predict_are_refused() -> None:
    with pytest.raises(ValueError, match="two tokens"):
        perplexity(None, _by_letters, ["x", ""])


def _by_letters(text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
    return {"input_ids": [ord(c) % 50 for c in text]}
