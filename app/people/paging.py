"""Long lists in parts: a part ends with a mark, and the next begins after it, whatever was added meanwhile."""

from __future__ import annotations

from core.errors import UsageError

MAX_ROWS = 200


def mark(at: float, row_id: str) -> str:
    """Return the mark of a row that is ordered by time and id."""
    return f"{at!r}~{row_id}"


def read_mark(text: str) -> tuple[float, str]:
    """Return time and id of a mark; "" stands before everything, newest first.

    Raises:
        UsageError: It is no mark.
    """
    if not text:
        return float("inf"), ""
    at, _, row_id = text.partition("~")
    try:
        return float(at), row_id
    except ValueError:
        raise UsageError("this place in the list is not known", remedy="Begin at the top of the list") from None


def n_rows(n: int) -> int:
    """Return how many rows a part may have, at most ``MAX_ROWS``."""
    return min(max(n, 1), MAX_ROWS)
