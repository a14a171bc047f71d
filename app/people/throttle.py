"""Slow down those who guess: waits that grow with each failure and outlive a restart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import apsw

from app.people.database import People, one_row
from core.errors import Throttled

_FORGOTTEN_AFTER_SECONDS = 24 * 3600.0
Kind = Literal["both", "address", "name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    """``free`` failures cost nothing; each more doubles the wait, from one second to ``longest_seconds``."""

    free: int
    longest_seconds: float


# A name alone waits a minute at most: else anybody could keep its owner out by failing on purpose.
LIMITS: dict[Kind, _Limit] = {
    "both": _Limit(free=5, longest_seconds=900.0),
    "address": _Limit(free=20, longest_seconds=900.0),
    "name": _Limit(free=50, longest_seconds=60.0),
}


class Throttle:
    """Counts the tries to sign in, by name, by address and by both together.

    What was typed as a name is kept as a hash alone: it may be a password in the wrong field.
    """

    def __init__(self, people: People) -> None:
        self._people = people

    def begin(self, name: str, address: str) -> None:
        """Count a try as failed before it is judged, so that many at once are not all judged first.

        Raises:
            Throttled: It is too soon; it says for how long.
        """
        now = self._people.clock()
        with self._people.writing() as connection:
            connection.execute("DELETE FROM tries WHERE last < ?", (now - _FORGOTTEN_AFTER_SECONDS,))
            rows = {kind: _row(connection, key) for kind, key in _keys(name, address)}
            wait = max(until for _, until in rows.values()) - now
            if wait <= 0:
                for kind, key in _keys(name, address):
                    _put(connection, key, kind=kind, failures=rows[kind][0] + 1, now=now)
        if wait > 0:
            raise Throttled(
                "too many tries to sign in failed",
                remedy=f"Wait {wait:.0f} seconds, then try again" if wait >= 1 else "Wait a second, then try again",
                retry_after_seconds=wait,
            )

    def succeeded(self, name: str, address: str) -> None:
        """Take a try back: the two together start anew; each alone is forgiven this one only.

        Else somebody with an account of their own could go on guessing at others from the same address.
        """
        with self._people.writing() as connection:
            for kind, key in _keys(name, address):
                failures = 0 if kind == "both" else max(0, _row(connection, key)[0] - 1)
                _put(connection, key, kind=kind, failures=failures, now=self._people.clock())


def _keys(name: str, address: str) -> Iterable[tuple[Kind, bytes]]:
    typed: dict[Kind, str] = {"both": f"{name}\n{address}", "address": address, "name": name}
    for kind, text in typed.items():
        yield kind, hashlib.sha256(f"{kind}\n{text}".encode("utf-8", "surrogatepass")).digest()


def _row(connection: apsw.Connection, key: bytes) -> tuple[int, float]:
    row = one_row(connection, "SELECT failures, until FROM tries WHERE key = ?", (key,))
    return (int(row[0]), float(row[1])) if row else (0, 0.0)


def _put(connection: apsw.Connection, key: bytes, *, kind: Kind, failures: int, now: float) -> None:
    limit = LIMITS[kind]
    beyond = failures - limit.free
    wait = min(limit.longest_seconds, 2.0 ** min(beyond, 30)) if beyond >= 0 else 0.0
    if failures:
        connection.execute("INSERT OR REPLACE INTO tries VALUES (?, ?, ?, ?)", (key, failures, now, now + wait))
    else:
        connection.execute("DELETE FROM tries WHERE key = ?", (key,))
