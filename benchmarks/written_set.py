"""The documents written for training as a folder of files, and the questions of those that were held out.

They are what people keep at work: handbooks, manuals, price lists, contracts, minutes, reports, in both languages. The
documents of one firm are folders of their own, each asked as one knowledge base.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.cases import Case
from app.knowledge_base import KnowledgeBase
from benchmarks.answer_sets import AnswerSet
from core.json_lines import json_lines
from core.records import SearchFilter
from llm.training.readers import read_file
from llm.training.readers.written import fits
from llm.training.records import Record

FOLDER = Path("llm/training/written")
HELD_OUT = FOLDER / "held_out.jsonl"
HELD_OUT_PAIRS = FOLDER / "held_out_pairs.jsonl"
HELD_OUT_FOLDERS = FOLDER / "held_out_folders.jsonl"
_UNSAFE = re.compile(r"[^\w-]+")
_SEPARATOR = " | "


def written(shared: Path) -> AnswerSet:
    """Return the held-out questions over all written documents; it needs nothing of ``shared``."""
    return AnswerSet(name="written", ingest=_ingest, rounds=(_cases(HELD_OUT),))


def folders(shared: Path) -> AnswerSet:
    """Return the questions over each held-out firm's folder; it needs nothing of ``shared``."""
    return AnswerSet(name="folders", ingest=_ingest_folders, rounds=(_cases(HELD_OUT_FOLDERS, name="folders"),))


def near_cases() -> tuple[Case, ...]:
    """Return the held-out questions that seldom say which document they mean, many of them near misses."""
    return _cases(HELD_OUT_PAIRS)


def _cases(path: Path, *, name: str = "written") -> tuple[Case, ...]:
    names = {document["id"]: _name(document) for _, document in json_lines(path)}
    _, records, _ = read_file(path)
    return tuple(_case(record, source=names[record.document], set_name=name) for record in records)


def sentences() -> dict[str, str]:
    """Return the sentence or row that answers, by the case's id, where the answer alone stands elsewhere too."""
    return {
        f"{document['id']}#{i}": asked["in"]
        for path in (HELD_OUT, HELD_OUT_PAIRS, HELD_OUT_FOLDERS)
        for _, document in json_lines(path)
        for i, asked in enumerate(document["questions"])
        if asked.get("in")
    }


def _ingest(knowledge_base: KnowledgeBase, work: Path) -> None:
    files = work / "files"
    files.mkdir(exist_ok=True)
    for path in sorted(FOLDER.glob("*.jsonl")):
        for _, document in json_lines(path):
            if not fits(document) or "collection" in document:  # asked of paragraphs elsewhere, or of its folder
                break
            _lay_out(document, files)
    knowledge_base.ingest(files, sync=True)


def _ingest_folders(knowledge_base: KnowledgeBase, work: Path) -> None:
    held: dict[str, list[dict[str, Any]]] = {}
    for _, document in json_lines(HELD_OUT_FOLDERS):
        held.setdefault(document["collection"], []).append(document)
    for collection, documents in held.items():
        files = work / "files" / collection
        files.mkdir(parents=True, exist_ok=True)
        for document in documents:
            _lay_out(document, files)
        knowledge_base.ingest(files, collection=collection, sync=True)


def _lay_out(document: dict[str, Any], files: Path) -> None:
    text, place = "\n".join(_lines(document)), files / _name(document)
    if not place.exists() or place.read_text("utf-8") != text:
        place.write_text(text, "utf-8")


def _case(record: Record, *, source: str, set_name: str) -> Case:
    return Case(
        id=record.id,
        question=record.question,
        answers=(record.span,) if record.answerable else (),
        sources=((source, None),),
        answerable=record.answerable,
        history=record.history,
        language=record.language,
        kind=record.kind,
        set_name=f"{set_name} {record.language}",
        filter=SearchFilter(collections=(record.collection,) if record.collection else ()),
    )


def _name(document: dict[str, Any]) -> str:
    stem = _UNSAFE.sub("-", document["title"])[:50].strip("-")
    return f"{stem}-{document['id']}{'.md' if _is_markdown(document) else '.txt'}"


def _is_markdown(document: dict[str, Any]) -> bool:
    return document["id"][-1] in "02468"


def _lines(document: dict[str, Any]) -> Iterator[str]:
    """Yield the document's lines, as Markdown or as plain text."""
    markdown = _is_markdown(document)
    for level, title in enumerate(document["title"].split(" > "), start=1):
        yield f"{'#' * level} {title}" if markdown else title
        yield ""
    for passage in document["passages"]:
        yield f"### {passage['heading']}" if markdown else passage["heading"]
        yield ""
        yield from _as_markdown(passage["text"]) if markdown else passage["text"].split("\n")
        yield ""


def _as_markdown(text: str) -> Iterator[str]:
    in_table = False
    for line in text.split("\n"):
        n_cells = len(line.split(_SEPARATOR))
        if n_cells == 1:
            yield f"{line}  " if line else ""  # lines stay lines
        else:
            yield f"| {line} |"
            if not in_table:
                yield f"|{'---|' * n_cells}"
        in_table = n_cells > 1
