"""Recall of BM25, dense and fused search, and of the stock recipe, over public question sets.

``python -m benchmarks.retrieval [--data ../shared/data] [--models data/models] [--sets qed cmrc ...] [--no-stock]``

Every passage is stored as a source of one chunk and searched through the door that the application uses. The stock
recipe splits, embeds and searches the same passages with the same model, in the same run. Vectors are kept in
``benchmarks/results/vectors``, so that only the first run embeds: about 20,000 passages, half an hour on two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import faiss
import numpy as np

from app.searching import Searcher
from benchmarks.answer_sets import json_lines
from benchmarks.stock import StockIndex
from core.interfaces import Ingestible, PassageEmbedder, Vectors, source_id
from core.records import Chunk, Document, Locator, SourceFile, chunk_id
from core.settings import EmbedderSettings, RetrievalSettings, load_settings
from indexes.knowledge_base import KnowledgeIndex
from indexes.store import Store
from llm.embedders import open_embedder
from llm.evaluating.rankings import ndcg_at, recall_at, reciprocal_rank
from llm.reader import Reader, open_reader

CACHE = Path(__file__).parent / "results" / "vectors"
DEPTH = 10
COLUMNS = ("n", "R@1", "R@5", "R@10", "nDCG@10", "MRR", "ms p50", "ms p95")
WIDTHS = (6, 8, 8, 8, 9, 8, 9, 9)
SYSTEMS = {
    "bm25": {"dense_weight": 0.0},
    "dense": {"sparse_weight": 0.0},
    "fused": {},
    "fused by ranks": {"fusion": "ranks"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionSet:
    """Passages as (title, text), and questions with the places of the passages that answer them."""

    name: str
    passages: list[tuple[str, str]]
    questions: list[tuple[str, frozenset[int]]]


class _Prepared:
    """An embedder that has met every question: what is timed is the search."""

    def __init__(self, embedder: PassageEmbedder, queries: dict[str, Vectors]) -> None:
        self.fingerprint, self.dimension = embedder.fingerprint, embedder.dimension
        self.encode_passages, self.token_spans = embedder.encode_passages, embedder.token_spans
        self._queries = queries

    def encode_query(self, text: str) -> Vectors:
        return self._queries[text]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--models", type=Path, default=Path("data/models"))
    parser.add_argument("--engine", choices=("auto", "openvino", "torch"), default="auto")
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("--reader", action="store_true", help="rank with the reader too, half a second a question")
    parser.add_argument("-n", type=int, help="questions of each set, the first (default: all)")
    parser.add_argument("--no-stock", action="store_true", help="ours alone")
    options = parser.parse_args()
    if not options.data.is_dir():
        print(f"{options.data} is not here: nothing to measure")
        return
    embedder = open_embedder(EmbedderSettings(engine=options.engine), options.models)  # type: ignore[call-arg]
    stock = None if options.no_stock else StockIndex(options.models / EmbedderSettings().model)  # type: ignore[call-arg]
    settings = load_settings().settings
    judge = open_reader(settings.reader, settings.embedder, options.models) if options.reader else None
    heads = "".join(f"{head:>{width}}" for head, width in zip(COLUMNS, WIDTHS, strict=True))
    print(f"{'set':<24}{'system':<16}{heads}")
    for name in options.sets:
        questions = SETS[name](options.data)
        questions = replace(questions, questions=questions.questions[: options.n])
        measure(questions, embedder, stock, judge)


def measure(
    questions: QuestionSet, embedder: PassageEmbedder, stock: StockIndex | None, judge: Reader | None = None
) -> None:
    """Print a row for each system over one set."""
    texts = [f"{title}\n{text}" if title else text for title, text in questions.passages]
    asked = list(dict.fromkeys(question for question, _ in questions.questions))
    vectors = cached(embedder.fingerprint, "passage", texts, lambda: embedder.encode_passages(texts))
    queries = cached(
        embedder.fingerprint, "query", asked, lambda: np.stack([embedder.encode_query(question) for question in asked])
    )
    prepared = _Prepared(embedder, dict(zip(asked, queries, strict=True)))
    with tempfile.TemporaryDirectory() as folder:
        with Store.open(folder, writer=True) as writer:
            writer.use_embedder(fingerprint=embedder.fingerprint, dimension=embedder.dimension)
            writer.put([stored(i, *p, vectors[i]) for i, p in enumerate(questions.passages)], collection="default")
            writer.rebuild()
        reader = Store.open(folder, writer=False)
        for system, weights in SYSTEMS.items():
            index = KnowledgeIndex(reader, prepared, RetrievalSettings(**weights))  # type: ignore[arg-type]
            report(questions, system, found_by(index))
        if judge is not None:
            fused = KnowledgeIndex(reader, prepared, RetrievalSettings())  # type: ignore[call-arg]
            report(questions, "fused, read", found_by(Searcher(fused, judge, load_settings().settings)))
    if stock is not None:
        report(questions, "stock recipe", stock_search(stock, texts, asked))
    print()


def found_by(index: KnowledgeIndex | Searcher) -> Callable[[str], list[int]]:
    """Return a search that names passages by their numbers."""
    return lambda question: [int(hit.source) for hit in index.search(question, k=DEPTH)]


def report(questions: QuestionSet, system: str, search: Callable[[str], list[int]]) -> None:
    """Print one system's row."""
    search(questions.questions[0][0])  # the indexes are loaded by the first
    rankings, times = [], []
    for question, _ in questions.questions:
        started = time.perf_counter()
        rankings.append(search(question))
        times.append(1000 * (time.perf_counter() - started))
    scores = metrics(rankings, [gold for _, gold in questions.questions])
    cells = [f"{len(rankings)}", *(f"{score:.4f}" for score in scores)]
    cells += [f"{milliseconds:.1f}" for milliseconds in np.percentile(times, [50, 95])]
    row = "".join(f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
    print(f"{questions.name:<24}{system:<16}{row}", flush=True)


def metrics(rankings: Sequence[Sequence[int]], golds: Sequence[frozenset[int]]) -> tuple[float, ...]:
    """Return mean recall at 1, 5 and 10, nDCG at 10 and reciprocal rank."""
    rows = [
        (
            *(recall_at(ranking, gold, k=k) for k in (1, 5, 10)),
            ndcg_at(ranking, gold, k=DEPTH),
            reciprocal_rank(ranking[:DEPTH], gold),
        )
        for ranking, gold in zip(rankings, golds, strict=True)
    ]
    return tuple(float(mean) for mean in np.mean(rows, axis=0))


def stock_search(stock: StockIndex, texts: list[str], asked: list[str]) -> Callable[[str], list[int]]:
    """Return a search over the stock recipe's chunks that names the passages they were cut from."""
    chunks, owners = [], []
    for owner, text in enumerate(texts):
        for chunk in stock.splitter.split_text(text):
            chunks.append(chunk)
            owners.append(owner)
    embeddings = stock.embeddings
    vectors = cached("stock", "passage", chunks, lambda: np.asarray(embeddings.embed_documents(chunks), np.float32))
    queries = cached(
        "stock", "query", asked, lambda: np.asarray([embeddings.embed_query(q) for q in asked], np.float32)
    )
    by_question = dict(zip(asked, queries, strict=True))
    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(vectors)

    def search(question: str) -> list[int]:
        _, found = index.search(by_question[question].reshape(1, -1), min(4 * DEPTH, len(chunks)))
        return list(dict.fromkeys(owners[i] for i in found[0]))[:DEPTH]

    return search


def cached(fingerprint: str, kind: str, texts: Sequence[str], encode: Callable[[], Vectors]) -> Vectors:
    """Return the vectors of these texts, from the file of an earlier run where there is one."""
    digest = hashlib.sha256("\0".join([fingerprint, kind, *texts]).encode("utf-8", "surrogatepass")).hexdigest()
    path = CACHE / f"{digest[:24]}.npy"
    if path.exists():
        return np.asarray(np.load(path, allow_pickle=False), np.float32)
    CACHE.mkdir(parents=True, exist_ok=True)
    vectors = encode()
    np.save(path, vectors, allow_pickle=False)
    return vectors


def stored(number: int, title: str, text: str, vector: Vectors) -> Ingestible:
    """Return a passage as a source of one chunk, named by its number."""
    sha256 = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    owner = source_id(collection="default", path=str(number), sha256=sha256)
    source = SourceFile(
        path=str(number), location="", sha256=sha256, media_type="text/plain", size_bytes=len(text), modified=0.0
    )
    chunk = Chunk(
        id=chunk_id(source_id=owner, start=0, end=len(text), text=text),
        source_id=owner,
        text=text,
        locator=Locator(start=0, end=len(text)),
        n_tokens=len(text) // 4,
        context=title,
    )
    document = Document(source=source, title=title, text=text, sections=())
    return Ingestible(document=document, chunks=(chunk,), vectors=vector[None], recipe="whole passages")


def qed(data: Path, *, titles: bool = False) -> QuestionSet:
    """Return the held-out QED questions over the paragraphs of its training and held-out halves."""
    rows = [list(json_lines(data / part)) for part in ("train/qed_train.jsonl", "dev/qed_dev_a.jsonl")]
    place: dict[str, int] = {}
    passages: list[tuple[str, str]] = []
    for row in (*rows[0], *rows[1]):
        if row["paragraph_text"] not in place:
            place[row["paragraph_text"]] = len(passages)
            passages.append((row["title_text"] if titles else "", row["paragraph_text"]))
    questions = [(row["question_text"], frozenset({place[row["paragraph_text"]]})) for row in rows[1]]
    return QuestionSet(name="qed, titles" if titles else "qed", passages=passages, questions=questions)


def cmrc(data: Path, *, train: bool = True, traditional: bool = False) -> QuestionSet:
    """Return the CMRC trial questions, in traditional characters if wished, over its paragraphs."""
    place: dict[str, int] = {}
    if train:
        for context, _ in _squad(data / "train/cmrc_train.json"):
            place.setdefault(context, len(place))
    trial = list(_squad(data / "dev/cmrc_trial.json"))
    for context, _ in trial:
        place.setdefault(context, len(place))
    questions = [(question, frozenset({place[context]})) for context, question in trial]
    if traditional:
        from opencc import OpenCC

        convert = OpenCC("s2t").convert
        questions = [(convert(question), gold) for question, gold in questions]
    name = ("cmrc" if train else "cmrc, trial only") + (", traditional" if traditional else "")
    return QuestionSet(name=name, passages=[("", context) for context in place], questions=questions)


def codebase(data: Path) -> QuestionSet:
    """Return the code base's questions over its chunks."""
    place: dict[tuple[str, int], int] = {}
    passages: list[tuple[str, str]] = []
    for file in json.loads((data / "dev/codebase_chunks.json").read_text("utf-8")):
        for chunk in file["chunks"]:
            place[file["original_uuid"], chunk["original_index"]] = len(passages)
            passages.append(("", chunk["content"]))
    rows = json_lines(data / "dev/codebase_questions.jsonl")
    questions = [(row["query"], frozenset(place[uuid, n] for uuid, n in row["golden_chunk_uuids"])) for row in rows]
    return QuestionSet(name="codebase", passages=passages, questions=questions)


SETS: dict[str, Callable[[Path], QuestionSet]] = {
    "qed": qed,
    "qed-titles": lambda data: qed(data, titles=True),
    "cmrc": cmrc,
    "cmrc-trial": lambda data: cmrc(data, train=False),
    "cmrc-traditional": lambda data: cmrc(data, traditional=True),
    "codebase": codebase,
}


def _squad(path: Path) -> Iterator[tuple[str, str]]:
    for article in json.loads(path.read_text("utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                if question["question"].strip():
                    yield paragraph["context"], question["question"]


if __name__ == "__main__":
    main()
