"""Conversations and turns as rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import apsw

from app.people.database import one_row
from app.people.kept_answers import answer_from_plain, to_text
from app.people.paging import mark, n_rows
from app.people.records import RUNNING, Conversation, KeptTurn
from core.errors import UnknownConversation
from core.records import Message
from core.text import search_key
from indexes.database import from_sql, to_sql
from ingest.wire import error_from_json

TITLE_CHARS = 80
HISTORY_TURNS = 6
CONVERSATION = "SELECT c.id, c.title, c.scope, c.created, c.updated FROM conversations AS c"
BEFORE = "c.person = :person AND (c.updated, c.id) < (:updated, :id)"
NEWEST = "ORDER BY c.updated DESC, c.id DESC LIMIT :n"
TURN = """
SELECT t.id, t.conversation, t.question, t.stage, t.runner, t.text, t.scope, t.started, t.error, a.answer, f.verdict
FROM conversations AS c
JOIN turns AS t ON t.conversation = c.id
LEFT JOIN answers AS a ON a.turn = t.id
LEFT JOIN feedback AS f ON f.turn = t.id AND f.person = c.person
WHERE c.person = :person
"""


def unknown_conversation() -> UnknownConversation:
    """Return the error of a conversation that is not there for whoever asks."""
    return UnknownConversation("there is no such conversation", remedy="It may have been deleted")


def is_free(connection: apsw.Connection, conversation_id: str) -> bool:
    """Return whether nobody has a conversation of this id."""
    return one_row(connection, "SELECT 1 FROM conversations WHERE id = ?", (conversation_id,)) is None


def is_owned(connection: apsw.Connection, conversation_id: str, *, person: str) -> bool:
    """Return whether a person has a conversation of this id."""
    query = "SELECT 1 FROM conversations WHERE id = ? AND person = ?"
    return one_row(connection, query, (conversation_id, person)) is not None


def begin_conversation(
    connection: apsw.Connection,
    conversation_id: str,
    *,
    person: str,
    title: str,
    now: float,
    scope: tuple[str, ...] = (),
) -> None:
    """Write down a conversation of a person's that begins ``now``, in seconds since the epoch."""
    connection.execute(
        "INSERT INTO conversations (id, person, title, searched, scope, created, updated) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (conversation_id, person, to_sql(title), key_of(title), to_text(scope), now, now),
    )


def give_title(connection: apsw.Connection, conversation_id: str, title: str) -> None:
    """Call a conversation by a title, by which it is found too."""
    values = (to_sql(title), key_of(title), conversation_id)
    connection.execute("UPDATE conversations SET title = ?, searched = ? WHERE id = ?", values)


def conversation_of(row: tuple[Any, ...]) -> Conversation:
    """Return the conversation of a row that :data:`CONVERSATION` selected."""
    conversation_id, title, scope, created, updated = row
    return Conversation(
        id=conversation_id, title=from_sql(title), scope=tuple(json.loads(scope)), created=created, updated=updated
    )


def turn_of(row: tuple[Any, ...], *, runner: str) -> KeptTurn:
    """Return the turn of a row that :data:`TURN` selected; one that another server left running was stopped by that."""
    turn_id, conversation, question, stage, written_by, text, scope, started, error, answer, verdict = row
    cut_off = stage in RUNNING and written_by != runner
    return KeptTurn(
        id=turn_id,
        conversation=conversation,
        question=from_sql(question),
        stage="stopped" if cut_off else stage,
        text=from_sql(text),
        scope=tuple(json.loads(scope)),
        started=started,
        answer=answer_from_plain(json.loads(answer)) if answer else None,
        error=error_from_json(json.loads(error)) if error else None,
        verdict=verdict,
        cut_off=cut_off,
    )


def messages_of(turns: Sequence[KeptTurn]) -> tuple[Message, ...]:
    """Return the last answered turns as the model is told them."""
    answered = [(turn.question, turn.answer.text) for turn in turns if turn.answer is not None]
    return tuple(
        message
        for question, text in answered[-HISTORY_TURNS:]
        for message in (Message(role="user", content=question), Message(role="assistant", content=text))
    )


def title_of(text: str) -> str:
    """Return a title: one line, cut at a word where there are words."""
    line = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(line.split())
    if len(line) <= TITLE_CHARS:
        return line
    cut = line[: TITLE_CHARS - 1]
    at_word = cut.rpartition(" ")[0]
    return f"{at_word if len(at_word) > TITLE_CHARS // 2 else cut}…"


def next_mark(conversations: Sequence[Conversation], n: int) -> str:
    """Return the mark of the page after one of at most ``n`` conversations."""
    return mark(conversations[-1].updated, conversations[-1].id) if len(conversations) == n_rows(n) else ""


def key_of(text: str) -> str:
    """Return what is searched of a text."""
    return search_key(text.encode("utf-8", "replace").decode())


def forget_ratings(connection: apsw.Connection, which: str, bindings: dict[str, Any]) -> None:
    """Delete ratings, and take the rater from those that became an example or a case."""
    connection.execute(f"DELETE FROM feedback WHERE {which} AND state NOT IN ('example', 'case')", bindings)
    connection.execute(f"UPDATE feedback SET person = NULL, conversation = NULL, turn = NULL WHERE {which}", bindings)
