"""What the reader reads at once: a question with a window of a passage, as token ids.

``<s> question </s></s> context ⏎ text </s>``, the frame of XLM-RoBERTa's pairs, whose word pieces the embedder uses.
The same frame serves training and answering.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from core.text import sentence_spans

BEGIN, PAD, END = 0, 1, 2  # <s>, <pad>, </s>
MAX_QUESTION_TOKENS = 64
MAX_CONTEXT_TOKENS = 28
# An ordinary chunk is 190 tokens; a longer passage is read in windows that share a sentence.
WINDOW_TOKENS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The ids of one reading.

    ``ids[1:question_end]`` is the question; ``ids[first + i]`` the i-th token of the text, at the characters
    ``offsets[i]`` of the whole passage's text.
    """

    ids: tuple[int, ...]
    question_end: int
    first: int
    offsets: tuple[tuple[int, int], ...]


class Framer:
    """Makes windows with the embedder's tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer

    def pieces(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the ids of ``text`` and the characters of each, without special tokens."""
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        return encoded.ids, encoded.offsets

    def frame(self, question: str, context: str, text: str) -> Window:
        """Return the whole of ``text`` as one window."""
        ids, offsets = self.pieces(text)
        return self._framed(self._head(question, context), ids, offsets)

    def windows(self, question: str, context: str, text: str, *, limit: int = WINDOW_TOKENS) -> list[Window]:
        """Return windows of at most ``limit`` tokens of ``text``, cut between sentences where that is possible."""
        ids, offsets = self.pieces(text)
        head = self._head(question, context)
        return [self._framed(head, ids[a:b], offsets[a:b]) for a, b in runs(text, offsets, limit=limit)]

    def _head(self, question: str, context: str) -> tuple[list[int], int]:
        asked = self.pieces(question)[0]
        # A follow-up carries what it is about in front: of a long one, both ends are kept.
        half = MAX_QUESTION_TOKENS // 2
        asked = asked if len(asked) <= MAX_QUESTION_TOKENS else [*asked[:half], *asked[-half:]]
        about = self.pieces(context)[0][-MAX_CONTEXT_TOKENS:] if context else []
        return [BEGIN, *asked, END, END, *about, *([END] if about else [])], 1 + len(asked)

    @staticmethod
    def _framed(head: tuple[Sequence[int], int], ids: Sequence[int], offsets: Sequence[tuple[int, int]]) -> Window:
        before, question_end = head
        return Window(ids=(*before, *ids, END), question_end=question_end, first=len(before), offsets=tuple(offsets))


def segments(windows: Sequence[Window], length: int) -> npt.NDArray[np.int64]:
    """Return what each position is, int64 (rows, ``length``): 0 frame, 1 question, 2 text."""
    parts = np.zeros((len(windows), length), np.int64)
    for row, window in enumerate(windows):
        parts[row, 1 : window.question_end] = 1
        parts[row, window.first : len(window.ids) - 1] = 2
    return parts


def runs(text: str, offsets: Sequence[tuple[int, int]], *, limit: int) -> list[tuple[int, int]]:
    """Return token ranges [a, b) that cover ``text``, whole sentences where they fit; neighbours share a sentence."""
    if len(offsets) <= limit:
        return [(0, len(offsets))] if offsets else []
    sentences = [part for each in sentence_tokens(text, offsets) for part in _split(each, limit)]
    found: list[tuple[int, int]] = []
    first = 0
    while first < len(sentences):
        last = first + 1
        while last < len(sentences) and sentences[last][1] - sentences[first][0] <= limit:
            last += 1
        found.append((sentences[first][0], sentences[last - 1][1]))
        if last == len(sentences):
            break
        shared = sentences[last - 1][1] - sentences[last - 1][0]
        first = last - 1 if last - 1 > first and shared <= limit // 3 else last
    return found


def sentence_tokens(text: str, offsets: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the token range [a, b) of each sentence; together they cover every token."""
    ends = [end for _, end in sentence_spans(text)][:-1]
    found, a, b = [], 0, 0
    for end in ends:
        while b < len(offsets) and offsets[b][1] <= end:
            b += 1
        if b > a:
            found.append((a, b))
            a = b
    if a < len(offsets):
        found.append((a, len(offsets)))
    return found


def _split(run: tuple[int, int], limit: int) -> list[tuple[int, int]]:
    a, b = run
    return [(at, min(at + limit, b)) for at in range(a, b, limit)]
