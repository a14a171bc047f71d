"""Blind trials, for those who make them: two settings, the questions, and who won in the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.responses import JSONResponse, Response

from app.people.history import History
from app.trial_answers import CHANGEABLE, side_of
from app.trials import MAX_QUESTIONS, SIDES, Side, SideName, Trial, Trials
from app.web.pages import Wrong
from app.web.quality.received import Received
from app.web.quality.rooms import Caller, lead
from app.web.quality.words import moment, percent
from app.win_rates import Tally, WinRate
from core.errors import CitadelError, MalformedInput, UnknownTrial

WORDS = ("auto", "reader", "generator", "quotes")
_RECENT_CONVERSATIONS, _RECENT_QUESTIONS = 30, 30
# What a side's form asks for by name; the rest is typed as lines.
_NAMED = {"words": "answer.words", "model": "generator.model", "adapter": "generator.adapter"}


class TrialPages:
    """The pages of trials, as one administrator has them."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.trials = Trials(caller.own.access)

    # --- showing ---------------------------------------------------------------------------------------------------

    def show(self, wrong: Wrong | None = None, typed: Mapping[str, Any] | None = None) -> Response:
        """Show how to begin a trial, and all of them."""
        settings = self.caller.own.settings
        values = {
            "trials": [self._row(trial) for trial in self.trials.all()],
            "words": WORDS,
            "present": {
                "words": settings.answer.words,
                "model": settings.generator.model,
                "adapter": settings.generator.adapter,
            },
            "shelves": self.caller.own.shelves(),
            "recent": self._recent(),
            "changeable": ", ".join(CHANGEABLE),
            "max_questions": MAX_QUESTIONS,
            "typed": typed or _nothing_typed(),
        }
        return self.caller.show("quality_trials.html", values, wrong)

    def show_trial(self, trial_id: str, wrong: Wrong | None = None) -> Response:
        """Show one trial; who won only once it has ended."""
        try:
            trial = self.trials.get(trial_id)
            found = self.trials.result(trial_id) if trial.ended else None
        except UnknownTrial as error:
            return self.caller.gone(error, "/admin/trials")
        chore = self.caller.rooms.background.newest("trial", trial.id)
        failed = chore.state.error if chore is not None and not chore.state.running else None
        values = {
            "trial": self._row(trial),
            "address": f"{self.caller.request.base_url}trials/{trial.id}",
            "running": self._running(trial.id),
            "failed": self.caller.wrong(failed).said if failed and not trial.ready else "",
            "result": self._result(found) if found else None,
        }
        return self.caller.show("quality_trial.html", values, wrong)

    def progress(self, trial_id: str) -> Response:
        """Return how far the answers of a trial are."""
        return JSONResponse(self._running(trial_id) or {"done": 0, "total": 0, "ended": True})

    # --- deeds -----------------------------------------------------------------------------------------------------

    def start(self, form: Received) -> Response:
        """Make a trial and have its answers written."""
        if stale := self.caller.stale(form):
            return self.show(stale)
        try:
            trial = self.trials.create(
                form["name"],
                self._questions(form),
                first=self._side(form, "first"),
                second=self._side(form, "second"),
                scope=form.every("collections"),
            )
        except CitadelError as error:
            return self.show(self.caller.wrong(error, form="start"), typed=_typed(form))
        self.caller.note("trial_started", trial.id)
        self._write(trial)
        return lead(f"/admin/trials/{trial.id}")

    def change(self, trial_id: str, form: Received) -> Response:
        """Go on with the answers of a trial, cancel that, end the trial or delete it."""
        if stale := self.caller.stale(form):
            return self.show_trial(trial_id, stale)
        deeds = {"go_on": self._go_on, "cancel": self._cancel, "end": self._end, "delete": self._delete}
        deed = deeds.get(form["form"])
        try:
            after = deed(self.trials.get(trial_id)) if deed else ""
        except UnknownTrial as error:
            return self.caller.gone(error, "/admin/trials")
        except CitadelError as error:
            return self.show_trial(trial_id, self.caller.wrong(error, form=form["form"]))
        return lead(after or f"/admin/trials/{trial_id}")

    def _go_on(self, trial: Trial) -> str:
        self.caller.note("trial_started", trial.id)
        self._write(trial)
        return ""

    def _cancel(self, trial: Trial) -> str:
        chore = self.caller.rooms.background.running("trial", trial.id)
        if chore is not None:
            chore.cancel()
        return ""

    def _end(self, trial: Trial) -> str:
        self._cancel(trial)
        self.trials.end(trial.id)
        self.caller.note("trial_ended", trial.id)
        return ""

    def _delete(self, trial: Trial) -> str:
        self._cancel(trial)
        self.trials.delete(trial.id)
        self.caller.note("trial_deleted", trial.id)
        return "/admin/trials"

    def _write(self, trial: Trial) -> None:
        own, person = self.caller.own, self.caller.person
        self.caller.rooms.trial_answers.begin(self.trials, trial, own=own, person=person)

    # --- what was sent ---------------------------------------------------------------------------------------------

    def _questions(self, form: Received) -> list[str]:
        own = self.caller.own
        name, content = form.file("upload")
        try:
            uploaded = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise MalformedInput(f"is not text in UTF-8 ({error.reason})", where=name) from error
        lines = [*form.every("recent"), *form["questions"].splitlines(), *uploaded.splitlines()]
        return [own.checked_question(line) for line in lines if line.strip()]

    def _side(self, form: Received, name: SideName) -> Side:
        chosen = [(setting, form[f"{name}_{field}"].strip()) for field, setting in _NAMED.items()]
        lines = [line.strip() for line in form[f"{name}_more"].splitlines() if line.strip()]
        changes = [f"{setting}={value}" for setting, value in chosen if value]
        return side_of(self.caller.own.settings, [*changes, *lines])

    # --- what is told ----------------------------------------------------------------------------------------------

    def _recent(self) -> list[str]:
        """Return the newest questions of the administrator's own."""
        history = History(self.caller.rooms.visitors.people, self.caller.person)
        asked: list[str] = []
        for conversation in history.newest(n=_RECENT_CONVERSATIONS).items:
            asked += [" ".join(turn.question.split()) for turn in history.turns(conversation.id)]
        return list(dict.fromkeys(asked))[:_RECENT_QUESTIONS]

    def _running(self, trial_id: str) -> dict[str, Any] | None:
        chore = self.caller.rooms.background.running("trial", trial_id)
        if chore is None:
            return None
        state = chore.state
        said = self.caller.say(f"chore.{state.stage}", done=f"{state.done:,}", total=f"{state.total:,}")
        return {"done": state.done, "total": state.total, "said": said, "ended": False}

    def _row(self, trial: Trial) -> Mapping[str, Any]:
        labels = {shelf.name: shelf.label for shelf in self.caller.own.shelves()}
        if trial.ended:
            stage = "ended"
        elif trial.ready:
            stage = "open"
        else:
            stage = "writing" if self._running(trial.id) else "unready"
        return {
            "id": trial.id,
            "name": trial.name,
            "stage": stage,
            "when": moment(trial.created),
            "sides": [", ".join(trial.side(name).changes) or self.caller.say("trials.present") for name in SIDES],
            "scope": [labels.get(name, name) for name in trial.scope],
            "n_questions": trial.n_questions,
            "n_answers": trial.n_answers,
            "n_votes": trial.n_votes,
            "n_raters": trial.n_raters,
        }

    def _result(self, found: Tally) -> Mapping[str, Any]:
        return {
            "tally": found,
            "sides": [_rate(won) for won in (found.first, found.second)],
            "same": percent(found.same, found.n_votes),
            "both_bad": percent(found.both_bad, found.n_votes),
            "verdict": _verdict(found),
        }


