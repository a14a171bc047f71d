"""Figures of outcomes by set, and their report as lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from app.cases import Case
from app.evaluation import (
    CONTAINED,
    FALSE_REFUSAL,
    FIRST_RIGHT,
    REFUSED,
    RIGHT,
    RIGHT_CITED,
    RIGHTLY,
    SOURCE_FOUND,
    Outcome,
)
from llm.evaluating.figures import Figure, figure, percentiles
from llm.evaluating.refusals import Judged

EVERYTHING = "all"
_NAMELESS = "other"
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Figures by name of one group of outcomes, with the 50th and 95th percentile of its times in ms."""

    group: str
    n: int
    figures: dict[str, Figure]
    first_token_ms: tuple[float, float]
    total_ms: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON values."""
        return {
            "n": self.n,
            "figures": {name: value.to_json() for name, value in self.figures.items()},
            "first_token_ms": _percentiles_to_json(self.first_token_ms),
            "total_ms": _percentiles_to_json(self.total_ms),
        }


def _percentiles_to_json(pair: tuple[float, float]) -> dict[str, int]:
    return {"p50": round(pair[0]), "p95": round(pair[1])}


def by_set(items: Sequence[T], case_of: Callable[[T], Case]) -> dict[str, list[T]]:
    """Return the groups of which figures are shown: all, each set and each language, where there are several."""
    groups = {EVERYTHING: list(items)}
    for field in ("set_name", "language"):
        members: dict[str, list[T]] = {}
        for item in items:
            members.setdefault(getattr(case_of(item), field) or _NAMELESS, []).append(item)
        if len(members) > 1:
            groups |= members
    return groups


def summaries(outcomes: Sequence[Outcome]) -> list[Summary]:
    """Return the summary of each group of :func:`by_set`."""
    return [summary(group, members) for group, members in by_set(outcomes, lambda o: o.case).items()]


def summary(group: str, outcomes: Sequence[Outcome]) -> Summary:
    """Return the figures of one group; each over the cases to which it applies."""
    values: dict[str, list[float]] = {}
    for outcome in outcomes:
        for name, value in outcome.scores.items():
            values.setdefault(name, []).append(value)
    return Summary(
        group=group,
        n=len(outcomes),
        figures={name: figure(scored) for name, scored in values.items()},
        first_token_ms=percentiles([o.timing("first_token_ms") for o in outcomes]),
        total_ms=percentiles([o.timing("total_ms") for o in outcomes]),
    )


def results_to_json(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the figures by group, and every case with its scores and answer."""
    groups = summaries(outcomes)
    whole = groups[0].to_json()
    return {
        "figures": {one.group: one.to_json()["figures"] for one in groups},
        "first_token_ms": whole["first_token_ms"],
        "total_ms": whole["total_ms"],
        "cases": [outcome.to_json() for outcome in outcomes],
    }


def summary_lines(summary: Summary) -> Iterator[str]:
    """Yield a summary as lines of text."""
    yield f"{summary.group}  n={summary.n}"
    for name, f in summary.figures.items():
        yield f"  {name:<40} {f.value:6.1%}  n={f.n:<5} [{f.low:.1%}, {f.high:.1%}]"
    for name, (p50, p95) in (("first text", summary.first_token_ms), ("whole answer", summary.total_ms)):
        yield f"  {name:<40} p50 {p50:.0f} ms, p95 {p95:.0f} ms"


def failure_lines(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield each case that went wrong, and how."""
    for outcome in outcomes:
        if wrong := faults(outcome):
            case = outcome.case
            yield f"\n{case.set_name} {case.id}: {', '.join(wrong)}\n  {case.question}"
            yield f"  wanted {case.answers} in {case.sources}"
            yield f"  got {'a refusal' if outcome.abstained else repr(outcome.answer['answer'])}"
            yield "  from " + ", ".join(f"{hit['source']}#{hit['page']}" for hit in outcome.answer["hits"])


def judged(outcomes: Sequence[Outcome]) -> list[Judged]:
    """Return the outcomes that have a confidence, for the curves of refusing.

    An answer that cannot be judged counts as right where the documents hold one.
    """
    return [
        Judged(
            confidence=o.confidence,
            answerable=o.case.answerable,
            right=None if o.abstained else bool(o.scores.get(RIGHTLY, o.case.answerable)),
        )
        for o in outcomes
        if o.confidence is not None
    ]


def faults(outcome: Outcome) -> list[str]:
    """Return what went wrong with a case, in words; nothing when all is right."""
    scores = outcome.scores
    if not outcome.case.answerable:
        return [] if scores[REFUSED] else ["should have refused"]
    wrong = ["source not found"] if scores.get(SOURCE_FOUND) == 0 else []
    if scores[FALSE_REFUSAL]:
        wrong.append("refused")
    elif scores.get(RIGHT) == 0 and scores.get(CONTAINED) == 0:
        wrong.append("wrong answer")
    elif scores.get(RIGHT_CITED) == 0:
        wrong.append("wrong page cited")
    elif scores.get(FIRST_RIGHT) == 0:
        wrong.append("wrong page cited first")
    return wrong
