"""BM25 over postings that are rebuilt from the stored full-text rows.

A chunk's full-text row holds the 64-bit hashes of its terms, ascending, and how often each occurs. Hashes need no
table of words: none is left behind when a document is deleted, and two words share one once in 10^13 pairs or so.
Document frequencies count living chunks alone, so that the scores do not depend on what was once stored.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from core.text import query_terms, terms

K1 = 1.2  # Robertson and Zaragoza 2009; .9 to 1.5 were tried and differ by less than .003 in recall@5
B = 0.75
_MAX_COUNT = 255

Slots = npt.NDArray[np.int32]
Scores = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class TermRow:
    """The full-text row of a chunk: ``hashes`` little-endian uint64 ascending, ``counts`` uint8, one a term."""

    n_terms: int
    hashes: bytes
    counts: bytes


@lru_cache(maxsize=131_072)
def term_hash(term: str) -> int:
    """Return the 64-bit number that stands for ``term``."""
    return int.from_bytes(blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def term_row(text: str) -> TermRow:
    """Return the full-text row of ``text``; counts stop at 255."""
    found = terms(text)
    counted = sorted((term_hash(term), min(n, _MAX_COUNT)) for term, n in Counter(found).items())
    return TermRow(
        n_terms=len(found),
        hashes=np.array([h for h, _ in counted], "<u8").tobytes(),
        counts=bytes(n for _, n in counted),
    )


def query_hashes(query: str) -> Counter[int]:
    """Return the hashes of a question's terms with how often each is asked."""
    return Counter(term_hash(term) for term in query_terms(query))


@dataclass(frozen=True, slots=True, kw_only=True)
class Postings:
    """For each term the chunks that hold it: ``slots[starts[i]:starts[i + 1]]`` belong to ``hashes[i]``.

    ``hashes`` uint64 ascending (t,), ``starts`` int64 (t + 1,), ``slots`` int32 (p,) ascending within a term,
    ``counts`` uint8 (p,).
    """

    hashes: npt.NDArray[np.uint64]
    starts: npt.NDArray[np.int64]
    slots: Slots
    counts: npt.NDArray[np.uint8]

    @classmethod
    def build(cls, rows: Sequence[tuple[bytes, bytes]]) -> Postings:
        """Invert the (hashes, counts) of chunks; a chunk's slot is its place in ``rows``."""
        counts = np.frombuffer(b"".join(c for _, c in rows), np.uint8)
        hashes = np.frombuffer(b"".join(h for h, _ in rows), "<u8").astype(np.uint64, copy=False)
        slots = np.repeat(np.arange(len(rows), dtype=np.int32), [len(c) for _, c in rows])
        order = np.argsort(hashes, kind="stable")  # stable keeps the slots of a term ascending
        ordered = hashes[order]
        first = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.empty(0, np.int64)
        return cls(
            hashes=ordered[first],
            starts=np.r_[first, len(ordered)].astype(np.int64),
            slots=slots[order],
            counts=counts[order],
        )

    def of(self, term: int) -> tuple[Slots, npt.NDArray[np.uint8]]:
        """Return the slots and counts of a term's hash, empty when no chunk holds it."""
        place = int(np.searchsorted(self.hashes, np.uint64(term)))
        if place == len(self.hashes) or int(self.hashes[place]) != term:
            return self.slots[:0], self.counts[:0]
        span = slice(int(self.starts[place]), int(self.starts[place + 1]))
        return self.slots[span], self.counts[span]


def bm25(
    query: Mapping[int, int],
    parts: Sequence[tuple[int, Postings]],
    *,
    n_terms: npt.NDArray[np.float32],
    alive: Mask,
) -> tuple[Scores, float]:
    """Return the BM25 score of every slot, float32 (n,), 0 where no term of the query occurs, and a full score.

    The full score is what a chunk would have that held every term of the query often.

    Args:
        query: How often each term's hash is asked.
        parts: Postings with the slot that their slot 0 stands for.
        n_terms: Length of each slot's chunk, in terms.
        alive: Which slots count; the others score 0 and are no part of any frequency.
    """
    scores = np.zeros(len(n_terms), np.float32)
    n_alive = int(alive.sum())
    full = 0.0
    if not n_alive:
        return scores, full
    mean = max(float(n_terms[alive].mean()), 1.0)
    norms = (K1 * (1 - B + B / mean * n_terms)).astype(np.float32)
    for term, asked in query.items():
        found = [_living(offset, *postings.of(term), alive=alive) for offset, postings in parts]
        frequency = sum(len(slots) for slots, _ in found)
        weight = asked * np.log(1 + (n_alive - frequency + 0.5) / (frequency + 0.5)) * (K1 + 1)
        full += float(weight)
        for slots, counts in found:
            scores[slots] += np.float32(weight) * counts / (counts + norms[slots])
    return scores, full


def _living(
    offset: int, slots: Slots, counts: npt.NDArray[np.uint8], *, alive: Mask
) -> tuple[Slots, npt.NDArray[np.float32]]:
    moved = slots + np.int32(offset)
    keep = alive[moved]
    return moved[keep], counts[keep].astype(np.float32)


def top(scores: Scores, *, k: int, allowed: Mask | None = None) -> Slots:
    """Return the ``k`` best slots with a score above 0, best first, ties by slot."""
    eligible = np.flatnonzero(scores > 0 if allowed is None else (scores > 0) & allowed).astype(np.int32)
    if len(eligible) > k:
        cut = np.partition(scores[eligible], -k)[-k]
        eligible = eligible[scores[eligible] >= cut]
    order = np.lexsort((eligible, -scores[eligible]))
    return eligible[order[:k]]
