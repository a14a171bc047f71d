"""Who is answered next: so many answers at once, the others in line, fairly between persons.

The next answer is for the person who was answered longest ago, and of their questions for the one asked first. Who
floods the line is thereby served once for each time that everybody else who waits is, and delays nobody by more than
one answer.
"""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Callable, Iterator
from threading import Condition

from core.errors import TooBusy, TooManyWaiting

MOST_AT_ONCE = 4
MAX_REMEMBERED = 1000
# How much the newest answer weighs in the mean of how long answers take, and what is taken for it before the first.
_NEWEST_WEIGHS = 0.2
_FIRST_GUESS_SECONDS = 5.0


def default_at_once(n_cores: int | None = None) -> int:
    """Return how many answers suit this machine: one on two cores or fewer, else one for two cores, at most 4."""
    if n_cores is None:
        known = hasattr(os, "sched_getaffinity")
        n_cores = len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1
    return max(1, min(MOST_AT_ONCE, n_cores // 2))


class Place:
    """A question's place: in line, then among the answers that run, until it is left."""

    def __init__(self, admission: Admission, owner: str, number: int) -> None:
        self._admission = admission
        self.owner, self.number = owner, number
        self.ahead = 0
        self.admitted_at: float | None = None
        self.left = False

    @property
    def admitted(self) -> bool:
        """Whether the answer may be, or was, written."""
        return self.admitted_at is not None

    def wait(self) -> Iterator[int]:
        """Yield the place in line, 1 for the next, at first and when it changes, until the answer may be written.

        Ends without that when the place is left meanwhile; :attr:`left` tells.
        """
        return self._admission._wait(self)

    def leave(self) -> None:
        """Give the place free, whether the answer was written or not; a second call does nothing."""
        self._admission._leave(self)


class Admission:
    """The line before the models.

    Args:
        at_once: Answers written at the same time; 0: :func:`default_at_once`.
        waiting: Questions that may wait, of all persons.
        waiting_per_person: Questions that may wait of one person, beside the one that is answered.
        clock: Returns seconds.
    """

    def __init__(
        self,
        *,
        at_once: int = 0,
        waiting: int = 64,
        waiting_per_person: int = 3,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.at_once = at_once or default_at_once()
        self._most, self._most_per_person = waiting, waiting_per_person
        self._clock = clock
        self._changed = Condition()
        self._waiting: dict[str, list[Place]] = {}
        self._running: dict[str, Place] = {}
        self._served: dict[str, int] = {}  # owner -> number of their latest answer; who has none comes first
        self._n_entered = self._n_served = 0
        self._mean_seconds = _FIRST_GUESS_SECONDS

    @property
    def busy(self) -> bool:
        """Whether an answer is being written."""
        with self._changed:
            return bool(self._running)

    @property
    def n_waiting(self) -> int:
        """Questions in line."""
        with self._changed:
            return self._count()

    def enter(self, owner: str) -> Place:
        """Take a place for a question of this person.

        Raises:
            TooManyWaiting: The person has as many questions in line as one may have.
            TooBusy: The line is full.
        """
        with self._changed:
            own = self._waiting.get(owner, [])
            waits = owner in self._running or len(self._running) >= self.at_once
            if waits and len(own) >= self._most_per_person:
                raise self._too_many(own)
            if waits and self._count() >= self._most:
                raise self._too_busy()
            self._n_entered += 1
            place = Place(self, owner, self._n_entered)
            self._waiting.setdefault(owner, []).append(place)
            self._move()
            return place

    def wait_idle(self, seconds: float) -> bool:
        """Wait until no answer is being written, at most so long; return whether none is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._running, timeout=seconds)

    def _wait(self, place: Place) -> Iterator[int]:
        shown = 0
        while True:
            with self._changed:
                while not (place.admitted or place.left) and place.ahead == shown:
                    self._changed.wait()
                if place.admitted or place.left:
                    return
                shown = place.ahead
            yield shown

    def _leave(self, place: Place) -> None:
        with self._changed:
            if place.left:
                return
            place.left = True
            if place.admitted_at is None:
                own = self._waiting[place.owner]
                own.remove(place)
                if not own:
                    del self._waiting[place.owner]
            else:
                del self._running[place.owner]
                took = self._clock() - place.admitted_at
                self._mean_seconds += _NEWEST_WEIGHS * (took - self._mean_seconds)
            self._move()

    def _move(self) -> None:
        """Admit whom there is room for, and tell the others their places."""
        while len(self._running) < self.at_once:
            free = [owner for owner in self._waiting if owner not in self._running]
            if not free:
                break
            self._admit(min(free, key=self._rank))
        for ahead, place in enumerate(self._in_order(), start=1):
            place.ahead = ahead
        self._changed.notify_all()

    def _admit(self, owner: str) -> None:
        own = self._waiting[owner]
        place = own.pop(0)
        if not own:
            del self._waiting[owner]
        place.ahead, place.admitted_at = 0, self._clock()
        self._running[owner] = place
        self._n_served += 1
        self._served.pop(owner, None)
        self._served[owner] = self._n_served
        if len(self._served) > MAX_REMEMBERED:
            del self._served[next(iter(self._served))]

    def _rank(self, owner: str) -> tuple[int, int]:
        return self._served.get(owner, 0), self._waiting[owner][0].number

    def _in_order(self) -> Iterator[Place]:
        """Yield who waits, in the order in which they will be admitted if nobody comes or leaves."""
        heap = [(*self._rank(owner), owner, 0) for owner in self._waiting]
        heapq.heapify(heap)
        n_served = self._n_served
        while heap:
            _, _, owner, index = heapq.heappop(heap)
            own = self._waiting[owner]
            yield own[index]
            n_served += 1
            if index + 1 < len(own):
                heapq.heappush(heap, (n_served, own[index + 1].number, owner, index + 1))

    def _count(self) -> int:
        return sum(map(len, self._waiting.values()))

    def _seconds_for(self, n_answers: int) -> float:
        """Return how long so many answers are likely to take, in whole seconds."""
        return float(max(1, round(self._mean_seconds * n_answers / self.at_once)))

    def _too_many(self, own: list[Place]) -> TooManyWaiting:
        seconds = self._seconds_for(own[0].ahead if own else 1)
        return TooManyWaiting(
            f"you have {len(own)} questions in line, which is as many as may wait",
            remedy=f"Wait for an answer, about {seconds:.0f} s, or stop one of them",
            retry_after_seconds=seconds,
        )

    def _too_busy(self) -> TooBusy:
        seconds = self._seconds_for(1)
        return TooBusy(
            f"{self._count()} questions are in line, which is as many as may wait",
            remedy=f"Try again in about {seconds:.0f} s",
            retry_after_seconds=seconds,
        )
