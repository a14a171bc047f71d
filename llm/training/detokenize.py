"""Put tokenized English back as people write it, and say where each character went.

Corpora that were cut into tokens read "Germany , who" and "`` I 'm a Man ''"; a model that is trained on them writes
so too.
"""

from __future__ import annotations

import re

# pattern -> what its first group becomes; the rest of the pattern is only looked at
_EDITS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile("([\ufeff\u200b\u200e\u202c]+ ?)"), ""),
    (re.compile(r"(``\s?)"), '"'),
    (re.compile(r"(\s?'')(?!')"), '"'),
    (re.compile(r"(?<=\w)(\s+)(?=(?:'(?:s|m|re|ve|ll|d)|n't)\b)"), ""),
    (re.compile(r"(?<=s)(\s+)(?='\s)"), ""),
    (re.compile(r"(?<=[^s] ')( )(?=\w[^']{1,60}')"), ""),
    (re.compile(r"(?<=\d)( -- )(?=\d)"), "–"),
    (re.compile(r"(?<=[\w)'\"])( -- )(?=[\w(`'\"])"), " – "),
    (re.compile(r"(?<=\w)( - )(?=\w)"), "-"),
    (re.compile(r"(?<=\S)( / )(?=\S)"), "/"),
    (re.compile(r"(?<=\d)( : )(?=\d\d\b)"), ":"),
    (re.compile(r"(?<=\S)(\s+)(?=[,;:!?)\]%]+(?:\s|$))"), ""),
    (re.compile(r"(?<=\S)(\s+)(?=\.+(?:\s|$))"), ""),
    (re.compile(r"(?<=[(\[])(\s+)"), ""),
    (re.compile(r"(?<=[$£€¥₹#])(\s+)(?=\d)"), ""),
    (re.compile(r"(?<=\d)(\s+)(?=°)"), ""),
    (re.compile(r"(?<=°)(\s+)(?=[CFNSEW]\b)"), ""),
    (re.compile(r"(\s{2,})"), " "),
)


def detokenize(text: str) -> tuple[str, list[int]]:
    """Return the text as written, and for each of the ``len(text) + 1`` old offsets the new one."""
    edits: dict[int, tuple[int, str]] = {}
    taken = -1
    found = [(m.start(1), m.end(1), becomes) for pattern, becomes in _EDITS for m in pattern.finditer(text)]
    for start, end, becomes in sorted(found, key=lambda edit: (edit[0], -edit[1])):
        if start >= taken and end > start:
            edits[start] = end, becomes
            taken = end
    pieces: list[str] = []
    places = [0] * (len(text) + 1)
    at = new = 0
    while at < len(text):
        end, becomes = edits.get(at, (at + 1, text[at]))
        places[at:end] = [new] * (end - at)
        pieces.append(becomes)
        new += len(becomes)
        at = end
    places[len(text)] = new
    return "".join(pieces), places
