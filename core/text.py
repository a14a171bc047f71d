"""Text functions that indexing, asking and checking share, so that the three never part.

English is split into lower-case words and stemmed (Snowball); Chinese into single characters and bigrams, which need
no dictionary and find names that no dictionary holds. Traditional characters are folded to simplified ones for
matching only; quotes keep what was written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import Stemmer

from core.records import Language

_CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_CJK_CHAR = re.compile(f"[{_CJK}]")
_WORD = re.compile(f"[{_CJK}]+|[^\\W_{_CJK}]+(?:[.,](?=\\d)\\d+)*", re.UNICODE)
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

# Where a sentence ends: Chinese enders with closing quotes; Western enders before a space and a capital, digit, quote
# or Chinese character; and line ends.
_SENTENCE_END = re.compile(
    r"[。！？；!?…]+[”’」』）》\"')\]]*(?=\s|[^\s])(?<![!?](?=[\w]))"
    r"|(?<=[.!?])[\"'”’)\]]*(?=\s+[\"'“‘(\[]?[A-Z0-9\u3400-\u9fff])"
    r"|\n+"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|Nos|vs|etc|e\.g|i\.e|cf|Fig|Figs|Eq|Inc|Ltd|Co|Corp|Jr|Sr|Art|Sec|approx|al|"
    r"Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|[A-Z])|\b(?:[A-Z]\.)+[A-Z])\.$"
)


def detect_language(text: str) -> Language:
    """Return "zh" when at least a fifth of the letters are Chinese characters, else "en"."""
    sample = text[:20_000]
    n_chinese = len(_CJK_CHAR.findall(sample))
    if not n_chinese:
        return "en"
    n_letters = sum(c.isalpha() for c in sample)
    # A Chinese character says about as much as an English word of four to five letters.
    return "zh" if n_chinese * 4 >= (n_letters - n_chinese) else "en"


def sentence_spans(text: str) -> Iterator[tuple[int, int]]:
    """Yield the ``[start, end)`` of each sentence of ``text``, without the white space around it.

    Line ends part sentences too; abbreviations, initials and decimal points do not.
    """
    start = 0
    for match in _SENTENCE_END.finditer(text):
        if "\n" not in match.group() and _ABBREVIATION.search(text[max(start, match.start() - 12) : match.end()]):
            continue
        yield from _trimmed(text, start, match.end())
        start = match.end()
    yield from _trimmed(text, start, len(text))


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield start, end


@lru_cache(maxsize=1)
def _stemmer() -> Stemmer.Stemmer:
    return Stemmer.Stemmer("english")


@lru_cache(maxsize=65_536)
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word))


def terms(text: str) -> list[str]:
    """Return the search terms of ``text``, in order, with repeats; the same function for indexing and asking."""
    found: list[str] = []
    for match in _WORD.finditer(unicodedata.normalize("NFKC", text)):
        word = match.group()
        if _CJK_CHAR.match(word):
            found.extend(word)
            found.extend(word[i : i + 2] for i in range(len(word) - 1))
            continue
        found.append(_stem(word.lower()))
        parts = _CAMEL.findall(word)
        if len(parts) > 1:  # DiffExecutor is found by "executor" too
            found.extend(_stem(part.lower()) for part in parts)
    return found
