"""The addresses of the pages of quality."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import FileResponse, Response

from app.web.quality.evaluation_page import EvaluationPages
from app.web.quality.feedback_page import FeedbackPages
from app.web.quality.rating_page import RatingPages
from app.web.quality.received import Sent
from app.web.quality.rooms import SCRIPT, STYLE, NotHere, Rooms, administrator, rater
from app.web.quality.trials_page import TrialPages
from app.web.quality.usage_page import usage_page


def add_quality_pages(app: FastAPI, rooms: Rooms) -> None:
    """Add the pages of usage, feedback, evaluations and trials."""
    app.include_router(_router(rooms))
    app.add_exception_handler(NotHere, _nothing_here)


async def _nothing_here(_: Request, error: Exception) -> Response:
    assert isinstance(error, NotHere)
    return error.page


def _router(rooms: Rooms) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    _add_looks(router)
    _add_usage_and_feedback(router, rooms)
    _add_evaluations(router, rooms)
    _add_trials(router, rooms)
    _add_rating(router, rooms)
    return router


def _add_looks(router: APIRouter) -> None:
    @router.get("/assets/quality.css")
    def style() -> Response:
        return FileResponse(STYLE, headers={"Cache-Control": "no-cache"})

    @router.get("/assets/quality.js")
    def script() -> Response:
        return FileResponse(SCRIPT, headers={"Cache-Control": "no-cache"})


def _add_usage_and_feedback(router: APIRouter, rooms: Rooms) -> None:
    @router.get("/admin/usage")
    def usage(request: Request, days: str = "") -> Response:
        return usage_page(administrator(rooms, request), days)

    @router.get("/admin/feedback")
    def feedback(request: Request) -> Response:
        return FeedbackPages(administrator(rooms, request)).show()

    @router.post("/admin/feedback")
    def decide(request: Request, form: Sent) -> Response:
        return FeedbackPages(administrator(rooms, request)).decide(form)

    @router.get("/admin/feedback/training.jsonl")
    def examples(request: Request) -> Response:
        return FeedbackPages(administrator(rooms, request)).lines("example")

    @router.get("/admin/feedback/cases.jsonl")
    def cases(request: Request) -> Response:
        return FeedbackPages(administrator(rooms, request)).lines("case")


def _add_evaluations(router: APIRouter, rooms: Rooms) -> None:
    @router.get("/admin/evaluation")
    def evaluations(request: Request) -> Response:
        return EvaluationPages(administrator(rooms, request)).show()

    @router.post("/admin/evaluation")
    def change(request: Request, form: Sent) -> Response:
        return EvaluationPages(administrator(rooms, request)).change(form)

    @router.get("/admin/evaluation/progress")
    def progress(request: Request) -> Response:
        return EvaluationPages(administrator(rooms, request)).progress()

    @router.get("/admin/evaluation/{n:int}")
    def one(request: Request, n: int, against: str = "") -> Response:
        return EvaluationPages(administrator(rooms, request)).show_run(n, against)

    @router.get("/admin/evaluation/{n:int}/results.jsonl")
    def results(request: Request, n: int) -> Response:
        return EvaluationPages(administrator(rooms, request)).results(n)


def _add_trials(router: APIRouter, rooms: Rooms) -> None:
    @router.get("/admin/trials")
    def trials(request: Request) -> Response:
        return TrialPages(administrator(rooms, request)).show()

    @router.post("/admin/trials")
    def start(request: Request, form: Sent) -> Response:
        return TrialPages(administrator(rooms, request)).start(form)

    @router.get("/admin/trials/{trial_id}")
    def trial(request: Request, trial_id: str) -> Response:
        return TrialPages(administrator(rooms, request)).show_trial(trial_id)

    @router.post("/admin/trials/{trial_id}")
    def change(request: Request, trial_id: str, form: Sent) -> Response:
        return TrialPages(administrator(rooms, request)).change(trial_id, form)

    @router.get("/admin/trials/{trial_id}/progress")
    def progress(request: Request, trial_id: str) -> Response:
        return TrialPages(administrator(rooms, request)).progress(trial_id)


def _add_rating(router: APIRouter, rooms: Rooms) -> None:
    @router.get("/trials")
    def to_rate(request: Request) -> Response:
        return RatingPages(rater(rooms, request)).show()

    @router.get("/trials/{trial_id}")
    def next_pair(request: Request, trial_id: str) -> Response:
        return RatingPages(rater(rooms, request)).show_next(trial_id)

    @router.post("/trials/{trial_id}")
    def vote(request: Request, trial_id: str, form: Sent) -> Response:
        return RatingPages(rater(rooms, request)).vote(trial_id, form)
