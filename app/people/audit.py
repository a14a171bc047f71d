"""The audit log: who did what, on what, when and from where. It only grows, and never holds what was asked."""

from __future__ import annotations

from typing import Literal

from app.people.database import People, all_rows
from app.people.paging import n_rows
from app.people.person_rows import require_admin
from app.people.records import AuditEntry, Page, Person
from core.errors import UsageError
from indexes.database import from_sql, to_sql

Action = Literal[
    "signed_in",
    "sign_in_failed",
    "signed_out",
    "session_revoked",
    "password_changed",
    "password_reset",
    "reset_offered",
    "person_invited",
    "invitation_withdrawn",
    "person_added",
    "person_renamed",
    "person_disabled",
    "person_enabled",
    "person_deleted",
    "role_changed",
    "group_changed",
    "collection_created",
    "collection_shared",
    "collection_renamed",
    "collection_transferred",
    "collection_deleted",
    "documents_added",
    "document_deleted",
    "store_verified",
    "store_rebuilt",
    "store_purged",
    "folder_added",
    "folder_changed",
    "folder_removed",
    "rating_decided",
    "evaluation_started",
    "evaluation_cancelled",
    "evaluation_deleted",
    "cases_deleted",
    "trial_started",
    "trial_rated",
    "trial_ended",
    "trial_deleted",
    "settings_changed",
    "data_exported",
]


class Audit:
    """The audit log of a knowledge base."""

    def __init__(self, people: People) -> None:
        self._people = people

    def note(self, action: Action, *, person: Person | None = None, target: str = "", address: str = "") -> None:
        """Write down what was done.

        Args:
            action: What.
            person: Who; None where it is not known, as when a sign-in fails.
            target: On what: the id of a person or group, the name of a collection, the path of a document. Never what
                somebody typed: a name that was wrong may be a password.
            address: From where.
        """
        with self._people.writing() as connection:
            connection.execute(
                "INSERT INTO audit (at, person, action, target, address) VALUES (?, ?, ?, ?, ?)",
                (self._people.clock(), person.id if person else "", action, to_sql(target), address),
            )

    def newest(
        self, by: Person, *, n: int = 50, after: str = "", person: str = "", action: Action | None = None
    ) -> Page[AuditEntry]:
        """Return what was done, newest first; ``after`` is the ``next`` of the page before.

        Args:
            by: Who wants to know.
            n: Entries of a page.
            after: The mark of the page before.
            person: The id of one person, to see what they did.
            action: One action.

        Raises:
            NotAllowed: ``by`` does not administer.
            UsageError: ``after`` is no mark.
        """
        if after and not after.isdecimal():
            raise UsageError("this place in the list is not known", remedy="Begin at the top of the list")
        conditions, bindings = ["1"], []
        for condition, value in (
            ("a.id < ?", int(after) if after else None),
            ("a.person = ?", person or None),
            ("a.action = ?", action),
        ):
            if value is not None:
                conditions.append(condition)
                bindings.append(value)
        with self._people.reading() as connection:
            require_admin(connection, by)
            rows = all_rows(
                connection,
                "SELECT a.id, a.at, a.person, p.name, a.action, a.target, a.address FROM audit AS a "
                f"LEFT JOIN persons AS p ON p.id = a.person WHERE {' AND '.join(conditions)} "
                "ORDER BY a.id DESC LIMIT ?",
                (*bindings, n_rows(n)),
            )
        found = [
            AuditEntry(
                id=row_id,
                at=at,
                person=who,
                person_name=name or "",
                action=what,
                target=from_sql(target),
                address=address,
            )
            for row_id, at, who, name, what, target, address in rows
        ]
        return Page(items=found, next=str(found[-1].id) if len(found) == n_rows(n) else "")
