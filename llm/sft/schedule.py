"""How far a run is, by steps or by the clock, and the learning rate there."""

from __future__ import annotations

import math
from dataclasses import dataclass

_LEAST = 0.05  # share of the highest rate that a step has at least while the rate rises


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The shape of a run: ``n_steps`` in all (0: no end) and ``seconds`` in all (0: no end)."""

    n_steps: int
    seconds: float
    learning_rate: float
    warm_up: float

    def progress(self, *, step: int, seconds: float) -> float:
        """Return how much of the run is done, in [0, 1]: by whichever ends it first."""
        by_steps = step / self.n_steps if self.n_steps else 0.0
        by_clock = seconds / self.seconds if self.seconds else 0.0
        return min(1.0, max(by_steps, by_clock))

    def rate(self, *, step: int, seconds: float) -> float:
        """Return the learning rate of step number ``step``, from 0: a linear rise, then half a cosine."""
        pace = seconds / step if step else 0.0
        done = self.progress(step=step + 1, seconds=seconds + pace)
        if done < self.warm_up:
            return self.learning_rate * max(done / self.warm_up, _LEAST)  # by the clock nothing is done at first
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * (done - self.warm_up) / (1 - self.warm_up)))
