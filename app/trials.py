"""Blind trials: two settings answer the same questions, and people who do not know which is which choose.

A trial is over some collections. Who is no administrator rates it only while they may read all of these, so that an
answer never shows anybody what they may not read. Which side stands left is drawn when the trial is made and turned
around for every other rater, so that each rater and each question sees either side on the left as often.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import apsw

from app.people.access import Access
from app.people.database import all_rows, new_id, one_row
from app.people.kept_answers import answer_to_plain, to_text
from app.win_rates import Tally, Vote, tally
from core.errors import UnknownTrial, UsageError
from core.records import Answer
from indexes.database import from_sql, to_sql

MAX_QUESTIONS = 200
MAX_NAME_CHARS = 80
SideName = Literal["first", "second"]
SIDES: tuple[SideName, SideName] = ("first", "second")

TRIAL = """
SELECT t.id, t.name, t.scope, t.sides, t.created, t.ended, count(q.place), count(q.first), count(q.second),
       (SELECT count(*) FROM trial_votes AS v WHERE v.trial = t.id),
       (SELECT count(DISTINCT rater) FROM trial_votes AS v WHERE v.trial = t.id)
FROM trials AS t LEFT JOIN trial_questions AS q ON q.trial = t.id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of two settings: ``changes`` from those of the server, as typed, and ``settings`` all that answers need."""

    changes: tuple[str, ...]
    settings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Two settings side by side; ``scope`` are the collections that are asked."""

    id: str
    name: str
    scope: tuple[str, ...]
    first: Side
    second: Side
    created: float
    ended: float | None
    n_questions: int
    n_first: int
    n_second: int
    n_votes: int
    n_raters: int

    @property
    def n_answers(self) -> int:
        """How many answers there are, of two a question."""
        return self.n_first + self.n_second

    @property
    def ready(self) -> bool:
        """Whether every question has both answers."""
        return self.n_answers == 2 * self.n_questions

    def side(self, name: SideName) -> Side:
        """Return a side by its name."""
        return self.first if name == "first" else self.second


