"""``python -m llm prepare``: files or documents -> records, grounded examples and cases."""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import InvalidSetting, MalformedInput, UsageError
from core.settings import LoadedSettings

if TYPE_CHECKING:
    from app.model_commands.grounding_run import CountTokens
    from app.model_commands.mining import Side
    from app.services import Services
    from llm.training.corpus_questions import MadeCase
    from llm.training.overlap import HeldOut
    from llm.training.records import Record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``prepare`` takes."""
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="training data, of any format that is read")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the results go (default: DATA/training)")
    add_reading(parser)
    parser.add_argument(
        "--from-corpus", action="store_true", help="make questions about the documents of the knowledge base too"
    )
    parser.add_argument("--collection", metavar="NAME", help="of --from-corpus (default: all)")
    parser.add_argument("--tables", type=int, default=0, metavar="N", help="made-up tables of each language to add")
    parser.add_argument("--validation", type=float, default=0.05, metavar="SHARE", help="of documents (default: 0.05)")
    parser.add_argument(
        "--style", choices=("sentence", "span"), default="sentence", help="how answers are written (default: sentence)"
    )
    parser.add_argument(
        "--prompt-tokens", type=int, metavar="N", help="longest prompt (default: generator.prompt_tokens)"
    )
    parser.add_argument("--refusals", type=float, default=0.25, metavar="SHARE", help="of examples (default: 0.25)")
    parser.add_argument("--injected", type=float, default=0.06, metavar="SHARE", help="of examples (default: 0.06)")
    parser.add_argument("--conflicts", type=float, default=0.02, metavar="SHARE", help="of examples (default: 0.02)")
    parser.add_argument("--records-only", action="store_true", help="write records and no examples")
    parser.add_argument("--check", type=Path, metavar="FILE", help="check a training file against --held-out, then end")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add what every verb takes that reads training files and searches for rivals of what they hold."""
    parser.add_argument(
        "--asked", type=Path, nargs="+", metavar="FILE", default=[], help="more questions over the files' paragraphs"
    )
    parser.add_argument("--take", metavar="FORMAT=N", action="append", default=[], help="at most N records of a format")
    parser.add_argument("--languages", nargs="+", choices=("en", "zh"), default=("en", "zh"))
    parser.add_argument(
        "--held-out", type=Path, nargs="+", metavar="PATH", default=[], help="files and folders never to train on"
    )
    parser.add_argument(
        "--retriever", choices=("fused", "bm25"), default="fused", help="bm25: no embedder is run (default: fused)"
    )
    parser.add_argument("--hits", type=Path, nargs="+", default=[], metavar="FILE", help="search results to use again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--on-error", choices=("stop", "collect"), default="stop", help="what a malformed record does (default: stop)"
    )


