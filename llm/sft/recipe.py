"""How a generator is trained: every choice in one record, kept beside what it made."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from core.errors import InvalidSetting

Method = Literal["lora", "full", "qlora"]
Precision = Literal["fp32", "bf16"]

# Freely changed when a run goes on: they say when to stop and how often to look, not what is learned. So are those
# that a run which diverged or ran out of memory needs lower; neither changes which examples make a step.
_MAY_CHANGE = (
    "minutes",
    "epochs",
    "checkpoint_minutes",
    "evaluations",
    "patience",
    "threads",
    "learning_rate",
    "batch_tokens",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The choices of a training run.

    Attributes:
        method: lora: a few added matrices; full: all weights but the words' vectors; qlora: lora over a base held in
            4 bits, on a GPU.
        rank: Rank of the added matrices.
        alpha: What they are scaled by is ``alpha / rank``.
        dropout: Share of a matrix's input left out at random; drawing it costs time on a processor.
        targets: Names of the layers that get matrices, or "all-linear".
        max_tokens: Longest example; longer ones are left out and counted.
        step_examples: Examples whose gradients make one step.
        batch_tokens: Largest number of tokens, padding included, that go through the model at once.
        learning_rate: Highest rate of the schedule.
        warm_up: Share of the run in which the rate rises to it; then it falls as a cosine.
        weight_decay: As AdamW has it.
        clip: Largest norm of a step's gradient.
        epochs: Times each example is seen; 0: as often as there is time for.
        minutes: Longest time of the run on the clock, to which the schedule is fitted; 0: no limit.
        precision: What is multiplied in; the weights that learn stay in float32.
        validation_examples: Most examples that the validation loss is taken over.
        evaluations: Looks at the validation loss over the run.
        patience: Looks without a better loss after which the run stops; 0: never.
        checkpoint_minutes: Time between two checkpoints.
        seed: Seed of the order, the added matrices and the dropout.
        threads: Processor threads; 0: all cores.
    """

    method: Method = "lora"
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    targets: tuple[str, ...] = ("all-linear",)
    max_tokens: int = 1024
    step_examples: int = 16
    batch_tokens: int = 2048
    learning_rate: float = 5e-4
    warm_up: float = 0.04
    weight_decay: float = 0.0
    clip: float = 1.0
    epochs: float = 2.0
    minutes: float = 0.0
    precision: Precision = "fp32"
    validation_examples: int = 96
    evaluations: int = 8
    patience: int = 4
    checkpoint_minutes: float = 5.0
    seed: int = 0
    threads: int = 0

    def __post_init__(self) -> None:
        for name in ("rank", "max_tokens", "step_examples", "batch_tokens", "learning_rate", "clip"):
            if not getattr(self, name) > 0:
                raise InvalidSetting("has to be above 0", where=f"{name}={getattr(self, name)}")
        for name in ("dropout", "warm_up"):
            if not 0 <= getattr(self, name) < 1:
                raise InvalidSetting("has to be from 0 to under 1", where=f"{name}={getattr(self, name)}")
        if self.epochs <= 0 and self.minutes <= 0:
            raise InvalidSetting("the run would never end", where="epochs, minutes", remedy="Give one of them")
        if self.batch_tokens < self.max_tokens:
            remedy = "Raise batch_tokens, or lower max_tokens"
            raise InvalidSetting("an example may be longer than a batch", where="batch_tokens", remedy=remedy)

    def to_json(self) -> dict[str, Any]:
        """Return the choices as JSON values."""
        return {**asdict(self), "targets": list(self.targets)}


def differing(before: dict[str, Any], recipe: Recipe) -> list[str]:
    """Return the names of the choices that a run which goes on may not change, and that were changed."""
    now = recipe.to_json()
    return [
        field.name
        for field in fields(recipe)
        if field.name not in _MAY_CHANGE and before.get(field.name) != now[field.name]
    ]
