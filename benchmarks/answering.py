"""Time to the first text and to the whole answer, ours against the stock recipe, with resident memory.

``python -m benchmarks.answering [--data DIR] [--cases examples/questions.jsonl] [-n 60]``

Both answer the same questions over the same documents with the same generator, in turns, so that a slow spell of the
machine falls on both. The stock recipe gets the text that our parsers read.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from app.cases import Case, read_cases
from app.knowledge_base import KnowledgeBase
from benchmarks.stock import StockChain
from core.records import Token
from core.settings import load_settings
from llm.evaluating.figures import percentiles


def main() -> None:
    """Run the benchmark."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", default="data")
    arguments.add_argument("--cases", type=Path, default=Path("examples/questions.jsonl"))
    arguments.add_argument("-n", type=int, default=60, help="questions")
    arguments.add_argument("--no-stock", action="store_true", help="ours alone")
    options = arguments.parse_args()
    cases = read_cases(options.cases)
    cases = cases[:: max(1, len(cases) // options.n)][: options.n]
    # The stock recipe's four chunks of Chinese are more tokens than our window holds; its prompt has no budget.
    overrides = [] if options.no_stock else ["generator.n_ctx=8192"]
    loaded = load_settings(environ=os.environ, data_dir=options.data, overrides=overrides)
    with KnowledgeBase.open(settings=loaded.settings) as kb:
        before = resident_mb()
        kb.services.warm()
        list(kb.stream(cases[0].question))
        ours_mb = resident_mb()
        stock = None if options.no_stock else StockChain.over(kb)
        rows: dict[str, list[tuple[float, float]]] = {"citadel": [], "stock recipe": []}
        for i, case in enumerate(cases):
            turns = ["citadel", "stock recipe"] if i % 2 else ["stock recipe", "citadel"]
            for who in turns:
                if who == "citadel":
                    rows[who].append(ours(kb, case))
                elif stock is not None:
                    rows[who].append(timed(stock.stream(case.question)))
    print_table(rows)
    print(f"\nresident memory: {before:.0f} MB before the models, {ours_mb:.0f} MB with them after one answer")


def ours(kb: KnowledgeBase, case: Case) -> tuple[float, float]:
    """Return seconds to the first text and to the end, as the caller sees them."""
    pieces = (e.text if isinstance(e, Token) else "" for e in kb.stream(case.question, history=case.history))
    return timed(pieces)


def timed(pieces: Iterator[str]) -> tuple[float, float]:
    """Return seconds to the first piece with text and to the end."""
    started = time.perf_counter()
    first = None
    for piece in pieces:
        if piece and first is None:
            first = time.perf_counter() - started
    total = time.perf_counter() - started
    return first if first is not None else total, total


def resident_mb() -> float:
    """Return this process's resident memory in MB."""
    return float(psutil.Process().memory_info().rss) / 1e6


def print_table(rows: dict[str, list[tuple[float, float]]]) -> None:
    """Print the percentiles of each and the ratio of the medians."""
    print(f"{'':<14}{'n':>4}{'first p50':>12}{'first p95':>12}{'total p50':>12}{'total p95':>12}")
    medians = {}
    for who, times in rows.items():
        if not times:
            continue
        first, total = percentiles([t[0] for t in times]), percentiles([t[1] for t in times])
        medians[who] = (first[0], total[0])
        print(f"{who:<14}{len(times):>4}{first[0]:>11.2f}s{first[1]:>11.2f}s{total[0]:>11.2f}s{total[1]:>11.2f}s")
    if len(medians) == 2:
        ours_first, ours_total = medians["citadel"]
        stock_first, stock_total = medians["stock recipe"]
        print(
            f"the stock recipe takes {stock_first / ours_first:.2f} times as long to the first text, "
            f"{stock_total / ours_total:.2f} times to the whole answer"
        )


if __name__ == "__main__":
    main()
