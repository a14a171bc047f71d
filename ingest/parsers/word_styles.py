"""What a Word paragraph's style and numbering make of it: heading level, list depth, the number that is shown."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"

_HEADING = re.compile(
    r"^(?:heading|head|标题|標題|見出し|제목|überschrift|titre|título|titolo|titulo|kop|rubrik|overskrift|otsikko|"
    r"nagłówek|nadpis|címsor|заголовок|επικεφαλίδα|başlık|đầu đề)\s*([1-9])\b",
    re.I,
)
_TITLE = re.compile(r"^(?:title|titel|titre|título|标题|標題|文档标题)$", re.I)
_CONTENTS = re.compile(r"^(?:toc|目录|目錄|table of figures|table of contents)\b\s*\d*", re.I)
_CODE = re.compile(r"(?:^|[\s_-])(?:code|source code|preformatted|listing|verbatim|代码)(?:$|[\s_-])", re.I)
_NOT_CODE = re.compile(r"number|reference|caption|title", re.I)
_MONOSPACED = re.compile(r"courier|consolas|mono|menlo|lucida console|sf mono|fira code|source code", re.I)
_MAX_CHAIN = 20  # styles based on one another; a file may hold a ring
_CHINESE_DIGITS = "〇一二三四五六七八九"


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """A paragraph style with what it inherits."""

    name: str = ""
    outline: int | None = None
    numbering: tuple[str, int] | None = None
    monospaced: bool = False

    @property
    def heading_level(self) -> int | None:
        """The 1-based level of a heading style, None for another."""
        if self.outline is not None and self.outline <= 8:
            return self.outline + 1
        named = _HEADING.match(self.name)
        return int(named.group(1)) if named else None

    @property
    def is_title(self) -> bool:
        """Whether this is the document's title."""
        return bool(_TITLE.match(self.name)) and self.outline is None

    @property
    def is_contents(self) -> bool:
        """Whether this is a line of a table of contents."""
        return bool(_CONTENTS.match(self.name))

    @property
    def is_code(self) -> bool:
        """Whether the style's name says code."""
        return bool(_CODE.search(self.name)) and not _NOT_CODE.search(self.name)


class Styles:
    """The paragraph styles of a document by id."""

    def __init__(self, root: Any | None) -> None:
        self._elements = {e.get(f"{W}styleId"): e for e in root.iter(f"{W}style")} if root is not None else {}
        self._default = next(
            (i for i, e in self._elements.items() if e.get(f"{W}default") == "1" and e.get(f"{W}type") == "paragraph"),
            None,
        )
        self._known: dict[str | None, Style] = {}

    def of(self, paragraph: Any) -> Style:
        """Return the style of a paragraph; the document's default where it names none."""
        found = paragraph.find(f"{W}pPr/{W}pStyle")
        return self.by_id(found.get(f"{W}val") if found is not None else self._default)

    def by_id(self, style_id: str | None) -> Style:
        """Return a style with what it inherits; an empty one for an unknown id."""
        if style_id not in self._known:
            self._known[style_id] = self._resolved(style_id)
        return self._known[style_id]

    def _resolved(self, style_id: str | None) -> Style:
        name, outline, numbering, font = "", None, None, ""
        num_id, depth = "", None
        element = self._elements.get(style_id)
        for _ in range(_MAX_CHAIN):
            if element is None:
                break
            name = name or value_of(element, "name")
            outline = outline if outline is not None else number_of(element, "pPr", "outlineLvl")
            num_id = num_id or value_of(element, "pPr", "numPr", "numId")
            depth = depth if depth is not None else number_of(element, "pPr", "numPr", "ilvl")
            fonts = element.find(f"{W}rPr/{W}rFonts")
            font = font or (fonts.get(f"{W}ascii") or "" if fonts is not None else "")
            element = self._elements.get(value_of(element, "basedOn"))
        if num_id and num_id != "0":
            numbering = (num_id, depth if depth is not None else -1)
        return Style(name=name, outline=outline, numbering=numbering, monospaced=bool(_MONOSPACED.search(font)))


