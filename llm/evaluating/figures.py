"""Figures: means with their number of cases and bootstrap interval, and whether two differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import quantiles

import numpy as np
import numpy.typing as npt

BOOTSTRAP_ROUNDS = 2000
_ROUNDS_AT_ONCE = 100  # of n cases each, so that ten thousand cases take a few MB
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A mean with its number of cases and 95% interval."""

    value: float
    n: int
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """Return the figure rounded to what its interval can tell."""
        return {"value": round(self.value, 4), "n": self.n, "low": round(self.low, 4), "high": round(self.high, 4)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How two systems differ on the same cases: the mean of second minus first, with its interval and significance.

    ``p`` is the two-sided probability of so large a difference were the two alike. Wins are the second's.
    """

    first: float
    second: float
    mean: float
    low: float
    high: float
    p: float
    n: int
    wins: int
    losses: int

    def to_json(self) -> dict[str, float]:
        """Return the difference rounded."""
        names = ("first", "second", "mean", "low", "high", "p")
        rounded = {name: round(getattr(self, name), 4) for name in names}
        return {**rounded, "n": self.n, "wins": self.wins, "losses": self.losses}


def figure(values: Sequence[float], *, seed: int = 0) -> Figure:
    """Return the mean of ``values`` with its 95% percentile bootstrap interval (Efron 1979).

    Raises:
        ValueError: There are no values.
    """
    if not values:
        raise ValueError("no values, no figure")
    sample = np.asarray(values, np.float64)
    low, high = bootstrap(sample, _mean, seed=seed)
    return Figure(value=float(sample.mean()), n=len(values), low=low, high=high)


def difference(first: Sequence[float], second: Sequence[float], *, seed: int = 0) -> Difference:
    """Return how ``second`` differs from ``first``, which scored the same cases in the same order.

    The interval is that of the paired bootstrap, the cases being drawn; ``p`` that of the exact McNemar test where
    every score is 0 or 1, else of a sign-flip permutation test.

    Raises:
        ValueError: There are no values, or not as many of each.
    """
    before, after = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if not len(before) or len(before) != len(after):
        raise ValueError(f"pairs are wanted, got {len(before)} and {len(after)} values")
    deltas = after - before
    low, high = bootstrap(deltas, _mean, seed=seed)
    wins, losses = int((deltas > 0).sum()), int((deltas < 0).sum())
    binary = bool(np.isin(before, (0, 1)).all() and np.isin(after, (0, 1)).all())
    return Difference(
        first=float(before.mean()),
        second=float(after.mean()),
        mean=float(deltas.mean()),
        low=low,
        high=high,
        p=_mcnemar(wins, losses) if binary else _sign_flips(deltas, seed),
        n=len(deltas),
        wins=wins,
        losses=losses,
    )


def bootstrap(rows: npt.ArrayLike, statistic: Callable[[Array], Array], *, seed: int = 0) -> tuple[float, float]:
    """Return the 95% percentile interval of a statistic of rows (Efron 1979).

    Args:
        rows: (n,) or (n, columns), one case a row.
        statistic: Maps float64 (rounds, n) or (rounds, n, columns) to (rounds,).
        seed: The same one draws the same cases.
    """
    values = np.asarray(rows, np.float64)
    chosen = np.random.default_rng(seed)
    n = len(values)
    drawn = [
        statistic(values[chosen.integers(n, size=(_ROUNDS_AT_ONCE, n))])
        for _ in range(BOOTSTRAP_ROUNDS // _ROUNDS_AT_ONCE)
    ]
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    return float(low), float(high)


def _mean(drawn: Array) -> Array:
    return np.asarray(drawn.mean(axis=-1))


def _mcnemar(wins: int, losses: int) -> float:
    """Return the exact two-sided p of McNemar 1947: of cases that differ, either way is as likely."""
    n = wins + losses
    as_uneven = sum(math.comb(n, k) for k in range(min(wins, losses) + 1))
    return float(min(1.0, 2 * as_uneven / 2**n))


def _sign_flips(deltas: Array, seed: int) -> float:
    """Return the two-sided p of Fisher's randomization test, with the observed one counted in."""
    chosen = np.random.default_rng(seed)
    moved = deltas[deltas != 0]
    observed = abs(moved.sum()) - 1e-12
    n_as_large = 1
    for _ in range(BOOTSTRAP_ROUNDS // _ROUNDS_AT_ONCE):
        signs = chosen.choice([-1.0, 1.0], size=(_ROUNDS_AT_ONCE, len(moved)))
        n_as_large += int((np.abs((signs * moved).sum(axis=1)) >= observed).sum())
    return n_as_large / (BOOTSTRAP_ROUNDS + 1)


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the 50th and 95th percentile; zeros for no values."""
    if len(values) < 2:
        return (values[0], values[0]) if values else (0.0, 0.0)
    cuts = quantiles(values, n=20, method="inclusive")
    return cuts[9], cuts[18]
