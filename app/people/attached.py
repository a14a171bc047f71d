"""Files that a person attached to their conversations: which there are, and how each stands.

What is attached is searched from a hidden collection of the conversation's own. Whose the conversation is may read it,
and nobody else, whatever their role; it can be neither listed nor shared, and is filled and emptied by what attaches
and removes files alone.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any, Literal

import apsw

from app.people.conversation_rows import begin_conversation, is_free, is_owned, title_of, unknown_conversation
from app.people.database import People, all_rows, new_id, one_row
from app.people.quota import Quota
from app.uploads import safe_name
from core.errors import TooManyAttachments, UnknownAttachment
from indexes.database import from_sql, to_sql

AttachmentState = Literal["uploading", "reading", "ready", "failed"]
MAX_ATTACHMENTS = 10  # in one conversation
_FILE = """
SELECT a.id, a.conversation, a.name, a.size_bytes, a.state, a.code, a.said, a.added
FROM attachments AS a JOIN conversations AS c ON c.id = a.conversation
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file of a conversation; ``code`` and ``said`` tell why it failed, and ``name`` is unique in it."""

    id: str
    conversation: str
    name: str
    size_bytes: int
    state: AttachmentState
    added: float
    code: str = ""
    said: str = ""

    @property
    def pending(self) -> bool:
        """Whether it will be ready, or fail, by itself."""
        return self.state in ("uploading", "reading")


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachedFiles:
    """What is attached to a conversation, and whether its questions are asked of that alone."""

    conversation: str
    files: tuple[Attachment, ...] = ()
    only: bool = False

    @property
    def pending(self) -> tuple[Attachment, ...]:
        """The files that are still uploaded or read."""
        return tuple(file for file in self.files if file.pending)


class Attached:
    """The files of one person's conversations; those of others are not there."""

    def __init__(self, people: People, person_id: str) -> None:
        self._people, self._person = people, person_id

    def of(self, conversation_id: str) -> AttachedFiles:
        """Return what is attached to a conversation, in the order in which it was; nothing where there is none."""
        with self._people.reading() as connection:
            query = f"{_FILE} WHERE c.person = ? AND c.id = ? ORDER BY a.place"
            rows = all_rows(connection, query, (self._person, conversation_id))
            query = "SELECT only_files FROM attaching WHERE conversation = ?"
            only = bool(rows) and bool(connection.execute(query, (conversation_id,)).get)
        return AttachedFiles(conversation=conversation_id, files=tuple(map(_attachment, rows)), only=only)

    def get(self, conversation_id: str, attachment_id: str) -> Attachment:
        """Return a file.

        Raises:
            UnknownConversation: The person has no such conversation.
            UnknownAttachment: It has no such file.
        """
        with self._people.reading() as connection:
            self._require(connection, conversation_id)
            query = f"{_FILE} WHERE c.person = ? AND c.id = ? AND a.id = ?"
            row = one_row(connection, query, (self._person, conversation_id, attachment_id))
        if row is None:
            raise UnknownAttachment("there is no such file", remedy="It may have been removed")
        return _attachment(row)

    def add(self, conversation_id: str, name: str, *, size_bytes: int, quota: Quota, anew: bool = False) -> Attachment:
        """Write down a file that is about to be uploaded; its name is made one that no other file there has.

        Args:
            conversation_id: Where.
            name: What the person calls it.
            size_bytes: How large it is; as much room is taken at once.
            quota: What the person may keep.
            anew: Begin a conversation of this id, named after the file, where there is none.

        Raises:
            UnknownConversation: The person has no such conversation.
            TooManyAttachments: It has as many files as one may have.
            QuotaReached: The person has uploaded as much as one may.
        """
        now, row_id = self._people.clock(), new_id()
        with self._people.writing() as connection:
            if anew and is_free(connection, conversation_id):
                self._begin(connection, conversation_id, title=title_of(name), now=now)
            self._require(connection, conversation_id)
            query = "SELECT name, place FROM attachments WHERE conversation = ?"
            there = {from_sql(taken): place for taken, place in all_rows(connection, query, (conversation_id,))}
            if len(there) >= MAX_ATTACHMENTS:
                raise TooManyAttachments(
                    f"a conversation has at most {MAX_ATTACHMENTS} files",
                    where=name,
                    remedy="Remove one first, or begin another conversation",
                )
            quota.require_room(self._person, size_bytes, where=name)
            values = (row_id, conversation_id, max(there.values(), default=0) + 1, to_sql(free_name(name, there)))
            connection.execute(
                "INSERT INTO attachments (id, conversation, place, name, size_bytes, state, added) "
                "VALUES (?, ?, ?, ?, ?, 'uploading', ?)",
                (*values, size_bytes, now),
            )
        return self.get(conversation_id, row_id)

    def change(
        self, attachment: Attachment, state: AttachmentState, *, of: AttachmentState, code: str = "", said: str = ""
    ) -> bool:
        """Say how a file stands now; False, and nothing changes, where it is gone or does not stand as ``of`` says."""
        with self._people.writing() as connection:
            connection.execute(
                "UPDATE attachments SET state = ?, code = ?, said = ? WHERE id = ? AND state = ? "
                "AND conversation IN (SELECT id FROM conversations WHERE person = ?)",
                (state, code, to_sql(said), attachment.id, of, self._person),
            )
            return connection.changes() > 0

    def remove(self, attachment: Attachment) -> None:
        """Forget a file; the last one takes with it that it alone is asked."""
        with self._people.writing() as connection:
            connection.execute(
                "DELETE FROM attachments WHERE id = ? "
                "AND conversation IN (SELECT id FROM conversations WHERE person = ?)",
                (attachment.id, self._person),
            )
            connection.execute(
                "UPDATE attaching SET only_files = 0 WHERE conversation = :id "
                "AND NOT EXISTS (SELECT 1 FROM attachments WHERE conversation = :id)",
                {"id": attachment.conversation},
            )

    def ask_only(self, conversation_id: str, only: bool) -> None:
        """Ask a conversation's questions of its files alone, or no longer; raises UnknownConversation."""
        with self._people.writing() as connection:
            self._require(connection, conversation_id)
            connection.execute(
                "INSERT INTO attaching (conversation, only_files) VALUES (:id, :only) "
                "ON CONFLICT (conversation) DO UPDATE SET only_files = :only",
                {"id": conversation_id, "only": int(only)},
            )

    def _require(self, connection: apsw.Connection, conversation_id: str) -> None:
        if not is_owned(connection, conversation_id, person=self._person):
            raise unknown_conversation()

    def _begin(self, connection: apsw.Connection, conversation_id: str, *, title: str, now: float) -> None:
        begin_conversation(connection, conversation_id, person=self._person, title=title, now=now)
        connection.execute("INSERT INTO attaching (conversation, named_by_file) VALUES (?, 1)", (conversation_id,))


