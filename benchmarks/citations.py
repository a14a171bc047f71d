"""Do citations lead to the page that holds the answer? Over real PDFs, end to end, with every failure listed.

``python -m benchmarks.citations [--shared ../shared/data] [--work DIR] [--failures]``

``private_kb``: each question has expected strings; ``sec_10q``: the figures of the reference answer stand for them, in
the files that it names. A page's text is read here with pypdfium2 alone, so that our parser does not vouch for itself.
Every quote is compared with the document's stored text at the place it names; one that differs ends the run.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pypdfium2 as pdfium

from app.evaluation import comparable
from app.knowledge_base import KnowledgeBase
from benchmarks.serving import link_models
from core.records import Answer, Citation, Locator, SearchFilter
from llm.evaluating.figures import figure


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question, the strings of which one must be on a cited page, and the files that may hold it (all when empty)."""

    id: str
    text: str
    expected: tuple[str, ...]
    files: tuple[str, ...] = ()


def private_kb(folder: Path) -> Iterator[Question]:
    """Yield the questions on the service manual and the leave policy."""
    for name in ("atlas7.jsonl", "hr.jsonl"):
        for line in (folder / name).read_text("utf-8").splitlines():
            row = json.loads(line)
            yield Question(id=row["id"], text=row["query"], expected=tuple(row["expected"]))


def sec_10q(folder: Path) -> Iterator[Question]:
    """Yield the questions on quarterly reports whose reference answer has figures and whose files are here."""
    here = {path.name for path in folder.glob("*.pdf")}
    with (folder / "qna_data.csv").open(encoding="utf-8-sig", newline="") as file:
        for i, row in enumerate(csv.DictReader(file)):
            figures = re.findall(r"\d{1,3}(?:,\d{3})+|\d+\.\d+", row["Answer"])
            named = re.findall(r"\d{4} Q\d \w+\.pdf", row["Answer"])
            files = tuple(dict.fromkeys(name for name in named if name in here))
            if figures and files:
                yield Question(id=f"10q-{i}", text=row["Question"], expected=tuple(figures), files=files)


def main() -> None:
    """Ingest, ask, print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--shared", type=Path, default=Path("../shared/data"))
    arguments.add_argument("--work", type=Path, help="data directory to keep; default: one that is thrown away")
    arguments.add_argument("--models", type=Path, default=Path("data/models"))
    arguments.add_argument("--failures", action="store_true", help="show what failed")
    options = arguments.parse_args()
    if not options.shared.is_dir():
        raise SystemExit(f"{options.shared} is not here")
    with tempfile.TemporaryDirectory() as scratch:
        work = options.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        link_models(options.models, work)
        with KnowledgeBase.open(work) as kb:
            for name, questions in (("private_kb", private_kb), ("sec_10q", sec_10q)):
                folder = options.shared / "dev" / name
                kb.ingest(*sorted(folder.glob("*.pdf")), collection=name)  # not the questions beside them
                run(kb, name, folder, list(questions(folder)), failures=options.failures)


def run(kb: KnowledgeBase, name: str, folder: Path, questions: list[Question], *, failures: bool) -> None:
    """Ask the questions of one set and print its figures."""
    lines: dict[str, list[float]] = {}

    def count(what: str, value: bool) -> None:
        lines.setdefault(what, []).append(float(value))

    for question in questions:
        answer = kb.ask(question.text, filter=SearchFilter(collections=(name,)))
        for citation in answer.citations:
            check_verbatim(kb, citation)
        retrieved = any(holds(folder, h.source, p, question) for h in answer.hits for p in pages(h.chunk.locator))
        count("a retrieved page holds it", retrieved)
        count("answered", not answer.abstained)
        right = [any(holds(folder, c.source, p, question) for p in pages(c.locator)) for c in answer.citations]
        if not answer.abstained:
            for hit in right:
                count("citations whose page holds it", hit)
            count("answers with such a citation", any(right))
        stated = comparable("\n".join([answer.text, *(c.quote for c in answer.citations)]))
        said = any(comparable(e) in stated for e in question.expected)
        count("expected string in answer or quote", said and not answer.abstained)
        if failures and not (said and any(right)):
            show(question, answer, retrieved=retrieved)
    print(f"\n{name}")
    for what, values in lines.items():
        f = figure(values)
        print(f"  {what:<38}{f.value:7.1%}  n={f.n:<4} [{f.low:.1%}, {f.high:.1%}]")


def check_verbatim(kb: KnowledgeBase, citation: Citation) -> None:
    """Raise when a quote is not what its source holds at the place it names."""
    text = kb.document_text(citation.source, collection=citation.collection)
    if text[citation.locator.start : citation.locator.end] != citation.quote or not citation.quote:
        raise SystemExit(f"not verbatim: {citation}")


def pages(locator: Locator) -> range:
    """Return the pages that a passage touches."""
    return range(locator.page or 0, (locator.page_end or locator.page or 0) + 1)


def holds(folder: Path, source: str, page: int, question: Question) -> bool:
    """Return whether a page of a file that may hold the answer has one of the expected strings."""
    if not page or (question.files and source not in question.files):
        return False
    text = page_text(str(folder / source), page)
    return any(comparable(expected) in text for expected in question.expected)


@lru_cache(maxsize=4096)
def page_text(path: str, page: int) -> str:
    """Return a page's text, read with pypdfium2 alone, without what may differ between quote and expected string."""
    document = pdfium.PdfDocument(path)
    try:
        return comparable(document[page - 1].get_textpage().get_text_range())
    finally:
        document.close()


def show(question: Question, answer: Answer, *, retrieved: bool) -> None:
    """Print one failure."""
    print(f"\n{question.id}: {question.text}\n  wanted {question.expected[:6]} in {question.files or 'any'}")
    found = ", ".join(f"{h.source}#{h.page}" for h in answer.hits)
    print(f"  {'retrieved' if retrieved else 'NOT retrieved'}: {found}")
    print(f"  said: {'(refused)' if answer.abstained else answer.text}")
    for c in answer.citations:
        print(f"    [{c.number}] {c.source}#{c.page}: {c.quote[:200]!r}")


if __name__ == "__main__":
    main()
