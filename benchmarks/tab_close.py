"""How soon the model is free after the page that waits for its answer is gone.

``python -m benchmarks.tab_close [-n 100] [--data DIR] [--set NAME=VALUE ...] [--seed 1]``

A server process with the default models, whose generator writes every answer, and a Chromium. Each round a page asks,
and goes away at a moment drawn while its answer is read for or written: its tab is closed, it leads elsewhere, its
process crashes, or its window goes with all that is in it. Measured is the time from then until the stream of the
model is closed, in the server's own words. Exits 0 when it was within a second every time.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, Queue
from threading import Event as Flag
from threading import Thread
from typing import Any, Literal

import numpy as np
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

from app.cases import read_cases
from app.knowledge_base import KnowledgeBase
from app.people.database import People
from app.server import serve
from app.services import Services
from benchmarks.serving import (
    CHROMIUM_ARGUMENTS,
    PATIENCE_SECONDS,
    STREAM_ENDED,
    add_person,
    begin_session,
    link_models,
    sign_in,
)
from core.records import Event, Message, Retrieved, SearchFilter, Token
from core.settings import load_settings

SAMPLE = Path("examples/knowledge_base")
QUESTIONS = Path("examples/questions.jsonl")
# Longer prompts and answers than usual, so that there is a middle in which a page can go away.
GENERATOR_WRITES = (
    "answer.words=generator",
    "answer.refuse_below=0",
    "generator.prompt_tokens=1600",
    "generator.prompt_passages=8",
    "generator.max_tokens=256",
)
TARGET_SECONDS = 1.0

Way = Literal["tab closed", "led elsewhere", "crashed", "window closed"]
WAYS: tuple[Way, ...] = ("tab closed", "led elsewhere", "crashed", "window closed")


class Telling(KnowledgeBase):
    """Says on standard output what becomes of each stream, with the time on the machine's own clock."""

    def stream(
        self, question: str, *, history: Sequence[Message] = (), filter: SearchFilter | None = None
    ) -> Iterator[Event]:
        """Yield what the knowledge base does."""
        return self._told(super().stream(question, history=history, filter=filter))

    def _told(self, events: Iterator[Event]) -> Iterator[Event]:
        stage, close = "ended", getattr(events, "close", lambda: None)
        try:
            for event in events:
                if isinstance(event, Retrieved):
                    _tell("reading")
                elif isinstance(event, Token) and event.text and stage == "ended":
                    stage = "stopped"
                    _tell("writing")
                yield event
            stage = "ended"
        except GeneratorExit:
            stage = "stopped"
            raise
        finally:
            close()
            _tell("free", stage=stage)


def _tell(what: str, **more: str) -> None:
    print(json.dumps({"what": what, "at": time.monotonic(), **more}), flush=True)


def main() -> int:
    """Run the benchmark; exit 0 when the model was free in time each time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=100, help="pages that go away")
    parser.add_argument("--data", type=Path, default=Path("data"), help="data directory with the models")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="one setting; may be repeated")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    overrides = [*GENERATOR_WRITES, *options.set]
    if options.serve is not None:
        settings = load_settings(data_dir=options.data, overrides=overrides).settings
        with Telling(Services(settings)) as kb:
            serve(kb, host="127.0.0.1", port=options.serve)
        return 0
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        data.mkdir()
        link_models(options.data / "models", data)
        with KnowledgeBase.open(settings=load_settings(data_dir=data, overrides=overrides).settings) as kb:
            kb.ingest(SAMPLE)
        with server(data, options.set) as (port, told), sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_ARGUMENTS)
            rounds = Rounds(browser, port, told, token=_token(data), dice=random.Random(options.seed))
            for n in range(options.n):
                rounds.run(WAYS[n % len(WAYS)])
            with suppress(Error):  # a crash that the last round made may have taken it along
                browser.close()
    return _report(rounds.seconds)


@contextmanager
def server(data: Path, changes: Sequence[str]) -> Iterator[tuple[int, Queue[dict[str, Any]]]]:
    """Give the port of a server that has loaded its models, and what it tells."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    more = [argument for change in changes for argument in ("--set", change)]
    command = [sys.executable, "-m", "benchmarks.tab_close", "--data", str(data), "--serve", str(port), *more]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    told: Queue[dict[str, Any]] = Queue()
    is_up = Flag()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                told.put(json.loads(line))
            elif line.startswith("Citadel is on"):
                is_up.set()

    Thread(target=listen, daemon=True).start()
    try:
        if not is_up.wait(PATIENCE_SECONDS):
            raise SystemExit("the server did not start")
        yield port, told
    finally:
        process.terminate()
        process.wait()


