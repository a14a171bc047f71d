"""Accounts: the first administrator, sign-in, passwords, roles, and the end of an account."""

from __future__ import annotations

from app.people.database import People, all_rows, one_row
from app.people.passwords import hash_password, is_outdated, verify_password
from app.people.person_rows import (
    MACHINE,
    PERSON,
    checked_hash,
    checked_name,
    insert_person,
    keeping_an_admin,
    n_admins,
    name_key,
    person_of,
    read_person,
    unique_name,
    write_password,
)
from app.people.records import Person, Role
from app.people.throttle import Throttle
from core.errors import NotAllowed, SignInFailed, UnknownPerson


class Accounts:
    """The accounts of a knowledge base; who may change whose is for the caller to see to."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._throttle = Throttle(people)

    def has_admin(self) -> bool:
        """Return whether somebody can sign in and administer."""
        with self._people.reading() as connection:
            return n_admins(connection) > 0

    def all(self) -> list[Person]:
        """Return everybody with an account, by name."""
        with self._people.reading() as connection:
            rows = all_rows(connection, f"{PERSON} WHERE id <> ? ORDER BY name_key", (MACHINE,))
        return [person_of(row) for row in rows]

    def get(self, person_id: str) -> Person:
        """Return a person.

        Raises:
            UnknownPerson: There is none of this id.
        """
        with self._people.reading() as connection:
            return read_person(connection, person_id)

    def named(self, name: str) -> Person:
        """Return the person of this name; case, width and spaces do not count.

        Raises:
            UnknownPerson: There is none.
        """
        with self._people.reading() as connection:
            row = one_row(connection, f"{PERSON} WHERE name_key = ?", (name_key(name),))
        if row is None:
            raise UnknownPerson("there is no such person", where=name, remedy="Check the spelling")
        return person_of(row)

    def of_this_machine(self) -> Person:
        """Return the administrator that everybody is where ``serve.sign_in`` is none."""
        with self._people.writing() as connection:
            connection.execute(  # the key is one that no typed name has
                "INSERT OR IGNORE INTO persons VALUES (?, 'This machine', ?, 'admin', 0, '', ?)",
                (MACHINE, f"\n{MACHINE}", self._people.clock()),
            )
            return read_person(connection, MACHINE)

    def create_first_admin(self, name: str, password: str) -> Person:
        """Make the first administrator.

        Raises:
            NotAllowed: There is one already.
            NameTaken: Somebody who does not administer has this name.
            WeakPassword: The password is short or easily guessed.
            UsageError: The name is none.
        """
        refused = NotAllowed("there is an administrator already", remedy="Sign in, or ask for an invitation")
        if self.has_admin():  # asked again below; here it saves the hash
            raise refused
        hashed = checked_hash(name, password)
        with self._people.writing() as connection:
            if n_admins(connection):
                raise refused
            return insert_person(connection, name, role="admin", hashed=hashed, now=self._people.clock())

    def add(self, name: str, password: str, *, role: Role) -> Person:
        """Make an account with a password, without an invitation.

        Raises:
            NameTaken: Another has this name.
            WeakPassword: The password is short or easily guessed.
            UsageError: The name is none.
        """
        hashed = checked_hash(name, password)
        with self._people.writing() as connection:
            return insert_person(connection, name, role=role, hashed=hashed, now=self._people.clock())

    def check_sign_in(self, name: str, password: str, *, address: str) -> Person:
        """Return who this is; an unknown name takes as long as a wrong password and is told the same.

        Raises:
            SignInFailed: The two do not belong together, or the account is disabled.
            Throttled: Too many tries failed.
        """
        key = name_key(name)
        self._throttle.begin(key, address)
        with self._people.reading() as connection:
            query = "SELECT id, password FROM persons WHERE name_key = ? AND disabled = 0"
            person_id, hashed = one_row(connection, query, (key,)) or ("", "")
        if not verify_password(password, hashed):
            raise SignInFailed("the name or the password is wrong", remedy="Check both and try again")
        self._throttle.succeeded(key, address)
        if is_outdated(hashed):
            newer = hash_password(password)
            with self._people.writing() as connection:
                statement = "UPDATE persons SET password = ? WHERE id = ? AND password = ?"
                connection.execute(statement, (newer, person_id, hashed))
        return self.get(person_id)

    def change_password(self, person_id: str, *, old: str, new: str, token: str, address: str) -> None:
        """Replace one's own password; every session ends but that of ``token``.

        Raises:
            SignInFailed: The old password is wrong.
            Throttled: Too many tries failed.
            WeakPassword: The new one is short or easily guessed.
        """
        person = self.get(person_id)
        self.check_sign_in(person.name, old, address=address)
        hashed = checked_hash(person.name, new)
        with self._people.writing() as connection:
            write_password(connection, person_id, hashed, keep_token=token)

    def reset_password(self, person_id: str, password: str) -> None:
        """Give a person another password and sign them out everywhere; for who administers.

        Raises:
            UnknownPerson: There is none of this id.
            WeakPassword: The password is short or easily guessed.
        """
        hashed = checked_hash(self.get(person_id).name, password)
        with self._people.writing() as connection:
            write_password(connection, person_id, hashed)

    def rename(self, person_id: str, name: str) -> Person:
        """Give a person another name.

        Raises:
            NameTaken: Another has it.
            UnknownPerson: There is none of this id.
            UsageError: The name is none.
        """
        name = checked_name(name)
        with self._people.writing() as connection:
            read_person(connection, person_id)
            with unique_name(name):
                connection.execute(
                    "UPDATE persons SET name = ?, name_key = ? WHERE id = ?", (name, name_key(name), person_id)
                )
            return read_person(connection, person_id)

    def set_role(self, person_id: str, role: Role) -> Person:
        """Give a person another role; it counts from the next thing they do.

        Raises:
            LastAdmin: Nobody would be left who can administer.
            UnknownPerson: There is none of this id.
        """
        with self._people.writing() as connection, keeping_an_admin(connection):
            read_person(connection, person_id)
            connection.execute("UPDATE persons SET role = ? WHERE id = ?", (role, person_id))
            return read_person(connection, person_id)

    def disable(self, person_id: str) -> Person:
        """Keep a person from signing in and end their sessions; what is theirs stays.

        Raises:
            LastAdmin: Nobody would be left who can administer.
            UnknownPerson: There is none of this id.
        """
        with self._people.writing() as connection, keeping_an_admin(connection):
            read_person(connection, person_id)
            connection.execute("UPDATE persons SET disabled = 1 WHERE id = ?", (person_id,))
            connection.execute("DELETE FROM sessions WHERE person = ?", (person_id,))
            connection.execute("DELETE FROM invitations WHERE person = ?", (person_id,))
            return read_person(connection, person_id)

    def enable(self, person_id: str) -> Person:
        """Let a person sign in again.

        Raises:
            UnknownPerson: There is none of this id.
        """
        with self._people.writing() as connection:
            connection.execute("UPDATE persons SET disabled = 0 WHERE id = ?", (person_id,))
            return read_person(connection, person_id)

    def delete(self, person_id: str) -> bool:
        """Delete a person with all that is kept about them; their collections belong to nobody then.

        What became an example or a case stays, without its rater, and so do the audit log's entries, without address.
        Returns whether the bytes are gone from the disk too; where they are not yet, :meth:`People.scrub` does it.

        Raises:
            LastAdmin: Nobody would be left who can administer.
            UnknownPerson: There is none of this id.
        """
        with self._people.writing() as connection, keeping_an_admin(connection):
            read_person(connection, person_id)
            own = "person = ? AND state NOT IN ('example', 'case')"
            connection.execute(f"DELETE FROM feedback WHERE {own}", (person_id,))
            connection.execute("UPDATE audit SET address = '' WHERE person = ? AND address <> ''", (person_id,))
            connection.execute("DELETE FROM persons WHERE id = ?", (person_id,))
        return self._people.scrub(whole=True)
