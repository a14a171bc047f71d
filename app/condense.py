"""Make a follow-up stand on its own, only when it refers back.

A turn refers back when it leans on a pronoun ("what does it cost?", "那它呢？") or is too short to say what it is
about ("And in 2024?", "300X呢？"). Its standalone form names the earlier question's subject before it, which is what
retrieval and the sentence weighing need; no model is called, so a turn costs nothing and cannot be led astray.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.records import Message
from core.text import content_terms, detect_language

_REFERS = re.compile(
    r"^(?:and|but|so|what about|how about|what if|ok(?:ay)?|then|also|or|(?:after|before) that|afterwards)\b|"
    r"^later(?:,| on\b)|"
    r"\b(?:it|its|they|them|their|theirs|this|these|those|he|him|his|she|her|hers|the same|the former|the latter|"
    r"instead)\b|\bthat(?=[?.,]|$| (?:is|was|one|cost|mean|apply|include|take|work)\b)|"
    r"它|(?<!其)他|她|其(?![他它中余实])|这|那|呢[？?]?$|^(?:还有|另外|以及|如果是|换成|后来|之后(?!的)|然后|接着)|同样|前者|后者|上述|刚才",
    re.I,
)
_FEWEST_TERMS = 2


def refers_back(question: str) -> bool:
    """Return whether ``question`` needs the turn before it to be understood."""
    n_terms = len(content_terms(question))
    if detect_language(question) == "zh":
        return bool(_REFERS.search(question)) or len(question.strip("？?。 ")) <= 4
    return bool(_REFERS.search(question)) or n_terms < _FEWEST_TERMS


def condense(question: str, history: Sequence[Message]) -> str:
    """Return ``question`` so that it can be searched without ``history``; unchanged when it stands on its own."""
    return behind(question, history) if refers_back(question) else question


def behind(question: str, history: Sequence[Message]) -> str:
    """Return ``question`` behind the earlier question's subject; unchanged where there is none, or it is that one."""
    earlier = _subject(history)
    return f"{earlier} {question}" if earlier not in ("", question.strip()) else question


def _subject(history: Sequence[Message]) -> str:
    """Return the last question that stood on its own, with those that followed it and referred back."""
    asked = [message.content.strip() for message in history if message.role == "user" and message.content.strip()]
    chain: list[str] = []
    for question in reversed(asked[-4:]):
        chain.insert(0, question)
        if not refers_back(question):
            break
    return " ".join(chain[:1] + chain[1:][-1:])
