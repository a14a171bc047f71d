"""The golden questions: asking them in the background, and the pages that show what came of it."""

from __future__ import annotations

from typing import Any

from fastapi.responses import FileResponse, JSONResponse, Response

from app.cases import Case, case_of
from app.people.feedback import Review
from app.people.feedback_lines import case
from app.web.pages import Wrong
from app.web.quality.evaluation_told import Telling
from app.web.quality.received import Received
from app.web.quality.rooms import Caller, lead
from core.errors import CitadelError, UnknownEvaluation

FEEDBACK_CASES = "feedback"


class EvaluationPages:
    """The pages of evaluations, as one administrator has them."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller
        self.evaluations = caller.rooms.evaluations
        self.telling = Telling(caller)

    # --- showing ---------------------------------------------------------------------------------------------------

    def show(self, wrong: Wrong | None = None, *, sure: str = "") -> Response:
        """Show how to begin one, the one that runs, the newest against the one before, and all of them.

        ``sure`` is a file of cases of which it is asked whether it is to be deleted.
        """
        runs = self.evaluations.all()
        ended = next((run for run in runs if run.n_done and run.stage != "running"), None)
        values = {
            "running": self._running(),
            "files": self._files(),
            "uploaded": self.caller.rooms.case_files.uploaded(),
            "sure": sure,
            "n_feedback": len(self._feedback_cases()),
            "shelves": self.caller.own.shelves(),
            "runs": [self.telling.row(run) for run in runs],
            "newest": self.telling.told(ended, self.telling.before(ended, runs)) if ended else None,
        }
        return self.caller.show("quality_evaluation.html", values, wrong)

    def show_run(self, n: int, against: str) -> Response:
        """Show one run, against the one before or another whose number is given."""
        try:
            run = self.evaluations.get(n)
            other = (
                self.evaluations.get(int(against))
                if against.isdecimal()
                else self.telling.before(run, self.evaluations.all())
            )
        except UnknownEvaluation as error:
            return self.caller.gone(error, "/admin/evaluation")
        others = [other for other in self.evaluations.all() if other.n_done and other.n != n]
        values = {
            "told_run": self.telling.told(run, other) if run.n_done else None,
            "row": self.telling.row(run),
            "run": run,
            "others": [self.telling.row(each) for each in others],
            "against": other.n if other else 0,
            "error": self.caller.wrong(run.error).said if run.error else "",
        }
        return self.caller.show("quality_run.html", values)

    def progress(self) -> Response:
        """Return how far the one that runs is."""
        return JSONResponse(self._running() or {"done": 0, "total": 0, "ended": True})

    def results(self, n: int) -> Response:
        """Return the results of a run to take away."""
        try:
            path = self.evaluations.results_file(n)
        except UnknownEvaluation as error:
            return self.caller.gone(error, "/admin/evaluation")
        self.caller.note("data_exported", f"evaluation/{n}")
        return FileResponse(path, media_type="application/jsonl", filename=f"evaluation-{n}.jsonl")

    # --- deeds -----------------------------------------------------------------------------------------------------

    def change(self, form: Received) -> Response:
        """Begin an evaluation, cancel or delete one, or delete a file of cases, which is asked about first."""
        if stale := self.caller.stale(form):
            return self.show(stale)
        if form["form"] == "delete_cases" and form["sure"] != "yes":
            return self.show(sure=form["file"])
        deeds = {
            "start": self._start,
            "cancel": self._cancel,
            "delete": self._delete,
            "delete_cases": self._delete_cases,
        }
        deed = deeds.get(form["form"])
        try:
            if deed is not None:
                deed(form)
        except CitadelError as error:
            return self.show(self.caller.wrong(error, form=form["form"]))
        return lead("/admin/evaluation")

    def _start(self, form: Received) -> None:
        uploaded, content = form.file("upload")
        chosen = form.every("cases")
        cases, names = [], []
        if FEEDBACK_CASES in chosen:
            cases += self._feedback_cases()
            names.append(self.caller.say("evaluation.from_feedback"))
        files = self.caller.rooms.case_files
        wanted = [name.removeprefix("file:") for name in chosen if name.startswith("file:")]
        if uploaded:
            wanted.append(files.keep(uploaded, content))
        for name in dict.fromkeys(wanted):
            cases += files.read(name)
            names.append(name or self.caller.say("evaluation.sample"))
        own, collections = self.caller.own, form.every("collections")
        run = self.evaluations.start(own, cases, names=names, collections=collections)
        self.caller.note("evaluation_started", str(run.n))

    def _cancel(self, _: Received) -> None:
        if run := self.evaluations.cancel():
            self.caller.note("evaluation_cancelled", str(run.n))

    def _delete(self, form: Received) -> None:
        n = int(form["n"]) if form["n"].isdecimal() else 0
        self.evaluations.delete(n)
        self.caller.note("evaluation_deleted", str(n))

    def _delete_cases(self, form: Received) -> None:
        self.caller.rooms.case_files.delete(form["file"])
        self.caller.note("cases_deleted", form["file"])

    # --- within ----------------------------------------------------------------------------------------------------

    def _feedback_cases(self) -> list[Case]:
        ratings = Review(self.caller.rooms.visitors.people, self.caller.person).every("case")
        return [case_of(case(rating), i, where="feedback") for i, rating in enumerate(ratings, 1)]

    def _files(self) -> list[tuple[str, str]]:
        """Return (value of the form, what it is called) of each file of cases."""
        names = self.caller.rooms.case_files.names()
        return [(f"file:{name}", name or self.caller.say("evaluation.sample")) for name in names]

    def _running(self) -> dict[str, Any] | None:
        chore = self.caller.rooms.background.running("evaluation")
        if chore is None:
            return None
        state = chore.state
        said = self.caller.say(f"chore.{state.stage}", done=f"{state.done:,}", total=f"{state.total:,}")
        return {"done": state.done, "total": state.total, "said": said, "ended": False}
