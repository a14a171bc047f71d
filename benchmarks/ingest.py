"""Speed of ingesting a folder, ours against the stock recipe, with the same model in the same run.

``python -m benchmarks.ingest [FOLDER] [--data DIR] [--repeat 3] [--no-ocr] [--no-stock] [--tutorial]``

Ours is everything: scan, parsing in processes, chunks, vectors, full text, durable commits. The stock recipe is what
``FAISS.from_documents`` and ``save_local`` do: RecursiveCharacterTextSplitter, HuggingFaceEmbeddings over the same
sentence-transformers folder in float32, an IndexFlatL2, a pickled docstore. It is given the text that our parsers read
for nothing; a second ratio adds the time that the same parsing takes before it. Its chunks are as long as ours in
tokens; ``--tutorial`` takes 1,000 characters with 200 repeated. Both are warm, and take turns.
"""

from __future__ import annotations

import argparse
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from langchain_huggingface import HuggingFaceEmbeddings
from langchain_text_splitters import RecursiveCharacterTextSplitter

from app.knowledge_base import KnowledgeBase
from core.records import SourceFile
from core.settings import IngestSettings
from indexes.store import Store
from ingest.builder import ParseOptions
from ingest.pipeline import Pipeline
from ingest.scan import scan
from ingest.workers import ParserPool
from llm.embedders import Embedder


@dataclass(frozen=True, slots=True)
class Run:
    """What one ingest did: chunks and tokens that were embedded, and how long it all took."""

    n_chunks: int
    n_tokens: int
    seconds: float


def main() -> None:
    """Run the benchmark."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path, nargs="?", default=Path("examples/knowledge_base"))
    arguments.add_argument("--data", default="data", help="data directory with the models")
    arguments.add_argument("--repeat", type=int, default=3, help="runs of each, in turns")
    arguments.add_argument("--no-ocr", action="store_true", help="leave scans out")
    arguments.add_argument("--no-stock", action="store_true", help="ours alone")
    arguments.add_argument("--tutorial", action="store_true", help="stock chunks of 1,000 characters, 200 repeated")
    options = arguments.parse_args()
    with KnowledgeBase.open(options.data) as kb:
        embedder, settings = kb.services.embedder, kb.settings.ingest
        model = kb.settings.models_dir / kb.settings.embedder.model
        if options.no_ocr:
            settings = settings.model_copy(update={"ocr": False})
        first, texts = ours(options.folder, embedder, settings)  # warms the embedder, and reads the texts
        parse_seconds = parsing_alone(options.folder, settings, embedder)
        n_chars, n_tokens = sum(map(len, texts)), sum(len(embedder.token_spans(text)) for text in texts)
        chars_a_token = n_chars / n_tokens
        size, overlap = (
            (1000, 200)
            if options.tutorial
            else (
                round(chars_a_token * statistics.mean([first.n_tokens / first.n_chunks, settings.chunk_tokens])),
                round(chars_a_token * settings.chunk_overlap_tokens),
            )
        )
        print(f"{len(texts)} files, {n_chars:,} characters, {n_tokens:,} tokens; parsing alone {parse_seconds:.1f} s")
        turns: dict[str, Callable[[], Run]] = {"citadel": lambda: ours(options.folder, embedder, settings)[0]}
        if not options.no_stock:
            # As stored, in float16, it would be slower still: a processor computes that in float32 piece by piece.
            kwargs = {"device": "cpu", "model_kwargs": {"dtype": "float32"}}
            stock = HuggingFaceEmbeddings(model_name=str(model), model_kwargs=kwargs)
            stock.embed_documents(texts[0][:500].split("\n"))
            name = f"stock, {size} characters"
            turns[name] = lambda: stock_recipe(texts, stock, embedder, size=size, overlap=overlap)
        runs: dict[str, list[Run]] = {name: [] for name in turns}
        for n in range(options.repeat):
            for name in list(turns)[:: 1 if n % 2 else -1]:
                runs[name].append(turns[name]())
    print_table(runs, n_files=len(texts), parse_seconds=parse_seconds)


def ours(folder: Path, embedder: Embedder, settings: IngestSettings) -> tuple[Run, list[str]]:
    """Ingest a folder into a new store; return the run and the texts that were read."""
    with tempfile.TemporaryDirectory() as place, Store.open(place, writer=True) as store:
        started = time.perf_counter()
        report = Pipeline(store, embedder, settings).ingest([folder], collection="benchmark")
        seconds = time.perf_counter() - started
        texts = [store.document_text(source.source_id) for source in store.sources(collection="benchmark").values()]
    return Run(report.n_chunks, sum(file.n_tokens for file in report.files), seconds), texts


def parsing_alone(folder: Path, settings: IngestSettings, embedder: Embedder) -> float:
    """Return the seconds that scanning and parsing take in the same processes when nothing else is done."""
    with tempfile.TemporaryDirectory() as place, Store.open(place, writer=True) as store:
        limits = Pipeline(store, embedder, settings).limits()
    started = time.perf_counter()
    with ParserPool(limits=limits, options=ParseOptions(ocr=settings.ocr), n_workers=settings.parse_workers) as pool:
        for found in scan([folder]):
            if isinstance(found, SourceFile):
                pool.submit(found)
        while pool.n_pending:
            pool.take(timeout=1)
        return time.perf_counter() - started


def stock_recipe(
    texts: list[str], embeddings: HuggingFaceEmbeddings, counter: Embedder, *, size: int, overlap: int
) -> Run:
    """Split, embed, index and save as the stock recipe does."""
    with tempfile.TemporaryDirectory() as place:
        started = time.perf_counter()
        splitter = RecursiveCharacterTextSplitter(chunk_size=size, chunk_overlap=overlap)
        chunks = [chunk for text in texts for chunk in splitter.split_text(text)]
        vectors = np.asarray(embeddings.embed_documents(chunks), np.float32)
        index = faiss.IndexFlatL2(vectors.shape[1])
        index.add(vectors)
        faiss.write_index(index, str(Path(place) / "index.faiss"))
        (Path(place) / "index.pkl").write_bytes(pickle.dumps(dict(enumerate(chunks))))
        seconds = time.perf_counter() - started
    return Run(len(chunks), sum(len(counter.token_spans(chunk)) for chunk in chunks), seconds)


def print_table(runs: dict[str, list[Run]], *, n_files: int, parse_seconds: float) -> None:
    """Print the median of each, and how many times as fast ours is."""
    print(f"{'':<24}{'runs':>5}{'chunks':>8}{'tokens':>9}{'seconds':>9}{'files/s':>9}{'chunks/s':>9}{'tokens/s':>9}")
    medians = {}
    for name, each in runs.items():
        medians[name] = median = sorted(each, key=lambda run: run.seconds)[len(each) // 2]
        seconds = median.seconds
        print(
            f"{name:<24}{len(each):>5}{median.n_chunks:>8,}{median.n_tokens:>9,}{seconds:>9.1f}"
            f"{n_files / seconds:>9.2f}{median.n_chunks / seconds:>9.1f}{median.n_tokens / seconds:>9,.0f}"
        )
    if len(medians) == 2:
        (_, own), (name, stock) = medians.items()
        parsed = (stock.seconds + parse_seconds) / own.seconds
        a_token = (own.n_tokens / own.seconds) / (stock.n_tokens / stock.seconds)
        print(f"\ncitadel against {name}: {parsed:.2f} times as fast with the same parsing before it,")
        print(
            f"{stock.seconds / own.seconds:.2f} times when it gets parsed text for nothing; a token {a_token:.2f} times"
        )


if __name__ == "__main__":
    main()
