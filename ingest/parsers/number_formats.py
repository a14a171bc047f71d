"""Show a number as a spreadsheet shows it: its format code applied."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache

_QUOTED = re.compile(r'"([^"]*)"')
_BRACKETED = re.compile(r"\[\$([^\]-]*)(?:-[^\]]*)?\]")
_CONDITION = re.compile(r"\[(?!h+\]|m+\]|s+\])[^\]$]*\]", re.I)
_PADDING = re.compile(r"[_*].")
_DATE_TOKEN = re.compile(r'"[^"]*"|\\.|\[h+\]|\[m+\]|\[s+\]|y+|m+|d+|h+|s+(?:\.0+)?|am/pm|a/p|上午/下午|.', re.I | re.S)
_NUMBER_CORE = re.compile(r"[#0?][#0?,]*(?:\.[#0?]*,*)?(?:E[+-]0+)?")
_SIGNIFICANT = 12  # digits; what follows is the noise of binary fractions


def shown(value: object, code: str) -> str:
    """Return a cell's value as its format code shows it; codes beyond the usual ones leave the plain value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, dt.datetime | dt.date | dt.time | dt.timedelta):
        return shown_date(value, code)
    if isinstance(value, int | float):
        return shown_number(value, code)
    return str(value)


def shown_number(value: float, code: str) -> str:
    """Return a number as ``code`` shows it, such as 0.125 under "0.0%" as "12.5%"."""
    if code in ("General", "", "@") or "/" in code:
        return _plain(value)
    section, uses_sign = _section(value, code)
    literal = _PADDING.sub("", _CONDITION.sub("", _BRACKETED.sub(r'"\1"', section)))
    core = _core(literal)
    if core is None:
        return _literal(literal) or _plain(value)
    before, pattern, after = core
    number = abs(value) if uses_sign else value
    if "%" in _QUOTED.sub("", before + after):
        number *= 100
    body = _scaled(number, pattern)
    sign = "-" if body.startswith("-") else ""
    return f"{sign}{_literal(before)}{body.removeprefix('-')}{_literal(after)}".strip()


def shown_date(value: dt.datetime | dt.date | dt.time | dt.timedelta, code: str) -> str:
    """Return a date or time as ``code`` shows it, such as "yyyy-mm-dd"; ISO where the code says nothing."""
    if isinstance(value, dt.timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02d}" + ("" if "m" in code and "s" not in code else f":{seconds:02d}")
    if code in ("General", "", "@"):
        return value.isoformat(sep=" ") if isinstance(value, dt.datetime) else value.isoformat()
    code = _CONDITION.sub("", _BRACKETED.sub("", code.split(";")[0]))
    tokens = _DATE_TOKEN.findall(code)
    halves = any(token.lower() in ("am/pm", "a/p", "上午/下午") for token in tokens)
    pieces: list[str] = []
    for n, token in enumerate(tokens):
        pieces.append(_date_piece(value, token.lower(), token, minutes=_is_minutes(tokens, n), halves=halves))
    return "".join(pieces).strip()


def _date_piece(
    value: dt.datetime | dt.date | dt.time, token: str, written: str, *, minutes: bool, halves: bool
) -> str:
    kind, length = token.strip("[]")[:1], len(token.strip("[]"))
    hour = getattr(value, "hour", 0)
    if written.startswith('"'):
        return written.strip('"')
    if written.startswith("\\"):
        return written[1:]
    if token in ("am/pm", "a/p"):
        return "AM" if hour < 12 else "PM"
    if token == "上午/下午":
        return "上午" if hour < 12 else "下午"
    if kind == "h":
        return f"{(hour % 12 or 12) if halves else hour:0{min(length, 2)}d}"
    if kind == "m" and minutes:
        return f"{getattr(value, 'minute', 0):0{min(length, 2)}d}"
    if kind == "s":
        return f"{getattr(value, 'second', 0):0{2 if token.startswith('ss') else 1}d}"
    if kind in "ymd" and kind and isinstance(value, dt.date):
        return _calendar_piece(value, kind, length)
    return "" if kind in "ymd" and kind else written


def _calendar_piece(value: dt.date, kind: str, length: int) -> str:
    if kind == "y":
        return f"{value.year:04d}" if length > 2 else f"{value.year % 100:02d}"
    number = value.month if kind == "m" else value.day
    if length <= 2:
        return f"{number:0{length}d}"
    name = value.strftime("%B" if kind == "m" else "%A")
    return name[:3] if length == 3 else name[:1] if length == 5 else name


def _is_minutes(tokens: list[str], n: int) -> bool:
    """Whether an "m" means minutes: it follows hours, or seconds follow it."""
    if tokens[n].strip("[]").lower()[:1] != "m":
        return False
    letters = "hsymd"
    before = next((t for t in reversed(tokens[:n]) if t.strip("[]").lower()[:1] in letters), "")
    after = next((t for t in tokens[n + 1 :] if t.strip("[]").lower()[:1] in letters), "")
    return before.strip("[]").lower().startswith("h") or after.lower().startswith("s")


def _section(value: float, code: str) -> tuple[str, bool]:
    """Return the part of a code for the value's sign, and whether that part writes the sign itself."""
    sections = re.split(r';(?=(?:[^"]*"[^"]*")*[^"]*$)', code)
    if value < 0 and len(sections) > 1 and sections[1]:
        return sections[1], True
    if value == 0 and len(sections) > 2 and sections[2]:
        return sections[2], True
    return sections[0], False


@lru_cache(maxsize=1024)
def _core(literal: str) -> tuple[str, str, str] | None:
    """Part a code into what stands before the digits, the digits' pattern, and what stands after."""
    masked = re.sub(r'"[^"]*"|\\.', lambda found: "\0" * len(found.group()), literal)
    found = _NUMBER_CORE.search(masked)
    if found is None:
        return None
    return literal[: found.start()], found.group(), literal[found.end() :]


def _scaled(number: float, pattern: str) -> str:
    scientific = re.search(r"E[+-](0+)", pattern)
    if scientific:
        return f"{number:.{len(pattern.split('E')[0].partition('.')[2])}E}"
    scaled = pattern.rstrip(",")  # each comma after the digits divides by a thousand
    number /= 1000 ** (len(pattern) - len(scaled))
    whole, _, fraction = scaled.partition(".")
    n_least, n_most = fraction.count("0"), len(fraction)
    # Spreadsheets round halves away from zero on the decimal digits they would show.
    text = f"{float(f'{number:.15g}') + (1e-12 if number >= 0 else -1e-12):{',' if ',' in whole else ''}.{n_most}f}"
    if n_most > n_least:
        head, _, tail = text.partition(".")
        tail = tail[:n_least] + tail[n_least:].rstrip("0")
        text = f"{head}.{tail}" if tail else head
    least_whole = whole.replace(",", "").count("0")
    digits, _, rest = text.lstrip("-").partition(".")
    if least_whole > len(digits):
        text = ("-" if text.startswith("-") else "") + digits.zfill(least_whole) + (f".{rest}" if rest else "")
    return text


def _literal(code: str) -> str:
    return re.sub(r"\\(.)", r"\1", _QUOTED.sub(r"\1", code)).replace("?", "").replace("@", "")


def _plain(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.{_SIGNIFICANT}g}"
