"""Groups: persons who are granted things together."""

from __future__ import annotations

import apsw

from app.people.database import People, all_rows, new_id
from app.people.person_rows import checked_name, name_key, read_person, unique_name
from app.people.records import Group
from core.errors import UnknownPerson


class Groups:
    """The groups of a knowledge base; who may change them is for the caller to see to."""

    def __init__(self, people: People) -> None:
        self._people = people

    def all(self) -> list[Group]:
        """Return the groups with their members, by name."""
        with self._people.reading() as connection:
            ids = [row[0] for row in all_rows(connection, "SELECT id FROM groups ORDER BY name_key")]
            return [_read(connection, group_id) for group_id in ids]

    def get(self, group_id: str) -> Group:
        """Return a group.

        Raises:
            UnknownPerson: There is none of this id.
        """
        with self._people.reading() as connection:
            return _read(connection, group_id)

    def add(self, name: str) -> Group:
        """Make a group without members.

        Raises:
            NameTaken: Another group has this name.
            UsageError: The name is none.
        """
        name, group_id = checked_name(name), new_id()
        with self._people.writing() as connection:
            with unique_name(name):
                row = (group_id, name, name_key(name), self._people.clock())
                connection.execute("INSERT INTO groups VALUES (?, ?, ?, ?)", row)
            return _read(connection, group_id)

    def rename(self, group_id: str, name: str) -> Group:
        """Give a group another name; raises as :meth:`add` and :meth:`get` do."""
        name = checked_name(name)
        with self._people.writing() as connection:
            with unique_name(name):
                row = (name, name_key(name), group_id)
                connection.execute("UPDATE groups SET name = ?, name_key = ? WHERE id = ?", row)
            return _read(connection, group_id)

    def delete(self, group_id: str) -> None:
        """Delete a group, and with it what was granted to it."""
        with self._people.writing() as connection:
            connection.execute("DELETE FROM groups WHERE id = ?", (group_id,))

    def join(self, group_id: str, person_id: str) -> Group:
        """Make a person a member.

        Raises:
            UnknownPerson: There is no such group or person.
        """
        with self._people.writing() as connection:
            _read(connection, group_id)
            read_person(connection, person_id)
            connection.execute("INSERT OR IGNORE INTO members VALUES (?, ?)", (group_id, person_id))
            return _read(connection, group_id)

    def leave(self, group_id: str, person_id: str) -> Group:
        """Make a person no member any more.

        Raises:
            UnknownPerson: There is no such group.
        """
        with self._people.writing() as connection:
            connection.execute("DELETE FROM members WHERE team = ? AND person = ?", (group_id, person_id))
            return _read(connection, group_id)


def _read(connection: apsw.Connection, group_id: str) -> Group:
    name = connection.execute("SELECT name FROM groups WHERE id = ?", (group_id,)).get
    if name is None:
        raise UnknownPerson("there is no such group", remedy="It may have been deleted")
    query = (
        "SELECT m.person FROM members AS m JOIN persons AS p ON p.id = m.person WHERE m.team = ? ORDER BY p.name_key"
    )
    members = all_rows(connection, query, (group_id,))
    return Group(id=group_id, name=name, members=tuple(row[0] for row in members))
