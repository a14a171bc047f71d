"""The records that flow through Citadel, from a file on disk to a cited answer.

``SourceFile -> Document(Section...) -> Chunk -> Hit -> Citation -> Answer``

All are frozen, slotted and keyword-only. Character ranges are half-open ``[start, end)`` offsets in Unicode
code points into ``Document.text``, the one text of a source: every ``Section.text``, ``Chunk.text`` and
``Citation.quote`` equals ``document.text[locator.start:locator.end]``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

SectionKind = Literal["heading", "paragraph", "list", "table", "code", "caption"]
Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle on a page that shows the characters ``[start, end)`` of the document's text.

    Coordinates are fractions of the page's width and height, origin at the top left, so that they hold at any
    rendering resolution.
    """

    page: int
    x0: float
    y0: float
    x1: float
    y1: float
    start: int
    end: int

    def narrowed(self, *, start: int, end: int) -> Box:
        """Return the part of a line's box that shows ``[start, end)``, taking its characters to be of one width."""
        first, last = max(start, self.start), min(end, self.end)
        if (first, last) == (self.start, self.end) or self.x1 - self.x0 < self.y1 - self.y0:
            return self
        step = (self.x1 - self.x0) / (self.end - self.start)
        x0 = self.x0 + (first - self.start) * step
        return replace(self, x0=x0, x1=x0 + (last - first) * step, start=first, end=last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Locator:
    """Where a piece of text stands in its source.

    ``page``, ``slide`` and rows are 1-based. ``page`` is where the range starts, ``page_end`` where it ends.
    ``headings`` is the path of titles above the text, outermost first.
    """

    start: int
    end: int
    page: int | None = None
    page_end: int | None = None
    slide: int | None = None
    sheet: str | None = None
    row_start: int | None = None
    row_end: int | None = None
    headings: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()

    def narrowed(self, *, start: int, end: int) -> Locator:
        """Return this locator for the sub-range ``[start, end)``, with the boxes and pages that overlap it."""
        if not self.start <= start <= end <= self.end:
            raise ValueError(f"[{start}, {end}) is not inside [{self.start}, {self.end})")
        boxes = tuple(box.narrowed(start=start, end=end) for box in self.boxes if box.start < end and start < box.end)
        page, page_end = self.page, self.page_end
        if boxes:
            page, page_end = min(box.page for box in boxes), max(box.page for box in boxes)
        return replace(self, start=start, end=end, boxes=boxes, page=page, page_end=page_end)

    def to_json(self) -> dict[str, Any]:
        """Return the set fields as JSON values; boxes as lists ``[page, x0, y0, x1, y1, start, end]``."""
        plain: dict[str, Any] = {"start": self.start, "end": self.end}
        for name in ("page", "page_end", "slide", "sheet", "row_start", "row_end"):
            if (value := getattr(self, name)) is not None:
                plain[name] = value
        if self.headings:
            plain["headings"] = list(self.headings)
        if self.boxes:
            plain["boxes"] = [[b.page, b.x0, b.y0, b.x1, b.y1, b.start, b.end] for b in self.boxes]
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Locator:
        """Rebuild a locator from :meth:`to_json`."""
        fields = dict(plain)
        fields["headings"] = tuple(fields.get("headings", ()))
        fields["boxes"] = tuple(
            Box(page=p, x0=x0, y0=y0, x1=x1, y1=y1, start=s, end=e)
            for p, x0, y0, x1, y1, s, e in fields.get("boxes", ())
        )
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file as the scan found it.

    ``path`` is the POSIX path relative to what was ingested and is the name users see; ``location`` is the
    absolute path on this machine and never leaves it. ``modified`` is in seconds since the epoch.
    """

    path: str
    location: str
    sha256: str
    media_type: str
    size_bytes: int
    modified: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A structural unit of a document: a heading, paragraph, list item, table, code block or caption.

    A table holds one row a line, cells parted by ``" | "``; ``table_header`` repeats its header row so that a
    chunk cut from the middle of the table can carry it as context. ``level`` is a heading's depth, 1 outermost.
    """

    text: str
    locator: Locator
    kind: SectionKind = "paragraph"
    level: int = 0
    table_header: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A parsed source: its whole text and the sections that cover it, in reading order.

    ``notes`` are remarks for the report that harm nothing, such as the encoding that was used.
    """

    source: SourceFile
    title: str
    text: str
    sections: tuple[Section, ...]
    language: Language = "en"
    n_pages: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A passage of one source, small enough to embed.

    ``text`` is verbatim; ``context`` (title, heading path, a table's header) is embedded and searched with it
    but never quoted. ``n_tokens`` counts text and context in the embedder's own tokens.
    """

    id: str
    source_id: str
    text: str
    locator: Locator
    n_tokens: int
    context: str = ""

    @property
    def embedded_text(self) -> str:
        """The text that is embedded and searched."""
        return f"{self.context}\n{self.text}" if self.context else self.text


def chunk_id(*, source_id: str, start: int, end: int, text: str) -> str:
    """Return the 32 hexadecimal digits that name a chunk: the same file cut the same way gives the same ids."""
    digest = hashlib.sha256(f"{source_id}\n{start}\n{end}\n{text}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A chunk that a search found, or neighbouring chunks merged into one passage.

    ``score`` is the fused score, higher is better; ``ranks`` maps a searcher ("dense", "sparse") to the 1-based
    rank it gave; ``scores`` maps it to its own raw score (dense: cosine; sparse: BM25). ``duplicates`` are the other
    sources in which the same words stand.
    """

    chunk: Chunk
    source: str
    title: str
    collection: str
    media_type: str
    score: float
    ranks: Mapping[str, int] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    duplicates: tuple[str, ...] = ()

    @property
    def page(self) -> int | None:
        """The 1-based page, or slide, on which the passage starts."""
        locator = self.chunk.locator
        return locator.page if locator.page is not None else locator.slide


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """The passage behind a sentence of an answer; ``quote`` is verbatim at ``locator`` in ``source``."""

    number: int
    chunk_id: str
    source: str
    collection: str
    locator: Locator
    quote: str

    @property
    def page(self) -> int | None:
        """The 1-based page, or slide, on which the quote starts."""
        return self.locator.page if self.locator.page is not None else self.locator.slide


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A sentence ``[start, end)`` of an answer's text with the numbers of the citations that support it.

    No numbers means that nothing retrieved supports it.
    """

    start: int
    end: int
    citations: tuple[int, ...] = ()

    @property
    def supported(self) -> bool:
        """Whether a passage was found that supports the sentence."""
        return bool(self.citations)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds from the question to the end of retrieval, the first text, and the end."""

    retrieve_ms: float = 0.0
    first_token_ms: float = 0.0
    total_ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What Citadel says to a question; ``abstained`` means that the documents do not hold the answer.

    ``confidence`` is the probability that the passages answer, on which refusing was decided; None where none was
    estimated.
    """

    question: str
    text: str
    citations: tuple[Citation, ...] = ()
    sentences: tuple[Sentence, ...] = ()
    hits: tuple[Hit, ...] = ()
    model: str = ""
    timings: Timings = field(default_factory=Timings)
    abstained: bool = False
    language: Language = "en"
    confidence: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the answer in the shape of the public interface."""
        return {
            "question": self.question,
            "answer": self.text,
            "abstained": self.abstained,
            "confidence": None if self.confidence is None else round(self.confidence, 4),
            "citations": [
                {
                    "number": c.number,
                    "source": c.source,
                    "page": c.page,
                    "quote": c.quote,
                    "start": c.locator.start,
                    "end": c.locator.end,
                }
                for c in self.citations
            ],
            "sentences": [
                {"text": self.text[s.start : s.end], "citations": list(s.citations), "supported": s.supported}
                for s in self.sentences
            ],
            "hits": [hit_to_json(hit) for hit in self.hits],
            "model": self.model,
            "timings": {
                "retrieve_ms": round(self.timings.retrieve_ms, 1),
                "first_token_ms": round(self.timings.first_token_ms, 1),
                "total_ms": round(self.timings.total_ms, 1),
            },
        }


def hit_to_json(hit: Hit) -> dict[str, Any]:
    """Return a hit in the shape of the public interface."""
    return {
        "chunk_id": hit.chunk.id,
        "source": hit.source,
        "page": hit.page,
        "score": round(hit.score, 6),
        "text": hit.chunk.text,
    }


def place_of(item: Hit | Citation) -> str:
    """Return the source of a hit or citation with its page, as a reader would write it: "manual.pdf, page 3"."""
    return f"{item.source}, page {item.page}" if item.page else item.source


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """The first event of an answer: what was found."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A piece of the answer as it is written; "" while the model reads its prompt, so that it can be stopped there."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """The last event of an answer: the whole of it, checked and cited."""

    answer: Answer


Event = Retrieved | Token | Finished


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchFilter:
    """What a search may look at; empty means everything.

    ``sources`` are paths or shell patterns, and so are ``without``, those left out; ``media_types`` such as
    "application/pdf", ``modified_*`` seconds since the epoch, both ends included.
    """

    collections: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()
    modified_after: float | None = None
    modified_before: float | None = None
