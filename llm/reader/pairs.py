"""Pairs to train the reader on: a question with a window of a passage, and what should be found there.

From each training question come windows that hold its answer, windows of other passages that were retrieved for it,
windows of its own passage that do not hold the answer, and the same window under an altered question (another year,
another name), which it no longer answers. For checking written sentences, the question is followed by an answer, right
or taken from elsewhere in the window.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.errors import MalformedInput
from core.json_lines import json_lines
from core.text import content_terms, detect_language, sentence_spans
from llm.reader.windows import WINDOW_TOKENS

IGNORED = -1
_YEAR = re.compile(r"(?<!\d)(?:1[0-9]|20)\d{2}(?!\d)")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NAME = re.compile(r"(?:[A-Z][\w’'.-]*)(?:\s+(?:of|the|de|[A-Z][\w’'.-]*))*")
_CHINESE_CANDIDATE = re.compile(
    r"《[^》]{1,20}》|「[^」]{1,20}」|\d+(?:\.\d+)?[年月日号个名人次米公里%]*|[A-Za-z][A-Za-z .-]+"
)
# Half the windows are as long as what is read when serving, the others of many lengths, so that how much is read tells
# nothing.
SHORTEST_WINDOW, LONGEST_WINDOW = 48, WINDOW_TOKENS
_WHOLE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A question, the context line and text of a window, the answer's spans in ``text``, and the judgements.

    A judgement is 1, 0 or :data:`IGNORED`.
    """

    question: str
    context: str
    text: str
    spans: tuple[tuple[int, int], ...] = ()
    relevant: int = IGNORED
    holds: int = IGNORED
    supports: int = IGNORED
    language: str = "en"
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A training question whose answer is known: the characters ``spans`` of ``passage``; none where it has none.

    ``closed`` says that no other passage it was asked of answers it, as is known of a folder that was read as a whole.
    """

    question: str
    context: str
    passage: str
    spans: tuple[tuple[int, int], ...]
    negatives: tuple[tuple[str, str], ...] = ()  # (context, passage) of what else was retrieved, best first
    language: str = "en"
    kind: str = ""
    closed: bool = False


def window_around(
    known: Known, count: Callable[[str], int], chosen: random.Random
) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return whole sentences around the answer, of a random length, with the spans moved to match."""
    sentences = list(sentence_spans(known.passage))
    low, high = min(a for a, _ in known.spans), max(b for _, b in known.spans)
    first = max((i for i, (a, _) in enumerate(sentences) if a <= low), default=0)
    last = min((i for i, (_, b) in enumerate(sentences) if b >= high), default=len(sentences) - 1)
    last = max(first, last)
    limit = _length(chosen)
    first, last = _grown(known.passage, sentences, (first, last), limit=limit, count=count, chosen=chosen)
    start, end = min(sentences[first][0], low), max(sentences[last][1], high)
    return known.passage[start:end], tuple((a - start, b - start) for a, b in known.spans)


def window_of(passage: str, count: Callable[[str], int], chosen: random.Random, *, about: str = "") -> str:
    """Return whole sentences of a random length, begun where most of the terms of ``about`` stand."""
    sentences = list(sentence_spans(passage))
    if not sentences:
        return passage
    wanted = content_terms(about)
    shares = [len(wanted & content_terms(passage[a:b])) for a, b in sentences]
    seed = max(range(len(sentences)), key=lambda i: (shares[i], chosen.random()))
    limit = _length(chosen)
    first, last = _grown(passage, sentences, (seed, seed), limit=limit, count=count, chosen=chosen)
    return passage[sentences[first][0] : sentences[last][1]]


def _length(chosen: random.Random) -> int:
    return LONGEST_WINDOW if chosen.random() < _WHOLE else chosen.randint(SHORTEST_WINDOW, LONGEST_WINDOW)


def _grown(
    passage: str,
    sentences: Sequence[tuple[int, int]],
    run: tuple[int, int],
    *,
    limit: int,
    count: Callable[[str], int],
    chosen: random.Random,
) -> tuple[int, int]:
    first, last = run
    while True:
        sides = [side for side in (-1, 1) if (first > 0 if side < 0 else last + 1 < len(sentences))]
        chosen.shuffle(sides)
        for side in sides:
            a, b = (first - 1, last) if side < 0 else (first, last + 1)
            if count(passage[sentences[a][0] : sentences[b][1]]) <= limit:
                first, last = a, b
                break
        else:
            return first, last


def holding(known: Known, count: Callable[[str], int], chosen: random.Random) -> Pair:
    """Return the pair that holds the answer."""
    text, spans = window_around(known, count, chosen)
    return _pair(known, known.context, text, spans=spans, relevant=1, holds=1, kind="span")


def lacking(known: Known, count: Callable[[str], int], chosen: random.Random) -> Pair | None:
    """Return a window of another passage that was retrieved, or None where there is none.

    A passage that holds the answer's very words is no negative.
    """
    answers = [plain(known.passage[a:b]) for a, b in known.spans]
    rivals = [(c, p) for c, p in known.negatives if not any(answer in plain(p) for answer in answers)]
    if not rivals:
        return None
    # The nearest rivals teach most, and the rest keep the judgement from leaning on them.
    context, passage = rivals[min(int(chosen.expovariate(0.6)), len(rivals) - 1)]
    text = window_of(passage, count, chosen, about=known.question)
    return _pair(known, context, text, relevant=0, holds=0, kind="rival")


