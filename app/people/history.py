"""Conversations as they are kept, each person's for that person alone."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from app.people.conversation_rows import (
    BEFORE,
    CONVERSATION,
    NEWEST,
    TURN,
    begin_conversation,
    conversation_of,
    forget_ratings,
    give_title,
    is_free,
    key_of,
    messages_of,
    next_mark,
    title_of,
    turn_of,
    unknown_conversation,
)
from app.people.database import People, all_rows, new_id, one_row
from app.people.kept_answers import answer_to_plain, to_text
from app.people.paging import n_rows, read_mark
from app.people.records import RUNNING, Conversation, KeptTurn, Page, Person, Stage
from core.errors import CitadelError
from core.records import Answer, Message
from indexes.database import to_sql
from ingest.wire import error_to_json


class History:
    """One person's conversations; those of others are not there."""

    def __init__(self, people: People, person: Person) -> None:
        self._people = people
        self._person = person.id

    # --- reading ---------------------------------------------------------------------------------------------------

    def newest(self, *, n: int = 50, after: str = "") -> Page[Conversation]:
        """Return conversations, the one that was last used first; ``after`` is the ``next`` of the page before.

        Raises:
            UsageError: ``after`` is no such mark.
        """
        updated, row_id = read_mark(after)
        with self._people.reading() as connection:
            bindings = {"person": self._person, "updated": updated, "id": row_id, "n": n_rows(n)}
            rows = all_rows(connection, f"{CONVERSATION} WHERE {BEFORE} {NEWEST}", bindings)
        found = [conversation_of(row) for row in rows]
        return Page(items=found, next=next_mark(found, n))

    def get(self, conversation_id: str) -> Conversation:
        """Return a conversation.

        Raises:
            UnknownConversation: The person has none of this id.
        """
        with self._people.reading() as connection:
            return self._read(connection, conversation_id)

    def turns(self, conversation_id: str) -> list[KeptTurn]:
        """Return the turns of a conversation, oldest first; raises as :meth:`get` does."""
        with self._people.reading() as connection:
            self._read(connection, conversation_id)
            query = f"{TURN} AND c.id = :id ORDER BY t.place"
            rows = all_rows(connection, query, {"person": self._person, "id": conversation_id})
        return [turn_of(row, runner=self._people.runner) for row in rows]

    def turn(self, turn_id: str) -> KeptTurn:
        """Return a turn.

        Raises:
            UnknownConversation: The person has none of this id.
        """
        with self._people.reading() as connection:
            row = one_row(connection, f"{TURN} AND t.id = :id", {"person": self._person, "id": turn_id})
        if row is None:
            raise unknown_conversation()
        return turn_of(row, runner=self._people.runner)

    def messages(self, conversation_id: str, *, before: str = "") -> tuple[Message, ...]:
        """Return what the next question follows upon: the last answered turns, up to the turn ``before``."""
        turns = self.turns(conversation_id)
        ids = [turn.id for turn in turns]
        earlier = turns[: ids.index(before)] if before in ids else turns
        return messages_of(earlier)

    # --- writing ---------------------------------------------------------------------------------------------------

    def begin(
        self,
        question: str,
        *,
        conversation: str = "",
        scope: tuple[str, ...] = (),
        turn_id: str = "",
        anew: bool = False,
        asked: float | None = None,
    ) -> KeptTurn:
        """Keep a question that is about to be answered; without ``conversation`` it begins one, named after it.

        Args:
            question: What is asked.
            conversation: Where.
            scope: The collections that are asked, none for all.
            turn_id: What the turn is called; "" makes a name.
            anew: Begin a conversation of this id where the person has none.
            asked: When, in seconds since the epoch; None: now.

        Raises:
            UnknownConversation: The person has no such conversation.
        """
        now, turn_id = self._people.clock(), turn_id or new_id()
        with self._people.writing() as connection:
            if conversation and not (anew and is_free(connection, conversation)):
                self._read(connection, conversation)
                _name_after(connection, conversation, question)
            else:
                conversation, title = conversation or new_id(), title_of(question)
                begin_conversation(connection, conversation, person=self._person, title=title, now=now, scope=scope)
            connection.execute(
                "INSERT INTO turns (id, conversation, place, question, text, searched, stage, runner, error, scope, "
                "started) SELECT ?, ?, coalesce(max(place), 0) + 1, ?, '', ?, 'searching', ?, '', ?, ? FROM turns "
                "WHERE conversation = ?",
                (
                    turn_id,
                    conversation,
                    to_sql(question),
                    key_of(question),
                    self._people.runner,
                    to_text(scope),
                    now if asked is None else asked,
                    conversation,
                ),
            )
            connection.execute(
                "UPDATE conversations SET updated = ?, scope = ? WHERE id = ?", (now, to_text(scope), conversation)
            )
        return self.turn(turn_id)

    def progress(self, turn_id: str, *, stage: Stage, text: str = "") -> None:
        """Note how far a running turn is; every second or two is enough, for each call goes to the disk."""
        with self._people.writing() as connection:
            self._note(connection, turn_id, stage=stage, text=text)

    def finish(self, turn_id: str, answer: Answer) -> bool:
        """Keep an answer whole; False, and nothing is kept, for a turn that was stopped or deleted meanwhile."""
        with self._people.writing() as connection:
            if not self._note(connection, turn_id, stage="finished", text=answer.text):
                return False
            connection.execute(
                "UPDATE turns SET searched = searched || char(10) || ?, abstained = ?, n_sentences = ?, "
                "n_unsupported = ?, first_token_ms = ?, total_ms = ? WHERE id = ?",
                (
                    key_of(answer.text),
                    int(answer.abstained),
                    len(answer.sentences),
                    sum(not sentence.supported for sentence in answer.sentences),
                    answer.timings.first_token_ms,
                    answer.timings.total_ms,
                    turn_id,
                ),
            )
            connection.execute("INSERT INTO answers VALUES (?, ?)", (turn_id, to_text(answer_to_plain(answer))))
        return True

    def stop(self, turn_id: str, *, text: str = "") -> None:
        """Keep that a running turn was stopped, and what was written until then."""
        with self._people.writing() as connection:
            self._note(connection, turn_id, stage="stopped", text=text)

    def fail(self, turn_id: str, error: CitadelError, *, text: str = "") -> None:
        """Keep that a running turn failed, why, and what was written until then."""
        with self._people.writing() as connection:
            if self._note(connection, turn_id, stage="failed", text=text):
                kept = to_text(error_to_json(error))
                connection.execute("UPDATE turns SET error = ? WHERE id = ?", (kept, turn_id))

    def forget_from(self, turn_id: str) -> KeptTurn:
        """Delete a turn and those after it, to be asked again or otherwise, and return it; ratings of it stay.

        Raises:
            UnknownConversation: The person has no such turn.
        """
        turn = self.turn(turn_id)
        with self._people.writing() as connection:
            connection.execute(
                "DELETE FROM turns WHERE conversation = ? AND place >= (SELECT place FROM turns WHERE id = ?)",
                (turn.conversation, turn_id),
            )
        return turn

    def forget(self, turn_ids: Sequence[str]) -> None:
        """Delete turns that were asked anew; ratings of them stay, and those of others are not touched."""
        own = "conversation IN (SELECT id FROM conversations WHERE person = ?)"
        with self._people.writing() as connection:
            for turn_id in turn_ids:
                connection.execute(f"DELETE FROM turns WHERE id = ? AND {own}", (turn_id, self._person))

    def rename(self, conversation_id: str, title: str) -> Conversation:
        """Give a conversation another title; an empty one leaves it as it was. Raises as :meth:`get` does."""
        title = title_of(title)
        with self._people.writing() as connection:
            kept = self._read(connection, conversation_id)
            if title:
                give_title(connection, kept.id, title)
                connection.execute("UPDATE attaching SET named_by_file = 0 WHERE conversation = ?", (kept.id,))
            return self._read(connection, conversation_id)

    def delete(self, conversation_id: str) -> None:
        """Delete a conversation with all that was kept of it; raises as :meth:`get` does."""
        with self._people.writing() as connection:
            self._read(connection, conversation_id)
            self._delete(connection, "id = :id", {"id": conversation_id})
        self._people.scrub()

    def delete_all(self) -> int:
        """Delete all the person's conversations and return how many there were."""
        with self._people.writing() as connection:
            n_deleted = self._delete(connection, "1", {})
        self._people.scrub(whole=True)
        return n_deleted

    # --- within ----------------------------------------------------------------------------------------------------

    def _read(self, connection: apsw.Connection, conversation_id: str) -> Conversation:
        query = f"{CONVERSATION} WHERE c.id = ? AND c.person = ?"
        row = one_row(connection, query, (conversation_id, self._person))
        if row is None:
            raise unknown_conversation()
        return conversation_of(row)

    def _note(self, connection: apsw.Connection, turn_id: str, *, stage: Stage, text: str = "") -> bool:
        """Change a turn that is running in this server; False when it is not, or not this person's."""
        values = {
            "id": turn_id,
            "stage": stage,
            "text": to_sql(text),
            "runner": self._people.runner,
            "ended": None if stage in RUNNING else self._people.clock(),
            "person": self._person,
        }
        connection.execute(
            "UPDATE turns SET stage = :stage, text = iif(:text = '', text, :text), ended = :ended WHERE id = :id "
            f"AND runner = :runner AND stage IN {RUNNING} "
            "AND conversation IN (SELECT id FROM conversations WHERE person = :person)",
            values,
        )
        return connection.changes() > 0

    def _delete(self, connection: apsw.Connection, which: str, bindings: dict[str, str]) -> int:
        chosen = f"SELECT id FROM conversations WHERE person = :person AND {which}"
        values = {"person": self._person, **bindings}
        forget_ratings(connection, f"conversation IN ({chosen})", values)
        connection.execute(f"DELETE FROM conversations WHERE id IN ({chosen})", values)
        return connection.changes()


def _name_after(connection: apsw.Connection, conversation_id: str, question: str) -> None:
    """Name a conversation after its first question, if it is called as the file with which it began."""
    which = "conversation = ? AND named_by_file"
    connection.execute(f"UPDATE attaching SET named_by_file = 0 WHERE {which}", (conversation_id,))
    if connection.changes():
        give_title(connection, conversation_id, title_of(question))
