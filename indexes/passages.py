"""Turn a ranking of chunks into passages to read: copies left out, neighbours joined."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from core.records import Chunk, Hit, Locator, chunk_id

# A joined passage must leave room for others in a small model's prompt.
MOST_TOKENS = 400
_GAP = 2  # characters: the blank line between two sections
_WORD = re.compile(r"[\u3400-\u9fff]|[^\W_\u3400-\u9fff]+")
_SHINGLE = 3
_SHARED_SHINGLES = 0.9


@dataclass(slots=True)
class _Passage:
    """A hit in the making: the best chunk first, then those that were joined to it."""

    best: Hit
    chunks: list[Chunk]
    words: list[list[str]]
    twins: list[str] = field(default_factory=list)

    @property
    def start(self) -> int:
        return min(chunk.locator.start for chunk in self.chunks)

    @property
    def end(self) -> int:
        return max(chunk.locator.end for chunk in self.chunks)

    @property
    def n_tokens(self) -> int:
        return sum(chunk.n_tokens for chunk in self.chunks)

    def absorb(self, other: _Passage) -> None:
        self.chunks += other.chunks
        self.words += other.words
        self.twins += other.twins


def read_whole(
    ranked: Iterable[Hit], *, k: int, join: bool, text_of: Callable[[str], str], most_tokens: int = MOST_TOKENS
) -> list[Hit]:
    """Return the ``k`` best passages of a ranking, best first.

    A hit whose words all stand, in the same order, in a better one is left out and remembered there. A hit that touches
    a better one in its source is joined to it if it is among the first ``k`` itself, or if the two overlap.

    Args:
        ranked: Hits of one chunk each, best first.
        k: How many passages.
        join: Whether neighbours are joined.
        text_of: Returns the text of a source by its id.
        most_tokens: Longest joined passage, in the embedder's tokens.
    """
    passages: list[_Passage] = []
    for place, hit in enumerate(ranked):
        if len(passages) == k:
            break
        new = _Passage(best=hit, chunks=[hit.chunk], words=[_words(hit.chunk.text)])
        twin = next((p for p in passages if any(_contains(whole, new.words[0]) for whole in p.words)), None)
        if twin is not None:
            twin.twins.append(hit.source)
            continue
        passages.append(new)
        if join:
            gap = _GAP if place < k else -1
            _join_neighbours(passages, gap=gap, most_tokens=most_tokens)
    return [_hit(passage, text_of) for passage in passages]


def _join_neighbours(passages: list[_Passage], *, gap: int, most_tokens: int) -> None:
    """Join the last passage to a better one that it touches, and that one to the next, which it may touch by now."""
    grown = len(passages) - 1
    while True:
        others = (i for i, other in enumerate(passages) if i != grown)
        touched = next(
            (i for i in others if _fit(passages[i], passages[grown], gap=gap, most_tokens=most_tokens)), None
        )
        if touched is None:
            return
        better, worse = sorted((touched, grown))
        passages[better].absorb(passages.pop(worse))
        grown = better


def _fit(one: _Passage, other: _Passage, *, gap: int, most_tokens: int) -> bool:
    first, second = one.chunks[0], other.chunks[0]
    return (
        first.source_id == second.source_id
        and (first.locator.slide, first.locator.sheet) == (second.locator.slide, second.locator.sheet)
        and one.start <= other.end + gap
        and other.start <= one.end + gap
        and one.n_tokens + other.n_tokens <= most_tokens
    )


def _words(text: str) -> list[str]:
    """Return the words as they are written, unstemmed, for "year" and "years" may be the difference."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def _contains(whole: list[str], part: list[str]) -> bool:
    """Whether every word of ``part`` stands in ``whole``, mostly in the same runs."""
    if whole == part:
        return True
    # One word more is one fact more: "two years" is no copy of "three years", however alike the pages are.
    if not part or len(part) > len(whole) or not set(whole).issuperset(part) or Counter(part) - Counter(whole):
        return False
    shingles = set(_shingles(part))
    return len(shingles & set(_shingles(whole))) >= _SHARED_SHINGLES * len(shingles)


def _shingles(words: list[str]) -> Iterator[tuple[str, ...]]:
    yield from (tuple(words[i : i + _SHINGLE]) for i in range(max(1, len(words) - _SHINGLE + 1)))


def _hit(passage: _Passage, text_of: Callable[[str], str]) -> Hit:
    twins = tuple(dict.fromkeys(twin for twin in passage.twins if twin != passage.best.source))
    if len(passage.chunks) == 1:
        return replace(passage.best, duplicates=twins)
    chunks = sorted(passage.chunks, key=lambda chunk: (chunk.locator.start, chunk.locator.end))
    start, end = passage.start, passage.end
    source_id = passage.best.chunk.source_id
    text = text_of(source_id)[start:end]
    joined = Chunk(
        id=chunk_id(source_id=source_id, start=start, end=end, text=text),
        source_id=source_id,
        text=text,
        locator=joined_locator([chunk.locator for chunk in chunks]),
        n_tokens=sum(chunk.n_tokens for chunk in chunks),
        context=chunks[0].context,
    )
    return replace(passage.best, chunk=joined, duplicates=twins)


def joined_locator(locators: Sequence[Locator]) -> Locator:
    """Return the locator of neighbouring ranges put together, given in reading order."""
    first = locators[0]
    pages = [page for place in locators for page in (place.page, place.page_end) if page is not None]
    row_starts = [place.row_start for place in locators if place.row_start is not None]
    row_ends = [place.row_end for place in locators if place.row_end is not None]
    boxes = dict.fromkeys(box for place in locators for box in place.boxes)
    return replace(
        first,
        end=max(place.end for place in locators),
        page=min(pages, default=None),
        page_end=max(pages, default=None),
        row_start=min(row_starts, default=None),
        row_end=max(row_ends, default=None),
        headings=_shared_prefix([place.headings for place in locators]),
        boxes=tuple(sorted(boxes, key=lambda box: (box.start, box.end, box.page))),
    )


def _shared_prefix(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    n = 0
    while all(len(path) > n and path[n] == paths[0][n] for path in paths):
        n += 1
    return paths[0][:n]
