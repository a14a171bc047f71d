"""Scores of a ranking against what it should have found."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from collections.abc import Set as AbstractSet


def recall_at(ranking: Sequence[Hashable], gold: AbstractSet[Hashable], *, k: int) -> float:
    """Return the share of ``gold`` among the first ``k``; ``gold`` is not empty."""
    return len(gold & set(ranking[:k])) / len(gold)


def ndcg_at(ranking: Sequence[Hashable], gold: AbstractSet[Hashable], *, k: int) -> float:
    """Return the normalised discounted cumulative gain of the first ``k`` (Järvelin and Kekäläinen 2002).

    What ranks twice gains once, where it stands first.
    """
    places = first_places(ranking[:k], gold)
    ideal = sum(1 / math.log2(place + 2) for place in range(min(k, len(gold))))
    return sum(1 / math.log2(place + 2) for place in places) / ideal


def reciprocal_rank(ranking: Sequence[Hashable], gold: AbstractSet[Hashable]) -> float:
    """Return one over the place, from 1, of the first of ``gold``; 0 when none was found."""
    places = first_places(ranking, gold)
    return 1 / (places[0] + 1) if places else 0.0


def first_places(ranking: Sequence[Hashable], gold: AbstractSet[Hashable]) -> list[int]:
    """Return where, from 0, each of ``gold`` first stands in ``ranking``."""
    first: dict[Hashable, int] = {}
    for place, found in enumerate(ranking):
        if found in gold:
            first.setdefault(found, place)
    return sorted(first.values())
