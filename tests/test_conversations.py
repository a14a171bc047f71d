"""Turns run beside the pages that watch them; stopping one frees the model."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from threading import Event as Flag

import pytest

from app.conversations import MAX_CONVERSATIONS, Conversation, Conversations, Turn, TurnState
from core.errors import BackendFailed
from core.records import Answer, Event, Finished, Message, Retrieved, SearchFilter, Token

PATIENCE = 10


class Scripted:
    """Answers every question with the same events, as the knowledge base does; waits where it is told to."""

    def __init__(self, *, wait: Flag | None = None, error: Exception | None = None) -> None:
        self.wait, self.error = wait, error
        self.asked: list[tuple[str, tuple[Message, ...], SearchFilter | None]] = []
        self.closed = Flag()

    def stream(
        self, question: str, *, history: Sequence[Message] = (), filter: SearchFilter | None = None
    ) -> Iterator[Event]:
        self.asked.append((question, tuple(history), filter))
        return self._events(question)

    def _events(self, question: str) -> Iterator[Event]:
        try:
            yield Retrieved(hits=())
            yield Token(text="Yes")
            if self.error:
                raise self.error
            if self.wait:
                assert self.wait.wait(PATIENCE)
            yield Token(text=".")
            yield Finished(answer=Answer(question=question, text=f"Yes to {question}."))
        finally:
            self.closed.set()


def _ended(turn: Turn | None) -> TurnState:
    assert turn is not None
    return list(turn.watch())[-1]


def test_a_turn_is_watched_until_its_checked_answer() -> None:
    last = _ended(Conversation().ask(Scripted(), "leave", filter=SearchFilter()))
    assert last.stage == "finished"
    assert last.text == "Yes to leave."
    assert last.answer is not None


def test_a_page_that_comes_later_sees_what_was_written_so_far() -> None:
    wait = Flag()
    turn = Conversation().ask(Scripted(wait=wait), "leave", filter=SearchFilter())
    assert turn is not None
    first = next(state for state in turn.watch() if state.text)
    assert (first.stage, first.text) == ("writing", "Yes")
    second = next(turn.watch())
    assert second.text == "Yes"
    wait.set()
    assert _ended(turn).stage == "finished"


def test_stopping_ends_the_turn_at_once_and_closes_the_stream() -> None:
    wait, kb = Flag(), None
    kb = Scripted(wait=wait)
    turn = Conversation().ask(kb, "leave", filter=SearchFilter())
    assert turn is not None
    next(state for state in turn.watch() if state.text)
    turn.stop()
    assert _ended(turn).stage == "stopped"
    assert _ended(turn).text == "Yes"
    assert not kb.closed.is_set()
    wait.set()
    assert kb.closed.wait(PATIENCE)
    assert _ended(turn).answer is None


def test_an_error_of_ours_is_shown_and_any_other_ends_the_turn_too() -> None:
    error = BackendFailed("the model broke off")
    shown = _ended(Conversation().ask(Scripted(error=error), "leave", filter=SearchFilter()))
    assert (shown.stage, shown.error) == ("failed", error)


def test_an_unforeseen_error_ends_the_turn_without_its_words_and_is_told_to_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, heard = [], Flag()
    monkeypatch.setattr(threading, "excepthook", lambda unforeseen: (told.append(unforeseen.exc_type), heard.set()))
    shown = _ended(Conversation().ask(Scripted(error=ZeroDivisionError("/srv/secret")), "leave", filter=SearchFilter()))
    assert shown.stage == "failed"
    assert shown.error is not None
    assert "secret" not in str(shown.error)
    assert heard.wait(PATIENCE)
    assert told == [ZeroDivisionError]


def test_earlier_answers_are_passed_on_and_stopped_ones_are_not() -> None:
    kb, conversation = Scripted(), Conversation()
    _ended(conversation.ask(kb, "one", filter=SearchFilter()))
    stopped = Scripted(wait=Flag())
    turn = conversation.ask(stopped, "two", filter=SearchFilter())
    assert turn is not None
    turn.stop()
    wanted = SearchFilter(collections=("hr",))
    _ended(conversation.ask(kb, "three", filter=wanted))
    assert kb.asked[-1] == (
        "three",
        (Message(role="user", content="one"), Message(role="assistant", content="Yes to one.")),
        wanted,
    )
    assert stopped.wait is not None
    stopped.wait.set()


def test_one_turn_runs_at_a_time() -> None:
    wait, conversation = Flag(), Conversation()
    first = conversation.ask(Scripted(wait=wait), "one", filter=SearchFilter())
    assert conversation.running is first
    assert conversation.ask(Scripted(), "two", filter=SearchFilter()) is None
    wait.set()
    _ended(first)
    assert conversation.running is None


def test_asking_again_forgets_the_turn_and_what_followed_it() -> None:
    kb, conversation = Scripted(), Conversation()
    first = conversation.ask(kb, "one", filter=SearchFilter())
    _ended(first)
    _ended(conversation.ask(kb, "two", filter=SearchFilter()))
    assert first is not None
    again = conversation.ask_again(kb, first.state.id, filter=SearchFilter())
    _ended(again)
    assert [turn.state.question for turn in conversation.turns] == ["one"]
    assert kb.asked[-1][1] == ()
    assert conversation.ask_again(kb, first.state.id, filter=SearchFilter()) is None


def test_nobody_sees_the_turns_of_another_browser() -> None:
    conversations = Conversations()
    turn = conversations.get("ann").ask(Scripted(), "leave", filter=SearchFilter())
    state = _ended(turn)
    assert conversations.turn("ann", state.id) == state
    assert conversations.turn("bob", state.id) is None
    assert conversations.get("bob", conversations.get("ann").id).turns == ()


def test_the_newest_conversation_is_the_one_that_is_shown_and_old_ones_are_forgotten() -> None:
    conversations = Conversations()
    made = [conversations.new("ann") for _ in range(MAX_CONVERSATIONS + 1)]
    assert conversations.get("ann") is made[-1]
    assert conversations.get("ann", made[1].id) is made[1]
    assert conversations.get("ann", made[0].id) is made[-1]
