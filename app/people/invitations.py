"""Invitations: links that make one account each, or let a person choose a new password."""

from __future__ import annotations

from typing import Any

import apsw

from app.people.database import People, all_rows, new_id, new_token, one_row, token_hash
from app.people.person_rows import checked_hash, insert_person, read_person, write_password
from app.people.records import Invitation, Person, Role
from core.errors import InvitationSpent

DAY_SECONDS = 86_400.0
INVITATION_DAYS = 7.0
RESET_DAYS = 1.0
_INVITATION = "SELECT id, role, person, made_by, created, expires FROM invitations"


def invitation_path(token: str) -> str:
    """Return the path of the page that an invitation opens."""
    return f"/invitation/{token}"


class Invitations:
    """The invitations that were made. Their tokens are told once and kept as hashes."""

    def __init__(self, people: People) -> None:
        self._people = people

    def invite(
        self, *, role: Role, made_by: str | None = None, days: float = INVITATION_DAYS
    ) -> tuple[Invitation, str]:
        """Return an invitation to make an account, and its token."""
        return self._made(role=role, person=None, made_by=made_by, days=days)

    def offer_reset(
        self, person_id: str, *, made_by: str | None = None, days: float = RESET_DAYS
    ) -> tuple[Invitation, str]:
        """Return an invitation to choose a new password, and its token; an earlier one ends.

        Raises:
            UnknownPerson: There is none of this id.
        """
        with self._people.writing() as connection:
            person = read_person(connection, person_id)
            connection.execute("DELETE FROM invitations WHERE person = ?", (person_id,))
            return self._made(role=person.role, person=person_id, made_by=made_by, days=days)

    def find(self, token: str) -> Invitation:
        """Return the invitation of a token, for the page that it opens; ``person`` tells a reset.

        Raises:
            InvitationSpent: It was used, has expired, was withdrawn or never was one.
        """
        with self._people.reading() as connection:
            return self._find(connection, token)

    def open(self) -> list[Invitation]:
        """Return the invitations that can still be used, newest first."""
        with self._people.reading() as connection:
            rows = all_rows(
                connection,
                f"{_INVITATION} WHERE used IS NULL AND expires > ? ORDER BY created DESC, id",
                (self._people.clock(),),
            )
        return [_invitation(row) for row in rows]

    def withdraw(self, invitation_id: str) -> None:
        """Make an invitation useless; one that was used or withdrawn stays so."""
        with self._people.writing() as connection:
            connection.execute("DELETE FROM invitations WHERE id = ?", (invitation_id,))

    def accept(self, token: str, *, name: str, password: str) -> Person:
        """Make the account that an invitation offers.

        Raises:
            InvitationSpent: As :meth:`find` says, or it is for a new password.
            NameTaken: Another has this name; the invitation can still be used.
            WeakPassword: The password is short or easily guessed; the same.
            UsageError: The name is none; the same.
        """
        if self.find(token).person is not None:  # asked again below; here it saves the hash
            raise _spent()
        hashed = checked_hash(name, password)
        with self._people.writing() as connection:
            invitation = self._find(connection, token)
            person = insert_person(connection, name, role=invitation.role, hashed=hashed, now=self._people.clock())
            connection.execute("UPDATE invitations SET used = ? WHERE id = ?", (self._people.clock(), invitation.id))
            return person

    def accept_reset(self, token: str, *, password: str) -> Person:
        """Give the person of an offered reset the password they chose, and sign them out everywhere.

        Raises:
            InvitationSpent: As :meth:`find` says, or it is for a new account.
            WeakPassword: The password is short or easily guessed; the reset can still be used.
        """
        with self._people.reading() as connection:
            invitation = self._find(connection, token)
            if invitation.person is None:
                raise _spent()
            person = read_person(connection, invitation.person)
        hashed = checked_hash(person.name, password)
        with self._people.writing() as connection:
            self._find(connection, token)
            write_password(connection, person.id, hashed)  # which ends the offer
            return read_person(connection, person.id)

    def _made(self, *, role: Role, person: str | None, made_by: str | None, days: float) -> tuple[Invitation, str]:
        token, now = new_token(), self._people.clock()
        with self._people.writing() as connection:
            connection.execute("DELETE FROM invitations WHERE expires <= ?", (now,))
            connection.execute(
                "INSERT INTO invitations VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
                (new_id(), token_hash(token), role, person, made_by, now, now + days * DAY_SECONDS),
            )
            return self._find(connection, token), token

    def _find(self, connection: apsw.Connection, token: str) -> Invitation:
        row = one_row(
            connection,
            f"{_INVITATION} WHERE token = ? AND used IS NULL AND expires > ?",
            (token_hash(token), self._people.clock()),
        )
        if row is None:
            raise _spent()
        return _invitation(row)


def _spent() -> InvitationSpent:
    return InvitationSpent("this invitation cannot be used any more", remedy="Ask an administrator for a new one")


def _invitation(row: tuple[Any, ...]) -> Invitation:
    invitation_id, role, person, made_by, created, expires = row
    return Invitation(id=invitation_id, role=role, person=person, made_by=made_by, created=created, expires=expires)
