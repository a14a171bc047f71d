"""``eval``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from app.cases import Case, read_cases
from app.commands.questions import filter_of
from app.evaluation import Outcome, score
from app.knowledge_base import KnowledgeBase
from app.results import failure_lines, results_to_json, summaries, summary_lines
from core.errors import UsageError
from core.records import SearchFilter
from core.settings import LoadedSettings, Settings


def evaluate(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Score the answers to cases whose answers are known."""
    cases = read_cases(arguments.cases)
    if arguments.report:
        make_folder(arguments.report)
    outcomes = ask_all(cases, loaded.settings, filter=filter_of(arguments), out=arguments.out)
    if arguments.report:
        from app.reports.writing import write_report

        written = write_report(arguments.report, {loaded.settings.generator.model: outcomes})
        print(f"report: {written}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(results_to_json(outcomes), ensure_ascii=False, indent=2))
    else:
        print_figures(outcomes, failures=arguments.failures)
    return 0


def ask_all(
    cases: Sequence[Case], settings: Settings, *, filter: SearchFilter | None = None, out: Path | None = None
) -> list[Outcome]:
    """Ask the cases of the knowledge base that the settings name; each result is written to ``out`` as it comes.

    Raises:
        UsageError: ``out`` cannot be written.
    """
    from tqdm import tqdm

    with KnowledgeBase.open(settings=settings) as kb, opened(out) as file:
        asked = tqdm(
            score(kb, cases, filter=filter),
            total=len(cases),
            unit=" cases",
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
        )
        return list(kept(asked, file))


def kept(outcomes: Iterable[Outcome], file: IO[str] | None) -> Iterator[Outcome]:
    """Yield the outcomes, each written as a line of ``file`` first, so that a run that is killed keeps what it has."""
    for outcome in outcomes:
        if file is not None:
            file.write(json.dumps(outcome.to_json(), ensure_ascii=False) + "\n")
            file.flush()
        yield outcome


@contextmanager
def opened(path: Path | None) -> Iterator[IO[str] | None]:
    """Open a file of results for writing; None opens none.

    Raises:
        UsageError: It cannot be written.
    """
    if path is None:
        yield None
        return
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        remedy = "Name a file in a folder that is there and may be written"
        raise UsageError(f"cannot be written ({error.strerror})", where=str(path), remedy=remedy) from error
    with file:
        yield file


def make_folder(folder: Path) -> None:
    """Make a folder that results go into, before the time is spent that they take.

    Raises:
        UsageError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot be made ({error.strerror})", where=str(folder), remedy="Name a folder") from error


def print_figures(outcomes: Sequence[Outcome], *, failures: bool) -> None:
    """Print the figures by group, and the cases that went wrong when they are wished for."""
    for one in summaries(outcomes):
        print("\n".join(summary_lines(one)))
    if failures:
        print("\n".join(failure_lines(outcomes)))
