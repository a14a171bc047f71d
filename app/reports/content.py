"""What the report of an evaluation says, of one system or of two side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from app.comparison import Comparison, Pair, compare
from app.evaluation import (
    CONTAINED,
    F1,
    FALSE_REFUSAL,
    FIRST_RIGHT,
    REFUSED,
    RIGHT,
    RIGHT_CITED,
    RIGHTLY,
    SOURCE_FOUND,
    Outcome,
)
from app.reports import plots
from app.reports.blocks import Block, Heading, Paragraph, Plot, Table
from app.results import Summary, faults, judged, summaries
from llm.evaluating.figures import Difference
from llm.evaluating.refusals import area_under, risk_coverage, separation, trade_offs

MOST_EXAMPLES = 12
_SHOWN_IN_PLOTS = (RIGHTLY, RIGHT, CONTAINED, F1, SOURCE_FOUND, RIGHT_CITED, FIRST_RIGHT, FALSE_REFUSAL, REFUSED)
_THRESHOLDS = tuple(i / 20 for i in range(1, 20))
_CERTAIN = 0.05


def report(systems: Mapping[str, Sequence[Outcome]]) -> list[Block]:
    """Return the report of one system, or of two with what differs first; names are shown as they are."""
    names = list(systems)
    title = Heading(text=f"Evaluation of {' against '.join(names)}", level=1)
    parts: list[Iterator[Block]] = []
    if len(names) == 2:
        parts.append(_side_by_side(compare(systems[names[0]], systems[names[1]]), names))
    parts += [_figures(name, summaries(outcomes)) for name, outcomes in systems.items()]
    parts += [_refusing(systems), _latency(systems)]
    parts += [_failures(name, outcomes) for name, outcomes in systems.items()]
    return [title, *chain.from_iterable(parts)]


def _figures(name: str, groups: Sequence[Summary]) -> Iterator[Block]:
    yield Heading(text=f"Figures of {name}")
    yield Paragraph(text="Means over the cases to which each applies, with 95% bootstrap intervals over the cases.")
    for i, one in enumerate(groups):
        yield Heading(text=f"{one.group}, {one.n} cases", level=3)
        shown = [
            plots.Bar(label=key, value=f.value, low=f.low, high=f.high)
            for key in _SHOWN_IN_PLOTS
            if (f := one.figures.get(key)) is not None
        ]
        yield Plot(name=f"figures-{_slug(name)}-{i}", caption=f"{name}, {one.group}", svg=plots.bars(shown))
        rows = [
            (key, _percent(f.value), f"{_percent(f.low)} to {_percent(f.high)}", str(f.n))
            for key, f in one.figures.items()
        ]
        yield Table(header=("figure", "mean", "95% interval", "n"), rows=tuple(rows))


def _refusing(systems: Mapping[str, Sequence[Outcome]]) -> Iterator[Block]:
    known = {name: found for name, outcomes in systems.items() if (found := judged(outcomes))}
    if not known:
        return
    yield Heading(text="Refusing")
    curves = {name: risk_coverage(found) for name, found in known.items()}
    yield Plot(
        name="risk-coverage",
        caption="Answering only where confidence is high enough: the share answered, and of those the share wrong. "
        "A curve ends where the system itself refused.",
        svg=plots.lines(
            [
                plots.Series(name=name, points=tuple((p.coverage, p.risk) for p in points))
                for name, points in curves.items()
            ],
            x="answered",
            y="wrong, of those answered",
        ),
    )
    rows = []
    for name, found in known.items():
        apart = separation(found)
        rows.append(
            (name, _percent(area_under(curves[name])), "—" if apart is None else f"{apart:.3f}", str(len(found)))
        )
    yield Table(header=("system", "mean risk", "answerable told apart (AUROC)", "n"), rows=tuple(rows))
    for name, found in known.items():
        if offers := trade_offs(found, _THRESHOLDS):
            yield Paragraph(text=f"What each threshold of {name} would refuse:")
            yield Table(
                header=("refuse below", "unanswerable refused", "answerable refused"),
                rows=tuple(
                    (f"{t.threshold:.2f}", _percent(t.unanswerable_refused), _percent(t.answerable_refused))
                    for t in offers
                ),
            )


def _latency(systems: Mapping[str, Sequence[Outcome]]) -> Iterator[Block]:
    yield Heading(text="Time")
    rows = []
    for name, outcomes in systems.items():
        whole = summaries(outcomes)[0]
        cells = [f"{ms:,.0f} ms" for ms in (*whole.first_token_ms, *whole.total_ms)]
        rows.append((name, *cells, str(whole.n)))
    header = ("system", "first text p50", "first text p95", "whole answer p50", "whole answer p95", "n")
    yield Table(header=header, rows=tuple(rows))
    samples = [(name, [o.timing("first_token_ms") for o in outcomes]) for name, outcomes in systems.items()]
    yield Plot(
        name="first-text",
        caption="Time to the first text",
        svg=plots.histogram(samples, x="milliseconds to the first text"),
    )


def _side_by_side(found: Comparison, names: Sequence[str]) -> Iterator[Block]:
    first, second = names
    yield Heading(text="Side by side")
    yield Paragraph(
        text=f"{found.n} cases were asked of both; {found.first_only} of {first} alone and {found.second_only} of "
        f"{second} alone are left out. Differences are {second} minus {first}, paired by case, with bootstrap "
        "intervals; p is that of McNemar's exact test for scores that are yes or no, else of a permutation test. "
        "Many scores are tested at once: of twenty that do not differ, one has p under .05."
    )
    for group, scores in found.differences.items():
        yield Heading(text=group, level=3)
        header = ("score", first, second, "difference", "95% interval", "p", "won", "lost", "n")
        yield Table(header=header, rows=tuple(_difference_row(name, one) for name, one in scores.items()))
    yield from _examples(f"Won by {second}", found.wins, names)
    yield from _examples(f"Lost by {second}", found.losses, names)


def _difference_row(name: str, one: Difference) -> tuple[str, ...]:
    return (
        name,
        _percent(one.first),
        _percent(one.second),
        f"{100 * one.mean:+.1f}{'*' if one.p < _CERTAIN else ''}",
        f"{100 * one.low:+.1f} to {100 * one.high:+.1f}",
        f"{one.p:.3f}",
        str(one.wins),
        str(one.losses),
        str(one.n),
    )


def _examples(title: str, pairs: Sequence[Pair], names: Sequence[str]) -> Iterator[Block]:
    yield Heading(text=f"{title}: {len(pairs)} cases", level=3)
    if not pairs:
        return
    rows = [
        (
            f"{pair.first.case.set_name} {pair.first.case.id}".strip(),
            pair.first.case.question,
            _wanted(pair.first),
            _said(pair.first),
            _said(pair.second),
        )
        for pair in pairs[:MOST_EXAMPLES]
    ]
    yield Table(header=("case", "question", "wanted", *names), rows=tuple(rows))


def _failures(name: str, outcomes: Sequence[Outcome]) -> Iterator[Block]:
    wrong = [(outcome, said) for outcome in outcomes if (said := faults(outcome))]
    yield Heading(text=f"What went wrong with {name}: {len(wrong)} of {len(outcomes)} cases")
    step = max(1, len(wrong) // MOST_EXAMPLES)
    rows = [
        (
            f"{outcome.case.set_name} {outcome.case.id}".strip(),
            outcome.case.question,
            ", ".join(said),
            _wanted(outcome),
            _said(outcome),
        )
        for outcome, said in wrong[::step][:MOST_EXAMPLES]
    ]
    if rows:
        yield Table(header=("case", "question", "fault", "wanted", "said"), rows=tuple(rows))


def _wanted(outcome: Outcome) -> str:
    return " / ".join(outcome.case.answers[:3]) if outcome.case.answerable else "a refusal"


def _said(outcome: Outcome) -> str:
    return "a refusal" if outcome.abstained else str(outcome.answer["answer"])


def _percent(share: float) -> str:
    return f"{share:.1%}"


def _slug(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name).strip("-").lower() or "system"
