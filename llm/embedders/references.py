"""Fixed sentences and their float32 vectors: what an engine has to reproduce before it is trusted with a document."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from core.interfaces import Vectors

SENTENCES = (
    "query: How many days of annual leave does a new employee receive?",
    "query: 锅炉的安全阀应当多久检验一次？",
    "passage: The pump must be switched off and left to cool for twenty minutes before the filter cover is removed.",
    "passage: 合同自双方签字之日起生效，有效期三年；任何一方可提前三十日以书面形式通知对方终止本合同。",
)
FILE = "references.json"


def write(path: Path, vectors: Vectors) -> None:
    """Write the vectors of :data:`SENTENCES`, float32 (4, dimension), beside a model."""
    plain = [[round(float(value), 6) for value in row] for row in vectors]
    path.write_text(json.dumps({"sentences": SENTENCES, "vectors": plain}, ensure_ascii=False), "utf-8")


def read(path: Path) -> Vectors:
    """Read the vectors; float32 (4, dimension), unit norm."""
    return np.asarray(json.loads(path.read_text("utf-8"))["vectors"], np.float32)


def lowest_cosine(found: Vectors, expected: Vectors) -> float:
    """Return the lowest cosine of a row of ``found`` with its row of ``expected``; -1 where a value is not finite."""
    if found.shape != expected.shape or not np.isfinite(found).all():
        return -1.0
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
    return float(((found * expected).sum(1) / np.maximum(norms, 1e-12)).min())
