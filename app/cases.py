"""Cases: questions whose answers are known, as files of JSON lines hold them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.errors import MalformedInput
from core.json_lines import json_lines
from core.records import Message, SearchFilter
from core.text import detect_language

FORM = '{"question", "answers": [...], "sources": ["file.pdf#page=3"], "answerable": true}'


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A question with its accepted answers and the places (path, page or slide or None) that hold them.

    ``free_form`` answers are texts to come near to; others are facts of which the answer must hold one. ``set_name``
    and ``kind`` group the figures; ``filter`` says where to look, so that a case can be asked with the documents that
    answer it left out.
    """

    id: str
    question: str
    answers: tuple[str, ...] = ()
    sources: tuple[tuple[str, int | None], ...] = ()
    answerable: bool = True
    free_form: bool = False
    history: tuple[Message, ...] = ()
    language: str = "en"
    kind: str = ""
    set_name: str = ""
    filter: SearchFilter = field(default_factory=SearchFilter)

    def to_json(self) -> dict[str, Any]:
        """Return what :func:`case_of` reads, but for the history and the filter."""
        return {
            "id": self.id,
            "set": self.set_name,
            "kind": self.kind,
            "language": self.language,
            "question": self.question,
            "answers": list(self.answers),
            "sources": [path if page is None else f"{path}#page={page}" for path, page in self.sources],
            "answerable": self.answerable,
            "free_form": self.free_form,
        }


def read_cases(path: Path) -> list[Case]:
    """Read cases, one JSON object a line.

    Raises:
        MissingPath: There is no such file.
        MalformedInput: A line is no case, or there are none; file and line are named.
    """
    cases = [case_of(plain, number, where=f"{path}:{number}") for number, plain in json_lines(path)]
    if not cases:
        raise MalformedInput("holds no cases", where=str(path), remedy=f"A case has the form {FORM}")
    return cases


def case_of(plain: Mapping[str, Any], number: int, *, where: str) -> Case:
    """Return the case that a JSON object holds; ``number`` is its id when it has none.

    Raises:
        MalformedInput: It is no case.
    """
    try:
        question = plain["question"]
        if not isinstance(question, str) or not question.strip():
            raise ValueError("the question is empty")
        return Case(
            id=str(plain.get("id", number)),
            question=question,
            answers=_strings(plain, "answers"),
            sources=tuple(_place(source) for source in _strings(plain, "sources")),
            answerable=bool(plain.get("answerable", True)),
            free_form=bool(plain.get("free_form", False)),
            history=tuple(_turn(turn) for turn in plain.get("history") or ()),
            language=plain.get("language") or detect_language(question),
            kind=str(plain.get("kind", "")),
            set_name=str(plain.get("set", "")),
            filter=SearchFilter(collections=_strings(plain, "collections"), without=_strings(plain, "without")),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise MalformedInput(f"is no case: {what}", where=where, remedy=f"A case has the form {FORM}") from None


def _strings(plain: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = plain.get(name) or []
    if not isinstance(values, list) or not all(isinstance(value, str | int | float) for value in values):
        raise ValueError(f"{name} is no list of strings or numbers")
    return tuple(map(str, values))


def _turn(turn: Mapping[str, Any]) -> Message:
    if turn["role"] not in ("system", "user", "assistant"):
        raise ValueError(f"{turn['role']!r} is no role")
    return Message(role=turn["role"], content=str(turn["content"]))


def _place(source: str) -> tuple[str, int | None]:
    path, _, fragment = source.partition("#")
    number = re.search(r"(?:page|slide)=(\d+)", fragment)
    return path, int(number.group(1)) if number else None
