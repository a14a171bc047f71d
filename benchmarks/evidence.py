"""Fit the evidence scorer on training questions, and say how well it picks and refuses on others.

``python -m benchmarks.evidence [--shared ../shared/data] [--questions 500] [--write]``

Paragraphs of QED and CMRC training questions (English and Chinese) become a knowledge base each. Every question is
asked twice: with its paragraph there, where the sentence that holds the answer should be picked, and with it taken out
of what was retrieved, where the passages should be said not to hold the answer. Picking is fitted listwise (softmax
over the sentences of a question), answering as a logistic regression; half of the questions fit, the other half judge.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from app.evaluation import comparable
from app.evidence import FEATURES, Evidence, EvidenceScorer, answerable_features
from app.evidence_weights import Weights
from app.knowledge_base import KnowledgeBase
from benchmarks.serving import link_models
from core.records import Hit

K = 5
RIDGE = 1e-2
PICK_RIDGE = 5e-2
PRIOR = {
    "coverage": 2.0,
    "context_coverage": 1.0,
    "near_coverage": 2.0,
    "cosine": 20.0,
    "passage_cosine": 4.0,
    "reciprocal_rank": 1.0,
    "codes_missing": -1.5,
    "number_fits": 1.0,
    "number_lacks": -1.0,
    "time_fits": 1.0,
    "time_lacks": -1.0,
    "is_heading": -2.0,
    "is_question": -2.0,
    "log_length": 0.2,
    "new_terms": 1.0,
}
WEIGHTS_FILE = Path("app/evidence_weights.py")
Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A training question, the source that answers it, and the accepted answers."""

    text: str
    source: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """The sentences' features (n, len(FEATURES)), which of them hold the answer, and the hits they come from."""

    features: Array
    right: npt.NDArray[np.bool_]
    hits: tuple[Hit, ...]
    question: str
    answerable: bool


def qed(folder: Path, n_paragraphs: int) -> tuple[list[dict[str, str]], list[Question]]:
    """Return the first paragraphs of QED's training set and the questions on them."""
    passages: dict[str, str] = {}
    questions = []
    for line in (folder / "train" / "qed_train.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        text = row["paragraph_text"]
        if text not in passages and len(passages) >= n_paragraphs:
            continue
        source = passages.setdefault(text, f"qed-{len(passages)}")
        answers = tuple(a for a in row["answer_text"] if a) if isinstance(row["answer_text"], list) else ()
        if answers:
            questions.append(Question(text=row["question_text"], source=source, answers=answers))
    return [{"id": s, "title": "", "text": t} for t, s in passages.items()], questions


def cmrc(folder: Path, n_paragraphs: int) -> tuple[list[dict[str, str]], list[Question]]:
    """Return the first paragraphs of CMRC's training set and the questions on them."""
    tree = json.loads((folder / "train" / "cmrc_train.json").read_text("utf-8"))
    passages, questions = [], []
    for article in tree["data"]:
        for paragraph in article["paragraphs"]:
            if len(passages) >= n_paragraphs:
                return passages, questions
            source = f"cmrc-{len(passages)}"
            passages.append({"id": source, "title": "", "text": paragraph["context"]})
            for qa in paragraph["qas"]:
                answers = tuple(a["text"] for a in qa["answers"] if a["text"])
                questions.append(Question(text=qa["question"], source=source, answers=answers))
    return passages, questions


def examples(kb: KnowledgeBase, questions: Sequence[Question]) -> list[Example]:
    """Ask every question with its paragraph and without it."""
    scorer = EvidenceScorer(kb.services.embedder)
    found = []
    for question in questions:
        hits = kb.search(question.text, k=K + 3)
        answers = [comparable(a) for a in question.answers]
        if any(hit.source == question.source for hit in hits[:K]):
            found.append(example(scorer, question, hits[:K], answers, answerable=True))
        others = [hit for hit in hits if hit.source != question.source][:K]
        if others and not any(a in comparable(hit.chunk.text) for a in answers for hit in others):
            found.append(example(scorer, question, others, answers, answerable=False))
    return found


def example(
    scorer: EvidenceScorer, question: Question, hits: Sequence[Hit], answers: Sequence[str], *, answerable: bool
) -> Example:
    """Return the features of one question over ``hits``."""
    evidence = scorer.weigh(question.text, hits).evidence
    right = [hits[e.hit].source == question.source and any(a in comparable(e.text) for a in answers) for e in evidence]
    return Example(
        features=np.array([e.features for e in evidence]),
        right=np.array(right, bool),
        hits=tuple(hits),
        question=question.text,
        answerable=answerable,
    )


def fit_pick(train: Sequence[Example]) -> Weights:
    """Fit the listwise softmax with L-BFGS, drawn towards ``PRIOR``, for paragraphs of an encyclopedia lack much of
    what documents have; features are scaled for the fit and the scales folded back.
    """
    rows = [e for e in train if e.answerable and e.right.any()]
    scale = np.concatenate([e.features for e in rows]).std(0) + 1e-3
    prior = np.array([PRIOR[name] for name in FEATURES]) * scale

    def loss(w: Array) -> tuple[float, Array]:
        away = w - prior
        total, gradient = PICK_RIDGE * float(away @ away) * len(rows), 2 * PICK_RIDGE * len(rows) * away
        for e in rows:
            x = e.features / scale
            logits = x @ w
            p = np.exp(logits - logits.max())
            p /= p.sum()
            q = np.where(e.right, p, 0)
            total -= float(np.log(q.sum() + 1e-12))
            gradient = gradient + x.T @ (p - q / (q.sum() + 1e-12))
        return total, gradient

    fitted = minimize(loss, prior, jac=True, method="L-BFGS-B").x
    return Weights(weights=tuple(round(float(w), 4) for w in fitted / scale), bias=0.0)


def fit_answerable(train: Sequence[Example], pick: Weights) -> Weights:
    """Fit the logistic regression, both classes and both languages weighing the same."""
    x, y = answerable_table(train, pick)
    mean, scale = x.mean(0), x.std(0) + 1e-9
    z = (x - mean) / scale
    weight = np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean()))

    def loss(w: Array) -> tuple[float, Array]:
        logits = z @ w[:-1] + w[-1]
        p = 1 / (1 + np.exp(-logits))
        value = -float((weight * np.where(y, np.log(p + 1e-12), np.log(1 - p + 1e-12))).mean())
        slope = weight * (p - y) / len(y)
        gradient = np.append(z.T @ slope, slope.sum()) + 2 * RIDGE * np.append(w[:-1], 0)
        return value + RIDGE * float(w[:-1] @ w[:-1]), gradient

    w = minimize(loss, np.zeros(x.shape[1] + 1), jac=True, method="L-BFGS-B").x
    weights = w[:-1] / scale
    return Weights(
        weights=tuple(round(float(v), 4) for v in weights), bias=round(float(w[-1] - (weights * mean).sum()), 4)
    )


