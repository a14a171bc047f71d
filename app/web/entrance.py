"""Where one becomes somebody: the first start, signing in and out, invitations and new passwords."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from app.people.audit import Action
from app.people.records import Invitation, Person
from app.security import SESSION_COOKIE, is_loopback
from app.texts import say
from app.web.forms import is_own_form, local_path, read_form
from app.web.pages import Page, Wrong, language_of, shown
from app.web.visitors import Visitors
from core.errors import CitadelError, InvitationSpent, NotAllowed, SignInFailed, Throttled, UsageError, WeakPassword
from core.records import Language

Form = Annotated[Mapping[str, str], Depends(read_form)]
DAY_SECONDS = 86_400
# What a proxy adds: who comes through one is not at this machine, though the proxy is.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


def entrance_router(visitors: Visitors) -> APIRouter:
    """Return the pages that need nobody to be signed in."""
    router = APIRouter(include_in_schema=False)
    entrance = Entrance(visitors)

    @router.get("/sign-in")
    def sign_in_page(request: Request, next: str = "/") -> Response:
        return entrance.sign_in_page(request, next)

    @router.post("/sign-in")
    def sign_in(request: Request, form: Form) -> Response:
        return entrance.sign_in(request, form)

    @router.post("/sign-out")
    def sign_out(request: Request, form: Form) -> Response:
        return entrance.sign_out(request, form)

    @router.get("/welcome")
    def welcome_page(request: Request) -> Response:
        return entrance.welcome_page(request)

    @router.post("/welcome")
    def welcome(request: Request, form: Form) -> Response:
        return entrance.welcome(request, form)

    @router.get("/invitation/{token}")
    def invitation(request: Request, token: str) -> Response:
        return entrance.invitation_page(request, token)

    for path in ("/join/{token}", "/reset/{token}"):
        router.add_api_route(path, entrance.invitation_page, methods=["GET"], response_model=None)
        router.add_api_route(path, entrance.accept, methods=["POST"], response_model=None)
    return router


class Entrance:
    """The pages that need nobody to be signed in, and what their forms do."""

    def __init__(self, visitors: Visitors) -> None:
        self.visitors = visitors

    # --- signing in and out ----------------------------------------------------------------------------------------

    def sign_in_page(self, request: Request, after: str) -> Response:
        """Ask for name and password, unless somebody is signed in."""
        if request.state.person is not None:
            return _lead(local_path(after))
        if self.visitors.awaits_admin():
            return _lead("/welcome")
        return self._sign_in(request, {"next": after})

    def sign_in(self, request: Request, form: Form) -> Response:
        """Sign in and go on where one wanted to."""
        language = self._language(request)
        name, password, address = form.get("name", ""), form.get("password", ""), address_of(request)
        missing = _missing(form, ("name", "password"), language)
        if missing:
            return self._sign_in(request, form, missing)
        try:
            person = self.visitors.accounts.check_sign_in(name, password, address=address)
        except (SignInFailed, Throttled) as error:
            self.visitors.audit.note("sign_in_failed", address=address)
            return self._sign_in(request, form, Wrong.of(error, language))
        return self.let_in(request, person, after=form.get("next", "/"))

    def sign_out(self, request: Request, form: Form) -> Response:
        """End the session of this browser."""
        token: str = request.state.token
        if is_own_form(form, token):
            self.visitors.sessions.end(token)
            self.visitors.audit.note("signed_out", person=request.state.person, address=address_of(request))
        response = _lead("/sign-in")
        response.delete_cookie(SESSION_COOKIE, path="/")
        return response

    def let_in(self, request: Request, person: Person, *, after: str = "/") -> Response:
        """Begin a session, in place of the one that this browser had, and go on to a page of ours."""
        visitors, address = self.visitors, address_of(request)
        if request.state.token:
            visitors.sessions.end(request.state.token)
        user_agent = request.headers.get("user-agent", "")
        token = visitors.sessions.create(person.id, user_agent=user_agent, address=address)
        visitors.audit.note("signed_in", person=person, address=address)
        response = _lead(local_path(after))
        response.set_cookie(
            SESSION_COOKIE,
            token,
            max_age=visitors.session_days * DAY_SECONDS,
            path="/",
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return response

    def _sign_in(self, request: Request, form: Mapping[str, str], wrong: Wrong | None = None) -> Response:
        values = {"name": form.get("name", ""), "next": local_path(form.get("next", "/"))}
        return self._shown(request, Page(template="sign_in.html", values=values, wrong=wrong))

    # --- the first start -------------------------------------------------------------------------------------------

    def welcome_page(self, request: Request) -> Response:
        """Ask for the first administrator, as long as there is none."""
        if not self.visitors.awaits_admin():
            return _lead("/")
        return self._welcome(request, {})

    def welcome(self, request: Request, form: Form) -> Response:
        """Make the first administrator and sign them in."""
        if not self.visitors.awaits_admin():
            return _lead("/sign-in")
        language = self._language(request)
        if not is_at_this_machine(request) and not _same(form.get("code", "").strip().lower(), self.visitors.code):
            return self._welcome(
                request, form, Wrong(said=say("entrance.code_wrong", language), field="code", status=403)
            )
        wrong = _missing(form, ("name", "password", "again"), language) or _differ(form, language)
        if wrong:
            return self._welcome(request, form, wrong)
        try:
            person = self.visitors.accounts.create_first_admin(form["name"], form["password"])
        except NotAllowed as error:  # another was faster
            return self._refused(request, error)
        except UsageError as error:
            return self._welcome(request, form, _beside(error, language))
        self.visitors.audit.note("person_added", person=person, target=person.id, address=address_of(request))
        return self.let_in(request, person)

    def _welcome(self, request: Request, form: Mapping[str, str], wrong: Wrong | None = None) -> Response:
        values = {"name": form.get("name", ""), "ask_code": not is_at_this_machine(request)}
        return self._shown(request, Page(template="welcome.html", values=values, wrong=wrong))

    # --- invitations -----------------------------------------------------------------------------------------------

    def invitation_page(self, request: Request, token: str) -> Response:
        """Show what an invitation offers: an account, or another password."""
        try:
            invitation = self.visitors.invitations.find(token)
        except InvitationSpent as error:
            return self._refused(request, error)
        kind = "join" if invitation.person is None else "reset"
        if not request.url.path.startswith(f"/{kind}/"):
            asked = request.query_params.get("lang")
            return _lead(f"/{kind}/{token}" + (f"?{urlencode({'lang': asked})}" if asked else ""))
        return self._invitation(request, invitation, {})

    def accept(self, request: Request, token: str, form: Form) -> Response:
        """Make the account, or take the new password, and sign in."""
        language, invitations = self._language(request), self.visitors.invitations
        try:
            invitation = invitations.find(token)
            joins = invitation.person is None
            wrong = _missing(form, ("name", "password", "again")[not joins :], language) or _differ(form, language)
            if wrong:
                return self._invitation(request, invitation, form, wrong)
            try:
                if joins:
                    person = invitations.accept(token, name=form["name"], password=form["password"])
                else:
                    person = invitations.accept_reset(token, password=form["password"])
            except InvitationSpent:  # between the look and now
                raise
            except UsageError as error:
                return self._invitation(request, invitation, form, _beside(error, language))
        except InvitationSpent as error:
            return self._refused(request, error)
        action: Action = "person_added" if joins else "password_reset"
        self.visitors.audit.note(action, person=person, target=person.id, address=address_of(request))
        if person.disabled:
            return _lead("/sign-in")
        return self.let_in(request, person)

    def _invitation(
        self, request: Request, invitation: Invitation, form: Mapping[str, str], wrong: Wrong | None = None
    ) -> Response:
        if invitation.person is None:
            values = {"name": form.get("name", ""), "role": invitation.role}
            return self._shown(request, Page(template="join.html", values=values, wrong=wrong))
        values = {"name": self.visitors.accounts.get(invitation.person).name}
        return self._shown(request, Page(template="reset.html", values=values, wrong=wrong))

    # --- all of them -----------------------------------------------------------------------------------------------

    def _language(self, request: Request) -> Language:
        return language_of(request, self.visitors.language_setting)

    def _shown(self, request: Request, page: Page) -> Response:
        return shown(request, page, language=self._language(request), visitors=self.visitors)

    def _refused(self, request: Request, error: CitadelError) -> Response:
        wrong = Wrong.of(error, self._language(request))
        return self._shown(request, Page(template="refused.html", wrong=wrong))


def address_of(request: Request) -> str:
    """Return from where a request comes."""
    return request.client.host if request.client else ""


def is_at_this_machine(request: Request) -> bool:
    """Return whether whoever asks sits at this machine, or can be taken to."""
    came_through = any(name in request.headers for name in _FORWARDED)
    return not came_through and is_loopback(address_of(request)) and is_loopback(request.url.hostname or "")


def _lead(path: str) -> RedirectResponse:
    return RedirectResponse(path, status_code=303, headers={"Cache-Control": "no-store"})


def _same(given: str, code: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), code.encode())


def _missing(form: Mapping[str, str], fields: tuple[str, ...], language: Language) -> Wrong | None:
    """Return the first field that is empty."""
    empty = next((field for field in fields if not form.get(field, "").strip()), None)
    return Wrong(said=say("entrance.missing", language), field=empty) if empty else None


def _differ(form: Mapping[str, str], language: Language) -> Wrong | None:
    if form["password"] == form["again"]:
        return None
    return Wrong(said=say("entrance.differ", language), field="again")


def _beside(error: CitadelError, language: Language) -> Wrong:
    """Return an error of a new account beside the field that it is about."""
    return Wrong.of(error, language, field="password" if isinstance(error, WeakPassword) else "name")