def run(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Make the training data that was asked for and print a summary."""
    from app.model_commands.reporting import summary_lines

    if arguments.check:
        return _check(arguments, loaded)
    if not (arguments.files or arguments.from_corpus or arguments.tables):
        raise UsageError("nothing is named to prepare", remedy="Name training files, or give --from-corpus")
    started = time.monotonic()
    out = arguments.out or loaded.settings.data_dir / "training"
    gathered = _gathered(arguments, loaded)
    held = _held_out(arguments.held_out, loaded)
    records, leaked = _without_leaks(gathered.records, held)
    summary = {
        **_prepared(replace(gathered, records=records), arguments, loaded, out),
        "dropped from corpus": dict(gathered.dropped),
        "held out": {"files": held.n_files, "unread": held.unread, "records removed": dict(leaked)},
        "malformed": [str(error) for error in gathered.malformed],
        "options": {name: str(value) for name, value in vars(arguments).items() if name not in ("rest", "verb")},
        "seconds": round(time.monotonic() - started, 1),
    }
    (out / "summary.json").write_text(json.dumps(summary, ensure_ascii=False, indent=2), "utf-8")
    print(json.dumps(summary, ensure_ascii=False) if arguments.json else "\n".join(summary_lines(summary)))
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gathered:
    """Records in a drawn order; of them the cases of the documents, and what gave none."""

    records: list[Record]
    cases: list[MadeCase]
    dropped: Counter[str]
    malformed: list[MalformedInput]


def _gathered(arguments: argparse.Namespace, loaded: LoadedSettings) -> _Gathered:
    """Read the files, make up tables and ask the documents, as the arguments say."""
    from app.model_commands.corpus import corpus_cases
    from llm.training.tables import table_records

    records, malformed = read_records(arguments)
    for language in arguments.languages:
        records.extend(table_records(arguments.tables, language=language, seed=arguments.seed))
    cases: list[MadeCase] = []
    dropped: Counter[str] = Counter()
    if arguments.from_corpus:
        made, dropped = corpus_cases(loaded.settings, collection=arguments.collection, unanswerable=arguments.refusals)
        cases = [case for case in made if case.record.language in arguments.languages]
        records.extend(case.record for case in cases)
    random.Random(arguments.seed).shuffle(records)
    return _Gathered(records=records, cases=cases, dropped=dropped, malformed=malformed)


def read_records(arguments: argparse.Namespace) -> tuple[list[Record], list[MalformedInput]]:
    """Return the records of the files in a drawn order, at most as many of a format as may be taken, and what is wrong.

    Args:
        arguments: ``files``, ``asked``, ``take``, ``languages``, ``seed`` and ``on_error`` of a command line.
    """
    from llm.training.asked import read_asked
    from llm.training.readers import FORMATS, read_file

    limits = _limits(arguments.take, FORMATS)
    found: dict[str, list[Record]] = {}
    malformed: list[MalformedInput] = []
    for path in arguments.files:
        format, records, wrong = read_file(path, on_error=arguments.on_error)
        found.setdefault(format, []).extend(r for r in records if r.language in arguments.languages)
        malformed.extend(wrong)
        print(f"{path.name}: {len(records)} records ({format}), {len(wrong)} malformed", file=sys.stderr)
    taken: list[Record] = []
    held = [record for records in found.values() for record in records]
    for path in arguments.asked:
        records, n_missing, wrong = read_asked(path, held, on_error=arguments.on_error)
        taken.extend(records)
        malformed.extend(wrong)
        missing = f"{n_missing} paragraphs are in none of the files"
        print(f"{path.name}: {len(records)} records, {len(wrong)} malformed; {missing}", file=sys.stderr)
    chosen = random.Random(arguments.seed)
    for format, records in found.items():
        chosen.shuffle(records)
        taken.extend(records[: limits.get(format, len(records))])
    chosen.shuffle(taken)
    return taken, malformed


def _limits(take: Sequence[str], known: Mapping[str, str]) -> dict[str, int]:
    limits = {}
    for text in take:
        format, _, number = text.partition("=")
        if format not in known or not number.isdigit():
            raise InvalidSetting(
                "is no format with a number", where=f"--take {text}", remedy=f"Formats are: {', '.join(known)}"
            )
        limits[format] = int(number)
    return limits


def _held_out(paths: Sequence[Path], loaded: LoadedSettings) -> HeldOut:
    from app.model_commands.documents import text_of
    from llm.training.overlap import held_out

    return held_out(paths, read_document=lambda path: text_of(path, loaded.settings.ingest))


def without_held_out(
    records: Sequence[Record], paths: Sequence[Path], loaded: LoadedSettings
) -> tuple[list[Record], Counter[str]]:
    """Return the records that share nothing with the held-out files, and why the others were removed."""
    return _without_leaks(records, _held_out(paths, loaded))


def _without_leaks(records: Sequence[Record], held: HeldOut) -> tuple[list[Record], Counter[str]]:
    """Return the records that share nothing with the held-out files, and why the others were removed."""
    kept: list[Record] = []
    removed: Counter[str] = Counter()
    for record in records:
        if leak := held.leak_of(record):
            removed[leak[0]] += 1
        else:
            kept.append(record)
    return kept, removed


def _check(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """See that a training file shares nothing with the held-out files.

    Raises:
        TrainingLeak: It does.
    """
    from llm.training.overlap import check_file

    if not arguments.held_out:
        raise InvalidSetting("nothing is held out to check against", where="--check", remedy="Name it with --held-out")
    held = _held_out(arguments.held_out, loaded)
    n_lines = check_file(arguments.check, held)
    print(f"{arguments.check}: {n_lines} lines share nothing with the {held.n_files} held-out files")
    return 0


def _prepared(gathered: _Gathered, arguments: argparse.Namespace, loaded: LoadedSettings, out: Path) -> dict[str, Any]:
    """Split, build and write; return the summary."""
    from app.model_commands.grounding_run import token_counter
    from app.model_commands.reporting import counted_examples, counted_records
    from app.services import Services
    from llm.training.assembling import balanced, pairs
    from llm.training.records import write_lines
    from llm.training.splits import split

    sides: dict[Side, list[Record]] = {}
    sides["train"], sides["validation"] = split(gathered.records, validation=arguments.validation, seed=arguments.seed)
    held = {record.id for record in sides["validation"]}
    if gathered.cases:
        write_lines(out / "cases.jsonl", (case.to_case() for case in gathered.cases))
        write_lines(out / "validation_cases.jsonl", (c.to_case() for c in gathered.cases if c.record.id in held))
    write_lines(out / "records.jsonl", (record.to_json() for record in sides["train"]))
    write_lines(out / "validation_records.jsonl", (record.to_json() for record in sides["validation"]))
    summary: dict[str, Any] = {"records": counted_records(sides)}
    if arguments.records_only:
        return summary
    services = Services(loaded.settings)
    try:
        count = token_counter(services)
        built, skipped = _examples(sides, arguments, services, count, out)
        made = {side: balanced(examples, refusals=arguments.refusals) for side, examples in built.items()}
        skipped["refusal beyond the share"] = sum(map(len, built.values())) - sum(map(len, made.values()))
        for side, examples in made.items():
            write_lines(out / f"{side}.jsonl", examples)
        write_lines(out / "preferences.jsonl", pairs(sides["train"], made["train"]))
        summary["examples"] = {side: counted_examples(examples, count) for side, examples in made.items()}
        summary["records without example"] = dict(skipped)
    finally:
        services.close()
    return summary


def _examples(
    sides: dict[Side, list[Record]],
    arguments: argparse.Namespace,
    services: Services,
    count: CountTokens,
    out: Path,
) -> tuple[dict[Side, list[dict[str, Any]]], Counter[str]]:
    from app.model_commands.grounding_run import build_examples, searching_parts
    from llm.training.examples import Recipe

    prompt_tokens = arguments.prompt_tokens or services.settings.generator.prompt_tokens
    embedder, weigh = searching_parts(services, blind=arguments.retriever == "bm25")
    recipe = Recipe(
        seed=arguments.seed,
        style=arguments.style,
        refusals=arguments.refusals,
        injected=arguments.injected,
        conflicts=arguments.conflicts,
        longest_prompt_tokens=prompt_tokens,
        longest_answer_tokens=services.settings.generator.max_tokens,
    )
    return build_examples(
        {side: [r for r in records if r.kind != "preference"] for side, records in sides.items()},
        settings=services.settings,
        recipe=recipe,
        embedder=embedder,
        weigh=weigh,
        count_tokens=count,
        prompt_tokens=prompt_tokens,
        hits=arguments.hits,
        work=out / "work",
    )
