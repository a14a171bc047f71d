"""QuAC: follow-ups over one passage, their questions and answers numbered in one text each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

from core.errors import MalformedInput
from core.records import Message
from llm.training.readers import attempt, spans_of
from llm.training.records import Passage, Record
from llm.training.rewording import sentence

_QUESTION = re.compile(r"^question(\d+):\s*(.*)$", re.M)
_ANSWERS = re.compile(r"^possible answers for question(\d+):\n(.*?)(?=^possible answers for question|\Z)", re.M | re.S)
# What those who asked saw and no reader of documents does.
_OF_THE_TASK = re.compile(
    r"\b(?:this|the) (?:article|passage|section|text)\b|interesting (?:aspect|fact|information)", re.I
)
_NONE = "CANNOTANSWER"


def fits(item: dict[str, Any]) -> bool:
    """Return whether an item is a dialogue."""
    return "passage" in item and str(item.get("question", "")).startswith("question1:")


def read(item: dict[str, Any], where: str) -> Iterator[Record | MalformedInput]:
    """Yield a record a turn; the turns before it are its history."""
    text = item["passage"].strip()
    questions = dict(_QUESTION.findall(item["question"]))
    answers = {number: said.strip() for number, said in _ANSWERS.findall(item["answer"])}
    if not questions or questions.keys() != answers.keys():
        raise ValueError("its questions and answers are not numbered alike")
    history: tuple[Message, ...] = ()
    for number, question in questions.items():
        place = f"{where}/{number}"
        made = attempt(partial(_turn, text, question, answers[number], history, place), place)
        if isinstance(made, MalformedInput) or not _OF_THE_TASK.search(question):
            yield made
        if isinstance(made, Record):
            said = made.answer if made.answerable else ""
            history = (*history, Message(role="user", content=question), Message(role="assistant", content=said))


def _turn(text: str, question: str, said: str, history: tuple[Message, ...], where: str) -> Record:
    found = chosen(text, said)
    spans = spans_of(text, [found], [text.find(found)]) if found else ()
    passage = Passage(text=text, spans=spans)
    found = text[slice(*spans[0])] if spans else ""
    return Record(
        id=where,
        question=question,
        language="en",
        kind="chat" if found else "unanswerable",
        answer=sentence(question, [found], passage=passage, language="en") if found else "",
        span=found,
        answerable=bool(found),
        passages=(passage,),
        history=history,
        document=text,
        source=where,
    )


def chosen(text: str, said: str) -> str:
    """Return the shortest of the answers of several people, "" where most found none.

    They stand in one line with nothing but a space between them; each is a part of the passage.

    Raises:
        ValueError: They cannot be told apart.
    """
    answers = _parted(text, said)
    n_none = answers.count(_NONE)
    if 2 * n_none > len(answers):
        return ""
    spoken = [answer for answer in answers if answer != _NONE]
    return min(spoken, key=len) if spoken else ""


def _parted(text: str, said: str) -> list[str]:
    words = said.split(" ")
    # best[i]: the fewest parts that words[i:] can be cut into, by where the first one ends
    best: list[tuple[float, int]] = [(float("inf"), 0)] * len(words) + [(0.0, 0)]
    for i in range(len(words) - 1, -1, -1):
        if words[i] == _NONE:
            best[i] = best[i + 1][0] + 1, i + 1
            continue
        at = 0  # a longer part is found no earlier than the shorter one it begins with
        for j in range(i + 1, len(words) + 1):
            at = text.find(" ".join(words[i:j]), at)
            if at < 0:
                break
            best[i] = min(best[i], (best[j][0] + 1, j))
    if best[0][0] == float("inf"):
        raise ValueError("its answers are not parts of the passage")
    parts, i = [], 0
    while i < len(words):
        j = best[i][1]
        parts.append(" ".join(words[i:j]))
        i = j
    return [part for part in parts if part]
