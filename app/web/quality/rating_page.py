"""Blind trials, for those who rate them: two answers side by side, and nothing that says whose they are."""

from __future__ import annotations

from fastapi.responses import Response

from app.trial_rating import SEEN, TrialRating
from app.web.quality.answers import passages, pieces
from app.web.quality.received import Received
from app.web.quality.rooms import Caller, lead
from core.errors import UnknownTrial
from core.records import Answer


class RatingPages:
    """The pages of one rater."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.rating = TrialRating(caller.own.access)

    def show(self) -> Response:
        """Show the trials that there are to rate."""
        trials = [
            {"id": trial.id, "name": trial.name, "n_rated": n_rated, "n_questions": trial.n_questions}
            for trial, n_rated in self.rating.to_rate()
        ]
        return self.caller.show("quality_to_rate.html", {"trials": trials})

    def show_next(self, trial_id: str) -> Response:
        """Show the next question with its two answers, or that all are rated."""
        try:
            pairing = self.rating.next(trial_id)
        except UnknownTrial as error:
            return self.caller.gone(error, "/trials")
        if pairing is None:
            return self.caller.show("quality_rated.html", {"trial": trial_id})
        values = {
            "trial": trial_id,
            "pairing": pairing,
            "answers": [self._told(answer, letter) for answer, letter in ((pairing.left, "A"), (pairing.right, "B"))],
        }
        return self.caller.show("quality_rate.html", values)

    def vote(self, trial_id: str, form: Received) -> Response:
        """Keep a choice, or take the last one back."""
        if stale := self.caller.stale(form):
            return self.caller.show("quality_gone.html", {"back": f"/trials/{trial_id}"}, stale)
        place, choice = form["place"], form["choice"]
        try:
            if choice == "back":
                self.rating.take_back(trial_id)
            elif place.isdecimal() and len(place) < 10:
                for seen in SEEN:
                    if choice == seen:
                        self.rating.vote(trial_id, int(place), seen)
        except UnknownTrial as error:
            return self.caller.gone(error, "/trials")
        self.caller.note("trial_rated", trial_id)
        return lead(f"/trials/{trial_id}")

    def _told(self, answer: Answer, letter: str) -> dict[str, object]:
        cited = {citation.chunk_id for citation in answer.citations}
        return {
            "letter": letter,
            "pieces": pieces(answer),
            "language": answer.language,
            "quotes": [
                passage
                for hit, passage in zip(answer.hits, passages(answer, self.caller.language), strict=True)
                if hit.chunk.id in cited
            ],
        }
