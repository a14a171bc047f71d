"""Questions about what is not there: a code or year of a question changed to one that the corpus lacks."""

from __future__ import annotations

import random
import re

from llm.training.normalize import folded

_CODE = re.compile(r"(?<![\w-])(?=[\w-]*[A-Z])(?=[\w-]*\d)[A-Za-z][\w-]{2,}(?![\w-])")
_YEAR = re.compile(r"(?<![\d/.-])(?:19|20)\d\d(?![\d/.-])")
_TRIES = 12


def swapped(question: str, *, absent_from: str) -> str:
    """Return the question with a code or year that the corpus does not hold, "" where it names none to be changed.

    Args:
        question: A question that the corpus answers.
        absent_from: The corpus's whole text, folded.
    """
    chosen = random.Random(question)
    for pattern, another in ((_CODE, _other_code), (_YEAR, _other_year)):
        if match := pattern.search(question):
            for _ in range(_TRIES):
                other = another(match.group(), chosen)
                if other != match.group() and folded(other) not in absent_from:
                    return question[: match.start()] + other + question[match.end() :]
    return ""


def _other_code(code: str, chosen: random.Random) -> str:
    """Return the code with its last two digits drawn again."""
    places = [i for i, character in enumerate(code) if character.isdigit()][-2:]
    return "".join(str(chosen.randint(1, 9)) if i in places else character for i, character in enumerate(code))


def _other_year(year: str, chosen: random.Random) -> str:
    """Return a year near by."""
    return str(int(year) + chosen.choice((-9, -7, -6, -5, -4, -3, 3, 4, 5, 6)))
