"""Turns run beside the pages that watch them; stopping one frees the model."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from threading import Event as Flag
from typing import Any

import gradio as gr
import httpx
import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from app.admission import Admission
from app.conversations import MAX_CONVERSATIONS, Conversation, Conversations, Shared
from app.server import listen
from app.turns import MAX_WATCHERS, RESUME_ASKED_SECONDS, Turn, TurnState
from app.watching import FIRST_STREAM_SECONDS, NEXT_STREAM_SECONDS, Attendant, NotesStreams, Pages
from benchmarks.serving import running
from core.errors import BackendFailed, DiskFull, TooManyWaiting
from core.records import Answer, Event, Finished, Message, Retrieved, SearchFilter, Token
from llm.backends.scripted import ScriptedChatModel

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
    assert stopped.wait is not None
    stopped.wait.set()  # the next question waits until the model is free
    wanted = SearchFilter(collections=("hr",))
    _ended(conversation.ask(kb, "three", filter=wanted))
    assert kb.asked[-1] == (
        "three",
        (Message(role="user", content="one"), Message(role="assistant", content="Yes to one.")),
        wanted,
    )


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
    assert conversations.get("ann", made[0].id) not in made


# --- waiting in line -----------------------------------------------------------------------------------------------


def _asked(kb: Scripted, question: str, shared: Shared, *, owner: str = "ann") -> Turn:
    turn = Conversation(owner=owner, shared=shared).ask(kb, question, filter=SearchFilter())
    assert turn is not None
    return turn


def _reached(turn: Turn, stage: str) -> TurnState:
    return next(state for state in turn.watch() if state.stage == stage)


def test_a_turn_waits_in_line_and_shows_its_place_until_the_model_is_free() -> None:
    gate, shared = Flag(), Shared(admission=Admission(at_once=1))
    first = _asked(Scripted(wait=gate), "one", shared)
    second, third = (_asked(Scripted(), name, shared, owner=name) for name in ("bob", "eve"))
    assert (second.state.stage, second.state.place) == ("waiting", 1)
    assert third.state.place == 2
    second.stop()
    assert _ended(second).stage == "stopped"
    assert next(state for state in third.watch() if state.place == 1).stage == "waiting"
    gate.set()
    assert [_ended(turn).stage for turn in (first, third)] == ["finished", "finished"]
    assert third.state.place == 0


def test_a_turn_that_is_stopped_in_line_never_reaches_the_model() -> None:
    gate, shared, kb = Flag(), Shared(admission=Admission(at_once=1)), Scripted()
    first = _asked(Scripted(wait=gate), "one", shared)
    waiting = _asked(kb, "two", shared, owner="bob")
    waiting.stop()
    gate.set()
    _ended(first)
    _ended(_asked(Scripted(), "three", shared, owner="eve"))
    assert kb.asked == []


def test_the_next_is_answered_only_when_the_stopped_stream_is_closed() -> None:
    gate, shared, stopped = Flag(), Shared(admission=Admission(at_once=1)), Scripted(wait=Flag())
    first = _asked(stopped, "one", shared)
    _reached(first, "writing")
    first.stop()
    second = _asked(Scripted(wait=gate), "two", shared, owner="bob")
    assert second.state.stage == "waiting"
    assert stopped.wait is not None
    stopped.wait.set()
    _reached(second, "writing")
    assert stopped.closed.is_set()
    gate.set()


def test_an_unforeseen_error_gives_the_place_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda unforeseen: None)
    shared = Shared(admission=Admission(at_once=1))
    broken = _asked(Scripted(error=ZeroDivisionError()), "one", shared)
    assert _ended(_asked(Scripted(), "two", shared, owner="bob")).stage == "finished"
    assert _ended(broken).stage == "failed"


def test_a_question_for_which_the_line_has_no_room_changes_nothing() -> None:
    gate = Flag()
    shared = Shared(admission=Admission(at_once=1, waiting_per_person=1))
    conversation = Conversation(owner="ann", shared=shared)
    done = conversation.ask(Scripted(), "done", filter=SearchFilter())
    assert _ended(done).stage == "finished"
    running = [_asked(Scripted(wait=gate), name, shared) for name in ("one", "two")]
    for _ in range(2):
        with pytest.raises(TooManyWaiting):
            conversation.ask(Scripted(), "three", filter=SearchFilter())
        with pytest.raises(TooManyWaiting):
            conversation.ask_again(Scripted(), conversation.turns[0].state.id, filter=SearchFilter())
    assert conversation.turns == (done,)
    gate.set()
    assert [_ended(turn).stage for turn in running] == ["finished", "finished"]


def test_a_prompt_that_is_read_gives_the_chance_to_stop_and_shows_nothing() -> None:
    class Reading(Scripted):
        def _events(self, question: str) -> Iterator[Event]:
            try:
                yield Retrieved(hits=())
                while True:
                    yield Token(text="")
            finally:
                self.closed.set()

    kb = Reading()
    turn = Conversation().ask(kb, "leave", filter=SearchFilter())
    assert turn is not None
    assert _reached(turn, "reading").text == ""
    turn.stop()
    assert kb.closed.wait(PATIENCE)


# --- watching ------------------------------------------------------------------------------------------------------


class Clock:
    """Tells the time that it was set to, in seconds."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def _minded(turn: Turn, clock: Clock) -> Attendant:
    """Return an attendant that looks when it is told to."""
    attendant = Attendant(idle_seconds=0.5, clock=clock)
    attendant._thread = threading.current_thread()
    attendant.mind(turn)
    return attendant


