"""The command line: ``python -m app [--data DIR] COMMAND``.

Exit codes: 0 done, 1 a fault of Citadel's, 2 wrong usage, 3 some documents failed, 4 a model is missing or unfit,
5 the data directory is at fault, 130 interrupted. Results go to standard output, progress and errors to standard error.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from core.errors import CitadelError
from core.settings import LoadedSettings, load_settings
from core.tables import load

# command -> the function that runs it; each takes the parsed arguments and the settings and returns an exit code
COMMANDS = {
    "setup": "app.commands.models:setup",
    "ingest": "app.commands.documents:ingest",
    "documents": "app.commands.documents:documents",
    "delete": "app.commands.documents:delete",
    "verify": "app.commands.documents:verify",
    "rebuild": "app.commands.documents:rebuild",
    "purge": "app.commands.documents:purge",
    "search": "app.commands.questions:search",
    "ask": "app.commands.questions:ask",
    "eval": "app.commands.evaluating:evaluate",
    "serve": "app.commands.serving:serve",
    "people": "app.commands.people:people",
    "config": "app.commands.configuration:config",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    root = argparse.ArgumentParser(prog="python -m app", description="Ask your documents, and see the passage.")
    add_main_options(root)
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    one = commands.add_parser("setup", help="fetch and unpack the models, and try them")
    one.add_argument("--verify", action="store_true", help="hash the models' files again")

    one = commands.add_parser("ingest", help="read files and folders into a collection")
    one.add_argument("paths", nargs="+", metavar="PATH")
    one.add_argument("--collection", default="default", metavar="NAME")
    one.add_argument("--sync", action="store_true", help="remove documents of these folders that are gone")
    one.add_argument("--watch", action="store_true", help="go on following the folders until interrupted")
    one.add_argument(
        "--format", choices=("files", "passages"), default="files", help="passages: JSONL of id, title, text"
    )
    one.add_argument("--json", action="store_true", help="one JSON object a file, as it is stored, then the summary")
    one.add_argument("--quiet", action="store_true", help="name only the files that failed")

    one = commands.add_parser("documents", help="list the documents")
    one.add_argument("--collection", metavar="NAME")
    one.add_argument("--json", action="store_true")

    one = commands.add_parser("delete", help="delete a document")
    one.add_argument("source", metavar="SOURCE")
    one.add_argument("--collection", metavar="NAME")

    one = commands.add_parser("verify", help="check the store against itself")
    one.add_argument("--json", action="store_true")
    commands.add_parser("rebuild", help="build the search indexes again from the store, without embedding")
    commands.add_parser("purge", help="scrub deleted documents from the disk")

    for name, text in (("search", "find passages"), ("ask", "answer a question")):
        one = commands.add_parser(name, help=text)
        one.add_argument("question", nargs="?", metavar="QUERY" if name == "search" else "QUESTION")
        one.add_argument("--collection", metavar="NAME")
        one.add_argument("--source", metavar="PATTERN", action="append", default=[], help="a path, or as in *.pdf")
        one.add_argument("--type", metavar="MEDIA", action="append", default=[], help="such as application/pdf")
        one.add_argument("--since", metavar="DATE", help="changed on this day or later, YYYY-MM-DD")
        one.add_argument("--until", metavar="DATE", help="changed on this day or earlier, YYYY-MM-DD")
        one.add_argument("--file", type=Path, metavar="IN.jsonl", help="many questions, one JSON object a line")
        one.add_argument("--out", type=Path, metavar="OUT.jsonl", help="where the answers to --file go")
        one.add_argument("--json", action="store_true")
        if name == "search":
            one.add_argument("-k", type=int, metavar="N", help="passages (default: retrieval.k)")

    one = commands.add_parser("eval", help="score answers to questions whose answers are known")
    one.add_argument("cases", type=Path, metavar="CASES.jsonl")
    one.add_argument("--collection", metavar="NAME")
    one.add_argument("--out", type=Path, metavar="OUT.jsonl", help="where the answers go, with their scores")
    one.add_argument("--report", type=Path, metavar="DIR", help="write a report there, in Markdown and HTML with plots")
    one.add_argument("--json", action="store_true")
    one.add_argument("--failures", action="store_true", help="show each case that failed, and how")

    one = commands.add_parser("serve", help="serve the web app; the first start asks for an administrator")
    one.add_argument("--host", metavar="H")
    one.add_argument("--port", metavar="P")
    one.add_argument("--open", action="store_true", help="open the browser")

    _add_people(commands.add_parser("people", help="who may sign in, and as what"))

    one = commands.add_parser("config", help="print every setting, its value and where it came from")
    one.add_argument("--json", action="store_true")
    return root


def _add_people(people: argparse.ArgumentParser) -> None:
    """Add what can be done with the accounts."""
    deeds = people.add_subparsers(dest="deed", required=True, metavar="DEED")
    one = deeds.add_parser("list", help="list the accounts")
    one.add_argument("--json", action="store_true")
    one = deeds.add_parser("invite", help="make a link with which somebody makes their account")
    one.add_argument("--role", choices=("admin", "editor", "reader"), default="reader")
    one.add_argument("--days", type=float, default=7.0, metavar="N", help="how long it can be used (default: 7)")
    for name, text in (
        ("add-admin", "make an administrator; the password is typed"),
        ("reset-password", "give somebody another password, which is typed"),
        ("set-role", "make somebody an administrator, editor or reader"),
        ("disable", "keep somebody from signing in"),
        ("enable", "let somebody sign in again"),
        ("sessions", "list where somebody is signed in"),
        ("revoke", "sign somebody out"),
        ("delete", "delete an account with all that is kept about the person"),
    ):
        one = deeds.add_parser(name, help=text)
        one.add_argument("name", metavar="NAME")
        if name in ("add-admin", "reset-password"):
            one.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
        elif name == "set-role":
            one.add_argument("role", choices=("admin", "editor", "reader"))
        elif name == "revoke":
            one.add_argument("session", nargs="?", metavar="SESSION", help="one of them (default: all)")


def add_main_options(root: argparse.ArgumentParser) -> None:
    """Add the options that every command of every door takes."""
    root.add_argument("--data", metavar="DIR", help="data directory (default: $CITADEL_DATA, citadel.toml, ./data)")
    root.add_argument("--config", metavar="FILE", type=Path, help="settings file (default: ./citadel.toml)")
    root.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="one setting; may be repeated")
    root.add_argument("--verbose", action="store_true", help="log to standard error, with tracebacks")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = parser().parse_args(argv)
    return run_reported(
        lambda: int(load(COMMANDS[arguments.command])(arguments, settings_of(arguments))), verbose=arguments.verbose
    )


def run_reported(run: Callable[[], int], *, verbose: bool) -> int:
    """Run a command and return its exit code; a known error is one line, never a traceback."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    try:
        return run()
    except CitadelError as error:
        if verbose:
            logging.getLogger("citadel").exception("%s", error.code)
        print(f"error [{error.code}] {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted; what was acknowledged is stored, run the command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def settings_of(arguments: argparse.Namespace) -> LoadedSettings:
    """Read the settings that a command line names."""
    overrides = list(arguments.set)
    for name in ("host", "port"):
        if getattr(arguments, name, None) is not None:
            overrides.append(f"serve.{name}={getattr(arguments, name)}")
    return load_settings(config_file=arguments.config, environ=os.environ, overrides=overrides, data_dir=arguments.data)
