"""Turn a model into GGUF files of several number formats, and measure what each costs and gains."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import ModelUnfit
from llm.adapters import Adapter
from llm.backends.llamacpp import Engine
from llm.evaluating.answers import token_f1
from llm.evaluating.figures import Figure, figure
from llm.gguf_files import read_gguf
from llm.gguf_from_folder import write_folder
from llm.gguf_writing import requantize
from llm.number_formats import NumberFormat
from llm.registry import no_progress
from llm.sft.examples import Example, sequence
from llm.templates import ChatTemplate, render

if TYPE_CHECKING:
    from collections.abc import Iterator

N_PROMPT, N_WRITTEN = 600, 64
_ANSWER_TOKENS = 64

Speeds = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A number format of a model: its file, or why there is none."""

    number_format: NumberFormat
    path: Path | None
    reason: str = ""


@contextmanager
def as_gguf(source: Path) -> Iterator[Path]:
    """Yield a GGUF file of a GGUF file (itself) or a transformers folder (written for the time being)."""
    if source.is_file():
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="citadel-") as folder:
        file = Path(folder) / f"{source.name}.gguf"
        write_folder(source, file)
        yield file


def write_formats(
    source: Path,
    formats: Sequence[NumberFormat],
    *,
    out: Path,
    name: str,
    adapter: Adapter | None = None,
    progress: Callable[[int, int], None] = no_progress,
) -> list[Written]:
    """Write ``source`` in each number format as ``out/NAME.FORMAT.gguf``; one that does not fit says why.

    Raises:
        ModelUnfit: None of them fits, or the adapter does not.
    """
    written: list[Written] = []
    out.mkdir(parents=True, exist_ok=True)
    for number_format in formats:
        path = out / f"{name}.{number_format}.gguf"
        beside = path.with_name(path.name + ".tmp")
        try:
            requantize(source, beside, number_format=number_format, progress=progress, adapter=adapter)
        except ModelUnfit as error:
            if len(formats) == 1:
                raise
            written.append(Written(number_format=number_format, path=None, reason=error.what))
            continue
        beside.replace(path)
        written.append(Written(number_format=number_format, path=path))
    if not any(one.path for one in written):
        raise ModelUnfit(written[0].reason, where=source.name, remedy="Choose Q8_0, Q5_1, Q4_1 or Q4_0")
    return written


def measure_speeds(files: Mapping[str, Path], lines: Sequence[str], *, rounds: int, threads: int) -> dict[str, Speeds]:
    """Return the best (tokens read a second, tokens written a second) of each file, the files in turn.

    Reading is the time to the first token of a prompt of 600 tokens that shares no beginning with another; writing is
    64 tokens after that.
    """
    opened = {name: read_gguf(path) for name, path in files.items()}
    n_ctx = min([2048, *(file.trained_ctx or 2048 for file in opened.values())])
    n_prompt = min(N_PROMPT, n_ctx - N_WRITTEN)
    engines = {name: Engine(file, n_ctx=n_ctx, threads=threads) for name, file in opened.items()}
    best: dict[str, Speeds] = dict.fromkeys(files, (0.0, 0.0))
    try:
        for number in range(rounds):
            for name, engine in engines.items():
                text = f"{number} " + " ".join(lines[number * 10 :] or lines)
                tokens = (engine.tokenize(text, control=False) * n_prompt)[:n_prompt]
                started = time.perf_counter()
                stream = engine.write(tokens, max_tokens=N_WRITTEN, temperature=0)
                next(stream, None)
                first = time.perf_counter()
                n = sum(1 for _ in islice(stream, N_WRITTEN))
                writes = n / (time.perf_counter() - first)
                best[name] = max(best[name][0], len(tokens) / (first - started)), max(best[name][1], writes)
    finally:
        for engine in engines.values():
            engine.close()
    return best


def answer_f1(path: Path, examples: Sequence[Example], template: ChatTemplate, *, threads: int) -> Figure:
    """Return the mean token F1 of what a file answers to examples against their own answers."""
    file = read_gguf(path)
    engine = Engine(file, n_ctx=min(2048, file.trained_ctx or 2048), threads=threads)
    scores = []
    try:
        for example in examples:
            prompt = render(example.messages[:-1], template, control_tokens=file.control_tokens)
            tokens = engine.tokenize(prompt, control=True)
            said = engine.write(tokens, max_tokens=_ANSWER_TOKENS, temperature=0, stop=template.stop)
            scores.append(token_f1("".join(said), [example.messages[-1].content]))
    finally:
        engine.close()
    return figure(scores)


def answer_perplexity(
    model: Any, tokenizer: Any, examples: Sequence[Example], template: ChatTemplate, *, control_tokens: Sequence[str]
) -> float:
    """Return the perplexity of the examples' answers, each token after its own prompt."""
    import torch

    from llm.sft.batches import collate
    from llm.sft.learning import Learner

    learner, total, n_learned = Learner(model), 0.0, 0
    with torch.inference_mode():
        for example in examples:
            batch = collate([sequence(example, tokenizer, template, control_tokens=control_tokens)], padding=0)
            total += float(learner(batch.ids, batch.at, batch.wanted)[0])
            n_learned += len(batch.wanted)
    return math.exp(total / n_learned)
