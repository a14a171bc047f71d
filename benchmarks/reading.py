"""Fit what joins the reader's judgements with search and terms, on questions the reader was not trained on.

``python -m benchmarks.reading --held-out PAIRS.jsonl [--write] [--set NAME=VALUE]``

``--held-out`` are the pairs that training judged itself on; their questions are asked of the knowledge bases that
``benchmarks.answers`` keeps (all paragraphs of QED and CMRC), each twice: with its paragraph there, where it should
come first (RANK) and its answer's sentence be picked (PICK), and with it left out, where the passages should be said
not to answer (ANSWERABLE). Beside them stand the written documents that were held out of training: handbooks, manuals,
tables, and near misses that have no answer; folders of one firm each; and more documents ("near"), each question asked
of its own document alone, as of a knowledge base of a few documents, where a near miss finds nothing but what it
misses. The fit is drawn towards weights that work without a reader. Half of the questions fit, of "near" a third of
that (more of them costs refusal in large knowledge bases), and the other half judge. Last comes a table of F1 against
SURE: from which score a span's words beat its whole sentence.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from app import evidence_weights
from app.cases import Case
from app.evaluation import comparable
from app.evidence import Evidence, EvidenceScorer, logit
from app.evidence_weights import Weights
from app.knowledge_base import KnowledgeBase
from app.reading import answerable_features, evidence, places, rank_features, read_hits
from app.reading_weights import ANSWERABLE_FEATURES, PICK_FEATURES, RANK_FEATURES
from benchmarks import answer_sets
from benchmarks.answers import knowledge_base
from benchmarks.written_set import folders, near_cases, sentences, written
from core.records import Hit, SearchFilter
from llm.evaluating.answers import token_f1
from llm.reader import PassageReading
from llm.reader.pairs import plain, read_pairs

# In the order of the features: what the scorer does without a reader, and a little of each judgement.
PRIORS = {
    # Search's own order weighs much: in text of a kind that the reader was not trained on (a code base) its ranking
    # costs 2 points of nDCG with a third of this, and gains half a point with all of it.
    "rank": (90.0, 0.0, 0.1, 0.3, 0.3),
    "pick": (*evidence_weights.PICK.weights, 0.3, 0.0, 0.1),
    "answerable": (*(0.6 * w for w in evidence_weights.ANSWERABLE.weights), 0.1, 0.15, 0.15, 0.1, 0.1, 0.1, 0.0),
}
RIDGES = {"rank": 1e-1, "pick": 3e-2, "answerable": 1e-2}
WEIGHTS_FILE = Path("app/reading_weights.py")
Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, the sources that answer it, and the accepted answers; none where it has no answer.

    ``sentence`` is the one that answers, where others hold the answer's words too; ``within`` are the sources and
    ``collections`` the collections that are searched, none for all.
    """

    text: str
    sources: frozenset[str]
    answers: tuple[str, ...]
    answerable: bool = True
    without: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    sentence: str = ""

    def answered_by(self, text: str) -> bool:
        """Return whether a sentence of a right source answers."""
        said, sentence = comparable(text), comparable(self.sentence)
        if sentence:
            return sentence in said or (said in sentence and any(comparable(a) in said for a in self.answers))
        return any(comparable(answer) in said for answer in self.answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question with what was retrieved and read for it, and the sentences of the best passages."""

    question: Question
    hits: tuple[Hit, ...]
    readings: tuple[PassageReading, ...]
    right: frozenset[int]


def held_out(shared: Path, pairs: Path) -> dict[str, list[Question]]:
    """Return the held-out questions of each public knowledge base, with and without their source."""
    wanted = {plain(pair.question).rstrip("?") for pair in read_pairs(pairs) if pair.spans}
    found: dict[str, list[Question]] = {"qed": [], "cmrc": []}
    ids: dict[str, str] = {}
    for row in answer_sets.json_lines(shared / "train/qed_train.jsonl"):
        source = ids.setdefault(row["paragraph_text"], f"qed-{len(ids)}")
        if plain(row["question_text"]) in wanted:
            found["qed"] += _twice(row["question_text"], source, [answer for answer in row["answer_text"] if answer])
    ids = {}
    for article in json.loads((shared / "train/cmrc_train.json").read_text("utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            source = ids.setdefault(paragraph["context"], f"cmrc-{len(ids)}")
            for qa in paragraph["qas"]:
                if plain(qa["question"]) in wanted:
                    found["cmrc"] += _twice(qa["question"], source, [answer["text"] for answer in qa["answers"]])
    return found


def _twice(text: str, source: str, answers: Sequence[str]) -> list[Question]:
    there = Question(text=text, sources=frozenset({source}), answers=tuple(answers))
    gone = Question(text=text, sources=frozenset(), answers=tuple(answers), answerable=False, without=(source,))
    return [there, gone]


def first_questions(cases: Sequence[Case], *, alone: bool = False) -> list[Question]:
    """Return the cases that follow up no other; ``alone``: each asked of its own sources only."""
    known = sentences()
    return [
        Question(
            text=case.question,
            sources=frozenset(path for path, _ in case.sources) if case.answerable else frozenset(),
            answers=case.answers,
            answerable=case.answerable,
            within=tuple(path for path, _ in case.sources) if alone else (),
            collections=case.filter.collections,
            sentence=known.get(case.id, ""),
        )
        for case in cases
        if not case.history
    ]


def asked(kb: KnowledgeBase, question: Question) -> Asked | None:
    """Return a question as it was read; None where its answer was not found, or was though it is left out."""
    reader = kb.services.reader
    if reader is None:
        raise SystemExit("there is no reader to fit")
    hits = tuple(
        kb.services.index.search(
            question.text,
            k=kb.settings.reader.passages,
            filter=SearchFilter(without=question.without, sources=question.within, collections=question.collections),
        )
    )
    right = frozenset(i for i, hit in enumerate(hits) if hit.source in question.sources)
    answers = [comparable(answer) for answer in question.answers]
    elsewhere = any(answer in comparable(hit.chunk.text) for answer in answers for hit in hits)
    if bool(right) != question.answerable or (not question.answerable and answers and elsewhere):
        return None
    readings = tuple(read_hits(reader, question.text, hits))
    return Asked(question=question, hits=hits, readings=readings, right=right)


def best_of(a: Asked, rank: Weights, *, k: int) -> Asked:
    """Return the question with its ``k`` best passages in their order, as the scorer goes on with them."""
    order = places(rank, a.hits, a.readings)[:k]
    return Asked(
        question=a.question,
        hits=tuple(a.hits[i] for i in order),
        readings=tuple(a.readings[i] for i in order),
        right=frozenset(order.index(i) for i in a.right if i in order),
    )


def fit_listwise(rows: Sequence[tuple[Array, Bools]], prior: Sequence[float], *, ridge: float) -> Weights:
    """Fit a softmax over the rows of each question, drawn towards ``prior``, no weight against its prior's sign."""
    scale = np.concatenate([x for x, _ in rows]).std(0) + 1e-3
    start = np.array(prior) * scale

    def loss(w: Array) -> tuple[float, Array]:
        away = w - start
        total, gradient = ridge * float(away @ away) * len(rows), 2 * ridge * len(rows) * away
        for x, right in rows:
            z = x / scale
            logits = z @ w
            p = np.exp(logits - logits.max())
            p /= p.sum()
            q = np.where(right, p, 0)
            total -= float(np.log(q.sum() + 1e-12))
            gradient = gradient + z.T @ (p - q / (q.sum() + 1e-12))
        return total, gradient

    bounds = [(0, None) if w > 0 else (None, 0) if w < 0 else (None, None) for w in start]
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return Weights(weights=tuple(round(float(w), 4) for w in fitted / scale), bias=0.0)


def fit_logistic(x: Array, y: Bools, prior: Sequence[float], *, ridge: float) -> Weights:
    """Fit a logistic regression drawn towards ``prior``, both classes weighing the same."""
    mean, scale = x.mean(0), x.std(0) + 1e-9
    z, start = (x - mean) / scale, np.append(np.array(prior) * scale, 0.0)
    weight = np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean()))

    def loss(w: Array) -> tuple[float, Array]:
        p = 1 / (1 + np.exp(-(z @ w[:-1] + w[-1])))
        value = -float((weight * np.where(y, np.log(p + 1e-12), np.log(1 - p + 1e-12))).mean())
        slope = weight * (p - y) / len(y)
        away = np.append(w[:-1] - start[:-1], 0)
        return value + ridge * float(away @ away), np.append(z.T @ slope, slope.sum()) + 2 * ridge * away

    w = minimize(loss, start, jac=True, method="L-BFGS-B").x
    weights = w[:-1] / scale
    bias = float(w[-1] - (weights * mean).sum())
    return Weights(weights=tuple(round(float(v), 4) for v in weights), bias=round(bias, 4))


