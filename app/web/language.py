"""Which language a page speaks."""

from __future__ import annotations

from collections.abc import Mapping

from app.texts import LANGUAGES
from core.records import Language

LANGUAGE_COOKIE = "citadel_language"
YEAR_SECONDS = 31_536_000


def wanted_language(cookies: Mapping[str, str], accepted: str, setting: str) -> Language:
    """Return the language of the pages: the one chosen before, else the setting's, else the browser's first."""
    for named in (cookies.get(LANGUAGE_COOKIE), setting):
        for known in LANGUAGES:
            if named == known:
                return known
    for part in accepted.lower().split(","):
        for known in LANGUAGES:
            if part.strip().startswith(known):
                return known
    return "en"
