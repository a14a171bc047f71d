"""Which examples make which step, and which of them go through the model together.

A pure function of lengths, seed and epoch, so that a run that goes on sees what the unbroken one would have seen.
Within a step examples are sorted by length and cut into batches of like length: little is padding.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm.sft.examples import Sequenced

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Examples of like length, padded at their ends.

    Attributes:
        ids: int64 (n, longest).
        at: int64 (n_learned,): places in ``ids.flatten()`` after which a learned token comes.
        wanted: int64 (n_learned,): those tokens.
        names: The examples' ids.
        n_tokens: Tokens without padding.
    """

    ids: Tensor
    at: Tensor
    wanted: Tensor
    names: tuple[str, ...]
    n_tokens: int


def steps_of(n_examples: int, *, step_examples: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the examples of each step of an epoch; the last step may have fewer."""
    order = list(range(n_examples))
    random.Random(f"{seed} {epoch}").shuffle(order)
    return [order[i : i + step_examples] for i in range(0, n_examples, step_examples)]


def batches_of(lengths: Sequence[int], chosen: Sequence[int], *, batch_tokens: int) -> list[list[int]]:
    """Cut the chosen examples into batches of at most ``batch_tokens``, padding included, shortest first."""
    batches: list[list[int]] = []
    for number in sorted(chosen, key=lambda n: (lengths[n], n)):
        if batches and (len(batches[-1]) + 1) * lengths[number] <= batch_tokens:
            batches[-1].append(number)
        else:
            batches.append([number])
    return batches


def collate(examples: Sequence[Sequenced], *, padding: int) -> Batch:
    """Put examples into one rectangle.

    Padding stands behind: a causal model's earlier tokens do not see it, so no attention mask is needed, and without
    one attention takes its fast path.
    """
    import torch

    longest = max(len(example.ids) for example in examples)
    ids = torch.full((len(examples), longest), padding, dtype=torch.long)
    at: list[int] = []
    wanted: list[int] = []
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        places = [i for i in range(1, len(example.ids)) if example.learned[i]]
        at += [row * longest + i - 1 for i in places]
        wanted += [example.ids[i] for i in places]
    return Batch(
        ids=ids,
        at=torch.tensor(at, dtype=torch.long),
        wanted=torch.tensor(wanted, dtype=torch.long),
        names=tuple(example.id for example in examples),
        n_tokens=sum(len(example.ids) for example in examples),
    )
