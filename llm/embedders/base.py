"""What every embedder shares: tokens, prefixes, batches sorted by length, and the two waists it fits."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from langchain_core.embeddings import Embeddings
from tokenizers import Tokenizer

from core.errors import ModelDamaged
from core.interfaces import Vectors

Integers = npt.NDArray[np.int64]

# Rows of a batch: enough to fill the vector units at 190 tokens, few enough that a question asked while documents are
# embedded waits about a tenth of a second.
BATCH_ROWS = 8
# Lengths are padded up to a multiple of this, so that an engine that prepares itself for each shape meets few of them.
LENGTH_STEP = 16
_SEGMENT_CHARS = 8000
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """A sentence-transformers folder, as far as an engine of ours needs to know it."""

    path: Path
    sha256: str
    dimension: int
    max_tokens: int
    pooling: str
    query_prefix: str
    passage_prefix: str


def read_folder(path: Path, *, sha256: str) -> ModelFolder:
    """Read a folder's settings; prefixes come from its prompts ("query"; "passage" or "document").

    Raises:
        ModelDamaged: A file of it is missing or malformed.
    """
    try:
        config = json.loads((path / "config.json").read_text("utf-8"))
        prompts = _optional(path / "config_sentence_transformers.json").get("prompts") or {}
        return ModelFolder(
            path=path,
            sha256=sha256,
            dimension=int(config["hidden_size"]),
            max_tokens=_max_tokens(path, config),
            pooling=_pooling(_optional(path / "1_Pooling" / "config.json")),
            query_prefix=prompts.get("query", ""),
            passage_prefix=prompts.get("passage") or prompts.get("document") or "",
        )
    except (OSError, ValueError, KeyError) as error:
        remedy = "Delete the folder and run the set-up again, or name another in embedder.model"
        raise ModelDamaged(f"is no whole embedding model ({error})", where=path.name, remedy=remedy) from error


def _optional(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def _max_tokens(path: Path, config: dict[str, Any]) -> int:
    # RoBERTa and its kin number their positions from 2.
    lost = 2 if config.get("model_type") in ("roberta", "xlm-roberta", "camembert") else 0
    stated = [
        _optional(path / "sentence_bert_config.json").get("max_seq_length"),
        _optional(path / "tokenizer_config.json").get("model_max_length"),
    ]
    return min([int(config["max_position_embeddings"]) - lost, *(int(each) for each in stated if each)])


def _pooling(config: dict[str, Any]) -> str:
    old_style = [
        key.removeprefix("pooling_mode_") for key, on in config.items() if key.startswith("pooling_") and on is True
    ]
    mode = config.get("pooling_mode") or "+".join(sorted(old_style)) or "unknown"
    return mode if isinstance(mode, str) else "+".join(mode)


def read_tokenizer(folder: ModelFolder) -> Tokenizer:
    """Load a folder's tokenizer, without the truncation and padding it may carry.

    Raises:
        ModelDamaged: The file is missing or malformed.
    """
    try:
        tokenizer = Tokenizer.from_file(str(folder.path / "tokenizer.json"))
    except Exception as error:  # tokenizers raises Exception itself, whatever is wrong
        remedy = "Delete the folder and run the set-up again"
        raise ModelDamaged(f"its tokenizer cannot be read ({error})", where=folder.path.name, remedy=remedy) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


class Embedder(Embeddings):
    """A LangChain ``Embeddings`` that is a :class:`core.interfaces.PassageEmbedder` too.

    Safe to call from many threads: a question waits for one batch of an ingest at most.
    """

    engine: str = ""

    def __init__(self, folder: ModelFolder) -> None:
        self.folder = folder
        self._tokenizer = read_tokenizer(folder)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self.folder.dimension

    @property
    def fingerprint(self) -> str:
        """Name the model, its sha256, pooling and prefixes.

        The engine is no part of it: every engine is checked against float32 vectors of the same weights before it is
        used, and questions embedded by one find passages embedded by another as well (`benchmarks/embedders.py`
        measures it), so a machine may change its engine without embedding its documents again.
        """
        prefixes = f"{self.folder.query_prefix}|{self.folder.passage_prefix}"
        return f"{self.folder.path.name}:{self.folder.sha256[:16]}:{self.folder.pooling}:{prefixes}"

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Return float32 (n, dimension), unit norm, in the order of ``texts``; of a text, what the model can hold."""
        return self._encode([self.folder.passage_prefix + text for text in texts])

    def encode_query(self, text: str) -> Vectors:
        """Return float32 (dimension,), unit norm."""
        vector: Vectors = self._encode([self.folder.query_prefix + text])[0]
        return vector

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the ``[start, end)`` characters of each token of ``text``, of any length, without special tokens."""
        spans: list[tuple[int, int]] = []
        for start, segment in _segments(text):
            encoded = self._tokenizer.encode(segment, add_special_tokens=False)
            spans.extend((start + a, start + b) for a, b in encoded.offsets)
        return spans

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Embed passages, as LangChain asks for them."""
        vectors: list[list[float]] = self.encode_passages(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Embed a question, as LangChain asks for it."""
        vector: list[float] = self.encode_query(text).tolist()
        return vector

    def _encode(self, texts: Sequence[str]) -> Vectors:
        vectors = np.empty((len(texts), self.dimension), np.float32)
        ids = [self._ids(text) for text in texts]
        for rows in batches([len(each) for each in ids]):
            vectors[rows] = self._forward(*padded([ids[row] for row in rows], limit=self.folder.max_tokens))
        return vectors

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).ids
        limit = self.folder.max_tokens
        return ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]

    @abstractmethod
    def _forward(self, ids: Integers, mask: Integers) -> Vectors:
        """Return float32 (rows, dimension), unit norm, for token ids and mask, both int64 (rows, length)."""


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Yield the rows of each batch, longest first, so that little of a batch is padding."""
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    for start in range(0, len(order), BATCH_ROWS):
        yield order[start : start + BATCH_ROWS]


def padded(ids: Sequence[Sequence[int]], *, limit: int) -> tuple[Integers, Integers]:
    """Return ids and mask, int64 (rows, length), the length a multiple of :data:`LENGTH_STEP` up to ``limit``."""
    longest = max(len(row) for row in ids)
    length = min(limit, -(-longest // LENGTH_STEP) * LENGTH_STEP)
    # What a masked position holds is of no effect; 0 is in every vocabulary.
    filled, mask = np.zeros((len(ids), length), np.int64), np.zeros((len(ids), length), np.int64)
    for row, each in enumerate(ids):
        filled[row, : len(each)] = each
        mask[row, : len(each)] = 1
    return filled, mask


def _segments(text: str) -> Iterator[tuple[int, str]]:
    """Yield (start, segment), cut after white space, where no token can cross: memory stays small for any length."""
    start = 0
    while start < len(text):
        space = _SPACE.search(text, start + _SEGMENT_CHARS)
        end = space.end() if space else len(text)
        yield start, text[start:end]
        start = end
