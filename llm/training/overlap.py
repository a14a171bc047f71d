"""Keep what a model is measured on out of what it is trained on."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from core.errors import MalformedInput, MissingPath, TrainingLeak
from llm.training.normalize import folded, units
from llm.training.records import Record

N_WORDS = 13  # Brown et al. 2020, appendix C
N_CHARACTERS = 26  # of Chinese: two to a word
_SHORTEST_PASSAGE = 40
_QUESTION_KEYS = ("question", "query")

Reason = Literal["question", "passage", "13-gram"]
ReadDocument = Callable[[Path], str]
"""Returns the text of a document, "" where it cannot be read."""


@dataclass(slots=True)
class HeldOut:
    """What the held-out files hold, each with the file it is in; ``unread`` are those that could not be read."""

    questions: dict[str, str] = field(default_factory=dict)
    passages: dict[str, str] = field(default_factory=dict)
    grams: dict[str, str] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    n_files: int = 0
    _looked_at: dict[str, tuple[Reason, str] | None] = field(default_factory=dict)

    def add(self, text: str, *, file: str, is_question: bool) -> None:
        """Add a text of a file."""
        plain = folded(text)
        if is_question and plain.strip():
            self.questions.setdefault(plain, file)
        if len(plain) >= _SHORTEST_PASSAGE:
            self.passages.setdefault(plain, file)
            for gram in grams(text):
                self.grams.setdefault(gram, file)

    def leak(self, *, question: str, passages: Iterable[str]) -> tuple[Reason, str] | None:
        """Return why these must not be trained on, with the held-out file; None where they may."""
        if found := self.questions.get(folded(question)):
            return "question", found
        for text in passages:
            if text not in self._looked_at:
                self._looked_at[text] = self._passage_leak(text)
            if leak := self._looked_at[text]:
                return leak
        return None

    def _passage_leak(self, text: str) -> tuple[Reason, str] | None:
        if found := self.passages.get(folded(text)):
            return "passage", found
        return next((("13-gram", found) for gram in grams(text) if (found := self.grams.get(gram))), None)

    def leak_of(self, record: Record) -> tuple[Reason, str] | None:
        """Return why a record must not be trained on."""
        passages = [passage.text for passage in (*record.passages, *record.distractors)]
        return self.leak(question=record.question, passages=passages)


def grams(text: str) -> Iterator[str]:
    """Yield every run of 13 words, and of 26 Chinese characters, of ``text``, folded."""
    found = units(text)
    words = [unit for unit in found if not _is_chinese(unit)]
    characters = [unit for unit in found if _is_chinese(unit)]
    for stream, n, joint in ((words, N_WORDS, " "), (characters, N_CHARACTERS, "")):
        for i in range(len(stream) - n + 1):
            yield joint.join(stream[i : i + n])


def _is_chinese(unit: str) -> bool:
    return "\u3400" <= unit[0] <= "\u9fff" or "\uf900" <= unit[0] <= "\ufaff"


def held_out(paths: Iterable[Path], *, read_document: ReadDocument) -> HeldOut:
    """Read the files, and the files of the folders, that must not be trained on.

    Of JSON, JSONL and CSV every text counts, as a question too where its name says so; of other files the whole text.

    Raises:
        MissingPath: A path does not exist.
    """
    held = HeldOut()
    for path in paths:
        if not path.exists():
            raise MissingPath("there is no such held-out file or folder", where=str(path))
        for file in sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]:
            held.n_files += 1
            found = False
            for text, is_question in _texts(file, read_document):
                found = True
                held.add(text, file=file.name, is_question=is_question)
            if not found:
                held.unread.append(str(file))
    return held


def check_file(path: Path, held: HeldOut) -> int:
    """Return how many lines a training file has, none of which share anything with what is held out.

    A line is an example, a preference pair or a record: every text in it is looked at.

    Raises:
        MissingPath: There is no such file.
        MalformedInput: A line is no JSON object.
        TrainingLeak: A line holds what is held out; the first is named, with how many there are.
    """
    if not path.is_file():
        raise MissingPath("there is no such training file", where=str(path))
    leaks: list[tuple[int, Reason, str]] = []
    n_lines = 0
    for number, line in enumerate(path.read_text("utf-8-sig").split("\n"), 1):
        if not line.strip():
            continue
        n_lines += 1
        try:
            texts = [text for text, _ in _strings(json.loads(line))]
        except json.JSONDecodeError as error:
            raise MalformedInput(f"is no JSON: {error.msg}", where=f"{path}:{number}") from None
        # A prompt names the question in a line of its own, after a label.
        asked = [part.partition(": ")[2] or part for text in texts for part in text.split("\n")[-1:]]
        leak = next((found for q in asked if (found := held.leak(question=q, passages=()))), None)
        if leak := leak or held.leak(question="", passages=texts):
            leaks.append((number, *leak))
    if leaks:
        number, reason, file = leaks[0]
        raise TrainingLeak(
            f"{len(leaks)} of {n_lines} lines share a question or passage with held-out files; "
            f"this is the first, by a {reason} of {file}",
            where=f"{path}:{number}",
            remedy="Prepare it again with --held-out naming those files",
        )
    return n_lines


def _texts(file: Path, read_document: ReadDocument) -> Iterator[tuple[str, bool]]:
    suffix = Path(file.stem).suffix if file.suffix == ".gz" else file.suffix
    if suffix not in (".json", ".jsonl", ".csv"):
        if text := read_document(file):
            yield text, False
        return
    raw = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    text = raw.decode("utf-8-sig", "replace")
    if suffix == ".csv":
        for row in csv.DictReader(text.splitlines()):
            yield from _strings(row)
        return
    try:
        yield from _strings(json.loads(text))
    except json.JSONDecodeError:
        for line in text.split("\n"):
            if line.strip():
                yield from _line_strings(line)


def _line_strings(line: str) -> Iterator[tuple[str, bool]]:
    try:
        yield from _strings(json.loads(line))
    except json.JSONDecodeError:
        yield line, False


def _strings(value: Any, *, name: str = "") -> Iterator[tuple[str, bool]]:
    if isinstance(value, str):
        yield value, any(key in name.lower() for key in _QUESTION_KEYS)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(inner, name=str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner, name=name)
