"""What the pages of quality share: who may come in, what is open behind them, and how a page is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from app.background import Background
from app.case_files import CaseFiles
from app.evaluations import Evaluations
from app.pacing import Busy
from app.people.audit import Action
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.records import Person
from app.security import person_of
from app.texts import count, say
from app.trial_answers import TrialAnswers
from app.trial_rating import RATER_ROLES
from app.web.administration.desk import ASSETS as ADMINISTRATION_ASSETS
from app.web.entrance import address_of
from app.web.forms import form_token, is_own_form
from app.web.pages import Page, Wrong, language_of, shown, version_of
from app.web.quality.received import Received
from app.web.visitors import Visitors
from core.errors import CitadelError
from core.records import Language

FOLDER = Path(__file__).parent
STYLE, SCRIPT = FOLDER / "quality.css", FOLDER / "quality.js"


class Rooms:
    """What is open behind the pages.

    Args:
        visitors: The persons of the server.
        data_dir: The data directory.
        answers: What tells whether answers are written for people.
    """

    def __init__(self, visitors: Visitors, data_dir: Path, answers: Busy) -> None:
        self.visitors = visitors
        self.background = Background()
        self.case_files = CaseFiles(data_dir)
        self.evaluations = Evaluations(data_dir, self.background, answers)
        self.trial_answers = TrialAnswers(self.background, answers)


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who may see the page that they ask for."""

    rooms: Rooms
    request: Request
    person: Person

    @property
    def language(self) -> Language:
        """The language of the page."""
        return language_of(self.request, self.rooms.visitors.language_setting)

    @property
    def own(self) -> OwnKnowledgeBase:
        """The knowledge base as they have it."""
        return self.rooms.visitors.own(self.person.id)

    def say(self, key: str, **values: object) -> str:
        """Return a text in their language."""
        return say(key, self.language, **values)

    def note(self, action: Action, target: str = "") -> None:
        """Write down what they did."""
        address = address_of(self.request)
        self.rooms.visitors.audit.note(action, person=self.person, target=target, address=address)

    def stale(self, form: Received) -> Wrong | None:
        """Return what is wrong with a form that was not made for their session."""
        token = {"form_token": form["form_token"]}
        if is_own_form(token, self.request.state.token):
            return None
        return Wrong(said=self.say("entrance.stale"), form="", status=403)

    def wrong(self, error: CitadelError, form: str = "") -> Wrong:
        """Return an error as it is said above a form."""
        return Wrong.of(error, self.language, form=form)

    def show(
        self, template: str, values: Mapping[str, Any], wrong: Wrong | None = None, *, status: int = 200
    ) -> Response:
        """Return a page."""
        shared = {
            "done": "",
            "person": self.person,
            "admin": self.person.is_admin,
            "path": self.request.url.path,
            "administration_version": version_of(ADMINISTRATION_ASSETS),
            "quality_version": version_of((STYLE, SCRIPT)),
            "form_token": form_token(self.request.state.token),
            "count": lambda key, n: count(key, self.language, n),
        }
        page = Page(template=template, values={**shared, **values}, wrong=wrong, status=status)
        return shown(self.request, page, language=self.language, visitors=self.rooms.visitors)

    def gone(self, error: CitadelError, back: str) -> Response:
        """Return the page that stands for what is not there; ``back`` leads on."""
        return self.show("quality_gone.html", {"back": back}, self.wrong(error))


class NotHere(Exception):
    """To whoever asks, there is no such page; ``page`` says so."""

    def __init__(self, page: Response) -> None:
        self.page = page
        super().__init__()


def administrator(rooms: Rooms, request: Request) -> Caller:
    """Return who asks.

    Raises:
        NotHere: They do not administer.
    """
    return _let_in(rooms, request, ("admin",))


def rater(rooms: Rooms, request: Request) -> Caller:
    """Return who asks; raises as :func:`administrator` does for who may not rate trials."""
    return _let_in(rooms, request, RATER_ROLES)


def _let_in(rooms: Rooms, request: Request, roles: tuple[str, ...]) -> Caller:
    caller = Caller(rooms, request, person_of(request))
    if caller.person.role not in roles:
        raise NotHere(caller.show("administration/missing.html", {}, status=404))
    return caller


def lead(path: str) -> RedirectResponse:
    """Lead on after a form was sent, so that a reload does not send it again."""
    return RedirectResponse(path, status_code=303, headers={"Cache-Control": "no-store"})
