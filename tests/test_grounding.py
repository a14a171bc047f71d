"""A sentence is tied to the passage that supports it, and to no other; quotes are verbatim."""

from __future__ import annotations

import pytest

from app.evidence import Evidence
from app.grounding import Grounder, extended, ground, quote_answer
from core.records import Chunk, Hit, Locator

WARRANTY = (
    "Hinges are oiled at the works. The warranty of the Aeris 300 covers the housing for three years. "
    "Batteries are not covered by the warranty."
)
PRICES = "Model | Price | Weight\nAeris 200 | 1,250 EUR | 2.1 kg\nAeris 300 | 1,900 EUR | 2.6 kg"
LEAVE = "新员工每年享有十五天年假。工作满五年后，年假增加到20天。病假须出具医院证明。"


def hit(text: str, *, source: str = "a.txt", start: int = 0, context: str = "", page: int | None = None) -> Hit:
    locator = Locator(start=start, end=start + len(text), page=page)
    chunk = Chunk(id=source, source_id=source, text=text, locator=locator, n_tokens=1, context=context)
    return Hit(chunk=chunk, source=source, title="", collection="c", media_type="text/plain", score=1.0)


HITS = (
    hit(WARRANTY, source="warranty.pdf", start=100, page=4),
    hit(PRICES, source="prices.csv"),
    hit(LEAVE, source="年假.docx", start=7),
)


def quote(sentence: str, question: str = "") -> str | None:
    grounder = Grounder(question, HITS, support=0.6)
    support = grounder.support_of(sentence)
    if support is None:
        return None
    chunk = HITS[support.hit].chunk
    return chunk.text[support.start - chunk.locator.start : support.end - chunk.locator.start]


@pytest.mark.parametrize(
    ("sentence", "supported_by"),
    [
        ("The Aeris 300's housing is covered for three years.", "The warranty of the Aeris 300 covers the housing"),
        ("The warranty does not cover batteries.", "Batteries are not covered"),
        ("The Aeris 200 costs 1250 EUR.", "Aeris 200 | 1,250 EUR"),
        ("工作满五年后年假为20天。", "工作满五年后，年假增加到20天。"),
    ],
)
def test_a_supported_sentence_is_tied_to_its_passage(sentence: str, supported_by: str) -> None:
    found = quote(sentence)
    assert found is not None
    assert supported_by in found


@pytest.mark.parametrize(
    "sentence",
    [
        "The Aeris 200 costs 1,900 USD in Brazil.",
        "The Aeris 300 costs 1,300 EUR.",
        "The warranty covers batteries for seven years.",
        "The warranty covers batteries.",
        "工作满五年后年假为25天。",
        "Bananas are rich in potassium.",
        "The warranty of the Aeris 300 was signed by Margaret Oliver.",
        "...",
    ],
)
def test_a_sentence_that_the_passages_do_not_hold_has_no_support(sentence: str) -> None:
    assert quote(sentence) is None


def test_echoing_the_question_proves_nothing() -> None:
    question = "How long is the warranty of the Aeris 300 housing?"
    assert quote("The warranty of the Aeris 300 housing is excellent, famous and beloved.", question) is None


def test_a_sentence_that_says_little_must_agree_with_the_best_evidence() -> None:
    passage = hit("Desks are shared by 2 people. Staff may work from home three days a week.")
    best = Evidence(hit=0, start=30, end=73, text="Staff may work from home three days a week.", score=1.0)
    question = "How many days do people work from home?"
    grounder = Grounder(question, [passage], support=0.6, evidence=[best])
    assert grounder.support_of("The answer is 2.") is None
    assert grounder.support_of("The answer is 3.") is not None


def test_facts_of_two_sentences_are_not_mixed() -> None:
    passage = hit("The PID holds the brew water at 93.5 degrees. The steam boiler is held at 1.45 bar.")
    grounder = Grounder("What does the PID hold the brew water at?", [passage], support=0.6)
    assert grounder.support_of("The PID holds the brew water at 93.5 degrees.") is not None
    assert grounder.support_of("The PID holds the brew water at 1.45 bar.") is None


def test_a_sentence_that_leans_on_the_one_before_is_quoted_with_it() -> None:
    passage = hit("The Aeris 300 stands on a mast. It weighs 2.6 kg without the mast.")
    support = Grounder("", [passage], support=0.6).support_of("The Aeris 300 weighs 2.6 kg.")
    assert support is not None
    assert (support.start, support.end) == (0, len(passage.chunk.text))


def test_the_shortest_window_that_supports_is_quoted() -> None:
    assert quote("Batteries are not covered by the warranty.") == "Batteries are not covered by the warranty."


def test_every_quote_stands_verbatim_at_its_place() -> None:
    text = "Batteries are not covered by the warranty. The moon is cheese. 病假须出具医院证明。"
    sentences, citations = ground(text, HITS, Grounder("", HITS, support=0.6))
    assert [sentence.supported for sentence in sentences] == [True, False, True]
    documents = {h.source: (h.chunk.locator.start, h.chunk.text) for h in HITS}
    for citation in citations:
        offset, source = documents[citation.source]
        assert source[citation.locator.start - offset : citation.locator.end - offset] == citation.quote
    assert citations[0].page == 4


def test_the_same_quote_keeps_its_number() -> None:
    text = "Batteries are not covered by the warranty. The warranty does not cover batteries."
    sentences, citations = ground(text, HITS, Grounder("", HITS, support=0.6))
    assert [s.citations for s in sentences] == [(1,), (1,)]
    assert len(citations) == 1


def test_a_table_row_is_answered_with_the_names_of_its_columns_and_quoted_as_it_stands() -> None:
    row = "Aeris 300 | 1,900 EUR | 2.6 kg"
    start = PRICES.index(row)
    evidence = Evidence(hit=1, start=start, end=start + len(row), text=row, score=1.0)
    text, sentences, citations = quote_answer([evidence], HITS, separator=" ")
    assert text == "Model: Aeris 300; Price: 1,900 EUR; Weight: 2.6 kg"
    assert citations[0].quote == row
    assert sentences[0].citations == (1,)


def test_a_row_cut_from_its_table_takes_the_header_that_its_chunk_carries() -> None:
    row = "Aeris 300 | 1,900 EUR"
    lone = hit(row, context="Prices\nModel | Price")
    evidence = Evidence(hit=0, start=0, end=len(row), text=row, score=1.0)
    text, _, _ = quote_answer([evidence], [lone], separator=" ")
    assert text == "Model: Aeris 300; Price: 1,900 EUR"


def test_a_sentence_that_announces_a_list_brings_the_list() -> None:
    passage = hit("To reset the logger:\n1. Hold the key.\n2. Wait for the lamp.", start=50)
    announced = Evidence(hit=0, start=50, end=70, text="To reset the logger:", score=1.0)
    whole = extended(announced, passage)
    assert whole.text.endswith("2. Wait for the lamp.")
    assert (whole.start, whole.end) == (50, 50 + len(passage.chunk.text))


def test_a_mere_label_brings_the_sentence_after_it() -> None:
    passage = hit("E57: No pulses. Clean the inlet filter of the flow meter. Then restart.\n\nE58: Too hot.")
    label = Evidence(hit=0, start=0, end=15, text="E57: No pulses.", score=1.0)
    assert extended(label, passage).text == "E57: No pulses. Clean the inlet filter of the flow meter."
    last = Evidence(hit=0, start=73, end=86, text="E58: Too hot.", score=1.0)
    assert extended(last, passage).text == "E58: Too hot."
