"""Two systems on the same cases: what differs, by how much, and whether by more than chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.evaluation import F1, REFUSED, RIGHTLY, Outcome
from app.results import by_set
from core.errors import MalformedInput
from llm.evaluating.figures import Difference, difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The outcomes of one case by the first system and by the second."""

    first: Outcome
    second: Outcome

    @property
    def gain(self) -> float:
        """How much the second did better: at deciding rightly, or in F1 where there is a text to come near to."""
        return _merit(self.second) - _merit(self.first)


def _merit(outcome: Outcome) -> float:
    return next((outcome.scores[name] for name in (RIGHTLY, REFUSED, F1) if name in outcome.scores), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Differences by group and score, and the cases that the second system won or lost, largest gain first."""

    n: int
    differences: dict[str, dict[str, Difference]]
    wins: tuple[Pair, ...]
    losses: tuple[Pair, ...]
    first_only: int
    second_only: int

    def to_json(self) -> dict[str, Any]:
        """Return the differences, and the ids of the cases won and lost."""
        return {
            "n": self.n,
            "first_only": self.first_only,
            "second_only": self.second_only,
            "differences": {
                group: {name: one.to_json() for name, one in scores.items()}
                for group, scores in self.differences.items()
            },
            "wins": [pair.first.case.id for pair in self.wins],
            "losses": [pair.first.case.id for pair in self.losses],
        }


def compare(first: Sequence[Outcome], second: Sequence[Outcome]) -> Comparison:
    """Lay two systems side by side, over the cases that both were asked.

    Raises:
        MalformedInput: They have no case in common.
    """
    before, after = ({(o.case.set_name, o.case.id, o.case.question): o for o in one} for one in (first, second))
    pairs = [Pair(first=before[key], second=after[key]) for key in before if key in after]
    if not pairs:
        raise MalformedInput(
            "the two have no case in common", remedy="Cases are paired by set, id and question: ask both the same file"
        )
    ranked = sorted(pairs, key=lambda pair: pair.gain)
    return Comparison(
        n=len(pairs),
        differences={
            group: _differences(members) for group, members in by_set(pairs, lambda pair: pair.first.case).items()
        },
        wins=tuple(pair for pair in reversed(ranked) if pair.gain > 0),
        losses=tuple(pair for pair in ranked if pair.gain < 0),
        first_only=len(before) - len(pairs),
        second_only=len(after) - len(pairs),
    )


def _differences(pairs: Sequence[Pair]) -> dict[str, Difference]:
    """Compare each score over the pairs in which it applies to both; where one refused, citations apply to neither."""
    names = dict.fromkeys(name for pair in pairs for name in pair.first.scores if name in pair.second.scores)
    found = {}
    for name in names:
        both = [pair for pair in pairs if name in pair.first.scores and name in pair.second.scores]
        found[name] = difference([p.first.scores[name] for p in both], [p.second.scores[name] for p in both])
    return found


def comparison_lines(found: Comparison, names: Sequence[str]) -> Iterator[str]:
    """Yield a comparison as lines of text; ``names`` are those of the first system and the second."""
    yield f"{names[1]} against {names[0]}: n={found.n}, won {len(found.wins)}, lost {len(found.losses)}"
    for group, scores in found.differences.items():
        yield group
        for name, one in scores.items():
            interval = f"[{100 * one.low:+.1f}, {100 * one.high:+.1f}]"
            yield (
                f"  {name:<40} {one.first:6.1%} -> {one.second:6.1%}  {100 * one.mean:+5.1f} {interval:<16} "
                f"p={one.p:.3f}  won {one.wins}, lost {one.losses}, n={one.n}"
            )
