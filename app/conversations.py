"""Conversations: those in use are in memory, and a keeper has all of them for longer than this process."""

from __future__ import annotations

import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock, Thread
from typing import Protocol

from app.admission import Admission
from app.turns import Stage, Turn, TurnState
from app.watching import Attendant, Pages
from core.errors import CitadelError, Throttled
from core.records import Event, Message, SearchFilter

log = logging.getLogger(__name__)

MAX_OWNERS = 500
MAX_CONVERSATIONS = 20
HISTORY_TURNS = 6
# A process that is killed loses at most this much of the text that it was writing.
NOTE_SECONDS = 1.0


class Asks(Protocol):
    """What a conversation needs of the knowledge base."""

    def stream(
        self, question: str, *, history: Sequence[Message] = (), filter: SearchFilter | None = None
    ) -> Iterator[Event]:
        """Yield the events of an answer; closing the iterator stops the model."""


class Keeper(Protocol):
    """Where turns are kept for longer than this process."""

    def keep(self, owner: str, conversation_id: str, turn: TurnState) -> None:
        """Keep a turn: called when it was asked, and again with the same id when it has ended."""

    def note(self, owner: str, turn: TurnState) -> None:
        """Keep what was written so far of a turn; called now and then, maybe just after it has ended."""

    def drop(self, owner: str, conversation_id: str, turn_ids: Sequence[str]) -> None:
        """Forget turns that are asked anew, and those that followed."""

    def turns(self, owner: str, conversation_id: str) -> Sequence[TurnState]:
        """Return the turns of a conversation, oldest first, all ended; none where the owner has no such one."""

    def turn(self, owner: str, turn_id: str) -> TurnState | None:
        """Return a turn, as ended; None where the owner has no such one."""


