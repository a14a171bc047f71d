"""Where a run stands, on disk: weights, optimizer, random state and counters, enough to go on to the very same loss.

```
checkpoints/step-000120/   weights.safetensors  optimizer.safetensors  state.json
checkpoints/best.safetensors
```

A checkpoint is made beside its place and renamed, so that one that can be seen is whole; then the one before goes.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from core.errors import ModelDamaged
from llm.registry import flush_folder
from llm.sft.learning import Learner

FOLDER = "checkpoints"
_BEST = "best.safetensors"
_RANDOM = "random"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunState:
    """Counters of a run.

    Attributes:
        step: Steps done.
        seconds: Time spent on the clock, over all sittings.
        n_tokens: Tokens read, padding left out.
        best_loss: Best validation loss so far; infinite before the first look.
        best_step: The step it was measured after.
        looks: Validation losses measured.
        worse: Looks in a row without a better one.
    """

    step: int = 0
    seconds: float = 0.0
    n_tokens: int = 0
    best_loss: float = float("inf")
    best_step: int = 0
    looks: int = 0
    worse: int = 0


def save_checkpoint(
    out: Path, state: RunState, learner: Learner, optimizer: torch.optim.Optimizer, *, about: dict[str, Any]
) -> None:
    """Write a checkpoint and drop the ones before; ``about`` is the recipe and the data, compared when going on."""
    place = out / FOLDER / f"step-{state.step:06d}"
    beside = place.with_suffix(".tmp")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save_file(_weights(learner), beside / "weights.safetensors")
    save_file({**_moments(learner, optimizer), **_random_state()}, beside / "optimizer.safetensors")
    counters = {**asdict(state), "best_loss": state.best_loss if state.looks else None}
    (beside / "state.json").write_text(json.dumps({"state": counters, "about": about}, indent=1), "utf-8")
    shutil.rmtree(place, ignore_errors=True)
    beside.replace(place)
    flush_folder(place.parent)
    for old in _all(out):
        if old != place:
            shutil.rmtree(old, ignore_errors=True)


def newest(out: Path) -> Path | None:
    """Return the newest whole checkpoint of a run, or None."""
    found = _all(out)
    return found[-1] if found else None


def read_about(checkpoint: Path) -> tuple[RunState, dict[str, Any]]:
    """Return the counters of a checkpoint and what it is about.

    Raises:
        ModelDamaged: It cannot be read.
    """
    try:
        read = json.loads((checkpoint / "state.json").read_text("utf-8"))
        state = RunState(**{**read["state"], "best_loss": read["state"]["best_loss"] or 0.0})
        return (state if state.looks else replace(state, best_loss=float("inf"))), read["about"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(checkpoint, error) from error


def load_checkpoint(checkpoint: Path, learner: Learner, optimizer: torch.optim.Optimizer) -> None:
    """Put a checkpoint's weights, moments and random state back.

    Raises:
        ModelDamaged: It is cut short or is of another model.
    """
    try:
        weights = load_file(checkpoint / "weights.safetensors")
        moments = load_file(checkpoint / "optimizer.safetensors")
        load_weights(learner, weights)
        for name, weight in learner.learned_weights():
            optimizer.state[weight] = {
                part: _placed(moments[f"{part} {name}"], weight, part) for part in ("step", "exp_avg", "exp_avg_sq")
            }
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise _damaged(checkpoint, error) from error
    torch.set_rng_state(moments[_RANDOM])
    if torch.cuda.is_available() and f"{_RANDOM} cuda" in moments:
        torch.cuda.set_rng_state(moments[f"{_RANDOM} cuda"])


def save_best(out: Path, learner: Learner) -> None:
    """Keep the weights as they are as the best so far."""
    place = out / FOLDER / _BEST
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_suffix(".tmp")
    save_file(_weights(learner), beside)
    beside.replace(place)


def load_best(out: Path, learner: Learner) -> bool:
    """Put the best weights back; False where none were kept."""
    place = out / FOLDER / _BEST
    if not place.is_file():
        return False
    load_weights(learner, load_file(place))
    return True


def load_weights(learner: Learner, weights: dict[str, torch.Tensor]) -> None:
    """Set the weights that learn.

    Raises:
        ValueError: They are of another model.
    """
    own = dict(learner.learned_weights())
    if own.keys() != weights.keys() or any(own[name].shape != weights[name].shape for name in own):
        raise ValueError("the weights are of another model or recipe")
    with torch.no_grad():
        for name, weight in own.items():
            weight.copy_(weights[name])


def _all(out: Path) -> list[Path]:
    return sorted(path for path in (out / FOLDER).glob("step-??????") if path.is_dir())


def _weights(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: weight.detach().cpu().contiguous() for name, weight in learner.learned_weights()}


def _moments(learner: Learner, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    return {
        f"{part} {name}": value.detach().cpu().contiguous()
        for name, weight in learner.learned_weights()
        for part, value in optimizer.state[weight].items()
    }


def _random_state() -> dict[str, torch.Tensor]:
    state = {_RANDOM: torch.get_rng_state()}
    if torch.cuda.is_available():
        state[f"{_RANDOM} cuda"] = torch.cuda.get_rng_state()
    return state


def _placed(value: torch.Tensor, weight: torch.Tensor, part: str) -> torch.Tensor:
    return value if part == "step" else value.to(weight.device)


def _damaged(checkpoint: Path, error: Exception) -> ModelDamaged:
    remedy = "Delete it, and start the run anew in an empty folder"
    return ModelDamaged(f"cannot be read ({error})", where=f"{FOLDER}/{checkpoint.name}", remedy=remedy)
