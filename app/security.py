"""What stands between a browser and the app: which hosts and origins may speak, what pages may load, who they are."""

from __future__ import annotations

import re
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.people.records import Person
from core.errors import CitadelError, SignInNeeded, Throttled

SESSION_COOKIE = "citadel_session"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

# What anybody may have, whoever they are: the looks of pages, and whether the server is up.
_LOOKS = re.compile(
    r"/healthz|/favicon\.ico|/manifest\.json|/assets/[^/]+"
    r"|/(?:en|zh)/(?:(?:assets|static|svelte)/.+|(?:gradio_api/)?theme\.css|favicon\.ico|manifest\.json)"
)
# Where one becomes somebody.
_ENTRANCES = re.compile(r"/sign-in|/welcome|/(?:join|reset|invitation)/[^/]+")
# What a person looks at; all else is asked for by programs, which are told in their own way.
_PAGES = re.compile(r"/|/(?:en|zh)/?|/account|/(?:admin|collections|trials)(?:/.*)?")

# Gradio's pages start from inline scripts and compile their templates with `Function`; all else is our own origin.
CONTENT_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
# A link from another site brings no strict cookie; a page that loads itself again does.
_AGAIN = '<!doctype html><meta http-equiv="refresh" content="0"><title>Citadel</title>'


class Recognizes(Protocol):
    """What the guard needs to know of people; :class:`app.web.visitors.Visitors` knows it."""

    def recognize(self, token: str) -> Person | None:
        """Return whose session this is."""

    def awaits_admin(self) -> bool:
        """Return whether this is the first start."""


def person_of(request: HTTPConnection) -> Person:
    """Return who asks.

    Raises:
        SignInNeeded: Nobody is signed in.
    """
    person: Person | None = getattr(request.state, "person", None)
    if person is None:
        raise _nobody()
    return person


def is_loopback(host: str) -> bool:
    """Return whether a server that listens on ``host`` is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def error_json(error: CitadelError) -> JSONResponse:
    """Return an error as programs read it."""
    response = JSONResponse({"error": {"code": error.code, "message": str(error)}}, status_code=error.http_status)
    if isinstance(error, Throttled):
        response.headers["Retry-After"] = whole_seconds(error.retry_after_seconds)
    return response


def whole_seconds(seconds: float) -> str:
    """Return a time as the header Retry-After has it, at least a second."""
    return str(max(1, round(seconds)))


class Guard:
    """ASGI middleware: refuses foreign hosts and origins, adds headers, and says whose request it is.

    A host name is taken only when it is ``localhost`` or the one served; addresses are always taken. A page of
    another site can thereby neither read answers (its name resolving to this machine is refused) nor send any.
    ``request.state`` has the ``person``, or None, and the ``token`` of their session. Whatever is not an entrance or
    the looks of a page needs a person.
    """

    def __init__(self, app: ASGIApp, *, host: str, visitors: Recognizes) -> None:
        self.app, self.visitors = app, visitors
        self.names = {"localhost", host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:  # nothing here speaks over sockets
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if not self._knows_host(headers.get("host", "")):
            await PlainTextResponse("This host name is not served here.", status_code=421)(scope, receive, send)
            return
        if scope["method"] not in _SAFE_METHODS and not _same_origin(headers):
            await PlainTextResponse("Requests from other origins are refused.", status_code=403)(scope, receive, send)
            return
        path, private = scope["path"], not _LOOKS.fullmatch(scope["path"])
        person: Person | None = None
        if private:
            token = _cookie(headers, SESSION_COOKIE)
            # In a thread: being seen is written down now and then, and a writer may have to wait.
            person = await run_in_threadpool(self.visitors.recognize, token)
            scope.setdefault("state", {}).update(person=person, token=token if person else "")

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _dress(MutableHeaders(scope=message), private=private)
            await send(message)

        if private and person is None and not _ENTRANCES.fullmatch(path):
            refused = await run_in_threadpool(self._turned_away, scope, headers)
            await refused(scope, receive, send_guarded)
        else:
            await self.app(scope, receive, send_guarded)

    def _turned_away(self, scope: Scope, headers: Headers) -> Response:
        """Return the answer to a request of nobody: pages lead to where one signs in."""
        path = scope["path"]
        if scope["method"] not in ("GET", "HEAD") or not _PAGES.fullmatch(path):
            return error_json(_nobody())
        if self.visitors.awaits_admin():
            return RedirectResponse("/welcome", status_code=303)
        if headers.get("sec-fetch-site") == "cross-site" and headers.get("sec-fetch-mode") == "navigate":
            return HTMLResponse(_AGAIN)
        query = scope["query_string"].decode("latin-1")
        wanted = f"{path}?{query}" if query else path
        after = f"?next={quote(wanted, safe='/')}" if wanted != "/" else ""
        return RedirectResponse(f"/sign-in{after}", status_code=303)

    def _knows_host(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self.names:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True


def _dress(answered: MutableHeaders, *, private: bool) -> None:
    """Add what every answer carries; Gradio's leave for other origins is taken out."""
    for name, value in _HEADERS.items():
        answered.setdefault(name, value)
    if private:  # a shared computer's back button shows nothing of whoever has signed out
        answered.setdefault("Cache-Control", "no-store")
    for name in ("Access-Control-Allow-Origin", "Access-Control-Allow-Credentials"):
        if name in answered:
            del answered[name]


def _nobody() -> SignInNeeded:
    return SignInNeeded("nobody is signed in", remedy="Sign in and try again")


def _same_origin(headers: Headers) -> bool:
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _cookie(headers: Headers, name: str) -> str:
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""
