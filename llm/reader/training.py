"""Train the reader on pairs, on whatever time there is: the schedule is fitted to a number of minutes.

Float32 without dropout: on processors without matrix units that is twice as fast as bfloat16 autocast and a third
faster than with dropout. Batches hold pairs of like length. A checkpoint is written every few minutes; a run that was
killed goes on from it with the same batches in the same order.
"""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
import torch
from torch import Tensor, nn

from core.errors import InvalidSetting, ModelDamaged, TrainingDiverged
from llm.reader.network import JUDGEMENTS, ReaderNetwork, Reading
from llm.reader.pairs import Pair
from llm.reader.serving import LONGEST_ANSWER
from llm.reader.windows import PAD, Framer
from llm.sft.journal import loss_plot, read_journal

CHECKPOINT = "checkpoint.pt"
LOG = "log.jsonl"
PARTS = ("start", "end", *JUDGEMENTS)
_LONGEST = 512  # positions of the encoder; a sentence may be longer than any window
_POOL = 60  # batches that are shuffled and sorted by length together


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the reader is trained.

    ``learning_rate`` is the encoder's peak, the heads' is ``heads_rate``; ``warm_up`` a share of all steps;
    ``minutes`` the longest time, 0 for all pairs ``epochs`` times. The first ``frozen_layers`` of the encoder stay as
    they are, which saves a backward pass through them; a run that goes on from a trained reader loses nothing by it.
    """

    learning_rate: float = 1.2e-4
    heads_rate: float = 6e-4
    weight_decay: float = 0.01
    warm_up: float = 0.05
    batch_tokens: int = 3072
    epochs: float = 1.0
    minutes: float = 0.0
    judgement_weight: float = 1.0
    clip: float = 1.0
    frozen_layers: int = 0
    seed: int = 0
    threads: int = 0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "heads_rate", "batch_tokens", "epochs", "clip"):
            if not getattr(self, name) > 0:
                raise InvalidSetting("has to be above 0", where=f"{name}={getattr(self, name)}")
        for name in ("minutes", "frozen_layers"):
            if not getattr(self, name) >= 0:
                raise InvalidSetting("may not be below 0", where=f"{name}={getattr(self, name)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """A pair as the network sees it: ids, first text position, span starts and ends as positions, judgements."""

    ids: tuple[int, ...]
    first: int
    question_end: int
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    judged: tuple[int, int, int]


def features_of(framer: Framer, pair: Pair) -> Features | None:
    """Return the features of a pair, or None where its span is lost between tokens or it is too long to read."""
    window = framer.frame(pair.question, pair.context, pair.text)
    if len(window.ids) > _LONGEST:
        return None
    starts, ends = [], []
    for a, b in pair.spans:
        inside = [i for i, (x, y) in enumerate(window.offsets) if x < b and y > a]
        if not inside:
            return None
        starts.append(window.first + inside[0])
        ends.append(window.first + inside[-1])
    return Features(
        ids=window.ids,
        first=window.first,
        question_end=window.question_end,
        starts=tuple(starts),
        ends=tuple(ends),
        judged=(pair.relevant, pair.holds, pair.supports),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Tensors of a batch; ``start`` and ``end`` are 0/1 targets (rows, length), all 0 where the span is not asked."""

    ids: Tensor
    mask: Tensor
    segment: Tensor
    start: Tensor
    end: Tensor
    judged: Tensor


def batch_of(rows: Sequence[Features]) -> Batch:
    """Return the rows padded to the longest."""
    longest = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), longest), PAD)
    mask, segment = torch.zeros_like(ids), torch.zeros_like(ids)
    start, end = torch.zeros(ids.shape), torch.zeros(ids.shape)
    for i, row in enumerate(rows):
        n = len(row.ids)
        ids[i, :n] = torch.tensor(row.ids)
        mask[i, :n] = 1
        segment[i, 1 : row.question_end] = 1
        segment[i, row.first : n - 1] = 2
        if row.judged[1] == 0:  # the answer is not here: both point at position 0
            start[i, 0] = end[i, 0] = 1
        for a, b in zip(row.starts, row.ends, strict=True):
            start[i, a] = 1
            end[i, b] = 1
    return Batch(
        ids=ids, mask=mask, segment=segment, start=start, end=end, judged=torch.tensor([row.judged for row in rows])
    )


