"""Gradio's own doors: each opens to the person whose upload or stream is behind it, and the others stay shut.

Gradio knows who may come in, and isolates nobody from anybody: whoever knows the path of an upload or the hash of a
page's session could read the one and listen to the other. What is not listed here is not there, so that a door of a
newer Gradio is shut until somebody has looked at it.
"""

from __future__ import annotations

import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Literal
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.people.records import Person
from app.security import person_of, whole_seconds
from app.texts import LANGUAGES, explain
from app.uploads import Uploads
from app.web.visitors import Visitors
from core.errors import NotAllowed, QuotaReached, Throttled
from core.records import Language

MAX_EVENT_BYTES = 4 * 2**20
# A name that is forgotten is anybody's who knows it: a page that is still open is long past it by then.
MAX_CLAIMS_PER_PERSON = 5_000
# More than anybody's fingers do: a page sends four events when it opens, and one for each letter of a filter.
EVENTS_AT_ONCE = 60
EVENTS_PER_SECOND = 8.0
_API = "/gradio_api"
_HASH = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOUNTED = re.compile(r"/(?P<language>en|zh)(?P<inside>/.*)?")

Door = Literal["looks", "person", "upload", "progress", "page", "heartbeat", "event"]
DOORS: tuple[tuple[str, Door], ...] = (
    (rf"/(?:assets|static|svelte)/.+|(?:{_API})?/theme\.css|/favicon\.ico|/manifest\.json", "looks"),
    (rf"/|/config/?|{_API}/(?:info/?|startup-events|app_id/?|file=.*)", "person"),
    (rf"{_API}/upload", "upload"),
    (rf"{_API}/upload_progress", "progress"),
    (rf"{_API}/queue/data", "page"),
    (rf"{_API}/heartbeat/[^/]+", "heartbeat"),
    (rf"{_API}/(?:queue/join|run/[^/]+/?)", "event"),
)


def door_of(inside: str) -> Door | None:
    """Return what kind of door a path of a mounted app is; None: one that is shut."""
    return next((door for pattern, door in DOORS if re.fullmatch(pattern, inside)), None)


class Claims:
    """Whose a page's session or an upload is: the first who uses its name; each person's oldest are forgotten."""

    def __init__(self, *, most_per_person: int = MAX_CLAIMS_PER_PERSON) -> None:
        self._most = most_per_person
        self._owners: dict[str, str] = {}
        self._names: dict[str, OrderedDict[str, None]] = {}

    def claim(self, name: str, person_id: str) -> bool:
        """Return whether a name is this person's, which it is if it was nobody's."""
        if not _HASH.fullmatch(name) or self._owners.setdefault(name, person_id) != person_id:
            return False
        names = self._names.setdefault(person_id, OrderedDict())
        names[name] = None
        names.move_to_end(name)
        if len(names) > self._most:
            del self._owners[names.popitem(last=False)[0]]
        return True


