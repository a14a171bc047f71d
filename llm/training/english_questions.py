"""English sentences -> questions that they answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from llm.training.english_verbs import is_finite
from llm.training.question_forms import Asking

_SHORTEST, _LONGEST = 24, 260
_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_DATE = rf"(?:(?:\d{{1,2}} )?{_MONTH}(?: \d{{1,2}}(?!\d),?)?(?: \d{{4}})?|(?:1[89]|20)\d\d)"
_UNIT = (
    r"(?:%|percent|years?|months?|weeks?|(?:working |business |calendar )?days?|hours?|minutes?|seconds?|EUR|USD|GBP|"
    r"euros?|dollars?|pounds?|km|cm|mm|m²|kg|g|mg|ml|l|litres?|liters?|kW|W|V|A|Nm|bar|°C|°F|metres?|meters?|pages?|"
    r"employees|people|units|pieces|points|copies|users)"
)
_AMOUNT = rf"(?:[€$£] ?\d[\d,.]*\d?(?: (?:million|billion))?|\d[\d,.]*\d?(?: (?:million|billion))? ?{_UNIT}(?![\w]))"
_ABOUT = r"(?:(?:about|at least|at most|up to|no more than|no less than|approximately|between|exactly) )?"
_REFERS = re.compile(
    r"\b(?:it|its|they|their|this|that|these|those|he|she|his|her|such|following|above|below|same)\b", re.I
)
_NO_NAMES = frozenset("absent present each every two three please either never always first then also from to".split())
_FULL = re.compile(r"[A-Z\"“].*[.!]$", re.S)

_DEFINED = re.compile(
    r"^(?P<subject>(?:(?:A|An|The) )?[A-Z]?[\w'’()/&+-]+(?: [\w'’()/&+-]+){0,5}) (?P<be>is|are) "
    r"(?P<answer>(?:a|an|the) [^;:]{15,200}?)\.$"
)
_AMOUNTS = re.compile(
    rf"^(?P<subject>(?:The|Each|Every|Its|Our) [^,;:.]{{4,70}}?) (?P<verb>is|are|was|were|must be|shall be|should be) "
    rf"(?P<answer>{_ABOUT}{_AMOUNT})(?P<rest>[^;:]{{0,80}}?)\.$"
)
_DATED = re.compile(
    rf"^(?P<subject>(?:The |[A-Z])[^,;:]{{2,70}}?) (?P<be>was|were|is|are) (?P<done>[a-z]+(?:ed|lt|wn|ld|de|en|un|nt)) "
    rf"(?P<rest>[^,;:]{{0,60}}?)\b(?P<answer>(?:in|on|by|before|until) {_DATE})(?P<tail>[^;:]{{0,40}})\.$"
)
_LABELLED = re.compile(r"^(?P<label>[A-Z][A-Za-z /&-]{2,40}): (?P<answer>[^:]{2,90}?)\.?$")
_STEP = re.compile(r"^To (?P<what>[a-z]+ [^,:;]{4,80}?), (?P<answer>[a-z][^:]{10,180}?)\.$")


def ask_english(sentence: str) -> Iterator[Asking]:
    """Yield the questions that rules make of a sentence, with the answer's place in it."""
    plain = sentence.replace("\n", " ")
    for pattern, rule in _RULES:
        if (match := pattern.match(plain)) and (asking := rule(match)):
            yield asking
            return


def _asking(match: re.Match[str], question: str, *, kind: str, answer: str = "") -> Asking | None:
    """Return the question, unless what it is about is said elsewhere or its sentence is no plain one."""
    sentence = match.group()
    if _REFERS.search(question):
        return None
    start, end = match.span("answer")
    said = answer or sentence
    return Asking(question=question, kind=kind, start=start, end=end, answer=said)  # type: ignore[arg-type]


def _definition(match: re.Match[str]) -> Asking | None:
    sentence = match.group()
    if not _SHORTEST <= len(sentence) <= _LONGEST or not _FULL.match(sentence):
        return None
    return _asking(match, f"What {match['be']} {_small(match['subject'])}?", kind="definition")


def _amount(match: re.Match[str]) -> Asking | None:
    rest = match["rest"].strip()
    if rest and not re.match(r"(?:for|per|in|on|at|of|after|from|during|before|within|a|and)\b", rest):
        return None
    tail = f" {rest}" if rest else ""
    if re.match(r"(?:and)\b", rest):
        return None
    verb = match["verb"]
    if " " in verb:
        first, last = verb.split()
        return _asking(match, f"What {first} {_small(match['subject'])} {last}{tail}?", kind="number")
    return _asking(match, f"What {verb} {_small(match['subject'])}{tail}?", kind="number")


def _date(match: re.Match[str]) -> Asking | None:
    if re.search(r"\b(?:and|or|before|after|at|until|than|latest)\b", match["rest"]):
        return None
    middle = f"{match['done']} {match['rest']}".strip()
    return _asking(
        match, f"When {match['be']} {_small(match['subject'])} {middle}{match['tail'].rstrip()}?", kind="number"
    )


def _label(match: re.Match[str]) -> Asking | None:
    label, answer = match["label"].strip(), match["answer"].strip()
    if label.split()[0].lower() in (
        "note",
        "warning",
        "example",
        "important",
        "caution",
        "tip",
        "see",
        "re",
        "subject",
    ):
        return None
    words = label.lower().split()
    if len(words) > 3 or len(answer.split()) > 14 or any(is_finite(word) or word in _NO_NAMES for word in words):
        return None
    said = f"The {_small(label)} is {answer}."
    return _asking(match, f"What is the {_small(label)}?", kind="span", answer=said)


def _procedure(match: re.Match[str]) -> Asking | None:
    return _asking(match, f"How do I {match['what'].replace('your', 'my')}?", kind="procedure")


def _small(subject: str) -> str:
    """Return a subject as it is written within a sentence: only a leading article or plain word loses its capital."""
    first, _, rest = subject.partition(" ")
    if first in ("The", "A", "An", "Each", "Every", "Our"):
        return f"{first.lower()} {rest}"
    known = first[1:] != first[1:].lower() or not rest or rest[0].isupper()
    return subject if known else f"{first[0].lower()}{first[1:]} {rest}"


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Asking | None]], ...] = (
    (_AMOUNTS, _amount),
    (_DATED, _date),
    (_DEFINED, _definition),
    (_STEP, _procedure),
    (_LABELLED, _label),
)
