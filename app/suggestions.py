"""Questions to begin with, from what a person may read: the sample's own, else about what documents have headings on.

They are made of one collection at a time, so that nobody is ever shown a word of what they may not read, and made anew
when that collection changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from app.people.records import Filled
from app.texts import say
from core.errors import UnknownCollection, UnknownSource
from core.interfaces import StoredSource
from core.records import Chunk, Language
from core.text import detect_language

EXAMPLES_FILE = Path(__file__).parents[1] / "examples" / "questions.jsonl"
N_SUGGESTIONS = 4
MAX_QUESTION_CHARS = 90
_Version = tuple[int, str, float]
_READ_SOURCES = 6  # of a collection; reading a document's headings costs milliseconds
_PER_SOURCE = 2
_HEADING_CHARS = (3, 42)
_TITLE_CHARS = 48
_NUMBERING = re.compile(
    r"^(?:[\divxIVX]+(?:\.\d+)*[.)、]?|[A-Z][.)]|§\s*\d+|(?:chapter|section|part|appendix|annex|article)\s+\w+[.:]?|"
    r"第[〇一二三四五六七八九十百\d]+[章节條条部分编編]|[一二三四五六七八九十]+、|[（(][一二三四五六七八九十\d]+[)）])\s+|"
    r"^(?:第[〇一二三四五六七八九十百\d]+[章节條条编編]|[一二三四五六七八九十]+、|[（(][一二三四五六七八九十\d]+[)）])",
    re.IGNORECASE,
)
# Headings that name a part of a document and not what it is about.
_EMPTY_HEADINGS = frozenset(
    "abstract agenda annex appendix attachments author background changes conclusion contact contents definitions "
    "general glossary index introduction notes notice overview preface present purpose readme references remarks scope "
    "subject summary title version 引言 前言 概述 目录 目錄 总则 總則 附则 附則 附录 附錄 附件 参考文献 说明 說明 "
    "备注 備註 定义 定義 目的 范围 範圍 适用范围 適用範圍 版本 摘要 总结 結論 结论 简介 背景 主题 主題".split()
)


class Readable(Protocol):
    """What suggestions need of a person's knowledge base."""

    def filled(self) -> list[Filled]:
        """Return the collections that hold documents, the one that was added to last first."""

    def documents(self, *, collection: str | None = None) -> list[StoredSource]:
        """Return the sources of one collection, or of all."""

    def chunks(self, path: str, *, collection: str | None = None) -> list[Chunk]:
        """Return a source as it was cut, in reading order."""


class Suggestions:
    """Questions about each collection, kept until it changes.

    Args:
        file: The sample's questions, a case a line.
    """

    def __init__(self, *, file: Path = EXAMPLES_FILE) -> None:
        self._file = file
        self._kept: dict[tuple[str, Language], tuple[_Version, list[str]]] = {}
        self._lock = Lock()

    def of(self, own: Readable, language: Language) -> list[str]:
        """Return questions about what the person may read, in their language."""
        made = [self._of_collection(own, filled, language) for filled in own.filled()]
        spread = chain.from_iterable(zip_longest(*made))
        return list(dict.fromkeys(question for question in spread if question))[:N_SUGGESTIONS]

    def _of_collection(self, own: Readable, filled: Filled, language: Language) -> list[str]:
        name, version = filled.name, (filled.n_documents, filled.newest.source_id, filled.newest.ingested)
        with self._lock:
            kept = self._kept.get((name, language))
        if kept is not None and kept[0] == version:
            return kept[1]
        try:
            sources = own.documents(collection=name)
        except UnknownCollection:  # deleted meanwhile, or taken away
            return []
        made = example_questions(sources, language, file=self._file) or _about(own, sources, language)
        with self._lock:
            self._kept[name, language] = version, made
        return made


def example_questions(sources: Iterable[StoredSource], language: Language, *, file: Path = EXAMPLES_FILE) -> list[str]:
    """Return questions of the file whose documents are all there, spread over them."""
    known = {source.path for source in sources}
    chosen: list[str] = []
    used: set[str] = set()
    for case in _cases(file):
        names = {str(name).partition("#")[0] for name in case.get("sources", ())}
        question = str(case.get("question", ""))
        fits = case.get("answerable", True) and not case.get("history") and detect_language(question) == language
        if fits and names and names <= known and not names & used and len(question) <= MAX_QUESTION_CHARS:
            chosen.append(question)
            used |= names
    step = max(1, len(chosen) // N_SUGGESTIONS)
    return chosen[::step][:N_SUGGESTIONS]


def heading_subjects(chunks: Iterable[Chunk], *, title: str, language: Language) -> list[str]:
    """Return what the headings of a document are about, without their numbers and those that say nothing."""
    subjects: dict[str, None] = {}
    for chunk in chunks:
        for heading in chunk.locator.headings:
            subject = _NUMBERING.sub("", " ".join(heading.split())).strip(" .。")
            low, high = _HEADING_CHARS if language == "en" else (2, 20)
            fits = low <= len(subject) <= high and detect_language(subject) == language and subject.isprintable()
            says = subject.casefold() not in _EMPTY_HEADINGS and subject.casefold() not in title.casefold()
            if fits and says and not re.search(r"[_{}<>=|\\/@:：]|\w\(|\d{3}", subject):
                subjects[subject] = None
    return list(subjects)


def _about(own: Readable, sources: Sequence[StoredSource], language: Language) -> list[str]:
    """Return questions about what headings say, of documents spread over the collection; else about titles."""
    titled = [source for source in sources if source.title and len(source.title) <= _TITLE_CHARS]
    spoken = [source for source in titled if source.language == language] or titled
    step = max(1, len(spoken) // _READ_SOURCES)
    chosen = spoken[::step][:_READ_SOURCES]
    asked = [list(_about_document(own, source, language)) for source in chosen]
    questions = [question for question in chain.from_iterable(zip_longest(*asked)) if question]
    return questions[:N_SUGGESTIONS] or [
        say("chat.example_about", language, title=source.title) for source in chosen[:N_SUGGESTIONS]
    ]


def _about_document(own: Readable, source: StoredSource, language: Language) -> Iterator[str]:
    try:
        chunks = own.chunks(source.path, collection=source.collection)
    except (UnknownSource, UnknownCollection):  # deleted meanwhile
        return
    subjects = heading_subjects(chunks, title=source.title, language=language)
    step = max(1, len(subjects) // _PER_SOURCE)
    for subject in subjects[step // 2 :: step][:_PER_SOURCE]:
        question = _question(subject, source.title, language)
        if len(question) <= MAX_QUESTION_CHARS:
            yield question


def _question(subject: str, title: str, language: Language) -> str:
    if subject.endswith(("?", "？")) and len(subject) > 8:
        return subject
    if language == "en" and subject[1:2].islower():
        subject = f"{subject[0].lower()}{subject[1:]}"
    return say("chat.example_subject", language, title=title, subject=subject)


def _cases(file: Path) -> list[dict[str, Any]]:
    try:
        lines = file.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [case for line in lines if line.strip() and isinstance(case := json.loads(line), dict)]
