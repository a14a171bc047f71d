"""How much is asked and how it goes, over days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from fastapi.responses import Response
from markupsafe import Markup

from app.people.records import Latency, Usage
from app.people.usage import DAY_SECONDS, usage
from app.texts import say
from app.web.quality import day_plots
from app.web.quality.day_plots import Frame, Line
from app.web.quality.rooms import Caller
from app.web.quality.words import NOTHING, day, milliseconds, percent
from core.records import Language

PERIODS = (7, 30, 90, 365)
_MONTH = 30
_WEEKLY_FROM = 365  # a bar for each day of a year would be thinner than a hair


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A drawing under its heading, with the names of its two colours."""

    heading: str
    names: tuple[str, ...]
    svg: Markup


def usage_page(caller: Caller, wanted: str) -> Response:
    """Show the plots of the last days; ``wanted`` is how many, a month where it is none of ours."""
    days = next((period for period in PERIODS if str(period) == wanted), _MONTH)
    people, weekly = caller.rooms.visitors.people, days >= _WEEKLY_FROM
    now = datetime.fromtimestamp(people.clock())
    first = now.date() - timedelta(days=days - 1)
    since_first = (now - datetime.combine(first, datetime.min.time())).total_seconds()
    whole, counted = usage(people, caller.person, days=since_first / DAY_SECONDS, weekly=weekly)
    every = _filled(counted, first, now.date(), weekly=weekly)
    values = {
        "periods": PERIODS,
        "days": days,
        "weekly": weekly,
        "tiles": _tiles(whole, caller.language),
        "plots": _plots(every, caller.language) if counted else (),
        "rows": [_row(each, caller.language) for each in reversed(every)],
    }
    return caller.show("quality_usage.html", values)


def _filled(counted: Sequence[Usage], first: date, last: date, *, weekly: bool) -> list[Usage]:
    """Return a row for each day or week, those on which nothing was asked among them."""
    known = {each.day: each for each in counted}
    step = timedelta(days=7 if weekly else 1)
    at, every = (first - timedelta(days=first.weekday()) if weekly else first), []
    while at <= last:
        every.append(known.get(at.isoformat()) or _nothing(at.isoformat()))
        at += step
    return every


def _nothing(on: str) -> Usage:
    none = Latency(p50_ms=None, p95_ms=None)
    return Usage(
        day=on,
        questions=0,
        answered=0,
        refusals=0,
        sentences=0,
        unsupported=0,
        thumbs_up=0,
        thumbs_down=0,
        first_text=none,
        whole=none,
    )


def _tiles(whole: Usage, language: Language) -> list[tuple[str, str, str]]:
    """Return (name, value, what it is of) of each figure of the whole time."""
    thumbs = whole.thumbs_up + whole.thumbs_down

    def tile(key: str, value: str, n: int) -> tuple[str, str, str]:
        return say(f"usage.{key}", language), value, say(f"usage.{key}_of", language, n=f"{n:,}")

    def pair(of: Latency) -> str:
        return f"{milliseconds(of.p50_ms, language)} / {milliseconds(of.p95_ms, language)}"

    return [
        tile("questions", f"{whole.questions:,}", whole.answered),
        tile("refused", percent(whole.refusals, whole.answered), whole.refusals),
        tile("unsupported", percent(whole.unsupported, whole.sentences), whole.unsupported),
        tile("thumbs", percent(whole.thumbs_up, thumbs), thumbs),
        tile("first_text", pair(whole.first_text) if whole.answered else NOTHING, whole.answered),
        tile("whole", pair(whole.whole) if whole.answered else NOTHING, whole.answered),
    ]


def _plots(every: Sequence[Usage], language: Language) -> list[Plot]:
    def line(key: str, values: Sequence[float | None]) -> Line:
        return Line(name=say(f"usage.{key}", language), values=tuple(values))

    def frame(key: str, *, whole: bool = True) -> Frame:
        return Frame(
            id=f"plot-{key}",
            title=say(f"usage.plot_{key}", language),
            description=say(f"usage.plot_{key}_more", language),
            days=tuple(day(date.fromisoformat(each.day), language) for each in every),
            write=_WRITTEN.get(key, lambda value: f"{value:,.0f}") if whole else lambda v: milliseconds(v, language),
            whole=whole,
        )

    def plot(made: Frame, two: Sequence[Line], svg: Markup) -> Plot:
        return Plot(heading=made.title, names=tuple(each.name for each in two), svg=svg)

    answered = line("series_others", [each.questions - each.refusals for each in every])
    refused = line("series_refused", [each.refusals for each in every])
    asked = frame("questions")
    thumbs = frame("thumbs")
    up = line("series_up", [each.thumbs_up for each in every])
    down = line("series_down", [each.thumbs_down for each in every])
    support = frame("unsupported")
    shares = line("series_unsupported", [100 * e.unsupported / e.sentences if e.sentences else None for e in every])
    plots = [
        plot(asked, (answered, refused), day_plots.stacked(asked, answered, refused)),
        plot(support, (shares,), day_plots.lines(support, [shares])),
        plot(thumbs, (up, down), day_plots.up_and_down(thumbs, up, down)),
    ]
    for key in ("first_text", "whole"):
        within: list[Latency] = [getattr(each, key) for each in every]
        times = frame(key, whole=False)
        two = [
            line("series_p50", [latency.p50_ms for latency in within]),
            line("series_p95", [latency.p95_ms for latency in within]),
        ]
        plots.append(plot(times, two, day_plots.lines(times, two)))
    return plots


_WRITTEN = {"unsupported": lambda value: percent(value / 100)}


def _row(each: Usage, language: Language) -> tuple[str, ...]:
    return (
        each.day,
        f"{each.questions:,}",
        f"{each.refusals:,}",
        percent(each.unsupported, each.sentences),
        f"{each.thumbs_up:,}",
        f"{each.thumbs_down:,}",
        *(milliseconds(value, language) for of in (each.first_text, each.whole) for value in (of.p50_ms, of.p95_ms)),
    )
