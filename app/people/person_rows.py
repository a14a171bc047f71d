"""Persons as rows: names, reading and writing them, and the rule that somebody must be left to administer."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import apsw

from app.people.database import new_id, one_row, token_hash
from app.people.passwords import check_password, hash_password
from app.people.records import Person, Role
from core.errors import LastAdmin, NameTaken, NotAllowed, UnknownPerson, UsageError

MAX_NAME_CHARS = 60
# Who works where nobody signs in: an account without a password, that nobody can sign in to.
MACHINE = "machine"
PERSON = "SELECT id, name, role, disabled, created FROM persons"


def checked_name(name: str) -> str:
    """Return the name of a person or group without the white space around it.

    Raises:
        UsageError: It is empty, too long or holds control characters.
    """
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if not name or len(name) > MAX_NAME_CHARS or not name.isprintable():
        raise UsageError(f"a name has 1 to {MAX_NAME_CHARS} printable characters", remedy="Choose another name")
    return name


def name_key(name: str) -> str:
    """Return what two names share that people would take for the same: case, width and spaces do not count."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(plain.encode("utf-8", "replace").decode().split())


@contextmanager
def unique_name(name: str) -> Iterator[None]:
    """Raise a name that the database knows already as NameTaken."""
    try:
        yield
    except apsw.ConstraintError as error:
        raise NameTaken("this name is taken", where=name, remedy="Choose another") from error


def person_of(row: tuple[Any, ...]) -> Person:
    """Return the person of a row that :data:`PERSON` selected."""
    person_id, name, role, disabled, created = row
    return Person(id=person_id, name=name, role=role, disabled=bool(disabled), created=created)


def read_person(connection: apsw.Connection, person_id: str) -> Person:
    """Return a person.

    Raises:
        UnknownPerson: There is none of this id.
    """
    row = one_row(connection, f"{PERSON} WHERE id = ?", (person_id,))
    if row is None:
        raise UnknownPerson("there is no such person", remedy="They may have been deleted")
    return person_of(row)


def insert_person(connection: apsw.Connection, name: str, *, role: Role, hashed: str, now: float) -> Person:
    """Write a new person.

    Raises:
        NameTaken: Another has this name.
        UsageError: The name is none.
    """
    name, person_id = checked_name(name), new_id()
    with unique_name(name):
        connection.execute(
            "INSERT INTO persons VALUES (?, ?, ?, ?, 0, ?, ?)", (person_id, name, name_key(name), role, hashed, now)
        )
    return read_person(connection, person_id)


def checked_hash(name: str, password: str) -> str:
    """Return the hash of a new password for a person of this name.

    Raises:
        UsageError: The name is none.
        WeakPassword: As :func:`check_password` says.
    """
    check_password(password, name=checked_name(name))
    return hash_password(password)


def write_password(connection: apsw.Connection, person_id: str, hashed: str, *, keep_token: str = "") -> None:
    """Give a person a new password; every session ends but that of ``keep_token``, and so do offered resets."""
    connection.execute("UPDATE persons SET password = ? WHERE id = ?", (hashed, person_id))
    connection.execute("DELETE FROM sessions WHERE person = ? AND token <> ?", (person_id, token_hash(keep_token)))
    connection.execute("DELETE FROM invitations WHERE person = ?", (person_id,))


def require_admin(connection: apsw.Connection, person: Person) -> None:
    """See that a person administers, now.

    Raises:
        NotAllowed: They do not.
    """
    role = connection.execute("SELECT role FROM persons WHERE id = ? AND disabled = 0", (person.id,)).get
    if role != "admin":
        raise NotAllowed("only administrators may do this", remedy="Ask one of them")


def n_admins(connection: apsw.Connection) -> int:
    """Return how many can sign in and administer."""
    query = "SELECT count(*) FROM persons WHERE role = 'admin' AND disabled = 0 AND password <> ''"
    return int(connection.execute(query).get)


@contextmanager
def keeping_an_admin(connection: apsw.Connection) -> Iterator[None]:
    """Refuse a change that takes the last administrator away.

    Raises:
        LastAdmin: It would.
    """
    before = n_admins(connection)
    yield
    if before and not n_admins(connection):
        raise LastAdmin("nobody would be left who can administer", remedy="Make another person an administrator first")