class Conversation:
    """Turns that follow one another; one runs at a time.

    Args:
        id: Its name; "" makes one.
        owner: Whose it is, as the line sees it.
        turns: What was said before, oldest first; all of them have ended.
        shared: What it has in common with the other conversations of the server.
    """

    def __init__(
        self, *, id: str = "", owner: str = "", turns: Sequence[TurnState] = (), shared: Shared | None = None
    ) -> None:
        self.id = id or secrets.token_urlsafe(9)
        self.owner = owner
        self._shared = shared or Shared()
        self._turns = [Turn(state) for state in turns]
        self._lock = Lock()

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns, oldest first."""
        with self._lock:
            return tuple(self._turns)

    @property
    def running(self) -> Turn | None:
        """The turn that is being answered, or waits to be."""
        turns = self.turns
        return turns[-1] if turns and turns[-1].state.running else None

    def ask(
        self, knowledge_base: Asks, question: str, *, filter: SearchFilter, asked: float | None = None
    ) -> Turn | None:
        """Start a turn; None when one is still running.

        Args:
            knowledge_base: What answers.
            question: What is asked.
            filter: Where the answer is looked for.
            asked: When it was asked first, in seconds since the epoch; None: now.

        Raises:
            TooManyWaiting: The owner has as many questions in line as one may have.
            TooBusy: The line is full.
        """
        with self._lock:
            if self._turns and self._turns[-1].state.running:
                return None
            place = self._shared.admission.enter(self.owner)
            stage: Stage = "searching" if place.admitted else "waiting"
            state = TurnState(
                id=secrets.token_urlsafe(9),
                question=question,
                scope=filter.collections,
                stage=stage,
                place=place.ahead,
                asked=time.time() if asked is None else asked,
            )
            turn, history = Turn(state, filter=filter, place=place, on_end=self._kept), self._history()
            self._turns.append(turn)
        try:
            self._kept(state)
        finally:  # whatever goes wrong there, the place is left again
            turn.start(lambda: knowledge_base.stream(question, history=history, filter=filter))
        self._shared.attendant.mind(turn)
        if self._shared.keeper is not None:
            Thread(target=self._note, args=(turn, self._shared.keeper), name="notes", daemon=True).start()
        return turn

    def ask_again(
        self,
        knowledge_base: Asks,
        turn_id: str,
        *,
        filter: SearchFilter,
        question: str = "",
        asked: float | None = None,
    ) -> Turn | None:
        """Answer a question anew, or another in its place; it and what followed it are forgotten.

        Raises as :meth:`ask` does. Where the line has no room, nothing is forgotten.
        """
        with self._lock:
            index = next((i for i, turn in enumerate(self._turns) if turn.state.id == turn_id), None)
            if index is None or self._turns[-1].state.running:
                return None
            forgotten = self._turns[index:]
            del self._turns[index:]
        try:
            turn = self.ask(knowledge_base, question or forgotten[0].state.question, filter=filter, asked=asked)
        except Throttled:
            with self._lock:
                self._turns.extend(forgotten)
            raise
        self._dropped([old.state.id for old in forgotten])
        return turn

    def resume(self, knowledge_base: Asks) -> Turn | None:
        """Answer the last question anew where its answer was stopped only just now and by nobody."""
        turns = self.turns
        if not turns or not turns[-1].may_resume:
            return None
        last = turns[-1]
        try:
            return self.ask_again(knowledge_base, last.state.id, filter=last.filter, asked=last.state.asked)
        except Throttled:
            return None

    def _history(self) -> tuple[Message, ...]:
        messages: list[Message] = []
        for turn in self._turns[-HISTORY_TURNS:]:
            state = turn.state
            if state.answer is not None:
                messages.append(Message(role="user", content=state.question))
                messages.append(Message(role="assistant", content=state.answer.text))
        return tuple(messages)

    def _kept(self, state: TurnState) -> None:
        keeper = self._shared.keeper
        if keeper is not None:
            with _logged("kept"):
                keeper.keep(self.owner, self.id, state)

    def _note(self, turn: Turn, keeper: Keeper) -> None:
        noted = ""
        for state in turn.glimpses(pause_seconds=NOTE_SECONDS):
            if state.running and state.text != noted:
                with _logged("kept so far"):
                    keeper.note(self.owner, state)
                noted = state.text

    def _dropped(self, turn_ids: Sequence[str]) -> None:
        keeper = self._shared.keeper
        if keeper is not None:
            with _logged("dropped"):
                keeper.drop(self.owner, self.id, turn_ids)


@contextmanager
def _logged(done: str) -> Iterator[None]:
    """Log a store that fails: the answer is there all the same."""
    try:
        yield
    except CitadelError as error:
        log.warning("a turn could not be %s: %s", done, error)


class Shared:
    """What the conversations of a server have in common.

    Args:
        admission: The line before the models; None: one of its own.
        idle_stop_seconds: How long nobody may watch an answer until it is stopped; 0: as long as it likes.
        keeper: Where turns are kept for longer, or None.
    """

    def __init__(
        self, *, admission: Admission | None = None, idle_stop_seconds: float = 0.0, keeper: Keeper | None = None
    ) -> None:
        self.admission = admission or Admission()
        self.attendant = Attendant(idle_seconds=idle_stop_seconds)
        self.keeper = keeper


class Conversations:
    """The conversations of every owner; for the arguments see Shared.

    The least recently used leave the memory first, but for those that are being answered. With a keeper they come
    back when they are asked for.
    """

    def __init__(
        self, *, admission: Admission | None = None, idle_stop_seconds: float = 0.0, keeper: Keeper | None = None
    ) -> None:
        self.pages = Pages()
        self._shared = Shared(admission=admission, idle_stop_seconds=idle_stop_seconds, keeper=keeper)
        self._by_owner: OrderedDict[str, OrderedDict[str, Conversation]] = OrderedDict()
        self._lock = Lock()

    def new(self, owner: str) -> Conversation:
        """Begin a conversation."""
        return self.restore(owner)

    def restore(self, owner: str, conversation_id: str = "", turns: Sequence[TurnState] = ()) -> Conversation:
        """Put a conversation back that was kept elsewhere, as the newest; one that is here already stays as it is."""
        with self._lock:
            own = self._by_owner.setdefault(owner, OrderedDict())
            self._by_owner.move_to_end(owner)
            conversation = own.get(conversation_id) or Conversation(
                id=conversation_id, owner=owner, turns=turns, shared=self._shared
            )
            own[conversation.id] = conversation
            own.move_to_end(conversation.id)
            self._make_room(own)
        return conversation

    def get(self, owner: str, conversation_id: str = "") -> Conversation:
        """Return the conversation of this owner that is named, or a new one; without a name the newest in memory."""
        if conversation_id:
            return self.find(owner, conversation_id) or self.new(owner)
        with self._lock:
            own = self._by_owner.get(owner)
            if own:
                return own[next(reversed(own))]
        return self.new(owner)

    def find(self, owner: str, conversation_id: str) -> Conversation | None:
        """Return a conversation of this owner, from memory or from where it is kept; None where they have none such."""
        with self._lock:
            own = self._by_owner.get(owner, OrderedDict())
            if conversation_id in own:
                self._by_owner.move_to_end(owner)
                return own[conversation_id]
        keeper = self._shared.keeper
        turns = keeper.turns(owner, conversation_id) if keeper else ()
        return self.restore(owner, conversation_id, turns) if turns else None

    def turn(self, owner: str, turn_id: str) -> TurnState | None:
        """Return a turn of this owner's, or None when it is not theirs or was forgotten."""
        with self._lock:
            own = list(self._by_owner.get(owner, {}).values())
        states = (turn.state for conversation in own for turn in conversation.turns)
        found = next((state for state in states if state.id == turn_id), None)
        if found is None and self._shared.keeper is not None:
            return self._shared.keeper.turn(owner, turn_id)
        return found

    def forget(self, owner: str, conversation_id: str = "") -> None:
        """Stop what is being answered in a conversation, or in all of the owner's, and take it from memory."""
        with self._lock:
            own = self._by_owner.get(owner, OrderedDict())
            gone = [own.pop(each) for each in list(own) if conversation_id in ("", each)]
        for running in [conversation.running for conversation in gone]:
            if running is not None:
                running.stop()

    def close(self, *, patience_seconds: float = 5.0) -> None:
        """Stop what is being answered and wait a while until the model is free, as it must be before a process ends."""
        with self._lock:
            owners = list(self._by_owner)
        for owner in owners:
            self.forget(owner)
        self._shared.admission.wait_idle(patience_seconds)

    def _make_room(self, own: OrderedDict[str, Conversation]) -> None:
        for idle in [each.id for each in own.values() if each.running is None][: max(0, len(own) - MAX_CONVERSATIONS)]:
            del own[idle]
        for owner in list(self._by_owner)[: max(0, len(self._by_owner) - MAX_OWNERS)]:
            if not any(conversation.running for conversation in self._by_owner[owner].values()):
                del self._by_owner[owner]