@dataclass(slots=True)
class Numbering:
    """Counts the numbered paragraphs of a document, as Word does when it shows it."""

    root: Any | None
    _nums: dict[str, Any] = field(default_factory=dict)
    _abstracts: dict[str, Any] = field(default_factory=dict)
    _counts: dict[str, dict[int, int]] = field(default_factory=dict)
    _started: set[tuple[str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        if self.root is not None:
            self._nums = {e.get(f"{W}numId"): e for e in self.root.findall(f"{W}num")}
            self._abstracts = {e.get(f"{W}abstractNumId"): e for e in self.root.findall(f"{W}abstractNum")}

    def marker(self, num_id: str, depth: int) -> str:
        """Count one paragraph and return what stands before it: "-" for a bullet, else its number as shown."""
        abstract = self._abstract(num_id)
        level = self._level(num_id, abstract, depth)
        kind = value_of(level, "numFmt") if level is not None else "bullet"
        key = abstract.get(f"{W}abstractNumId") if abstract is not None else num_id
        counts = self._counts.setdefault(str(key), {})
        self._restart(num_id, depth, counts)
        counts[depth] = counts[depth] + 1 if depth in counts else self._start(num_id, abstract, depth)
        for deeper in [n for n in counts if n > depth]:
            del counts[deeper]
        if kind == "none":
            return ""
        if kind in ("bullet", ""):
            return "-"
        return self._written(num_id, abstract, level, counts)

    def level_of_style(self, num_id: str, style_id: str) -> int:
        """Return the depth at which a list style hangs a paragraph style, 0 where it does not say."""
        abstract = self._abstract(num_id)
        for level in abstract.findall(f"{W}lvl") if abstract is not None else ():
            if value_of(level, "pStyle") == style_id:
                return int(level.get(f"{W}ilvl") or 0)
        return 0

    def _written(self, num_id: str, abstract: Any, level: Any, counts: dict[int, int]) -> str:
        def number(found: re.Match[str]) -> str:
            depth = int(found.group(1)) - 1
            shown = self._level(num_id, abstract, depth)
            kind = value_of(shown, "numFmt") if shown is not None else "decimal"
            if level.find(f"{W}isLgl") is not None:
                kind = "decimal"
            return written_number(counts.get(depth, self._start(num_id, abstract, depth)), kind)

        return re.sub(r"%([1-9])", number, value_of(level, "lvlText")).strip()

    def _restart(self, num_id: str, depth: int, counts: dict[int, int]) -> None:
        """Begin anew where a list that shares its form with an earlier one says so."""
        override = self._override(num_id, depth)
        if override is not None and (num_id, depth) not in self._started:
            if override.find(f"{W}startOverride") is not None:
                counts.pop(depth, None)
            self._started.add((num_id, depth))

    def _start(self, num_id: str, abstract: Any | None, depth: int) -> int:
        override = self._override(num_id, depth)
        if override is not None and (start := number_of(override, "startOverride")) is not None:
            return start
        level = self._level(num_id, abstract, depth)
        start = number_of(level, "start") if level is not None else None
        return 1 if start is None else start

    def _abstract(self, num_id: str) -> Any | None:
        num = self._nums.get(num_id)
        return None if num is None else self._abstracts.get(value_of(num, "abstractNumId"))

    def _override(self, num_id: str, depth: int) -> Any | None:
        num = self._nums.get(num_id)
        return None if num is None else _by_id(num, "lvlOverride", "ilvl", str(depth))

    def _level(self, num_id: str, abstract: Any | None, depth: int) -> Any | None:
        override = self._override(num_id, depth)
        own = override.find(f"{W}lvl") if override is not None else None
        return own if own is not None else _by_id(abstract, "lvl", "ilvl", str(depth))


def is_monospaced(run: Any) -> bool:
    """Whether a run names a typewriter face."""
    fonts = run.find(f"{W}rPr/{W}rFonts")
    return fonts is not None and bool(_MONOSPACED.search(fonts.get(f"{W}ascii") or fonts.get(f"{W}hAnsi") or ""))


def value_of(element: Any, *path: str) -> str:
    """Return the ``w:val`` at a path of ``w:`` names, "" where there is none."""
    found = element.find("/".join(f"{W}{name}" for name in path))
    return "" if found is None else found.get(f"{W}val") or ""


def number_of(element: Any, *path: str) -> int | None:
    """Return the ``w:val`` at a path as a number, None where there is none."""
    value = value_of(element, *path)
    return int(value) if value.lstrip("-").isdigit() else None


def written_number(number: int, kind: str) -> str:
    """Return a number in one of Word's forms, such as "upperRoman" or "chineseCounting"."""
    if kind in ("lowerLetter", "upperLetter") and number > 0:
        letter = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
        return letter if kind == "lowerLetter" else letter.upper()
    if kind in ("lowerRoman", "upperRoman") and 0 < number < 4000:
        return _roman(number) if kind == "upperRoman" else _roman(number).lower()
    if kind == "decimalZero":
        return f"{number:02d}"
    if kind == "decimalEnclosedCircle" and 1 <= number <= 20:
        return chr(0x245F + number)
    if kind == "ideographDigital":
        return "".join(_CHINESE_DIGITS[int(digit)] for digit in str(number))
    if kind.startswith(("chinese", "japanese", "taiwanese", "ideograph")) and 0 < number < 100:
        return _chinese(number)
    return str(number)


def _by_id(root: Any | None, tag: str, attribute: str, value: str) -> Any | None:
    if root is None:
        return None
    return next((e for e in root.findall(f"{W}{tag}") if e.get(f"{W}{attribute}") == value), None)


def _roman(number: int) -> str:
    signs = "M CM D CD C XC L XL X IX V IV I".split()
    worth = (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1)
    said = ""
    for sign, value in zip(signs, worth, strict=True):
        times, number = divmod(number, value)
        said += sign * times
    return said


def _chinese(number: int) -> str:
    tens, ones = divmod(number, 10)
    said = ("" if tens == 1 else _CHINESE_DIGITS[tens]) + "十" if tens else ""
    return said + (_CHINESE_DIGITS[ones] if ones else "")
