"""What is kept about one person, or said in one conversation, as files that can be taken away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

import apsw

from app.people.attached import Attached, Attachment
from app.people.database import People, all_rows
from app.people.history import History
from app.people.kept_answers import answer_to_plain
from app.people.person_rows import read_person
from app.people.records import Conversation, KeptTurn, Person
from core.records import place_of
from indexes.database import from_sql

_LISTS = {
    "groups": "SELECT t.name FROM members AS m JOIN groups AS t ON t.id = m.team WHERE m.person = ? ORDER BY t.name",
    "sessions": "SELECT created, seen, user_agent, address FROM sessions WHERE person = ? ORDER BY created",
    "invitations_made": "SELECT role, created, expires, used FROM invitations WHERE made_by = ? ORDER BY created",
    "collections_owned": "SELECT name, label, public, created FROM collections WHERE owner = ? ORDER BY name",
    "collections_granted": "SELECT collection, level FROM grants WHERE person = ? ORDER BY collection",
    "ratings": (
        "SELECT question, answer, verdict, reason, corrected, state, created FROM feedback WHERE person = ? "
        "ORDER BY created"
    ),
    "trials_rated": (
        "SELECT t.name AS trial, q.question, v.choice, v.created FROM trial_raters AS r "
        "JOIN trials AS t ON t.id = r.trial JOIN trial_votes AS v ON v.trial = r.trial AND v.rater = r.number "
        "JOIN trial_questions AS q ON q.trial = v.trial AND q.place = v.place WHERE r.person = ? ORDER BY v.created"
    ),
    "uploads": "SELECT place, size_bytes FROM uploads WHERE person = ? ORDER BY place",
    "audit": "SELECT at, action, target, address FROM audit WHERE person = ? ORDER BY id",
}


def everything_about(people: People, person: Person) -> dict[str, Any]:
    """Return all that is kept about a person as JSON values; times are seconds since the epoch.

    Passwords and tokens are not among it: they are kept as hashes alone.

    Raises:
        UnknownPerson: The person is gone.
    """
    history = History(people, person)
    with people.reading() as connection:
        account = asdict(read_person(connection, person.id))
        lists = {name: _listed(connection, query, person) for name, query in _LISTS.items()}
        query = "SELECT id FROM conversations WHERE person = ? ORDER BY created, id"
        ids = [row[0] for row in all_rows(connection, query, (person.id,))]
        attached = Attached(people, person.id)
        conversations = [
            conversation_to_plain(history.get(each), history.turns(each), files=attached.of(each).files) for each in ids
        ]
    return {"account": account, **lists, "conversations": conversations}


def conversation_to_plain(
    conversation: Conversation, turns: list[KeptTurn], *, files: Sequence[Attachment] = ()
) -> dict[str, Any]:
    """Return a conversation as JSON values, its answers whole and its files by name."""
    return {
        "id": conversation.id,
        "title": conversation.title,
        "created": conversation.created,
        "updated": conversation.updated,
        "attachments": [
            {"name": file.name, "size_bytes": file.size_bytes, "state": file.state, "added": file.added}
            for file in files
        ],
        "turns": [_turn_to_plain(turn) for turn in turns],
    }


def conversation_to_markdown(
    conversation: Conversation, turns: list[KeptTurn], *, files: Sequence[Attachment] = ()
) -> str:
    """Return a conversation as Markdown: its files, questions as headings, answers with numbered quotes below."""
    named = "\n".join(f"- 📎 {_line(file.name)}" for file in files)
    parts = [f"# {_line(conversation.title)}", _date(conversation.created), named]
    for turn in turns:
        parts += [f"## {_line(turn.question)}", _answer_to_markdown(turn)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _answer_to_markdown(turn: KeptTurn) -> str:
    answer = turn.answer
    if answer is None:
        return _quoted(turn.text)
    said, end = "", 0
    for sentence in answer.sentences:
        said += _escaped(answer.text[end : sentence.end]) + "".join(f" [{n}]" for n in sentence.citations)
        end = sentence.end
    said += _escaped(answer.text[end:])
    quotes = [f"[{c.number}] {_line(place_of(c))}\n\n{_quoted(c.quote)}" for c in answer.citations]
    return "\n\n".join([said, *quotes])


def _listed(connection: apsw.Connection, query: str, person: Person) -> list[dict[str, Any]]:
    cursor = connection.execute(query, (person.id,))
    rows = []
    for row in cursor:
        names = [column[0] for column in cursor.get_description()]
        values = (from_sql(value) if isinstance(value, bytes) else value for value in row)
        rows.append(dict(zip(names, values, strict=True)))
    return rows


def _turn_to_plain(turn: KeptTurn) -> dict[str, Any]:
    return {
        "question": turn.question,
        "stage": turn.stage,
        "text": turn.text,
        "collections": list(turn.scope),
        "asked": turn.started,
        "error": turn.error.code if turn.error else None,
        "verdict": turn.verdict,
        "answer": answer_to_plain(turn.answer) if turn.answer else None,
    }


def _date(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")


def _line(text: str) -> str:
    return _escaped(" ".join(text.split()))


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is: what was written by others is never markup."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]()<>&#!|~$" else c for c in text)


def _quoted(text: str) -> str:
    return "\n".join(f"> {_escaped(line)}" for line in text.splitlines())
