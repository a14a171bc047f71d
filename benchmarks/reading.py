"""Fit what joins the reader's judgements with search and terms, on training questions the reader was not trained on.

``python -m benchmarks.reading --held-out PAIRS.jsonl [--work benchmarks/results/answers] [--write] [--set NAME=VALUE]``

``--held-out`` are the pairs that training judged itself on; their questions are asked of the knowledge bases that
``benchmarks.answers`` keeps (all paragraphs of QED and CMRC), each twice: with its paragraph there, where it should
come first (RANK) and its answer's sentence be picked (PICK), and with it left out, where the passages should be said
not to answer (ANSWERABLE). Half of the questions fit, the other half judge. The spans' threshold (SURE) is printed as
a table of F1 against it: from where a span's words beat its whole sentence.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from app.evaluation import comparable
from app.evidence import Evidence, logit
from app.evidence_weights import Weights
from app.knowledge_base import KnowledgeBase
from app.reading import answerable_features, context_line, rank_features, weighed
from app.reading_weights import ANSWERABLE_FEATURES, PICK_FEATURES, RANK_FEATURES
from core.records import Hit, SearchFilter
from core.settings import load_settings
from llm.evaluating.answers import token_f1
from llm.reader import PassageReading
from llm.reader.pairs import plain, read_pairs

PRIORS = {"rank": dict(zip(RANK_FEATURES, (4.0, 4.0, 0.5, 0.3, 0.05), strict=True)), "pick": {}, "answerable": {}}
RIDGE = 3e-3
WEIGHTS_FILE = Path("app/reading_weights.py")
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A held-out question, the source that answers it, and the accepted answers."""

    text: str
    source: str
    answers: tuple[str, ...]
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question with what was retrieved and read for it; ``gold`` is its passage's place, None where it is out."""

    question: Question
    hits: tuple[Hit, ...]
    readings: tuple[PassageReading, ...]
    gold: int | None


def questions_of(shared: Path, held_out: Path) -> dict[str, list[Question]]:
    """Return the held-out questions of each knowledge base."""
    wanted = {plain(pair.question).rstrip("?") for pair in read_pairs(held_out) if pair.spans}
    found: dict[str, list[Question]] = {"qed": [], "cmrc": []}
    ids: dict[str, str] = {}
    for row in _lines(shared / "train/qed_train.jsonl"):
        source = ids.setdefault(row["paragraph_text"], f"qed-{len(ids)}")
        if plain(row["question_text"]) in wanted:
            answers = tuple(answer for answer in row["answer_text"] if answer)
            found["qed"].append(Question(text=row["question_text"], source=source, answers=answers, language="en"))
    ids = {}
    for article in json.loads((shared / "train/cmrc_train.json").read_text("utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            source = ids.setdefault(paragraph["context"], f"cmrc-{len(ids)}")
            for qa in paragraph["qas"]:
                if plain(qa["question"]) in wanted:
                    answers = tuple(answer["text"] for answer in qa["answers"])
                    found["cmrc"].append(Question(text=qa["question"], source=source, answers=answers, language="zh"))
    return found


def _lines(path: Path) -> Iterator[dict]:  # type: ignore[type-arg]
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def asked(kb: KnowledgeBase, question: Question) -> Iterator[Asked]:
    """Yield the question read with its paragraph, where search finds it, and without."""
    reader = kb.services.reader
    if reader is None:
        raise SystemExit("there is no reader to fit")
    for filter in (SearchFilter(), SearchFilter(without=(question.source,))):
        hits = tuple(kb.services.index.search(question.text, k=kb.settings.reader.passages, filter=filter))
        gold = next((i for i, hit in enumerate(hits) if hit.source == question.source), None)
        if gold is None and not filter.without:
            continue
        if filter.without and any(comparable(a) in comparable(h.chunk.text) for a in question.answers for h in hits):
            continue
        readings = tuple(reader.read(question.text, [(context_line(hit), hit.chunk.text) for hit in hits]))
        yield Asked(question=question, hits=hits, readings=readings, gold=gold)


def kept(asked: Asked, rank: Weights, *, k: int) -> Asked:
    """Return the question with the ``k`` best passages in their order, as the scorer goes on with them.

    A passage that holds the answer and is not among them leaves ``gold`` None.
    """
    ranks = [logit(rank, rank_features(asked.hits, asked.readings, i)) for i in range(len(asked.hits))]
    order = sorted(range(len(ranks)), key=lambda i: -ranks[i])[:k]
    return replace(
        asked,
        hits=tuple(asked.hits[i] for i in order),
        readings=tuple(asked.readings[i] for i in order),
        gold=order.index(asked.gold) if asked.gold in order else None,
    )


def fit_listwise(rows: Sequence[tuple[Array, npt.NDArray[np.bool_]]], prior: Array) -> Weights:
    """Fit a softmax over the rows of each question, drawn towards ``prior``."""
    scale = np.concatenate([x for x, _ in rows]).std(0) + 1e-3
    start = prior * scale

    def loss(w: Array) -> tuple[float, Array]:
        away = w - start
        total, gradient = RIDGE * float(away @ away) * len(rows), 2 * RIDGE * len(rows) * away
        for x, right in rows:
            z = x / scale
            logits = z @ w
            p = np.exp(logits - logits.max())
            p /= p.sum()
            q = np.where(right, p, 0)
            total -= float(np.log(q.sum() + 1e-12))
            gradient = gradient + z.T @ (p - q / (q.sum() + 1e-12))
        return total, gradient

    fitted = minimize(loss, start, jac=True, method="L-BFGS-B").x
    return Weights(weights=tuple(round(float(w), 4) for w in fitted / scale), bias=0.0)


def fit_logistic(x: Array, y: npt.NDArray[np.bool_]) -> Weights:
    """Fit a logistic regression, both classes weighing the same."""
    mean, scale = x.mean(0), x.std(0) + 1e-9
    z = (x - mean) / scale
    weight = np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean()))

    def loss(w: Array) -> tuple[float, Array]:
        p = 1 / (1 + np.exp(-(z @ w[:-1] + w[-1])))
        value = -float((weight * np.where(y, np.log(p + 1e-12), np.log(1 - p + 1e-12))).mean())
        slope = weight * (p - y) / len(y)
        gradient = np.append(z.T @ slope, slope.sum()) + 2 * RIDGE * np.append(w[:-1], 0)
        return value + RIDGE * float(w[:-1] @ w[:-1]), gradient

    w = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
    weights = w[:-1] / scale
    bias = float(w[-1] - (weights * mean).sum())
    return Weights(weights=tuple(round(float(v), 4) for v in weights), bias=round(bias, 4))


