"""Who may do what with which collection: the one place that says so.

A collection has an owner, is public or not, and is granted to persons and groups, to read or to write. One that the
knowledge base knows and that is not written down here belongs to nobody, and administrators alone see it. Every
question is answered from the file as it is at that moment: a role or a grant that was taken away counts at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import apsw

from app.people.conversation_rows import is_owned
from app.people.database import People, all_rows
from app.people.records import CollectionRights, Person, Right, Role
from app.uploads import conversation_of
from core.errors import NotAllowed, UnknownCollection
from core.tables import nearest
from indexes.database import from_sql, to_sql

_ORDER: dict[Right, int] = {"read": 1, "write": 2, "own": 3}
_DEEDS: dict[Right, str] = {"read": "read", "write": "add to or delete from", "own": "manage"}
_RIGHTS = """
SELECT c.name, c.label, c.owner, o.name, c.public, count(g.level), max(g.level = 'write')
FROM collections AS c
LEFT JOIN persons AS o ON o.id = c.owner
LEFT JOIN grants AS g ON g.collection = c.name
    AND (g.person = :person OR g.team IN (SELECT team FROM members WHERE person = :person))
"""


class Access:
    """What one person may do with the collections of a knowledge base.

    Args:
        people: The file of people.
        person: Who it is about; their role is read anew each time.
        known: Returns the names of the knowledge base's collections.
    """

    def __init__(self, people: People, person: Person, *, known: Callable[[], Sequence[str]]) -> None:
        self.people = people
        self.person_id = person.id
        self.known = known

    @property
    def role(self) -> Role | None:
        """The person's role now; None for one who is disabled or deleted."""
        with self.people.reading() as connection:
            role: Role | None = connection.execute(
                "SELECT role FROM persons WHERE id = ? AND disabled = 0", (self.person_id,)
            ).get
        return role

    def collections(self) -> list[CollectionRights]:
        """Return what the person may read, by label; collections that hold nothing yet are among them."""
        with self.people.reading() as connection:
            found = {rights.name: rights for rights in self._written_down(connection)}
            if self.role == "admin":
                nobodys = (name for name in self.known() if name not in found and not conversation_of(name))
                found |= {name: CollectionRights(name=name, label=name, right="own") for name in nobodys}
        return sorted(found.values(), key=lambda rights: (rights.label.casefold(), rights.name))

    def readable(self) -> list[str]:
        """Return the names of what the person may read, in alphabetical order."""
        return sorted(rights.name for rights in self.collections())

    def right(self, name: str) -> Right | None:
        """Return the most that the person may do with a collection; None where they may not know of it.

        What is attached to a conversation is read by whose conversation it is, whatever their role, and is of nobody
        else's concern. To fill it and to empty it is not the matter of collections.
        """
        with self.people.reading() as connection:
            if conversation := conversation_of(name):
                mine = is_owned(connection, conversation, person=self.person_id)
                return "read" if mine and self.role is not None else None
            written = next(self._written_down(connection, name), None)
            if written is not None:
                return written.right
            return "own" if self.role == "admin" and name in self.known() else None

    def require(self, name: str, right: Right) -> None:
        """See that the person may do this with a collection.

        Raises:
            UnknownCollection: There is none, or they may not know of it: the two are told alike.
            NotAllowed: They may read it and not do this.
        """
        has = self.right(name)
        if has is None:
            raise self.unknown(name)
        if _ORDER[has] < _ORDER[right]:
            raise NotAllowed(
                f"you may not {_DEEDS[right]} this collection",
                where=name,
                remedy="Ask its owner or an administrator",
            )

    def require_admin(self) -> None:
        """See that the person administers.

        Raises:
            NotAllowed: They do not.
        """
        if self.role != "admin":
            raise NotAllowed("only administrators may do this", remedy="Ask one of them")

    def unknown(self, name: str) -> UnknownCollection:
        """Return the error of a collection that is not there for this person; only what they may read is near."""
        near = nearest(name, self.readable())
        return UnknownCollection(
            "there is no such collection", where=name, remedy=f"The nearest is {near}" if near else ""
        )

    def _written_down(self, connection: apsw.Connection, name: str | None = None) -> Iterator[CollectionRights]:
        """Yield what is written down and the person may read, of one name or of all."""
        role = self.role
        if role is None:
            return
        where = "" if name is None else "WHERE c.name = :name"
        bindings = {"person": self.person_id, "name": None if name is None else to_sql(name)}
        for row in all_rows(connection, f"{_RIGHTS} {where} GROUP BY c.name", bindings):
            found, label, owner, owner_name, public, n_grants, may_write = row
            mine = owner == self.person_id
            right = _right(role, mine=mine, may_write=bool(may_write), may_read=bool(public or n_grants))
            if right is not None:
                yield CollectionRights(
                    name=from_sql(found),
                    label=from_sql(label),
                    right=right,
                    owner=owner or "",
                    owner_name=owner_name or "",
                    public=bool(public),
                )


def _right(role: Role, *, mine: bool, may_write: bool, may_read: bool) -> Right | None:
    """Return what a role makes of a claim: a reader reads, whatever was granted or is owned."""
    if role == "admin" or (role == "editor" and mine):
        return "own"
    if role == "editor" and may_write:
        return "write"
    return "read" if mine or may_read else None
