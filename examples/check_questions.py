"""Check that ``questions.jsonl`` and the knowledge base agree, and print what the set holds.

Run ``python examples/check_questions.py``. Each case must name files and pages that exist, and its first answer and
its evidence must be in their text. Text is read with plain libraries and not with Citadel's parsers, so that a
parser's fault cannot hide itself; what a scan says is taken from its manuscript. The exit status is 1 when a case is
wrong.
"""

from __future__ import annotations

import csv
import difflib
import email
import json
import re
import sys
import zipfile
from collections import Counter
from email.policy import default
from functools import cache
from pathlib import Path
from typing import Any

import docx
import openpyxl
import pptx
import pypdfium2 as pdfium
from striprtf.striprtf import rtf_to_text

HERE = Path(__file__).resolve().parent
KNOWLEDGE_BASE, MANUSCRIPTS = HERE / "knowledge_base", HERE / "manuscripts"
FIELDS = {"id", "question", "language", "kind", "answers", "sources", "answerable", "history", "evidence"}
KINDS = {"fact", "table", "number", "procedure", "yesno", "list", "compare", "multi-turn", "unanswerable"}
LONGEST_COPY = {"en": 40, "zh": 12}  # characters that a question may share with its evidence in one piece


@cache
def texts(name: str) -> list[str]:
    """Return the text of a file: of each page or slide, or of the whole."""
    path = KNOWLEDGE_BASE / name
    manuscript = MANUSCRIPTS / f"{name}.md"
    if manuscript.is_file() and "\nscan:" in (written := manuscript.read_text("utf-8")):
        return re.split(r"^---$", written.partition("\n---\n")[2], flags=re.MULTILINE)
    match path.suffix:
        case ".pdf":
            return [page.get_textpage().get_text_bounded() for page in pdfium.PdfDocument(path)]
        case ".pptx":
            return [_slide_text(slide) for slide in pptx.Presentation(str(path)).slides]
        case ".docx":
            document = docx.Document(str(path))
            rows = [" ".join(cell.text for cell in row.cells) for table in document.tables for row in table.rows]
            return ["\n".join([*(paragraph.text for paragraph in document.paragraphs), *rows])]
        case ".xlsx":
            sheets = openpyxl.load_workbook(path).worksheets
            return ["\n".join(" ".join(map(str, row)) for sheet in sheets for row in sheet.values)]
        case ".odt" | ".ods":
            return [_without_tags(zipfile.ZipFile(path).read("content.xml").decode())]
        case ".epub":
            book = zipfile.ZipFile(path)
            chapters = (name for name in book.namelist() if name.startswith("chapter"))
            return [_without_tags("\n".join(book.read(name).decode() for name in chapters))]
        case ".eml":
            mail = email.message_from_bytes(path.read_bytes(), policy=default)
            return ["\n".join(part.get_content() for part in mail.walk() if part.get_content_maintype() == "text")]
        case ".rtf":
            return [rtf_to_text(path.read_text("ascii"))]
        case ".csv":
            encoding = "gb18030" if name.startswith("中文") else "utf-8"
            return ["\n".join(",".join(row) for row in csv.reader(path.read_text(encoding).splitlines()))]
        case ".html":
            return [_without_tags(path.read_text("utf-8"))]
        case _:
            return [path.read_text("utf-8")]


def _slide_text(slide: Any) -> str:
    lines = [shape.text_frame.text for shape in slide.shapes if shape.has_text_frame]
    rows = [row for shape in slide.shapes if shape.has_table for row in shape.table.rows]
    return "\n".join([*lines, *(" ".join(cell.text for cell in row.cells) for row in rows)])


def _without_tags(markup: str) -> str:
    return re.sub(r"<[^>]+>", " ", markup).replace("&amp;", "&")


def squeezed(text: str) -> str:
    """Return text without spaces, cell bars and stars, so that line breaks and table layouts do not matter."""
    return re.sub(r"[\s|*]+", "", text)


