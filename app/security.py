"""What stands between a browser and the app: which hosts and origins may speak, what pages may load, whose they are."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

OWNER_COOKIE = "citadel_session"
_OWNER = re.compile(r"[A-Za-z0-9_-]{32,64}")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

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


def owner_of(cookies: Mapping[str, str]) -> str:
    """Return whose browser session this is, "" for one without a valid cookie."""
    owner = cookies.get(OWNER_COOKIE) or ""
    return owner if _OWNER.fullmatch(owner) else ""


def is_loopback(host: str) -> bool:
    """Return whether a server that listens on ``host`` is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """ASGI middleware: refuses foreign hosts and origins, adds headers, and gives each browser its session.

    A host name is taken only when it is ``localhost`` or the one served; addresses are always taken. A page of
    another site can thereby neither read answers (its name resolving to this machine is refused) nor send any.
    """

    def __init__(self, app: ASGIApp, *, host: str) -> None:
        self.app = app
        self.names = {"localhost", host.lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not self._knows_host(headers.get("host", "")):
            await PlainTextResponse("This host name is not served here.", status_code=421)(scope, receive, send)
            return
        if scope["method"] not in _SAFE_METHODS and not _same_origin(headers):
            await PlainTextResponse("Requests from other origins are refused.", status_code=403)(scope, receive, send)
            return
        owner = "" if owner_of(_cookies(headers)) else secrets.token_urlsafe(32)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    answered.setdefault(name, value)
                if owner and scope["method"] == "GET" and "text/html" in answered.get("content-type", ""):
                    answered.append("Set-Cookie", f"{OWNER_COOKIE}={owner}; Path=/; HttpOnly; SameSite=Strict")
            await send(message)

        await self.app(scope, receive, send_guarded)

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


def _same_origin(headers: Headers) -> bool:
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


def _cookies(headers: Headers) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(headers.get("cookie", "")).items()}
    except CookieError:
        return {}