def loss_of(reading: Reading, batch: Batch, *, judgement_weight: float) -> tuple[Tensor, dict[str, float]]:
    """Return the loss and its parts: the span's two cross-entropies (any of several starts counts as right), and the
    judgements' binary cross-entropies, where they are asked."""
    parts: dict[str, Tensor] = {}
    for name, logits, target in (("start", reading.start, batch.start), ("end", reading.end, batch.end)):
        asked = target.sum(1) > 0
        right = logits.masked_fill(target == 0, -1e9).logsumexp(1) - logits.logsumexp(1)
        parts[name] = -(right * asked).sum() / asked.sum().clamp(min=1)
    for i, name in enumerate(JUDGEMENTS):
        target = batch.judged[:, i]
        asked = target >= 0
        each = nn.functional.binary_cross_entropy_with_logits(
            reading.judged[:, i], target.clamp(min=0).float(), reduction="none"
        )
        # All judgements weigh alike by how many of the rows ask for them.
        parts[name] = judgement_weight * (each * asked).sum() / len(target)
    total = torch.stack(list(parts.values())).sum()
    return total, {name: part.detach().item() for name, part in parts.items()}


class Batches:
    """The batches of a run, the same for the same seed; pools keep the order of the file, roughly."""

    def __init__(self, rows: Sequence[Features], *, recipe: Recipe) -> None:
        chosen = random.Random(recipe.seed)
        self._rows = rows
        n_rows = round(len(rows) * recipe.epochs)
        order = [i % len(rows) for i in range(n_rows)]
        mean = sum(len(row.ids) for row in rows) / len(rows)
        pool = max(1, round(_POOL * recipe.batch_tokens / mean))
        self._batches: list[list[int]] = []
        for at in range(0, n_rows, pool):
            part = sorted(order[at : at + pool], key=lambda i: (len(rows[i].ids), chosen.random()))
            cut = list(_by_tokens(part, rows, recipe.batch_tokens))
            chosen.shuffle(cut)
            self._batches.extend(cut)

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, step: int) -> list[Features]:
        return [self._rows[i] for i in self._batches[step]]


def _by_tokens(order: Sequence[int], rows: Sequence[Features], limit: int) -> Iterator[list[int]]:
    batch: list[int] = []
    for i in order:
        if batch and len(rows[i].ids) * (len(batch) + 1) > limit:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


@dataclass(slots=True)
class Progress:
    """Where a run stands."""

    step: int = 0
    n_tokens: int = 0
    seconds: float = 0.0


