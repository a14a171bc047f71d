"""The log of a run: one JSON object a line, and its losses as a picture.

Lines are ``{"event": "start" | "step" | "evaluation" | "resume" | "stop" | "end", "step": n, ...}``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

LOG, PLOT = "log.jsonl", "loss.svg"
_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 720, 340, 52, 34, 40
_COLOURS = {"step": "#9aa4b2", "mean": "#1f5fbf", "evaluation": "#c2410c"}


class Journal:
    """Appends to the log of a run; a run that goes on drops the lines after its checkpoint first."""

    def __init__(self, out: Path, *, keep_to: int | None = None) -> None:
        self.path = out / LOG
        out.mkdir(parents=True, exist_ok=True)
        kept = [line for line in read_journal(out) if keep_to is not None and line.get("step", 0) <= keep_to]
        self.path.write_text("".join(_line(event) for event in kept), "utf-8")

    def write(self, event: str, **values: Any) -> None:
        """Append an event; the line is in the file when this returns."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line({"event": event, **values}))

    def plot(self, *, title: str) -> None:
        """Draw the losses so far."""
        events = read_journal(self.path.parent)
        steps = [(e["step"], e["loss"]) for e in events if e["event"] == "step"]
        looks = [(e["step"], e["loss"]) for e in events if e["event"] == "evaluation"]
        (self.path.parent / PLOT).write_text(loss_plot(steps, looks, title=title), "utf-8")


def read_journal(out: Path) -> list[dict[str, Any]]:
    """Return the events of a run's log; a last line that was cut short by a kill is left out."""
    path = out / LOG
    if not path.is_file():
        return []
    events = []
    for line in path.read_text("utf-8").splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            break
    return events


def _line(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False) + "\n"


def loss_plot(steps: Sequence[tuple[int, float]], looks: Sequence[tuple[int, float]], *, title: str) -> str:
    """Return an SVG of training losses (each step, and their running mean) and validation losses."""
    means, mean = [], 0.0
    for n, (step, loss) in enumerate(steps):
        mean = loss if not n else mean + (loss - mean) * 0.1
        means.append((step, mean))
    last = max([step for step, _ in (*steps, *looks)], default=1) or 1
    losses = sorted(loss for _, loss in (*steps, *looks))
    top = max(losses[int(len(losses) * 0.98)] if losses else 1.0, 1e-6) * 1.05  # a spike does not flatten the rest

    def place(step: float, loss: float) -> str:
        x = _LEFT + (_WIDTH - _LEFT - 12) * step / last
        y = _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * min(loss, top) / top
        return f"{x:.1f},{y:.1f}"

    def curve(points: Sequence[tuple[int, float]], kind: str, width: float) -> str:
        drawn = " ".join(place(*point) for point in points)
        return f'<polyline fill="none" stroke="{_COLOURS[kind]}" stroke-width="{width}" points="{drawn}"/>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/><text x="{_LEFT}" y="18">{escape(title)}</text>',
    ]
    for n in range(5):
        value = top * n / 4
        left, right = place(0, value).split(","), place(last, value).split(",")
        parts.append(f'<line x1="{left[0]}" y1="{left[1]}" x2="{right[0]}" y2="{right[1]}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{left[1]}" dy="4" text-anchor="end">{value:.2f}</text>')
        at = place(last * n / 4, 0).split(",")[0]
        parts.append(f'<text x="{at}" y="{_HEIGHT - 20}" text-anchor="middle">{last * n // 4}</text>')
    parts += [curve(steps, "step", 0.7), curve(means, "mean", 2), curve(looks, "evaluation", 2)]
    legend = (("step", "training, each step"), ("mean", "training, running mean"), ("evaluation", "validation"))
    for n, (kind, text) in enumerate(legend):
        parts.append(f'<text x="{_LEFT + 160 * n}" y="{_HEIGHT - 4}" fill="{_COLOURS[kind]}">{text}</text>')
    return "\n".join([*parts, "</svg>\n"])
