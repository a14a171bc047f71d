"""The web app for tests: a knowledge base without models, people without hashes, and browsers that are signed in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.knowledge_base import KnowledgeBase
from app.people.database import People
from app.people.records import Person
from app.people.sessions import Sessions
from app.security import SESSION_COOKIE, Guard
from app.services import Services
from app.uploads import Uploads
from app.web.account import account_router
from app.web.entrance import entrance_router
from app.web.visitors import Visitors
from core.settings import (
    AnswerSettings,
    EmbedderSettings,
    GeneratorSettings,
    IngestSettings,
    ReaderSettings,
    ServeSettings,
    Settings,
)
from tests.small_store import HashingEmbedder

ADDRESS = "http://127.0.0.1:7860"
DEVICE = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


class SmallServices(Services):
    """The app's services with an embedder that needs no model."""

    _embedder = HashingEmbedder()  # type: ignore[assignment]


def small_settings(data_dir: Path, *, serve: ServeSettings | None = None) -> Settings:
    """Return settings with which answers are quotes and nothing is loaded."""
    return Settings(
        data_dir=data_dir,
        ingest=IngestSettings(parse_workers=1, ocr=False),
        embedder=EmbedderSettings(),
        generator=GeneratorSettings(backend="none"),
        reader=ReaderSettings(model="none"),
        answer=AnswerSettings(refuse_below=0.0),
        serve=serve or ServeSettings(),
    )


def entrances(kb: KnowledgeBase, people: People) -> tuple[FastAPI, Visitors]:
    """Return the pages of accounts behind the guard, without the chat, and who their visitors are."""
    app, visitors = FastAPI(), Visitors(kb, people)
    app.include_router(entrance_router(visitors))
    app.include_router(account_router(visitors, Uploads(kb.settings.data_dir, max_mb=1)))
    app.add_middleware(Guard, host="127.0.0.1", visitors=visitors)
    return app, visitors


def browser(app: FastAPI, *, client: str = "127.0.0.1", **headers: str) -> TestClient:
    """Return a browser with no cookies yet, which sends its origin and follows nothing."""
    sent = {"origin": ADDRESS, "user-agent": DEVICE, **headers}
    return TestClient(app, base_url=ADDRESS, headers=sent, client=(client, 50_000), follow_redirects=False)


def signed_in(app: FastAPI, people: People, person: Person) -> TestClient:
    """Return a browser in which a person is signed in."""
    opened = browser(app)
    opened.cookies.set(SESSION_COOKIE, Sessions(people, ServeSettings()).create(person.id))
    return opened


@contextmanager
def small_house(data_dir: Path, *, serve: ServeSettings | None = None) -> Iterator[tuple[KnowledgeBase, People]]:
    """Give a knowledge base and its people."""
    settings = small_settings(data_dir, serve=serve)
    with KnowledgeBase(SmallServices(settings)) as kb, People.open(data_dir) as people:
        yield kb, people
