"""QED: a question, a tokenized paragraph, and the spans that answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from core.errors import MalformedInput
from llm.training.detokenize import detokenize
from llm.training.readers import spans_of
from llm.training.records import Passage, Record
from llm.training.rewording import joined, kind_of, sentence


def fits(item: dict[str, Any]) -> bool:
    """Return whether an item is of QED."""
    return {"question_text", "paragraph_text", "answer_spans"} <= item.keys()


def read(item: dict[str, Any], where: str) -> Iterator[Record | MalformedInput]:
    """Yield the record."""
    tokenized = item["paragraph_text"]
    spans = spans_of(tokenized, item["answer_text"], [start for start, _ in item["answer_spans"]])
    text, places = detokenize(tokenized)
    spans = spans_of(text, [text[places[a] : places[b]] for a, b in spans], [places[a] for a, _ in spans])
    passage = Passage(text=text, title=item.get("title_text", ""), spans=spans)
    question, _ = detokenize(item["question_text"])
    answers = [text[start:end] for start, end in spans]
    yield Record(
        id=where,
        question=question,
        language="en",
        kind=kind_of(answers),
        answer=sentence(question, answers, passage=passage, language="en"),
        span=joined(answers, language="en"),
        passages=(passage,),
        document=passage.title or text,
        source=where,
    )
