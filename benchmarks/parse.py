"""Compare what the parsers read with what others say a file holds.

``python -m benchmarks.parse --data ../shared/data/dev/parse`` parses every ``sources/X`` beneath the folder that has a
``groundtruth/X.md``, and prints for each format the number of files and the median similarity, then the whole median,
the worst ten, and by name every file that was refused or had no ground truth.

Similarity is the normalized indel similarity of the two texts (RapidFuzz's ``fuzz.ratio``, 0..1) after both were
normalized in the same way. What that drops is markup and layout, never words or numbers: Markdown's heading, emphasis,
quote, code and list marks, numbers of list items, table rules and cell bars, the addresses of links, placeholders for
pictures (``<!-- image -->``), backslash escapes and HTML entities, LaTeX's commands by the signs they stand for, case,
and all white space.
"""

from __future__ import annotations

import argparse
import hashlib
import html
import re
import statistics
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz import fuzz

from core.errors import DocumentError
from core.records import SourceFile
from ingest.builder import ParseOptions
from ingest.types import media_type_of, parse_file

_LATEX_SIGNS = {
    "pi": "π", "sum": "Σ", "int": "∫", "times": "×", "pm": "±", "infty": "∞", "alpha": "α", "beta": "β", "theta": "θ",
    "cdot": "·", "leq": "≤", "geq": "≥", "neq": "≠", "sqrt": "√", "textellipsis": "…", "ldots": "…", "mu": "μ",
    "sigma": "σ", "delta": "δ", "lambda": "λ", "partial": "∂",
}  # fmt: skip
_LATEX_WORDS = re.compile(
    r"\\(?:left|right|frac|genfrac|text|mathrm|mathbf|begin\{\w+\}|end\{\w+\}|displaystyle|limits)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One file: how like its ground truth it was read, or why it was not."""

    name: str
    kind: str
    similarity: float | None
    remark: str = ""


def normalized(text: str) -> str:
    """Return a text without the markup and layout that the module's docstring lists."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.S)
    text = re.sub(r"!?\[([^\[\]]*(?:\[[^\]]*\][^\[\]]*)*)\]\((?:[^()\s]|\([^()]*\))*\)", r"\1", text)
    text = html.unescape(text)
    text = re.sub(r"^\s*\|?(?:\s*:?-+:?\s*\|)+\s*:?-*:?\s*$", "", text, flags=re.M)
    text = re.sub(r"^[\s>|]*(?:[-*+•]\s+|\d+[.)]\s+|#{1,6}\s+)+", "", text, flags=re.M)
    text = re.sub(r"(?<=[|:;.\w*)])\s+(?:-|\d+\.)\s+(?=\S)|\|\s*-\s+", " ", text)
    text = _without_latex(text)
    text = re.sub(r"\\([\\`*_{}\[\]()#+.!|>~$&%-])", r"\1", text)
    text = re.sub(r"```\w*|[`*_~|#$\\{}]", "", text)
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _without_latex(text: str) -> str:
    text = _LATEX_WORDS.sub("", text)
    return re.sub(r"\\([a-zA-Z]+)", lambda found: _LATEX_SIGNS.get(found.group(1), found.group(1)), text)


def similarity(read: str, expected: str) -> float:
    """Return how like two texts are once normalized, 1.0 for equal ones."""
    left, right = normalized(read), normalized(expected)
    return 1.0 if left == right else fuzz.ratio(left, right) / 100


def score_folder(data: Path, *, options: ParseOptions, only: str = "") -> Iterator[Scored]:
    """Parse every source under a folder whose path contains ``only``; compare those that have a ground truth."""
    for path in sorted(data.rglob("*")):
        if (
            not path.is_file()
            or path.parent.name == "groundtruth"
            or path.name in ("LICENSE", "SOURCE.txt", "README.md")
        ):
            continue
        kind = path.parent.parent.name if path.parent.name == "sources" else path.parent.name
        name = str(path.relative_to(data))
        if only not in name:
            continue
        folder = path.parent.parent / "groundtruth"
        expected = next((f for f in (folder / f"{path.name}.md", folder / f"{path.stem}.md") if f.is_file()), None)
        try:
            text, notes = _read(path, name, options)
        except DocumentError as error:
            yield Scored(name=name, kind=kind, similarity=None, remark=f"refused: {error}")
            continue
        if expected is None:
            yield Scored(name=name, kind=kind, similarity=None, remark=f"read, {len(text)} characters, no ground truth")
        else:
            ratio = similarity(text, expected.read_text("utf-8"))
            yield Scored(name=name, kind=kind, similarity=ratio, remark="; ".join(notes))


def _read(path: Path, name: str, options: ParseOptions) -> tuple[str, tuple[str, ...]]:
    source = SourceFile(
        path=name,
        location=str(path),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        media_type=media_type_of(path),
        size_bytes=path.stat().st_size,
        modified=path.stat().st_mtime,
    )
    document = parse_file(path, source, options)
    return document.text, document.notes


def main() -> int:
    """Print the tables; the exit code is 1 when the median is under the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with sources/ and groundtruth/ beneath it")
    parser.add_argument("--only", default="", help="only files whose path contains this")
    parser.add_argument("--target", type=float, default=0.90, help="median to reach")
    parser.add_argument("--no-ocr", action="store_true", help="leave pictures unread")
    chosen = parser.parse_args()
    if not chosen.data.is_dir():
        print(f"{chosen.data}: there is no such folder", file=sys.stderr)
        return 2
    options = ParseOptions(ocr=not chosen.no_ocr)
    return _report(list(score_folder(chosen.data, options=options, only=chosen.only)), target=chosen.target)


def _report(scored: list[Scored], *, target: float) -> int:
    kinds: dict[str, list[float]] = defaultdict(list)
    for one in scored:
        if one.similarity is not None:
            kinds[one.kind].append(one.similarity)
    print(f"{'format':<14}{'files':>6}{'median':>9}{'least':>8}")
    for kind, values in sorted(kinds.items()):
        print(f"{kind:<14}{len(values):>6}{statistics.median(values):>9.3f}{min(values):>8.3f}")
    every = [value for values in kinds.values() for value in values]
    median = statistics.median(every) if every else 0.0
    print(f"{'all':<14}{len(every):>6}{median:>9.3f}{min(every, default=0):>8.3f}   target {target:.2f}\n")
    print("worst ten                                                      similarity  why")
    compared = sorted((one for one in scored if one.similarity is not None), key=lambda one: one.similarity or 0.0)
    for one in compared[:10]:
        print(f"{one.name:<62}{one.similarity:>11.3f}  {one.remark}")
    print("\nnot compared")
    for one in scored:
        if one.similarity is None:
            print(f"{one.name:<62}  {one.remark}")
    return 0 if median >= target else 1


if __name__ == "__main__":
    raise SystemExit(main())
