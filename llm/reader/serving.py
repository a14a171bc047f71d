"""Read a question with passages: which are relevant, which hold the answer, and where it stands.

Two engines give the same numbers: ``openvino`` (an int8 graph, made once at set-up) and ``torch``. Word vectors are
read from the embedder's own file, mapped into memory.
"""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from core.errors import BackendFailed, ModelUnfit
from llm.embedders.base import Integers, batches, padded
from llm.reader import references
from llm.reader.windows import Framer, Window, segments

Floats = npt.NDArray[np.float32]
LONGEST_ANSWER = 64  # tokens
# What a span is worth against the one that is right: its F1 with it, and so much more where it holds all of it. The
# distribution over spans is softened, for the reader is surer of the ends than it is right. Of held-out questions (409
# of public sets, 400 of written documents) the whole answer is held 12 to 19 points more often than by the likeliest
# span, for 1 to 4 points of F1.
WHOLE_WEIGHS = 0.5
TEMPERATURE = 1.5
_HYPOTHESES = 48
_REQUESTS = 2
_MAX_TOKENS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The characters ``[start, end)`` of a passage's text, and the log-odds that the answer is there, not nowhere."""

    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowReading:
    """What the network said of one window: logits of each text token, of "not here", and the three judgements."""

    offsets: tuple[tuple[int, int], ...]
    start: Floats
    end: Floats
    nowhere: tuple[float, float]
    relevant: float
    holds: float
    supports: float

    def best(self, low: int = 0, high: int = 1 << 60) -> Span | None:
        """Return the best span among the characters ``[low, high)``; None where no token lies there.

        It is the one that is worth most in expectation over all that the reader finds possible, which is often wider
        than the likeliest; ``score`` is the likeliest one's.
        """
        inside = [i for i, (a, b) in enumerate(self.offsets) if a < high and b > low and b > a]
        if not inside:
            return None
        first, last = inside[0], inside[-1] + 1
        a, b, score = _expected_best(self.start[first:last], self.end[first:last])
        return Span(
            start=max(low, self.offsets[first + a][0]),
            end=min(high, self.offsets[first + b][1]),
            score=score - sum(self.nowhere),
        )


def _expected_best(start: Floats, end: Floats) -> tuple[int, int, float]:
    """Return the first and last token of the span that is worth most in expectation, and the likeliest one's score.

    Minimum Bayes risk decoding (Goel and Byrne 2000): the likeliest spans are the hypotheses of what is right.
    """
    n = len(start)
    length = np.arange(n)[None, :] - np.arange(n)[:, None]  # of a span from the row to the column, less one
    scores = np.where((length >= 0) & (length < LONGEST_ANSWER), start[:, None] + end[None, :], -math.inf).ravel()
    likely = np.argpartition(-scores, _HYPOTHESES)[:_HYPOTHESES] if len(scores) > _HYPOTHESES else np.arange(n * n)
    likely = likely[np.isfinite(scores[likely])]
    best = float(scores[likely].max())
    weights = np.exp((scores[likely] - best) / TEMPERATURE)
    first, last = likely // n, likely % n
    a, b = (each.ravel() for each in np.meshgrid(np.unique(first), np.unique(last), indexing="ij"))
    a, b = a[a <= b], b[a <= b]
    shared = np.minimum(b[:, None], last) - np.maximum(a[:, None], first) + 1
    f1 = 2 * np.maximum(shared, 0) / ((b - a + 1)[:, None] + (last - first + 1))
    whole = (a[:, None] <= first) & (b[:, None] >= last)
    chosen = int(np.argmax((f1 + WHOLE_WEIGHS * whole) @ weights))
    return int(a[chosen]), int(b[chosen]), best


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageReading:
    """What the network said of a passage, window by window."""

    windows: tuple[WindowReading, ...]

    @property
    def relevant(self) -> float:
        """Log-odds that the passage is the one that was asked for, of its best window."""
        return max((window.relevant for window in self.windows), default=-math.inf)

    @property
    def holds(self) -> float:
        """Log-odds that the passage holds the answer, of its best window."""
        return max((window.holds for window in self.windows), default=-math.inf)

    @property
    def supports(self) -> float:
        """Log-odds that the passage supports the answer that followed the question, of its best window."""
        return max((window.supports for window in self.windows), default=-math.inf)

    def best(self, low: int = 0, high: int = 1 << 60) -> Span | None:
        """Return the best span among the characters ``[low, high)`` of the passage; None where nothing was read."""
        spans = [span for window in self.windows if (span := window.best(low, high))]
        return max(spans, key=lambda span: span.score, default=None)


