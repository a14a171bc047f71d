"""Nearest vectors by cosine with FAISS: exact up to a size that a processor scans in a few milliseconds."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from core.interfaces import Vectors

faiss: Any = import_module("faiss")  # its type stubs know no selectors

# Flat scanning of 384 dimensions takes about 0.1 ms per thousand vectors on one core, and misses nothing.
EXACT_UP_TO = 200_000
_PROBED = 8  # one list in eight is scanned

Ids = npt.NDArray[np.int64]


def build(ids: Ids, vectors: Vectors) -> Any:
    """Return an ``IndexIDMap2`` over unit ``vectors``, float32 (n, dimension), by inner product."""
    n, dimension = vectors.shape
    inner = faiss.IndexFlatIP(dimension) if n <= EXACT_UP_TO else _clustered(vectors)
    index = faiss.IndexIDMap2(inner)
    if n:
        index.add_with_ids(np.ascontiguousarray(vectors, np.float32), ids.astype(np.int64))
    return index


def _clustered(vectors: Vectors) -> Any:
    n, dimension = vectors.shape
    n_lists = int(4 * np.sqrt(n))
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dimension), dimension, n_lists, faiss.METRIC_INNER_PRODUCT)
    index.cp.seed = 0
    index.train(vectors)
    index.set_direct_map_type(faiss.DirectMap.Array)  # vectors are read back by id
    index.nprobe = max(1, n_lists // _PROBED)
    return index


def selector(ids: Ids) -> Any:
    """Return what confines a search to ``ids``; it and the ids' bits must outlive the search."""
    bits = np.zeros(int(ids.max()) + 1 if len(ids) else 1, bool)
    bits[ids] = True
    return faiss.IDSelectorBitmap(np.packbits(bits, bitorder="little"))


def search(index: Any, query: Vectors, *, k: int, only: Any = None) -> tuple[Ids, npt.NDArray[np.float32]]:
    """Return up to ``k`` ids and their cosines, best first, ties by id; ``only`` is a :func:`selector`."""
    asked = k
    while True:
        asked = min(asked + 1, index.ntotal)
        ids, cosines = _search(index, query, k=asked, only=only)
        # FAISS keeps any of equals, such as copies of one passage; so they must all be seen before some are dropped.
        if len(ids) <= k or asked == index.ntotal or cosines[k - 1] > cosines[-1]:
            order = np.lexsort((ids, -cosines))[:k]
            return ids[order], cosines[order]
        asked *= 4


def _search(index: Any, query: Vectors, *, k: int, only: Any) -> tuple[Ids, npt.NDArray[np.float32]]:
    if not k:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    parameters = None
    if only is not None:
        inner = faiss.downcast_index(index.index)
        clustered = isinstance(inner, faiss.IndexIVF)
        parameters = (
            faiss.SearchParametersIVF(sel=only, nprobe=inner.nprobe) if clustered else faiss.SearchParameters(sel=only)
        )
    cosines, ids = index.search(query.reshape(1, -1).astype(np.float32), k, params=parameters)
    found = ids[0] >= 0
    return ids[0][found], cosines[0][found]


def vectors_of(index: Any, ids: Ids) -> Vectors:
    """Return the stored vectors of ``ids``, float32 (n, dimension); every id must be in the index."""
    return np.asarray(index.reconstruct_batch(ids), np.float32).reshape(len(ids), index.d)
