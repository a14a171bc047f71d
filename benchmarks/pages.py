"""How long every page takes to open over a knowledge base that has been used for a year.

``python -m benchmarks.pages [--documents 10000] [--conversations 5000] [--repeats 3] [--data DIR]``

Makes the data (``--data`` keeps the documents, and finds them again; people and what they asked are made anew), starts
the server, signs an administrator in with Chromium and opens each page: from the address to the moment at which it
shows what it is for and can be used. Printed are the median and the longest time, and the bytes that came over the wire
at the first and at the last opening. Exits with 1 where a median is a second or more. The system's Chromium is used
where there is one, else Playwright's own.
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import BrowserContext, Page, sync_playwright

from app.knowledge_base import KnowledgeBase
from app.people.database import People
from benchmarks.crowded_house import Crowd, HashedServices, fill_evaluations, fill_people, fill_store
from benchmarks.serving import CHROMIUM_ARGUMENTS, STREAM_ENDED, begin_session, served, sign_in
from core.settings import load_settings

TARGET_SECONDS = 1.0
_MADE_HERE = "made-by-benchmarks-pages"
PATIENCE_MS = 120_000
SETTINGS = ("generator.backend=none", "reader.model=none", "answer.refuse_below=0")
_RUNS, _CASES = 40, 200
_CHAT_READY = "#transcript .welcome, #transcript .turn .foot"
_LIST_READY = ".history-list [data-go]"
_BYTES = """() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]
  .reduce((sum, entry) => sum + entry.transferSize, 0)"""


@dataclass(frozen=True, slots=True)
class Look:
    """A page: its address, what is there once it can be used, and what is done on it after it was opened."""

    name: str
    path: str
    ready: tuple[str, ...] = ("main",)
    then: Callable[[Page], None] | None = None


def looks(crowd: Crowd) -> list[Look]:
    """Return every page with what makes it long."""
    shelf = f"/collections/{quote(crowd.collection, safe='')}"
    document = f"{shelf}/documents/{crowd.source_id}"
    chat = (_CHAT_READY, _LIST_READY)
    return [
        Look("chat", "/en/", chat),
        Look("chat, in Chinese", "/zh/", chat),
        Look("a conversation of last week", f"/en/?c={crowd.conversation}", (".turn .foot", _LIST_READY)),
        Look("documents", "/en/#documents", ("#listing tbody tr",)),
        Look("documents, filtered", "/en/#documents", ("#listing tbody tr",), _filter),
        Look("conversations, searched", "/en/", chat, _search),
        Look("account", "/account"),
        Look("collections", "/collections/"),
        Look("a collection", shelf),
        Look("a collection, last page", f"{shelf}?page=99999"),
        Look("a collection, by size", f"{shelf}?order=largest"),
        Look("a collection, searched", f"{shelf}?find=pump%20valve"),
        Look("a collection, failed files", f"{shelf}?failed"),
        Look("a collection, sharing", f"{shelf}/sharing"),
        Look("a document", document),
        Look("people", "/admin/people"),
        Look("a person", f"/admin/people/{crowd.reader.id}"),
        Look("groups", "/admin/groups"),
        Look("folders", "/admin/folders"),
        Look("storage", "/admin/storage"),
        Look("models", "/admin/models"),
        Look("settings", "/admin/settings"),
        Look("usage, 30 days", "/admin/usage"),
        Look("usage, a year", "/admin/usage?days=365"),
        Look("feedback", "/admin/feedback"),
        Look("evaluation", "/admin/evaluation"),
        Look("an evaluation", f"/admin/evaluation/{_RUNS}"),
        Look("trials", "/admin/trials"),
        Look("a trial", f"/admin/trials/{crowd.trial}"),
        Look("trials to rate", "/trials"),
        Look("audit log", "/admin/audit"),
    ]


def _filter(page: Page) -> None:
    listing = page.locator("#listing")
    before = listing.inner_text()
    page.locator("#filter").get_by_role("textbox").fill("pump 99")
    page.wait_for_function("([list, before]) => list.innerText !== before", arg=[listing.element_handle(), before])


def _search(page: Page) -> None:
    page.get_by_role("searchbox").first.fill("pump valve")
    page.locator(".history-list section[data-day=found] [data-go]").first.wait_for()


def main() -> int:
    """Make the data, open the pages and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--conversations", type=int, default=5_000, help="of one person; others have a quarter of it")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data", type=Path, help="where the data is made and kept; none makes it anew each time")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="Chromium's executable")
    parser.add_argument("--only", default="", help="words of the names of the pages to open")
    options = parser.parse_args()
    with ExitStack() as stack:
        data = options.data or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        _claim(data)
        settings = load_settings(data_dir=data, overrides=SETTINGS).settings
        kb = stack.enter_context(KnowledgeBase(HashedServices(settings)))
        crowd = _furnish(data, kb, options)
        people = stack.enter_context(People.open(data))
        kb.services.warm()
        address = stack.enter_context(served(kb, people))
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=options.chromium, args=CHROMIUM_ARGUMENTS
        )
        context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB")
        context.set_default_timeout(PATIENCE_MS)
        token = begin_session(people, crowd.admin, settings.serve)
        sign_in(context, token, address)
        wanted = [look for look in looks(crowd) if options.only in look.name]
        slow = _open_all(context, address, wanted, repeats=options.repeats)
        browser.close()
    return 1 if slow else 0


