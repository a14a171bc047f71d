"""Score answers to cases whose answers are known; every figure with its n and a 95% interval."""

from __future__ import annotations

import json
import random
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles
from typing import Any

from app.knowledge_base import KnowledgeBase
from core.errors import MalformedInput, MissingPath
from core.records import Answer, Citation, Hit, Locator, Message, SearchFilter
from core.text import detect_language

TOP = 5
BOOTSTRAP_ROUNDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A question with its accepted answers and the places (path, page or slide or None) that hold them."""

    id: str
    question: str
    answers: tuple[str, ...]
    sources: tuple[tuple[str, int | None], ...]
    answerable: bool
    history: tuple[Message, ...] = ()
    language: str = "en"
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a case; a figure that does not apply to it is None."""

    case: Case
    answer: Answer
    source_in_top: bool | None
    page_in_top: bool | None
    contained: bool | None
    cited_page: bool | None
    refused: bool
    quotes_verbatim: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A share in [0, 1] with its number of cases and bootstrap interval."""

    value: float
    n: int
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Outcomes with their figures by language ("all", "en", "zh") and name."""

    outcomes: tuple[Outcome, ...]
    figures: dict[str, dict[str, Figure]]
    first_token_ms: tuple[float, float]

    def to_json(self) -> dict[str, Any]:
        """Return the figures and every case's outcome."""
        return {
            "figures": {
                group: {
                    name: {"value": round(f.value, 4), "n": f.n, "low": round(f.low, 4), "high": round(f.high, 4)}
                    for name, f in figures.items()
                }
                for group, figures in self.figures.items()
            },
            "first_token_ms": {"p50": round(self.first_token_ms[0]), "p95": round(self.first_token_ms[1])},
            "cases": [
                {
                    "id": o.case.id,
                    "source_in_top": o.source_in_top,
                    "page_in_top": o.page_in_top,
                    "contained": o.contained,
                    "cited_page": o.cited_page,
                    "refused": o.refused,
                    "quotes_verbatim": o.quotes_verbatim,
                    **o.answer.to_json(),
                }
                for o in self.outcomes
            ],
        }


def read_cases(path: Path) -> list[Case]:
    """Read cases, one JSON object a line.

    Raises:
        MissingPath: There is no such file.
        MalformedInput: A line is no case; file and line are named.
    """
    if not path.is_file():
        raise MissingPath("there is no such file", where=str(path))
    cases = []
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        if line.strip():
            cases.append(_case(line, number, where=f"{path}:{number}"))
    if not cases:
        raise MalformedInput("holds no cases", where=str(path))
    return cases


def _case(line: str, number: int, *, where: str) -> Case:
    try:
        plain = json.loads(line)
        return Case(
            id=str(plain.get("id", number)),
            question=plain["question"],
            answers=tuple(plain.get("answers") or ()),
            sources=tuple(_place(source) for source in plain.get("sources") or ()),
            answerable=bool(plain.get("answerable", True)),
            history=tuple(Message(role=t["role"], content=t["content"]) for t in plain.get("history") or ()),
            language=plain.get("language") or detect_language(plain["question"]),
            kind=plain.get("kind", ""),
        )
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError) as error:
        form = '{"question", "answers": [...], "sources": ["file.pdf#page=3"], "answerable": true}'
        raise MalformedInput(f"is no case: {error}", where=where, remedy=f"A case has the form {form}") from None


def _place(source: str) -> tuple[str, int | None]:
    path, _, fragment = source.partition("#")
    number = re.search(r"(?:page|slide)=(\d+)", fragment)
    return path, int(number.group(1)) if number else None


