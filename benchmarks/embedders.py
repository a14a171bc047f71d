"""Speed and recall of each engine of the default embedder, against sentence-transformers' own ``encode``.

``python -m benchmarks.embedders [--data ../shared/data] [--models data/models] [--passages 2000] [--rounds 3]``

Speed is taken on passages of about 190 tokens, the engines in turn, the best of the rounds; recall on QED and CMRC
questions over their paragraphs. "crossed" embeds passages in int8 and questions in float32: whether engines may be
mixed over one store.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer

from benchmarks.retrieval import QuestionSet, cmrc, metrics, qed
from core.interfaces import Vectors
from core.settings import EmbedderSettings
from llm.embedders import Embedder, prepare_embedder
from llm.embedders.int8 import Int8Embedder
from llm.embedders.torch_engine import TorchEmbedder

PASSAGE_TOKENS = 190
N_TIMED = 96
DEPTH = 10


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--models", type=Path, default=Path("data/models"))
    parser.add_argument("--passages", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    folder = prepare_embedder(EmbedderSettings(), options.models)
    engines: dict[str, Embedder] = {
        "torch fp32": TorchEmbedder(folder, bfloat16=False),
        "torch bf16": TorchEmbedder(folder, bfloat16=True),
        "openvino int8": Int8Embedder(folder),
    }
    sets = [smaller(questions, options.passages) for questions in (qed(options.data), cmrc(options.data))]
    print_speeds(engines, sets, rounds=options.rounds)
    for questions in sets:
        print_recalls(engines, questions)


def smaller(questions: QuestionSet, n_passages: int) -> QuestionSet:
    """Keep the passages that answer a question, and others up to ``n_passages``."""
    gold = sorted(set().union(*(places for _, places in questions.questions)))
    others = [place for place in range(len(questions.passages)) if place not in set(gold)]
    kept = [*gold, *others][: max(n_passages, len(gold))]
    now = {place: number for number, place in enumerate(kept)}
    return replace(
        questions,
        passages=[questions.passages[place] for place in kept],
        questions=[(text, frozenset(now[place] for place in places)) for text, places in questions.questions],
    )


def print_speeds(engines: dict[str, Embedder], sets: Sequence[QuestionSet], *, rounds: int) -> None:
    """Print passages a second, milliseconds a question, and the ratio to sentence-transformers' own loop."""
    first = next(iter(engines.values()))
    texts = [text for questions in sets for text in cut(questions, first, N_TIMED // len(sets))]
    stock = SentenceTransformer(str(first.folder.path), device="cpu", model_kwargs={"dtype": torch.float32})
    runs: dict[str, Callable[[], object]] = {
        "sentence-transformers": lambda: stock.encode(texts, prompt_name="passage"),
        **{name: (lambda engine=engine: engine.encode_passages(texts)) for name, engine in engines.items()},
    }
    seconds = best_of(runs, rounds)
    question = sets[0].questions[0][0]
    asked = best_of(
        {n: (lambda e=e: [e.encode_query(question) for _ in range(10)]) for n, e in engines.items()}, rounds
    )
    print(f"{'engine':24}{'passages/s':>12}{'ratio':>8}{'ms/question':>14}   (n = {len(texts)} passages)")
    for name, taken in seconds.items():
        each = f"{asked[name] * 100:.1f}" if name in asked else "-"
        print(f"{name:24}{len(texts) / taken:12.1f}{seconds['sentence-transformers'] / taken:8.2f}{each:>14}")


def cut(questions: QuestionSet, embedder: Embedder, n: int) -> list[str]:
    """Return ``n`` passages of :data:`PASSAGE_TOKENS` tokens."""
    found: list[str] = []
    for _, text in questions.passages:
        spans = embedder.token_spans(text)
        if len(spans) >= PASSAGE_TOKENS and len(found) < n:
            found.append(text[: spans[PASSAGE_TOKENS - 1][1]])
    return found


def best_of(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the least seconds of each, run in turn so that a disturbance meets all of them."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - started)
    return best


def print_recalls(engines: dict[str, Embedder], questions: QuestionSet) -> None:
    """Print recall and nDCG of each engine, and of int8 passages under float32 questions."""
    texts = [f"{title}\n{text}" if title else text for title, text in questions.passages]
    passages = {name: engine.encode_passages(texts) for name, engine in engines.items()}
    asked = {name: np.stack([e.encode_query(text) for text, _ in questions.questions]) for name, e in engines.items()}
    print(f"\n{questions.name}: {len(questions.questions)} questions, {len(texts)} passages")
    print(f"{'engine':24}{'R@1':>8}{'R@5':>8}{'nDCG@10':>9}{'cosine with fp32: mean':>24}{'least':>8}")
    rows = [(name, asked[name], passages[name]) for name in engines]
    rows.append(("crossed", asked["torch fp32"], passages["openvino int8"]))
    for name, queries, vectors in rows:
        print_recall(name, questions, queries, vectors, expected=passages["torch fp32"])


def print_recall(name: str, questions: QuestionSet, queries: Vectors, vectors: Vectors, *, expected: Vectors) -> None:
    """Print one row."""
    rankings = np.argsort(-(queries @ vectors.T), axis=1)[:, :DEPTH].tolist()
    r1, r5, _, ndcg, *_ = metrics(rankings, [places for _, places in questions.questions])
    cosines = (vectors * expected).sum(1)
    print(f"{name:24}{r1:8.4f}{r5:8.4f}{ndcg:9.4f}{cosines.mean():24.5f}{cosines.min():8.4f}")


if __name__ == "__main__":
    main()
