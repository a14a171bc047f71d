"""Scores are what they say: places, containment, refusals, intervals, and errors that name the line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.evaluation import Case, comparable, figure, outcome, read_cases
from core.errors import MalformedInput, MissingPath
from core.records import Answer, Chunk, Citation, Hit, Locator

TEXT = "The fee is 1,250 EUR. It is due in May."


def hit(source: str = "a/fees.pdf", *, page: int = 3, page_end: int | None = None) -> Hit:
    locator = Locator(start=0, end=len(TEXT), page=page, page_end=page_end)
    chunk = Chunk(id="c", source_id="s", text=TEXT, locator=locator, n_tokens=1)
    return Hit(chunk=chunk, source=source, title="", collection="c", media_type="application/pdf", score=1.0)


def answer(text: str = "The fee is 1250 EUR.", *, hits: tuple[Hit, ...] = (), quote: str = TEXT[:21]) -> Answer:
    citation = Citation(
        number=1,
        chunk_id="c",
        source="a/fees.pdf",
        collection="c",
        locator=Locator(start=0, end=len(quote), page=3, page_end=3),
        quote=quote,
    )
    return Answer(question="q", text=text, citations=(citation,), hits=hits)


def case(**changed: object) -> Case:
    fields = {
        "id": "1",
        "question": "What is the fee?",
        "answers": ("1,250 EUR",),
        "sources": (("a/fees.pdf", 3),),
        "answerable": True,
    }
    return Case(**(fields | changed))  # type: ignore[arg-type]


def test_a_right_answer_is_right_in_every_figure() -> None:
    judged = outcome(case(), answer(hits=(hit(),)), lambda _: TEXT)
    assert judged.source_in_top
    assert judged.page_in_top
    assert judged.contained
    assert judged.cited_page
    assert judged.quotes_verbatim
    assert not judged.refused


def test_a_page_is_right_anywhere_in_a_passage_that_crosses_pages() -> None:
    assert outcome(case(), answer(hits=(hit(page=2, page_end=4),)), lambda _: TEXT).page_in_top
    assert not outcome(case(), answer(hits=(hit(page=4),)), lambda _: TEXT).page_in_top


def test_another_source_is_wrong() -> None:
    judged = outcome(case(), answer(hits=(hit("b.pdf"),)), lambda _: TEXT)
    assert judged.source_in_top is False


def test_only_the_first_five_passages_count() -> None:
    hits = (*(hit("b.pdf") for _ in range(5)), hit())
    assert outcome(case(), answer(hits=hits), lambda _: TEXT).source_in_top is False


def test_a_quote_that_differs_from_its_source_is_told() -> None:
    assert not outcome(case(), answer(quote="The fee is 1,250 USD."), lambda _: TEXT).quotes_verbatim


def test_a_refusal_is_no_wrong_page() -> None:
    refused = Answer(question="q", text="Not in your documents.", abstained=True, hits=(hit(),))
    judged = outcome(case(answerable=False, answers=(), sources=()), refused, lambda _: TEXT)
    assert judged.refused
    assert judged.cited_page is None
    assert judged.contained is None


def test_expected_strings_are_compared_without_width_case_white_space_and_thousands_separators() -> None:
    assert comparable("１，２５０ Eur") == comparable("1250\neur")
    assert comparable("1,2") != comparable("12")


def test_an_interval_holds_its_value_and_narrows_with_n() -> None:
    few, many = figure([1.0, 0.0] * 5), figure([1.0, 0.0] * 500)
    assert few.low <= few.value <= few.high
    assert many.high - many.low < few.high - few.low
    assert few.n == 10


@pytest.mark.parametrize("line", ["{", '{"answers": []}', '["a"]', '{"question": "q", "history": [{"role": "user"}]}'])
def test_a_malformed_case_is_named_by_file_and_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps({"question": "fine?"}) + "\n" + line + "\n", "utf-8")
    with pytest.raises(MalformedInput, match=r"cases\.jsonl:2"):
        read_cases(file)


def test_a_file_of_cases_that_is_missing_or_empty_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPath, match=r"none\.jsonl"):
        read_cases(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(MalformedInput, match="no cases"):
        read_cases(tmp_path / "empty.jsonl")


def test_a_case_reads_its_page_or_slide(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    sources = ["a.pdf#page=12", "b.pptx#slide=3", "c d.txt"]
    file.write_text(json.dumps({"question": "q?", "sources": sources, "answers": ["x"]}), "utf-8")
    assert read_cases(file)[0].sources == (("a.pdf", 12), ("b.pptx", 3), ("c d.txt", None))
