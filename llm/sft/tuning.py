"""From files of examples to a trained adapter: what ``python -m llm sft`` does."""

from __future__ import annotations

import logging
import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.errors import InvalidSetting, MalformedInput
from llm.adapters import MANIFEST, Adapter, read_adapter
from llm.sft.bases import Base, open_base
from llm.sft.checkpoints import FOLDER, newest, read_about
from llm.sft.examples import Example, Sequenced, file_sha256, part_off, read_examples, sequence
from llm.sft.recipe import Recipe, differing

log = logging.getLogger(__name__)

_VALIDATION_SHARE = 0.02
_SHAPE = ("rank", "alpha", "targets")


def tune(
    training: Path,
    *,
    out: Path,
    base: str,
    models_dir: Path,
    recipe: Recipe,
    validation: Path | None = None,
    start: Path | None = None,
    template: str = "auto",
    resume: bool = False,
    keep_checkpoints: bool = False,
) -> dict[str, Any]:
    """Train a base on examples and return the figures of the run.

    Args:
        training: Examples, JSON lines.
        out: The folder that is made; in the end it holds the adapter, its manifest, the log and the loss plot.
        base: A registered name, a GGUF file or a folder.
        models_dir: Where fetched models are kept.
        recipe: The choices.
        validation: Examples to validate on; without them a fiftieth of the training examples is parted off.
        start: An adapter of this base and of the recipe's shape to train on; None begins with none.
        template: The chat template's name; "auto": by what the model says of itself.
        resume: Whether to go on from the newest checkpoint in ``out``.
        keep_checkpoints: Whether the checkpoints stay when the run has ended.

    Raises:
        UsageError: A file is malformed or missing, or ``out`` holds another run.
        ModelError: The base is missing or unfit.
        TrainingError: The loss is no number, or memory is out.
    """
    import torch

    checkpoint = _check_out(out, resume=resume)
    examples, looked_at = _examples(training, validation, recipe)
    torch.set_num_threads(recipe.threads or os.cpu_count() or 1)
    opened = open_base(base, models_dir, template=template, method=recipe.method)
    begun_with = _fitting(start, opened, recipe) if start else None
    about = _about(opened, recipe, training, validation, n_training=len(examples), n_validation=len(looked_at))
    about |= {"start": begun_with.fingerprint} if begun_with else {}
    if checkpoint:
        _check_same(read_about(checkpoint)[1], about, recipe)
    learned = _sequenced(examples, opened, recipe, source=training)
    looked = _sequenced(looked_at, opened, recipe, source=validation or training)
    figures = _run(opened, recipe, learned, looked, start=begun_with, out=out, about=about, resume=resume)
    if figures and not keep_checkpoints:
        shutil.rmtree(out / FOLDER, ignore_errors=True)
    return figures


def _run(
    base: Base,
    recipe: Recipe,
    learned: Sequence[Sequenced],
    looked: Sequence[Sequenced],
    *,
    start: Adapter | None,
    out: Path,
    about: dict[str, Any],
    resume: bool,
) -> dict[str, Any]:
    from llm.sft.learning import begin_with, learner_of
    from llm.sft.results import write_result
    from llm.sft.running import Run

    learner = learner_of(base.model, recipe)
    if start:
        begin_with(learner, start)
    padding = base.tokenizer.pad_token_id or base.tokenizer.eos_token_id or 0
    run = Run(
        learner, recipe, training=learned, validation=looked, padding=padding, out=out, about=about, resume=resume
    )
    state = run.go()
    figures = {**asdict(state), "validation_loss": state.best_loss}
    run.accelerator.wait_for_everyone()
    if not run.accelerator.is_main_process:
        return {}
    write_result(out, learner, base, recipe, about={**about, "figures": figures})
    return figures


