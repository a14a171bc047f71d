"""English question + answer -> a short full sentence, by rules that give way where they could be wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from llm.training.english_verbs import is_base, is_finite, is_participle, is_third_person, past_of, third_person

LONGEST_WORDS = 45
_PREPOSITIONS = frozenset(
    "in on at by since after before during from between until around near to of for with about as into under over "
    "through across against behind above below along outside inside within off up".split()
)
_TO_BE = ("is", "are", "was", "were")
_PLACING = frozenset("in on at near around during".split())
_DETERMINERS = frozenset("the a an his her its their our your my this that these those".split())
# After these a word is a noun, whatever else it can be.
_BEFORE_NOUNS = _DETERMINERS | frozenset("of in new old great big no every to and".split())
_MORE_OFTEN_NOUNS = frozenset(
    "show act age fund form judge need head host cause claim cost file land issue record score store train work vote "
    "play film star name air change cover set run sign end start help report award ban attack march paint".split()
)
_CLAUSE = re.compile(
    r"^(?:\S+ ){0,5}(?:is|are|was|were|may|can|will|has|have|had|[Ww]e|[Yy]ou|[Hh]e|[Ss]he|[Tt]hey|[Ii]t|I)\b"
)
_WITH_SMALL_LETTER = re.compile(r"^(?:The|A|An|In|On|At|By|For|From|During|About|Around|Approximately|Over)\b")
_MONTH = "(?:january|february|march|april|may|june|july|august|september|october|november|december)"
_WEEKDAY = "(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day)"
_ON_A_DAY = re.compile(
    rf"(?:{_WEEKDAY},? )?(?:{_MONTH} \d{{1,2}}\b(?!\d)|\d{{1,2}}(?:st|nd|rd|th)? {_MONTH})|{_WEEKDAY}s?$",
    re.I,
)
_IN_A_TIME = re.compile(
    rf"(?:early |late |mid-?)?(?:{_MONTH}(?: of)?,? )?\d{{4}}s?(?: (?:BC|AD|CE|BCE))?$|{_MONTH}$", re.I
)
_QUESTION_WORD = re.compile(r"\b(?:who|whom|whose|what|which|when|where|why|how)\b", re.I)
_YEAR = re.compile(r"^(?:(?:in|on|during) )?(?:what|which) (?:year|month|date|day) ", re.I)
_NOUN_MAY_END = re.compile(r"^(?:is|are|was|were|the|a|an|called|by|as|of|in|to|known as|that)$")
_NUMBER = re.compile(
    r"^(?:(?:about|around|over|approximately|nearly|some|more than) )?[\d.,]+(?: (?:million|billion|thousand))?$|"
    r"^(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty(?:-\w+)?|no)$",
    re.I,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question as words, its answer, and the word before the answer in its passage."""

    words: list[str]
    span: str
    before: str
    several: bool

    @property
    def lower(self) -> list[str]:
        return [word.lower() for word in self.words]


def english_sentence(question: str, span: str, *, before: str = "", several: bool = False) -> str:
    """Return a sentence without its full stop, or "" where no rule is sure.

    Args:
        question: As it was asked; a question mark is not needed.
        span: The answer as it stands in the passage.
        before: The passage's text before it; its last word tells "in 1999" from "on 4 May 1999".
        several: Whether the span names more than one.
    """
    plain = _YEAR.sub("when ", question.strip().rstrip("?.! ").strip())
    plain = re.sub(r"^(who|what|where|when)(?:'s|s)(?= )", r"\1 is", plain, flags=re.I)
    words = plain.split()
    if len(words) < 3 or len(span.split()) > 25:
        return ""
    asked = Asked(words=words, span=span, before=(before.split() or [""])[-1].lower(), several=several)
    rule = _RULES.get(words[0].lower(), _completed)
    made = rule(asked)
    return made if made and len(made.split()) <= LONGEST_WORDS and not _QUESTION_WORD.match(made) else ""


