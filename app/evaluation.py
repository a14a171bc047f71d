"""Ask cases whose answers are known and score what comes back; every figure is a mean over the cases it applies to."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.cases import Case, case_of
from app.knowledge_base import KnowledgeBase
from core.errors import MalformedInput
from core.json_lines import json_lines
from core.records import Answer, Citation, Hit, Locator, SearchFilter
from llm.evaluating import answers as answer_scores
from llm.evaluating.rankings import ndcg_at, recall_at, reciprocal_rank

TOP = 5
SOURCE_FOUND = f"right source in the top {TOP}"
PAGE_FOUND = f"right page in the top {TOP}"
RIGHTLY = "answered or refused rightly"
RIGHT = "right answer"
CONTAINED = "answer contained"
F1 = "F1"
RIGHT_CITED = "right page cited, of those answered"
FIRST_RIGHT = "first citation right, of those answered"
FALSE_REFUSAL = "refused though answerable"
REFUSED = "refused, of the unanswerable"
REFUSAL_RIGHT = "unanswerable, of those refused"
VERBATIM = "every quote verbatim"
TIMINGS = ("retrieve_ms", "first_token_ms", "total_ms")

_Place = tuple[str, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a case: the answer in the shape of the public interface, and its scores.

    ``scores`` are in [0, 1], by name; those that do not apply to the case are left out.
    """

    case: Case
    answer: Mapping[str, Any]
    scores: Mapping[str, float]

    @property
    def abstained(self) -> bool:
        """Whether the documents were said not to hold the answer."""
        return bool(self.answer["abstained"])

    @property
    def confidence(self) -> float | None:
        """The probability that the passages answer, where one was estimated."""
        value = self.answer.get("confidence")
        return None if value is None else float(value)

    def timing(self, name: str) -> float:
        """Return "retrieve_ms", "first_token_ms" or "total_ms"."""
        return float(self.answer["timings"][name])

    def to_json(self) -> dict[str, Any]:
        """Return the line of a results file."""
        rounded = {name: round(value, 4) for name, value in self.scores.items()}
        return {**self.case.to_json(), "scores": rounded, "answer": dict(self.answer)}


def read_outcomes(path: Path) -> list[Outcome]:
    """Read a results file, one JSON object a line, as :meth:`Outcome.to_json` makes them.

    Raises:
        MissingPath: There is no such file.
        MalformedInput: A line is no result, or there are none; file and line are named.
    """
    outcomes = [_read(plain, number, where=f"{path}:{number}") for number, plain in json_lines(path)]
    if not outcomes:
        raise MalformedInput("holds no results", where=str(path))
    return outcomes


def _read(plain: Any, number: int, *, where: str) -> Outcome:
    case = case_of(plain, number, where=where)
    try:
        scores = {str(name): float(value) for name, value in plain["scores"].items()}
        outcome = Outcome(case=case, answer=plain["answer"], scores=scores)
        _ = outcome.abstained, outcome.confidence, [outcome.timing(name) for name in TIMINGS], outcome.answer["answer"]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise MalformedInput(
            f"is no result: {error!r}", where=where, remedy="Results are what an evaluation writes with --out"
        ) from None
    return outcome


def score(kb: KnowledgeBase, cases: Iterable[Case], *, filter: SearchFilter | None = None) -> Iterator[Outcome]:
    """Ask every case and yield its outcome; ``filter`` holds for the cases that bring none of their own."""
    for case in cases:
        scope = case.filter if case.filter != SearchFilter() else filter
        answer = kb.ask(case.question, history=case.history, filter=scope)
        yield outcome(case, answer, lambda c: kb.document_text(c.source, collection=c.collection))


