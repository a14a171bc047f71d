"""``python -m llm evaluate``: one model or setting, or two side by side."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.cases import read_cases
from app.cli import settings_of
from app.commands.evaluating import ask_all, make_folder, print_figures
from app.comparison import Comparison, compare, comparison_lines
from app.evaluation import Outcome, read_outcomes
from app.results import results_to_json
from core.errors import MalformedInput, MissingPath, UsageError
from core.settings import LoadedSettings, Settings
from llm.evaluating.perplexity import Perplexity

Systems = dict[str, list[Outcome]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``evaluate`` takes."""
    parser.add_argument("cases", type=Path, nargs="?", metavar="CASES.jsonl", help="questions with known answers")
    parser.add_argument("--model", metavar="MODEL", help="a generator, or a settings file (default: generator.model)")
    parser.add_argument(
        "--against", metavar="MODEL", help="a second generator or settings file, to lay beside the first"
    )
    parser.add_argument(
        "--against-set", metavar="NAME=VALUE", action="append", default=[], help="a setting of the second alone"
    )
    parser.add_argument(
        "--results", type=Path, nargs="+", metavar="RESULTS.jsonl", help="one or two files, not asked again"
    )
    parser.add_argument(
        "--perplexity", type=Path, metavar="TEXTS.txt", help="a text a line, to read with each generator"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the results go, a file for each system")
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write a report there, in Markdown and HTML with plots"
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--failures", action="store_true", help="show each case that failed, and how")


def run(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Ask or read, print the figures, and lay two systems side by side."""
    named = _settings_by_name(arguments)
    if not (arguments.cases or arguments.results or arguments.perplexity):
        raise UsageError("nothing to evaluate", remedy="Name a file of cases, --results, or --perplexity")
    if arguments.results and (arguments.cases or arguments.out):
        raise UsageError("answers from earlier are not asked again", where="--results", remedy="Drop cases and --out")
    if arguments.report:
        make_folder(arguments.report)
    texts = _texts(arguments.perplexity) if arguments.perplexity else []
    systems = _read(arguments.results) if arguments.results else _asked(arguments, named)
    comparison = compare(*systems.values()) if len(systems) == 2 else None
    perplexities = _perplexities(texts, named) if texts else {}
    if arguments.report and systems:
        from app.reports.writing import write_report

        print(f"report: {write_report(arguments.report, systems)}", file=sys.stderr)
    if arguments.json:
        print(json.dumps(_to_json(systems, comparison, perplexities), ensure_ascii=False, indent=2))
        return 0
    for name, outcomes in systems.items():
        print(f"\n{name}")
        print_figures(outcomes, failures=arguments.failures)
    if comparison:
        print("\n" + "\n".join(comparison_lines(comparison, list(systems))))
    for name, one in perplexities.items():
        print(f"perplexity of {name}: {one.value:.3f} [{one.low:.3f}, {one.high:.3f}], n={one.n} texts")
    return 0


def _settings_by_name(arguments: argparse.Namespace) -> dict[str, Settings]:
    """Return the settings of each system under the name by which it is shown."""
    first = _settings(arguments, arguments.model, [])
    named = {first.generator.model: first}
    if arguments.against or arguments.against_set:
        second = _settings(arguments, arguments.against or arguments.model, arguments.against_set)
        shown = [each for each in arguments.against_set if not each.startswith("generator.api_key")]
        name = " ".join([second.generator.model, *shown])
        named[f"{name} (second)" if name in named else name] = second
    return named


def _settings(arguments: argparse.Namespace, model: str | None, more: Sequence[str]) -> Settings:
    overrides, config = [*arguments.set, *more], arguments.config
    if model and model.endswith(".toml"):
        config = Path(model)
    elif model:
        overrides = [f"generator.model={model}", *overrides]
    given = argparse.Namespace(**{**vars(arguments), "set": overrides, "config": config})
    return settings_of(given).settings


def _read(files: Sequence[Path]) -> Systems:
    if len(files) > 2:
        raise UsageError("at most two files of results can be laid side by side", where="--results")
    names = [file.stem for file in files]
    if len(set(names)) < len(names):
        names = [str(file) for file in files]
    if len(set(names)) < len(names):
        raise UsageError("the same file stands twice", where=f"--results {names[0]}")
    return {name: read_outcomes(file) for name, file in zip(names, files, strict=True)}


def _asked(arguments: argparse.Namespace, named: dict[str, Settings]) -> Systems:
    if not arguments.cases:
        return {}
    cases = read_cases(arguments.cases)
    if arguments.out:
        make_folder(arguments.out)
    systems = {}
    for i, (name, settings) in enumerate(named.items()):
        out = arguments.out / ("first.jsonl", "second.jsonl")[i] if arguments.out else None
        systems[name] = ask_all(cases, settings, out=out)
    return systems


def _texts(file: Path) -> list[str]:
    if not file.is_file():
        raise MissingPath("there is no such file", where=str(file), remedy="Check the spelling")
    try:
        texts = [line for line in file.read_text("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise MalformedInput("is not text in UTF-8", where=str(file)) from error
    if not texts:
        raise MalformedInput("holds no texts", where=str(file), remedy="Write a text a line")
    return texts


def _perplexities(texts: Sequence[str], named: dict[str, Settings]) -> dict[str, Perplexity]:
    from llm.backends.transformers_local import load_model
    from llm.evaluating.perplexity import perplexity

    found = {}
    for name, settings in named.items():
        _, tokenizer, model = load_model(settings.generator, settings.models_dir)
        try:
            found[name] = perplexity(model, tokenizer, texts)
        except ValueError as error:
            raise MalformedInput(str(error), where="--perplexity", remedy="Write longer texts") from error
    return found


def _to_json(systems: Systems, comparison: Comparison | None, perplexities: dict[str, Perplexity]) -> dict[str, Any]:
    return {
        "systems": {name: results_to_json(outcomes) for name, outcomes in systems.items()},
        **({"comparison": comparison.to_json()} if comparison else {}),
        **({"perplexity": {name: one.to_json() for name, one in perplexities.items()}} if perplexities else {}),
    }