def _fitting(start: Path, base: Base, recipe: Recipe) -> Adapter:
    """Return the adapter to train on.

    Raises:
        InvalidSetting: It has another shape than the recipe says, or the recipe makes none.
        ModelError: It is missing, damaged or of another base.
    """
    adapter = read_adapter(start)
    adapter.check_base(base.sha256, name=base.name)
    changed = differing({**recipe.to_json(), **{name: adapter.manifest["recipe"][name] for name in _SHAPE}}, recipe)
    if changed or recipe.method == "full":
        what = f"is an adapter of another shape ({', '.join(changed) or 'and all weights are to be trained'})"
        raise InvalidSetting(what, where=f"--from {start}", remedy="Give the options that it was trained with")
    return adapter


def _check_out(out: Path, *, resume: bool) -> Path | None:
    """Return the checkpoint to go on from, or None for a new run."""
    if out.exists() and not out.is_dir():
        raise InvalidSetting("is a file", where=str(out), remedy="Name a folder with --out")
    if (out / MANIFEST).exists():
        raise InvalidSetting("holds a finished run", where=str(out), remedy="Name another folder with --out")
    checkpoint = newest(out)
    if checkpoint and not resume:
        remedy = "Go on with --resume, or name another folder with --out"
        raise InvalidSetting("holds a run that has not ended", where=str(out), remedy=remedy)
    if resume and not checkpoint:
        raise InvalidSetting("holds no checkpoint to go on from", where=str(out), remedy="Leave --resume out")
    return checkpoint


def _examples(training: Path, validation: Path | None, recipe: Recipe) -> tuple[list[Example], list[Example]]:
    examples = read_examples(training)
    if validation is None:
        examples, looked_at = part_off(examples, share=_VALIDATION_SHARE, seed=recipe.seed)
    else:
        looked_at = read_examples(validation)
        shared = {example.messages for example in examples} & {example.messages for example in looked_at}
        if shared:
            remedy = "Take them out of one of the two"
            what = f"{len(shared)} of its examples are training examples too"
            raise MalformedInput(what, where=validation.name, remedy=remedy)
    if len(looked_at) > recipe.validation_examples:
        looked_at = random.Random(recipe.seed).sample(looked_at, recipe.validation_examples)
    return examples, looked_at


def _sequenced(examples: Sequence[Example], base: Base, recipe: Recipe, *, source: Path) -> list[Sequenced]:
    every = [
        sequence(example, base.tokenizer, base.template, control_tokens=base.control_tokens) for example in examples
    ]
    kept = [one for one in every if len(one.ids) <= recipe.max_tokens]
    if len(kept) < len(every):
        log.warning("%d of %d examples are longer than %d tokens and are left out",
                    len(every) - len(kept), len(every), recipe.max_tokens)  # fmt: skip
    if not kept:
        remedy = "Raise --max-tokens and --batch-tokens"
        raise MalformedInput(
            f"every example is longer than {recipe.max_tokens} tokens", where=source.name, remedy=remedy
        )
    return kept


def _about(
    base: Base, recipe: Recipe, training: Path, validation: Path | None, *, n_training: int, n_validation: int
) -> dict[str, Any]:
    """Return what the run is of, without any path of this machine."""
    named = {"name": training.name, "sha256": file_sha256(training), "n_examples": n_training}
    looked_at = validation or training
    return {
        "base": {"name": base.name, "sha256": base.sha256},
        "template": base.template.name,
        "recipe": recipe.to_json(),
        "training": named,
        "validation": {"name": looked_at.name, "sha256": file_sha256(looked_at), "n_examples": n_validation},
    }


def _check_same(before: dict[str, Any], now: dict[str, Any], recipe: Recipe) -> None:
    changed = [f"recipe: {name}" for name in differing(before["recipe"], recipe)]
    changed += [
        name for name in ("base", "template", "training", "validation", "start") if before.get(name) != now.get(name)
    ]
    if changed:
        remedy = "Give the same again, or start anew in another folder"
        raise InvalidSetting(
            f"the run that goes on was begun otherwise ({', '.join(changed)})", where="--resume", remedy=remedy
        )