def outcome(case: Case, answer: Answer, source_text: Callable[[Citation], str]) -> Outcome:
    """Judge one answer against its case; ``source_text`` returns the whole text of what a citation names."""
    verbatim = all(source_text(c)[c.locator.start : c.locator.end] == c.quote and c.quote for c in answer.citations)
    scores = {
        **(_retrieval_scores(case, answer.hits) if case.answerable and case.sources else {}),
        **(_answer_scores(case, answer) if case.answerable and case.answers else {}),
        **(_citation_scores(case, answer) if case.answerable and case.sources and not answer.abstained else {}),
        FALSE_REFUSAL if case.answerable else REFUSED: float(answer.abstained),
        **({REFUSAL_RIGHT: float(not case.answerable)} if answer.abstained else {}),
        VERBATIM: float(verbatim),
    }
    decided = scores.get(RIGHT if case.answerable else REFUSED)
    if decided is not None and not case.free_form:
        scores = {RIGHTLY: decided, **scores}
    return Outcome(case=case, answer=answer.to_json(), scores=scores)


def _retrieval_scores(case: Case, hits: Sequence[Hit]) -> dict[str, float]:
    """Score the ranking; a hit stands for the gold place that it touches, and else for itself."""
    ranking: list[Hashable] = [_gold_place(case, hit) or hit.chunk.id for hit in hits]
    gold: frozenset[Hashable] = frozenset(case.sources)
    return {
        SOURCE_FOUND: float(any(hit.source == path for hit in hits[:TOP] for path, _ in case.sources)),
        PAGE_FOUND: float(not gold.isdisjoint(ranking[:TOP])),
        "recall@1": recall_at(ranking, gold, k=1),
        f"recall@{TOP}": recall_at(ranking, gold, k=TOP),
        f"nDCG@{TOP}": ndcg_at(ranking, gold, k=TOP),
        "reciprocal rank": reciprocal_rank(ranking, gold),
    }


def _answer_scores(case: Case, answer: Answer) -> dict[str, float]:
    """Score the text; a refusal to an answerable question says nothing right."""
    text = "" if answer.abstained else answer.text
    said = comparable("\n".join([text, *(c.quote for c in answer.citations)]))
    facts = {
        RIGHT: float(any(wanted in said for a in case.answers if (wanted := comparable(a)))),
        CONTAINED: answer_scores.contained(text, case.answers),
        "exact match": answer_scores.exact_match(text, case.answers),
    }
    chinese = case.language == "zh"
    return {
        **({} if case.free_form else facts),
        F1: answer_scores.token_f1(text, case.answers),
        **({"longest run F1": answer_scores.lcs_f1(text, case.answers)} if chinese else {}),
        "ROUGE-L": answer_scores.rouge_l(text, case.answers),
        "BLEU": answer_scores.bleu(text, case.answers, language="zh" if chinese else "en"),
        "METEOR": answer_scores.meteor(text, case.answers),
    }


def _citation_scores(case: Case, answer: Answer) -> dict[str, float]:
    cited = [_gold_place(case, citation) for citation in answer.citations]
    right = [place is not None for place in cited]
    return {
        RIGHT_CITED: float(any(right)),
        FIRST_RIGHT: float(bool(right) and right[0]),
        **({"citation precision": sum(right) / len(right)} if right else {}),
        "citation recall": len({place for place in cited if place}) / len(set(case.sources)),
    }


def _gold_place(case: Case, item: Hit | Citation) -> _Place | None:
    """Return the first gold place that a passage or quote touches."""
    locator = item.chunk.locator if isinstance(item, Hit) else item.locator
    for path, page in case.sources:
        if item.source == path and (page is None or page in _pages(locator)):
            return path, page
    return None


def _pages(locator: Locator) -> range:
    first = locator.page if locator.page is not None else locator.slide
    return range(0) if first is None else range(first, (locator.page_end or first) + 1)


def comparable(text: str) -> str:
    """Return ``text`` without what may differ between a quote and an expected string: width, case and white space."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    folded = re.sub(r"(?<=\d),(?=\d{3})", "", folded)
    return re.sub(r"\s+", "", folded)
