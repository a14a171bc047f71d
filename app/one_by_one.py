"""Work of this server that is done one piece after another, in a thread that starts with the first."""

from __future__ import annotations

import logging
import time
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Generic, Protocol, TypeVar

log = logging.getLogger(__name__)


class _State(Protocol):
    @property
    def running(self) -> bool: ...


class Work(Protocol):
    """A piece of work: ``state.running`` until it has ended, also while it waits."""

    @property
    def state(self) -> _State:
        """The work as it stands."""

    def run(self) -> None:
        """Do it; whatever happens becomes the state."""

    def cancel(self) -> None:
        """End it soon."""


W = TypeVar("W", bound=Work)


class OneByOne(Generic[W]):
    """A queue of work; the newest ``kept`` pieces can be asked for when they have ended."""

    def __init__(self, *, name: str, kept: int) -> None:
        self._name, self._kept = name, kept
        self._queue: SimpleQueue[W] = SimpleQueue()
        self._pieces: list[W] = []
        self._lock = Lock()
        self._worker: Thread | None = None

    @property
    def pieces(self) -> list[W]:
        """What was queued, oldest first."""
        with self._lock:
            return list(self._pieces)

    def put(self, piece: W) -> W:
        """Queue a piece of work and return it."""
        with self._lock:
            self._pieces = [*self._pieces[1 - self._kept :], piece]
            self._queue.put(piece)
            if self._worker is None or not self._worker.is_alive():
                self._worker = Thread(target=self._work, name=self._name, daemon=True)
                self._worker.start()
        return piece

    def close(self, *, patience_seconds: float = 5.0) -> None:
        """Cancel what runs or waits, and wait for it a while."""
        with self._lock:
            pieces, self._pieces = self._pieces, []
        for piece in pieces:
            if piece.state.running:
                piece.cancel()
        until = time.monotonic() + patience_seconds
        while any(piece.state.running for piece in pieces) and time.monotonic() < until:
            time.sleep(0.05)

    def _work(self) -> None:
        while True:
            try:
                self._queue.get().run()
            except Exception:  # whatever it is, what waits behind it must not wait for ever
                log.exception("%s: a piece of work failed", self._name)
