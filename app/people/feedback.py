"""What people think of answers: thumbs with a reason and a better answer, and the queue in which they are reviewed.

A rating keeps question, passages and answer as they were, so that it outlives an answer that is asked for again. It
goes with its rater and with the conversation, unless it has become an example or a case: that stays, nobody's.
"""

from __future__ import annotations

import json
from typing import Any

from app.people.conversation_rows import TURN, forget_ratings, messages_of, turn_of
from app.people.database import People, all_rows, new_id, one_row
from app.people.kept_answers import answer_from_plain, answer_to_plain, to_text
from app.people.paging import mark, n_rows, read_mark
from app.people.person_rows import require_admin
from app.people.records import REASONS, GivenRating, Page, Person, Rating, Reason, ReviewState, Verdict
from core.errors import UnknownConversation, UsageError
from core.records import Message
from indexes.database import from_sql, to_sql

MAX_CORRECTED_CHARS = 10_000
_RATING = """
SELECT f.id, f.person, p.name, f.question, f.history, f.answer, f.verdict, f.reason, f.corrected, f.state, f.decided_by,
       f.decided, f.created
FROM feedback AS f LEFT JOIN persons AS p ON p.id = f.person
"""


class Ratings:
    """One person's ratings of the answers in their own conversations."""

    def __init__(self, people: People, person: Person) -> None:
        self._people = people
        self._person = person.id

    def give(self, turn_id: str, verdict: Verdict, *, reason: Reason | None = None, corrected: str = "") -> None:
        """Rate an answer; a second rating of it replaces the first and is reviewed anew.

        Raises:
            UnknownConversation: The person has no such answer.
            UsageError: The reason is none, or the corrected answer is too long.
        """
        if reason is not None and (reason not in REASONS or verdict == "up"):
            raise UsageError("a thumb up has no reason, a thumb down one of the list", remedy="Choose one of them")
        corrected = _checked_correction(corrected)
        with self._people.writing() as connection:
            bindings = {"person": self._person, "id": turn_id}
            row = one_row(connection, f"{TURN} AND t.id = :id", bindings)
            turn = turn_of(row, runner=self._people.runner) if row else None
            if turn is None or turn.answer is None:
                raise UnknownConversation("there is no such answer", remedy="It may have been deleted")
            query = f"{TURN} AND c.id = :conversation AND t.place < (SELECT place FROM turns WHERE id = :id)"
            earlier = all_rows(connection, f"{query} ORDER BY t.place", bindings | {"conversation": turn.conversation})
            history = messages_of([turn_of(row, runner=self._people.runner) for row in earlier])
            connection.execute("DELETE FROM feedback WHERE turn = :id AND person = :person", bindings)
            connection.execute(
                "INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', NULL, NULL, ?)",
                (
                    new_id(),
                    self._person,
                    turn.conversation,
                    turn_id,
                    to_sql(turn.question),
                    to_text([[message.role, message.content] for message in history]),
                    to_text(answer_to_plain(turn.answer)),
                    verdict,
                    reason or "",
                    to_sql(corrected),
                    self._people.clock(),
                ),
            )

    def given(self, conversation_id: str) -> dict[str, GivenRating]:
        """Return the person's ratings of a conversation's answers, by turn."""
        query = "SELECT turn, verdict, reason, corrected FROM feedback WHERE person = ? AND conversation = ?"
        with self._people.reading() as connection:
            rows = all_rows(connection, f"{query} AND turn IS NOT NULL", (self._person, conversation_id))
        return {
            turn: GivenRating(verdict=verdict, reason=reason or None, corrected=from_sql(corrected))
            for turn, verdict, reason, corrected in rows
        }

    def take_back(self, turn_id: str) -> None:
        """Forget one's rating of an answer; one that became an example or a case stays, nobody's."""
        with self._people.writing() as connection:
            forget_ratings(connection, "turn = :id AND person = :person", {"id": turn_id, "person": self._person})