class Trainer:
    """Trains a network on features, writing checkpoints and a log into a folder.

    Args:
        network: The reader.
        words: The frozen table of words, (n, dimension).
        rows: Features to train on.
        recipe: How.
        folder: Where the checkpoint and the log go; a checkpoint there is gone on from.
        judge: Returns figures of the network on held-out pairs; called at every checkpoint.

    Raises:
        ModelDamaged: The checkpoint cannot be read, or is of another network.
        InvalidSetting: It is of a run over other pairs.
    """

    def __init__(
        self,
        network: ReaderNetwork,
        words: Tensor,
        rows: Sequence[Features],
        *,
        recipe: Recipe,
        folder: Path,
        judge: Callable[[ReaderNetwork], dict[str, float]],
    ) -> None:
        self.network, self._words, self.recipe, self._folder, self._judge = network, words, recipe, folder, judge
        self.batches = Batches(rows, recipe=recipe)
        for layer in network.layers[: recipe.frozen_layers]:
            layer.requires_grad_(False)
        heads = [p for n, p in network.named_parameters() if not n.startswith("encoder.")]
        encoder = [p for n, p in network.named_parameters() if n.startswith("encoder.") and p.requires_grad]
        self._optimizer = torch.optim.AdamW(
            [{"params": encoder, "peak": recipe.learning_rate}, {"params": heads, "peak": recipe.heads_rate}],
            lr=recipe.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        self.progress = Progress()
        folder.mkdir(parents=True, exist_ok=True)
        self._resume()

    def run(
        self, *, checkpoint_minutes: float = 10.0, on_step: Callable[[Progress, float], None] | None = None
    ) -> None:
        """Train to the end of the pairs or of the time.

        Raises:
            TrainingDiverged: The loss or its gradient is no number; the step is named.
        """
        torch.set_num_threads(self.recipe.threads or os.cpu_count() or 1)
        self.network.train()
        last_saved = began = time.monotonic() - self.progress.seconds
        last_saved += self.progress.seconds
        smooth: dict[str, float] = {}
        while self.progress.step < len(self.batches) and self._share() < 1:
            loss, parts, n_tokens = self._step(self.batches[self.progress.step])
            self.progress.step += 1
            self.progress.n_tokens += n_tokens
            self.progress.seconds = time.monotonic() - began
            for name, part in parts.items():
                smooth[name] = 0.98 * smooth.get(name, part) + 0.02 * part
            if on_step:
                on_step(self.progress, loss)
            if self.progress.step % 50 == 0:
                self._log({"loss": round(loss, 4), **{name: round(part, 4) for name, part in smooth.items()}})
            if time.monotonic() - last_saved > 60 * checkpoint_minutes:
                self._log({"held_out": self._figures()})
                self.save()
                last_saved = time.monotonic()
        self._log({"held_out": self._figures(), "done": True})
        self.save()

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        state = {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "progress": asdict(self.progress),
            "recipe": asdict(self.recipe),
            "n_batches": len(self.batches),
        }
        path = self._folder / CHECKPOINT
        torch.save(state, path.with_suffix(".tmp"))
        path.with_suffix(".tmp").replace(path)

    def _resume(self) -> None:
        path = self._folder / CHECKPOINT
        if not path.exists():
            return
        try:
            if not is_zipfile(path):  # torch would take it for a bare pickle
                raise ValueError("it is cut short")
            state = torch.load(path, weights_only=True)
            self.network.load_state_dict(state["network"])
            self._optimizer.load_state_dict(state["optimizer"])
            self.progress = Progress(**state["progress"])
        except (OSError, EOFError, RuntimeError, KeyError, ValueError, TypeError) as error:
            remedy = "Delete it, and start the run anew"
            what = f"cannot be read ({str(error).partition(chr(10))[0][:160]})"
            raise ModelDamaged(what, where=CHECKPOINT, remedy=remedy) from error
        if state.get("n_batches", len(self.batches)) != len(self.batches):
            remedy = "Give the same pairs, epochs and seed again, or start anew in another folder"
            raise InvalidSetting("the run that goes on was begun over other pairs", where=CHECKPOINT, remedy=remedy)
        kept = [entry for entry in read_journal(self._folder) if entry["step"] <= self.progress.step]
        (self._folder / LOG).write_text("".join(json.dumps(entry) + "\n" for entry in kept), "utf-8")

    def _share(self) -> float:
        """Return how much of the run is done, by steps or by time, whichever is further."""
        by_steps = self.progress.step / max(1, len(self.batches))
        minutes = self.recipe.minutes
        return max(by_steps, self.progress.seconds / 60 / minutes if minutes else 0.0)

    def _rate(self) -> float:
        share, warm = self._share(), self.recipe.warm_up
        if share < warm:
            return (
                (self.progress.step + 1) / max(1, warm * len(self.batches)) if not self.recipe.minutes else share / warm
            )
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (share - warm) / (1 - warm))))

    def _step(self, rows: Sequence[Features]) -> tuple[float, dict[str, float], int]:
        rate = max(1e-3, self._rate())
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        batch = batch_of(rows)
        reading = self.network(self._words[batch.ids].float(), batch.mask, batch.segment)
        loss, parts = loss_of(reading, batch, judgement_weight=self.recipe.judgement_weight)
        if not math.isfinite(loss.item()):
            raise TrainingDiverged("the loss is no number", where=f"step {self.progress.step}")
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.clip)
        if not math.isfinite(norm.item()):
            raise TrainingDiverged("the gradient is no number", where=f"step {self.progress.step}")
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return loss.item(), parts, int(batch.mask.sum())

    def _figures(self) -> dict[str, float]:
        self.network.eval()
        with torch.inference_mode():
            figures = self._judge(self.network)
        self.network.train()
        return {name: round(value, 4) for name, value in figures.items()}

    def _log(self, entry: dict[str, Any]) -> None:
        line = {**asdict(self.progress), "rate": round(self._rate(), 4), **entry}
        with (self._folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")


def draw(folder: Path) -> Path:
    """Draw the losses of a run's log and return the picture's path."""
    losses = [(entry["step"], sum(entry[name] for name in PARTS)) for entry in read_journal(folder) if "loss" in entry]
    picture = folder / "loss.svg"
    picture.write_text(loss_plot(losses, [], title="Reader: running mean of the training loss"), "utf-8")
    return picture


def judge_on(
    pairs: Sequence[Pair], framer: Framer, words: Tensor, *, rows_at_once: int = 16
) -> Callable[[ReaderNetwork], dict[str, float]]:
    """Return the judge of held-out pairs: span exact match and F1 over characters, and each judgement's ROC area."""
    kept = [(pair, row) for pair in pairs if (row := features_of(framer, pair))]
    kept.sort(key=lambda each: len(each[1].ids))

    def judge(network: ReaderNetwork) -> dict[str, float]:
        overlaps: dict[str, list[float]] = {}
        scores: dict[str, list[tuple[float, int]]] = {}
        for at in range(0, len(kept), rows_at_once):
            part = kept[at : at + rows_at_once]
            batch = batch_of([row for _, row in part])
            reading = network(words[batch.ids].float(), batch.mask, batch.segment)
            for i, (pair, row) in enumerate(part):
                for name, value, target in zip(JUDGEMENTS, reading.judged[i].tolist(), row.judged, strict=True):
                    if target >= 0:
                        scores.setdefault(name, []).append((value, target))
                a, b, margin = best_span(reading.start[i].numpy(), reading.end[i].numpy())
                if pair.spans:
                    f1 = max(_overlap((a, b), gold) for gold in zip(row.starts, row.ends, strict=True))
                    overlaps.setdefault(f"span_f1_{pair.language}", []).append(f1)
                    overlaps.setdefault(f"span_em_{pair.language}", []).append(float(f1 == 1))
                if pair.holds >= 0:
                    scores.setdefault("margin", []).append((margin, pair.holds))
                    if pair.kind.endswith("altered") or pair.spans:
                        scores.setdefault("holds_altered", []).append((float(reading.judged[i, 1]), pair.holds))
        figures = {name: sum(values) / len(values) for name, values in overlaps.items()}
        return figures | {f"auc_{name}": roc_area(values) for name, values in scores.items()}

    return judge


def best_span(start: np.ndarray[Any, Any], end: np.ndarray[Any, Any]) -> tuple[int, int, float]:
    """Return the best (first, last) position of the text with its score over that of position 0, "not here"."""
    starts = np.argsort(-start[1:], kind="stable")[:20] + 1
    best = (int(starts[0]), int(starts[0]), -math.inf)
    for a in starts:
        ends = end[a : a + LONGEST_ANSWER]
        b = int(a + np.argmax(ends))
        score = float(start[a] + end[b])
        if score > best[2]:
            best = (int(a), b, score)
    return best[0], best[1], best[2] - float(start[0] + end[0])


def _overlap(found: tuple[int, int], gold: tuple[int, int]) -> float:
    shared = min(found[1], gold[1]) - max(found[0], gold[0]) + 1
    lengths = found[1] - found[0] + 1 + gold[1] - gold[0] + 1
    return max(0.0, 2 * shared / lengths)


def roc_area(scores: Sequence[tuple[float, int]]) -> float:
    """Return the area under the ROC curve: how often a right one scores above a wrong one (Hanley & McNeil 1982)."""
    right = np.array([value for value, target in scores if target == 1])
    wrong = np.array([value for value, target in scores if target == 0])
    if not len(right) or not len(wrong):
        return math.nan
    return float(np.mean((right[:, None] > wrong[None]) + 0.5 * (right[:, None] == wrong[None])))
