"""Bare answers -> short full sentences, where a rule makes them safely; the bare words elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.records import Language
from core.text import sentence_spans
from llm.training.chinese_sentences import chinese_sentence
from llm.training.english_sentences import english_sentence
from llm.training.records import Kind, Passage

_SENTENCE = re.compile(r"[A-Z\"“(].*[.!?][\"”)]?$|.*[。！？]$", re.S)
_MOST_OF_A_SENTENCE = 0.6
_LONGEST_QUOTED = 240
_NUMERIC = re.compile(r"^\W*(?:about|around|over|approximately|some|约|大约|近)?\s*[\d零一二三四五六七八九十百千万亿]")
_NEVER_NAMES = frozenset(
    "a an and as at by for from in is it of on or the to was with song time first last new".split()
)
_WORD = re.compile(r"[A-Za-z][\w'’-]*")


def kind_of(answers: Sequence[str]) -> Kind:
    """Return whether answers are a list, a number or date, or other words."""
    if len(answers) > 1:
        return "list"
    return "number" if answers and _NUMERIC.match(answers[0]) and len(answers[0]) < 40 else "span"


def joined(answers: Sequence[str], *, language: Language) -> str:
    """Return several answers as one would say them: "a, b and c"."""
    *others, last = dict.fromkeys(answers)
    if not others:
        return last
    comma, conjunction = ("、", "和") if language == "zh" else (", ", " and ")
    return f"{comma.join(others)}{conjunction}{last}"


def sentence(question: str, answers: Sequence[str], *, passage: Passage, language: Language) -> str:
    """Return a full sentence that answers, or the bare answer where none can be made safely.

    Args:
        question: The question.
        answers: The words of the passage that answer.
        passage: Where they stand; it gives names their capitals and dates their prepositions.
        language: Of the question.
    """
    span = joined(answers, language=language)
    if len(answers) == 1 and (whole := _whole_sentence(passage, answers[0])):
        return whole
    if language == "zh":
        return chinese_sentence(question, span) or span
    if len(answers) == 1:
        span = span.rstrip(",;:. ") if not re.search(r"\b(?:[A-Z]|Inc|Jr|Sr|Co|Ltd)\.$", span) else span
    before = passage.text[: passage.spans[0][0]] if passage.spans else ""
    several = len(answers) > 1 or bool(re.search(r",| and | & ", span))
    made = english_sentence(recased(question, passage), span, before=before, several=several)
    return f"{made.rstrip('.')}." if made else joined(answers, language=language)


def _whole_sentence(passage: Passage, answer: str) -> str:
    """Return the sentence that the answer is, or is most of."""
    start, end = passage.spans[0]
    for first, last in sentence_spans(passage.text):
        if first <= start and end <= last and end - start >= _MOST_OF_A_SENTENCE * (last - first):
            whole = " ".join(passage.text[first:last].split())
            return whole if _SENTENCE.match(whole) and len(whole) <= _LONGEST_QUOTED else ""
    return " ".join(answer.split()) if _SENTENCE.match(answer) and 20 < len(answer) <= _LONGEST_QUOTED else ""


def recased(question: str, passage: Passage) -> str:
    """Return a question typed in small letters with the capitals that its words have in the passage."""
    if question != question.lower():
        return question
    cases: dict[str, set[str]] = {}
    for text in (passage.title, passage.text):
        for first, last in sentence_spans(text):
            for i, match in enumerate(_WORD.finditer(text[first:last])):
                if i or text is passage.title:
                    cases.setdefault(match.group().lower(), set()).add(match.group())
    sure = {word: next(iter(forms)) for word, forms in cases.items() if len(forms) == 1 and word not in _NEVER_NAMES}
    return _WORD.sub(lambda match: sure.get(match.group(), match.group()), question)