def _who(asked: Asked) -> str:
    verb, rest = asked.lower[1], asked.lower[2:]
    if verb in ("do", "did", "does") and rest[:2] != ["the", "voice"]:
        return ""
    if asked.lower[-1] in _PREPOSITIONS or len(asked.span.split()) > 12 or _disagrees(asked, verb):
        return ""
    helps = verb in ("has", "have", "had", "will") and rest[0] not in _DETERMINERS | {"i", "you", "we"}
    if verb in _TO_BE and not _says_what(rest):
        return ""
    return _joined(asked.span, asked.words[1:]) if helps or is_finite(verb) or verb == "does" else ""


def _disagrees(asked: Asked, verb: str) -> bool:
    """Return whether the answer is more than one and the verb is of one."""
    head = [word for word in asked.span.split()[:3] if re.fullmatch(r"[a-z]+[^suia]s", word)]
    return is_third_person(verb) and (asked.several or bool(head))


def _says_what(rest: list[str]) -> bool:
    """Return whether what follows "who is" describes, and is not itself who is asked about."""
    described = rest[0] in _DETERMINERS | {"considered", "known", "credited", "responsible", "in", "on"}
    return (described or rest[0].endswith(("ing", "ed"))) and rest[-1] not in ("called", "named", "married", "playing")


def _what(asked: Asked) -> str:
    first, rest = asked.lower[1], asked.words[2:]
    if first in (*_TO_BE, "does", "do") and _CLAUSE.match(asked.span):
        return ""
    span = f"to {asked.span}" if is_base(asked.span.split()[0]) and " " in asked.span else _inside(asked.span)
    if first in _TO_BE:
        if rest[-1].lower() == "called" and len(rest) > 2:
            return _joined(*rest[:-1], first, "called", span)
        described = rest[0].lower() in _DETERMINERS or span.split()[0].lower() in ("a", "an", "the")
        described = described and not is_participle(rest[0].lower())
        inverted = rest[-1].lower() in _PREPOSITIONS or (is_participle(rest[-1].lower()) and len(rest) > 2)
        return "" if inverted or not described or len(rest) > 16 else _joined(*rest, first, span)
    if first in ("does", "do") and asked.lower[-2:] == ["stand", "for"] and len(rest) > 2:
        return _joined(*rest[:-2], "stands" if first == "does" else "stand", "for", _inside(asked.span))
    if first in ("does", "do") and asked.lower[-1] == "mean" and len(rest) > 1:
        return _joined(*rest[:-1], "means" if first == "does" else "mean", _inside(asked.span))
    return _which(asked)


def _which(asked: Asked) -> str:
    """ "which team won the cup": the noun gives way to the answer."""
    lower = asked.lower
    at = next((i for i in range(2, min(5, len(lower))) if is_finite(lower[i])), 0)
    unsure = any(word in ("do", "does", "did", "of", "kind", "type", "part") for word in lower[1 : at + 1])
    if lower[1] in _TO_BE or not at or unsure or lower[-1] in _PREPOSITIONS or at == len(lower) - 1:
        return ""
    inverted = lower[at] in _TO_BE and not (lower[at + 1].endswith("ing") or is_participle(lower[at + 1]))
    if inverted or _disagrees(asked, lower[at]) or len(asked.span.split()) > 10:
        return ""
    return _joined(asked.span, *asked.words[at:])


def _when(asked: Asked) -> str:
    placed = _placed(asked, _time_preposition(asked.span))
    return _placing(asked, placed) if placed else ""


def _where(asked: Asked) -> str:
    if asked.lower[-1] in ("from", "to", "in", "at", "on"):
        return _placing(asked, _inside(asked.span))
    placed = _placed(asked, "in" if asked.span[:1].isupper() else "")
    return _placing(asked, placed) if placed else ""


