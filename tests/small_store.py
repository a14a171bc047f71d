"""A small real store for tests: an embedder that needs no model, and documents cut in a few chunks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.interfaces import Ingestible, Vectors, source_id
from core.records import Chunk, Document, Locator, SourceFile, chunk_id
from core.text import terms
from indexes.sparse import term_hash
from indexes.store import Store

DIMENSION = 64


class HashingEmbedder:
    """Counts terms into a few buckets: texts that share words are near, without a model."""

    fingerprint = "hashing-64"
    dimension = DIMENSION

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Return float32 (n, 64), unit norm."""
        return np.stack([self.encode_query(text) for text in texts]) if texts else np.empty((0, DIMENSION), np.float32)

    def encode_query(self, text: str) -> Vectors:
        """Return float32 (64,), unit norm."""
        vector = np.full(DIMENSION, 0.01, np.float32)
        for term in terms(text):
            vector[term_hash(term) % DIMENSION] += 1
        return np.asarray(vector / np.linalg.norm(vector), np.float32)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return one token a character."""
        return [(i, i + 1) for i in range(len(text))]


def ingestible(
    path: str,
    *paragraphs: str,
    collection: str = "default",
    media_type: str = "text/plain",
    modified: float = 1.0,
    context: str = "",
    locators: Sequence[dict[str, object]] = (),
) -> Ingestible:
    """Return a document whose paragraphs are its chunks; ``locators`` are more fields of each chunk's locator."""
    text = "\n\n".join(paragraphs)
    sha256 = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    owner = source_id(collection=collection, path=path, sha256=sha256)
    chunks, start = [], 0
    for i, paragraph in enumerate(paragraphs):
        end = start + len(paragraph)
        fields = locators[i] if locators else {}
        chunks.append(
            Chunk(
                id=chunk_id(source_id=owner, start=start, end=end, text=paragraph),
                source_id=owner,
                text=paragraph,
                locator=Locator(start=start, end=end, **fields),  # type: ignore[arg-type]
                n_tokens=len(paragraph) // 4 + 1,
                context=context,
            )
        )
        start = end + 2
    source = SourceFile(
        path=path,
        location=f"/files/{path}",
        sha256=sha256,
        media_type=media_type,
        size_bytes=len(text),
        modified=modified,
    )
    return Ingestible(
        document=Document(source=source, title=path, text=text, sections=()),
        chunks=tuple(chunks),
        vectors=HashingEmbedder().encode_passages([chunk.embedded_text for chunk in chunks]),
        recipe="by paragraph",
    )


def open_writer(data_dir: Path) -> Store:
    """Return a writer that knows the embedder."""
    store = Store.open(data_dir, writer=True)
    store.use_embedder(fingerprint=HashingEmbedder.fingerprint, dimension=DIMENSION)
    return store
