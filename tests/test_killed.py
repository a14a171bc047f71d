"""A server that is killed while it writes answers and reads files, started again over the same data."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from app.knowledge_base import DEFAULT_COLLECTION, KnowledgeBase
from app.people.database import People
from app.people.history import History
from app.people.records import KeptTurn, Person
from app.people.sessions import Sessions
from app.server import listen
from benchmarks.serving import STREAM_ENDED, sign_in
from core.interfaces import StoredSource
from core.settings import ServeSettings
from tests.small_app import SmallServices, small_settings
from tests.small_header import go_to
from tests.small_people import add
from tests.small_server import WORDS
from tests.small_store import ingestible, open_writer

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 240.0
PATIENCE_MS = PATIENCE_SECONDS * 1000
N_FILES = 250
WHOLE = " ".join(WORDS)


@dataclass
class Server:
    """The server as a process of its own, always at the same address."""

    data: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    children: list[psutil.Process] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.small_server", str(self.data), str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT)
        until(self._answers)

    def kill(self) -> None:
        assert self.process is not None
        self.children = psutil.Process(self.process.pid).children(recursive=True)
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the server ended by itself"
        try:
            return httpx.get(f"{self.address}/healthz").status_code == 200
        except httpx.TransportError:
            return False


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.05)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with a document, which is not started yet."""
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
    made = Server(tmp_path / "data", port)
    with open_writer(made.data) as writer:
        writer.put([ingestible("words.txt", "The words are numbered.", collection="notes")], collection="notes")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


@pytest.fixture
def person(server: Server) -> Person:
    with People.open(server.data) as people:
        return add(people, "Ann", "admin")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    made.mkdir()
    for n in range(N_FILES):
        (made / f"{n:03}.md").write_text(f"# Page {n}\n\n" + f"Valve {n} is checked every {n} days.\n\n" * 9, "utf-8")
    return made


def open_page(browser: Browser, server: Server, person: Person) -> Page:
    with People.open(server.data) as people:
        token = Sessions(people, ServeSettings()).create(person.id)
    context = browser.new_context(locale="en-GB", viewport={"width": 1280, "height": 800})
    sign_in(context, token, server.address)
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(server.address)
    expect(page.locator(".welcome")).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_function(STREAM_ENDED)
    return page


def ask(page: Page, question: str) -> None:
    """Ask, and wait until some of the answer is there, for longer than text waits to be kept."""
    page.locator("#question textarea").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator(".turn[aria-busy] .answer")).to_contain_text("word-45 ", timeout=PATIENCE_MS)


def turns(server: Server, person: Person, page: Page) -> list[KeptTurn]:
    """Return what is kept of the conversation that a page shows, as a server finds it that is started now."""
    found = re.search(r"[?&]c=([^&]+)", page.url)
    assert found is not None
    with People.open(server.data) as people:
        return History(people, person).turns(found[1])


def stored(server: Server) -> dict[str, StoredSource]:
    """Return the documents of the store, which must be sound."""
    with KnowledgeBase(SmallServices(small_settings(server.data))) as kb:
        assert kb.verify() == []
        return {source.path: source for source in kb.documents(collection=DEFAULT_COLLECTION)}


def upload(page: Page, folder: Path) -> None:
    go_to(page, "documents")
    page.locator("#upload input[type=file]").set_input_files(sorted(folder.iterdir()))


def test_after_a_kill_the_page_comes_back_to_its_conversation_and_uploaded_files_are_read_on(
    server: Server, person: Person, folder: Path, browser: Browser
) -> None:
    server.start()
    page = open_page(browser, server, person)
    ask(page, "What is the first word?")
    page.locator("#question textarea").fill("half a quest")
    written = page.locator(".turn[aria-busy] .answer").inner_text()
    server.kill()
    _is_cut_off(turns(server, person, page), ["What is the first word?"], at_least=len(written) // 2)
    expect(page.locator("#lost")).to_be_visible(timeout=PATIENCE_MS)
    address = page.url

    # Back at once: the page shows the same conversation, and its answer is written anew.
    server.start()
    expect(page.locator(".turn[aria-busy] .answer")).to_contain_text("word-3 ", timeout=PATIENCE_MS)
    expect(page.locator("#lost")).to_have_count(0)
    expect(page.locator(".asked")).to_have_text(["What is the first word?"])
    expect(page.locator("#question textarea")).to_have_value("half a quest")
    assert page.url == address

    # Killed again while it reads uploaded files too; this time it comes back late.
    documents = page.context.new_page()
    documents.goto(server.address)
    upload(documents, folder)
    expect(documents.locator(".job .figures")).to_contain_text(re.compile(r"[1-9]\d* of \d"), timeout=PATIENCE_MS)
    expect(page.locator(".turn[aria-busy] .answer")).to_contain_text("word-45 ", timeout=PATIENCE_MS)
    server.kill()
    until(lambda: not any(child.is_running() for child in server.children))
    _is_cut_off(turns(server, person, page), ["What is the first word?"], at_least=len("word-0 ") * 10)
    with People.open(server.data) as people, people.writing() as connection:
        connection.execute("UPDATE turns SET started = started - 3600")
    partly = stored(server)
    assert 0 < len(partly) < N_FILES
    for name, source in partly.items():
        assert source.sha256 == hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert source.n_chunks > 0

    server.start()
    expect(page.locator(".turn .note")).to_contain_text("Cut off when the server ended", timeout=PATIENCE_MS)
    shown = page.locator(".answer").inner_text()
    assert WHOLE.startswith(shown.strip())
    assert "word-9 " in shown
    expect(page.locator(".asked")).to_have_text(["What is the first word?"])
    expect(page.locator("#question textarea")).to_have_value("half a quest")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".turn[aria-busy] .answer")).to_contain_text("word-1 ", timeout=PATIENCE_MS)
    page.get_by_role("button", name="Stop").click()

    # Nobody has to drop the files again: what was uploaded is read on, where the page shows it.
    expect(documents.locator("#lost")).to_have_count(0, timeout=PATIENCE_MS)
    until(lambda: len(stored(server)) == N_FILES)
    documents.reload()
    go_to(documents, "documents")
    expect(documents.locator("#listing")).to_contain_text(f"of {N_FILES + 1} shown", timeout=PATIENCE_MS)


def _is_cut_off(kept: list[KeptTurn], questions: list[str], *, at_least: int) -> None:
    assert [turn.question for turn in kept] == questions
    last = kept[-1]
    assert (last.stage, last.cut_off, last.answer) == ("stopped", True, None)
    assert len(last.text) >= at_least
    assert WHOLE.startswith(last.text.strip())