class Review:
    """The queue of ratings, for administrators; every method raises NotAllowed for others."""

    def __init__(self, people: People, person: Person) -> None:
        self._people = people
        self._person = person

    def queue(
        self,
        state: ReviewState = "open",
        *,
        n: int = 50,
        after: str = "",
        verdict: Verdict | None = None,
        reason: Reason | None = None,
    ) -> Page[Rating]:
        """Return ratings in a state, newest first.

        Args:
            state: The state.
            n: Ratings of a page.
            after: The ``next`` of the page before.
            verdict: Only thumbs up, or only thumbs down.
            reason: Only those with this reason.

        Raises:
            UsageError: ``after`` is no such mark.
        """
        created, row_id = read_mark(after)
        with self._people.reading() as connection:
            require_admin(connection, self._person)
            rows = all_rows(
                connection,
                f"{_RATING} WHERE f.state = :state AND (f.created, f.id) < (:created, :id) "
                "AND f.verdict = coalesce(:verdict, f.verdict) AND f.reason = coalesce(:reason, f.reason) "
                "ORDER BY f.created DESC, f.id DESC LIMIT :n",
                {
                    "state": state,
                    "created": created,
                    "id": row_id,
                    "verdict": verdict,
                    "reason": reason,
                    "n": n_rows(n),
                },
            )
        found = [_rating(row) for row in rows]
        last = mark(found[-1].created, found[-1].id) if len(found) == n_rows(n) else ""
        return Page(items=found, next=last)

    def counts(self) -> dict[ReviewState, int]:
        """Return how many ratings are in each state."""
        with self._people.reading() as connection:
            require_admin(connection, self._person)
            found = dict(all_rows(connection, "SELECT state, count(*) FROM feedback GROUP BY state"))
        states: tuple[ReviewState, ...] = ("open", "example", "case", "dismissed")
        return {state: int(found.get(state, 0)) for state in states}

    def reasons(self, state: ReviewState = "open") -> dict[tuple[Verdict, Reason | None], int]:
        """Return how many ratings in a state there are of each verdict and reason, the most first."""
        with self._people.reading() as connection:
            require_admin(connection, self._person)
            query = "SELECT verdict, reason, count(*) FROM feedback WHERE state = ? GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
            return {(verdict, reason or None): n for verdict, reason, n in all_rows(connection, query, (state,))}

    def get(self, rating_id: str) -> Rating:
        """Return a rating.

        Raises:
            UnknownConversation: There is none of this id.
        """
        with self._people.reading() as connection:
            require_admin(connection, self._person)
            row = one_row(connection, f"{_RATING} WHERE f.id = ?", (rating_id,))
        if row is None:
            raise UnknownConversation("there is no such rating", remedy="Its rater may have deleted it")
        return _rating(row)

    def decide(self, rating_id: str, state: ReviewState, *, corrected: str | None = None) -> Rating:
        """Make a rating an example or a case, dismiss it or open it again, and return it.

        Args:
            rating_id: Which.
            state: What it becomes.
            corrected: A better answer than the rater's; None keeps theirs.

        Raises:
            UnknownConversation: There is none of this id.
            UsageError: It is to teach and nothing says what would have been right.
        """
        with self._people.writing() as connection:
            rating = self.get(rating_id)
            text = rating.corrected if corrected is None else _checked_correction(corrected)
            teaches = rating.verdict == "up" or text or rating.reason == "should_have_refused"
            if state in ("example", "case") and not teaches:
                raise UsageError(
                    "nothing says what would have been right", remedy="Write the right answer, or dismiss it"
                )
            decided = (None, None) if state == "open" else (self._person.id, self._people.clock())
            connection.execute(
                "UPDATE feedback SET state = ?, corrected = ?, decided_by = ?, decided = ? WHERE id = ?",
                (state, to_sql(text), *decided, rating_id),
            )
            return self.get(rating_id)

    def every(self, state: ReviewState) -> list[Rating]:
        """Return all ratings in a state, oldest first."""
        with self._people.reading() as connection:
            require_admin(connection, self._person)
            rows = all_rows(connection, f"{_RATING} WHERE f.state = ? ORDER BY f.created, f.id", (state,))
        return [_rating(row) for row in rows]


def _checked_correction(text: str) -> str:
    text = text.strip()
    if len(text) > MAX_CORRECTED_CHARS:
        raise UsageError(f"an answer has at most {MAX_CORRECTED_CHARS:,} characters", remedy="Shorten it")
    return text


def _rating(row: tuple[Any, ...]) -> Rating:
    (
        rating_id,
        person,
        person_name,
        question,
        history,
        answer,
        verdict,
        reason,
        corrected,
        state,
        decided_by,
        decided,
        created,
    ) = row
    return Rating(
        id=rating_id,
        person=person or "",
        person_name=person_name or "",
        question=from_sql(question),
        history=tuple(Message(role=role, content=content) for role, content in json.loads(history)),
        answer=answer_from_plain(json.loads(answer)),
        verdict=verdict,
        reason=reason or None,
        corrected=from_sql(corrected),
        state=state,
        decided_by=decided_by or "",
        decided=decided,
        created=created,
    )