def best_of(rows: Sequence[Asked], rank: Weights, *, k: int) -> list[Asked]:
    """Return the questions with their best passages; one that loses its answer by it is left out."""
    return [best for a in rows if (best := kept(a, rank, k=k)).gold is not None or a.gold is None]


def rank_table(rows: Sequence[Asked]) -> list[tuple[Array, npt.NDArray[np.bool_]]]:
    """Return each answerable question's features and which of its passages is right."""
    return [
        (
            np.array([rank_features(a.hits, a.readings, i) for i in range(len(a.hits))]),
            np.arange(len(a.hits)) == a.gold,
        )
        for a in rows
        if a.gold is not None
    ]


def evidence(a: Asked, pick: Weights | None = None) -> list[Evidence]:
    """Return a question's sentences, best first by ``pick`` (None: the weights in use)."""
    found = weighed(a.question.text, a.question.text, a.hits, a.readings).evidence
    if pick is None:
        return list(found)
    return sorted(found, key=lambda e: -float(np.dot(pick.weights, e.features)))


def pick_table(rows: Sequence[Asked]) -> list[tuple[Array, npt.NDArray[np.bool_]]]:
    """Return each answerable question's features and which of its sentences hold the answer."""
    table = []
    for a in rows:
        if a.gold is None:
            continue
        found = evidence(a)
        answers = [comparable(answer) for answer in a.question.answers]
        right = np.array([e.hit == a.gold and any(t in comparable(e.text) for t in answers) for e in found])
        if right.any():
            table.append((np.array([e.features for e in found]), right))
    return table


