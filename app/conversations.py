"""Conversations, kept in memory per browser session.

A turn runs in its own thread and is watched by as many pages as like, so that a reload finds the answer where it
was. Closing the stream, which frees the model, is done by the thread that reads it.
"""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Event as Flag
from threading import Lock, Thread
from typing import Literal, Protocol

from app.live import Live
from core.errors import CitadelError
from core.records import Answer, Event, Finished, Hit, Message, Retrieved, SearchFilter, Token

log = logging.getLogger(__name__)

Stage = Literal["searching", "reading", "writing", "finished", "stopped", "failed"]
MAX_OWNERS = 500
MAX_CONVERSATIONS = 20
MAX_TURNS = 100
HISTORY_TURNS = 6


class Asks(Protocol):
    """What a conversation needs of the knowledge base."""

    def stream(
        self, question: str, *, history: Sequence[Message] = (), filter: SearchFilter | None = None
    ) -> Iterator[Event]:
        """Yield the events of an answer; closing the iterator stops the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnState:
    """A turn as it stands: ``text`` is what was written so far, ``answer`` the checked whole once finished."""

    id: str
    question: str
    stage: Stage = "searching"
    hits: tuple[Hit, ...] = ()
    text: str = ""
    answer: Answer | None = None
    error: CitadelError | None = None

    @property
    def running(self) -> bool:
        """Whether more is to come."""
        return self.stage in ("searching", "reading", "writing")


class Turn:
    """A question and its answer, written in a thread of its own."""

    def __init__(self, question: str) -> None:
        self._live = Live(TurnState(id=secrets.token_urlsafe(9), question=question))
        self._stopped = Flag()

    @property
    def state(self) -> TurnState:
        """The turn as it stands."""
        return self._live.state

    def watch(self) -> Iterator[TurnState]:
        """Yield the turn as it grows, until it ends."""
        return self._live.watch()

    def start(self, open_stream: Callable[[], Iterator[Event]]) -> None:
        """Begin to answer; errors become the turn's state."""
        Thread(target=self._run, args=(open_stream,), name="turn", daemon=True).start()

    def stop(self) -> None:
        """End the turn at once for those who watch; the model stops at its next piece of text."""
        self._stopped.set()
        self._live.put(replace(self._live.state, stage="stopped"), last=True)

    def _run(self, open_stream: Callable[[], Iterator[Event]]) -> None:
        try:
            self._read(open_stream())
        except CitadelError as error:
            self._live.put(replace(self._live.state, stage="failed", error=error), last=True)
        finally:  # whatever else went wrong is in the log; nobody may wait for ever
            unforeseen = CitadelError("something went wrong", remedy="Try again; the server's log says more")
            self._live.put(replace(self._live.state, stage="failed", error=unforeseen), last=True)

    def _read(self, stream: Iterator[Event]) -> None:
        try:
            for event in stream:
                if self._stopped.is_set():
                    return
                state = after(self._live.state, event)
                self._live.put(state, last=not state.running)
        finally:
            close = getattr(stream, "close", None)
            if close:
                close()


def after(state: TurnState, event: Event) -> TurnState:
    """Return the state of a turn after an event."""
    match event:
        case Retrieved(hits=hits):
            return replace(state, stage="reading", hits=hits)
        case Token(text=text):
            return replace(state, stage="writing", text=state.text + text)
        case Finished(answer=answer):
            return replace(state, stage="finished", text=answer.text, hits=answer.hits, answer=answer)


class Conversation:
    """Turns that follow one another; one runs at a time."""

    def __init__(self) -> None:
        self.id = secrets.token_urlsafe(9)
        self._turns: list[Turn] = []
        self._lock = Lock()

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns, oldest first."""
        with self._lock:
            return tuple(self._turns)

    @property
    def running(self) -> Turn | None:
        """The turn that is being answered."""
        turns = self.turns
        return turns[-1] if turns and turns[-1].state.running else None

    def ask(self, knowledge_base: Asks, question: str, *, filter: SearchFilter) -> Turn | None:
        """Start a turn; None when one is still running."""
        with self._lock:
            if self._turns and self._turns[-1].state.running:
                return None
            turn, history = Turn(question), self._history()
            self._turns = [*self._turns[1 - MAX_TURNS :], turn]
        turn.start(lambda: knowledge_base.stream(question, history=history, filter=filter))
        return turn

    def ask_again(self, knowledge_base: Asks, turn_id: str, *, filter: SearchFilter) -> Turn | None:
        """Answer a question anew; it and what followed it are forgotten."""
        with self._lock:
            index = next((i for i, turn in enumerate(self._turns) if turn.state.id == turn_id), None)
            if index is None or self._turns[-1].state.running:
                return None
            question = self._turns[index].state.question
            del self._turns[index:]
        return self.ask(knowledge_base, question, filter=filter)

    def _history(self) -> tuple[Message, ...]:
        messages: list[Message] = []
        for turn in self._turns[-HISTORY_TURNS:]:
            state = turn.state
            if state.answer is not None:
                messages.append(Message(role="user", content=state.question))
                messages.append(Message(role="assistant", content=state.answer.text))
        return tuple(messages)


class Conversations:
    """The conversations of every browser session, the least recently used forgotten first."""

    def __init__(self) -> None:
        self._by_owner: OrderedDict[str, OrderedDict[str, Conversation]] = OrderedDict()
        self._lock = Lock()

    def new(self, owner: str) -> Conversation:
        """Begin a conversation."""
        conversation = Conversation()
        with self._lock:
            own = self._by_owner.setdefault(owner, OrderedDict())
            self._by_owner.move_to_end(owner)
            own[conversation.id] = conversation
            while len(own) > MAX_CONVERSATIONS:
                own.popitem(last=False)
            while len(self._by_owner) > MAX_OWNERS:
                self._by_owner.popitem(last=False)
        return conversation

    def get(self, owner: str, conversation_id: str = "") -> Conversation:
        """Return a conversation of this owner: the one named, else the newest, else a new one."""
        with self._lock:
            own = self._by_owner.get(owner)
            if own:
                self._by_owner.move_to_end(owner)
                return own.get(conversation_id) or own[next(reversed(own))]
        return self.new(owner)

    def turn(self, owner: str, turn_id: str) -> TurnState | None:
        """Return a turn of this owner's, or None when it is not theirs or was forgotten."""
        with self._lock:
            own = list(self._by_owner.get(owner, {}).values())
        states = (turn.state for conversation in own for turn in conversation.turns)
        return next((state for state in states if state.id == turn_id), None)