def _rate(won: WinRate) -> Mapping[str, Any]:
    """Return a win rate as it is written and drawn, in hundredths of the bar's width."""
    return {
        "wins": won.wins,
        "rate": percent(won.rate),
        "between": f"{percent(won.low)} – {percent(won.high)}",
        "x": round(100 * won.rate, 1),
        "low": round(100 * won.low, 1),
        "high": round(100 * won.high, 1),
    }


def _verdict(found: Tally) -> str:
    """Return which side won, as the end of a text's name; "unclear" where the interval holds both."""
    if not found.n_decided:
        return "none"
    if found.first.low > 0.5:
        return "first"
    return "second" if found.second.low > 0.5 else "unclear"


def _typed(form: Received) -> dict[str, Any]:
    names = ["name", "questions", *(f"{side}_{field}" for side in SIDES for field in (*_NAMED, "more"))]
    return {name: form[name] for name in names} | {
        "recent": form.every("recent"),
        "collections": form.every("collections"),
    }


def _nothing_typed() -> dict[str, Any]:
    names = ["name", "questions", *(f"{side}_{field}" for side in SIDES for field in (*_NAMED, "more"))]
    empty: dict[str, Sequence[str]] = {"recent": [], "collections": []}
    return {**dict.fromkeys(names, ""), **empty}
