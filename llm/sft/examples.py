"""Training examples: conversations in JSON lines -> token ids, and which of them are learned.

The prompt's ids are those that serving puts to the model: the same template, the same neutralising of control tokens,
the same tokenizer. What is learned is what the model has to write: the assistant's words and the token that ends them.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import MalformedInput
from core.json_lines import json_lines
from core.records import Message
from llm.templates import ChatTemplate, render

_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A conversation that ends with the assistant's turn."""

    id: str
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequenced:
    """An example as token ids; ``learned[i]`` says whether ``ids[i]`` is one that the model has to write."""

    id: str
    ids: tuple[int, ...]
    learned: tuple[bool, ...]

    @property
    def n_learned(self) -> int:
        """How many of the ids are learned."""
        return sum(self.learned)


def read_examples(path: Path) -> list[Example]:
    """Read the examples of a JSON-lines file: objects with ``messages`` and, if they like, an ``id``.

    Raises:
        MissingPath: There is no such file.
        MalformedInput: A line is no such object, named by file and line; or the file holds none.
    """
    examples = [_example(raw, where=f"{path.name}:{n}") for n, raw in json_lines(path)]
    if not examples:
        raise MalformedInput("holds no example", where=path.name, remedy="Make some with `python -m llm prepare`")
    return examples


def _example(raw: Any, *, where: str) -> Example:
    turns = raw.get("messages") if isinstance(raw, dict) else None
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise MalformedInput('has no list of "messages"', where=where)
    messages = []
    for turn in turns:
        role, content = turn.get("role"), turn.get("content")
        if role not in _ROLES or not isinstance(content, str):
            raise MalformedInput(f'a message needs a "role" of {", ".join(_ROLES)} and a "content" text', where=where)
        messages.append(Message(role=role, content=content))
    if [m.role for m in messages[-2:]] != ["user", "assistant"] or not messages[-1].content.strip():
        raise MalformedInput("the last two messages have to be the user's and the assistant's answer", where=where)
    return Example(id=str(raw.get("id") or where), messages=tuple(messages))


def sequence(
    example: Example, tokenizer: Any, template: ChatTemplate, *, control_tokens: Sequence[str] = ()
) -> Sequenced:
    """Return an example as token ids.

    Raises:
        MalformedInput: Its turns are in an order that the template cannot say.
    """
    turns = example.messages
    prompt = render(turns[:-1], template, control_tokens=control_tokens)
    whole = render(turns, template, add_generation_prompt=False, control_tokens=control_tokens)
    answer = _to_stop(whole[len(prompt) :], template)
    encoded = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
    ids: list[int] = list(encoded["input_ids"])
    earlier = list(_earlier_answers(turns, template, control_tokens))
    learned = [any(a <= start < end <= b for a, b in earlier) for start, end in encoded["offset_mapping"]]
    answer_ids = _answer_ids(tokenizer, prompt, ids, answer)
    return Sequenced(id=example.id, ids=(*ids, *answer_ids), learned=(*learned, *[True] * len(answer_ids)))


def _answer_ids(tokenizer: Any, prompt: str, prompt_ids: list[int], answer: str) -> list[int]:
    """Return the ids the model has to write after ``prompt_ids``, which are never cut otherwise than when serving."""
    whole = list(tokenizer(prompt + answer, add_special_tokens=False)["input_ids"])
    if whole[: len(prompt_ids)] == prompt_ids:
        return whole[len(prompt_ids) :]
    return list(tokenizer(answer, add_special_tokens=False)["input_ids"])


def _earlier_answers(
    turns: Sequence[Message], template: ChatTemplate, control_tokens: Sequence[str]
) -> Iterator[tuple[int, int]]:
    """Yield the ``[start, end)`` characters of the assistant's earlier turns in the prompt."""
    for n, turn in enumerate(turns[:-1]):
        if turn.role == "assistant" and n and turns[n - 1].role == "user":
            start = len(render(turns[:n], template, control_tokens=control_tokens))
            written = render(turns[: n + 1], template, add_generation_prompt=False, control_tokens=control_tokens)
            yield start, start + len(_to_stop(written[start:], template))


def _to_stop(text: str, template: ChatTemplate) -> str:
    """Return an answer up to the end of the token that ends its turn."""
    ends = [at + len(stop) for stop in template.stop if (at := text.find(stop)) >= 0]
    return text[: min(ends)] if ends else text


def part_off(examples: Sequence[Example], *, share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """Return (training, validation), the latter a random ``share`` of the examples and at least one.

    Raises:
        MalformedInput: There are not two examples.
    """
    if len(examples) < 2:
        raise MalformedInput("one example cannot be both trained on and validated on", remedy="Name --validation")
    chosen = set(random.Random(seed).sample(range(len(examples)), max(1, round(share * len(examples)))))
    kept = [example for n, example in enumerate(examples) if n not in chosen]
    return kept, [examples[n] for n in sorted(chosen)]


def file_sha256(path: Path) -> str:
    """Return the sha256 of a small file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
