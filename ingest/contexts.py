"""What a chunk carries with it to be embedded and searched but not quoted: title, heading path, a table's header."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from core.records import Document
from ingest.builder import CELL_SEPARATOR
from ingest.tokens import Spans

HEADING_SEPARATOR = " > "
_WORDS = re.compile(r"[^\W_]+")

# Headings help most when they are short: a longer path would push out the text that it is there to explain.
_PATH_TOKENS = 40


class Contexts:
    """The contexts of one document's chunks, each counted once.

    Args:
        document: Its title and the stem of its file, as far as each says more than the other, come first.
        token_spans: Gives the embedder's tokens of a text.
        chunk_tokens: The longest chunk; path and table header may take a quarter of it each.
        label: What to call a document without a title; None: by its file.
    """

    def __init__(self, document: Document, *, token_spans: Spans, chunk_tokens: int, label: str | None = None) -> None:
        self._token_spans = token_spans
        self._path_tokens = min(_PATH_TOKENS, chunk_tokens // 4)
        self._header_tokens = chunk_tokens // 4
        if label is None:
            label = PurePosixPath(document.source.path).stem
        title = " ".join(document.title.split())
        label = " ".join(label.split())
        # A file's name stands before the title only where it says more: "2023 Q3 AAPL > FORM 10-Q".
        more = set(_WORDS.findall(label.casefold())) - set(_WORDS.findall(title.casefold()))
        self._titles = tuple(part for part in (label if more or not title else "", title) if part)
        self._known: dict[tuple[tuple[str, ...], str], tuple[str, int]] = {}

    def of(self, headings: Iterable[str], *, shown: Iterable[str] = (), header: str = "") -> tuple[str, int]:
        """Return a context and its number of tokens.

        Args:
            headings: The heading path, outermost first.
            shown: Headings that stand in the chunk's own text, which need no repeating.
            header: The header row of a table that the chunk starts inside of.
        """
        spoken = {_folded(text) for text in shown}
        parts = []
        for part in (*self._titles, *headings):
            if part and _folded(part) not in spoken:
                spoken.add(_folded(part))
                parts.append(part)
        key = (tuple(parts), header)
        if key not in self._known:
            path = self._trimmed_path(parts)
            text = "\n".join(line for line in (path, self._trimmed_header(header)) if line)
            self._known[key] = (text, self._count(text))
        return self._known[key]

    def _count(self, text: str) -> int:
        return len(self._token_spans(text)) if text else 0

    def _trimmed_path(self, parts: list[str]) -> str:
        """Leave out headings from the outermost on, then the title, then the end of the innermost."""
        parts = list(parts)
        while len(parts) > 1 and self._count(HEADING_SEPARATOR.join(parts)) > self._path_tokens:
            del parts[1 if len(parts) > 2 else 0]
        return self._cut(HEADING_SEPARATOR.join(parts), self._path_tokens)

    def _trimmed_header(self, header: str) -> str:
        if self._count(header) <= self._header_tokens:
            return header
        cells = header.split(CELL_SEPARATOR)
        while len(cells) > 1 and self._count(CELL_SEPARATOR.join(cells)) > self._header_tokens:
            # Halving first keeps a header of a thousand columns from being counted a thousand times.
            cells = cells[: len(cells) // 2] if len(cells) > 32 else cells[:-1]
        return self._cut(CELL_SEPARATOR.join(cells), self._header_tokens)

    def _cut(self, text: str, n_tokens: int) -> str:
        spans = self._token_spans(text) if text else ()
        return text if len(spans) <= n_tokens else text[: spans[n_tokens - 1][1]].rstrip()


def _folded(text: str) -> str:
    return " ".join(text.split()).casefold()
