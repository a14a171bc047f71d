"""The training passages as a knowledge base of their own, searched for what comes near and does not answer."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from core.errors import MalformedInput, MissingPath
from core.interfaces import Ingestible, PassageEmbedder, Vectors, source_id
from core.records import Document, Hit, SearchFilter, SourceFile, chunk_id
from core.settings import RetrievalSettings
from indexes.knowledge_base import KnowledgeIndex
from indexes.store import Store
from llm.training.detokenize import detokenize
from llm.training.dressing import as_hit, dressed
from llm.training.normalize import folded
from llm.training.records import Passage, Record

Side = Literal["train", "validation"]
Pools = Mapping[str, Sequence[Passage]]
N_CANDIDATES = 12
_BATCH = 128
_COMPLETE = "complete"


def pool_of(record: Record, side: Side) -> str:
    """Return the name of the passages that a record's question is asked of: its folder's, else its side's."""
    return f"{side}-{record.collection}" if record.collection else side


def pools_of(
    sides: Mapping[Side, Sequence[Record]], passages: Callable[[Sequence[Record]], Sequence[Passage]]
) -> dict[str, Sequence[Passage]]:
    """Return the passages of each pool; every side has one, if need be empty."""
    held: dict[str, list[Record]] = {side: [] for side in sides}
    for side, records in sides.items():
        for record in records:
            held.setdefault(pool_of(record, side), []).append(record)
    return {pool: passages(records) for pool, records in held.items()}


class BlindEmbedder:
    """An embedder to which all texts are alike: search is by words alone and costs no model."""

    fingerprint = "blind"
    dimension = 8

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Return the same unit vector for each."""
        return np.full((len(texts), self.dimension), self.dimension**-0.5, np.float32)

    def encode_query(self, text: str) -> Vectors:
        """Return that vector."""
        return np.full(self.dimension, self.dimension**-0.5, np.float32)

    def token_spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Return each word's place."""
        return [(0, len(text))] if text else []


class RememberingEmbedder:
    """An embedder that reads a sentence once, however many questions find it."""

    def __init__(self, embedder: PassageEmbedder) -> None:
        self.fingerprint, self.dimension = embedder.fingerprint, embedder.dimension
        self.encode_query, self.token_spans = embedder.encode_query, embedder.token_spans
        self._embedder = embedder
        self._known: dict[str, Vectors] = {}

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Return float32 (n, dimension), unit norm."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known.update(zip(new, self._embedder.encode_passages(new), strict=True))
        return np.stack([self._known[text] for text in texts])


class PassageBase:
    """The passages of several pools, each searched by itself.

    Args:
        pools: The passages by pool: :func:`pools_of`.
        embedder: A :class:`BlindEmbedder` searches by words alone.
        folder: Where the store is made; one of the same passages and embedder is used again, a half-made one is
            gone on with.
        seed: Of the names and headings that passages are given.
    """

    def __init__(self, pools: Pools, *, embedder: PassageEmbedder, folder: Path, seed: int) -> None:
        self._pools, self._seed = pools, seed
        store = folder / f"passages-{_fingerprint(pools, embedder)}"
        if not (store / _COMPLETE).is_file():
            _build(store, pools, embedder)
        weights = {"dense_weight": 0.0} if isinstance(embedder, BlindEmbedder) else {}
        self._store = Store.open(store, writer=False)
        self._index = KnowledgeIndex(self._store, embedder, RetrievalSettings(**weights))  # type: ignore[arg-type]

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def search(self, question: str, pool: str) -> list[Hit]:
        """Return passages of one pool, best first, dressed as passages of real corpora are."""
        found = self._index.search(question, k=N_CANDIDATES, filter=SearchFilter(collections=(pool,)))
        return [
            replace(
                dressed(self._pools[pool][int(hit.source)], seed=self._seed),
                score=hit.score,
                ranks=hit.ranks,
                scores={} if self._index_is_blind() else hit.scores,
            )
            for hit in found
        ]

    def _index_is_blind(self) -> bool:
        return self._store.state().embedder == BlindEmbedder.fingerprint


def found_before(path: Path, pools: Pools, *, seed: int) -> Callable[[str, str], list[Hit] | None]:
    """Return a search that looks results up in a file: ``{question: [text of a passage, ...]}``, best first.

    It returns None for a question that the file does not hold. Texts that are of no passage are passed over.

    Raises:
        MissingPath, MalformedInput: There is no such file, or it is none of these.
    """
    if not path.is_file():
        raise MissingPath("there is no such file", where=str(path))
    key_of = lru_cache(maxsize=None)(_key_of)
    try:
        plain = json.loads(path.read_text("utf-8"))
        found = {folded(question): [key_of(text) for text in texts] for question, texts in plain.items()}
    except (json.JSONDecodeError, AttributeError, TypeError) as error:
        raise MalformedInput(f"holds no search results: {error}", where=str(path)) from None
    known = {pool: {folded(passage.text): passage for passage in pools[pool]} for pool in pools}

    def search(question: str, pool: str) -> list[Hit] | None:
        texts = found.get(folded(question))
        if texts is None:
            return None
        return [dressed(known[pool][text], seed=seed) for text in texts if text in known[pool]]

    return search


def _key_of(text: str) -> str:
    """Return what a passage is found by, tokenized or not."""
    return folded(detokenize(text)[0])


def _fingerprint(pools: Pools, embedder: PassageEmbedder) -> str:
    digest = hashlib.sha256(embedder.fingerprint.encode())
    for pool in pools:
        for passage in pools[pool]:
            digest.update(f"\0{pool}\0{passage.title}\0{passage.text}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def _build(folder: Path, pools: Pools, embedder: PassageEmbedder) -> None:
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    with Store.open(folder, writer=True) as store:
        store.use_embedder(fingerprint=embedder.fingerprint, dimension=embedder.dimension)
        for pool in pools:
            store.create_collection(pool)
            there = store.sources(collection=pool)
            rest = [(i, passage) for i, passage in enumerate(pools[pool]) if str(i) not in there]
            bar = tqdm(total=len(rest), desc=f"{pool} passages", file=sys.stderr, disable=not sys.stderr.isatty())
            with bar:
                for batch in _batched(rest):
                    hits = [(str(i), as_hit(p.text, source=str(i), title=p.title, context=p.title)) for i, p in batch]
                    vectors = embedder.encode_passages([hit.chunk.embedded_text for _, hit in hits])
                    store.put(
                        [_ingestible(pool, hit, vector) for (_, hit), vector in zip(hits, vectors, strict=True)],
                        collection=pool,
                    )
                    bar.update(len(batch))
        store.rebuild()
    (folder / _COMPLETE).touch()


def _batched(rows: Sequence[tuple[int, Passage]]) -> Iterator[Sequence[tuple[int, Passage]]]:
    for first in range(0, len(rows), _BATCH):
        yield rows[first : first + _BATCH]


def _ingestible(pool: str, hit: Hit, vector: Vectors) -> Ingestible:
    text = hit.chunk.text
    sha256 = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    owner = source_id(collection=pool, path=hit.source, sha256=sha256)
    source = SourceFile(
        path=hit.source, location="", sha256=sha256, media_type="text/plain", size_bytes=len(text), modified=0.0
    )
    document = Document(source=source, title=hit.title, text=text, sections=())
    chunk = replace(hit.chunk, source_id=owner, id=chunk_id(source_id=owner, start=0, end=len(text), text=text))
    return Ingestible(document=document, chunks=(chunk,), vectors=vector[None], recipe="whole passages")
