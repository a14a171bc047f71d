"""The model as it learns: which weights learn, and the loss of a batch."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from core.errors import InvalidSetting
from llm.adapters import WEIGHTS, Adapter
from llm.sft.recipe import Recipe

if TYPE_CHECKING:
    from llm.sft.batches import Batch

_EMBEDDINGS = ("embed_tokens", "lm_head")


class Learner(nn.Module):
    """A causal model and its loss on learned tokens alone.

    The output's matrix has 49,000 rows or more: scores are computed only after the places where a token is learned,
    a tenth of all in grounded examples, rather than everywhere as the model's own loss does.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, at: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Return (the sum of the learned tokens' losses, how many of them are the likeliest), float32 and int64."""
        causal = self.model.get_base_model() if hasattr(self.model, "peft_config") else self.model
        states = causal.model(input_ids=ids, use_cache=False).last_hidden_state
        scores = causal.lm_head(states.flatten(0, 1)[at]).float()
        return nn.functional.cross_entropy(scores, wanted, reduction="sum"), (scores.argmax(-1) == wanted).sum()

    def learned_weights(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Yield the weights that learn, by name."""
        return ((name, weight) for name, weight in self.named_parameters() if weight.requires_grad)


def learner_of(model: Any, recipe: Recipe) -> Learner:
    """Make a model ready to learn as the recipe says.

    Full training leaves the words' vectors alone: few of them occur in a small set of examples, and the rest would
    drift away from them.

    Raises:
        InvalidSetting: No layer is named as the recipe says.
    """
    torch.manual_seed(recipe.seed)
    if recipe.method == "full":
        for name, weight in model.named_parameters():
            weight.requires_grad_(not any(part in name for part in _EMBEDDINGS))
        return Learner(model)
    import peft

    untyped: Any = peft
    if recipe.method == "qlora":
        model = untyped.prepare_model_for_kbit_training(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers in a way that will go
        try:
            return Learner(untyped.get_peft_model(model, _lora(recipe)))
        except ValueError as error:
            remedy = "Name layers as the model does, such as q_proj and v_proj, or all-linear"
            raise InvalidSetting(f"no adapter fits ({error})", where="--targets", remedy=remedy) from error


def begin_with(learner: Learner, adapter: Adapter) -> None:
    """Give a learner's added matrices the values of an adapter of the same shape."""
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    weights = {name: value.float() for name, value in load_file(adapter.folder / WEIGHTS).items()}
    set_peft_model_state_dict(learner.model, weights)


def _lora(recipe: Recipe) -> Any:
    from peft import LoraConfig, TaskType

    targets: Any = recipe.targets[0] if recipe.targets == ("all-linear",) else list(recipe.targets)
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=targets,
        task_type=TaskType.CAUSAL_LM,
    )


def optimizer_of(learner: Learner, recipe: Recipe) -> torch.optim.AdamW:
    """Return AdamW over the weights that learn; vectors (norms) do not decay."""
    weights = [weight for _, weight in learner.learned_weights()]
    groups = [
        {"params": [w for w in weights if w.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [w for w in weights if w.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=recipe.learning_rate)


def loss_of(learner: nn.Module, batch: Batch, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the loss and hits of a batch, moved to the device."""
    loss, hits = learner(batch.ids.to(device), batch.at.to(device), batch.wanted.to(device))
    return loss, hits
