"""``python -m llm sft``."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from core.settings import LoadedSettings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``sft`` takes."""
    from llm.sft.recipe import Recipe

    parser.add_argument("examples", type=Path, metavar="TRAIN.jsonl", help='objects with "messages"; the last answers')
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder that is made")
    parser.add_argument("--validation", type=Path, metavar="FILE", help="examples to validate on (default: a fiftieth)")
    parser.add_argument("--base", metavar="MODEL", help="name, GGUF file or folder (default: generator.model)")
    parser.add_argument(
        "--from", dest="start", metavar="DIR", help="an adapter to train on; default: the one that comes with Citadel"
    )
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint in DIR")
    parser.add_argument("--keep-checkpoints", action="store_true", help="leave them in DIR when the run has ended")
    plain = Recipe()
    for field in fields(Recipe):
        add_recipe_option(parser, field.name, getattr(plain, field.name))


def add_recipe_option(parser: argparse.ArgumentParser, name: str, default: Any) -> None:
    """Add one choice of the recipe as an option."""
    option, about = f"--{name.replace('_', '-')}", _ABOUT[name]
    choices = {"method": ("lora", "full", "qlora"), "precision": ("fp32", "bf16")}.get(name)
    if name == "targets":
        parser.add_argument(option, nargs="+", default=list(default), metavar="LAYER", help=about)
    else:
        shown = None if choices else {int: "N", float: "X"}[type(default)]
        kind = type(default)
        parser.add_argument(
            option, type=kind, default=default, choices=choices, metavar=shown, help=f"{about} (default: {default})"
        )


_ABOUT = {
    "method": "added matrices, all weights, or added matrices over a 4-bit base on a GPU",
    "rank": "rank of the added matrices",
    "alpha": "they are scaled by alpha / rank",
    "dropout": "share of their input left out; costs time on a processor",
    "targets": "layers that get them (default: all-linear)",
    "max_tokens": "longest example; longer ones are left out",
    "step_examples": "examples of one step",
    "batch_tokens": "most tokens, padding included, that go through the model at once",
    "learning_rate": "highest rate of the cosine schedule",
    "warm_up": "share of the run in which the rate rises",
    "weight_decay": "weight decay of AdamW",
    "clip": "largest norm of a step's gradient",
    "epochs": "times each example is seen; 0: as often as there is time for",
    "minutes": "longest time, to which the schedule is fitted; 0: no limit",
    "precision": "what is multiplied in; fp32 is the faster on processors without matrix units",
    "validation_examples": "most examples that the validation loss is taken over",
    "evaluations": "looks at the validation loss over the run",
    "patience": "looks without a better loss after which the run stops; 0: never",
    "checkpoint_minutes": "minutes between two checkpoints",
    "seed": "seed of the order, the added matrices and the dropout",
    "threads": "processor threads; 0: all cores",
}


def run(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Train the generator and say what came of it."""
    from llm.adapters import SHIPPED
    from llm.sft.recipe import Recipe
    from llm.sft.tuning import tune

    choices = {field.name: getattr(arguments, field.name) for field in fields(Recipe)}
    recipe = Recipe(**{**choices, "targets": tuple(choices["targets"])})
    settings = loaded.settings
    figures = tune(
        arguments.examples,
        out=arguments.out,
        base=arguments.base or settings.generator.model,
        models_dir=settings.models_dir,
        recipe=recipe,
        validation=arguments.validation,
        start=SHIPPED if arguments.start == "default" else Path(arguments.start) if arguments.start else None,
        template=settings.generator.template,
        resume=arguments.resume,
        keep_checkpoints=arguments.keep_checkpoints,
    )
    if figures:
        print(
            f"{figures['step']} steps, {figures['n_tokens']:,} tokens, {figures['seconds'] / 60:.1f} minutes; "
            f"best validation loss {figures['best_loss']:.4f} after step {figures['best_step']}"
        )
        setting = "generator.model" if recipe.method == "full" else "generator.adapter"
        print(f"written to {arguments.out}; use it with --set {setting}={arguments.out}")
    return 0