def elsewhere(known: Known, count: Callable[[str], int], chosen: random.Random) -> Pair | None:
    """Return a window of the right passage without the answer, or None where it has none."""
    low, high = min(a for a, _ in known.spans), max(b for _, b in known.spans)
    answers = [plain(known.passage[a:b]) for a, b in known.spans]
    sentences = list(sentence_spans(known.passage))
    before = max((b for _, b in sentences if b <= low), default=0)
    after = min((a for a, _ in sentences if a >= high), default=len(known.passage))
    sides = [known.passage[:before], known.passage[after:]]
    sides = [s for s in sides if count(s) >= SHORTEST_WINDOW and not any(a in plain(s) for a in answers)]
    if not sides:
        return None
    text = window_of(chosen.choice(sides), count, chosen, about=known.question)
    return _pair(known, known.context, text, holds=0, kind="elsewhere")


def altered(known: Known, others: Sequence[str], count: Callable[[str], int], chosen: random.Random) -> Pair | None:
    """Return the right window under a question that names something else, or None where nothing could be altered."""
    question = altered_question(known, others, chosen)
    if question is None:
        return None
    text, _ = window_around(known, count, chosen)
    return _pair(known, known.context, text, question=question, holds=0, kind="altered")


def altered_question(known: Known, others: Sequence[str], chosen: random.Random) -> str | None:
    """Return the question with a year, number or name of its passage exchanged for one that is not there."""
    inside = plain(known.passage + known.context)
    for match in [*_YEAR.finditer(known.question), *_NUMBER.finditer(known.question)]:
        if plain(match.group()) in inside:
            changed = _other_number(match.group(), chosen)
            if plain(changed) not in inside:
                return known.question[: match.start()] + changed + known.question[match.end() :]
    # `others` are names of other passages, as titles are; this passage's own stands in the question.
    name = known.context.partition("\n")[0].strip()
    at = known.question.lower().find(name.lower()) if len(name) > 1 else -1
    if at < 0:
        return None
    other = next((o for o in chosen.sample(others, min(8, len(others))) if plain(o) not in inside), None)
    if other is None:
        return None
    other = other.lower() if known.question == known.question.lower() else other
    return known.question[:at] + other + known.question[at + len(name) :]


def _other_number(number: str, chosen: random.Random) -> str:
    digits = [i for i, c in enumerate(number) if c.isdigit()]
    at = digits[-1] if len(digits) < 3 else chosen.choice(digits[-2:])
    return number[:at] + str((int(number[at]) + chosen.randint(1, 8)) % 10) + number[at + 1 :]


def supported(known: Known, count: Callable[[str], int], chosen: random.Random, *, right: bool) -> Pair | None:
    """Return the window with the question and an answer to check, right or another candidate of the same window."""
    text, spans = window_around(known, count, chosen)
    gold = text[slice(*chosen.choice(spans))]
    said = gold if right else _candidate(text, gold, detect_language(text), chosen)
    if said is None:
        return None
    joint = "" if known.language == "zh" else " "
    question = f"{known.question}{joint}{said}"
    return _pair(
        known, known.context, text, question=question, supports=int(right), kind="supported" if right else "false"
    )


def _candidate(text: str, gold: str, language: str, chosen: random.Random) -> str | None:
    pattern = _NUMBER if gold.strip()[:1].isdigit() and language == "en" else _NAME
    found = _CHINESE_CANDIDATE.findall(text) if language == "zh" else pattern.findall(text)
    found = [each for each in dict.fromkeys(found) if plain(each) not in plain(gold) and plain(gold) not in plain(each)]
    if not found and (sentences := list(sentence_spans(text))):
        found = [text[a:b][: len(gold) + 4] for a, b in sentences if plain(gold) not in plain(text[a:b])]
    return chosen.choice(found) if found else None


def plain(text: str) -> str:
    """Return ``text`` in lower case without white space."""
    return "".join(text.split()).lower()


def _pair(
    known: Known,
    context: str,
    text: str,
    *,
    kind: str,
    question: str = "",
    spans: tuple[tuple[int, int], ...] = (),
    relevant: int = IGNORED,
    holds: int = IGNORED,
    supports: int = IGNORED,
) -> Pair:
    return Pair(
        question=question or known.question,
        context=context,
        text=text,
        spans=spans,
        relevant=relevant,
        holds=holds,
        supports=supports,
        language=known.language,
        kind=f"{known.kind}:{kind}" if known.kind else kind,
    )


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """Write pairs, one JSON object a line."""
    path.write_text("".join(json.dumps(asdict(pair), ensure_ascii=False) + "\n" for pair in pairs), "utf-8")


def read_pairs(path: Path) -> list[Pair]:
    """Read pairs.

    Raises:
        MissingPath: There is no such file.
        MalformedInput: A line is no pair; file and line are named. Or the file holds none.
    """
    pairs = [_pair_of(fields, where=f"{path}:{number}") for number, fields in json_lines(path)]
    if not pairs:
        raise MalformedInput("holds no pairs", where=str(path))
    return pairs


def _pair_of(fields: Any, *, where: str) -> Pair:
    try:
        pair = Pair(**{**fields, "spans": tuple((int(a), int(b)) for a, b in fields.get("spans", ()))})
        if any(not 0 <= a < b <= len(pair.text) for a, b in pair.spans):
            raise ValueError("a span lies outside its text")
    except (ValueError, TypeError, AttributeError) as error:
        raise MalformedInput(f"is no pair: {error}", where=where) from None
    return pair
