"""``search`` and ``ask``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any

from app.knowledge_base import KnowledgeBase
from core.errors import CitadelError, MalformedInput, UsageError
from core.json_lines import json_value, numbered_lines
from core.records import Answer, Finished, Message, SearchFilter, Token, hit_to_json, place_of
from core.settings import LoadedSettings


def search(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Print the passages found for a query, or for every line of a file."""
    filter = filter_of(arguments)
    with KnowledgeBase.open(settings=loaded.settings) as kb:
        if arguments.file:
            return _in_bulk(
                arguments,
                lambda line: {
                    "hits": [hit_to_json(h) for h in kb.search(line["question"], arguments.k, filter=filter)]
                },
            )
        hits = kb.search(_question(arguments), arguments.k, filter=filter)
        if arguments.json:
            print(json.dumps([hit_to_json(hit) for hit in hits], ensure_ascii=False, indent=2))
            return 0
        for i, hit in enumerate(hits, 1):
            print(f"{i}. {place_of(hit)}  ({hit.score:.4f})\n   {' '.join(hit.chunk.text.split())[:300]}\n")
        if not hits:
            print("nothing found", file=sys.stderr)
    return 0


def ask(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Print the answer to a question with its citations, or answer every line of a file."""
    filter = filter_of(arguments)
    with KnowledgeBase.open(settings=loaded.settings) as kb:
        if arguments.file:
            return _in_bulk(
                arguments,
                lambda line: kb.ask(line["question"], history=_history(line), filter=filter).to_json(),
            )
        question = _question(arguments)
        if arguments.json:
            print(json.dumps(kb.ask(question, filter=filter).to_json(), ensure_ascii=False, indent=2))
            return 0
        _print_stream(kb, question, filter)
    return 0


def _print_stream(kb: KnowledgeBase, question: str, filter: SearchFilter) -> None:
    live = sys.stdout.isatty()
    for event in kb.stream(question, filter=filter):
        if isinstance(event, Token) and live:
            print(event.text, end="", flush=True)
        elif isinstance(event, Finished):
            if live:
                print("\n")
            _print_answer(event.answer)


def _print_answer(answer: Answer) -> None:
    if answer.abstained:
        print(answer.text)
        for hit in answer.hits[:3]:
            print(f"  closest: {place_of(hit)}: {' '.join(hit.chunk.text.split())[:160]}")
        return
    for sentence in answer.sentences:
        marks = "".join(f"[{n}]" for n in sentence.citations) or "[no support found]"
        print(f"{answer.text[sentence.start : sentence.end]} {marks}")
    print()
    for citation in answer.citations:
        print(f"[{citation.number}] {place_of(citation)}: “{' '.join(citation.quote.split())}”")


def _question(arguments: argparse.Namespace) -> str:
    if arguments.question is None:
        raise UsageError("a question is needed", remedy="Give it in quotation marks, or many with --file and --out")
    return str(arguments.question)


def filter_of(arguments: argparse.Namespace) -> SearchFilter:
    """Return where the options say to look."""
    return SearchFilter(
        collections=(arguments.collection,) if arguments.collection else (),
        sources=tuple(getattr(arguments, "source", ())),
        media_types=tuple(getattr(arguments, "type", ())),
        modified_after=_day(getattr(arguments, "since", None), option="--since"),
        modified_before=_day(getattr(arguments, "until", None), option="--until", whole=True),
    )


def _day(date: str | None, *, option: str, whole: bool = False) -> float | None:
    """Return the seconds since the epoch at which a day of the local calendar begins, or when ``whole`` ends."""
    if date is None:
        return None
    try:
        start = datetime.strptime(date, "%Y-%m-%d")
    except ValueError:
        raise UsageError("is no date", where=f"{option} {date}", remedy="Write it as 2025-03-31") from None
    return (start + timedelta(days=1)).timestamp() - 1e-6 if whole else start.timestamp()


def _history(line: dict[str, Any]) -> tuple[Message, ...]:
    return tuple(Message(role=turn["role"], content=str(turn["content"])) for turn in line.get("history") or ())


def _in_bulk(arguments: argparse.Namespace, answered: Callable[[dict[str, Any]], dict[str, Any]]) -> int:
    """Answer every line of ``--file`` into ``--out``; a line that is wrong is answered with its error."""
    lines = numbered_lines(arguments.file)
    advance = _counter("questions", len(lines))
    n_failed = 0
    with ExitStack() as stack:
        out = stack.enter_context(arguments.out.open("w", encoding="utf-8")) if arguments.out else sys.stdout
        for number, text in lines:
            line = None
            try:
                line = json_value(text, where=f"{arguments.file}:{number}")
                _check_line(line, where=f"{arguments.file}:{number}")
                row = {"id": line.get("id"), **answered(line)}
            except CitadelError as error:
                n_failed += 1
                identity = line.get("id") if isinstance(line, dict) else None
                row = {"id": identity, "error": {"code": error.code, "message": str(error)}}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            advance(1)
    return 3 if n_failed else 0


def _check_line(line: object, *, where: str) -> None:
    if not isinstance(line, dict) or not isinstance(line.get("question"), str):
        raise MalformedInput('a line needs the form {"id": ..., "question": "..."}', where=where)
    history = line.get("history") or ()
    well_formed = isinstance(history, list | tuple) and all(
        isinstance(turn, dict) and turn.get("role") in ("user", "assistant", "system") and "content" in turn
        for turn in history
    )
    if not well_formed:
        raise MalformedInput('history needs the form [{"role": "user", "content": "..."}]', where=where)


def _counter(what: str, total: int) -> Callable[[int], None]:
    from tqdm import tqdm

    bar = tqdm(total=total, unit=f" {what}", file=sys.stderr, disable=not sys.stderr.isatty())

    def advance(n: int) -> None:
        bar.update(n)

    return advance
