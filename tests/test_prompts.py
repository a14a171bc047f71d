"""The grounded prompt holds what fits, whole sentences only, and never loses the sentence that answers."""

from __future__ import annotations

from app.evidence import Evidence
from app.prompts import grounded_messages
from core.records import Chunk, Hit, Locator


def hit(text: str, *, start: int = 0, context: str = "Manual > Power") -> Hit:
    locator = Locator(start=start, end=start + len(text))
    chunk = Chunk(id="c", source_id="s", text=text, locator=locator, n_tokens=1, context=context)
    return Hit(chunk=chunk, source="m.txt", title="", collection="c", media_type="text/plain", score=1.0)


def evidence(hits: list[Hit], *picked: tuple[int, str]) -> list[Evidence]:
    found = []
    for i, text in picked:
        start = hits[i].chunk.locator.start + hits[i].chunk.text.index(text)
        found.append(Evidence(hit=i, start=start, end=start + len(text), text=text, score=1.0))
    return found


def n_words(text: str) -> int:
    return len(text.split())


LONG = " ".join(f"Sentence number {i} says little." for i in range(60))
SHORT = "The battery lasts five years."
QUESTION = "How long does the battery last?"


def prompt(hits: list[Hit], picked: list[Evidence], budget: int, *, passages: int = 3) -> str:
    messages = grounded_messages(
        QUESTION, hits, picked, language="en", count_tokens=n_words, budget_tokens=budget, max_passages=passages
    )
    return "\n".join(message.content for message in messages)


def test_passages_stand_under_their_context_in_the_order_of_their_best_sentence() -> None:
    hits = [hit("It weighs 2 kg."), hit(SHORT)]
    text = prompt(hits, evidence(hits, (1, SHORT), (0, "It weighs 2 kg.")), 500)
    assert f"Manual > Power\n{SHORT}\n\nManual > Power\nIt weighs 2 kg." in text
    assert text.endswith(QUESTION)


def test_with_room_whole_passages_go_in() -> None:
    hits = [hit(LONG)]
    assert LONG in prompt(hits, evidence(hits, (0, "Sentence number 40 says little.")), 2000)


def test_without_room_the_best_sentence_goes_in_with_its_neighbours_and_gaps_are_marked() -> None:
    hits = [hit(LONG, start=1000)]
    text = prompt(hits, evidence(hits, (0, "Sentence number 40 says little.")), 110)
    assert n_words(text) <= 110
    kept = "Sentence number 39 says little. Sentence number 40 says little. Sentence number 41 says little."
    assert f" … {kept}" in text
    assert "Sentence number 59" not in text


def test_the_best_sentence_stays_even_where_it_alone_is_too_long() -> None:
    hits = [hit(SHORT), hit("Another thing.")]
    text = prompt(hits, evidence(hits, (0, SHORT), (1, "Another thing.")), 20)
    assert SHORT in text
    assert "Another thing." not in text


def test_no_more_passages_go_in_than_allowed() -> None:
    hits = [hit(SHORT), hit("Another thing.")]
    assert "Another" not in prompt(hits, evidence(hits, (0, SHORT), (1, "Another thing.")), 500, passages=1)


def test_a_wrapped_sentence_reaches_the_model_whole() -> None:
    wrapped = "The battery of the Aeris 300 was made to be used for a very long\ntime, namely for five years."
    hits = [hit(wrapped)]
    assert wrapped.replace("\n", " ") in prompt(hits, evidence(hits, (0, wrapped)), 500)


def test_chinese_questions_get_chinese_instructions() -> None:
    hits = [hit(SHORT)]
    messages = grounded_messages(
        "电池能用多久？",
        hits,
        evidence(hits, (0, SHORT)),
        language="zh",
        count_tokens=len,
        budget_tokens=900,
        max_passages=3,
    )
    assert messages[0].content.startswith("你")
    assert messages[1].content.endswith("问题: 电池能用多久？")
