"""Make collections and share them; each step passes :class:`Access`."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from app.people.access import Access
from app.people.database import People, all_rows
from app.people.person_rows import read_person
from app.people.records import Grant, Level
from app.uploads import checked_collection
from core.errors import NameTaken, NotAllowed, UnknownPerson
from indexes.database import to_sql

_ALPHABET = string.ascii_lowercase + string.digits
_ENDING_CHARS = 6
_LABEL_CHARS_IN_NAME = 40


class Sharing:
    """The collections that one person makes and manages.

    All but :meth:`create` and :meth:`forget` raise UnknownCollection and NotAllowed as :meth:`Access.require` does of
    an owner.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._people = access.people

    def create(self, label: str) -> str:
        """Make a private collection of the person's own and return its name.

        An administrator's collection is named as it is labelled. Another's name has a random ending, so that whether a
        label is free never tells what others have.

        Raises:
            NotAllowed: The person only reads.
            NameTaken: An administrator's label is the name of another collection.
            UsageError: The label is no name.
        """
        label = name = checked_collection(label)
        with self._people.writing() as connection:
            role = self._access.role
            if role not in ("admin", "editor"):
                raise NotAllowed("you may not make collections", remedy="Ask an administrator")
            if role != "admin":
                ending = "".join(secrets.choice(_ALPHABET) for _ in range(_ENDING_CHARS))
                name = f"{label[:_LABEL_CHARS_IN_NAME]}~{ending}"
            written = connection.execute("SELECT 1 FROM collections WHERE name = ?", (to_sql(name),)).get
            if written is not None or name in self._access.known():
                raise NameTaken("there is a collection of this name", where=label, remedy="Choose another name")
            row = (to_sql(name), to_sql(label), self._access.person_id, self._people.clock())
            connection.execute("INSERT INTO collections VALUES (?, ?, ?, 0, ?)", row)
        return name

    def grants(self, name: str) -> list[Grant]:
        """Return to whom a collection is granted, by name."""
        with self._managing(name) as connection:
            rows = all_rows(
                connection,
                "SELECT 'person', p.id, p.name, g.level FROM grants AS g JOIN persons AS p ON p.id = g.person "
                "WHERE g.collection = :name UNION ALL "
                "SELECT 'group', t.id, t.name, g.level FROM grants AS g JOIN groups AS t ON t.id = g.team "
                "WHERE g.collection = :name ORDER BY 3",
                {"name": to_sql(name)},
            )
        return [Grant(kind=kind, id=row_id, name=called, level=level) for kind, row_id, called, level in rows]

    def grant(self, name: str, level: Level, *, person: str | None = None, group: str | None = None) -> None:
        """Let a person or a group read a collection, or write to it, instead of what they had.

        Raises:
            UnknownPerson: There is no such person or group.
        """
        with self._managing(name) as connection:
            _drop(connection, name, person=person, group=group)
            try:
                connection.execute("INSERT INTO grants VALUES (?, ?, ?, ?)", (to_sql(name), person, group, level))
            except apsw.ConstraintError as error:
                raise UnknownPerson("there is no such person or group", remedy="They may have been deleted") from error

    def revoke(self, name: str, *, person: str | None = None, group: str | None = None) -> None:
        """Take back what was granted."""
        with self._managing(name) as connection:
            _drop(connection, name, person=person, group=group)

    def publish(self, name: str, public: bool = True) -> None:
        """Let everybody who is signed in read a collection, or no longer."""
        with self._managing(name) as connection:
            connection.execute("UPDATE collections SET public = ? WHERE name = ?", (int(public), to_sql(name)))

    def rename(self, name: str, label: str) -> None:
        """Change what people read as a collection's name; programs keep theirs.

        Raises:
            UsageError: The label is no name.
        """
        label = checked_collection(label)
        with self._managing(name) as connection:
            connection.execute("UPDATE collections SET label = ? WHERE name = ?", (to_sql(label), to_sql(name)))

    def transfer(self, name: str, person_id: str) -> None:
        """Give a collection to another owner.

        Raises:
            UnknownPerson: There is no such person.
        """
        with self._managing(name) as connection:
            read_person(connection, person_id)
            _drop(connection, name, person=person_id, group=None)
            connection.execute("UPDATE collections SET owner = ? WHERE name = ?", (person_id, to_sql(name)))

    def withdraw(self, name: str) -> None:
        """Make a collection its owner's alone again."""
        with self._managing(name) as connection:
            connection.execute("DELETE FROM grants WHERE collection = ?", (to_sql(name),))
            connection.execute("UPDATE collections SET public = 0 WHERE name = ?", (to_sql(name),))

    def forget(self, name: str) -> None:
        """Forget a collection that the knowledge base no longer has; whoever deleted it there was its owner."""
        with self._people.writing() as connection:
            connection.execute("DELETE FROM collections WHERE name = ?", (to_sql(name),))

    @contextmanager
    def _managing(self, name: str) -> Iterator[apsw.Connection]:
        with self._people.writing() as connection:
            self._access.require(name, "own")
            _write_down(connection, name, public=False, now=self._people.clock())
            yield connection


def make_public_at_first(people: People, name: str) -> None:
    """Let everybody read a collection that is not written down yet, as the sample at the first start."""
    with people.writing() as connection:
        _write_down(connection, name, public=True, now=people.clock())


def _write_down(connection: apsw.Connection, name: str, *, public: bool, now: float) -> None:
    row = (to_sql(name), to_sql(name), int(public), now)
    connection.execute("INSERT OR IGNORE INTO collections VALUES (?, ?, NULL, ?, ?)", row)


def _drop(connection: apsw.Connection, name: str, *, person: str | None, group: str | None) -> None:
    if (person is None) == (group is None):
        raise ValueError("a grant is to one person or to one group")
    connection.execute(
        "DELETE FROM grants WHERE collection = ? AND (person = ? OR team = ?)", (to_sql(name), person, group)
    )
