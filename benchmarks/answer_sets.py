"""Question sets to ask end to end: what is ingested, and the cases asked of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.cases import Case, read_cases
from app.evaluation import REFUSED, Outcome, comparable
from app.knowledge_base import KnowledgeBase
from core.records import Message, SearchFilter

EXAMPLES = Path("examples")
NOWHERE_ELSE = "refused, of those with the answer nowhere else"
_ROLES = {"user": "user", "agent": "assistant"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerSet:
    """What fills a knowledge base, and the rounds of cases asked of it.

    A second round asks the cases of the first, in the same order, under other conditions. ``judge`` adds scores that
    only this set has.
    """

    name: str
    ingest: Callable[[KnowledgeBase, Path], None]
    rounds: tuple[tuple[Case, ...], ...]
    judge: Callable[[Outcome], Outcome] = lambda outcome: outcome


def qed(shared: Path) -> AnswerSet:
    """Return the held-out QED questions over the paragraphs of its training and held-out halves."""
    ids: dict[str, str] = {}
    titles: dict[str, str] = {}
    dev = list(json_lines(shared / "dev/qed_dev_a.jsonl"))
    for row in (*json_lines(shared / "train/qed_train.jsonl"), *dev):
        titles.setdefault(row["paragraph_text"], row["title_text"])
        ids.setdefault(row["paragraph_text"], f"qed-{len(ids)}")
    cases = tuple(
        Case(
            id=str(row["example_id"]),
            question=row["question_text"],
            answers=tuple(
                dict.fromkeys(" ".join(span["string"] for span in one) for one in row["original_nq_answers"])
            ),
            sources=((ids[row["paragraph_text"]], None),),
            set_name="qed",
        )
        for row in dev
    )
    passages = [{"id": name, "title": titles[text], "text": text} for text, name in ids.items()]
    return AnswerSet(name="qed", ingest=_passages({"default": passages}), rounds=_with_gold_out(cases), judge=refusable)


def cmrc(shared: Path) -> AnswerSet:
    """Return the CMRC trial questions over the paragraphs of its training and trial splits."""
    ids: dict[str, str] = {}
    titles: dict[str, str] = {}
    cases = []
    for part in ("train/cmrc_train.json", "dev/cmrc_trial.json"):
        for article in json.loads((shared / part).read_text("utf-8"))["data"]:
            for paragraph in article["paragraphs"]:
                name = ids.setdefault(paragraph["context"], f"cmrc-{len(ids)}")
                titles.setdefault(paragraph["context"], article.get("title") or "")
                if part.startswith("dev"):
                    cases += [_cmrc_case(qa, name) for qa in paragraph["qas"] if qa["question"].strip()]
    passages = [{"id": name, "title": titles[text], "text": text} for text, name in ids.items()]
    return AnswerSet(
        name="cmrc", ingest=_passages({"default": passages}), rounds=_with_gold_out(cases), judge=refusable
    )


def _cmrc_case(qa: dict[str, Any], source: str) -> Case:
    answers = tuple(dict.fromkeys(answer["text"] for answer in qa["answers"]))
    return Case(
        id=qa["id"], question=qa["question"], answers=answers, sources=((source, None),), language="zh", set_name="cmrc"
    )


def mtrag(shared: Path) -> AnswerSet:
    """Return the last turn of each MTRAG conversation, over the contexts of all conversations of its collection."""
    rows = list(json_lines(shared / "dev/mtrag_a.jsonl"))
    passages: dict[str, dict[str, dict[str, str]]] = {}
    for row in rows:
        held = passages.setdefault(row["Collection"], {})
        for context in row["contexts"]:
            name = context["document_id"]
            held.setdefault(name, {"id": name, "title": context.get("title") or "", "text": context["text"]})
    cases = tuple(_mtrag_case(row) for row in rows)
    return AnswerSet(
        name="mtrag", ingest=_passages({name: list(held.values()) for name, held in passages.items()}), rounds=(cases,)
    )


def _mtrag_case(row: dict[str, Any]) -> Case:
    kind = row["answerability"][0].lower()
    *before, last = row["input"]
    return Case(
        id=row["task_id"],
        question=last["text"],
        answers=tuple(target["text"] for target in row["targets"]),
        sources=tuple((context["document_id"], None) for context in row["contexts"]),
        answerable=kind in ("answerable", "partial"),
        free_form=True,
        history=tuple(Message(role=_ROLES[turn["speaker"]], content=turn["text"]) for turn in before),  # type: ignore[arg-type]
        kind=kind,
        set_name="mtrag, underspecified" if kind == "underspecified" else "mtrag",
        filter=SearchFilter(collections=(row["Collection"],)),
    )


def private_kb(shared: Path) -> AnswerSet:
    """Return the questions on a service manual and a leave policy."""
    folder = shared / "dev/private_kb"
    cases = tuple(
        Case(id=row["id"], question=row["query"], answers=tuple(row["expected"]), kind=name, set_name="private_kb")
        for name in ("atlas7", "hr")
        for row in json_lines(folder / f"{name}.jsonl")
    )
    return AnswerSet(name="private_kb", ingest=_files(*sorted(folder.glob("*.pdf"))), rounds=(cases,))


def examples(shared: Path) -> AnswerSet:
    """Return the questions on the sample knowledge base; it needs nothing of ``shared``."""
    cases = tuple(
        replace(case, set_name=f"examples {case.language}") for case in read_cases(EXAMPLES / "questions.jsonl")
    )
    return AnswerSet(name="examples", ingest=_files(EXAMPLES / "knowledge_base"), rounds=(cases,))


def _with_gold_out(cases: Sequence[Case]) -> tuple[tuple[Case, ...], ...]:
    return tuple(cases), tuple(without_gold(case) for case in cases)


def without_gold(case: Case) -> Case:
    """Return the case asked with the sources that answer it left out of the search, where refusing is right."""
    sources = tuple(path for path, _ in case.sources)
    return replace(
        case, set_name=f"{case.set_name}, gold out", answerable=False, filter=replace(case.filter, without=sources)
    )


def refusable(outcome: Outcome) -> Outcome:
    """Return the outcome with a figure for the unanswerable case whose answer no retrieved passage holds."""
    case = outcome.case
    if case.answerable:
        return outcome
    held = comparable("\n".join(hit["text"] for hit in outcome.answer["hits"]))
    if any(comparable(answer) in held for answer in case.answers):
        return outcome
    return replace(outcome, scores={**outcome.scores, NOWHERE_ELSE: outcome.scores[REFUSED]})


def _passages(by_collection: dict[str, list[dict[str, str]]]) -> Callable[[KnowledgeBase, Path], None]:
    def ingest(kb: KnowledgeBase, work: Path) -> None:
        for collection, passages in by_collection.items():
            file = work / f"{collection}.jsonl"
            written = "".join(json.dumps(passage, ensure_ascii=False) + "\n" for passage in passages)
            if not file.exists() or file.read_text("utf-8") != written:
                file.write_text(written, "utf-8")
            kb.ingest(file, collection=collection, format="passages", sync=True)

    return ingest


def _files(*paths: Path) -> Callable[[KnowledgeBase, Path], None]:
    def ingest(kb: KnowledgeBase, work: Path) -> None:
        kb.ingest(*paths)

    return ingest


def json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file of JSON lines."""
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)
