"""One's own account: name, language, password, sessions, everything that is kept, and the end of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from app.people.export import everything_about
from app.people.kept_answers import to_text
from app.people.records import Person, Session
from app.security import SESSION_COOKIE, person_of
from app.texts import LANGUAGES, say
from app.uploads import Uploads
from app.web.entrance import Form, address_of
from app.web.forms import form_token, is_own_form
from app.web.pages import Page, Wrong, language_of, remember_language, shown
from app.web.visitors import Visitors
from core.errors import LastAdmin, SignInFailed, Throttled, UnknownPerson, UsageError, WeakPassword
from core.records import Language

_DONE = ("profile", "password", "sessions")
# Of a browser's name for itself the part that people know it by; the first that fits.
_BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def account_router(visitors: Visitors, uploads: Uploads) -> APIRouter:
    """Return the pages of one's own account."""
    router = APIRouter(include_in_schema=False)
    account = AccountPages(visitors, uploads)
    router.add_api_route("/account", account.page, methods=["GET"], response_model=None)
    router.add_api_route("/account", account.change, methods=["POST"], response_model=None)
    router.add_api_route("/account/everything.json", account.everything, methods=["GET"], response_model=None)
    return router


class AccountPages:
    """One's own account, and what its forms do."""

    def __init__(self, visitors: Visitors, uploads: Uploads) -> None:
        self.visitors, self.uploads = visitors, uploads

    def page(self, request: Request, done: str = "") -> Response:
        """Show the account."""
        if not self.visitors.sign_in_required:
            return RedirectResponse("/", status_code=303)
        return self._shown(request, done=done if done in _DONE else "")

    def change(self, request: Request, form: Form) -> Response:
        """Do what one of the forms asks for."""
        deeds: dict[str, Callable[[Request, Person, Form], Response]] = {
            "profile": self._profile,
            "password": self._password,
            "session": self._session,
            "sessions": self._sessions,
            "delete": self._delete,
        }
        person, deed = person_of(request), deeds.get(form.get("form", ""))
        if not self.visitors.sign_in_required:
            return RedirectResponse("/", status_code=303)
        if deed is None or not is_own_form(form, request.state.token):
            return self._shown(request, Wrong(said=say("entrance.stale", self._language(request)), form="", status=403))
        return deed(request, person, form)

    def everything(self, request: Request) -> Response:
        """Return all that is kept about whoever asks."""
        person = person_of(request)
        self.visitors.audit.note("data_exported", person=person, target=person.id, address=address_of(request))
        response = Response(to_text(everything_about(self.visitors.people, person)), media_type="application/json")
        response.headers["Content-Disposition"] = 'attachment; filename="citadel-everything-about-me.json"'
        return response

    # --- deeds -----------------------------------------------------------------------------------------------------

    def _profile(self, request: Request, person: Person, form: Form) -> Response:
        try:
            if form.get("name", "") != person.name:
                self.visitors.accounts.rename(person.id, form.get("name", ""))
                self.visitors.audit.note("person_renamed", person=person, target=person.id, address=address_of(request))
        except UsageError as error:
            wrong = Wrong.of(error, self._language(request), form="profile", field="name")
            return self._shown(request, wrong, name=form.get("name", ""))
        response = _done("profile")
        for language in LANGUAGES:
            if form.get("language") == language:
                remember_language(response, language)
        return response

    def _password(self, request: Request, person: Person, form: Form) -> Response:
        language, address = self._language(request), address_of(request)
        old, new = form.get("old", ""), form.get("password", "")
        if new != form.get("again", ""):
            return self._shown(request, Wrong(said=say("entrance.differ", language), form="password", field="again"))
        try:
            token: str = request.state.token
            self.visitors.accounts.change_password(person.id, old=old, new=new, token=token, address=address)
        except (SignInFailed, Throttled) as error:
            return self._shown(request, Wrong.of(error, language, form="password", field="old"))
        except WeakPassword as error:
            return self._shown(request, Wrong.of(error, language, form="password", field="password"))
        self.visitors.audit.note("password_changed", person=person, target=person.id, address=address)
        return _done("password")

    def _session(self, request: Request, person: Person, form: Form) -> Response:
        try:
            self.visitors.sessions.revoke(person.id, form.get("session", ""))
        except UnknownPerson as error:
            return self._shown(request, Wrong.of(error, self._language(request), form="sessions"))
        return self._revoked(request, person)

    def _sessions(self, request: Request, person: Person, _: Form) -> Response:
        self.visitors.sessions.revoke_all(person.id, but_token=request.state.token)
        return self._revoked(request, person)

    def _revoked(self, request: Request, person: Person) -> Response:
        self.visitors.audit.note("session_revoked", person=person, target=person.id, address=address_of(request))
        return _done("sessions")

    def _delete(self, request: Request, person: Person, form: Form) -> Response:
        visitors, address = self.visitors, address_of(request)
        try:
            visitors.accounts.check_sign_in(person.name, form.get("password", ""), address=address)
            visitors.accounts.delete(person.id)
        except (SignInFailed, Throttled, LastAdmin) as error:
            wrong = Wrong.of(error, self._language(request), form="delete", field="password")
            return self._shown(request, wrong)
        visitors.audit.note("person_deleted", target=person.id)
        self.uploads.forget(person.id)
        visitors.attachments.sweep()
        response = RedirectResponse("/sign-in", status_code=303)
        response.delete_cookie(SESSION_COOKIE, path="/")
        return response

    # --- the page --------------------------------------------------------------------------------------------------

    def _language(self, request: Request) -> Language:
        return language_of(request, self.visitors.language_setting)

    def _shown(self, request: Request, wrong: Wrong | None = None, *, done: str = "", name: str = "") -> Response:
        language, token = self._language(request), request.state.token
        person = self.visitors.accounts.get(person_of(request).id)
        sessions = self.visitors.sessions.of(person.id, token=token)
        values = {
            "person": person,
            "name": name or person.name,
            "sessions": [_session_values(session, language) for session in sessions],
            "done": done,
            "form_token": form_token(token),
        }
        page = Page(template="account.html", values=values, wrong=wrong)
        return shown(request, page, language=language, visitors=self.visitors)


def device(user_agent: str, language: Language) -> str:
    """Return a browser and its system as people call them."""
    browser = next((called for mark, called in _BROWSERS if mark in user_agent), "")
    system = next((called for mark, called in _SYSTEMS if mark in user_agent), "")
    if browser and system:
        return say("device.named", language, browser=browser, system=system)
    program = re.match(r"[\w.-]{1,40}", user_agent)
    return browser or system or (program[0] if program else say("device.unknown", language))


def _session_values(session: Session, language: Language) -> Mapping[str, object]:
    return {
        "id": session.id,
        "device": device(session.user_agent, language),
        "address": session.address,
        "since": _time(session.created),
        "seen": _time(session.seen),
        "current": session.current,
    }


def _time(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")


def _done(what: str) -> RedirectResponse:
    return RedirectResponse(f"/account?done={what}", status_code=303)
