"""State that one thread changes and others watch: an answer as it is written, an ingest as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from threading import Condition
from typing import Generic, TypeVar

State = TypeVar("State")


class Live(Generic[State]):
    """A frozen record that is replaced as a whole; watchers see the newest, not every one."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._version = 0
        self._ended = False
        self._changed = Condition()

    @property
    def state(self) -> State:
        """The newest state."""
        with self._changed:
            return self._state

    @property
    def ended(self) -> bool:
        """Whether the state is the last one."""
        with self._changed:
            return self._ended

    def put(self, state: State, *, last: bool = False) -> bool:
        """Replace the state; False, and nothing changes, once the last one was put."""
        with self._changed:
            if self._ended:
                return False
            self._state, self._ended = state, last
            self._version += 1
            self._changed.notify_all()
            return True

    def nudge(self) -> None:
        """Let those who watch see whether they are still wanted."""
        with self._changed:
            self._changed.notify_all()

    def watch(self, *, pause_seconds: float = 0.06, wanted: Callable[[], bool] = lambda: True) -> Iterator[State]:
        """Yield the state now and after changes, until the last one; at most one a ``pause_seconds``.

        Ends too when it is no longer ``wanted``, which is asked at each change and at each :meth:`nudge`.
        """
        seen = -1
        while True:
            with self._changed:
                while self._version == seen and wanted():
                    self._changed.wait()
                if not wanted():
                    return
                seen, state, ended = self._version, self._state, self._ended
            yield state
            if ended:
                return
            time.sleep(pause_seconds)
