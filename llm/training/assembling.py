"""Examples -> what is written: refusals in their share, and pairs for preference training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from core.records import Message
from llm.training.records import Record

_REFUSED = ("absent", "unanswerable")
_Json = Mapping[str, Any]


def balanced(examples: Sequence[_Json], *, refusals: float) -> list[_Json]:
    """Return the examples without the last of those whose passage was taken away, where too many are refused.

    Answers fall away while examples are made, refusals hardly do.
    """
    n_refused = sum(example["kind"] in _REFUSED for example in examples)
    allowed = round((len(examples) - n_refused) * refusals / (1 - refusals)) if refusals < 1 else n_refused
    surplus = max(0, n_refused - allowed)
    absent = [i for i, example in enumerate(examples) if example["kind"] == "absent"]
    left_out = set(absent[-surplus:]) if surplus else set()
    return [example for i, example in enumerate(examples) if i not in left_out]


def pairs(records: Sequence[Record], examples: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the preference pairs of records, in TRL's form: a prompt with a chosen and a rejected answer.

    Args:
        records: Those that have a rejected answer give a pair.
        examples: The grounded prompts of those that have passages.
    """
    built = {example["id"]: example["messages"] for example in examples}
    for record in records:
        if record.rejected and record.kind == "preference":
            prompt = [*(_plain(turn) for turn in record.history), {"role": "user", "content": record.question}]
            yield _pair(prompt, record.answer, record.rejected)
        elif record.rejected and record.id in built:
            *grounded, answer = built[record.id]
            yield _pair(grounded, answer["content"], record.rejected)


def _plain(message: Message) -> dict[str, str]:
    return {"role": message.role, "content": message.content}


def _pair(prompt: Sequence[dict[str, str]], chosen: str, rejected: str) -> dict[str, Any]:
    return {
        "prompt": list(prompt),
        "chosen": [{"role": "assistant", "content": chosen}],
        "rejected": [{"role": "assistant", "content": rejected}],
    }
