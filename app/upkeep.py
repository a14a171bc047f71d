"""Work on the store that may take long, in the background: checking it, building its indexes again, scrubbing it."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from threading import Lock, Thread
from typing import TYPE_CHECKING, Literal

from app.people.database import People
from core.errors import AlreadyRunning, CitadelError

if TYPE_CHECKING:
    from app.knowledge_base import KnowledgeBase
    from indexes.checking import Problem

log = logging.getLogger(__name__)

Kind = Literal["verify", "rebuild", "purge"]
KINDS: tuple[Kind, ...] = ("verify", "rebuild", "purge")


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepState:
    """A piece of work as it stands.

    ``done`` of ``total`` documents were looked at, both 0 where that cannot be told; ``problems`` are what a check
    found, ``n_chunks`` what the indexes hold, ``freed_bytes`` how much smaller the files became.
    """

    kind: Kind
    started: float
    running: bool = True
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    problems: tuple[Problem, ...] = ()
    n_chunks: int = 0
    freed_bytes: int = 0
    error: CitadelError | None = None


class Upkeep:
    """One piece of work at a time; what each kind came to last is kept until the server ends."""

    def __init__(self, knowledge_base: KnowledgeBase, people: People) -> None:
        self._kb, self._people = knowledge_base, people
        self._states: dict[Kind, UpkeepState] = {}
        self._lock = Lock()
        self._worker: Thread | None = None

    def states(self) -> dict[Kind, UpkeepState]:
        """Return what each kind came to last, or how far it is."""
        with self._lock:
            return dict(self._states)

    @property
    def running(self) -> bool:
        """Whether something is being done."""
        return any(state.running for state in self.states().values())

    def start(self, kind: Kind) -> None:
        """Begin a piece of work.

        Raises:
            AlreadyRunning: Another is being done.
        """
        with self._lock:
            if any(state.running for state in self._states.values()):
                raise AlreadyRunning("the store is being worked on", remedy="Wait until that has ended")
            self._states[kind] = UpkeepState(kind=kind, started=time.time())
        self._worker = Thread(target=self._work, args=(kind,), name="upkeep", daemon=True)
        self._worker.start()

    def wait(self, seconds: float) -> None:
        """Wait for what is being done."""
        if self._worker is not None:
            self._worker.join(seconds)

    def _work(self, kind: Kind) -> None:
        started = time.monotonic()
        error: CitadelError | None = CitadelError("something went wrong", remedy="The server's log says more")
        try:
            {"verify": self._verify, "rebuild": self._rebuild, "purge": self._purge}[kind]()
            error = None
        except CitadelError as known:
            error = known
        finally:  # whatever else went wrong is in the log; nobody may wait for ever
            self._put(kind, running=False, error=error, seconds=time.monotonic() - started)

    def _verify(self) -> None:
        found = self._kb.verify(on_progress=lambda done, total: self._put("verify", done=done, total=total))
        self._put("verify", problems=tuple(found))

    def _rebuild(self) -> None:
        self._put("rebuild", n_chunks=self._kb.rebuild())

    def _purge(self) -> None:
        before = self._size_bytes()
        self._kb.purge()
        self._people.scrub()
        self._put("purge", freed_bytes=max(0, before - self._size_bytes()))

    def _size_bytes(self) -> int:
        folder = self._kb.settings.data_dir
        return sum(path.stat().st_size for path in folder.glob("*.db*") if path.is_file())

    def _put(self, kind: Kind, **changes: object) -> None:
        with self._lock:
            self._states[kind] = replace(self._states[kind], **changes)  # type: ignore[arg-type]
