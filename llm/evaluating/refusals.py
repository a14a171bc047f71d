"""What it costs to refuse, by how sure a system must be before it answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A question as it was decided: how sure the system was, whether the documents answer, whether it said so rightly.

    ``right`` is None where it refused, for then nothing was said that could be judged.
    """

    confidence: float
    answerable: bool
    right: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskPoint:
    """Answering only where confidence is at least ``threshold``: the share answered, and of those the share wrong."""

    threshold: float
    coverage: float
    risk: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeOff:
    """Refusing below ``threshold``: the share of the unanswerable and of the answerable that is refused."""

    threshold: float
    unanswerable_refused: float
    answerable_refused: float


def risk_coverage(judged: Sequence[Judged]) -> list[RiskPoint]:
    """Return the risk-coverage curve (El-Yaniv and Wiener 2010), surest first, one point for each confidence met.

    It ends where the system itself began to refuse: coverage counts what was refused, risk does not.
    """
    answered = sorted((j for j in judged if j.right is not None), key=lambda j: -j.confidence)
    points: list[RiskPoint] = []
    n_wrong = 0
    for n, one in enumerate(answered, 1):
        n_wrong += not one.right
        point = RiskPoint(threshold=one.confidence, coverage=n / len(judged), risk=n_wrong / n)
        if points and points[-1].threshold == one.confidence:
            points[-1] = point
        else:
            points.append(point)
    return points


def area_under(points: Sequence[RiskPoint]) -> float:
    """Return the mean risk over the coverage that the curve spans, by trapezia; 0 for no points."""
    if len(points) < 2:
        return points[0].risk if points else 0.0
    area = sum((b.coverage - a.coverage) * (a.risk + b.risk) / 2 for a, b in pairwise(points))
    return area / (points[-1].coverage - points[0].coverage)


def trade_offs(judged: Sequence[Judged], thresholds: Sequence[float]) -> list[TradeOff]:
    """Return what each threshold would refuse; nothing unless there are both kinds of question."""
    unanswerable = [j.confidence for j in judged if not j.answerable]
    answerable = [j.confidence for j in judged if j.answerable]
    if not unanswerable or not answerable:
        return []
    return [
        TradeOff(
            threshold=t,
            unanswerable_refused=sum(c < t for c in unanswerable) / len(unanswerable),
            answerable_refused=sum(c < t for c in answerable) / len(answerable),
        )
        for t in thresholds
    ]


def separation(judged: Sequence[Judged]) -> float | None:
    """Return the probability that an answerable question has more confidence than an unanswerable one (AUROC).

    Ties count half; None unless there are both kinds.
    """
    ranked = sorted(judged, key=lambda j: j.confidence)
    n_answerable = sum(j.answerable for j in ranked)
    n_unanswerable = len(ranked) - n_answerable
    if not n_answerable or not n_unanswerable:
        return None
    ranks: dict[float, list[int]] = {}
    for rank, one in enumerate(ranked, 1):
        ranks.setdefault(one.confidence, []).append(rank)
    total = sum(sum(ranks[j.confidence]) / len(ranks[j.confidence]) for j in ranked if j.answerable)
    return (total - n_answerable * (n_answerable + 1) / 2) / (n_answerable * n_unanswerable)
