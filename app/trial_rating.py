"""Rating a trial: which answer stands where for whom, and what they chose."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import apsw

from app.people.access import Access
from app.people.database import all_rows, one_row
from app.people.kept_answers import answer_from_plain
from app.trials import TRIAL, Trial, trial_of, unknown_trial
from app.win_rates import Choice
from core.records import Answer
from indexes.database import from_sql

RATER_ROLES = ("admin", "editor")

Seen = Literal["left", "right", "same", "both_bad"]
SEEN: tuple[Seen, ...] = ("left", "right", "same", "both_bad")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """A question with its two answers, as one rater is shown them; ``n_rated`` is how many they have done."""

    place: int
    question: str
    left: Answer
    right: Answer
    n_rated: int
    n_questions: int


class TrialRating:
    """The trials as one person rates them: administrators and editors who may read what was asked."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._people = access.people

    def to_rate(self) -> list[tuple[Trial, int]]:
        """Return the trials that the person may rate, oldest first, each with how many questions they have done."""
        if self._access.role not in RATER_ROLES:
            return []
        readable = set(self._access.readable())
        with self._people.reading() as connection:
            rows = all_rows(connection, f"{TRIAL} WHERE t.ended IS NULL GROUP BY t.id ORDER BY t.created, t.id")
            trials = [trial for row in rows if (trial := trial_of(row)).ready and readable.issuperset(trial.scope)]
            return [(trial, len(self._rated(connection, trial.id))) for trial in trials]

    def next(self, trial_id: str) -> Pairing | None:
        """Return what the person is to rate next, None when they have rated everything.

        Raises:
            UnknownTrial: There is none that they may rate.
        """
        with self._rating(trial_id) as connection:
            number = self._number(connection, trial_id)
            rated = self._rated(connection, trial_id)
            query = "SELECT place, question, swapped, first, second FROM trial_questions WHERE trial = ? ORDER BY place"
            rows = all_rows(connection, query, (trial_id,))
        order = list(rows)
        random.Random(f"{trial_id} {number}").shuffle(order)
        for place, question, swapped, *answers in order:
            if place not in rated:
                first, second = (answer_from_plain(json.loads(answer)) for answer in answers)
                turned = _turned(swapped, number)
                return Pairing(
                    place=place,
                    question=from_sql(question),
                    left=second if turned else first,
                    right=first if turned else second,
                    n_rated=len(rated),
                    n_questions=len(rows),
                )
        return None

    def vote(self, trial_id: str, place: int, seen: Seen) -> None:
        """Keep what the person chose; a second choice for a question replaces the first.

        Raises:
            UnknownTrial: There is none that they may rate, or it has no such question.
        """
        with self._rating(trial_id) as connection:
            number = self._number(connection, trial_id)
            query = "SELECT swapped FROM trial_questions WHERE trial = ? AND place = ?"
            row = one_row(connection, query, (trial_id, place))
            if row is None:
                raise unknown_trial()
            turned = _turned(row[0], number)
            by_seen: dict[Seen, Choice] = {
                "left": "second" if turned else "first",
                "right": "first" if turned else "second",
                "same": "same",
                "both_bad": "both_bad",
            }
            values = (trial_id, place, number, by_seen[seen], self._people.clock())
            connection.execute("INSERT OR REPLACE INTO trial_votes VALUES (?, ?, ?, ?, ?)", values)

    def take_back(self, trial_id: str) -> None:
        """Forget the person's last choice, so that its question comes again; raises as :meth:`next` does."""
        with self._rating(trial_id) as connection:
            number = self._number(connection, trial_id)
            connection.execute(
                "DELETE FROM trial_votes WHERE (trial, place, rater) IN (SELECT trial, place, rater FROM trial_votes "
                "WHERE trial = ? AND rater = ? ORDER BY created DESC LIMIT 1)",
                (trial_id, number),
            )

    # --- within ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _rating(self, trial_id: str) -> Iterator[apsw.Connection]:
        if trial_id not in (trial.id for trial, _ in self.to_rate()):
            raise unknown_trial()
        with self._people.writing() as connection:
            yield connection

    def _number(self, connection: apsw.Connection, trial_id: str) -> int:
        """Return the person's number among the raters of a trial, from 0, taken now where they have none."""
        connection.execute(
            "INSERT OR IGNORE INTO trial_raters SELECT ?, count(*), ? FROM trial_raters WHERE trial = ?",
            (trial_id, self._access.person_id, trial_id),
        )
        query = "SELECT number FROM trial_raters WHERE trial = ? AND person = ?"
        return int(connection.execute(query, (trial_id, self._access.person_id)).get)

    def _rated(self, connection: apsw.Connection, trial_id: str) -> set[int]:
        query = (
            "SELECT v.place FROM trial_raters AS r JOIN trial_votes AS v ON v.trial = r.trial AND v.rater = r.number "
            "WHERE r.trial = ? AND r.person = ?"
        )
        return {place for (place,) in all_rows(connection, query, (trial_id, self._access.person_id))}


def _turned(swapped: int, rater: int) -> bool:
    """Return whether a rater sees the second side on the left."""
    return bool((swapped + rater) % 2)
