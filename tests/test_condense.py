"""Follow-ups stand on their own only when they refer back."""

from __future__ import annotations

import pytest

from app.condense import condense, refers_back
from core.records import Message

HISTORY = (
    Message(role="user", content="How long is the warranty of the Aeris 200?"),
    Message(role="assistant", content="Two years."),
)


@pytest.mark.parametrize(
    "question",
    [
        "What about the 300?",
        "And how much does it cost?",
        "Is that in writing?",
        "Why?",
        "After that who does the repairs?",
        "Later on, who may sign the contract?",
        "那300呢？",
        "它多少钱？",
        "为什么？",
        "后来什么时候修好的？",
    ],
)
def test_a_follow_up_refers_back(question: str) -> None:
    assert refers_back(question)


@pytest.mark.parametrize(
    "question",
    [
        "How many days of annual leave do new employees get?",
        "Who signed the Rotterdam lease?",
        "Is there a discount for schools that order ten?",
        "其他费用由谁承担？",
        "新员工每年有多少天年假？",
        "Later editions of the handbook grant how many days?",
        "之后的版本里年假是多少天？",
    ],
)
def test_a_question_that_stands_alone_does_not(question: str) -> None:
    assert not refers_back(question)
    assert condense(question, HISTORY) == question


def test_a_follow_up_carries_the_earlier_subject() -> None:
    standalone = condense("What about the 300?", HISTORY)
    assert "warranty" in standalone
    assert standalone.endswith("What about the 300?")


def test_a_chain_of_follow_ups_keeps_the_first_subject() -> None:
    history = (*HISTORY, Message(role="user", content="What about the 300?"), Message(role="assistant", content="3."))
    standalone = condense("And its battery?", history)
    assert "warranty of the Aeris 200" in standalone
    assert "300?" in standalone


def test_without_history_nothing_changes() -> None:
    assert condense("What about it?", ()) == "What about it?"