def source_text(source: str) -> str:
    """Return the squeezed text of a source such as ``a.pdf#page=3``.

    Raises:
        ValueError: The file, page or slide does not exist.
    """
    name, _, place = source.partition("#")
    if not (KNOWLEDGE_BASE / name).is_file():
        raise ValueError(f"no file {name}")
    parts = texts(name)
    expected = {".pdf": "page", ".pptx": "slide"}.get(Path(name).suffix, "")
    kind, _, number = place.partition("=")
    if kind != expected or (kind and not 1 <= int(number) <= len(parts)):
        raise ValueError(f"{source} names no {expected or 'whole file'}")
    return squeezed(parts[int(number) - 1] if kind else "\n".join(parts))


def faults(case: dict[str, Any]) -> list[str]:
    """Return what is wrong with a case."""
    if set(case) != FIELDS or case["kind"] not in KINDS or case["language"] not in LONGEST_COPY:
        return ["fields, kind or language are not those of the schema"]
    if (case["kind"] == "multi-turn") > bool(case["history"]):
        return ["a multi-turn case without history"]
    if not case["answerable"]:
        filled = case["answers"] or case["sources"] or case["evidence"] or case["kind"] != "unanswerable"
        return ["an unanswerable case with an answer"] if filled else []
    try:
        found = [source_text(source) for source in case["sources"]]
    except ValueError as error:
        return [str(error)]
    wrong = [f"evidence not found: {line}" for line in case["evidence"].splitlines() if not _in_any(line, found)]
    if not _in_any(case["answers"][0], found):
        wrong.append(f"answer not found: {case['answers'][0]}")
    if squeezed(case["answers"][0]) not in squeezed(case["evidence"]):
        wrong.append(f"answer not in the evidence: {case['answers'][0]}")
    question, evidence = case["question"].lower(), case["evidence"].lower()
    copied = difflib.SequenceMatcher(None, question, evidence, autojunk=False).find_longest_match()
    if copied.size > LONGEST_COPY[case["language"]]:
        wrong.append(f"copied from the source: {case['question'][copied.a : copied.a + copied.size]}")
    return wrong


def _in_any(text: str, places: list[str]) -> bool:
    return any(squeezed(text) in place for place in places)


def main() -> int:
    """Check all cases and print the counts; return the exit status."""
    cases = [json.loads(line) for line in (HERE / "questions.jsonl").read_text("utf-8").splitlines()]
    wrong = {case["id"]: told for case in cases if (told := faults(case))}
    for name, told in wrong.items():
        print(f"{name}: {'; '.join(told)}")
    n = len(cases)
    files = {path.relative_to(KNOWLEDGE_BASE).as_posix() for path in KNOWLEDGE_BASE.rglob("*") if path.is_file()}
    used = {source.partition("#")[0] for case in cases for source in case["sources"]}
    repeated = [name for name, times in Counter(case["id"] for case in cases).items() if times > 1]
    unused = sorted(files - used)
    n_unanswerable = sum(not case["answerable"] for case in cases)
    n_chinese = sum(case["language"] == "zh" for case in cases)
    formats = {Path(name).suffix for name in files}
    print(f"files {len(files)}, formats {len(formats)}, never asked about: {unused or 'none'}")
    print(f"cases {n}, wrong {len(wrong)}, ids used twice: {repeated or 'none'}")
    print(f"Chinese {n_chinese} ({n_chinese / n:.0%}), unanswerable {n_unanswerable} ({n_unanswerable / n:.0%})")
    for kind, count in Counter(case["kind"] for case in cases).most_common():
        by_language = Counter(case["language"] for case in cases if case["kind"] == kind)
        print(f"  {kind:13} {count:4}   en {by_language['en']:3}   zh {by_language['zh']:3}")
    return 1 if wrong or repeated else 0


if __name__ == "__main__":
    sys.exit(main())
