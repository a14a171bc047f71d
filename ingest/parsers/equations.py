"""Write Office's equations (OMML) on one line, as one would type them: x^2, (a+b)/(2c), √(x), Σ_(k=0)^n."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"


def linear(element: Any) -> str:
    """Return an equation, or a part of one, as a line of text."""
    tag = element.tag[len(M) :] if isinstance(element.tag, str) and element.tag.startswith(M) else ""
    if tag == "t":
        return element.text or ""
    if tag.endswith("Pr"):
        return ""
    write = _WRITERS.get(tag)
    return write(element) if write else "".join(linear(child) for child in element)


def _part(element: Any, name: str) -> str:
    found = element.find(f"{M}{name}")
    return "" if found is None else linear(found).strip()


def _grouped(text: str) -> str:
    """Bracket what is more than one sign, so that what binds it stays clear."""
    return text if len(text) <= 1 or text.isalnum() or (text[0] == "(" and text[-1] == ")") else f"({text})"


def _property(element: Any, path: str, default: str) -> str:
    found = element.find(path)
    return default if found is None else found.get(f"{M}val", "")


def _fraction(element: Any) -> str:
    kind = _property(element, f"{M}fPr/{M}type", "bar")
    above, below = _part(element, "num"), _part(element, "den")
    if kind == "noBar":
        return f"({above} choose {below})"
    return f"{_grouped(above)}/{_grouped(below)}"


def _scripts(element: Any) -> str:
    base, below, above = _part(element, "e"), _part(element, "sub"), _part(element, "sup")
    base = _grouped(base) if "/" in base or " " in base else base
    return base + (f"_{_grouped(below)}" if below else "") + (f"^{_grouped(above)}" if above else "")


def _radical(element: Any) -> str:
    degree, body = _part(element, "deg"), _part(element, "e")
    return f"{f'[{degree}]' if degree else ''}√({body})"


def _large(element: Any) -> str:
    sign = _property(element, f"{M}naryPr/{M}chr", "∫")
    below, above = _part(element, "sub"), _part(element, "sup")
    limits = (f"_{_grouped(below)}" if below else "") + (f"^{_grouped(above)}" if above else "")
    return f"{sign}{limits} {_part(element, 'e')}"


def _delimited(element: Any) -> str:
    opening = _property(element, f"{M}dPr/{M}begChr", "(")
    closing = _property(element, f"{M}dPr/{M}endChr", ")")
    between = _property(element, f"{M}dPr/{M}sepChr", "|")
    body = between.join(linear(part).strip() for part in element.findall(f"{M}e"))
    if opening == "(" and " choose " in body:  # a binomial brings its own brackets
        return body
    return f"{opening}{body}{closing}"


def _function(element: Any) -> str:
    return f"{_part(element, 'fName')}{_bracketed(_part(element, 'e'))}"


def _bracketed(text: str) -> str:
    return text if text.startswith("(") and text.endswith(")") else f"({text})"


def _limit(mark: str) -> Callable[[Any], str]:
    def write(element: Any) -> str:
        limit = _part(element, "lim")
        return f"{_part(element, 'e')}{mark}{_grouped(limit)}" if limit else _part(element, "e")

    return write


def _accent(element: Any) -> str:
    return _part(element, "e") + _property(element, f"{M}accPr/{M}chr", "\u0302")


def _matrix(element: Any) -> str:
    rows = ("  ".join(linear(cell).strip() for cell in row.findall(f"{M}e")) for row in element.findall(f"{M}mr"))
    return "; ".join(rows)


def _array(element: Any) -> str:
    return "; ".join(linear(part).strip() for part in element.findall(f"{M}e"))


_WRITERS: dict[str, Callable[[Any], str]] = {
    "f": _fraction,
    "sSup": _scripts,
    "sSub": _scripts,
    "sSubSup": _scripts,
    "sPre": _scripts,
    "rad": _radical,
    "nary": _large,
    "d": _delimited,
    "func": _function,
    "limLow": _limit("_"),
    "limUpp": _limit("^"),
    "acc": _accent,
    "m": _matrix,
    "eqArr": _array,
}
