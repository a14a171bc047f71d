"""An ingest steps aside while questions are answered: it goes on, but for a share of the time only."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Event
from typing import Protocol

# Of the time while answers are written, so that an ingest ends even under questions that never do.
SHARE = 0.2
# What lies between two pauses counts for no more than this: much of it was not work.
MAX_STEP_SECONDS = 1.0
_LOOK_SECONDS = 0.1  # how soon a stop is seen


class Busy(Protocol):
    """What tells whether answers are written; :class:`app.admission.Admission` does."""

    @property
    def busy(self) -> bool:
        """Whether an answer is being written."""

    def wait_idle(self, seconds: float) -> bool:
        """Wait until no answer is being written, at most so long; return whether none is."""


class StepAside:
    """A :class:`core.interfaces.Pace` that rests after each step of work, for as long as answers are written at most.

    Args:
        answers: What tells whether answers are written.
        share: Of the time, for the work.
        clock: Returns seconds.
    """

    def __init__(self, answers: Busy, *, share: float = SHARE, clock: Callable[[], float] = time.monotonic) -> None:
        self._answers, self._share, self._clock = answers, share, clock
        self._resumed = clock()

    @property
    def hurried(self) -> bool:
        """Whether work is to be done in small steps."""
        return self._answers.busy

    def pause(self, stop: Event) -> None:
        """Return when the next step may be done: at once where nobody is answered, or when ``stop`` is set."""
        worked = min(self._clock() - self._resumed, MAX_STEP_SECONDS)
        until = self._clock() + worked * (1 - self._share) / self._share
        while not stop.is_set() and (left := until - self._clock()) > 0:
            if self._answers.wait_idle(min(left, _LOOK_SECONDS)):
                break
        self._resumed = self._clock()