def rank_table(rows: Sequence[Asked]) -> list[tuple[Array, Bools]]:
    """Return each answerable question's features and which of its passages are right."""
    return [
        (
            np.array(rank_features(a.hits, a.readings)),
            np.array([i in a.right for i in range(len(a.hits))]),
        )
        for a in rows
        if a.right
    ]


class Sentences:
    """The sentences of questions as evidence; what was weighed once is kept."""

    def __init__(self, scorer: EvidenceScorer) -> None:
        self._scorer = scorer
        self._known: dict[int, tuple[Asked, tuple[Evidence, ...]]] = {}  # the question is held, so its id stays its own

    def of(self, a: Asked, pick: Weights) -> list[Evidence]:
        """Return a question's sentences, best first by ``pick``."""
        if id(a) not in self._known:
            text = a.question.text
            self._known[id(a)] = a, evidence(self._scorer, text, text, a.hits, a.readings)
        return sorted(self._known[id(a)][1], key=lambda e: -logit(pick, e.features))

    def table(self, rows: Sequence[Asked], pick: Weights) -> list[tuple[Array, Bools]]:
        """Return each answerable question's features and which of its sentences hold the answer."""
        tables = []
        for a in rows:
            found = self.of(a, pick)
            right = np.array([e.hit in a.right and a.question.answered_by(e.text) for e in found])
            if right.any():
                tables.append((np.array([e.features for e in found]), right))
        return tables

    def answerable(self, rows: Sequence[Asked], pick: Weights) -> tuple[Array, Bools]:
        """Return the features of answering, and whether each question has an answer."""
        kept = [a for a in rows if self.of(a, pick)]
        x = [answerable_features(a.question.text, self.of(a, pick), a.hits, a.readings) for a in kept]
        return np.array(x), np.array([a.question.answerable for a in kept])


