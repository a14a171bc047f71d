"""What these pages share: who asks for one, how it is shown, and how what its forms ask for is done or refused."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from app.catalogue import Catalogue
from app.folders import Folders
from app.jobs import Jobs
from app.people.audit import Action
from app.people.groups import Groups
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.records import Person
from app.security import person_of
from app.texts import TEXTS, count, explain, say
from app.upkeep import Upkeep
from app.uploads import Uploads
from app.web.administration.fields import Fields, read_fields
from app.web.administration.words import from_address, moment, size
from app.web.entrance import address_of
from app.web.forms import form_token, is_own_form
from app.web.pages import Page, Wrong, language_of, shown, version_of
from app.web.visitors import Visitors
from core.errors import (
    CitadelError,
    FileVanished,
    UnknownCollection,
    UnknownFolder,
    UnknownPerson,
    UnknownSource,
    UsageError,
)
from core.records import Language

if TYPE_CHECKING:
    from app.knowledge_base import KnowledgeBase

ACTIONS: tuple[Action, ...] = get_args(Action)
FOLDER = Path(__file__).parent
ASSETS = STYLE, SCRIPT = FOLDER / "administration.css", FOLDER / "administration.js"
# What may be gone between two looks at a page, or never was there for whoever asks.
_MISSING = (UnknownCollection, UnknownSource, UnknownPerson, UnknownFolder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What is open behind these pages."""

    knowledge_base: KnowledgeBase
    visitors: Visitors
    uploads: Uploads
    jobs: Jobs
    folders: Folders
    upkeep: Upkeep

    @property
    def groups(self) -> Groups:
        """The groups of people."""
        return Groups(self.visitors.people)


class NoSuchPage(Exception):
    """To whoever asks, there is no such page."""


class Visit:
    """Somebody who asks for a page, and what they sent with it."""

    def __init__(self, office: Office, request: Request, sent: Fields) -> None:
        self.office, self.request, self.sent = office, request, sent
        self.person: Person = person_of(request)

    @cached_property
    def language(self) -> Language:
        """The language of the page."""
        return language_of(self.request, self.office.visitors.language_setting)

    @cached_property
    def own(self) -> OwnKnowledgeBase:
        """The knowledge base as they have it."""
        return self.office.visitors.own(self.person.id)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The collections as they see them."""
        return Catalogue(self.office.knowledge_base, self.own)

    @property
    def page_number(self) -> int:
        """Which page of a long list they ask for, from 1."""
        asked = self.request.query_params.get("page", "")
        return int(asked) if asked.isdecimal() and len(asked) < 8 else 1

    @property
    def words(self) -> tuple[str, ...]:
        """What they want to find in a list, word by word."""
        return tuple(self.request.query_params.get("find", "").split()[:8])

    def named(self, parameter: str) -> str:
        """Return a part of the address that is a name."""
        return from_address(str(self.request.path_params[parameter]))

    def say(self, key: str, **values: object) -> str:
        """Return a text in their language."""
        return say(key, self.language, **values)

    def note(self, action: Action, target: str = "") -> None:
        """Write down what they did."""
        address = address_of(self.request)
        self.office.visitors.audit.note(action, person=self.person, target=target, address=address)

    def done(self, what: str, *, path: str | None = None) -> RedirectResponse:
        """Lead back to the page, which says what was done; a reload does not do it again."""
        address = f"{path or self.request.url.path}?done={what}"
        return RedirectResponse(address, status_code=303, headers={"Cache-Control": "no-store"})

    def show(
        self, template: str, values: Mapping[str, Any], wrong: Wrong | None = None, *, status: int = 200
    ) -> Response:
        """Return a page."""
        done = self.request.query_params.get("done", "")
        shared = {
            "done": f"done.{done}" if f"done.{done}" in TEXTS and wrong is None else "",
            "person": self.person,
            "admin": self.person.is_admin,
            "path": self.request.url.path,
            "administration_version": version_of(ASSETS),
            "form_token": form_token(self.request.state.token),
            "count": lambda key, n: count(key, self.language, n),
            "explain": lambda error: explain(error, self.language),
            "size": size,
            "moment": moment,
        }
        page = Page(template=f"administration/{template}", values={**shared, **values}, wrong=wrong, status=status)
        return shown(self.request, page, language=self.language, visitors=self.office.visitors)

    def missing(self) -> Response:
        """Return the page of what is not there."""
        return self.show("missing.html", {}, status=404)


Deed = Callable[[Visit], Response]


class Desk(ABC):
    """One page and what its forms do; ``admin`` keeps it to administrators."""

    admin: ClassVar[bool] = False

    @abstractmethod
    def page(self, visit: Visit, wrong: Wrong | None = None) -> Response:
        """Show the page; ``wrong`` is what was wrong with a form of it."""

    def deeds(self) -> Mapping[str, Deed]:
        """Return what the page's forms do, by their names."""
        return {}


def answering(office: Office, desk: Desk) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of a page, for GET and POST."""

    async def endpoint(request: Request) -> Response:
        try:
            sent = await read_fields(request) if request.method == "POST" else Fields()
        except UsageError as error:
            visit = Visit(office, request, Fields())
            return await run_in_threadpool(_refused, visit, error)
        return await run_in_threadpool(_answered, desk, Visit(office, request, sent))

    return endpoint


def _answered(desk: Desk, visit: Visit) -> Response:
    try:
        if desk.admin and visit.own.access.role != "admin":
            raise NoSuchPage
        if visit.request.method != "POST":
            return desk.page(visit)
        return _changed(desk, visit)
    except (NoSuchPage, *_MISSING):
        return visit.missing()
    except CitadelError as error:
        return _refused(visit, error)


def _changed(desk: Desk, visit: Visit) -> Response:
    """Do what a form asks for; what is wrong with it is said on the page that it stands on."""
    form = visit.sent["form"]
    deed = desk.deeds().get(form)
    if not is_own_form({"form_token": visit.sent["form_token"]}, visit.request.state.token):
        return desk.page(visit, Wrong(said=visit.say("entrance.stale"), form="", status=403))
    if deed is None:
        raise NoSuchPage
    try:
        return deed(visit)
    except CitadelError as error:
        # Whoever may not see the page is told by it, in the words of what does not exist.
        return desk.page(visit, Wrong.of(error, visit.language, form=form))


def _refused(visit: Visit, error: CitadelError) -> Response:
    status = 410 if isinstance(error, FileVanished) else error.http_status
    wrong = Wrong.of(error, visit.language, form="")
    return visit.show("missing.html", {}, Wrong(said=wrong.said, form="", status=status))


def chosen(value: str, allowed: Sequence[Any]) -> Any:
    """Return which of the allowed values was sent.

    Raises:
        UsageError: None of them.
    """
    found = next((one for one in allowed if one == value), None)
    if found is None:
        raise UsageError("this cannot be chosen", remedy="Reload the page and choose again")
    return found
