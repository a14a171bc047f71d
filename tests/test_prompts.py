"""The grounded prompt holds what fits, whole sentences only, and never loses the sentence that answers."""

from __future__ import annotations

from app.prompts import grounded_messages
from core.records import Chunk, Hit, Locator


def hit(text: str, *, start: int = 0, context: str = "Manual > Power") -> Hit:
    locator = Locator(start=start, end=start + len(text))
    chunk = Chunk(id="c", source_id="s", text=text, locator=locator, n_tokens=1, context=context)
    return Hit(chunk=chunk, source="m.txt", title="", collection="c", media_type="text/plain", score=1.0)


def n_words(text: str) -> int:
    return len(text.split())


LONG = " ".join(f"Sentence number {i} says little." for i in range(60))
SHORT = "The battery lasts five years."


def prompt(hits: list[Hit], budget: int, **more: object) -> str:
    messages = grounded_messages(
        "How long does the battery last?",
        hits,
        language="en",
        count_tokens=n_words,
        budget_tokens=budget,
        **more,  # type: ignore[arg-type]
    )
    return "\n".join(message.content for message in messages)


def test_passages_are_numbered_with_their_context_and_the_question_comes_last() -> None:
    text = prompt([hit(SHORT), hit("It weighs 2 kg.")], 500)
    assert f"[1] Manual > Power\n{SHORT}" in text
    assert "[2] Manual > Power\nIt weighs 2 kg." in text
    assert text.endswith("How long does the battery last?")


def test_the_prompt_keeps_to_its_budget_and_cuts_at_a_sentence() -> None:
    text = prompt([hit(SHORT), hit(LONG)], 200)
    assert n_words(text) <= 200
    assert SHORT in text
    assert "Sentence number 0 says little." in text
    passage = text[text.index("[2]") : text.index("\n\nQuestion")]
    assert passage.endswith("says little.")
    assert "Sentence number 59" not in text


def test_the_sentence_that_must_stay_stays_when_its_passage_is_cut() -> None:
    at = 1000 + LONG.index("Sentence number 40")
    text = prompt([hit(LONG, start=1000)], 150, keep=[(0, at, at + 30)])
    assert "Sentence number 40 says little." in text
    assert "Sentence number 0 says little." not in text


def test_chinese_questions_get_chinese_instructions() -> None:
    messages = grounded_messages("电池能用多久？", [hit(SHORT)], language="zh", count_tokens=len, budget_tokens=900)
    assert messages[0].content.startswith("你")
    assert messages[1].content.endswith("问题: 电池能用多久？")
