"""Numbers, shares, times and days as people write them."""

from __future__ import annotations

from datetime import date, datetime

from app.texts import say
from core.records import Language

NOTHING = "–"
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


def percent(part: float, whole: float = 1.0) -> str:
    """Return a share as whole percent, with a tenth below ten; a dash of nothing."""
    if not whole:
        return NOTHING
    share = 100 * part / whole
    return f"{share:.1f}%" if 0 < share < 10 else f"{share:.0f}%"


def points(share: float) -> str:
    """Return a difference of shares in percentage points, with its sign."""
    return f"{100 * share:+.1f}".replace("-", "−")


def milliseconds(value: float | None, language: Language) -> str:
    """Return a time as people read it; a dash where there is none."""
    if value is None:
        return NOTHING
    if value < 1000:
        return say("time.milliseconds", language, n=f"{value:.0f}")
    return say("time.seconds", language, n=f"{value / 1000:.1f}" if value < 10_000 else f"{value / 1000:.0f}")


def day(of: date, language: Language) -> str:
    """Return a day without its year."""
    return f"{of.month}月{of.day}日" if language == "zh" else f"{of.day} {_MONTHS[of.month - 1]}"


def moment(at: float) -> str:
    """Return a time in seconds since the epoch as a date and a time of day."""
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")
