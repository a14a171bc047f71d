"""Long work over many questions in the background: one piece at a time, watched by any page, behind those who chat."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Literal

from app.conversations import Asks
from app.live import Live
from app.one_by_one import OneByOne
from app.pacing import Busy
from core.errors import CitadelError
from core.records import Answer, Finished, Message, SearchFilter

log = logging.getLogger(__name__)

Kind = Literal["evaluation", "trial"]
ChoreStage = Literal["queued", "running", "cancelling", "finished", "cancelled", "failed"]
KEPT_CHORES = 20
# How often a question is put off for a chat that begins meanwhile, until it is answered all the same.
_PUT_OFF_AT_MOST = 3
_LOOK_SECONDS = 0.1  # how soon a stop is seen


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoreState:
    """A piece of work as it stands; ``subject`` is the number of an evaluation or the id of a trial."""

    id: str
    kind: Kind
    subject: str
    total: int
    done: int = 0
    stage: ChoreStage = "queued"
    error: CitadelError | None = None

    @property
    def running(self) -> bool:
        """Whether more is to come."""
        return self.stage in ("queued", "running", "cancelling")


class Chore:
    """A piece of work: ``work`` is called with it, tells its steps, and returns early once ``stop`` is set."""

    def __init__(self, work: Callable[[Chore], None], *, kind: Kind, subject: str, total: int) -> None:
        self.live = Live(ChoreState(id=secrets.token_urlsafe(9), kind=kind, subject=subject, total=total))
        self.stop = Event()
        self._work = work

    @property
    def state(self) -> ChoreState:
        """The work as it stands."""
        return self.live.state

    def step(self) -> None:
        """Note that one more of all is done."""
        self.live.put(replace(self.state, done=self.state.done + 1))

    def cancel(self) -> None:
        """End it soon; what was done stays."""
        self.stop.set()
        queued = self.state.stage == "queued"
        self.live.put(replace(self.state, stage="cancelled" if queued else "cancelling"), last=queued)

    def run(self) -> None:
        """Work; whatever happens becomes the state."""
        if not self.live.put(replace(self.state, stage="running")):
            return
        try:
            self._work(self)
            self._end("cancelled" if self.stop.is_set() else "finished")
        except CitadelError as error:
            self._end("failed", error)
        finally:  # whatever else went wrong is in the log; nobody may wait for ever
            self._end("failed", CitadelError("something went wrong", remedy="Try again; the server's log says more"))

    def _end(self, stage: ChoreStage, error: CitadelError | None = None) -> None:
        self.live.put(replace(self.state, stage=stage, error=error), last=True)


class Background:
    """The work of this server, one piece after another."""

    def __init__(self) -> None:
        self._chores: OneByOne[Chore] = OneByOne(name="background", kept=KEPT_CHORES)

    def start(self, work: Callable[[Chore], None], *, kind: Kind, subject: str, total: int) -> Chore:
        """Queue a piece of work."""
        return self._chores.put(Chore(work, kind=kind, subject=subject, total=total))

    def newest(self, kind: Kind, subject: str = "") -> Chore | None:
        """Return the work of a kind, and of one subject, that was begun last; None where there was none."""
        of_kind = [chore for chore in self._chores.pieces if chore.state.kind == kind]
        return next((chore for chore in reversed(of_kind) if subject in ("", chore.state.subject)), None)

    def running(self, kind: Kind, subject: str = "") -> Chore | None:
        """Return the newest work of a kind if it still goes on."""
        chore = self.newest(kind, subject)
        return chore if chore is not None and chore.state.running else None

    def close(self, *, patience_seconds: float = 5.0) -> None:
        """Cancel what runs and wait for it a while."""
        self._chores.close(patience_seconds=patience_seconds)


class Unhurried:
    """Asks questions one after another and lets everybody who chats go first.

    Args:
        answers: What tells whether answers are written for people.
        stop: Set it to have no more asked.
        patience_seconds: How long a question waits for people who never pause, each time that it is put off.
    """

    def __init__(self, answers: Busy, stop: Event, *, patience_seconds: float = 20.0) -> None:
        self._answers, self._stop, self._patience = answers, stop, patience_seconds

    def ask(
        self, knowledge_base: Asks, question: str, *, history: Sequence[Message] = (), filter: SearchFilter
    ) -> Answer | None:
        """Return the answer, None when stopped; begun anew, a few times at most, when somebody else asks meanwhile."""
        for n_put_off in range(_PUT_OFF_AT_MOST + 1):
            self._wait()
            events = knowledge_base.stream(question, history=history, filter=filter)
            try:
                for event in events:
                    if isinstance(event, Finished):
                        return event.answer
                    if self._stop.is_set():
                        return None
                    if self._answers.busy and n_put_off < _PUT_OFF_AT_MOST:
                        break
            finally:
                close = getattr(events, "close", None)
                if close:
                    close()
        return None

    def _wait(self) -> None:
        """Wait until nobody is answered, for as long as patience lasts."""
        until = time.monotonic() + self._patience
        while not self._stop.is_set() and time.monotonic() < until:
            if self._answers.wait_idle(_LOOK_SECONDS):
                return
