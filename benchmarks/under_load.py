"""How long people wait for the first text of an answer: among themselves, beside one who floods, during an ingest.

``python -m benchmarks.under_load [--n 20] [--people 15] [--files 500] [--data DIR] [--set NAME=VALUE ...]``

Each person asks one question after another, each in a new conversation, through the doors of a running server as the
pages do. The one who floods asks on many pages at once, as fast as the line lets them; an ingest reads a folder of new
files meanwhile. Printed are, of the others, the median and the 95th percentile of the seconds to the first text and
each condition's ratio to people alone; how many answers were told their place in line, the farthest place, and the 95th
percentile of the seconds until a page showed a place or what is being done; then what was refused to whom and every
status that was no success. Exits with 1 where something else went wrong than a refusal
that says when to try again: 429 and 503 with Retry-After, or the words for them on the page.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread

import httpx
import numpy as np

from app.cases import read_cases
from app.knowledge_base import KnowledgeBase
from app.people.database import People
from app.people.sharing import make_public_at_first
from app.texts import TEXTS
from benchmarks.serving import Client, add_person, begin_session, link_models, served
from core.settings import load_settings
from ingest.reports import FileDone, IngestEvent

SAMPLE = Path("examples/knowledge_base")
QUESTIONS = Path("examples/questions.jsonl")
COLLECTION = "default"
CONDITIONS: dict[str, tuple[str, ...]] = {
    "people alone": (),
    "one floods": ("flood",),
    "an ingest": ("ingest",),
    "one floods, an ingest": ("flood", "ingest"),
}
_WORDS = "pump valve seal motor filter pressure check replace every month the of and with 水泵 阀门 每年 更换".split()
# As many questions as may wait, the one that is answered, and one page that is refused five times in a second.
_FLOOD_PAGES = 5
_FLOOD_PAUSE_SECONDS = 0.2
_ALLOWED = (429, 503)  # with Retry-After
# What a page is sent, as JSON within lines: an answer with a letter in it, a place in line or what else is done, what
# failed, and a refusal that says when to try again.
_FIRST_TEXT = re.compile(r'class=\\"answer[^>]*>(?:<(?!/div)[^>]*>)*[^<\\\s]')
_PLACE = re.compile("|".join(TEXTS[key].en.replace("{n}", r"(\d+)") for key in ("stage.waiting", "stage.waiting_one")))
_FAILED = re.compile(r'class=\\"failure')
_STAGE = re.compile(r'class=\\"stage')
_REFUSAL = re.compile(r"in line, which is as many as may wait\. .*about \d+ s")


def main() -> int:
    """Ask under each condition and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=20, help="questions of each person and condition")
    parser.add_argument("--people", type=int, default=15, help="people beside the one who floods")
    parser.add_argument("--files", type=int, default=500, help="files of the ingest")
    parser.add_argument("--data", type=Path, default=Path("data"), help="data directory with the models")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="one setting; may be repeated")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        link_models(options.data / "models", Path(place))
        settings = load_settings(data_dir=place, overrides=options.set).settings
        kb = stack.enter_context(KnowledgeBase.open(settings=settings))
        people = stack.enter_context(People.open(Path(place)))
        kb.ingest(SAMPLE, collection=COLLECTION)
        make_public_at_first(people, COLLECTION)
        kb.services.warm()
        house = House(
            kb=kb,
            address=stack.enter_context(served(kb, people)),
            tokens=[
                begin_session(people, add_person(people, f"Person {number}", "reader"), settings.serve)
                for number in range(options.people + 1)
            ],
            questions=[case.question for case in read_cases(QUESTIONS)],
        )
        house.ask(house.client(0), house.questions[0], Load())
        print(f"{options.people} people, {options.n} questions each\n")
        return 1 if _print_table(house, options) else 0


def _print_table(house: House, options: argparse.Namespace) -> bool:
    """Print a line for each condition; return whether something went wrong that may not."""
    print(
        f"{'':<24}{'n':>5}{'p50 s':>8}{'p95 s':>8}{'ratio':>7}{'told place':>12}{'farthest':>10}{'p95 told s':>12}"
        "  flood's answers, files ingested"
    )
    base, others, flooders = 0.0, Faults(), Faults()
    for name, disturbers in CONDITIONS.items():
        load, flooded = Load(faults=others), Load(faults=flooders)
        with ExitStack() as stack:
            if "ingest" in disturbers:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                write_files(folder, options.files)
                stack.enter_context(beside(partial(ingest, house, folder=folder, load=load)))
            if "flood" in disturbers:
                for _ in range(_FLOOD_PAGES):
                    stack.enter_context(beside(partial(flood, house, load=flooded)))
            crowd(house, load, n_people=options.people, n_questions=options.n)
        p50, p95 = np.percentile(load.first_seconds or [float("nan")], [50, 95])
        base = base or p95
        print(
            f"{name:<24}{len(load.first_seconds):>5}{p50:>8.2f}{p95:>8.2f}{p95 / base:>7.2f}"
            f"{load.n_told:>12}{load.farthest:>10}{np.percentile(load.told_seconds or [float('nan')], 95):>12.2f}"
            f"  {len(flooded.first_seconds)}, {load.n_files}",
            flush=True,
        )
    print()
    for whom, faults in (("the others", others), ("who flooded", flooders)):
        refused = ", ".join(f"{told} {n}" for told, n in sorted(faults.refused.items())) or "nothing"
        wrong = ", ".join(f"{told} {n}" for told, n in sorted(faults.wrong.items())) or "none"
        print(f"refused to {whom}: {refused}; other errors: {wrong}")
    return bool(others.wrong or flooders.wrong)


