"""Sessions: who a browser's token belongs to, for how long, and where else a person is signed in."""

from __future__ import annotations

from app.people.database import People, all_rows, new_id, new_token, one_row, token_hash
from app.people.person_rows import person_of, read_person
from app.people.records import Person, Session
from core.errors import UnknownPerson
from core.settings import ServeSettings

DAY_SECONDS = 86_400.0
_SEEN_EVERY_SECONDS = 300.0  # a visit is noted this often at most: a page of many parts is not many writes
_MOST_CHARS = 200


class Sessions:
    """The sessions of everybody; the token is the browser's alone, and a hash of it is kept."""

    def __init__(self, people: People, settings: ServeSettings) -> None:
        self._people = people
        self._longest_seconds = settings.session_days * DAY_SECONDS
        self._idle_seconds = settings.session_idle_days * DAY_SECONDS

    def create(self, person_id: str, *, user_agent: str = "", address: str = "") -> str:
        """Sign a person in and return the token for the cookie; sessions that have expired are forgotten.

        Raises:
            UnknownPerson: There is none of this id, or the account is disabled.
        """
        token, now = new_token(), self._people.clock()
        with self._people.writing() as connection:
            if read_person(connection, person_id).disabled:
                raise UnknownPerson("there is no such person", remedy="The account is disabled")
            connection.execute(
                "DELETE FROM sessions WHERE created <= ? OR seen <= ?",
                (now - self._longest_seconds, now - self._idle_seconds),
            )
            connection.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?)",
                (new_id(), token_hash(token), person_id, now, now, _line(user_agent), _line(address)),
            )
        return token

    def resolve(self, token: str) -> Person | None:
        """Return whose session this is; None for one that is unknown, expired or revoked. Being seen prolongs it."""
        if not token:
            return None
        hashed, now = token_hash(token), self._people.clock()
        with self._people.reading() as connection:
            row = one_row(
                connection,
                "SELECT p.id, p.name, p.role, p.disabled, p.created, s.created, s.seen FROM sessions AS s "
                "JOIN persons AS p ON p.id = s.person WHERE s.token = ? AND p.disabled = 0",
                (hashed,),
            )
        if row is None:
            return None
        *person, created, seen = row
        if now >= self._ends(created, seen):
            return None
        if now - seen >= _SEEN_EVERY_SECONDS:
            with self._people.writing() as connection:
                connection.execute("UPDATE sessions SET seen = ? WHERE token = ? AND seen < ?", (now, hashed, now))
        return person_of(tuple(person))

    def of(self, person_id: str, *, token: str = "") -> list[Session]:
        """Return where a person is signed in, last seen first; ``token`` tells which of them is asking."""
        current, now = token_hash(token), self._people.clock()
        with self._people.reading() as connection:
            rows = all_rows(
                connection,
                "SELECT id, token, created, seen, user_agent, address FROM sessions WHERE person = ? "
                "ORDER BY seen DESC, id",
                (person_id,),
            )
        return [
            Session(
                id=session_id,
                created=created,
                seen=seen,
                expires=self._ends(created, seen),
                user_agent=user_agent,
                address=address,
                current=hashed == current,
            )
            for session_id, hashed, created, seen, user_agent, address in rows
            if now < self._ends(created, seen)
        ]

    def end(self, token: str) -> None:
        """Sign out: the session of this token ends."""
        with self._people.writing() as connection:
            connection.execute("DELETE FROM sessions WHERE token = ?", (token_hash(token),))

    def revoke(self, person_id: str, session_id: str) -> None:
        """End one of a person's sessions.

        Raises:
            UnknownPerson: They have none of this id.
        """
        with self._people.writing() as connection:
            connection.execute("DELETE FROM sessions WHERE id = ? AND person = ?", (session_id, person_id))
            if not connection.changes():
                raise UnknownPerson("there is no such session", remedy="It may have ended; reload the list")

    def revoke_all(self, person_id: str, *, but_token: str = "") -> int:
        """End a person's sessions, all but that of ``but_token``, and return how many there were."""
        with self._people.writing() as connection:
            connection.execute(
                "DELETE FROM sessions WHERE person = ? AND token <> ?", (person_id, token_hash(but_token))
            )
            return connection.changes()

    def _ends(self, created: float, seen: float) -> float:
        return min(created + self._longest_seconds, seen + self._idle_seconds)


def _line(text: str) -> str:
    printable = "".join(character if character.isprintable() else " " for character in text[:_MOST_CHARS])
    return printable.encode("utf-8", "replace").decode()
