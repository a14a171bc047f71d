"""What was prepared, counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import quantiles
from typing import Any

from app.model_commands.mining import Side
from llm.training.records import Record


def counted_records(sides: Mapping[Side, Sequence[Record]]) -> dict[str, Any]:
    """Return how many records there are on each side, and of each kind, language and file to train on."""
    training = sides["train"]
    return {
        **{side: len(records) for side, records in sides.items()},
        "answered by a sentence": sum(bool(r.span) and r.answer != r.span for r in training),
        "kinds": dict(Counter(record.kind for record in training).most_common()),
        "languages": dict(Counter(record.language for record in training).most_common()),
        "sources": dict(Counter(re.split("[:#]", record.source)[0] for record in training).most_common(30)),
    }


def counted_examples(made: Sequence[Mapping[str, Any]], count_tokens: Callable[[str], int]) -> dict[str, Any]:
    """Return how many examples there are, by kind and language, and their tokens by the generator's count."""
    prompts = [sum(count_tokens(m["content"]) for m in example["messages"][:-1]) for example in made]
    answers = [count_tokens(example["messages"][-1]["content"]) for example in made]
    return {
        "n": len(made),
        "kinds": dict(Counter(example["kind"] for example in made).most_common()),
        "languages": dict(Counter(example["language"] for example in made).most_common()),
        "tokens of prompts": _spread(prompts),
        "tokens of answers": _spread(answers),
        "tokens in all": sum(prompts) + sum(answers),
    }


def _spread(values: Sequence[int]) -> dict[str, int]:
    if len(values) < 2:
        return {"most": max(values, default=0)}
    cuts = quantiles(values, n=20, method="inclusive")
    return {"p50": round(cuts[9]), "p95": round(cuts[18]), "most": max(values)}


def summary_lines(summary: Mapping[str, Any], *, indent: str = "") -> Iterator[str]:
    """Yield the summary as lines of text."""
    for name, value in summary.items():
        if name == "options":
            continue
        if isinstance(value, dict) and any(isinstance(inner, (dict, list)) for inner in value.values()):
            yield f"{indent}{name}"
            yield from summary_lines(value, indent=f"{indent}  ")
        else:
            yield f"{indent}{name:<{26 - len(indent)}} {_shown(value)}"


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items()) or "none"
    if isinstance(value, list):
        return "; ".join(map(str, value[:5])) + (f"; and {len(value) - 5} more" if len(value) > 5 else "") or "none"
    return str(value)
