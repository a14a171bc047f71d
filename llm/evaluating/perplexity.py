"""Perplexity of a causal model over texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from llm.evaluating.figures import bootstrap

LONGEST_TOKENS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Perplexity:
    """Perplexity of ``n`` texts of ``n_tokens`` predicted tokens, with its 95% interval, the texts being drawn."""

    value: float
    n: int
    n_tokens: int
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        """Return the perplexity rounded."""
        rounded = {name: round(getattr(self, name), 4) for name in ("value", "low", "high")}
        return {**rounded, "n": self.n, "n_tokens": self.n_tokens}


def perplexity(model: Any, tokenizer: Any, texts: Sequence[str], *, longest: int = LONGEST_TOKENS) -> Perplexity:
    """Return the perplexity of ``texts``, each read on its own from its first token, cut at ``longest`` tokens.

    Args:
        model: A transformers causal model.
        tokenizer: Its tokenizer.
        texts: One or more texts of at least two tokens; shorter ones are left out.
        longest: Tokens of each text that are read.

    Raises:
        ValueError: No text has two tokens.
    """
    import torch

    losses: list[tuple[float, int]] = []
    for text in texts:
        ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"][:longest]], dtype=torch.long)
        n = ids.shape[1] - 1
        if n > 0:
            with torch.inference_mode():
                losses.append((n * float(model(input_ids=ids, labels=ids).loss), n))
    if not losses:
        raise ValueError("no text has two tokens")
    total, n_tokens = (sum(column) for column in zip(*losses, strict=True))
    low, high = bootstrap(losses, lambda drawn: drawn[..., 0].sum(-1) / drawn[..., 1].sum(-1))
    return Perplexity(
        value=math.exp(total / n_tokens), n=len(losses), n_tokens=int(n_tokens), low=math.exp(low), high=math.exp(high)
    )
