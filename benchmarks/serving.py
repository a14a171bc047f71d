"""The web app on a free port of this machine, and people who use it as its pages do, for benchmarks and tests."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import httpx
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import BrowserContext

from app.knowledge_base import KnowledgeBase
from app.people.database import People
from app.people.person_rows import insert_person
from app.people.records import Person, Role
from app.people.sessions import Sessions
from app.security import SESSION_COOKIE
from app.server import create_app, listen
from core.records import Language
from core.settings import ServeSettings

PATIENCE_SECONDS = 300.0
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
# Gradio ends a page's stream of events when its first ones have, and may lose one that comes in that moment.
STREAM_ENDED = "() => performance.getEntriesByType('resource').some(e => e.name.includes('/queue/data'))"
# The server closes what was idle for five seconds; a browser asks again then, and a client of ours would not.
_IDLE_SECONDS = 2.0


@contextmanager
def served(kb: KnowledgeBase, people: People) -> Iterator[str]:
    """Serve the web app meanwhile, and give its address."""
    with running(create_app(kb, people, host="127.0.0.1")) as address:
        yield address


@contextmanager
def running(app: FastAPI) -> Iterator[str]:
    """Serve an app meanwhile, on a free port of this machine, and give its address."""
    with listen("127.0.0.1", 0) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=2))
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def add_person(people: People, name: str, role: Role) -> Person:
    """Make an account that no password lets in: the benchmarks begin its sessions themselves."""
    with people.writing() as connection:
        return insert_person(connection, name, role=role, hashed="none", now=people.clock())


def begin_session(people: People, person: Person, serve: ServeSettings) -> str:
    """Return the token of a new session."""
    return Sessions(people, serve).create(person.id)


def sign_in(context: BrowserContext, token: str, address: str) -> None:
    """Let a browser be signed in at an address by the token of a session."""
    context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": address, "sameSite": "Strict"}])


@dataclass(frozen=True, slots=True)
class Sent:
    """What came back for an event: the status of its door, every byte, and when to come again if it was refused."""

    status: int
    text: str
    retry_after: str = ""


class Client:
    """A person's browser without a screen: it sends events as a page does and keeps what comes back.

    Not for several threads at once, but each may have its own. One that is ``patient`` sends what came too fast again
    when it is told to.
    """

    def __init__(self, address: str, token: str, *, language: Language = "en", patient: bool = False) -> None:
        self.language, self.patient = language, patient
        self.http = httpx.Client(
            base_url=address,
            cookies={SESSION_COOKIE: token},
            timeout=PATIENCE_SECONDS,
            limits=httpx.Limits(keepalive_expiry=_IDLE_SECONDS),
        )
        found = self.http.get(f"/{language}/config")
        found.raise_for_status()
        self._events = {str(fn["api_name"]): int(fn["id"]) for fn in found.json()["dependencies"]}

    def close(self) -> None:
        """Close its connections."""
        self.http.close()

    def join(
        self, event: str, *data: object, session: str, query: dict[str, str] | None = None, **clicked: object
    ) -> httpx.Response:
        """Send an event of a page; what it yields comes by :meth:`lines`."""
        sent = {
            "data": data,
            "fn_index": self._events[event],
            "session_hash": session,
            "event_data": clicked or None,
        }
        while True:
            joined = self.http.post(f"/{self.language}/gradio_api/queue/join", json=sent, params=query)
            if joined.status_code != 429 or not self.patient:
                return joined
            time.sleep(float(joined.headers["retry-after"]))

    def lines(self, session: str) -> Iterator[str]:
        """Yield what a page is told, line by line; leaving early is closing the page."""
        path = f"/{self.language}/gradio_api/queue/data"
        with self.http.stream("GET", path, params={"session_hash": session}) as stream:
            if stream.status_code != 200:
                yield stream.read().decode("utf-8", "replace")
                return
            yield from stream.iter_lines()

    def send(
        self, event: str, *data: object, session: str, query: dict[str, str] | None = None, **clicked: object
    ) -> Sent:
        """Send an event and return all that comes back."""
        joined = self.join(event, *data, session=session, query=query, **clicked)
        if joined.status_code != 200:
            return Sent(joined.status_code, joined.text, joined.headers.get("retry-after", ""))
        return Sent(200, "\n".join(self.lines(session)))


def link_models(models: Path, place: Path) -> None:
    """Let a data directory that has no models use those of another."""
    if not (place / "models").exists():
        (place / "models").symlink_to(models.resolve())


def attribute(html: str, name: str) -> list[str]:
    """Return the values of an attribute in HTML that travels within JSON."""
    return re.findall(rf'{re.escape(name)}=\\*"([^"\\]+)', html)
