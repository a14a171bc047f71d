"""A question and its answer: how they stand, how they are written beside the pages that watch, and how they end.

A turn runs in its own thread and is watched by as many pages as like, so that a reload finds the answer where it
was. It waits in line until it may be answered, and is stopped when nobody watches it. Closing the stream, which frees
the model, is done by the thread that reads it, and only then is its place given to the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Event as Flag
from threading import Lock, Thread
from typing import Literal

from app.admission import Place
from app.live import Live
from core.errors import CitadelError
from core.records import Answer, Event, Finished, Hit, Retrieved, SearchFilter, Token

# More pages than this do not watch one turn: each holds a thread.
MAX_WATCHERS = 8
# How long a turn that has begun may be without its first watcher: who asked it has first to see it kept.
FIRST_WATCHER_SECONDS = 5.0
# A page that comes back this soon after its answer was stopped for want of watchers has it written again.
RESUME_SECONDS = 60.0
# So does one that finds its answer cut off by the end of a server. This counts from when the question was first asked:
# a question that brings the server down is not asked for ever.
RESUME_ASKED_SECONDS = 180.0

Stage = Literal["waiting", "searching", "reading", "writing", "finished", "stopped", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnState:
    """A turn as it stands: ``text`` is what was written so far, ``answer`` the checked whole once finished.

    ``scope`` names the collections that were asked, none for all. ``place`` is the one in line while it waits, 1 for
    the next. ``unwatched`` tells that it was stopped because nobody watched, ``cut_off`` that the server ended before
    it had. ``asked`` is when it was asked first, in seconds since the epoch.
    """

    id: str
    question: str
    scope: tuple[str, ...] = ()
    stage: Stage = "searching"
    place: int = 0
    hits: tuple[Hit, ...] = ()
    text: str = ""
    answer: Answer | None = None
    error: CitadelError | None = None
    unwatched: bool = False
    cut_off: bool = False
    asked: float = 0.0

    @property
    def running(self) -> bool:
        """Whether more is to come."""
        return self.stage in ("waiting", "searching", "reading", "writing")


def after(state: TurnState, event: Event) -> TurnState:
    """Return the state of a turn after an event."""
    match event:
        case Retrieved(hits=hits):
            return replace(state, stage="reading", hits=hits)
        case Token(text=""):  # the model reads its prompt
            return state
        case Token(text=text):
            return replace(state, stage="writing", text=state.text + text)
        case Finished(answer=answer):
            return replace(state, stage="finished", text=answer.text, hits=answer.hits, answer=answer)


class _Watcher:
    __slots__ = ("dismissed", "is_there")

    def __init__(self, is_there: Callable[[], bool]) -> None:
        self.is_there, self.dismissed = is_there, False


class Turn:
    """A question and its answer, written in a thread of its own.

    Args:
        state: The question, or a turn that has ended.
        filter: Where the answer is looked for; None: in the collections that the state names.
        place: Its place in line; None: it is answered at once.
        on_end: Called once with the last state, by the thread that brought it about.
    """

    def __init__(
        self,
        state: TurnState,
        *,
        filter: SearchFilter | None = None,
        place: Place | None = None,
        on_end: Callable[[TurnState], None] = lambda state: None,
    ) -> None:
        self.filter = filter or SearchFilter(collections=state.scope)
        self._live = Live(state)
        self._on_end = on_end
        self._stopped = Flag()
        self._place = place
        self._watchers: list[_Watcher] = []
        self._lock = Lock()
        self._expected_until = time.monotonic() + FIRST_WATCHER_SECONDS
        self._abandoned_at: float | None = None

    @property
    def state(self) -> TurnState:
        """The turn as it stands."""
        return self._live.state

    @property
    def ended(self) -> bool:
        """Whether nothing more is to come."""
        return not self.state.running

    @property
    def may_resume(self) -> bool:
        """Whether it was stopped only just now, and only because nobody watched or the server ended."""
        if self.state.cut_off:
            return 0 <= time.time() - self.state.asked < RESUME_ASKED_SECONDS
        return self._abandoned_at is not None and time.monotonic() - self._abandoned_at < RESUME_SECONDS

    # --- watching --------------------------------------------------------------------------------------------------

    def watch(self) -> Iterator[TurnState]:
        """Yield the turn as it grows, until it ends."""
        with self.watching() as states:
            yield from states

    @contextmanager
    def watching(self, is_there: Callable[[], bool] = lambda: True) -> Iterator[Iterator[TurnState]]:
        """Give the states of the turn, for as long as the one who watches ``is_there``; the eldest of too many goes."""
        watcher = _Watcher(is_there)
        with self._lock:
            self._watchers.append(watcher)
            self._expected_until = 0.0
            for eldest in self._watchers[:-MAX_WATCHERS]:
                eldest.dismissed = True
        self._live.nudge()
        try:
            yield self._live.watch(wanted=lambda: not watcher.dismissed)
        finally:
            with self._lock:
                self._watchers.remove(watcher)

    def glimpses(self, *, pause_seconds: float) -> Iterator[TurnState]:
        """Yield the turn now and then until it ends, to one who does not count as watching."""
        return self._live.watch(pause_seconds=pause_seconds)

    def is_watched(self) -> bool:
        """Return whether anybody is there, or will be in a moment; who is not is let go."""
        with self._lock:
            if time.monotonic() < self._expected_until:
                return True
            there = [watcher for watcher in self._watchers if watcher.is_there()]
            gone = [watcher for watcher in self._watchers if watcher not in there and not watcher.dismissed]
            for watcher in gone:
                watcher.dismissed = True
        if gone:
            self._live.nudge()
        return bool(there)

    # --- running ---------------------------------------------------------------------------------------------------

    def start(self, open_stream: Callable[[], Iterator[Event]]) -> None:
        """Begin to answer, as soon as the place in line allows; errors become the turn's state."""
        Thread(target=self._run, args=(open_stream,), name="turn", daemon=True).start()

    def stop(self) -> None:
        """End the turn at once for those who watch; the model stops at its next piece of text."""
        self._stop(unwatched=False)

    def abandon(self) -> None:
        """Stop, because nobody watches; what was written so far stays."""
        self._abandoned_at = time.monotonic()
        self._stop(unwatched=True)

    def _stop(self, *, unwatched: bool) -> None:
        self._stopped.set()
        place = self._place
        if place is not None and not place.admitted:
            place.leave()
        self._end(replace(self.state, stage="stopped", place=0, unwatched=unwatched))

    def _run(self, open_stream: Callable[[], Iterator[Event]]) -> None:
        try:
            if self._admitted():
                self._read(open_stream())
        except CitadelError as error:
            self._end(replace(self.state, stage="failed", error=error))
        finally:  # whatever else went wrong is in the log; nobody may wait for ever
            if self._place is not None:
                self._place.leave()
            unforeseen = CitadelError("something went wrong", remedy="Try again; the server's log says more")
            self._end(replace(self.state, stage="failed", error=unforeseen))

    def _admitted(self) -> bool:
        if self._place is None:
            return True
        for place in self._place.wait():
            self._live.put(replace(self.state, stage="waiting", place=place))
        if self._place.left:
            return False
        self._live.put(replace(self.state, stage="searching", place=0))
        return not self._stopped.is_set()

    def _read(self, stream: Iterator[Event]) -> None:
        try:
            for event in stream:
                if self._stopped.is_set():
                    return
                state = after(self.state, event)
                if state.running:
                    self._live.put(state)
                else:
                    self._end(state)
        finally:
            close = getattr(stream, "close", None)
            if close:
                close()

    def _end(self, state: TurnState) -> None:
        if self._live.put(state, last=True):
            self._on_end(state)
