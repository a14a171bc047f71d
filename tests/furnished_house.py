"""A server with something on each of its pages: documents, people, answers, ratings, an evaluation and trials."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.admission import Admission
from app.case_files import parse_cases
from app.knowledge_base import KnowledgeBase
from app.people.database import People
from app.people.feedback import Ratings
from app.people.groups import Groups
from app.people.history import History
from app.people.invitations import Invitations, invitation_path
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.records import Person
from app.people.sessions import Sessions
from app.trial_answers import side_of
from app.trial_rating import TrialRating
from app.trials import SIDES, Trials
from app.web.quality.rooms import Rooms
from app.web.visitors import Visitors
from benchmarks.serving import served
from core.settings import ServeSettings
from tests.small_app import SmallServices, small_settings
from tests.small_people import Clock, add, answer

SAMPLE = Path(__file__).resolve().parent.parent / "examples" / "knowledge_base"
FILES = ("handbook/staff-handbook-2025.pdf", "prices/price-list-2025-eur.xlsx", "中文/售后服务常见问题.md")
ANSWERED = "How many days of paid annual leave do full-time employees have?"
REFUSED = "Who won the football world cup?"
UNSUPPORTED = "How long is the leave?"
COLLECTION = "handbook"


@dataclass(frozen=True, kw_only=True)
class House:
    """A furnished server; ``root`` administers, ``ann`` edits, ``bob`` reads.

    ``conversation`` is the administrator's: one question answered, one refused, one with a sentence that nothing
    supports.
    """

    address: str
    kb: KnowledgeBase
    people: People
    root: Person
    ann: Person
    bob: Person
    conversation: str
    document: str
    ended_trial: str
    open_trial: str
    join: str
    reset: str

    def token(self, person: Person) -> str:
        """Return the token of a new session."""
        return Sessions(self.people, ServeSettings()).create(person.id)


@contextmanager
def furnished_house(data_dir: Path, files: Path) -> Iterator[House]:
    """Give a server on an address of this machine with something on each page.

    Args:
        data_dir: An empty folder for its data.
        files: An empty folder for the files that it reads.
    """
    for name in FILES:
        shutil.copy(SAMPLE / name, files / Path(name).name)
    (files / "broken.pdf").write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\n")
    with KnowledgeBase(SmallServices(small_settings(data_dir))) as kb, People.open(data_dir) as people:
        root, ann = add(people, "Ruth Okafor", "admin"), add(people, "Ann Lindqvist", "editor")
        bob = add(people, "陈敏")
        own = Visitors(kb, people).own(root.id)
        kb.ingest(files, collection=COLLECTION)
        own.sharing.publish(COLLECTION)
        own.create_collection("Plans 2026")
        _add_group(people, own, bob)
        conversation = _talk(kb, people, root)
        _rate(people, ann)
        ended, opened = _judge(kb, people, root, data_dir)
        with served(kb, people) as address:
            yield House(
                address=address,
                kb=kb,
                people=people,
                root=root,
                ann=ann,
                bob=bob,
                conversation=conversation,
                document=next(source.source_id for source in kb.documents() if source.path.endswith(".pdf")),
                ended_trial=ended,
                open_trial=opened,
                **_links(people, root, bob),
            )


def _links(people: People, root: Person, bob: Person) -> dict[str, str]:
    invitations = Invitations(people)
    _, join = invitations.invite(role="editor", made_by=root.id)
    _, reset = invitations.offer_reset(bob.id, made_by=root.id)
    return {"join": invitation_path(join), "reset": invitation_path(reset)}


def _add_group(people: People, own: OwnKnowledgeBase, bob: Person) -> None:
    group = Groups(people).add("Finance 财务")
    Groups(people).join(group.id, bob.id)
    own.sharing.grant(COLLECTION, "write", group=group.id)


def _talk(kb: KnowledgeBase, people: People, person: Person) -> str:
    history = History(people, person)
    first = history.begin(ANSWERED)
    history.finish(first.id, kb.ask(ANSWERED))
    for question, told in ((REFUSED, answer(REFUSED, abstained=True)), (UNSUPPORTED, answer(UNSUPPORTED))):
        turn = history.begin(question, conversation=first.conversation)
        history.finish(turn.id, told)
    return first.conversation


def _rate(people: People, person: Person) -> None:
    history, ratings = History(people, person), Ratings(people, person)
    for days_ago in (40, 3, 1, 0):
        people.clock = Clock(time.time() - days_ago * 86_400)
        turn = history.begin(UNSUPPORTED)
        history.finish(turn.id, answer(UNSUPPORTED))
        if days_ago < 40:
            ratings.give(turn.id, "down", reason="incomplete", corrected="It is 27 days; 25 before 2025.")
    people.clock = time.time


def _judge(kb: KnowledgeBase, people: People, root: Person, data_dir: Path) -> tuple[str, str]:
    """Run the same evaluation twice, end one trial and leave another open; return the trials."""
    visitors = Visitors(kb, people)
    rooms, own = Rooms(visitors, data_dir, Admission()), visitors.own(root.id)
    cases = [
        {"id": "1", "question": ANSWERED, "answers": ["27 days"], "set": "leave"},
        {"id": "2", "question": REFUSED, "answerable": False, "set": "football"},
    ]
    lines = "\n".join(json.dumps(case) for case in cases)
    for _ in range(2):
        rooms.evaluations.start(own, parse_cases(lines, name="golden"), names=["golden"])
        list(rooms.background.newest("evaluation").live.watch())  # type: ignore[union-attr]
    trials = Trials(own.access)
    sides = {"first": side_of(kb.settings, []), "second": side_of(kb.settings, ["retrieval.k=8"])}
    made = [trials.create(name, [ANSWERED, UNSUPPORTED], scope=[COLLECTION], **sides) for name in ("Longer", "Wider")]
    for trial in made:
        for side in SIDES:
            for place, question in trials.unanswered(trial.id, side):
                trials.keep(trial.id, place, side, answer(question))
    rating = TrialRating(own.access)
    while (pair := rating.next(made[0].id)) is not None:
        rating.vote(made[0].id, pair.place, "left")
    trials.end(made[0].id)
    rooms.background.close()
    return made[0].id, made[1].id
