"""Answers, citations and refusals end to end, over public question sets: our ingest, our retrieval, the settings given.

``python -m benchmarks.answers [--sets NAME ...] [-n N] [--set NAME=VALUE ...]
[--first-round] [--out FILE.jsonl]``

Each set has a knowledge base under ``--work``, which is kept: what is unchanged is not ingested again. QED and CMRC are
asked twice, the second time with the paragraphs that answer left out of the search, where refusing is right; a figure
of its own tells apart the questions for which nothing else that was retrieved holds the answer either. Results are JSON
lines; ``python -m llm evaluate --results A.jsonl B.jsonl`` lays two of them side by side.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tqdm import tqdm

from app.cases import Case
from app.commands.evaluating import kept, opened
from app.evaluation import RIGHT, Outcome, score
from app.knowledge_base import KnowledgeBase
from app.results import summary, summary_lines
from benchmarks import answer_sets
from benchmarks.answer_sets import AnswerSet
from benchmarks.attacks import bipia
from benchmarks.serving import link_models
from benchmarks.written_set import folders, written
from core.settings import load_settings
from llm.evaluating.figures import difference

SETS = {
    "qed": answer_sets.qed,
    "cmrc": answer_sets.cmrc,
    "mtrag": answer_sets.mtrag,
    "private_kb": answer_sets.private_kb,
    "examples": answer_sets.examples,
    "written": written,
    "folders": folders,
    "bipia": bipia,
}


def main() -> None:
    """Ingest what is not there, ask, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path(__file__).parent / "results" / "answers")
    parser.add_argument("--models", type=Path, default=Path("data/models"))
    parser.add_argument("--sets", nargs="*", default=list(SETS), choices=list(SETS))
    parser.add_argument("-n", type=int, help="questions of each set, drawn with a fixed seed (default: all)")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="one setting; may be repeated")
    parser.add_argument("--first-round", action="store_true", help="do not ask again without gold, or over attacks")
    parser.add_argument("--out", type=Path, metavar="FILE.jsonl", help="where the results go, a line each")
    options = parser.parse_args()
    if not options.shared.is_dir():
        print(f"{options.shared} is not here: nothing to measure")
        return
    with opened(options.out) as out:
        for name in options.sets:
            ask(SETS[name](options.shared), options, out)


@contextmanager
def knowledge_base(one: AnswerSet, options: argparse.Namespace) -> Iterator[KnowledgeBase]:
    """Open the knowledge base of a set, filled with what is not there yet."""
    work = options.work / one.name
    work.mkdir(parents=True, exist_ok=True)
    link_models(options.models, work)
    settings = load_settings(data_dir=work, overrides=options.set).settings
    with KnowledgeBase.open(settings=settings) as kb:
        one.ingest(kb, work)
        yield kb


def ask(one: AnswerSet, options: argparse.Namespace, out: IO[str] | None) -> None:
    """Ask the cases of one set, keep the outcomes and print the figures."""
    with knowledge_base(one, options) as kb:
        kb.services.warm()
        found: list[Outcome] = []
        for cases in one.rounds[: 1 if options.first_round else None]:
            before, cases = found, sample(cases, options.n)
            bar = tqdm(score(kb, cases), one.name, len(cases), file=sys.stderr, disable=not sys.stderr.isatty())
            found = list(kept((one.judge(outcome) for outcome in bar), out))
            for group in dict.fromkeys(outcome.case.set_name for outcome in found):
                members = [outcome for outcome in found if outcome.case.set_name == group]
                print("\n".join(summary_lines(summary(group, members))), flush=True)
            print_change(before, found)


def print_change(before: Sequence[Outcome], after: Sequence[Outcome]) -> None:
    """Print how many answers fewer are right in the second round, where it is a round with answers."""
    pairs = [(a.scores[RIGHT], b.scores[RIGHT]) for a, b in zip(before, after, strict=False) if RIGHT in b.scores]
    if pairs:
        change = difference(*zip(*pairs, strict=True))
        interval = f"[{100 * change.low:+.1f}, {100 * change.high:+.1f}]"
        print(f"{RIGHT}, against the first round: {100 * change.mean:+.1f} points {interval}, n={change.n}", flush=True)


def sample(cases: Sequence[Case], n: int | None) -> list[Case]:
    """Return ``n`` cases in their order, the same each time; all when there are no more."""
    if n is None or n >= len(cases):
        return list(cases)
    return [cases[i] for i in sorted(random.Random(0).sample(range(len(cases)), n))]


if __name__ == "__main__":
    main()
