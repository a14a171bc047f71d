"""Questions about a corpus, made from its own sentences by rules, so that a firm can measure on its own documents.

Few and sure rather than many: a question is kept only when a search with it finds its own passage first, and when no
two passages would answer it differently.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from core.records import Hit, Language, place_of
from core.text import detect_language, sentence_spans
from llm.training.chinese_questions import ask_chinese
from llm.training.english_questions import ask_english
from llm.training.normalize import folded
from llm.training.question_forms import Asking
from llm.training.records import Passage, Record
from llm.training.table_questions import ask_table
from llm.training.unanswerable import swapped

ASKERS: dict[Language, Callable[[str], Iterator[Asking]]] = {"en": ask_english, "zh": ask_chinese}
_CELLS_OF_A_PASSAGE = 3
Find = Callable[[str], Sequence[Hit]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeCase:
    """A record made from a passage, with the place that a case names."""

    record: Record
    place: str

    def to_case(self) -> dict[str, Any]:
        """Return the case in the form that ``python -m app eval`` reads."""
        return {
            "id": self.record.id,
            "question": self.record.question,
            "language": self.record.language,
            "kind": self.record.kind,
            "answers": [self.record.span] if self.record.answerable else [],
            "sources": [self.place] if self.record.answerable else [],
            "answerable": self.record.answerable,
        }


def questions_of(
    passages: Sequence[Hit], *, find: Find, unanswerable: float = 0.25
) -> tuple[list[MadeCase], Counter[str]]:
    """Return the questions that the passages answer, some that none does, and why others were dropped.

    Args:
        passages: Every passage of the corpus.
        find: The search that serves.
        unanswerable: The share of all that asks for a name or code which the corpus does not hold.
    """
    dropped: Counter[str] = Counter()
    made: dict[str, MadeCase] = {}
    ambiguous: set[str] = set()
    for i, hit in enumerate(passages):
        for j, asking in enumerate(_asked_of(hit)):
            key = folded(asking.question)
            if key in ambiguous:
                continue
            if key in made:
                ambiguous.add(key)
                del made[key]
                dropped["asked of two passages"] += 1
            elif not _finds_its_own(find(asking.question), hit, asking):
                dropped["finds another passage first"] += 1
            else:
                made[key] = MadeCase(record=_record(hit, asking, id=f"corpus-{i}-{j}"), place=_place(hit))
    answerable = list(made.values())
    whole = folded("\n".join(f"{hit.chunk.embedded_text} {hit.title}" for hit in passages))
    wanted = round(len(answerable) * unanswerable / (1 - unanswerable))
    return answerable + _unanswerable(answerable, whole, wanted), dropped


def _asked_of(hit: Hit) -> Iterator[Asking]:
    """Yield the questions that rules make of a passage, with where in it the answer stands."""
    text = hit.chunk.text
    cells = list(ask_table(text, header=_carried_header(hit)))
    yield from random.Random(hit.chunk.id).sample(cells, k=min(len(cells), _CELLS_OF_A_PASSAGE))
    for start, end in sentence_spans(text):
        sentence = text[start:end]
        if " | " not in sentence:
            for asking in ASKERS[detect_language(sentence)](sentence):
                yield asking.moved(start)


def _carried_header(hit: Hit) -> str:
    return next((line for line in reversed(hit.chunk.context.split("\n")) if " | " in line), "")


def _finds_its_own(found: Sequence[Hit], hit: Hit, asking: Asking) -> bool:
    """Return whether the first passage found is of the same place and holds the answer."""
    if not found or found[0].source != hit.source or found[0].collection != hit.collection:
        return False
    at = hit.chunk.locator.start + asking.start
    return found[0].chunk.locator.start <= at < found[0].chunk.locator.end


def _record(hit: Hit, asking: Asking, *, id: str) -> Record:
    return Record(
        id=id,
        question=asking.question,
        language=detect_language(asking.question),
        kind=asking.kind,
        answer=asking.answer,
        span=hit.chunk.text[asking.start : asking.end],
        passages=(
            Passage(
                text=hit.chunk.text,
                title=hit.title,
                context=hit.chunk.context,
                source=hit.source,
                spans=((asking.start, asking.end),),
            ),
        ),
        document=hit.source,
        source=place_of(hit),
    )


def _place(hit: Hit) -> str:
    locator = hit.chunk.locator
    kind = "page" if locator.page is not None else "slide"
    return f"{hit.source}#{kind}={hit.page}" if hit.page is not None else hit.source


def _unanswerable(cases: Sequence[MadeCase], whole: str, wanted: int) -> list[MadeCase]:
    """Return cases that ask for what is not in the corpus, by its whole text folded."""
    made: list[MadeCase] = []
    for case in random.Random(len(cases)).sample(list(cases), k=len(cases)):
        if len(made) >= wanted:
            break
        record = case.record
        if question := swapped(record.question, absent_from=whole):
            unanswered = Record(
                id=f"{record.id}-absent",
                question=question,
                language=record.language,
                kind="unanswerable",
                answer="",
                answerable=False,
                passages=tuple(
                    Passage(text=p.text, title=p.title, context=p.context, source=p.source) for p in record.passages
                ),
                document=record.document,
                source=record.source,
            )
            made.append(MadeCase(record=unanswered, place=case.place))
    return made