def _claim(data: Path) -> None:
    """See that a directory is empty or was made here: what people have in it is made anew each time."""
    data.mkdir(parents=True, exist_ok=True)
    if any(data.iterdir()) and not (data / _MADE_HERE).exists():
        raise SystemExit(f"{data} holds something that this benchmark did not make: name an empty directory")
    (data / _MADE_HERE).touch()


def _furnish(data: Path, kb: KnowledgeBase, options: argparse.Namespace) -> Crowd:
    """Make the data, unless it was made before."""
    started, dice = time.monotonic(), random.Random(11)
    if not (data / "citadel.db").exists():
        fill_store(data, n=options.documents, dice=dice)
        fill_evaluations(data, kb, n=_RUNS, n_cases=_CASES)
    for old in data.glob("people.db*"):  # made anew each time
        old.unlink()
    crowd = fill_people(data, kb, n_conversations=options.conversations, dice=dice)
    print(
        f"{len(kb.documents()):,} documents, {options.conversations:,} conversations of one person, made in "
        f"{time.monotonic() - started:.0f} s\n",
        flush=True,
    )
    return crowd


def _open_all(context: BrowserContext, address: str, wanted: list[Look], *, repeats: int) -> list[str]:
    """Open each page and return the names of the slow ones."""
    page = context.new_page()
    page.goto(f"{address}/account")  # the first page of a browser pays for more than itself
    print(f"{'':<30}{'median s':>10}{'worst s':>9}{'kB, first':>11}{'kB, again':>11}")
    slow = []
    for look in wanted:
        opened = [_open(context, address, look) for _ in range(repeats)]
        seconds = [each[0] for each in opened]
        median = statistics.median(seconds)
        if median >= TARGET_SECONDS:
            slow.append(look.name)
        print(
            f"{look.name:<30}{median:>10.2f}{max(seconds):>9.2f}{opened[0][1] / 1000:>11,.0f}"
            f"{opened[-1][1] / 1000:>11,.0f}{'  slow' if look.name in slow else ''}",
            flush=True,
        )
    return slow


def _open(context: BrowserContext, address: str, look: Look) -> tuple[float, int]:
    """Open a page in a new tab; return seconds and bytes until it can be used, or those of what is done after alone."""
    page = context.new_page()
    started = time.perf_counter()
    answered = page.goto(address + look.path)
    if answered is None or not answered.ok:
        raise SystemExit(f"{look.path} cannot be opened: {answered.status if answered else 'no answer'}")
    for selector in look.ready:
        page.locator(selector).first.wait_for()
    if look.then is not None:
        page.wait_for_function(STREAM_ENDED)
        started = time.perf_counter()
        look.then(page)
    seconds = time.perf_counter() - started
    n_bytes = int(page.evaluate(_BYTES))
    page.close()
    return seconds, n_bytes


if __name__ == "__main__":
    sys.exit(main())