class Trials:
    """The trials of a knowledge base, for administrators."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._people = access.people

    def create(self, name: str, questions: Sequence[str], *, first: Side, second: Side, scope: Sequence[str]) -> Trial:
        """Begin a trial; its answers are still to be written.

        Raises:
            NotAllowed: The person does not administer.
            UnknownCollection: There is no such collection.
            UsageError: There are no questions, or too many, or the sides are the same, or nothing is to be asked.
        """
        self._access.require_admin()
        name = " ".join(name.split())[:MAX_NAME_CHARS]
        unique = list(dict.fromkeys(question.strip() for question in questions if question.strip()))
        if not name:
            raise UsageError("the trial has no name", remedy="Name it")
        if not 0 < len(unique) <= MAX_QUESTIONS:
            raise UsageError(f"a trial has 1 to {MAX_QUESTIONS} questions", remedy="Write one on each line")
        if first.settings == second.settings:
            raise UsageError("the two sides are the same", remedy="Change a setting of one of them")
        if not scope:
            raise UsageError("no collection is chosen", remedy="Choose what is to be asked")
        for collection in scope:
            self._access.require(collection, "read")
        trial_id, now = new_id(), self._people.clock()
        sides = [{"changes": side.changes, "settings": side.settings} for side in (first, second)]
        with self._people.writing() as connection:
            values = (trial_id, to_sql(name), self._access.person_id, to_text(list(scope)), to_text(sides), now)
            connection.execute("INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?, NULL)", values)
            connection.executemany(
                "INSERT INTO trial_questions VALUES (?, ?, ?, ?, NULL, NULL)",
                [
                    (trial_id, place, to_sql(question), swapped)
                    for place, (question, swapped) in enumerate(zip(unique, _drawn(len(unique)), strict=True))
                ],
            )
        return self.get(trial_id)

    def all(self) -> list[Trial]:
        """Return every trial, newest first; raises NotAllowed unless the person administers."""
        self._access.require_admin()
        with self._people.reading() as connection:
            rows = all_rows(connection, f"{TRIAL} GROUP BY t.id ORDER BY t.created DESC, t.id")
        return [trial_of(row) for row in rows]

    def get(self, trial_id: str) -> Trial:
        """Return a trial.

        Raises:
            NotAllowed: The person does not administer.
            UnknownTrial: There is none.
        """
        self._access.require_admin()
        with self._people.reading() as connection:
            return read_trial(connection, trial_id)

    def unanswered(self, trial_id: str, side: SideName) -> list[tuple[int, str]]:
        """Return place and text of the questions that one side has not answered; raises as :meth:`get` does."""
        self._access.require_admin()
        query = f"SELECT place, question FROM trial_questions WHERE trial = ? AND {side} IS NULL ORDER BY place"
        with self._people.reading() as connection:
            return [(place, from_sql(question)) for place, question in all_rows(connection, query, (trial_id,))]

    def keep(self, trial_id: str, place: int, side: SideName, answer: Answer) -> None:
        """Keep the answer of one side to a question; nothing where the trial is gone. Raises as :meth:`all` does."""
        self._access.require_admin()
        query = f"UPDATE trial_questions SET {side} = ? WHERE trial = ? AND place = ?"
        with self._people.writing() as connection:
            connection.execute(query, (to_text(answer_to_plain(answer)), trial_id, place))

    def end(self, trial_id: str) -> Trial:
        """End a trial: nobody rates it any more, and its result can be seen. Raises as :meth:`get` does."""
        self._access.require_admin()
        with self._people.writing() as connection:
            read_trial(connection, trial_id)
            query = "UPDATE trials SET ended = ? WHERE id = ? AND ended IS NULL"
            connection.execute(query, (self._people.clock(), trial_id))
            return read_trial(connection, trial_id)

    def delete(self, trial_id: str) -> None:
        """Delete a trial with its answers and votes; raises as :meth:`get` does."""
        self._access.require_admin()
        with self._people.writing() as connection:
            read_trial(connection, trial_id)
            connection.execute("DELETE FROM trials WHERE id = ?", (trial_id,))
        self._people.scrub()

    def result(self, trial_id: str) -> Tally:
        """Return what the votes come to.

        Raises:
            NotAllowed: The person does not administer.
            UnknownTrial: There is none, or it has not ended: until then its votes are nobody's to know.
        """
        if self.get(trial_id).ended is None:
            raise UnknownTrial("the trial has not ended", remedy="End it to see who won")
        return tally(self._votes(trial_id))

    def _votes(self, trial_id: str) -> list[Vote]:
        query = "SELECT rater, place, choice FROM trial_votes WHERE trial = ? ORDER BY rater, place"
        with self._people.reading() as connection:
            rows = all_rows(connection, query, (trial_id,))
        return [Vote(rater=rater, place=place, choice=choice) for rater, place, choice in rows]


def _drawn(n: int) -> list[int]:
    """Return for each of ``n`` questions whether its sides are swapped, half of them, in an order nobody can know."""
    swapped = [place % 2 for place in range(n)]
    random.SystemRandom().shuffle(swapped)
    return swapped


def read_trial(connection: apsw.Connection, trial_id: str) -> Trial:
    """Return a trial; raises UnknownTrial where there is none."""
    row = one_row(connection, f"{TRIAL} WHERE t.id = ? GROUP BY t.id", (trial_id,))
    if row is None:
        raise unknown_trial()
    return trial_of(row)


def trial_of(row: tuple[Any, ...]) -> Trial:
    """Return the trial of a row that :data:`TRIAL` selected."""
    trial_id, name, scope, sides, created, ended, n_questions, n_first, n_second, n_votes, n_raters = row
    first, second = (
        Side(changes=tuple(side["changes"]), settings=tuple(side["settings"])) for side in json.loads(sides)
    )
    return Trial(
        id=trial_id,
        name=from_sql(name),
        scope=tuple(json.loads(scope)),
        first=first,
        second=second,
        created=created,
        ended=ended,
        n_questions=n_questions,
        n_first=n_first,
        n_second=n_second,
        n_votes=n_votes,
        n_raters=n_raters,
    )


def unknown_trial() -> UnknownTrial:
    """Return the error of a trial that is not there for whoever asks."""
    return UnknownTrial("there is no such trial", remedy="It may have ended or been deleted")
