"""What is said of an evaluation: its figures, and what changed since another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from app.comparison import Comparison, Pair, compare
from app.evaluation import (
    CONTAINED,
    F1,
    FALSE_REFUSAL,
    FIRST_RIGHT,
    PAGE_FOUND,
    REFUSAL_RIGHT,
    REFUSED,
    RIGHT,
    RIGHT_CITED,
    RIGHTLY,
    SOURCE_FOUND,
    VERBATIM,
    Outcome,
)
from app.evaluations import Evaluations, Run
from app.results import EVERYTHING
from app.web.quality.rooms import Caller
from app.web.quality.words import milliseconds, moment, percent, points
from core.errors import MalformedInput
from llm.evaluating.figures import Difference

_SHOWN_CHANGES = 20
_CERTAIN = 0.05
# The figures that tell most, in the order in which they are shown; the others are terms of the field.
MAIN_SCORES: Mapping[str, str] = {
    RIGHTLY: "score.rightly",
    RIGHT: "score.right",
    CONTAINED: "score.contained",
    F1: "score.f1",
    SOURCE_FOUND: "score.source_found",
    PAGE_FOUND: "score.page_found",
    RIGHT_CITED: "score.right_cited",
    FIRST_RIGHT: "score.first_right",
    FALSE_REFUSAL: "score.false_refusal",
    REFUSED: "score.refused",
    REFUSAL_RIGHT: "score.refusal_right",
    VERBATIM: "score.verbatim",
}


class Telling:
    """Runs as a page tells them, in the language of whoever asks."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.evaluations = caller.rooms.evaluations

    def before(self, run: Run, runs: Sequence[Run]) -> Run | None:
        """Return the newest run before this one that was asked some of the same cases."""
        for other in runs:
            if other.n < run.n and other.n_done and self._compared(other, run) is not None:
                return other
        return None

    def _compared(self, first: Run, second: Run) -> Comparison | None:
        try:
            return _compared(self.evaluations, first.n, second.n, (first.ended or 0, second.ended or 0))
        except MalformedInput:  # no case in common
            return None

    def told(self, run: Run, other: Run | None) -> Mapping[str, Any]:
        """Return what a page says of a run, and of what changed since another."""
        whole = run.figures.get(EVERYTHING, {})
        found = self._compared(other, run) if other else None
        return {
            "row": self.row(run),
            "figures": _main_first([self._figure_row(*each) for each in whole.get("figures", {}).items()]),
            "groups": self._groups(run),
            "times": [
                (self.caller.say(f"evaluation.{key}"), *self._times(whole.get(key, {})))
                for key in ("first_token_ms", "total_ms")
            ],
            "other": self.row(other) if other else None,
            "changes": self._changes(found) if found else None,
            "settings": self._settings(run, other) if other else (),
        }

    def _times(self, pair: Mapping[str, float]) -> tuple[str, str]:
        return (
            milliseconds(pair.get("p50"), self.caller.language),
            milliseconds(pair.get("p95"), self.caller.language),
        )

    def _figure_row(self, score: str, figure: Mapping[str, float]) -> Mapping[str, Any]:
        between = f"{percent(figure['low'])} – {percent(figure['high'])}"
        cells = (percent(figure["value"]), between, f"{figure['n']:,.0f}")
        return {"score": score, "name": self._named(score), "cells": cells, "certain": False}

    def _groups(self, run: Run) -> list[tuple[str, ...]]:
        """Return (name, cases, decided rightly, interval) of each set and language, where there are several."""
        rows: list[tuple[str, ...]] = []
        for name, group in run.figures.items():
            figure = group["figures"].get(RIGHTLY)
            if name != EVERYTHING and figure:
                between = f"{percent(figure['low'])} – {percent(figure['high'])}"
                rows.append((name, f"{group['n']:,}", percent(figure["value"]), between))
        return rows

    def _named(self, score: str) -> str:
        return self.caller.say(MAIN_SCORES[score]) if score in MAIN_SCORES else score

    def _changes(self, found: Comparison) -> Mapping[str, Any]:
        differences = found.differences.get(EVERYTHING, {})
        fell = [pair for pair in found.losses if _turned(pair.first, pair.second)]
        rose = [pair for pair in found.wins if _turned(pair.second, pair.first)]
        worse = [pair for pair in found.losses if pair not in fell]
        return {
            "n": found.n,
            "rows": _main_first([self._difference_row(*each) for each in differences.items()]),
            "lists": [
                (key, len(pairs), [_changed(pair) for pair in pairs[:_SHOWN_CHANGES]])
                for key, pairs in (("fell", fell), ("rose", rose), ("worse", worse))
            ],
        }

    def _difference_row(self, score: str, one: Difference) -> Mapping[str, Any]:
        return {
            "score": score,
            "name": self._named(score),
            "cells": (
                percent(one.first),
                percent(one.second),
                points(one.mean),
                f"[{points(one.low)}, {points(one.high)}]",
                f"{one.p:.3f}",
                f"{one.wins:,} / {one.losses:,}",
                f"{one.n:,}",
            ),
            "certain": one.p < _CERTAIN,
        }

    def _settings(self, run: Run, other: Run) -> list[tuple[str, str, str]]:
        """Return (name, before, after) of each setting that changed between two runs."""
        names = sorted(run.settings.keys() | other.settings.keys())
        pairs = [(name, other.settings.get(name, ""), run.settings.get(name, "")) for name in names]
        return [(name, before, after) for name, before, after in pairs if before != after]

    def row(self, run: Run) -> Mapping[str, Any]:
        figures = run.figures.get(EVERYTHING, {}).get("figures", {})
        rightly = figures.get(RIGHTLY)
        labels = {shelf.name: shelf.label for shelf in self.caller.own.shelves()}
        return {
            "n": run.n,
            "when": moment(run.started),
            "stage": run.stage,
            "cases": run.cases,
            "done": f"{run.n_done:,}" if run.n_done == run.n_cases else f"{run.n_done:,} / {run.n_cases:,}",
            "model": run.model.rpartition("/")[2],
            "words": run.settings.get("answer.words", ""),
            "collections": [labels.get(name, name) for name in run.collections],
            "rightly": percent(rightly["value"]) if rightly else "",
        }


@lru_cache(maxsize=8)
def _compared(evaluations: Evaluations, first: int, second: int, ended: tuple[float, float]) -> Comparison:
    """Compare two runs; what has ended stays as it is, so that this is done once."""
    return compare(evaluations.outcomes(first), evaluations.outcomes(second))


def _turned(right: Outcome, wrong: Outcome) -> bool:
    """Return whether a case was right in one and wrong in the other, where that can be said."""
    name = next((name for name in (RIGHTLY, REFUSED) if name in right.scores and name in wrong.scores), None)
    return name is not None and right.scores[name] == 1 and wrong.scores[name] == 0


def _changed(pair: Pair) -> Mapping[str, Any]:
    made = pair.first.case
    return {
        "question": made.question,
        "wanted": " / ".join(made.answers[:3]) if made.answerable else "",
        "before": "" if pair.first.abstained else str(pair.first.answer["answer"]),
        "after": "" if pair.second.abstained else str(pair.second.answer["answer"]),
    }


def _main_first(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return the rows of the figures that tell most, and the others."""
    order = list(MAIN_SCORES)
    main = sorted((row for row in rows if row["score"] in MAIN_SCORES), key=lambda row: order.index(row["score"]))
    return main, [row for row in rows if row["score"] not in MAIN_SCORES]
