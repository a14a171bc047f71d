"""Thumbs, the queue in which they are reviewed, and what is learned from them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.cases import read_cases
from app.people.accounts import Accounts
from app.people.database import People
from app.people.feedback import Ratings, Review
from app.people.feedback_lines import case_lines, example_lines
from app.people.history import History
from app.people.records import Person, Reason, Verdict
from core.errors import MalformedInput, NotAllowed, UnknownConversation, UsageError
from llm.training.readers import feedback as reader
from llm.training.records import Record
from tests.small_people import add, answer, bytes_of


@pytest.fixture
def people(tmp_path: Path) -> Iterator[People]:
    """An empty file of people."""
    with People.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def ann(people: People) -> Person:
    """Somebody who asks."""
    return add(people, "Ann")


@pytest.fixture
def review(people: People) -> Review:
    """The queue, as an administrator has it."""
    return Review(people, add(people, "Root", "admin"))


def rated(
    people: People,
    person: Person,
    verdict: Verdict,
    *,
    reason: Reason | None = None,
    corrected: str = "",
    abstained: bool = False,
) -> str:
    """Return the turn of a rated answer that follows upon another."""
    history = History(people, person)
    first = history.begin("What is leave?")
    history.finish(first.id, answer("What is leave?", "Time off."))
    turn = history.begin("How long is it?", conversation=first.conversation)
    history.finish(turn.id, answer("How long is it?", abstained=abstained))
    Ratings(people, person).give(turn.id, verdict, reason=reason, corrected=corrected)
    return turn.id


def test_an_administrator_sees_what_was_asked_found_and_answered(people: People, ann: Person, review: Review) -> None:
    turn = rated(people, ann, "down", reason="wrong", corrected=" 30 days. ")
    (rating,) = review.queue().items
    assert (rating.person_name, rating.question, rating.answer) == ("Ann", "How long is it?", answer("How long is it?"))
    assert (rating.verdict, rating.reason, rating.corrected, rating.state) == ("down", "wrong", "30 days.", "open")
    assert [message.content for message in rating.history] == ["What is leave?", "Time off."]
    assert History(people, ann).turn(turn).verdict == "down"
    with pytest.raises(NotAllowed):
        Review(people, ann).queue()
    with pytest.raises(NotAllowed):
        Review(people, ann).decide(rating.id, "example")


def test_a_second_thumb_replaces_the_first_and_can_be_taken_back(people: People, ann: Person, review: Review) -> None:
    turn = rated(people, ann, "down", reason="wrong")
    (first,) = review.queue().items
    review.decide(first.id, "dismissed")
    Ratings(people, ann).give(turn, "up")
    (second,) = review.queue().items
    assert (second.verdict, second.reason, second.state) == ("up", None, "open")
    Ratings(people, ann).take_back(turn)
    assert review.queue().items == []
    assert History(people, ann).turn(turn).verdict is None


def test_what_is_no_rating_is_refused(people: People, ann: Person) -> None:
    history, ratings = History(people, ann), Ratings(people, ann)
    running = history.begin("Leave?")
    with pytest.raises(UnknownConversation):
        ratings.give(running.id, "up")
    history.finish(running.id, answer())
    with pytest.raises(UsageError):
        ratings.give(running.id, "up", reason="wrong")
    with pytest.raises(UsageError):
        ratings.give(running.id, "down", reason="boring")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="10,000"):
        ratings.give(running.id, "down", corrected="x" * 10_001)


def test_a_rating_is_decided_by_somebody_and_can_be_opened_again(people: People, ann: Person, review: Review) -> None:
    rated(people, ann, "down", reason="wrong_source")
    (rating,) = review.queue().items
    with pytest.raises(UsageError, match="nothing says"):
        review.decide(rating.id, "example")
    decided = review.decide(rating.id, "example", corrected="27 days.")
    assert (decided.state, decided.corrected) == ("example", "27 days.")
    assert Accounts(people).get(decided.decided_by).name == "Root"
    assert review.counts() == {"open": 0, "example": 1, "case": 0, "dismissed": 0}
    opened = review.decide(rating.id, "open")
    assert (opened.decided_by, opened.decided) == ("", None)
    with pytest.raises(UnknownConversation):
        review.decide("none", "dismissed")


def test_the_queue_comes_in_parts(people: People, ann: Person, review: Review) -> None:
    for _ in range(5):
        rated(people, ann, "up")
    first = review.queue(n=3)
    second = review.queue(n=3, after=first.next)
    assert len({rating.id for rating in (*first.items, *second.items)}) == 5
    assert second.next == ""
    created = [rating.created for rating in (*first.items, *second.items)]
    assert created == sorted(created, reverse=True)


@pytest.mark.parametrize(
    ("verdict", "reason", "corrected", "abstained", "right", "rejected"),
    [
        ("up", None, "", False, "It is 27 days. Nobody counted.", ""),
        ("up", None, "", True, "", ""),
        ("down", "wrong", "It is 30 days.", False, "It is 30 days.", "It is 27 days. Nobody counted."),
        ("down", "should_have_refused", "", False, "", "It is 27 days. Nobody counted."),
        ("down", "should_have_answered", "The leave is 27 days.", True, "The leave is 27 days.", ""),
    ],
)
def test_an_example_teaches_training_what_would_have_been_right(
    people: People,
    ann: Person,
    review: Review,
    verdict: Verdict,
    reason: Reason | None,
    corrected: str,
    abstained: bool,
    right: str,
    rejected: str,
) -> None:
    rated(people, ann, verdict, reason=reason, corrected=corrected, abstained=abstained)
    (rating,) = review.queue().items
    review.decide(rating.id, "example")
    (line,) = example_lines(review.every("example"))
    assert reader.fits(json.loads(line))
    (record,) = reader.read(json.loads(line), "feedback.jsonl:1")
    assert isinstance(record, Record)
    assert (record.answer, record.answerable, record.rejected) == (right, bool(right), rejected)
    assert record.question == "How long is it?"
    assert [turn.content for turn in record.history] == ["What is leave?", "Time off."]
    assert record.passages
    assert all(passage.text == "The leave is 27 days." for passage in record.passages)
    assert "Ann" not in line
    assert not isinstance(record, MalformedInput)


@pytest.mark.parametrize(
    ("verdict", "reason", "corrected", "answers", "sources"),
    [
        ("up", None, "", ("It is 27 days. Nobody counted.",), (("handbook.pdf", 3),)),
        ("down", "incomplete", "It is 27 days a year.", ("It is 27 days a year.",), (("handbook.pdf", 3),)),
        ("down", "wrong_source", "It is 30 days.", ("It is 30 days.",), ()),
        ("down", "should_have_refused", "", (), ()),
    ],
)
def test_a_case_is_what_evaluation_reads(
    people: People,
    ann: Person,
    review: Review,
    tmp_path: Path,
    verdict: Verdict,
    reason: Reason | None,
    corrected: str,
    answers: tuple[str, ...],
    sources: tuple[tuple[str, int], ...],
) -> None:
    rated(people, ann, verdict, reason=reason, corrected=corrected)
    review.decide(review.queue().items[0].id, "case")
    file = tmp_path / "cases.jsonl"
    file.write_text("\n".join(case_lines(review.every("case"))), "utf-8")
    (case,) = read_cases(file)
    assert (case.question, case.answers, case.sources) == ("How long is it?", answers, sources)
    assert case.answerable == bool(answers)
    assert [message.role for message in case.history] == ["user", "assistant"]
    assert case.set_name == "feedback"


def test_a_rating_outlives_an_answer_that_is_asked_for_again(people: People, ann: Person, review: Review) -> None:
    turn = rated(people, ann, "down", reason="wrong")
    conversation = History(people, ann).forget_from(turn).conversation
    (rating,) = review.queue().items
    assert (rating.person_name, rating.answer.text) == ("Ann", answer().text)
    History(people, ann).delete(conversation)
    assert review.queue().items == []


def test_what_was_learned_stays_when_its_rater_leaves_and_is_nobodys(
    people: People, ann: Person, review: Review
) -> None:
    for corrected in ("CANARY-open", "CANARY-dismissed", "kept as an example"):
        rated(people, ann, "down", reason="wrong", corrected=corrected)
    for rating in review.queue().items:
        if rating.corrected != "CANARY-open":
            review.decide(rating.id, "example" if rating.corrected.startswith("kept") else "dismissed")
    assert Accounts(people).delete(ann.id)
    (kept,) = review.every("example")
    assert (kept.person, kept.person_name, kept.corrected) == ("", "", "kept as an example")
    assert review.counts() == {"open": 0, "example": 1, "case": 0, "dismissed": 0}
    assert b"CANARY" not in bytes_of(people.path.parent)
    assert ann.id.encode() not in bytes_of(people.path.parent)


def test_what_was_learned_stays_when_its_conversation_goes(people: People, ann: Person, review: Review) -> None:
    turn = rated(people, ann, "up")
    review.decide(review.queue().items[0].id, "case")
    History(people, ann).delete(History(people, ann).turn(turn).conversation)
    (kept,) = review.every("case")
    assert kept.person == ""
