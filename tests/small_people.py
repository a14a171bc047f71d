"""People for tests: accounts that cost no hash, a clock that is set by hand, and answers to keep."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from app.people.database import People
from app.people.person_rows import insert_person
from app.people.records import Person, Role
from core.records import Answer, Box, Chunk, Citation, Hit, Locator, Sentence, Timings

PASSWORD = "correct horse battery"


class Clock:
    """Tells the time that it was set to, in seconds."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def add(people: People, name: str, role: Role = "reader") -> Person:
    """Return a new person whom no password lets in."""
    with people.writing() as connection:
        return insert_person(connection, name, role=role, hashed="none", now=people.clock())


def answer(
    question: str = "How long is the leave?",
    text: str = "It is 27 days. Nobody counted.",
    *,
    source: str = "handbook.pdf",
    quote: str = "The leave is 27 days.",
    collection: str = "hr",
    abstained: bool = False,
    scores: Sequence[float] = (0.9, 0.4),
    total_ms: float = 300.0,
) -> Answer:
    """Return an answer of two sentences, the first of them supported, with two hits."""
    locator = Locator(
        start=0,
        end=len(quote),
        page=3,
        page_end=4,
        headings=("Leave", "年假"),
        boxes=(Box(page=3, x0=0.1, y0=0.2, x1=0.3, y1=0.4, start=0, end=9),),
    )
    hits = tuple(
        Hit(
            chunk=Chunk(
                id=f"chunk-{i}", source_id=f"source-{i}", text=quote, locator=locator, n_tokens=7, context="Title"
            ),
            source=source,
            title="Handbook",
            collection=collection,
            media_type="application/pdf",
            score=score,
            ranks={"dense": i + 1},
            scores={"dense": score, "sparse": 2.0},
            duplicates=("copy.pdf",),
        )
        for i, score in enumerate(scores)
    )
    cited = Citation(number=1, chunk_id="chunk-0", source=source, collection=collection, locator=locator, quote=quote)
    first = text.find(".") + 1
    return Answer(
        question=question,
        text=text,
        citations=() if abstained else (cited,),
        sentences=()
        if abstained
        else (Sentence(start=0, end=first, citations=(1,)), Sentence(start=first + 1, end=len(text))),
        hits=hits,
        model="reader",
        timings=Timings(retrieve_ms=10.5, first_token_ms=total_ms / 3, total_ms=total_ms),
        abstained=abstained,
        language="en",
        confidence=None if abstained else 0.75,
    )


def bytes_of(data_dir: Path) -> bytes:
    """Return every byte of the files of people, the log among them."""
    return b"".join(path.read_bytes() for path in sorted(data_dir.glob("people.db*")))