def _token(data: Path) -> str:
    with People.open(data) as people:
        person = add_person(people, "Benchmark", "admin")
        return begin_session(people, person, load_settings(data_dir=data).settings.serve)


class Rounds:
    """Pages that ask and go away, one after another.

    Args:
        browser: Where they are opened.
        port: Of the server.
        told: What the server tells.
        token: Of the session in which the pages are signed in.
        dice: Draws questions and moments.
    """

    def __init__(
        self, browser: Browser, port: int, told: Queue[dict[str, Any]], *, token: str, dice: random.Random
    ) -> None:
        self._browser, self._address, self._told = browser, f"http://127.0.0.1:{port}", told
        self._token, self._dice = token, dice
        self._questions = [case.question for case in read_cases(QUESTIONS) if case.answerable]
        self.seconds: dict[Way, list[float]] = defaultdict(list)

    def run(self, way: Way) -> None:
        """Have a page ask and go away, until one did so before its answer had ended."""
        while (seconds := self._tried(way)) is None:
            pass
        self.seconds[way].append(seconds)
        print(f"{len(self.seconds[way]):>3}  {way:<14} {seconds:6.2f} s", flush=True)

    def _tried(self, way: Way) -> float | None:
        context = self._browser.new_context(locale="en-GB")
        try:
            sign_in(context, self._token, self._address)
            page = self._asked(context)
            at = self._dice.choice(["reading", "writing"])
            self._wait_for(at)
            time.sleep(self._dice.uniform(0, 1.5))
            gone = time.monotonic()
            _go(page, way)
            free = self._wait_for("free")
        finally:
            with suppress(Error):  # it may be gone already
                context.close()
        return max(0.0, free["at"] - gone) if free["stage"] == "stopped" and free["at"] > gone else None

    def _asked(self, context: BrowserContext) -> Page:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.goto(self._address)
        page.locator(".welcome").wait_for()
        page.wait_for_function(STREAM_ENDED)
        page.locator("#question textarea").fill(self._dice.choice(self._questions))
        page.keyboard.press("Enter")
        return page

    def _wait_for(self, what: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                told = self._told.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                raise SystemExit(f"the server never said that it is {what}") from None
            if told["what"] == what:
                return told


def _go(page: Page, way: Way) -> None:
    """Have a page go away."""
    match way:
        case "tab closed":
            page.close()
        case "led elsewhere":
            page.goto("about:blank")
        case "crashed":
            with suppress(Error):  # it cannot be reached any more, which is what was wanted
                page.goto("chrome://crash", timeout=2_000)
        case "window closed":
            page.context.close()


def _report(seconds: dict[Way, list[float]]) -> int:
    print(f"\n{'':<15}{'n':>4}{'p50 s':>8}{'p95 s':>8}{'most s':>8}  within {TARGET_SECONDS:g} s")
    counted = [value for way in WAYS for value in seconds[way]]
    for name, values in [*seconds.items(), ("all", counted)]:
        p50, p95 = np.percentile(values, [50, 95])
        n_good = sum(value <= TARGET_SECONDS for value in values)
        print(f"{name:<15}{len(values):>4}{p50:>8.2f}{p95:>8.2f}{max(values):>8.2f}  {n_good} of {len(values)}")
    return 0 if all(value <= TARGET_SECONDS for value in counted) else 1


if __name__ == "__main__":
    sys.exit(main())