@dataclass(slots=True)
class Faults:
    """What was no answer: refusals that say when to try again, and what else went wrong, by what was said."""

    refused: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Load:
    """What was seen under one condition; ``n_told`` answers were told their place in line, ``farthest`` at most."""

    first_seconds: list[float] = field(default_factory=list)
    told_seconds: list[float] = field(default_factory=list)
    n_told: int = 0
    farthest: int = 0
    n_files: int = 0
    faults: Faults = field(default_factory=Faults)
    lock: Lock = field(default_factory=Lock)


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A running server, and the people who have sessions with it; the last of them floods."""

    kb: KnowledgeBase
    address: str
    tokens: Sequence[str]
    questions: Sequence[str]

    def client(self, number: int) -> Client:
        """Return a new page of a person."""
        return Client(self.address, self.tokens[number])

    def begin(self, client: Client) -> str:
        """Open a page with an empty conversation, and return its session."""
        session = secrets.token_urlsafe(9)
        client.send("begin", session=session)
        return session

    def ask(self, client: Client, question: str, load: Load, *, session: str = "") -> bool:
        """Ask and read the answer to its end; False where none came.

        Without ``session``, which is that of a page with an empty conversation, it is asked in a new one.
        """
        try:
            session = session or self.begin(client)
            started = time.perf_counter()
            joined = client.join("ask", question, [], None, session=session)
            if joined.status_code != 200:
                allowed = joined.status_code in _ALLOWED and "retry-after" in joined.headers
                return _note(load.faults.refused if allowed else load.faults.wrong, str(joined.status_code), load)
            return _read(client.lines(session), started, load)
        except httpx.HTTPError as error:
            return _note(load.faults.wrong, type(error).__name__, load)


def _read(lines: Iterator[str], started: float, load: Load) -> bool:
    """Read what a page is told of its question; a refusal to answer from the documents is an answer too."""
    first = told = fault = None
    farthest = 0
    for line in lines:  # to the end, whatever comes: a page that breaks off its stream is gone
        seconds = time.perf_counter() - started
        if warning := _warning(line):
            kind = load.faults.refused if _REFUSAL.search(warning) else load.faults.wrong
            fault = fault or (kind, re.sub(r"\d+", "N", warning))
        if _FAILED.search(line) or '"success":false' in line.replace(" ", ""):
            said = line.partition('"output":')[2][:200]
            fault = fault or (load.faults.wrong, f"an answer failed: {said}")
        if told is None and _STAGE.search(line):
            told = seconds
        if place := _PLACE.search(line):
            farthest = max(farthest, int(place[1] or 1))
        if first is None and _FIRST_TEXT.search(line):
            first = seconds
    if fault is not None:
        return _note(*fault, load)
    if first is None:
        return _note(load.faults.wrong, "an answer without a word", load)
    with load.lock:
        load.first_seconds.append(first)
        load.told_seconds.append(first if told is None else told)
        load.n_told += farthest > 0
        load.farthest = max(load.farthest, farthest)
    return True


def _note(kind: Counter[str], told: str, load: Load) -> bool:
    with load.lock:
        kind[told] += 1
    return False


def _warning(line: str) -> str:
    """Return what a page is warned of by a line, "" for any other."""
    if '"log"' not in line or not line.startswith("data:"):
        return ""
    sent = json.loads(line.removeprefix("data:"))
    return str(sent.get("log", "")) if sent.get("msg") == "log" and sent.get("level") == "warning" else ""


def crowd(house: House, load: Load, *, n_people: int, n_questions: int) -> None:
    """Have people ask, each one question after another, and return when all were answered."""

    def person(number: int) -> None:
        dice, client = random.Random(number), house.client(number)
        for _ in range(n_questions):
            house.ask(client, dice.choice(house.questions), load)
        client.close()

    people = [Thread(target=person, args=(number,)) for number in range(n_people)]
    for each in people:
        each.start()
    for each in people:
        each.join()


def flood(house: House, *, load: Load, stop: Event) -> None:
    """Ask over and over on a page of the one who floods."""
    client = house.client(len(house.tokens) - 1)
    session = house.begin(client)
    while not stop.is_set():
        if house.ask(client, random.choice(house.questions), load, session=session):
            session = house.begin(client)
        else:  # what was refused is asked again where it stands
            stop.wait(_FLOOD_PAUSE_SECONDS)
    client.close()


def ingest(house: House, *, folder: Path, load: Load, stop: Event) -> None:
    """Ingest a folder, as far as there is time for it."""

    def count(event: IngestEvent) -> None:
        load.n_files += isinstance(event, FileDone)

    house.kb.ingest(folder, collection="new", on_event=count, stop=stop)
    if load.n_files:
        house.kb.delete_collection("new")


@contextmanager
def beside(work: Callable[..., None]) -> Iterator[None]:
    """Do something in a thread meanwhile; the event ``stop`` that it is given is set at the end."""
    stop = Event()
    thread = Thread(target=work, kwargs={"stop": stop})
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def write_files(folder: Path, n: int) -> None:
    """Write text files of about a page each, the same in each run."""
    dice = random.Random(7)
    for number in range(n):
        lines = [" ".join(dice.choices(_WORDS, k=12)) + "." for _ in range(30)]
        (folder / f"note-{number}.md").write_text(f"# Note {number}\n\n" + "\n\n".join(lines), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