def _placing(asked: Asked, placed: str) -> str:
    """Return who does or did what, then when or where."""
    verb, rest, lower = asked.lower[1], asked.words[2:], asked.lower[2:]
    if verb in ("did", "does", "do", "will", "can"):
        at = [i for i, word in enumerate(lower) if i and is_base(word) and lower[i - 1] not in _BEFORE_NOUNS]
        at = [i for i in at if lower[i : i + 2] in (["take", "place"], ["come", "out"], ["come", "from"])] or at
        at = [i for i in at if lower[i] not in _MORE_OFTEN_NOUNS] or at
        if len(at) != 1 or any(is_base(word) for word in lower[at[0] + 1 :] if lower[at[0] + 1] == "and"):
            return ""
        base = lower[at[0]]
        forms = {"did": past_of(base), "does": third_person(base), "do": base}
        said = forms.get(verb) or f"{verb} {base}"
        return _joined(*rest[: at[0]], said, *rest[at[0] + 1 :], placed)
    if verb not in _TO_BE:
        return ""
    if lower[0] == "the" and "time" in lower[1:3]:
        return _joined(*rest, verb, placed)
    at = [i for i, word in enumerate(lower) if i and lower[i - 1] not in _BEFORE_NOUNS and _goes_on(word)]
    if len(at) > 1 or any(is_finite(word) for i, word in enumerate(lower) if i not in at):
        return ""
    cut = at[0] if at else len(rest)
    return _joined(*rest[:cut], verb, *rest[cut:], placed)


def _goes_on(word: str) -> bool:
    """Return whether ``word`` is what follows "is": "built", "coming"."""
    return is_participle(word) or (word.endswith("ing") and (is_base(word[:-3]) or is_base(word[:-3] + "e")))


def _placed(asked: Asked, usual: str) -> str:
    """Return the answer with its preposition, "" where none is sure."""
    span = _inside(asked.span)
    if _CLAUSE.match(span):
        return ""
    if span.split()[0].lower() in _PREPOSITIONS:
        return span
    if asked.before in _PLACING:
        return f"{asked.before} {span}"
    return f"{usual} {span}" if usual else ""


def _inside(span: str) -> str:
    """Return the answer as it is written within a sentence."""
    return span[0].lower() + span[1:] if _WITH_SMALL_LETTER.match(span) else span


def _time_preposition(span: str) -> str:
    if _ON_A_DAY.match(span):
        return "on"
    return "in" if _IN_A_TIME.match(span) else ""


def _how(asked: Asked) -> str:
    lower, words, span = asked.lower, asked.words, asked.span
    if lower[1] not in ("many", "much"):
        measured = lower[1] in ("long", "old", "tall", "high", "deep", "wide", "big", "far", "fast", "large")
        if not measured or lower[2] not in ("is", "was") or not re.match(r"[\d.,]", span) or len(words) < 4:
            return ""
        if _PREPOSITIONS & set(lower[4:]) or re.fullmatch(r"\d{4}", span):
            return ""
        return _joined(*words[3:], lower[2], span, "" if lower[1] in span.lower() else words[1])
    at = next((i for i in range(2, min(6, len(lower))) if lower[i] in ("are", "were", "do", "does", "did")), 0)
    if at < 3 or not _NUMBER.match(span):
        return ""
    counted = [span, *words[2:at]]
    rest = words[at + 1 :]
    if lower[at] in ("are", "were"):
        rest = rest[1:] if rest[:1] == ["there"] else rest
        return _joined("there", lower[at], *counted, *rest) if rest and rest[0].lower() in _PREPOSITIONS else ""
    if "have" not in lower[at + 1 :]:
        return ""
    has = {"do": "have", "does": "has", "did": "had"}[lower[at]]
    cut = lower.index("have", at + 1) - at - 1
    return _joined(*rest[:cut], has, *counted, *rest[cut + 1 :]) if cut else ""


def _completed(asked: Asked) -> str:
    """ "the capital of X is": what was begun is ended."""
    if _QUESTION_WORD.search(" ".join(asked.words)) or not _NOUN_MAY_END.match(asked.lower[-1]):
        return ""
    words = asked.words[:-1] if asked.span.lower().startswith(f"{asked.lower[-1]} ") else asked.words
    return _joined(*words, _inside(asked.span))


def _joined(*parts: str | list[str]) -> str:
    words = [word for part in parts for word in ([part] if isinstance(part, str) else part) if word]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


_RULES: dict[str, Callable[[Asked], str]] = {
    "who": _who,
    "what": _what,
    "which": _which,
    "when": _when,
    "where": _where,
    "how": _how,
}
