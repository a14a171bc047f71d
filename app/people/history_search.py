"""Search the conversations of one person."""

from __future__ import annotations

from typing import Any

import apsw

from app.people.conversation_rows import BEFORE, CONVERSATION, conversation_of, key_of, next_mark
from app.people.database import People, all_rows, one_row
from app.people.paging import n_rows, read_mark
from app.people.records import Found, Page, Person
from core.errors import UsageError
from indexes.database import from_sql

MAX_WORDS = 12
_SNIPPET_CHARS = 120


def search_conversations(people: People, person: Person, words: str, *, n: int = 50, after: str = "") -> Page[Found]:
    """Return the person's conversations in whose title, or in one of whose turns, all the words stand, newest first.

    Words are parts of text, so that Chinese needs no spaces; case, width, accents and traditional forms do not count.

    Raises:
        UsageError: ``after`` is no mark, or there are no words.
    """
    keys = key_of(words).split()[:MAX_WORDS]
    if not keys:
        raise UsageError("there are no words to search for", remedy="Type some")
    updated, row_id = read_mark(after)
    bindings = {"person": person.id, "updated": updated, "id": row_id, "n": n_rows(n)}
    with people.reading() as connection:
        rows = all_rows(connection, _query(len(keys)), bindings | {f"word{i}": key for i, key in enumerate(keys)})
        found = [_found(connection, row, key=keys[0]) for row in rows]
    return Page(items=found, next=next_mark([each.conversation for each in found], n))


def _query(n_words: int) -> str:
    holds = " AND ".join(f"instr({{0}}.searched, :word{i}) > 0" for i in range(n_words))
    turn = f"SELECT t.id FROM turns AS t WHERE t.conversation = c.id AND {holds.format('t')} ORDER BY t.place LIMIT 1"
    columns = CONVERSATION.replace(" FROM ", f", ({holds.format('c')}) AS titled, ({turn}) AS turn FROM ")
    return f"SELECT * FROM ({columns} WHERE {BEFORE}) WHERE titled OR turn IS NOT NULL ORDER BY 5 DESC, 1 DESC LIMIT :n"


def _found(connection: apsw.Connection, row: tuple[Any, ...], *, key: str) -> Found:
    *conversation, _, turn_id = row
    found = conversation_of(tuple(conversation))
    kept = one_row(connection, "SELECT question, text FROM turns WHERE id = ?", (turn_id,))
    text = "\n".join(from_sql(part) for part in kept) if kept else found.title
    return Found(conversation=found, turn=turn_id or "", snippet=_snippet(text, key))


def _snippet(text: str, key: str) -> str:
    at = max(key_of(text).find(key), 0)  # folding hardly ever changes a length
    start = max(0, at - _SNIPPET_CHARS // 3)
    cut = " ".join(text[start : start + _SNIPPET_CHARS].split())
    return f"{'…' if start else ''}{cut}{'…' if start + _SNIPPET_CHARS < len(text) else ''}"
