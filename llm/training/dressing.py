"""Give training passages the names and headings that passages of real corpora come with."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Mapping

from core.records import Chunk, Hit, Language, Locator, chunk_id
from core.text import detect_language
from llm.training.records import Passage

_SUFFIXES = {
    ".pdf": "application/pdf",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".md": "text/markdown",
    ".html": "text/html",
    ".txt": "text/plain",
}
_HEADINGS: Mapping[Language, list[str]] = {
    "en": (
        "Overview; Background; Details; History; General; Notes; Description; 1 Introduction; 2.3 Scope; Key facts; "
        "Appendix A; Section 4; Summary; About"
    ).split("; "),
    "zh": "概述；背景；详细说明；历史；总则；备注；简介；第一章；二、基本情况；主要内容；附录；第四节".split("；"),
}
_WORDS = re.compile(r"[^\W_]+")


def dressed(passage: Passage, *, seed: int) -> Hit:
    """Return a passage as a hit; one passage looks the same each time for the same seed.

    Half show their title, a quarter a heading below it, the rest only the name of a file.
    """
    chosen = random.Random(f"{seed} {hashlib.sha256(passage.text.encode('utf-8', 'surrogatepass')).hexdigest()}")
    language = detect_language(passage.text)
    suffix, media_type = chosen.choice(list(_SUFFIXES.items()))
    title = passage.title
    source = passage.source or f"{_stem(title or passage.text[:60], chosen)}{suffix}"
    heading = chosen.choice(_HEADINGS[language])
    looks = chosen.random()
    if passage.context:
        context = passage.context
    elif title and looks < 0.5:
        context = title
    elif looks < 0.75:
        context = f"{title or source.rpartition('.')[0]} > {heading}"
    else:
        context = source.rpartition(".")[0] if looks < 0.9 else ""
    return as_hit(passage.text, source=source, title=title, context=context, media_type=media_type)


def as_hit(text: str, *, source: str, title: str = "", context: str = "", media_type: str = "text/plain") -> Hit:
    """Return a whole text as a hit of one chunk."""
    owner = hashlib.sha256(f"{source}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
    chunk = Chunk(
        id=chunk_id(source_id=owner, start=0, end=len(text), text=text),
        source_id=owner,
        text=text,
        locator=Locator(start=0, end=len(text)),
        n_tokens=len(text) // 4,
        context=context,
    )
    return Hit(chunk=chunk, source=source, title=title, collection="training", media_type=media_type, score=0.0)


def _stem(name: str, chosen: random.Random) -> str:
    words = _WORDS.findall(name)[:4] or ["document"]
    joint = chosen.choice(["_", "-", " "])
    stem = joint.join(words)
    return f"{stem}{joint}{chosen.randint(1, 40)}" if chosen.random() < 0.2 else stem.lower() if joint != " " else stem
