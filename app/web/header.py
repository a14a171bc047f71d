"""The header that every page has: where one is, where one may go, and who one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from starlette.requests import Request

from app.people.records import Person
from app.trial_rating import TrialRating
from app.web.forms import form_token
from app.web.visitors import Visitors

Section = Literal["chat", "documents", "collections", "trials", "administration", "account", "entrance"]
# Which addresses belong to which section; what fits none is an entrance.
_SECTIONS: tuple[tuple[str, Section], ...] = (
    ("/collections", "collections"),
    ("/trials", "trials"),
    ("/admin", "administration"),
    ("/account", "account"),
    ("/en", "chat"),
    ("/zh", "chat"),
)
_FIRST_PAGES = ("/collections/", "/trials", "/admin/people")


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the header of a page says; ``person`` is None where nobody is signed in.

    ``n_to_rate`` is how many trials wait for the person; ``accounts`` tells whether there is an account to show.
    """

    path: str
    person: Person | None = None
    form_token: str = ""
    n_to_rate: int = 0
    accounts: bool = True

    @property
    def section(self) -> Section:
        """The section that the page belongs to."""
        return next((section for start, section in _SECTIONS if self.path.startswith(start)), "entrance")

    @property
    def current(self) -> str:
        """What ``aria-current`` says of the link to the section: that it is this page, or one that holds it."""
        return "page" if self.section == "chat" or self.path in _FIRST_PAGES else "true"


def header_of(request: Request, visitors: Visitors, *, path: str = "") -> Header:
    """Return the header for whoever asks.

    Args:
        request: What they ask with.
        visitors: The persons of the server.
        path: The page that it is for; "" takes the one that is asked for.
    """
    path = path or request.url.path
    person: Person | None = getattr(request.state, "person", None)
    if person is None:
        return Header(path=path)
    rated = TrialRating(visitors.own(person.id).access).to_rate()
    return Header(
        path=path,
        person=person,
        form_token=form_token(request.state.token),
        n_to_rate=sum(n_rated < trial.n_questions for trial, n_rated in rated),
        accounts=visitors.sign_in_required,
    )
