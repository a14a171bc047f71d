"""The run: steps over examples, looks at the validation loss, checkpoints, and an end by steps, clock or patience."""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from tqdm import tqdm

from core.errors import TrainingDiverged, TrainingMemory
from llm.sft.batches import Batch, batches_of, collate, steps_of
from llm.sft.checkpoints import RunState, load_best, load_checkpoint, newest, read_about, save_best, save_checkpoint
from llm.sft.examples import Sequenced
from llm.sft.journal import Journal
from llm.sft.learning import Learner, loss_of, optimizer_of
from llm.sft.recipe import Recipe
from llm.sft.schedule import Schedule

log = logging.getLogger(__name__)

_FULL = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


class Run:
    """A training run in a folder.

    Args:
        learner: The model, ready to learn.
        recipe: The choices.
        training: Examples to learn from.
        validation: Examples to look at; none of them is learned from.
        padding: The token that pads.
        out: The run's folder; the log and the checkpoints go here.
        about: What the run is of (recipe, base, data), kept in each checkpoint.
        resume: Whether to go on from the newest checkpoint there.
    """

    def __init__(
        self,
        learner: Learner,
        recipe: Recipe,
        *,
        training: Sequence[Sequenced],
        validation: Sequence[Sequenced],
        padding: int,
        out: Path,
        about: dict[str, Any],
        resume: bool = False,
    ) -> None:
        self.learner, self.recipe, self.out, self.about = learner, recipe, out, about
        self.training, self.validation, self.padding = training, validation, padding
        self.accelerator = Accelerator(
            cpu=not torch.cuda.is_available(), mixed_precision="no" if recipe.precision == "fp32" else recipe.precision
        )
        self.model = self.accelerator.prepare_model(learner)
        self.optimizer = optimizer_of(learner, recipe)
        self.state = RunState()
        checkpoint = newest(out) if resume else None
        if checkpoint:
            self.state, _ = read_about(checkpoint)
            load_checkpoint(checkpoint, learner, self.optimizer)
        self._main = self.accelerator.is_main_process
        self._journal = Journal(out, keep_to=self.state.step if checkpoint else None) if self._main else None
        self._write("resume" if checkpoint else "start", **about)
        per_epoch = math.ceil(len(training) / recipe.step_examples)
        self._per_epoch = per_epoch
        self._schedule = Schedule(
            n_steps=math.ceil(per_epoch * recipe.epochs),
            seconds=recipe.minutes * 60,
            learning_rate=recipe.learning_rate,
            warm_up=recipe.warm_up,
        )
        self._began = time.monotonic() - self.state.seconds
        self._saved = time.monotonic()

    @property
    def done(self) -> float:
        """How much of the run is done, in [0, 1]."""
        return self._schedule.progress(step=self.state.step, seconds=self.state.seconds)

    def go(self) -> RunState:
        """Train to the end and put the best weights back.

        Raises:
            TrainingDiverged: A loss or gradient is no number; the newest checkpoint is from before.
            TrainingMemory: A batch does not fit.
            KeyboardInterrupt: The run was stopped; its checkpoint is written.
        """
        with _interrupts() as interrupted, _memory(self.recipe), self._bar() as show:
            while self.done < 1 and not self._is_stale:
                self._step()
                if int(self.done * self.recipe.evaluations) > self.state.looks or self.done >= 1:
                    self._look()
                show()
                if interrupted.is_set():
                    self._save()
                    self._write("stop", step=self.state.step)
                    raise KeyboardInterrupt
                if time.monotonic() - self._saved > self.recipe.checkpoint_minutes * 60:
                    self._save()
        if not self.state.looks:
            self._look()
        load_best(self.out, self.learner)
        self._write("end", step=self.state.step, best_step=self.state.best_step, best_loss=self.state.best_loss)
        return self.state

    @property
    def _is_stale(self) -> bool:
        return bool(self.recipe.patience) and self.state.worse >= self.recipe.patience

    def _step(self) -> None:
        epoch, number = divmod(self.state.step, self._per_epoch)
        steps = steps_of(
            len(self.training), step_examples=self.recipe.step_examples, seed=self.recipe.seed, epoch=epoch
        )
        rate = self._schedule.rate(step=self.state.step, seconds=self.state.seconds)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.model.train()
        n_learned = sum(self.training[i].n_learned for i in steps[number])
        batches = self._batches(self.training, steps[number])
        total = self._backward(batches, n_learned)
        norm = float(torch.nn.utils.clip_grad_norm_([w for _, w in self.learner.learned_weights()], self.recipe.clip))
        if not math.isfinite(norm):
            raise self._diverged("gradient", norm, [self.training[i].id for i in steps[number]])
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        n_tokens = sum(len(self.training[i].ids) for i in steps[number])
        self.state = replace(
            self.state,
            step=self.state.step + 1,
            n_tokens=self.state.n_tokens + n_tokens,
            seconds=time.monotonic() - self._began,
        )
        self._last = self._summed(total) / n_learned
        self._write(
            "step",
            step=self.state.step,
            epoch=round(self.state.step / self._per_epoch, 3),
            loss=self._last,
            rate=rate,
            gradient_norm=norm,
            n_tokens=self.state.n_tokens,
            seconds=round(self.state.seconds, 1),
        )

    def _backward(self, batches: Sequence[Batch], n_learned: int) -> float:
        """Add the gradients of the mean loss over the step's learned tokens; return this process's sum of losses."""
        total = 0.0
        for last, batch in enumerate(batches, start=1 - len(batches)):
            with nullcontext() if not last else self.accelerator.no_sync(self.model):
                loss, _ = loss_of(self.model, batch, self.accelerator.device)
                if not math.isfinite(value := float(loss.detach())):
                    raise self._diverged("loss", value, batch.names)
                # Processes' gradients are averaged, so each weighs its share by their number.
                self.accelerator.backward(loss * (self.accelerator.num_processes / n_learned))
            total += value
        return total

    def _look(self) -> None:
        """Measure the validation loss, and keep the weights where it is the best."""
        self.model.eval()
        total, hits = 0.0, 0.0
        with torch.no_grad():
            for batch in self._batches(self.validation, range(len(self.validation))):
                summed, right = loss_of(self.model, batch, self.accelerator.device)
                total, hits = total + float(summed), hits + float(right)
        n_learned = sum(example.n_learned for example in self.validation)
        loss, accuracy = self._summed(total) / n_learned, self._summed(hits) / n_learned
        if not math.isfinite(loss):
            raise self._diverged("validation loss", loss, [])
        better = loss < self.state.best_loss
        if better and self._main:
            save_best(self.out, self.learner)
        self.state = replace(
            self.state,
            looks=self.state.looks + 1,
            worse=0 if better else self.state.worse + 1,
            best_loss=loss if better else self.state.best_loss,
            best_step=self.state.step if better else self.state.best_step,
            seconds=time.monotonic() - self._began,
        )
        self._write("evaluation", step=self.state.step, loss=loss, token_accuracy=accuracy, best=better)
        log.info("step %d: validation loss %.4f, tokens right %.3f", self.state.step, loss, accuracy)
        if self._journal:
            self._journal.plot(title=f"Loss per learned token, {len(self.training)} examples")

    def _batches(self, examples: Sequence[Sequenced], chosen: Sequence[int]) -> list[Batch]:
        """Return this process's batches of the chosen examples."""
        lengths = [len(example.ids) for example in examples]
        ordered = sorted(chosen, key=lambda i: (lengths[i], i))
        mine = ordered[self.accelerator.process_index :: self.accelerator.num_processes] or ordered[:1]
        cut = batches_of(lengths, mine, batch_tokens=self.recipe.batch_tokens)
        return [collate([examples[i] for i in batch], padding=self.padding) for batch in cut]

    def _summed(self, value: float) -> float:
        if self.accelerator.num_processes == 1:
            return value
        one = torch.tensor(value, device=self.accelerator.device, dtype=torch.float64)
        return float(self.accelerator.reduce(one, reduction="sum"))

    def _save(self) -> None:
        if self._main:
            save_checkpoint(self.out, self.state, self.learner, self.optimizer, about=self.about)
        self._saved = time.monotonic()

    def _write(self, event: str, **values: Any) -> None:
        if self._journal:
            self._journal.write(event, **values)

    def _diverged(self, what: str, value: float, names: Sequence[str]) -> TrainingDiverged:
        self._write("stop", step=self.state.step, reason=f"the {what} is {value}", examples=list(names))
        of = f", of the examples {', '.join(names)}" if names else ""
        remedy = "Go on with --resume and a lower --learning-rate, or take these examples out and start anew"
        return TrainingDiverged(f"the {what} is {value}{of}", where=f"step {self.state.step + 1}", remedy=remedy)

    @contextmanager
    def _bar(self) -> Iterator[Callable[[], None]]:
        form = "{l_bar}{bar}| {elapsed} elapsed{postfix}"
        with tqdm(total=100, desc="training", bar_format=form, disable=None if self._main else True) as bar:

            def show() -> None:
                bar.n = round(100 * self.done, 1)
                speed = self.state.n_tokens / max(self.state.seconds, 1e-9)
                best = f", validation {self.state.best_loss:.3f}" if self.state.looks else ""
                bar.set_postfix_str(f"step {self.state.step}, loss {self._last:.3f}{best}, {speed:.0f} tokens/s")

            yield show


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C, or a request to end, into a flag, so that a step is finished; the second stops at once."""
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def notice(number: int, _: Any) -> None:
        flag.set()
        signal.signal(number, before[signal.Signals(number)])

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, notice)
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _memory(recipe: Recipe) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        if isinstance(error, RuntimeError) and not any(part in str(error).lower() for part in _FULL):
            raise
        remedy = f"Go on with --resume and fewer --batch-tokens than {recipe.batch_tokens}"
        if recipe.batch_tokens <= recipe.max_tokens:
            remedy = f"Start anew with --max-tokens and --batch-tokens lower than {recipe.max_tokens}"
        raise TrainingMemory("a batch does not fit into memory", where="training", remedy=remedy) from error