def first_right(table: Sequence[tuple[Array, Bools]], weights: Weights) -> float:
    """Return how often the first by ``weights`` is right."""
    return float(np.mean([right[int(np.argmax(x @ np.array(weights.weights)))] for x, right in table]))


def judge(
    name: str, rows: Sequence[Asked], sentences: Sentences, rank: Weights, pick: Weights, answerable: Weights, *, k: int
) -> None:
    """Print what the weights give on questions they were not fitted on."""
    best = [best_of(a, rank, k=k) for a in rows]
    ranks, picks = rank_table(rows), sentences.table(best, pick)
    before = np.mean([0 in a.right for a in rows if a.right])
    print(
        f"\n{name}: right passage first {first_right(ranks, rank):.1%} (search alone {before:.1%}, n={len(ranks)}); "
        f"right sentence {first_right(picks, pick):.1%} (n={len(picks)})"
    )
    x, y = sentences.answerable(best, pick)
    p = 1 / (1 + np.exp(-(x @ np.array(answerable.weights) + answerable.bias)))
    for threshold in (0.2, 0.3, 0.4, 0.5, 0.6):
        caught, lost = (p[~y] < threshold).mean(), (p[y] < threshold).mean()
        print(f"  refuse below {threshold}: unanswerable refused {caught:.1%} (n={(~y).sum()}), answerable {lost:.1%}")
    first = [(a, found[0]) for a in best if a.right and (found := sentences.of(a, pick))]
    spans = [_span_f1(a, e) for a, e in first]
    whole = [token_f1(e.text, a.question.answers) for a, e in first]
    scores = np.array([e.span_score for _, e in first])
    for sure in (-6, -3, -1, 0, 1, 2, 3, 4, 6, 100):
        f1 = np.where(scores >= sure, spans, whole).mean()
        print(f"  spans from {sure}: F1 {f1:.3f}, of {(scores >= sure).mean():.0%}")


