"""Small plots as SVG: lines, bars with intervals, a histogram. Colours follow the page that shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 28, 28, 44
_ROW = 22  # pixels of a bar's row
_LABELS = 250  # pixels of the labels beside bars
# A plot that stands alone has no page to take colours from.
_COLOURS = ("var(--mark, #2f6f9f)", "var(--other, #b5651d)")
_TICKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Points (x, y) under a name."""

    name: str
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A value in [0, 1] with its interval."""

    label: str
    value: float
    low: float
    high: float


def lines(series: Sequence[Series], *, x: str, y: str) -> str:
    """Return lines over axes that run from 0 to 1."""
    parts = [_axes(x=x, y=y, x_most=1.0, y_most=1.0, percent=True), _legend([one.name for one in series])]
    for i, one in enumerate(series):
        at = " ".join(f"{_x(px, 1.0):.1f},{_y(py, 1.0):.1f}" for px, py in one.points)
        parts.append(f'<polyline points="{at}" fill="none" stroke="{_COLOURS[i % 2]}" stroke-width="2"/>')
    return _svg(parts, height=HEIGHT)


def histogram(samples: Sequence[tuple[str, Sequence[float]]], *, x: str, n_bins: int = 20) -> str:
    """Return how many of each named sample fall into each of ``n_bins`` equal bins from 0 to the largest value."""
    most = rounded_up(max((max(values, default=0.0) for _, values in samples), default=0.0))
    counts = [_counted(values, most, n_bins) for _, values in samples]
    highest = _TICKS * math.ceil(max((max(row) for row in counts), default=1) / _TICKS)
    parts = [
        _axes(x=x, y="cases", x_most=most, y_most=float(highest), percent=False),
        _legend([name for name, _ in samples]),
    ]
    step = (WIDTH - _LEFT - _RIGHT) / n_bins
    thick = step / len(counts) if counts else step
    for i, row in enumerate(counts):
        for b, count in enumerate(row):
            top = _y(count, highest)
            parts.append(
                f'<rect x="{_LEFT + b * step + i * thick:.1f}" y="{top:.1f}" width="{max(thick - 1, 1):.1f}" '
                f'height="{HEIGHT - _BOTTOM - top:.1f}" fill="{_COLOURS[i % 2]}"/>'
            )
    return _svg(parts, height=HEIGHT)


def bars(rows: Sequence[Bar]) -> str:
    """Return one bar a row from 0 to 1, its interval drawn over it."""
    across = WIDTH - _LABELS - 60
    parts = []
    for i, row in enumerate(rows):
        y = 8 + i * _ROW
        middle = y + 7
        low, high = _LABELS + row.low * across, _LABELS + row.high * across
        parts += [
            _text(_LABELS - 8, middle + 4, row.label),
            f'<rect x="{_LABELS}" y="{y}" width="{row.value * across:.1f}" height="14" fill="{_COLOURS[0]}"/>',
            f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="currentColor" stroke-width="2"/>',
            _text(WIDTH - 8, middle + 4, f"{row.value:.1%}"),
        ]
    return _svg(parts, height=16 + len(rows) * _ROW)


def rounded_up(value: float) -> float:
    """Return a number that is no smaller and whose fifths read well."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10) if step * power >= value)


def _counted(values: Sequence[float], most: float, n_bins: int) -> list[int]:
    counts = [0] * n_bins
    for value in values:
        counts[min(int(value / most * n_bins), n_bins - 1)] += 1
    return counts


def _svg(parts: Sequence[str], *, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img">{"".join(parts)}</svg>'
    )


def _x(value: float, most: float) -> float:
    return _LEFT + value / most * (WIDTH - _LEFT - _RIGHT)


def _y(value: float, most: float) -> float:
    return HEIGHT - _BOTTOM - value / most * (HEIGHT - _TOP - _BOTTOM)


def _axes(*, x: str, y: str, x_most: float, y_most: float, percent: bool) -> str:
    parts = []
    for i in range(_TICKS + 1):
        at_x, at_y = _x(i, _TICKS), _y(i, _TICKS)
        parts += [
            f'<path d="M{_LEFT} {at_y:.1f}H{WIDTH - _RIGHT}" stroke="currentColor" stroke-opacity=".15"/>',
            _text(at_x, HEIGHT - _BOTTOM + 16, _tick(i * x_most / _TICKS, percent), anchor="middle"),
            _text(_LEFT - 6, at_y + 4, _tick(i * y_most / _TICKS, percent)),
        ]
    parts += [_text((_LEFT + WIDTH) / 2, HEIGHT - 8, x, anchor="middle"), _text(8, 16, y, anchor="start")]
    return "".join(parts)


def _tick(value: float, percent: bool) -> str:
    return f"{value:.0%}" if percent else f"{value:,.0f}"


def _legend(names: Sequence[str]) -> str:
    if len(names) < 2:
        return ""
    return "".join(_text(WIDTH - _RIGHT, 16 + 14 * i, name, colour=_COLOURS[i % 2]) for i, name in enumerate(names))


def _text(x: float, y: float, text: str, *, anchor: str = "end", colour: str = "currentColor") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}">{escape(text)}</text>'
