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
from itertools import pairwise

import Stemmer

from core.records import Language

_CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_CJK_CHAR = re.compile(f"[{_CJK}]")
_WORD = re.compile(f"[{_CJK}]+|[^\\W_{_CJK}]+(?:[.,](?=\\d)\\d+)*", re.UNICODE)
_ACCENTS = re.compile("[\u0300-\u036f]+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?:\D|$))")
_CAMEL = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

# Where a sentence ends: Chinese enders with closing quotes; Western enders before white space and what may begin a
# sentence; and line ends that are not mere wrapping.
_SENTENCE_END = re.compile(
    r"[。！？；…]+[”’」』）》\"')\]]*"
    r"|[!?]+(?=[\u3400-\u9fff])"
    r"|(?<=[.!?])[\"'”’)\]]*(?=\s+[\"'“‘(\[]?[A-Z0-9\u3400-\u9fff])"
    r"|\n+"
)
_LIST_MARK = re.compile(
    r"\s*(?:[-*•·▪◦–—■●]|\(?\d{1,3}[.)、]|\(?[a-zA-Z][.)]|[（(]?[一二三四五六七八九十]+[、)）.])\s*"
)
_ITEM_NUMBER = re.compile(r"\s*\(?(?:\d{1,3}|[A-Za-z])(?:\.\d{1,3})*\.")
_COMPLETE_LINE = re.compile(r"[.!?:;。！？：；…|][\"'”’)\]]*\s*$")
_SHORTEST_WRAPPED_LINE = 45
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

    A line end parts sentences too, unless a long line was merely wrapped there; abbreviations, initials, the
    numbers of a list's items and decimal points do not. A table's row is one sentence.
    """
    flowing = _unwrapped(text)
    start = 0
    for match in _SENTENCE_END.finditer(flowing):
        if "\n" not in match.group() and (
            _ABBREVIATION.search(flowing[max(start, match.start() - 12) : match.end()])
            or _ITEM_NUMBER.fullmatch(flowing, flowing.rfind("\n", 0, match.start()) + 1, match.end())
            or _in_table_row(flowing, match.start())
        ):
            continue
        yield from _trimmed(flowing, start, match.end())
        start = match.end()
    yield from _trimmed(flowing, start, len(flowing))


def _in_table_row(text: str, at: int) -> bool:
    end = text.find("\n", at)
    return " | " in text[text.rfind("\n", 0, at) + 1 : end if end >= 0 else len(text)]


def _unwrapped(text: str) -> str:
    """Return ``text``, of the same length, with the line ends that only wrap a long line made spaces."""
    if "\n" not in text:
        return text
    lines = text.split("\n")
    joined = [lines[0]]
    for line, following in pairwise(lines):
        width = len(line) + len(_CJK_CHAR.findall(line))  # a Chinese character is two columns wide
        wraps = (
            width >= _SHORTEST_WRAPPED_LINE
            and following.strip()
            and "|" not in line
            and not _COMPLETE_LINE.search(line)
            and not _LIST_MARK.match(following)
        )
        joined.append((" " if wraps else "\n") + following)
    return "".join(joined)


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


def _folded(text: str) -> str:
    """Return ``text`` with the differences that matching ignores taken out: width, accents, traditional forms."""
    if text.isascii():
        return text
    plain = unicodedata.normalize("NFKD", text)
    plain = unicodedata.normalize("NFC", _ACCENTS.sub("", plain))
    return plain.translate(_simplified()) if _CJK_CHAR.search(plain) else plain


@lru_cache(maxsize=1)
def _simplified() -> dict[int, str]:
    """Return the simplified form of every traditional character, one for one so that it needs no context."""
    from opencc import OpenCC

    convert = OpenCC("t2s").convert
    pairs = ((point, convert(chr(point))) for point in range(0x3400, 0xA000))
    return {point: simple for point, simple in pairs if simple != chr(point)}


def search_key(text: str) -> str:
    """Return ``text`` so that a plain substring search ignores case, width, accents and traditional forms."""
    return _folded(text).casefold()


def _word_terms(word: str) -> Iterator[str]:
    yield _stem(_THOUSANDS.sub("", word.lower()))
    parts = () if _NUMBER.fullmatch(word) else _CAMEL.findall(word)
    if len(parts) > 1:  # DiffExecutor is found by "executor" too
        yield from (_stem(part.lower()) for part in parts)


def _chinese_terms(run: str) -> Iterator[str]:
    yield from run
    yield from (run[i : i + 2] for i in range(len(run) - 1))


def terms(text: str) -> list[str]:
    """Return the search terms of ``text``, in order, with repeats; the same function for indexing and asking."""
    found: list[str] = []
    for match in _WORD.finditer(_folded(text)):
        word = match.group()
        found.extend(_chinese_terms(word) if _CJK_CHAR.match(word) else _word_terms(word))
    return found


# What questions are made of and answers are not told by. Longer lists lose recall: "name", "many" and "first" tell.
_ASKING = frozenset(
    "a an the of in on at to for from by with and or is are was were be been do does did has have had it its this that "
    "these those as what which who whom whose when where why how s".split()
)
_CHINESE_ASKING = re.compile(
    "请问|是什么|什么时候|什么|多少|哪些|哪个|哪里|哪儿|哪一|怎么样|怎么|怎样|如何|为什么|为何|是否|是不是|有没有|能不能|可不可以"
)
_CHINESE_PARTICLES = frozenset("的是了在和与及或吗呢吧啊哪谁何几为有被于")


def query_terms(text: str) -> list[str]:
    """Return the terms of a question without the words that only ask; all its terms when nothing else is left."""
    found: list[str] = []
    for match in _WORD.finditer(_folded(text)):
        word = match.group()
        if not _CJK_CHAR.match(word):
            found.extend(() if word.lower() in _ASKING else _word_terms(word))
            continue
        for run in _CHINESE_ASKING.split(word):
            found.extend(term for term in _chinese_terms(run) if not _CHINESE_PARTICLES.issuperset(term))
    return found or terms(text)


_STOP_WORDS = frozenset(
    "a about after all also am an and any are as at be been before being but by can could did do does doing "
    "for from get give had has have having he her here him his how i if in into is it its just let many may me "
    "might more most much must my no not of on one or our out please shall she should so some such tell than "
    "that the their them then there these they this those to too under up us very was we were what when where "
    "which while who whom whose why will with would you your s t re ll ve d".split()
)
_CHINESE_STOP = re.compile(
    "请问|请|是什么|什么时候|什么|多少|哪些|哪个|哪里|哪儿|哪一|哪|怎么样|怎么|怎样|如何|为什么|为何|是否|是不是|有没有|"
    "能不能|可不可以|几|谁|吗|呢|的|了|在|和|与|及|或|是|有|会|要|可以|能|应该|我们|我|你们|你|您|它|他|她|这个|那个|这|那|"
    "一个|个|就|都|也|还|被|把|对|从|到|于|为|以|之|其|等|各|每"
)
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_LATIN_WORD = re.compile(r"[a-z]+")
_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        "two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
        "eighteen nineteen twenty".split(),
        start=2,
    )
} | {
    word: str(10 * value)
    for value, word in enumerate("thirty forty fifty sixty seventy eighty ninety".split(), start=3)
}
_CHINESE_DIGITS = "零一二三四五六七八九"
_CHINESE_UNITS = {"十": 10, "百": 100, "千": 1000}
_CHINESE_NUMERAL = re.compile(f"[{_CHINESE_DIGITS}十百千]+")


def content_terms(text: str) -> frozenset[str]:
    """Return the terms of ``text`` that carry meaning: no function words, Chinese by bigrams, numbers by value."""
    words: set[str] = set()
    for match in _WORD.finditer(_folded(text)):
        word = match.group().lower()
        if _CJK_CHAR.match(word):
            words.update(_chinese_content(word))
        elif word[0].isdigit():
            words.add(_by_value(word))
        elif word not in _STOP_WORDS:
            words.add(_NUMBER_WORDS.get(word) or _stem(word))
    return frozenset(words)


def _chinese_content(text: str) -> Iterator[str]:
    start = 0
    for match in _CHINESE_NUMERAL.finditer(text):
        if value := _chinese_value(match.group()):
            yield value
            yield from _bigrams(text[start : match.start()])
            start = match.end()
    yield from _bigrams(text[start:])


def _bigrams(text: str) -> Iterator[str]:
    for run in _CHINESE_STOP.split(text):
        if len(run) == 1:
            yield run
        yield from (run[i : i + 2] for i in range(len(run) - 1))


def numbers(text: str) -> frozenset[str]:
    """Return the numbers in ``text`` by value: "1,250.0" as "1250", "three" and "三" as "3", "十五" as "15".

    "one" and "一" are left out: they are rarely meant as numbers.
    """
    normal = unicodedata.normalize("NFKC", text)
    found = {_by_value(match.group()) for match in _NUMBER.finditer(normal)}
    found.update(_NUMBER_WORDS[word] for word in _LATIN_WORD.findall(normal.lower()) if word in _NUMBER_WORDS)
    found.update(value for run in _CHINESE_NUMERAL.findall(normal) if (value := _chinese_value(run)))
    return frozenset(found)


def _by_value(number: str) -> str:
    number = re.sub(r",(?=\d{3}(?!\d))", "", number)
    return number.rstrip("0").rstrip(".") if number.count(".") == 1 else number


def _chinese_value(run: str) -> str:
    """Return the value of a Chinese numeral below 10,000, or "" where it is none or just one."""
    total, digit = 0, 0
    for character in run:
        if character in _CHINESE_DIGITS:
            digit = _CHINESE_DIGITS.index(character)
        else:
            total += (digit or 1) * _CHINESE_UNITS[character]
            digit = 0
    total += digit
    return str(total) if total > 1 and not set(run) <= set("百千") else ""
