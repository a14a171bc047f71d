"""Recognize headings by how they are written, in text that marks none."""

from __future__ import annotations

import re

_MAX_ENGLISH = 90  # characters
_MAX_CHINESE = 40
_NUMERAL = "〇零一二三四五六七八九十百千0-9０-９"

_CHINESE: tuple[tuple[re.Pattern[str], int], ...] = (
    (re.compile(rf"第[{_NUMERAL}]{{1,6}}\s*[篇部编卷編](?:[\s:：、.．]|$)"), 1),
    (re.compile(rf"第[{_NUMERAL}]{{1,6}}\s*章"), 1),
    (re.compile(rf"第[{_NUMERAL}]{{1,6}}\s*[节節](?!约|省|能|約)"), 2),
    (re.compile(r"附[录錄件表](?:\s*[一二三四五六七八九十A-Z0-9]+)?(?:[\s:：、]|$)"), 1),
    (re.compile(r"[一二三四五六七八九十]{1,3}\s*、"), 2),
    (re.compile(r"[（(][一二三四五六七八九十]{1,3}[）)]"), 3),
)
_ENGLISH = re.compile(r"(?:Part|Chapter|Appendix|Annex|Section|Article)\s+(?:\d+|[IVXLC]+|[A-Z])\b", re.I)
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2}){1,4})\.?[ \t\u3000]+[\"“(（《]?[A-Z\u4e00-\u9fff]")
_FIRST_LEVEL = re.compile(r"\d{1,2}[.、]?[ \t\u3000]+[A-Z\u4e00-\u9fff]")
_SENTENCE = re.compile(r"[。；;，,：:!！?？]$|[a-z]\.$")


def heading_level(line: str, *, stands_alone: bool) -> int | None:
    """Return the level a line has as a heading, or None.

    Args:
        line: One line, such as "1.2 Scope", "第三章 附则" or "Chapter 4".
        stands_alone: Whether empty lines part it from the text around it; without that only the surest forms count.
    """
    line = line.strip()
    is_chinese = any("\u4e00" <= c <= "\u9fff" for c in line)
    if not line or len(line) > (_MAX_CHINESE if is_chinese else _MAX_ENGLISH) or _SENTENCE.search(line):
        return None
    for pattern, level in _CHINESE:
        if pattern.match(line):
            return level if level == 1 or stands_alone or "、" not in line[:4] else None
    if not stands_alone:
        return None
    if _ENGLISH.match(line):
        return 2 if line.lower().startswith(("section", "article")) else 1
    numbered = _NUMBERED.match(line)
    if numbered:
        return numbered.group(1).count(".") + 1
    return 1 if _FIRST_LEVEL.match(line) else None
