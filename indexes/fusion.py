"""Make one ranking of two: by the searchers' scores, or by their ranks alone.

Scores tell more than ranks: that the first hit is far ahead of the second, or that no word of the question is
anywhere. So BM25 is added to the cosine as a bonus, of a size that the spread of the stored vectors' own cosines sets:
embedders differ widely in it (a convex combination of scores, as in Bruch et al. 2023, without its per-query stretching
of the cosines, which lifts noise when nothing fits).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from core.interfaces import Vectors
from indexes.sparse import Scores, Slots

RANK_OFFSET = 60  # Cormack et al. 2009
BONUS_SPREADS = 3.5  # best for both on 1,500 training questions each of QED and CMRC 2018; 3 to 4 differ by .002
USUAL_SPREAD = 0.022  # of multilingual-e5-small, over prose and code alike
_FEWEST_FOR_SPREAD = 32


def spread(vectors: Vectors) -> float:
    """Return the standard deviation of the cosines between unit vectors, float32 (n, dimension); n of 256 is plenty.

    It is at least the usual one: documents on one subject lie close together, but questions about them do not.
    """
    n = len(vectors)
    if n < _FEWEST_FOR_SPREAD:
        return USUAL_SPREAD
    cosines = (vectors @ vectors.T)[np.triu_indices(n, 1)]
    return max(float(cosines.std()), USUAL_SPREAD)


def by_score(
    cosines: Scores,
    bm25: Scores,
    *,
    highest_bm25: float,
    full_bm25: float,
    spread: float,
    dense_weight: float = 1.0,
    sparse_weight: float = 1.0,
) -> npt.NDArray[np.float64]:
    """Return the fused score of each candidate, float64 (n,), higher is better.

    Args:
        cosines: Of every candidate, whichever searcher found it.
        bm25: Likewise.
        highest_bm25: The best score of any chunk for this question.
        full_bm25: About what a chunk would score that held every term of the question; so a question with hardly a
            word in the documents, in another language say, is left to the cosines.
        spread: As :func:`spread` returns.
        dense_weight: 0 leaves the order to BM25.
        sparse_weight: 0 leaves the order to the cosines.
    """
    scale = float(np.sqrt(highest_bm25 * full_bm25))
    bonus = bm25.astype(np.float64) / scale if scale > 0 else np.zeros(len(bm25))
    return dense_weight * cosines.astype(np.float64) + sparse_weight * BONUS_SPREADS * spread * bonus


def by_rank(
    candidates: Slots, rankings: Sequence[tuple[float, Slots]], *, offset: int = RANK_OFFSET
) -> npt.NDArray[np.float64]:
    """Return each candidate's reciprocal ranks, weighted and summed, float64 (n,).

    Args:
        candidates: Ascending.
        rankings: Each searcher's weight and its candidates, best first.
        offset: Added to every rank: the higher, the less the first places count.
    """
    fused = np.zeros(len(candidates))
    for weight, ranking in rankings:
        fused[np.searchsorted(candidates, ranking)] += weight / (offset + 1 + np.arange(len(ranking)))
    return fused
