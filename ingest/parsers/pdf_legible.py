"""Tell text that means something from text that a PDF's fonts have lost."""

from __future__ import annotations

from ingest.parsers.pdf_chars import PageText

_GARBLED = 0.2  # share of characters without meaning above which a page's text is worthless
_N_WORDS = 2000  # looked at


def is_legible(text: PageText) -> bool:
    """Whether a page has text, and text that means something."""
    if not text.n_chars or text.n_garbled > _GARBLED * text.n_chars:
        return False
    written = "".join(word.text for word in text.words[:_N_WORDS])
    if written.count("(cid:") * 8 > _GARBLED * len(written):
        return False
    return not _is_mistranslated(written)


def _is_mistranslated(written: str) -> bool:
    """Whether letters are of kinds that hardly occur together: bytes of Chinese read as Western, or random Chinese."""
    accented = sum("\u00a1" <= c <= "\u00ff" for c in written)
    ascii_letters = sum(c.isascii() and c.isalpha() for c in written)
    if accented > 20 and accented > ascii_letters:
        return True
    chinese = [c for c in written if "\u3400" <= c <= "\u9fff"]
    # Of the 20,902 characters of Unicode's first block, those in use are in these two sets.
    return len(chinese) > 40 and sum(map(_in_use, chinese)) < 0.6 * len(chinese)


def _in_use(char: str) -> bool:
    try:
        char.encode("gb2312")
    except UnicodeEncodeError:
        try:
            return char.encode("big5") < b"\xc9\x40"  # level 1: the 5,401 frequent characters
        except UnicodeEncodeError:
            return False
    return True
