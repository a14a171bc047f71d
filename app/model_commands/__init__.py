"""The second command line: ``python -m llm [--data DIR] VERB``, for making models better.

One module a verb. Its ``add_arguments(parser)`` adds what the verb takes, its ``run(arguments, loaded)`` does it and
returns an exit code, and it imports what is slow only when it runs. Options, errors and exit codes are those of
:mod:`app.cli`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from app.cli import add_main_options, run_reported, settings_of
from core.tables import load

# verb -> (the module that does it, what it does)
VERBS = {
    "prepare": ("app.model_commands.prepare", "make training examples and cases from data, or from your documents"),
    "pairs": ("app.model_commands.pairs", "make pairs to train the reader on from data"),
    "reader": ("app.model_commands.reader", "train the reader on pairs"),
    "sft": ("app.model_commands.sft", "fine-tune the generator on examples"),
    "quantize": ("app.model_commands.quantize", "write the generator in other number formats, and measure each"),
    "evaluate": ("app.model_commands.evaluate", "score answers, of one model or setting or of two side by side"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    arguments = parser().parse_args(argv)
    module, _ = VERBS[arguments.verb]

    def run() -> int:
        verb_parser(arguments.verb).parse_args(arguments.rest, namespace=arguments)
        return int(load(f"{module}:run")(arguments, settings_of(arguments)))

    return run_reported(run, verbose=arguments.verbose)


def parser() -> argparse.ArgumentParser:
    """Return the parser of what stands before a verb's own arguments."""
    verbs = "\n".join(f"  {name:<10} {text}" for name, (_, text) in VERBS.items())
    root = argparse.ArgumentParser(
        prog="python -m llm",
        description="Train, measure and pack the models.",
        epilog=f"verbs:\n{verbs}\n\n`python -m llm VERB --help` says what a verb takes.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_main_options(root)
    root.add_argument("verb", choices=VERBS, metavar="VERB")
    root.add_argument("rest", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return root


def verb_parser(verb: str) -> argparse.ArgumentParser:
    """Return the parser of a verb's own arguments."""
    module, text = VERBS[verb]
    one = argparse.ArgumentParser(prog=f"python -m llm {verb}", description=text[0].upper() + text[1:] + ".")
    load(f"{module}:add_arguments")(one)
    return one
