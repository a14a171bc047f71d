"""How much is asked and how it goes, by day, counted over what is kept: what a person deletes counts no more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from app.people.database import People, all_rows
from app.people.person_rows import require_admin
from app.people.records import Latency, Person, Usage

DAY_SECONDS = 86_400.0
_TURNS = """
SELECT started, stage, abstained, n_sentences, n_unsupported, first_token_ms, total_ms FROM turns WHERE started >= ?
"""
_THUMBS = "SELECT created, verdict FROM feedback WHERE created >= ?"
_Turn = tuple[float, str, int, int, int, float | None, float | None]


def usage(people: People, by: Person, *, days: float = 30, weekly: bool = False) -> tuple[Usage, list[Usage]]:
    """Return the sum of the last days and each day on which something was asked, oldest first, in local time.

    ``weekly`` counts weeks in place of days, each under its Monday.

    Raises:
        NotAllowed: ``by`` does not administer.
    """
    since = people.clock() - days * DAY_SECONDS
    with people.reading() as connection:
        require_admin(connection, by)
        turns: list[Any] = all_rows(connection, _TURNS, (since,))
        thumbs: list[Any] = all_rows(connection, _THUMBS, (since,))
    day_of = _monday if weekly else _day
    turns_by_day: dict[str, list[_Turn]] = defaultdict(list)
    thumbs_by_day: dict[str, list[str]] = defaultdict(list)
    for turn in turns:
        turns_by_day[day_of(turn[0])].append(turn)
    for created, verdict in thumbs:
        thumbs_by_day[day_of(created)].append(verdict)
    every_day = sorted(turns_by_day.keys() | thumbs_by_day.keys())
    in_all = _counted("", turns, [verdict for _, verdict in thumbs])
    return in_all, [_counted(day, turns_by_day[day], thumbs_by_day[day]) for day in every_day]


def percentile(values: Iterable[float], share: float) -> float | None:
    """Return the smallest value that at least ``share`` of the values do not exceed; None where there are none."""
    ordered = sorted(values)
    if not ordered:
        return None
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def _counted(day: str, turns: Sequence[_Turn], thumbs: Sequence[str]) -> Usage:
    answered = [turn for turn in turns if turn[1] == "finished"]
    return Usage(
        day=day,
        questions=len(turns),
        answered=len(answered),
        refusals=sum(turn[2] for turn in answered),
        sentences=sum(turn[3] for turn in answered),
        unsupported=sum(turn[4] for turn in answered),
        thumbs_up=sum(verdict == "up" for verdict in thumbs),
        thumbs_down=sum(verdict == "down" for verdict in thumbs),
        first_text=_latency(turn[5] for turn in answered),
        whole=_latency(turn[6] for turn in answered),
    )


def _latency(values: Iterable[float | None]) -> Latency:
    known = [value for value in values if value is not None]
    return Latency(p50_ms=percentile(known, 0.5), p95_ms=percentile(known, 0.95))


def _day(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d")


def _monday(at: float) -> str:
    day = datetime.fromtimestamp(at).date()
    return (day - timedelta(days=day.weekday())).isoformat()
