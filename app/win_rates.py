"""Who wins a blind comparison, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from llm.evaluating.figures import Array, bootstrap

Choice = Literal["first", "second", "same", "both_bad"]
CHOICES: tuple[Choice, ...] = ("first", "second", "same", "both_bad")
_Z = 1.959964  # the standard normal's 97.5th percentile


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What a rater chose for a question; ``rater`` and ``place`` are numbers."""

    rater: int
    place: int
    choice: Choice


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRate:
    """The share of decided votes that a side won, with its 95% interval; without votes it may be anything."""

    wins: int
    rate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What the votes of a trial come to; ``n_decided`` are those that found one side better."""

    n_votes: int
    n_raters: int
    n_questions: int
    n_decided: int
    same: int
    both_bad: int
    first: WinRate
    second: WinRate


def tally(votes: Sequence[Vote]) -> Tally:
    """Count votes.

    The interval is Wilson's (1927) over the decided votes. Votes of several raters on one question are not
    independent, so that it is widened to that of the bootstrap over questions where this is wider.
    """
    counts = {choice: sum(vote.choice == choice for vote in votes) for choice in CHOICES}
    n_decided = counts["first"] + counts["second"]
    low, high = wilson(counts["first"], n_decided)
    by_question = _by_question(votes)
    if len(by_question) > 1:
        over_questions = bootstrap(by_question, _share_of_first)
        low, high = min(low, over_questions[0]), max(high, over_questions[1])
    rate = counts["first"] / n_decided if n_decided else 0.5
    return Tally(
        n_votes=len(votes),
        n_raters=len({vote.rater for vote in votes}),
        n_questions=len({vote.place for vote in votes}),
        n_decided=n_decided,
        same=counts["same"],
        both_bad=counts["both_bad"],
        first=WinRate(wins=counts["first"], rate=rate, low=low, high=high),
        second=WinRate(wins=counts["second"], rate=1 - rate, low=1 - high, high=1 - low),
    )


def wilson(wins: int, n: int) -> tuple[float, float]:
    """Return the 95% interval of a share of ``wins`` in ``n`` (Wilson 1927); (0, 1) where n is 0."""
    if not n:
        return 0.0, 1.0
    share, z2 = wins / n, _Z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    reach = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - reach), min(1.0, middle + reach)


def _by_question(votes: Sequence[Vote]) -> list[tuple[int, int]]:
    """Return (won by the first, won by the second) of each question on which a vote decided."""
    won: dict[int, list[int]] = {}
    for vote in votes:
        if vote.choice in ("first", "second"):
            won.setdefault(vote.place, [0, 0])[vote.choice == "second"] += 1
    return [(first, second) for first, second in won.values()]


def _share_of_first(drawn: Array) -> Array:
    """Map float64 (rounds, questions, 2) to the share of the first side's wins, (rounds,)."""
    sums = drawn.sum(axis=1)
    return np.asarray(sums[:, 0] / sums.sum(axis=1))