def answerable_table(rows: Sequence[Example], pick: Weights) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Return the features of :func:`answerable_features` and the labels."""
    x = [answerable_features(e.question, ranked(e, pick), e.hits) for e in rows]
    return np.array(x), np.array([e.answerable for e in rows])


def ranked(e: Example, pick: Weights) -> list[Evidence]:
    """Return the evidence of an example ranked by ``pick``."""
    scores = e.features @ np.array(pick.weights)
    return [
        Evidence(hit=0, start=0, end=0, text="", score=float(scores[i]), features=tuple(e.features[i]))
        for i in np.argsort(-scores, kind="stable")
    ]


def judge(name: str, test: Sequence[Example], pick: Weights, answerable: Weights) -> None:
    """Print how often the right sentence is picked, and what refusing costs and catches."""
    asked = [e for e in test if e.answerable and e.right.any()]
    first = np.mean([e.right[int(np.argmax(e.features @ np.array(pick.weights)))] for e in asked])
    x, y = answerable_table(test, pick)
    p = 1 / (1 + np.exp(-(x @ np.array(answerable.weights) + answerable.bias)))
    print(f"\n{name}: right sentence picked {first:.1%} (n={len(asked)})")
    for threshold in (0.3, 0.4, 0.5, 0.6, 0.7):
        caught, lost = (p[~y] < threshold).mean(), (p[y] < threshold).mean()
        print(f"  refuse below {threshold}: unanswerable refused {caught:.1%}, answerable refused {lost:.1%}")


def write(pick: Weights, answerable: Weights) -> None:
    """Write the weights into the module that the scorer reads."""
    source = WEIGHTS_FILE.read_text("utf-8")
    head = source[: source.index("PICK = ")]
    WEIGHTS_FILE.write_text(f"{head}PICK = {pick!r}\nANSWERABLE = {answerable!r}\n", "utf-8")


def main() -> None:
    """Fit, judge, and write when asked to."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--shared", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--models", type=Path, default=Path("data/models"))
    arguments.add_argument("--questions", type=int, default=500, help="of each language")
    arguments.add_argument("--paragraphs", type=int, default=1500, help="of each language")
    arguments.add_argument("--work", type=Path, help="data directory to keep; default: one that is thrown away")
    arguments.add_argument("--write", action="store_true", help=f"write the weights to {WEIGHTS_FILE}")
    options = arguments.parse_args()
    train: list[Example] = []
    tests: dict[str, list[Example]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, read in (("qed", qed), ("cmrc", cmrc)):
            work = (options.work or Path(scratch)) / name
            work.mkdir(parents=True, exist_ok=True)
            link_models(options.models, work)
            passages, questions = read(options.shared, options.paragraphs)
            file = work / "passages.jsonl"
            file.write_text("".join(json.dumps(p, ensure_ascii=False) + "\n" for p in passages), "utf-8")
            with KnowledgeBase.open(work) as kb:
                kb.ingest(file, format="passages")
                random.Random(0).shuffle(questions)
                found = examples(kb, questions[: options.questions])
            train += found[: len(found) // 2]
            tests[name] = found[len(found) // 2 :]
            print(f"{name}: {len(passages)} paragraphs, {len(found)} examples", flush=True)
    pick = fit_pick(train)
    answerable = fit_answerable(train, pick)
    print(dict(zip(FEATURES, pick.weights, strict=True)), answerable, sep="\n")
    for name, test in tests.items():
        judge(name, test, pick, answerable)
    if options.write:
        write(pick, answerable)


if __name__ == "__main__":
    main()
