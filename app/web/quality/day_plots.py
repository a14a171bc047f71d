"""Plots over days as SVG: bars and lines, coloured by the page's own style, light or dark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from markupsafe import Markup

from app.reports.plots import rounded_up

WIDTH, HEIGHT = 350, 176
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 8, 14, 26
_BROAD, _HIGH = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
_CLASSES = ("a", "b")  # quality.css gives each a colour, and lines of the second dashes


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A value for each day, None where there is none, and how one is written."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What a plot stands in: its name for the page, what it shows in words, its days, and how values are written."""

    id: str
    title: str
    description: str
    days: tuple[str, ...]
    write: Callable[[float], str]
    whole: bool = True


def stacked(frame: Frame, lower: Line, upper: Line) -> Markup:
    """Return bars of two parts, the second standing on the first."""
    sums = [(a or 0) + (b or 0) for a, b in zip(lower.values, upper.values, strict=True)]
    most = _most(sums, whole=frame.whole)
    parts = [_ruled(frame, (0.0, most))]
    for i, (low, whole) in enumerate(zip(lower.values, sums, strict=True)):
        said = f"{frame.days[i]}: {_both(frame, lower, upper, i)}"
        heights = [_HIGH * (low or 0) / most, _HIGH * (whole - (low or 0)) / most]
        floor = float(_TOP + _HIGH)
        rects = []
        for height, kind in zip(heights, _CLASSES, strict=True):
            rects.append(_rect(i, len(sums), floor - height, height, kind))
            floor -= height
        parts.append(_told(said, rects))
    return _svg(frame, parts)


def up_and_down(frame: Frame, up: Line, down: Line) -> Markup:
    """Return bars above and below a middle line."""
    most = _most([value or 0 for line in (up, down) for value in line.values], whole=frame.whole)
    middle = _TOP + _HIGH / 2
    parts = [_ruled(frame, (-most, most))]
    for i, (high, low) in enumerate(zip(up.values, down.values, strict=True)):
        above, below = (_HIGH / 2 * (value or 0) / most for value in (high, low))
        rects = [_rect(i, len(up.values), middle - above, above, "a"), _rect(i, len(up.values), middle, below, "b")]
        parts.append(_told(f"{frame.days[i]}: {_both(frame, up, down, i)}", rects))
    return _svg(frame, parts)


def lines(frame: Frame, series: Sequence[Line]) -> Markup:
    """Return a line for each of at most two series, broken where a day has no value."""
    most = _most([value for line in series for value in line.values if value is not None], whole=frame.whole)
    parts = [_ruled(frame, (0.0, most))]
    for line, kind in zip(series, _CLASSES, strict=False):
        points = [
            None if value is None else (_x(i, len(line.values)), _TOP + _HIGH * (1 - value / most))
            for i, value in enumerate(line.values)
        ]
        drawn = " ".join(f"{'L' if before else 'M'}{x:.1f} {y:.1f}" for before, (x, y) in _with_before(points))
        parts.append(f'<path class="{kind} line" d="{drawn}"/>' if drawn else "")
        for i, point in enumerate(points):
            if point is not None:
                said = f"{frame.days[i]}: {line.name} {frame.write(line.values[i] or 0)}"
                radius = 2.5 if len(points) <= 31 else 1.5
                circle = f'<circle class="{kind}" cx="{point[0]:.1f}" cy="{point[1]:.1f}" r="{radius}"/>'
                parts.append(_told(said, [circle]))
    return _svg(frame, parts)


def _with_before(
    points: Sequence[tuple[float, float] | None],
) -> Sequence[tuple[tuple[float, float] | None, tuple[float, float]]]:
    return [(before, point) for before, point in pairwise([None, *points]) if point is not None]


def _both(frame: Frame, first: Line, second: Line, i: int) -> str:
    return ", ".join(f"{line.name} {frame.write(line.values[i] or 0)}" for line in (first, second))


def _most(values: Sequence[float], *, whole: bool) -> float:
    """Return where an axis ends: no less than the largest value, and its half reads well too."""
    most = rounded_up(max(values, default=0.0))
    return max(2.0, 2 * -(-most // 2)) if whole else most


def _x(i: int, n: int) -> float:
    return _LEFT + (i + 0.5) * _BROAD / n


def _rect(i: int, n: int, y: float, height: float, kind: str) -> str:
    if height <= 0:
        return ""
    broad = max(1.0, min(26.0, _BROAD / n * 0.72))
    x = _x(i, n) - broad / 2
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{broad:.1f}" height="{max(height, 1):.1f}"/>'


def _told(said: str, shapes: Sequence[str]) -> str:
    """Return shapes that say what they are where a pointer rests on them."""
    drawn = "".join(shapes)
    return f"<g><title>{escape(said)}</title>{drawn}</g>" if drawn else ""


def _ruled(frame: Frame, ends: tuple[float, float]) -> str:
    """Return the axes: three values, and the first, middle and last day."""
    parts = []
    for share in (0.0, 0.5, 1.0):
        value, y = ends[0] + share * (ends[1] - ends[0]), _TOP + _HIGH * (1 - share)
        parts.append(f'<path class="rule" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>')
        parts.append(_text(_LEFT - 6, y + 4, frame.write(abs(value)), "end"))
    n = len(frame.days)
    for i in sorted({0, (n - 1) // 2, n - 1}) if n > 2 else range(n):
        anchor = "start" if i == 0 and n > 10 else "end" if i == n - 1 and n > 10 else "middle"
        parts.append(_text(_x(i, n), HEIGHT - 8, frame.days[i], anchor))
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(frame: Frame, parts: Sequence[str]) -> Markup:
    """Return the drawing; every text in it went through :func:`html.escape`."""
    names = f"{frame.id}-title {frame.id}-more"
    return Markup(
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{names}">'
        f'<title id="{frame.id}-title">{escape(frame.title)}</title>'
        f'<desc id="{frame.id}-more">{escape(frame.description)}</desc>{"".join(parts)}</svg>'
    )