def free_name(name: str, taken: Container[str]) -> str:
    """Return a name for a file that is one plain part of a path, and none of those that are taken."""
    name = safe_name(name)
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending) > 10:
        stem, dot, ending = name, "", ""
    free, number = name, 2
    while free in taken:
        free, number = safe_name(f"{stem} ({number}){dot}{ending}"), number + 1
    return free


def unfinished(people: People) -> list[tuple[str, Attachment]]:
    """Return whose files are still uploaded or read, with each."""
    with people.reading() as connection:
        query = _FILE.replace("SELECT ", "SELECT c.person, ", 1) + " WHERE a.state IN ('uploading', 'reading')"
        return [(person, _attachment(tuple(row))) for person, *row in all_rows(connection, query)]


def conversations_with_files(people: People) -> set[str]:
    """Return the conversations that have files, whoever's they are."""
    with people.reading() as connection:
        return {conversation for (conversation,) in all_rows(connection, "SELECT conversation FROM attachments")}


def _attachment(row: tuple[Any, ...]) -> Attachment:
    row_id, conversation, name, size_bytes, state, code, said, added = row
    return Attachment(
        id=row_id,
        conversation=conversation,
        name=from_sql(name),
        size_bytes=size_bytes,
        state=state,
        added=added,
        code=code,
        said=from_sql(said),
    )