def score(
    kb: KnowledgeBase,
    cases: Sequence[Case],
    *,
    filter: SearchFilter | None = None,
    on_progress: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Ask every case and score the answers."""
    outcomes = []
    for case in cases:
        answer = kb.ask(case.question, history=case.history, filter=filter)
        outcomes.append(outcome(case, answer, lambda c: _source_text(kb, c)))
        on_progress(1)
    groups = ["all", *sorted({case.language for case in cases})]
    return Evaluation(
        outcomes=tuple(outcomes),
        figures={g: _figures([o for o in outcomes if g in ("all", o.case.language)]) for g in groups},
        first_token_ms=percentiles([o.answer.timings.first_token_ms for o in outcomes]),
    )


def _source_text(kb: KnowledgeBase, citation: Citation) -> str:
    return kb.document_text(citation.source, collection=citation.collection)


def outcome(case: Case, answer: Answer, source_text: Callable[[Citation], str]) -> Outcome:
    """Judge one answer against its case."""
    said = comparable("\n".join([answer.text, *(c.quote for c in answer.citations)]))
    applies = case.answerable and bool(case.sources)
    return Outcome(
        case=case,
        answer=answer,
        source_in_top=_any_place(case, answer.hits[:TOP], pages=False) if applies else None,
        page_in_top=_any_place(case, answer.hits[:TOP], pages=True) if applies else None,
        contained=any(comparable(a) in said for a in case.answers) if case.answerable and case.answers else None,
        cited_page=_any_place(case, answer.citations, pages=True) if applies and not answer.abstained else None,
        refused=answer.abstained,
        quotes_verbatim=all(
            source_text(c)[c.locator.start : c.locator.end] == c.quote and c.quote for c in answer.citations
        ),
    )


def _any_place(case: Case, found: Sequence[Hit] | Sequence[Citation], *, pages: bool) -> bool:
    for item in found:
        locator = item.chunk.locator if isinstance(item, Hit) else item.locator
        for path, page in case.sources:
            if item.source == path and (not pages or page is None or page in _pages(locator)):
                return True
    return False


def _pages(locator: Locator) -> range:
    first = locator.page if locator.page is not None else locator.slide
    return range(0) if first is None else range(first, (locator.page_end or first) + 1)


def comparable(text: str) -> str:
    """Return ``text`` without what may differ between a quote and an expected string: width, case and white space."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    folded = re.sub(r"(?<=\d),(?=\d{3})", "", folded)
    return re.sub(r"\s+", "", folded)


def _figures(outcomes: Sequence[Outcome]) -> dict[str, Figure]:
    answerable = [o for o in outcomes if o.case.answerable]
    columns: dict[str, list[bool | None]] = {
        f"right source in the top {TOP}": [o.source_in_top for o in answerable],
        f"right page in the top {TOP}": [o.page_in_top for o in answerable],
        "right answer": [o.contained for o in answerable],
        "right page cited, of those answered": [o.cited_page for o in answerable],
        "refused though answerable": [o.refused for o in answerable],
        "refused, of the unanswerable": [o.refused for o in outcomes if not o.case.answerable],
        "every quote verbatim": [o.quotes_verbatim for o in outcomes],
    }
    kept = {name: [float(v) for v in values if v is not None] for name, values in columns.items()}
    return {name: figure(values) for name, values in kept.items() if values}


def figure(values: Sequence[float], *, seed: int = 0) -> Figure:
    """Return the mean of ``values`` with its 95% percentile bootstrap interval (Efron 1979)."""
    chosen = random.Random(seed)
    n = len(values)
    means = sorted(sum(chosen.choices(values, k=n)) / n for _ in range(BOOTSTRAP_ROUNDS))
    low, high = means[int(0.025 * BOOTSTRAP_ROUNDS)], means[int(0.975 * BOOTSTRAP_ROUNDS)]
    return Figure(value=sum(values) / n, n=n, low=low, high=high)


def percentiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the 50th and 95th percentile."""
    if len(values) < 2:
        return (values[0], values[0]) if values else (0.0, 0.0)
    cuts = quantiles(values, n=20, method="inclusive")
    return cuts[9], cuts[18]


def report_lines(evaluation: Evaluation, *, failures: bool = False) -> Iterator[str]:
    """Yield the report as lines of text."""
    for group, figures in evaluation.figures.items():
        yield f"{group}"
        for name, f in figures.items():
            yield f"  {name:<38} {f.value:6.1%}  n={f.n:<4} [{f.low:.1%}, {f.high:.1%}]"
    p50, p95 = evaluation.first_token_ms
    yield f"first text: p50 {p50:.0f} ms, p95 {p95:.0f} ms, n={len(evaluation.outcomes)}"
    if failures:
        for o in evaluation.outcomes:
            if wrong := _wrong(o):
                yield f"\n{o.case.id}: {', '.join(wrong)}\n  {o.case.question}"
                yield f"  wanted {o.case.answers} in {o.case.sources}"
                yield f"  got {'a refusal' if o.refused else repr(o.answer.text)}"
                yield "  from " + ", ".join(f"{h.source}#{h.page}" for h in o.answer.hits[:TOP])


def _wrong(o: Outcome) -> list[str]:
    wrong = []
    if not o.case.answerable:
        return [] if o.refused else ["should have refused"]
    if o.source_in_top is False:
        wrong.append("source not found")
    if o.refused:
        wrong.append("refused")
    elif o.contained is False:
        wrong.append("wrong answer")
    elif o.cited_page is False:
        wrong.append("wrong page cited")
    return wrong