def answerable_table(rows: Sequence[Asked], pick: Weights) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return the features of answering and whether each question has an answer."""
    x = [answerable_features(a.question.text, evidence(a, pick), a.hits, a.readings) for a in rows]
    return np.array(x), np.array([a.gold is not None for a in rows])


def first_right(table: Sequence[tuple[Array, npt.NDArray[np.bool_]]], weights: Weights) -> float:
    """Return how often the first by ``weights`` is right."""
    return float(np.mean([right[int(np.argmax(x @ np.array(weights.weights)))] for x, right in table]))


def judge(
    name: str, read: Sequence[Asked], rows: Sequence[Asked], rank: Weights, pick: Weights, answerable: Weights
) -> None:
    """Print what the weights give on questions they were not fitted on, of all that was read and of the best."""
    ranks, picks = rank_table(read), pick_table(rows)
    x, y = answerable_table(rows, pick)
    p = 1 / (1 + np.exp(-(x @ np.array(answerable.weights) + answerable.bias)))
    before = np.mean([a.gold == 0 for a in read if a.gold is not None])
    print(
        f"\n{name}: right passage first {first_right(ranks, rank):.1%} (search alone {before:.1%}, n={len(ranks)});"
        f" right sentence {first_right(picks, pick):.1%} (n={len(picks)})"
    )
    for threshold in (0.3, 0.4, 0.5, 0.6, 0.7):
        caught, lost = (p[~y] < threshold).mean(), (p[y] < threshold).mean()
        print(f"  refuse below {threshold}: unanswerable refused {caught:.1%} (n={(~y).sum()}), answerable {lost:.1%}")
    spans, sentences, scores = [], [], []
    for a in rows:
        if a.gold is None:
            continue
        best = evidence(a, pick)[0]
        text, offset = a.hits[best.hit].chunk.text, a.hits[best.hit].chunk.locator.start
        said = text[best.span[0] - offset : best.span[1] - offset] if best.span else ""
        spans.append(token_f1(said, a.question.answers))
        sentences.append(token_f1(best.text, a.question.answers))
        scores.append(best.span_score)
    for sure in (-6, -3, -1, 0, 1, 3, 6, 100):
        values = [s if score >= sure else t for s, t, score in zip(spans, sentences, scores, strict=True)]
        print(f"  spans from {sure}: F1 {np.mean(values):.3f}, of {np.mean(np.array(scores) >= sure):.0%}")


def write(rank: Weights, pick: Weights, answerable: Weights) -> None:
    """Write the weights into the module that the scorer reads."""
    source = WEIGHTS_FILE.read_text("utf-8")
    head, tail = source[: source.index("RANK = ")], source[source.index("# The score of a span") :]
    WEIGHTS_FILE.write_text(f"{head}RANK = {rank!r}\nPICK = {pick!r}\nANSWERABLE = {answerable!r}\n{tail}", "utf-8")


def main() -> None:
    """Ask, fit, judge, and write when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held-out", type=Path, required=True, metavar="PAIRS.jsonl")
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(__file__).parent / "results" / "answers")
    parser.add_argument("-n", type=int, default=1000, help="questions of each language")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="one setting; may be repeated")
    parser.add_argument("--write", action="store_true", help=f"write the weights to {WEIGHTS_FILE}")
    options = parser.parse_args()
    fits: list[Asked] = []
    tests: dict[str, list[Asked]] = {}
    for name, questions in questions_of(options.shared, options.held_out).items():
        random.Random(0).shuffle(questions)
        settings = load_settings(overrides=options.set, data_dir=options.work / name).settings
        k = settings.retrieval.k
        with KnowledgeBase.open(settings=settings) as kb:
            found = [a for question in questions[: options.n] for a in asked(kb, question)]
        half = {id(q) for q in questions[::2]}
        fits += [a for a in found if id(a.question) in half]
        tests[name] = [a for a in found if id(a.question) not in half]
        print(f"{name}: {len(found)} of {len(questions)} questions asked with and without", flush=True)
    rank = fit_listwise(rank_table(fits), np.array(list(PRIORS["rank"].values())))
    fits = best_of(fits, rank, k=k)
    pick = fit_listwise(pick_table(fits), np.zeros(len(PICK_FEATURES)))
    answerable = fit_logistic(*answerable_table(fits, pick))
    for names, weights in ((RANK_FEATURES, rank), (PICK_FEATURES, pick), (ANSWERABLE_FEATURES, answerable)):
        print(dict(zip(names, weights.weights, strict=True)), weights.bias)
    for name, test in tests.items():
        judge(name, test, best_of(test, rank, k=k), rank, pick, answerable)
    if options.write:
        write(rank, pick, answerable)


if __name__ == "__main__":
    main()
