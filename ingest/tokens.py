"""Count tokens of any range of a text after tokenizing it once."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence

Spans = Callable[[str], Sequence[tuple[int, int]]]

# Text is tokenized in blocks of about this many characters, so that a huge file needs little memory at a time.
_BLOCK_CHARS = 100_000
# Some tokenizers give one token for a long run of characters that they do not know, or none at all. Counting such a
# run as a token every few characters keeps chunks of it to a readable length.
_LONGEST_CHARS = 32


class TokenCounter:
    """The tokens of one text, to be counted by range.

    Args:
        text: The text, of any length.
        token_spans: Gives the ``[start, end)`` characters of each token, in order.
    """

    def __init__(self, text: str, token_spans: Spans) -> None:
        self.text = text
        self._starts, self._ends = array("q"), array("q")
        for start, end in _blocks(text):
            self._add_block(text[start:end], start, token_spans)

    def count(self, start: int, end: int) -> int:
        """Return how many tokens overlap the characters ``[start, end)``."""
        if end <= start:
            return 0
        first = bisect_left(self._starts, start)
        n_tokens = bisect_left(self._starts, end, lo=first) - first
        reaches_in = first > 0 and self._ends[first - 1] > start
        return n_tokens + int(reaches_in)

    def end_of(self, start: int, n_tokens: int) -> int:
        """Return the furthest end so that ``[start, end)`` has at most ``n_tokens`` tokens; at least one more."""
        first = bisect_left(self._starts, start)
        if first > 0 and self._ends[first - 1] > start:
            first -= 1
        after = first + max(1, n_tokens)
        return max(self._starts[after], start + 1) if after < len(self._starts) else len(self.text)

    def _add_block(self, block: str, offset: int, token_spans: Spans) -> None:
        end_before = 0
        for start, end in token_spans(block):
            if start - end_before > _LONGEST_CHARS:
                self._add_run(block, end_before, start, offset)
            if end - start > _LONGEST_CHARS:
                self._add_run(block, start, end, offset)
            elif end > start:
                self._starts.append(start + offset)
                self._ends.append(end + offset)
            end_before = max(end, end_before)
        if len(block) - end_before > _LONGEST_CHARS:
            self._add_run(block, end_before, len(block), offset)

    def _add_run(self, block: str, start: int, end: int, offset: int) -> None:
        for at in range(start, end, _LONGEST_CHARS):
            until = min(at + _LONGEST_CHARS, end)
            if not block[at:until].isspace():
                self._starts.append(at + offset)
                self._ends.append(until + offset)


def _blocks(text: str) -> list[tuple[int, int]]:
    """Cut a text at line ends, else at white space, into blocks to be tokenized one at a time."""
    blocks = []
    start = 0
    while len(text) - start > _BLOCK_CHARS:
        limit = start + _BLOCK_CHARS
        floor = start + _BLOCK_CHARS // 2
        cut = max(text.rfind("\n", floor, limit), -1)
        if cut < 0:
            cut = text.rfind(" ", floor, limit)
        end = cut + 1 if cut >= 0 else limit
        blocks.append((start, end))
        start = end
    blocks.append((start, len(text)))
    return blocks