def test_a_turn_that_nobody_watches_is_stopped_after_a_while_with_what_was_written() -> None:
    clock, kb = Clock(), Scripted(wait=Flag())
    turn = Conversation().ask(kb, "leave", filter=SearchFilter())
    assert turn is not None
    _reached(turn, "writing")
    attendant = _minded(turn, clock)
    for seconds in (0, 0.4):
        clock.now += seconds
        assert attendant.look()
        assert turn.state.running
    clock.now += 0.1
    assert not attendant.look()
    assert (turn.state.stage, turn.state.text, turn.state.unwatched) == ("stopped", "Yes", True)
    assert kb.wait is not None
    kb.wait.set()
    assert kb.closed.wait(PATIENCE)


@pytest.mark.parametrize("patience", [60.0, 0.0])
def test_a_turn_that_has_just_begun_waits_for_its_first_watcher(
    patience: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine it takes a while until who asked has seen the question kept."""
    monkeypatch.setattr("app.turns.FIRST_WATCHER_SECONDS", patience)
    kb = Scripted(wait=Flag())
    turn = Conversation().ask(kb, "leave", filter=SearchFilter())
    assert turn is not None
    assert turn.is_watched() == (patience > 0)
    with turn.watching():
        pass
    assert not turn.is_watched()
    turn.stop()
    assert kb.wait is not None
    kb.wait.set()


def test_a_page_that_comes_back_in_time_goes_on_watching() -> None:
    clock, kb = Clock(), Scripted(wait=Flag())
    turn = Conversation().ask(kb, "leave", filter=SearchFilter())
    assert turn is not None
    attendant = _minded(turn, clock)
    attendant.look()
    clock.now += 0.4
    with turn.watching() as states:
        attendant.look()
        clock.now += 100
        attendant.look()
        assert next(states).running
        assert kb.wait is not None
        kb.wait.set()
        assert list(states)[-1].stage == "finished"
    assert not attendant.look()


def test_who_is_gone_is_let_go_and_does_not_count() -> None:
    clock, kb, there = Clock(), Scripted(wait=Flag()), [True, True]
    turn = Conversation().ask(kb, "leave", filter=SearchFilter())
    assert turn is not None
    _reached(turn, "writing")
    attendant = _minded(turn, clock)
    with turn.watching(lambda: there[0]) as first, turn.watching(lambda: there[1]) as second:
        assert next(first).text == next(second).text == "Yes"
        there[0] = False
        attendant.look()
        assert list(first) == []  # ends, though the answer goes on
        clock.now += 1
        attendant.look()
        assert turn.state.running
        there[1] = False
        attendant.look()
        clock.now += 1
        attendant.look()
    assert turn.state.stage == "stopped"
    assert kb.wait is not None
    kb.wait.set()


def test_the_eldest_of_too_many_watchers_goes() -> None:
    kb = Scripted(wait=Flag())
    turn = Conversation().ask(kb, "leave", filter=SearchFilter())
    assert turn is not None
    _reached(turn, "writing")
    with turn.watching() as eldest:
        assert next(eldest).running
        others = [turn.watching() for _ in range(MAX_WATCHERS)]
        states = [other.__enter__() for other in others]
        assert list(eldest) == []
        assert all(next(each).running for each in states)
        for other in others:
            other.__exit__(None, None, None)
    assert kb.wait is not None
    kb.wait.set()
    assert _ended(turn).stage == "finished"


def test_a_page_is_there_while_it_listens_and_for_a_moment_after_it_asked() -> None:
    clock = Clock()
    pages = Pages(clock=clock)
    with pages.expecting("s") as is_there:
        assert is_there()
        clock.now += FIRST_STREAM_SECONDS
        assert not is_there()
        with pages.listening("s"), pages.listening("t"):
            assert is_there()
            with pages.listening("s"):
                pass
            assert is_there()
        assert not is_there()
        with pages.listening("s"):
            assert is_there()
            pages.turns_away("t")
            assert is_there()
            pages.turns_away("s")
            assert not is_there()
    with pages.expecting("s") as is_there:
        with pages.listening("s") as tell:
            tell(False)
        assert not is_there(), "it listened and left"


def test_a_page_that_asks_as_its_last_stream_ends_is_still_expected() -> None:
    """Server and page both end a stream when all is told; a question that comes just then opens another."""
    clock = Clock()
    pages = Pages(clock=clock)

    async def listened(*, leaves: bool, hears: bool = False) -> bool:
        """Return whether a page that has asked is there after the stream that it had before."""
        asked = ExitStack()

        async def tells(scope: Scope, receive: Receive, send: Send) -> None:
            said.append(asked.enter_context(pages.expecting("s")))
            if hears:
                await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            if leaves:
                await receive()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            await receive()  # every request is broken off in the end

        async def receive() -> dict[str, str]:
            return {"type": "http.disconnect"}

        async def send(message: object) -> None:
            pass

        said: list[Callable[[], bool]] = []
        scope = {"type": "http", "path": "/queue/data", "query_string": b"session_hash=s"}
        await NotesStreams(tells, pages=pages)(scope, receive, send)
        with asked:
            is_there = said[0]()
            clock.now += NEXT_STREAM_SECONDS
            assert said[0]() != leaves
            return is_there

    assert asyncio.run(listened(leaves=False))
    assert asyncio.run(listened(leaves=True)), "it may be about to listen anew"
    assert not asyncio.run(listened(leaves=True, hears=True)), "it left the stream that told it of its question"


def test_an_answer_stopped_for_want_of_watchers_is_written_anew_for_who_comes_back_soon() -> None:
    stopped, kb, conversation = Scripted(wait=Flag()), Scripted(), Conversation()
    turn = conversation.ask(stopped, "leave", filter=SearchFilter(collections=("hr",)))
    assert turn is not None
    _reached(turn, "writing")
    assert conversation.resume(kb) is None
    turn.abandon()
    assert stopped.wait is not None
    stopped.wait.set()
    again = conversation.resume(kb)
    assert _ended(again).stage == "finished"
    assert kb.asked == [("leave", (), SearchFilter(collections=("hr",)))]
    assert conversation.turns == (again,)
    assert conversation.resume(kb) is None


def test_an_answer_that_a_person_stopped_is_not_written_anew() -> None:
    stopped, conversation = Scripted(wait=Flag()), Conversation()
    turn = conversation.ask(stopped, "leave", filter=SearchFilter())
    assert turn is not None
    turn.stop()
    assert stopped.wait is not None
    stopped.wait.set()
    assert conversation.resume(Scripted()) is None


# --- keeping -------------------------------------------------------------------------------------------------------


class Notes:
    """Keeps turns in a list; its disk may be full."""

    def __init__(self, *, full: bool = False) -> None:
        self.full = full
        self.kept: list[tuple[str, str, TurnState]] = []
        self.dropped: list[tuple[str, str, tuple[str, ...]]] = []
        self.noted: list[tuple[str, TurnState]] = []
        self.has_noted, self.n_ended = Flag(), threading.Semaphore(0)

    def keep(self, owner: str, conversation_id: str, turn: TurnState) -> None:
        self.kept.append((owner, conversation_id, turn))
        if not turn.running:
            self.n_ended.release()
        if self.full:
            raise DiskFull("no room is left")

    def note(self, owner: str, turn: TurnState) -> None:
        self.noted.append((owner, turn))
        self.has_noted.set()
        if self.full:
            raise DiskFull("no room is left")

    def drop(self, owner: str, conversation_id: str, turn_ids: Sequence[str]) -> None:
        self.dropped.append((owner, conversation_id, tuple(turn_ids)))

    def turns(self, owner: str, conversation_id: str) -> list[TurnState]:
        newest = {state.id: state for who, at, state in self.kept if (who, at) == (owner, conversation_id)}
        return list(newest.values())

    def turn(self, owner: str, turn_id: str) -> TurnState | None:
        return next((state for who, _, state in self.kept[::-1] if (who, state.id) == (owner, turn_id)), None)


@pytest.mark.parametrize("full", [False, True])
def test_turns_are_kept_when_they_are_asked_and_when_they_end_and_a_full_disk_stops_no_answer(full: bool) -> None:
    notes = Notes(full=full)
    conversation = Conversations(keeper=notes).new("ann")
    turn = conversation.ask(Scripted(), "leave", filter=SearchFilter(collections=("hr",)))
    last = _ended(turn)
    assert last.stage == "finished"
    assert notes.n_ended.acquire(timeout=PATIENCE)
    assert [(owner, at, state.stage, state.scope) for owner, at, state in notes.kept] == [
        ("ann", conversation.id, stage, ("hr",)) for stage in ("searching", "finished")
    ]
    assert notes.kept[-1][2] == last
    _ended(conversation.ask_again(Scripted(), last.id, filter=SearchFilter()))
    assert notes.dropped == [("ann", conversation.id, (last.id,))]


def test_a_turn_that_is_stopped_is_kept_once_with_what_was_written() -> None:
    notes, kb = Notes(), Scripted(wait=Flag())
    turn = Conversations(keeper=notes).new("ann").ask(kb, "leave", filter=SearchFilter())
    assert turn is not None
    _reached(turn, "writing")
    turn.stop()
    turn.stop()
    assert kb.wait is not None
    kb.wait.set()
    assert kb.closed.wait(PATIENCE)
    assert [(state.stage, state.text) for _, _, state in notes.kept[1:]] == [("stopped", "Yes")]


@pytest.mark.parametrize("full", [False, True])
def test_what_is_being_written_is_kept_meanwhile_and_a_full_disk_stops_no_answer(
    full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.conversations.NOTE_SECONDS", 0.01)
    notes, kb = Notes(full=full), Scripted(wait=Flag())
    turn = Conversations(keeper=notes).new("ann").ask(kb, "leave", filter=SearchFilter())
    assert turn is not None
    assert notes.has_noted.wait(PATIENCE)
    assert not turn.ended
    with turn.watching():
        assert turn.is_watched()
    assert not turn.is_watched()  # who keeps it does not count
    assert kb.wait is not None
    kb.wait.set()
    assert _ended(turn).stage == "finished"
    owner, state = notes.noted[0]
    assert (owner, state.id, state.stage, state.text) == ("ann", turn.state.id, "writing", "Yes")
    texts = [state.text for _, state in notes.noted]
    assert len(texts) == len(set(texts))  # each but once


def _cut_off(seconds_ago: float) -> TurnState:
    asked = time.time() - seconds_ago
    return TurnState(id="t", question="leave", scope=("hr",), stage="stopped", text="Y", cut_off=True, asked=asked)


def test_an_answer_that_the_end_of_a_server_cut_off_is_written_anew_for_who_comes_back_soon() -> None:
    kb, state = Scripted(), _cut_off(20)
    again = Conversation(turns=[state]).resume(kb)
    assert _ended(again).stage == "finished"
    assert kb.asked == [("leave", (), SearchFilter(collections=("hr",)))]
    assert again is not None
    assert again.state.asked == state.asked  # what brings a server down is not asked for ever


@pytest.mark.parametrize("seconds_ago", [RESUME_ASKED_SECONDS + 1, -60.0])
def test_an_answer_that_was_cut_off_long_ago_stays_as_it_is(seconds_ago: float) -> None:
    conversation = Conversation(turns=[_cut_off(seconds_ago)])
    assert conversation.resume(Scripted()) is None
    assert conversation.turns[0].state.text == "Y"


def test_a_kept_conversation_is_put_back_and_gone_on_with() -> None:
    kb, conversations = Scripted(), Conversations()
    finished = _ended(Conversation().ask(kb, "one", filter=SearchFilter()))
    stopped = replace(finished, id="s", stage="stopped", answer=None)
    back = conversations.restore("ann", "kept", [finished, stopped])
    assert (back.id, back.running, conversations.get("ann", "kept")) == ("kept", None, back)
    assert conversations.restore("ann", "kept") is back
    assert conversations.turn("ann", finished.id) == finished
    _ended(back.ask(kb, "two", filter=SearchFilter()))
    assert [message.content for message in kb.asked[-1][1]] == ["one", "Yes to one."]


def test_closing_stops_every_turn_and_waits_until_the_model_is_free() -> None:
    class Slow(Scripted):
        def _events(self, question: str) -> Iterator[Event]:
            try:
                while True:
                    yield Token(text="on ")
            finally:
                self.closed.set()

    kb, conversations = Slow(), Conversations(admission=Admission(at_once=1))
    turns = [conversations.new(owner).ask(kb, "leave", filter=SearchFilter()) for owner in ("ann", "bob")]
    conversations.close(patience_seconds=PATIENCE)
    assert kb.closed.is_set()
    assert [turn.state.stage for turn in turns if turn] == ["stopped", "stopped"]


# --- over a real connection ----------------------------------------------------------------------------------------


class Writes:
    """Writes with a model for as long as it is let; notes when its streams are closed."""

    def __init__(self, model: Any) -> None:
        self.model, self.pen = model, Flag()
        self.closed = threading.Semaphore(0)

    def stream(
        self, question: str, *, history: Sequence[Message] = (), filter: SearchFilter | None = None
    ) -> Iterator[Event]:
        return self._events(question)

    def _events(self, question: str) -> Iterator[Event]:
        stream: Any = self.model.stream(question, max_tokens=10_000)
        try:
            yield Retrieved(hits=())
            for chunk in stream:
                yield Token(text=str(chunk.content))
                self.pen.wait(0.01)
        finally:
            stream.close()
            self.closed.release()


@pytest.fixture(scope="module")
def writes() -> Writes:
    return Writes(ScriptedChatModel(replies=("and on " * 5000,)))


@pytest.fixture(scope="module")
def notes() -> Notes:
    return Notes()


@pytest.fixture(scope="module")
def conversations(notes: Notes) -> Conversations:
    return Conversations(admission=Admission(at_once=1), idle_stop_seconds=0.1, keeper=notes)


@pytest.fixture(scope="module")
def address(writes: Writes, conversations: Conversations) -> Iterator[str]:
    """A page with one event on a real server, which answers as the chat does."""
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(10**9)  # as the app does

    def ask(question: str, request: gr.Request) -> Iterator[str]:
        turn = conversations.new(question).ask(writes, question, filter=SearchFilter())
        assert turn is not None
        page = conversations.pages.expecting(str(request.session_hash))
        with page as is_there, turn.watching(is_there) as states:
            for state in states:
                yield f"{state.stage} {state.text[:40]}"

    app = FastAPI()
    with gr.Blocks(analytics_enabled=False) as blocks:
        question, said = gr.Textbox(), gr.Textbox()
        question.submit(ask, question, said, api_name="ask", concurrency_limit=None)
    gr.mount_gradio_app(app, blocks, path="/page", ssr_mode=False)
    app.add_middleware(NotesStreams, pages=conversations.pages)
    with running(app) as found:
        yield f"{found}/page/gradio_api/queue"


def _look_until(address: str, question: str, stage: str) -> None:
    """Ask as a page does, listen until the answer is at a stage, and drop the connection."""
    session = secrets.token_hex(6)
    with httpx.Client(timeout=PATIENCE, verify=False) as client:
        client.post(
            f"{address}/join", json={"data": [question], "fn_index": 0, "session_hash": session}
        ).raise_for_status()
        with client.stream("GET", f"{address}/data", params={"session_hash": session}) as stream:
            for line in stream.iter_lines():
                event = json.loads(line.removeprefix("data: ") or "{}")
                if stage in json.dumps(event.get("output") or ""):
                    return
    raise AssertionError(f"the answer never was {stage}")


def test_every_page_that_goes_away_frees_the_model(address: str, writes: Writes, conversations: Conversations) -> None:
    for n in range(20):
        _look_until(address, f"question {n}", "writing")
        assert writes.closed.acquire(timeout=PATIENCE), f"stream {n} was not closed, so the model writes on"
        state = conversations.get(f"question {n}").turns[-1].state
        assert (state.stage, state.unwatched, bool(state.text)) == ("stopped", True, True)
    assert not writes.closed.acquire(blocking=False)


def test_a_page_that_goes_away_gives_its_place_in_line_to_the_others(
    address: str, writes: Writes, conversations: Conversations, notes: Notes
) -> None:
    running = conversations.new("first").ask(writes, "first", filter=SearchFilter())
    assert running is not None
    with running.watching():
        n_kept = len(notes.kept)
        while notes.n_ended.acquire(blocking=False):
            pass
        _look_until(address, "one who leaves", "waiting")
        assert notes.n_ended.acquire(timeout=PATIENCE)
        assert [(state.stage, state.unwatched) for _, _, state in notes.kept[n_kept:]] == [
            ("waiting", False), ("stopped", True),
        ]  # fmt: skip
        running.stop()
    assert writes.closed.acquire(timeout=PATIENCE)
    assert not writes.closed.acquire(blocking=False), "who left was answered"


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux tells how long what was sent may wait")
def test_a_connection_whose_other_side_vanished_ends_within_seconds() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) <= 5
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 10_000