class Reader:
    """Reads questions with passages; safe to call from many threads."""

    engine = ""

    def __init__(self, tokenizer: Tokenizer, words: npt.NDArray[Any]) -> None:
        self._framer = Framer(tokenizer)
        self._words = words

    def read(self, question: str, passages: Sequence[tuple[str, str]]) -> list[PassageReading]:
        """Read ``question`` with each (context, text), in the order given."""
        framed = [self._framer.windows(question, context, text) for context, text in passages]
        readings = iter(self._read([window for windows in framed for window in windows]))
        return [PassageReading(windows=tuple(next(readings) for _ in windows)) for windows in framed]

    def _read(self, windows: Sequence[Window]) -> list[WindowReading]:
        found: dict[int, WindowReading] = {}
        for rows in batches([len(window.ids) for window in windows]):
            part = [windows[row] for row in rows]
            ids, mask = padded([window.ids for window in part], limit=_MAX_TOKENS)
            segment = segments(part, ids.shape[1])
            start, end, judged = self._forward(self._words[ids].astype(np.float32), mask, segment)
            for i, (row, window) in enumerate(zip(rows, part, strict=True)):
                text = slice(window.first, window.first + len(window.offsets))
                found[row] = WindowReading(
                    offsets=window.offsets,
                    start=start[i, text],
                    end=end[i, text],
                    nowhere=(float(start[i, 0]), float(end[i, 0])),
                    relevant=float(judged[i, 0]),
                    holds=float(judged[i, 1]),
                    supports=float(judged[i, 2]),
                )
        return [found[row] for row in range(len(windows))]

    def read_references(self) -> Floats:
        """Return the judgements of the fixed pairs, float32 (pairs, 3)."""
        readings = [self.read(question, [(context, text)])[0] for question, context, text in references.PAIRS]
        return np.array([[r.relevant, r.holds, r.supports] for r in readings], np.float32)

    def check(self, expected: references.Rows) -> None:
        """Compare with what float32 gave for the fixed pairs.

        Raises:
            ModelUnfit: They differ.
        """
        if (agreement := references.agreement(self.read_references(), expected)) < references.LOWEST_AGREEMENT:
            remedy = "Set reader.engine to torch" if self.engine != "torch" else "Restore the reader's folder"
            raise ModelUnfit(f"the reader is off on this machine (agreement {agreement:.3f})", remedy=remedy)

    @abstractmethod
    def _forward(self, words: Floats, mask: Integers, segment: Integers) -> tuple[Floats, Floats, Floats]:
        """Return start and end logits (rows, length) and judgements (rows, 3)."""


class OpenVinoReader(Reader):
    """Runs the int8 graph of a folder.

    Raises:
        BackendUnavailable: OpenVINO is not installed.
        ModelDamaged: The graph cannot be read.
    """

    engine = "openvino"

    def __init__(self, tokenizer: Tokenizer, words: npt.NDArray[Any], graph: Path, *, threads: int = 0) -> None:
        from llm.embedders.int8 import compile_graph

        super().__init__(tokenizer, words)
        compiled = compile_graph(graph, threads=threads, setting="reader.engine")
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(_REQUESTS):
            self._requests.put(compiled.create_infer_request())

    def _forward(self, words: Floats, mask: Integers, segment: Integers) -> tuple[Floats, Floats, Floats]:
        request = self._requests.get()
        try:
            result = request.infer([words, mask, segment])
            start, end, judged = (np.array(result[i], np.float32) for i in range(3))
            return start, end, judged
        except RuntimeError as error:
            raise BackendFailed(f"OpenVINO failed ({str(error).splitlines()[-1][:160]})", where="reader") from error
        finally:
            self._requests.put(request)


class TorchReader(Reader):
    """Runs the network in torch: for training, and where OpenVINO does not run."""

    engine = "torch"

    def __init__(self, tokenizer: Tokenizer, words: npt.NDArray[Any], network: Any, *, threads: int = 0) -> None:
        import torch

        super().__init__(tokenizer, words)
        self._network = network.eval()
        torch.set_num_threads(threads or os.cpu_count() or 1)

    def _forward(self, words: Floats, mask: Integers, segment: Integers) -> tuple[Floats, Floats, Floats]:
        import torch

        with torch.inference_mode():
            tensors = [torch.from_numpy(array) for array in (words, mask, segment)]
            start, end, judged = (each.float().numpy() for each in self._network(*tensors))
        return start, end, judged
