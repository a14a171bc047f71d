"""The queue of ratings: what was asked, found and said, what the rater thought, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi.responses import PlainTextResponse, Response

from app.people.feedback import MAX_CORRECTED_CHARS, Review
from app.people.feedback_lines import case_lines, example_lines
from app.people.records import REASONS, Page, Rating, Reason, ReviewState, Verdict
from app.web.quality.answers import passages, pieces
from app.web.quality.received import Received
from app.web.quality.rooms import Caller, lead
from app.web.quality.words import moment
from core.errors import UnknownConversation, UsageError

STATES: tuple[ReviewState, ...] = ("open", "example", "case", "dismissed")
VERDICTS: tuple[Verdict, ...] = ("up", "down")
_PAGE = 20


class FeedbackPages:
    """The pages of one administrator's review."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.review = Review(caller.rooms.visitors.people, caller.person)

    def show(self, wrong_at: str = "", error: UsageError | None = None, typed: str = "") -> Response:
        """Show a part of the queue; ``error`` is what was wrong with a decision, and ``typed`` the better answer."""
        wanted = _Wanted(self.caller.request.query_params)
        try:
            found = self._queue(wanted)
        except UsageError as misplaced:
            return self.caller.gone(misplaced, "/admin/feedback")
        counts = self.review.counts()
        values = {
            "wanted": wanted,
            "states": [(state, counts[state], wanted.address(state=state)) for state in STATES],
            "reasons": self._reasons(wanted),
            "items": [self._item(rating, typed if rating.id == wrong_at else None) for rating in found.items],
            "newer": wanted.address(after="") if wanted.after else "",
            "older": wanted.address(after=found.next) if found.next else "",
            "here": wanted.address(after=wanted.after),
            "undo": self._undo(wanted),
            "n_examples": counts["example"],
            "n_cases": counts["case"],
            "max_corrected": MAX_CORRECTED_CHARS,
        }
        wrong = self.caller.wrong(error, form=wrong_at) if error else None
        return self.caller.show("quality_feedback.html", values, wrong)

    def decide(self, form: Received) -> Response:
        """Make a rating an example or a case, dismiss it, or open it again."""
        if stale := self.caller.stale(form):
            return self.caller.show("quality_gone.html", {"back": "/admin/feedback"}, stale)
        rating_id, decision = form["rating"], form["decision"]
        wanted = _Wanted(self.caller.request.query_params)
        state = next((state for state in STATES if state == decision), None)
        if state is None:
            return lead(wanted.address(after=wanted.after))
        typed = form["corrected"] if "corrected" in form.parts else None
        try:
            self.review.decide(rating_id, state, corrected=typed)
        except UnknownConversation as error:
            return self.caller.gone(error, wanted.address())
        except UsageError as error:
            return self.show(rating_id, error, typed or "")
        self.caller.note("rating_decided", rating_id)
        done = {"done": rating_id, "was": wanted.state} if state != wanted.state else {}
        return lead(wanted.address(after=wanted.after, **done))

    def lines(self, state: ReviewState) -> Response:
        """Return all examples, or all cases, as lines to take away."""
        ratings = self.review.every(state)
        self.caller.note("data_exported", f"feedback/{state}")
        written = example_lines(ratings) if state == "example" else case_lines(ratings)
        name = "feedback-training.jsonl" if state == "example" else "feedback-cases.jsonl"
        response = PlainTextResponse("".join(f"{line}\n" for line in written), media_type="application/jsonl")
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    def _queue(self, wanted: _Wanted) -> Page[Rating]:
        return self.review.queue(
            wanted.state, n=_PAGE, after=wanted.after, verdict=wanted.verdict, reason=wanted.reason
        )

    def _reasons(self, wanted: _Wanted) -> list[tuple[str, int, str, bool]]:
        """Return (name, number, address, whether it is chosen) of each reason; no filter first."""
        counts = self.review.reasons(wanted.state)
        everything = sum(counts.values())
        rows = [
            (self.caller.say("feedback.all"), everything, wanted.address(verdict="", reason=""), not wanted.verdict)
        ]
        for (verdict, reason), n in counts.items():
            name = self.caller.say(f"reason.{reason or verdict}")
            chosen = (wanted.verdict, wanted.reason or "") == (verdict, reason or "")
            rows.append((name, n, wanted.address(verdict=verdict, reason=reason or ""), chosen))
        return rows

    def _undo(self, wanted: _Wanted) -> Mapping[str, str] | None:
        """Return what was just decided, so that it can be undone."""
        if not wanted.done:
            return None
        try:
            rating = self.review.get(wanted.done)
        except UnknownConversation:
            return None
        return {"id": rating.id, "state": rating.state, "was": wanted.was}

    def _item(self, rating: Rating, typed: str | None) -> Mapping[str, Any]:
        language = self.caller.language
        return {
            "id": rating.id,
            "rating": rating,
            "when": moment(rating.created),
            "reason": self.caller.say(f"reason.{rating.reason or rating.verdict}"),
            "corrected": rating.corrected if typed is None else typed,
            "pieces": pieces(rating.answer),
            "passages": passages(rating.answer, language),
        }


class _Wanted:
    """What part of the queue is looked at, from the page's address."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        asked = parameters.get("state", "open")
        self.state: ReviewState = next((state for state in STATES if state == asked), "open")
        self.verdict: Verdict | None = next((v for v in VERDICTS if v == parameters.get("verdict")), None)
        self.reason: Reason | None = next((r for r in REASONS if r == parameters.get("reason")), None)
        self.after = parameters.get("after", "")
        self.done = parameters.get("done", "")
        was = parameters.get("was", "open")
        self.was: ReviewState = next((state for state in STATES if state == was), "open")

    def address(self, **changes: str) -> str:
        """Return the address of the queue with some of it changed; another list begins at its top."""
        kept = {"state": self.state, "verdict": self.verdict or "", "reason": self.reason or ""}
        if "state" in changes:
            kept |= {"verdict": "", "reason": ""}
        named = {
            name: value for name, value in (kept | changes).items() if value and (name, value) != ("state", "open")
        }
        return f"/admin/feedback?{urlencode(named)}" if named else "/admin/feedback"
