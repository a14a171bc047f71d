"""Sentences, terms, numbers and languages of English and Chinese text."""

from __future__ import annotations

import pytest

from core.text import content_terms, detect_language, numbers, sentence_spans, terms


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith paid 3.50 USD. He left.", ["Dr. Smith paid 3.50 USD.", "He left."]),
        ("The U.S. Navy came. It won.", ["The U.S. Navy came.", "It won."]),
        ('"Is it?" she said. "Yes."', ['"Is it?" she said.', '"Yes."']),
        ("第一句。第二句！“第三句？”第四句", ["第一句。", "第二句！", "“第三句？”", "第四句"]),
        ("今天很好!明天呢?", ["今天很好!", "明天呢?"]),
        ("Title\n\nFirst line.\nSecond line.", ["Title", "First line.", "Second line."]),
        ("a | b. C | d\n1 | 2", ["a | b. C | d", "1 | 2"]),
        ("1. Open the box. Look in.\n2.1. Close it.", ["1. Open the box.", "Look in.", "2.1. Close it."]),
        ("- milk\n- bread", ["- milk", "- bread"]),
        ("", []),
        (" \n ", []),
    ],
)
def test_text_is_parted_into_sentences(text: str, sentences: list[str]) -> None:
    assert [text[start:end] for start, end in sentence_spans(text)] == sentences


def test_a_long_line_that_was_wrapped_is_one_sentence() -> None:
    text = "The warranty covers the housing and the sensor for a period\nof three years from delivery. It ends then."
    assert [text[a:b] for a, b in sentence_spans(text)] == [
        "The warranty covers the housing and the sensor for a period\nof three years from delivery.",
        "It ends then.",
    ]


def test_sentences_cover_every_character_but_white_space_once() -> None:
    text = "A b. C d!\n\n第一句。第二句 e.g. this\n1) x; y\n| t | u |\nEnd"
    covered = "".join(text[a:b] for a, b in sentence_spans(text))
    assert "".join(covered.split()) == "".join(text.split())


def test_the_forms_of_a_word_and_its_cases_are_one_term() -> None:
    assert set(terms("Warranties")) == set(terms("warranty"))
    assert terms("ＡＢＣ１２") == terms("abc12")


def test_a_part_of_a_compound_identifier_is_found() -> None:
    assert set(terms("executor")) <= set(terms("DiffExecutor"))


def test_chinese_is_found_by_character_and_bigram() -> None:
    assert {"年假", "假期", "年"} <= set(terms("年假期"))


def test_function_words_carry_no_content() -> None:
    assert content_terms("What is the of and") == frozenset()
    assert content_terms("请问年假有多少天？") == {"年假", "天"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1,250.0 and 3.50", {"1250", "3.5"}),
        ("２０２４年", {"2024"}),
        ("pages 3, 4", {"3", "4"}),
        ("v1.2.3", {"1.2.3"}),
        ("none", set()),
    ],
)
def test_numbers_are_compared_by_value(text: str, found: set[str]) -> None:
    assert numbers(text) == found


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How long is the warranty?", "en"),
        ("保修期多长？", "zh"),
        ("Aeris 300 的电池能用多久", "zh"),
        ("What does 海登 mean in the name of the company?", "en"),
        ("12345", "en"),
        ("", "en"),
    ],
)
def test_the_language_of_a_question_is_told(text: str, language: str) -> None:
    assert detect_language(text) == language
