"""How long people wait for the first text of an answer: among themselves, beside one who floods, during an ingest.

``python -m benchmarks.under_load [--n 20] [--people 15] [--files 500] [--data DIR] [--set NAME=VALUE ...]``

Each person asks one question after another, over the line and the models that the web app uses. The one who floods asks
as fast as the line lets them; an ingest reads a folder of new files meanwhile. Printed are the median and the 95th
percentile of the seconds to the first text, each condition's ratio to people alone, and what was refused to whom.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread

import numpy as np

from app.admission import Admission
from app.cases import read_cases
from app.conversations import Conversations
from app.knowledge_base import KnowledgeBase
from app.pacing import StepAside
from app.turns import Turn
from core.errors import Throttled
from core.records import SearchFilter
from core.settings import load_settings
from ingest.reports import FileDone, IngestEvent

SAMPLE = Path("examples/knowledge_base")
QUESTIONS = Path("examples/questions.jsonl")
CONDITIONS: dict[str, tuple[str, ...]] = {
    "people alone": (),
    "one floods": ("flood",),
    "an ingest": ("ingest",),
    "one floods, an ingest": ("flood", "ingest"),
}
_WORDS = "pump valve seal motor filter pressure check replace every month the of and with 水泵 阀门 每年 更换".split()
_FLOOD_PAUSE_SECONDS = 0.2


def main() -> None:
    """Ask under each condition and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=20, help="questions of each person and condition")
    parser.add_argument("--people", type=int, default=15, help="people beside the one who floods")
    parser.add_argument("--files", type=int, default=500, help="files of the ingest")
    parser.add_argument("--data", type=Path, default=Path("data"), help="data directory with the models")
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="one setting; may be repeated")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "models").symlink_to((options.data / "models").resolve())
        settings = load_settings(data_dir=place, overrides=options.set).settings
        with KnowledgeBase.open(settings=settings) as kb:
            kb.ingest(SAMPLE)
            kb.services.warm()
            house = House(kb, [case.question for case in read_cases(QUESTIONS)])
            list(house.ask("warm", house.questions[0]).watch())
            print(f"{options.people} people, {options.n} questions each, {house.admission.at_once} answers at once\n")
            _print_table(house, options)


def _print_table(house: House, options: argparse.Namespace) -> None:
    print(f"{'':<24}{'n':>5}{'p50 s':>8}{'p95 s':>8}{'ratio':>7}  refused, flood's answers, files ingested")
    base = 0.0
    for name, disturbers in CONDITIONS.items():
        load = Load()
        with ExitStack() as stack:
            if "ingest" in disturbers:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                write_files(folder, options.files)
                stack.enter_context(beside(partial(ingest, house, folder=folder, load=load)))
            if "flood" in disturbers:
                stack.enter_context(beside(partial(flood, house, load=load)))
            crowd(house, load, n_people=options.people, n_questions=options.n)
        p50, p95 = np.percentile(load.first_seconds, [50, 95])
        base = base or p95
        print(
            f"{name:<24}{len(load.first_seconds):>5}{p50:>8.2f}{p95:>8.2f}{p95 / base:>7.2f}"
            f"  {load.n_refused}, {load.n_flooded}, {load.n_files}",
            flush=True,
        )


class House:
    """What the web app holds: the line, the conversations, and an ingest that steps aside."""

    def __init__(self, kb: KnowledgeBase, questions: Sequence[str]) -> None:
        serve = kb.settings.serve
        self.kb, self.questions = kb, questions
        self.admission = Admission(
            at_once=serve.answers_at_once, waiting=serve.waiting, waiting_per_person=serve.waiting_per_person
        )
        self.conversations = Conversations(admission=self.admission)
        kb.pace = StepAside(self.admission)

    def ask(self, owner: str, question: str) -> Turn:
        """Ask in a new conversation; raises Throttled where the line has no room."""
        turn = self.conversations.new(owner).ask(self.kb, question, filter=SearchFilter(collections=("default",)))
        assert turn is not None, "a new conversation is never busy"
        return turn


@dataclass(slots=True)
class Load:
    """What was seen under one condition; ``n_refused`` counts refusals of people other than the one who floods."""

    first_seconds: list[float] = field(default_factory=list)
    n_refused: int = 0
    n_flooded: int = 0
    n_files: int = 0
    lock: Lock = field(default_factory=Lock)


def crowd(house: House, load: Load, *, n_people: int, n_questions: int) -> None:
    """Have people ask, each one question after another, and return when all were answered."""

    def person(number: int) -> None:
        dice = random.Random(number)
        for _ in range(n_questions):
            seconds = _first_text_seconds(house, f"person {number}", dice.choice(house.questions))
            with load.lock:
                if seconds is None:
                    load.n_refused += 1
                else:
                    load.first_seconds.append(seconds)

    people = [Thread(target=person, args=(number,)) for number in range(n_people)]
    for each in people:
        each.start()
    for each in people:
        each.join()


def _first_text_seconds(house: House, owner: str, question: str) -> float | None:
    """Return the seconds until text is there, once the whole answer is; None where the line had no room."""
    started = time.perf_counter()
    try:
        turn = house.ask(owner, question)
    except Throttled as error:
        time.sleep(error.retry_after_seconds)
        return None
    first = None
    for state in turn.watch():
        if first is None and state.text:
            first = time.perf_counter() - started
    return first if first is not None else time.perf_counter() - started


def flood(house: House, *, load: Load, stop: Event) -> None:
    """Ask as one person, over and over, without waiting for an answer."""
    turns: list[Turn] = []
    while not stop.is_set():
        try:
            turns.append(house.ask("who floods", random.choice(house.questions)))
        except Throttled:
            stop.wait(_FLOOD_PAUSE_SECONDS)
    load.n_flooded = sum(turn.state.stage == "finished" for turn in turns)
    for turn in turns:
        turn.stop()
    house.admission.wait_idle(60)  # the models are busy until the stopped answer has noticed


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
    main()
