"""``reader``: train the reader on pairs."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from core.settings import LoadedSettings

if TYPE_CHECKING:
    from llm.reader.training import Progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the verb takes."""
    parser.add_argument("pairs", type=Path, metavar="PAIRS.jsonl", help="as `python -m llm pairs` writes them")
    parser.add_argument(
        "--held-out", type=Path, required=True, metavar="PAIRS.jsonl", help="to judge on while training"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="the reader's folder, its log and plot")
    parser.add_argument("--minutes", type=float, default=0.0, help="longest time; the schedule is fitted to it")
    parser.add_argument("--epochs", type=float, default=1.0, help="times each pair is seen (default 1)")
    parser.add_argument("--learning-rate", type=float, default=1.5e-4, help="the encoder's peak (default 1.5e-4)")
    parser.add_argument(
        "--from", dest="start", metavar="DIR", default="", help="a trained reader to train on; default: Citadel's"
    )
    parser.add_argument(
        "--frozen-layers", type=int, default=0, metavar="N", help="the encoder's first layers stay as they are"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in DIR")
    parser.add_argument(
        "--from-checkpoint", action="store_true", help="do not train: write the reader of the checkpoint"
    )


def run(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Train, go on training, or only write what was trained; return 0."""
    from core.errors import InvalidSetting
    from llm.embedders import prepare_embedder
    from llm.embedders.base import read_tokenizer
    from llm.embedders.int8 import map_words
    from llm.reader import TRACKED, check_embedder, load_network
    from llm.reader.exporting import export
    from llm.reader.network import from_embedder
    from llm.reader.pairs import read_pairs
    from llm.reader.training import CHECKPOINT, Recipe, Trainer, draw, features_of, judge_on
    from llm.reader.weights import read_manifest
    from llm.reader.windows import Framer
    from llm.registry import sha256_of

    begun = (arguments.out / CHECKPOINT).exists()
    if begun and not (arguments.resume or arguments.from_checkpoint):
        remedy = "Add --resume to go on from it, or name another folder"
        raise InvalidSetting("holds a run already", where=f"--out {arguments.out}", remedy=remedy)
    if not begun and (arguments.resume or arguments.from_checkpoint):
        remedy = "Leave --resume and --from-checkpoint out, or name the folder of a run"
        raise InvalidSetting("holds no checkpoint", where=f"--out {arguments.out}", remedy=remedy)
    if arguments.out.exists() and not arguments.out.is_dir():
        raise InvalidSetting("is a file", where=f"--out {arguments.out}", remedy="Name a folder")
    recipe = Recipe(
        learning_rate=arguments.learning_rate,
        epochs=arguments.epochs,
        minutes=arguments.minutes,
        frozen_layers=arguments.frozen_layers,
        seed=arguments.seed,
    )
    pairs, held_out = read_pairs(arguments.pairs), read_pairs(arguments.held_out)
    base = prepare_embedder(loaded.settings.embedder, loaded.settings.models_dir)
    tokenizer = read_tokenizer(base)
    framer = Framer(tokenizer)
    network, words = from_embedder(base.path, seed=arguments.seed)
    if arguments.start and not begun:
        trained = TRACKED if arguments.start == "default" else Path(arguments.start)
        check_embedder(trained, read_manifest(trained), base.sha256)
        network = load_network(trained, base.path)
    rows = [row for pair in pairs if (row := features_of(framer, pair))]
    trainer = Trainer(
        network, words, rows, recipe=recipe, folder=arguments.out, judge=judge_on(held_out, framer, words)
    )
    print(f"{len(rows):,} of {len(pairs):,} pairs in {len(trainer.batches):,} batches", file=sys.stderr)
    if not arguments.from_checkpoint:
        with _bar(len(trainer.batches)) as show:
            trainer.run(on_step=show)
    draw(arguments.out)
    made = export(
        network,
        arguments.out,
        tokenizer=tokenizer,
        words=map_words(base.path / "model.safetensors"),
        embedder=base.path,
        embedder_sha256=base.sha256,
        recipe={
            **dataclasses.asdict(recipe),
            **dataclasses.asdict(trainer.progress),
            "pairs_sha256": sha256_of(arguments.pairs),
        },
    )
    print(f"reader {made.sha256[:12]} in {arguments.out}; serve it with --set reader.model={arguments.out}")
    return 0


@contextmanager
def _bar(n_steps: int) -> Iterator[Callable[[Progress, float], None]]:
    """Show the steps with their loss on standard error."""
    from tqdm import tqdm

    with tqdm(total=n_steps, unit="step", desc="reader") as bar:

        def show(progress: Progress, loss: float) -> None:
            bar.n = progress.step
            bar.set_postfix(loss=f"{loss:.3f}")

        yield show
