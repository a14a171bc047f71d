"""Turn a ranking of chunks into passages to read: copies left out, neighbours joined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from core.records import Chunk, Hit, Locator, chunk_id
from core.text import terms

# A joined passage must leave room for others in a small model's prompt.
MOST_TOKENS = 400
_GAP = 2  # characters: the blank line between two sections
_REACH = 2  # neighbours are looked for among this many times the passages asked for
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


def read_whole(
    ranked: Sequence[Hit], *, k: int, join: bool, text_of: Callable[[str], str], most_tokens: int = MOST_TOKENS
) -> list[Hit]:
    """Return the ``k`` best passages of a ranking, best first.

    A hit whose words all stand, in the same order, in a better one is left out and remembered there. A hit that follows
    or precedes a better one in its source is joined to it.

    Args:
        ranked: Hits of one chunk each, best first.
        k: How many passages.
        join: Whether neighbours are joined.
        text_of: Returns the text of a source by its id.
        most_tokens: Longest joined passage, in the embedder's tokens.
    """
    passages: list[_Passage] = []
    for place, hit in enumerate(ranked):
        if len(passages) == k and (not join or place >= _REACH * k):
            break
        words = terms(hit.chunk.text)
        twin = next((p for p in passages if any(_contains(whole, words) for whole in p.words)), None)
        if twin is not None:
            twin.twins.append(hit.source)
            continue
        neighbour = next((p for p in passages if join and _joins(hit.chunk, p, most_tokens=most_tokens)), None)
        if neighbour is not None:
            neighbour.chunks.append(hit.chunk)
            neighbour.words.append(words)
        elif len(passages) < k:
            passages.append(_Passage(best=hit, chunks=[hit.chunk], words=[words]))
    return [_hit(passage, text_of) for passage in _without_overlaps(passages, most_tokens=most_tokens)]


def _contains(whole: list[str], part: list[str]) -> bool:
    """Whether every term of ``part`` stands in ``whole``, mostly in the same runs."""
    if whole == part:
        return True
    # One word more is one fact more: "two years" is no copy of "three years", however alike the pages are.
    if not part or len(part) > len(whole) or Counter(part) - Counter(whole):
        return False
    shingles = set(_shingles(part))
    return len(shingles & set(_shingles(whole))) >= _SHARED_SHINGLES * len(shingles)


def _shingles(words: list[str]) -> Iterator[tuple[str, ...]]:
    yield from (tuple(words[i : i + _SHINGLE]) for i in range(max(1, len(words) - _SHINGLE + 1)))


def _joins(chunk: Chunk, passage: _Passage, *, most_tokens: int) -> bool:
    first, place = passage.chunks[0], chunk.locator
    return (
        chunk.source_id == first.source_id
        and (place.slide, place.sheet) == (first.locator.slide, first.locator.sheet)
        and place.start <= passage.end + _GAP
        and passage.start <= place.end + _GAP
        and chunk.n_tokens + sum(other.n_tokens for other in passage.chunks) <= most_tokens
    )


def _without_overlaps(passages: Sequence[_Passage], *, most_tokens: int) -> list[_Passage]:
    """Join passages that grew towards each other, as far as they may grow."""
    kept: list[_Passage] = []
    for passage in passages:
        for better in kept:
            fits = all(_joins(chunk, better, most_tokens=most_tokens) for chunk in passage.chunks)
            n_tokens = sum(chunk.n_tokens for chunk in (*better.chunks, *passage.chunks))
            if fits and n_tokens <= most_tokens and len(passage.chunks) + len(better.chunks) > 2:
                better.chunks.extend(passage.chunks)
                better.twins.extend(passage.twins)
                break
        else:
            kept.append(passage)
    return kept


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
