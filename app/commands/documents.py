"""``ingest``, ``documents``, ``delete``, ``verify``, ``rebuild`` and ``purge``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from datetime import datetime

from app.knowledge_base import KnowledgeBase
from app.people.database import DATABASE, People
from core.errors import UsageError, printable
from core.settings import LoadedSettings
from ingest.reports import FileDone, FileReport, IngestEvent, IngestReport, format_line, format_progress, format_report


def documents(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """List the documents."""
    with KnowledgeBase.open(settings=loaded.settings) as kb:
        sources = kb.documents(collection=arguments.collection)
    if arguments.json:
        hidden = {"location", "recipe"}
        print(json.dumps([{k: v for k, v in asdict(s).items() if k not in hidden} for s in sources], indent=2))
        return 0
    for source in sources:
        pages = f"{source.n_pages} pages" if source.n_pages else ""
        when = datetime.fromtimestamp(source.ingested).strftime("%Y-%m-%d %H:%M")
        print(f"{source.collection:<12} {source.n_chunks:>5} chunks {pages:>10}  {when}  {printable(source.path)}")
    print(f"{len(sources)} documents", file=sys.stderr)
    return 0


def delete(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Delete a document."""
    with KnowledgeBase.open(settings=loaded.settings) as kb:
        source = kb.delete(arguments.source, collection=arguments.collection)
    print(f"deleted {printable(source.path)} from {source.collection}")
    return 0


def verify(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Check the store; exit 0 when it is sound, 5 when it is not."""
    with KnowledgeBase.open(settings=loaded.settings) as kb:
        problems = kb.verify()
    if arguments.json:
        print(json.dumps({"problems": [str(problem) for problem in problems]}, indent=2))
    else:
        for problem in problems:
            print(problem)
        print("the store is sound" if not problems else f"{len(problems)} problems; try `python -m app rebuild`")
    return 5 if problems else 0


def rebuild(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Build the indexes again from the stored vectors and texts."""
    with KnowledgeBase.open(settings=loaded.settings) as kb:
        kb.rebuild()
    print("rebuilt")
    return 0


def purge(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Scrub deleted documents and conversations from the disk."""
    with KnowledgeBase.open(settings=loaded.settings) as kb:
        kb.purge()
    if (loaded.settings.data_dir / DATABASE).exists():
        with People.open(loaded.settings.data_dir) as people:
            people.scrub(whole=True)
    print("purged")
    return 0


def ingest(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Read files and folders into a collection."""
    if arguments.format == "passages" and arguments.watch:
        raise UsageError("--watch is for files and folders", where="--format passages")
    shown = _Shown(json_lines=arguments.json, quiet=arguments.quiet)
    with KnowledgeBase.open(settings=loaded.settings) as kb:
        if arguments.watch:
            kb.watch(*arguments.paths, collection=arguments.collection, on_event=shown.event, on_report=shown.report)
            return 0
        report = kb.ingest(
            *arguments.paths,
            collection=arguments.collection,
            sync=arguments.sync,
            format=arguments.format,
            on_event=shown.event,
        )
    shown.report(report)
    return report.exit_code


class _Shown:
    """Shows an ingest: a bar and a line a file for people, a JSON object a file for programs."""

    def __init__(self, *, json_lines: bool, quiet: bool) -> None:
        self._json, self._quiet = json_lines, quiet
        self._live = sys.stderr.isatty() and not json_lines

    def event(self, event: IngestEvent) -> None:
        """Show one event as it happens."""
        if isinstance(event, FileDone):
            self._file(event.report)
        elif self._live:
            print(f"\r\x1b[K{format_progress(event)}", end="", file=sys.stderr, flush=True)

    def report(self, report: IngestReport) -> None:
        """Show the sums."""
        if self._json:
            sums = {k: v for k, v in report.to_json().items() if k != "files"}
            print(json.dumps({"summary": sums}, ensure_ascii=False), flush=True)
            return
        if self._live:
            print("\r\x1b[K", end="", file=sys.stderr)
        print(format_report(report, statuses=()), flush=True)

    def _file(self, report: FileReport) -> None:
        if self._json:
            print(json.dumps(report.to_json(), ensure_ascii=False), flush=True)
        elif not self._quiet or report.status == "failed":
            if self._live:
                print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            print(format_line(report), flush=True)