class EventPace:
    """How fast a person may send events: so many at once, then so many a second.

    What an event does is bounded elsewhere; this bounds what it costs to refuse it, which one who sends them by a
    program could otherwise make everybody else wait for.

    Args:
        at_once: Events that may come together.
        per_second: Events a second in the long run.
        clock: Returns seconds.
    """

    def __init__(
        self,
        *,
        at_once: int = EVENTS_AT_ONCE,
        per_second: float = EVENTS_PER_SECOND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_once, self._per_second, self._clock = at_once, per_second, clock
        self._left: dict[str, tuple[float, float]] = {}  # person -> events left, and when that was

    def wait(self, person_id: str) -> float:
        """Count an event; return how many seconds it comes too early, 0 where it may be."""
        now = self._clock()
        left, then = self._left.get(person_id, (float(self._at_once), now))
        left = min(float(self._at_once), left + (now - then) * self._per_second)
        if left < 1.0:
            return (1.0 - left) / self._per_second
        self._left[person_id] = (left - 1.0, now)
        return 0.0


class GradioDoors:
    """ASGI middleware before the mounted apps; :class:`app.security.Guard` stands before it and says who asks."""

    def __init__(self, app: ASGIApp, *, uploads: Uploads) -> None:
        self.app, self.uploads = app, uploads
        self.claims, self.pace = Claims(), EventPace()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to its door, unless that is shut or another's."""
        mounted = _MOUNTED.fullmatch(scope["path"]) if scope["type"] == "http" else None
        if mounted is None:
            await self.app(scope, receive, send)
            return
        inside = mounted["inside"] or "/"
        door = door_of(inside)
        person: Person | None = scope.get("state", {}).get("person")
        if door == "looks":
            is_open = True
        elif door is None or person is None:
            is_open = False
        elif door == "event":
            if seconds := self.pace.wait(person.id):
                language: Language = "zh" if mounted["language"] == "zh" else "en"
                await _too_fast(seconds, language)(scope, receive, send)
                return
            body = await _read(receive)
            is_open = body is not None and self._is_own_event(body, person)
            receive = _replayed(body or b"", receive)
        else:
            is_open = all(self.claims.claim(name, person.id) for name in _names_in(scope, inside, door))
        if is_open:
            await self.app(scope, receive, send)
        else:  # in the words of what does not exist
            await JSONResponse({"detail": "Not Found"}, status_code=404)(scope, receive, send)

    def _is_own_event(self, body: bytes, person: Person) -> bool:
        """Return whether an event is of a page of this person's, and names no file but theirs."""
        try:
            event = json.loads(body)
        except (ValueError, RecursionError):
            return False
        session = event.get("session_hash") if isinstance(event, dict) else None
        if not isinstance(session, str) or not self.claims.claim(session, person.id):
            return False
        return all(self.uploads.received(path, person.id) is not None for path in _paths(event))


def _too_fast(seconds: float, language: Language) -> Response:
    """Return the refusal of an event that comes so much too early, as Gradio's page shows it."""
    error = Throttled("too many requests at once", remedy="Wait a moment", retry_after_seconds=seconds)
    headers = {"Retry-After": whole_seconds(seconds)}
    return JSONResponse({"detail": explain(error, language)}, status_code=error.http_status, headers=headers)


def doors_router(visitors: Visitors, uploads: Uploads) -> APIRouter:
    """Return our own upload and download in the place of Gradio's."""
    router = APIRouter(include_in_schema=False)

    async def upload(request: Request, upload_id: str | None = None) -> Response:
        """Receive files into the person's own folder, and tell where they lie."""
        from gradio.route_utils import upload_fn
        from gradio.routes import file_upload_statuses
        from starlette.formparsers import MultiPartException

        person = person_of(request)
        if person.role == "reader":
            raise NotAllowed("you may not add documents", remedy="Ask an administrator")
        try:
            await run_in_threadpool(uploads.require_room, person.id, _announced(request))
        except QuotaReached as error:  # shown as it is, beside the place where files are dropped
            language: Language = "zh" if request.url.path.startswith("/zh/") else "en"
            return PlainTextResponse(explain(error, language), status_code=error.http_status)
        folder, max_bytes = uploads.incoming_of(person.id), uploads.max_mb * 2**20
        try:
            received, _, _ = await upload_fn(
                request, str(folder), max_bytes, upload_id, upload_progress=file_upload_statuses if upload_id else None
            )
        except MultiPartException as error:
            too_large = "maximum allowed size" in error.message
            return JSONResponse({"detail": error.message}, status_code=413 if too_large else 400)
        return JSONResponse(received)

    def download(request: Request, path: str) -> Response:
        """Return a file that this person has just uploaded, and no other."""
        found = uploads.received(path, person_of(request).id)
        if found is None:
            return JSONResponse({"detail": "Not Found"}, status_code=404)
        return FileResponse(found, media_type="application/octet-stream", filename=found.name)

    for language in LANGUAGES:
        router.add_api_route(f"/{language}{_API}/upload", upload, methods=["POST"], response_model=None)
        router.add_api_route(
            f"/{language}{_API}/file={{path:path}}", download, methods=["GET", "HEAD"], response_model=None
        )
    return router


def _announced(request: Request) -> int:
    """Return how many bytes a request says that it brings, 0 where it does not say."""
    said = request.headers.get("content-length", "")
    return int(said) if said.isdecimal() else 0


def _names_in(scope: Scope, inside: str, door: Door) -> list[str]:
    """Return the names that must be the person's: of a page's session or of an upload; "" is nobody's."""
    if door == "person":
        return []
    if door == "heartbeat":
        return [inside.rpartition("/")[2]]
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    names = query.get("session_hash" if door == "page" else "upload_id", [])
    if door == "upload" and not names:
        return []
    return names if len(names) == 1 else [""]  # of two, who can say which one is meant


def _paths(event: Any) -> Iterator[str]:
    """Yield every path of a file in an event."""
    rest = [event]
    while rest:
        value = rest.pop()
        if isinstance(value, dict):
            if "path" in value:
                yield str(value["path"])
            rest.extend(value.values())
        elif isinstance(value, list):
            rest.extend(value)


async def _read(receive: Receive) -> bytes | None:
    """Return the body of a request; None for one that is too large or was broken off."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += bytes(message.get("body", b""))
        if len(body) > MAX_EVENT_BYTES:
            return None
        if not message.get("more_body"):
            return body


def _replayed(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