def _span_f1(a: Asked, e: Evidence) -> float:
    if e.span is None:
        return 0.0
    text, offset = a.hits[e.hit].chunk.text, a.hits[e.hit].chunk.locator.start
    return token_f1(text[e.span[0] - offset : e.span[1] - offset], a.question.answers)


def write(rank: Weights, pick: Weights, answerable: Weights) -> None:
    """Write the weights into the module that the scorer reads; `ruff format` it afterwards."""
    source = WEIGHTS_FILE.read_text("utf-8")
    head, tail = source[: source.index("RANK = ")], source[source.index("# The score of a span") :]
    WEIGHTS_FILE.write_text(f"{head}RANK = {rank!r}\nPICK = {pick!r}\nANSWERABLE = {answerable!r}\n{tail}", "utf-8")


def read_all(options: argparse.Namespace) -> Iterator[tuple[str, list[Asked], EvidenceScorer]]:
    """Yield each set's questions as they were read, in a drawn order."""
    public = held_out(options.shared, options.held_out)
    near = first_questions(near_cases(), alone=True)
    documents, firms = written(options.shared), folders(options.shared)
    for name, one, questions in (
        ("qed", answer_sets.qed(options.shared), public["qed"]),
        ("cmrc", answer_sets.cmrc(options.shared), public["cmrc"]),
        ("written", documents, first_questions(documents.rounds[0])),
        ("folders", firms, first_questions(firms.rounds[0])),
        ("near", documents, near),
    ):
        random.Random(0).shuffle(questions)
        with knowledge_base(one, options) as kb:
            read = [a for question in questions[: options.n] if (a := asked(kb, question))]
            yield name, read, EvidenceScorer(kb.services.embedder)


def main() -> None:
    """Ask, fit, judge, and write when asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--held-out", type=Path, required=True, metavar="PAIRS.jsonl")
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(__file__).parent / "results" / "answers")
    parser.add_argument("--models", type=Path, default=Path("data/models"))
    parser.add_argument("-n", type=int, default=280, help="questions of each set")
    parser.add_argument("-k", type=int, default=5, help="passages kept, as retrieval.k")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="one setting; may be repeated")
    parser.add_argument("--write", action="store_true", help=f"write the weights to {WEIGHTS_FILE}")
    options = parser.parse_args()
    fits: list[Asked] = []
    tests: dict[str, list[Asked]] = {}
    for name, read, scorer in read_all(options):
        sentences = Sentences(scorer)
        fits += read[::6] if name == "near" else read[::2]
        tests[name] = read[1::2]
        print(f"{name}: {len(read)} questions read", flush=True)
    fit_and_judge(fits, tests, sentences, k=options.k, keep=options.write)


def fit_and_judge(
    fits: Sequence[Asked], tests: dict[str, list[Asked]], sentences: Sentences, *, k: int, keep: bool
) -> None:
    """Fit on some questions, print how the weights do on the others, and write them when told to."""
    rank = fit_listwise(rank_table(fits), PRIORS["rank"], ridge=RIDGES["rank"])
    best = [best_of(a, rank, k=k) for a in fits]
    best = [a for a in best if a.right or not a.question.answerable]
    prior = Weights(weights=PRIORS["pick"], bias=0.0)
    pick = fit_listwise(sentences.table(best, prior), PRIORS["pick"], ridge=RIDGES["pick"])
    answerable = fit_logistic(*sentences.answerable(best, pick), PRIORS["answerable"], ridge=RIDGES["answerable"])
    for names, weights in ((RANK_FEATURES, rank), (PICK_FEATURES, pick), (ANSWERABLE_FEATURES, answerable)):
        print(dict(zip(names, weights.weights, strict=True)), weights.bias)
    for name, test in tests.items():
        judge(name, test, sentences, rank, pick, answerable, k=k)
    if keep:
        write(rank, pick, answerable)


if __name__ == "__main__":
    main()
