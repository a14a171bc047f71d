"""A data directory that has been used for a year: documents by the thousand, people, conversations and what they left.

Vectors are drawn from the texts' hashes, and answers are made up: nothing is embedded or generated, and the pages cost
what they cost.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from app.admission import Admission
from app.background import Background
from app.cases import Case
from app.evaluations import Evaluations
from app.knowledge_base import KnowledgeBase
from app.people.audit import Action, Audit
from app.people.database import People
from app.people.feedback import Ratings
from app.people.groups import Groups
from app.people.history import History
from app.people.invitations import Invitations
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.records import REASONS, Person, Verdict
from app.people.sharing import make_public_at_first
from app.services import Services
from app.trials import SIDES, Side, Trials
from benchmarks.serving import add_person
from core.interfaces import Ingestible, StoredFailure, Vectors, source_id
from core.records import Answer, Chunk, Citation, Document, Hit, Locator, Sentence, SourceFile, Timings, chunk_id
from indexes.listing import Listed
from indexes.store import Store

DIMENSION = 384
YEAR_SECONDS = 365 * 86_400
_BATCH = 500
_CHUNKS = 3
_KINDS = (("pdf", "application/pdf"), ("docx", "application/msword"), ("md", "text/markdown"), ("csv", "text/csv"))
_EN = "pump valve seal motor filter pressure check replace every month service manual order invoice supplier".split()
_ZH = "水泵 阀门 密封圈 电机 滤芯 压力 检查 更换 每月 维修 手册 订单 发票 供应商".split()


class HashedEmbedder:
    """Draws a vector from a text's hash: like texts are not near, which no page looks at."""

    fingerprint = "drawn-384"
    dimension = DIMENSION

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """Return float32 (n, 384), unit norm."""
        return np.stack([self.encode_query(text) for text in texts]) if texts else np.empty((0, DIMENSION), np.float32)

    def encode_query(self, text: str) -> Vectors:
        """Return float32 (384,), unit norm."""
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        drawn = np.random.default_rng(seed).standard_normal(DIMENSION, np.float32)
        return np.asarray(drawn / np.linalg.norm(drawn), np.float32)

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Return one token a character."""
        return [(i, i + 1) for i in range(len(text))]


class HashedServices(Services):
    """The app's services with that embedder."""

    _embedder = HashedEmbedder()  # type: ignore[assignment]


class SetClock:
    """Tells the time that it was set to."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        """Return seconds since the epoch."""
        return self.now


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Who and what there is to look at."""

    admin: Person
    reader: Person
    collection: str
    source_id: str
    conversation: str
    trial: str


# --- documents --------------------------------------------------------------------------------------------------------


def fill_store(data: Path, *, n: int, dice: random.Random) -> list[str]:
    """Store ``n`` documents, two thirds of them in one collection, with some that failed; return the collections."""
    names = ["archive", *(f"team {letter}" for letter in "abcdefgh")]
    with Store.open(data, writer=True) as store:
        store.use_embedder(fingerprint=HashedEmbedder.fingerprint, dimension=DIMENSION)
        shares = {name: n * 2 // 3 if name == names[0] else max(1, n // 24) for name in names}
        for name, share in shares.items():
            made = list(_documents(name, share, dice))
            for start in range(0, share, _BATCH):
                store.put(made[start : start + _BATCH], collection=name)
            store.note_failures(list(_failures(share // 20)), collection=name)
    return names


def _documents(collection: str, n: int, dice: random.Random) -> Iterator[Ingestible]:
    for number in range(n):
        ending, media_type = dice.choice(_KINDS)
        words = dice.choice((_EN, _ZH))
        title = " ".join(dice.choices(words, k=3))
        path = f"{dice.choice(_EN)}/{dice.choice(_EN)}/{title} {number}.{ending}"
        paragraphs = [f"{' '.join(dice.choices(words, k=30))}." for _ in range(_CHUNKS)]
        yield _document(collection, path, title=title, paragraphs=paragraphs, media_type=media_type, dice=dice)


def _document(
    collection: str, path: str, *, title: str, paragraphs: Sequence[str], media_type: str, dice: random.Random
) -> Ingestible:
    text = "\n\n".join(paragraphs)
    sha256 = hashlib.sha256(f"{path}{text}".encode()).hexdigest()
    owner = source_id(collection=collection, path=path, sha256=sha256)
    chunks, start = [], 0
    for paragraph in paragraphs:
        end = start + len(paragraph)
        made = chunk_id(source_id=owner, start=start, end=end, text=paragraph)
        place = Locator(start=start, end=end, headings=(title, dice.choice(_EN)))
        chunks.append(Chunk(id=made, source_id=owner, text=paragraph, locator=place, n_tokens=40))
        start = end + 2
    source = SourceFile(
        path=path,
        location=f"/srv/{path}",
        sha256=sha256,
        media_type=media_type,
        size_bytes=dice.randrange(10_000, 5_000_000),
        modified=time.time() - dice.random() * YEAR_SECONDS,
    )
    vectors = dice_vectors(len(chunks), dice)
    document = Document(source=source, title=title, text=text, sections=())
    return Ingestible(document=document, chunks=tuple(chunks), vectors=vectors, recipe="by paragraph")


def dice_vectors(n: int, dice: random.Random) -> Vectors:
    """Return float32 (n, 384), unit norm."""
    drawn = np.random.default_rng(dice.randrange(2**32)).standard_normal((n, DIMENSION), np.float32)
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), np.float32)


def _failures(n: int) -> Iterator[StoredFailure]:
    for number in range(n):
        yield StoredFailure(
            path=f"scans/unreadable {number}.pdf",
            location=f"/srv/scans/unreadable {number}.pdf",
            code="damaged",
            error="the file ends too early",
            at=time.time(),
        )


# --- people -----------------------------------------------------------------------------------------------------------


def fill_people(data: Path, kb: KnowledgeBase, *, n_conversations: int, dice: random.Random) -> Crowd:
    """Make persons and a year of what they did: one administrator has ``n_conversations`` of two questions each."""
    clock = SetClock()
    with People.open(data, clock=clock) as people:
        began = clock.now - YEAR_SECONDS
        clock.now = began
        admin, reader = add_person(people, "Noor Haddad", "admin"), add_person(people, "Mei Lin", "reader")
        hits = kb.search("pump valve 水泵", 5)
        with people.writing():  # one transaction: each alone would wait for the disk
            persons = list(_persons(people, admin, n=max(10, n_conversations // 25)))
            _share(people, kb, admin, persons, dice)
            conversation = ""
            for number in range(n_conversations):
                clock.now = began + YEAR_SECONDS * number / n_conversations
                conversation = _converse(people, admin, number, hits=hits, dice=dice)
                _audit(people, dice.choice(persons), dice=dice)
                if number % 4 == 0:
                    _converse(people, dice.choice(persons), number, hits=hits, dice=dice)
            trial = _trials(people, kb, admin, hits, dice=dice, n=max(2, n_conversations // 100))
    source = kb.services.store.list_sources(Listed(collection="archive"), limit=1, offset=0)[0]
    return Crowd(
        admin=admin,
        reader=reader,
        collection="archive",
        source_id=source.source_id,
        conversation=conversation,
        trial=trial,
    )


def _persons(people: People, admin: Person, *, n: int) -> Iterator[Person]:
    groups = Groups(people)
    teams = [groups.add(f"Team {number + 1}") for number in range(n // 10)]
    for number in range(n):
        person = add_person(people, f"Person {number + 1}", "editor" if number % 3 == 0 else "reader")
        groups.join(teams[number % len(teams)].id, person.id)
        yield person
    for number in range(n // 10):
        Invitations(people).invite(role="reader", made_by=admin.id, days=1 + number)


def _share(people: People, kb: KnowledgeBase, admin: Person, persons: Sequence[Person], dice: random.Random) -> None:
    """Write down every collection, and grant each to some persons; the largest is public."""
    own, groups = OwnKnowledgeBase(kb, people, admin), Groups(people).all()
    for name in own.collections():
        if name == "archive":
            make_public_at_first(people, name)
        for person in dice.sample(persons, 5):
            own.sharing.grant(name, "read", person=person.id)
        own.sharing.grant(name, "write", group=dice.choice(groups).id)


def _converse(people: People, person: Person, number: int, *, hits: Sequence[Hit], dice: random.Random) -> str:
    """Keep a conversation of two questions, one in eight answers of it rated; return its id."""
    history, conversation = History(people, person), ""
    for _ in range(2):
        words = " ".join(dice.choices(dice.choice((_EN, _ZH)), k=6))
        turn = history.begin(f"What about {words}, number {number}?", conversation=conversation)
        conversation = turn.conversation
        history.finish(turn.id, _answer(turn.question, hits, dice))
        if dice.random() < 0.125:
            verdict = dice.choice(get_args(Verdict))
            reason = dice.choice(REASONS) if verdict == "down" else None
            Ratings(people, person).give(turn.id, verdict, reason=reason, corrected="It is seven." if reason else "")
    return conversation


def _answer(question: str, hits: Sequence[Hit], dice: random.Random) -> Answer:
    """Return an answer of two sentences, of which the second has no support."""
    best = hits[0]
    quote = best.chunk.text[:60]
    text = f"{quote} Nobody counted."
    cited = Citation(
        number=1,
        chunk_id=best.chunk.id,
        source=best.source,
        collection=best.collection,
        locator=best.chunk.locator,
        quote=quote,
    )
    refused, total_ms = dice.random() < 0.1, dice.lognormvariate(6.5, 0.6)
    return Answer(
        question=question,
        text="The documents do not say." if refused else text,
        citations=() if refused else (cited,),
        sentences=() if refused else (Sentence(start=0, end=60, citations=(1,)), Sentence(start=61, end=len(text))),
        hits=tuple(hits),
        model="reader",
        timings=Timings(retrieve_ms=20.0, first_token_ms=total_ms / 2, total_ms=total_ms),
        abstained=refused,
        language="en",
        confidence=None if refused else 0.7,
    )


def _audit(people: People, person: Person, *, dice: random.Random) -> None:
    """Write down a few deeds of a person."""
    audit = Audit(people)
    for action in dice.choices(get_args(Action), k=5):
        audit.note(action, person=person, target="archive", address="192.0.2.7")


def _trials(
    people: People, kb: KnowledgeBase, admin: Person, hits: Sequence[Hit], *, dice: random.Random, n: int
) -> str:
    """Make trials of a hundred questions each, answered and rated; return the newest."""
    trials = Trials(OwnKnowledgeBase(kb, people, admin).access)
    trial_id = ""
    for number in range(n):
        sides = [Side(changes=(f"retrieval.k={k}",), settings=(f"retrieval.k={k}",)) for k in (5, 8)]
        questions = [f"What about {' '.join(dice.choices(_EN, k=5))}, {place}?" for place in range(100)]
        trial = trials.create(f"Trial {number}", questions, first=sides[0], second=sides[1], scope=["archive"])
        for place, question in enumerate(questions):
            for side in SIDES:
                trials.keep(trial.id, place, side, _answer(question, hits, dice))
        trial_id = trial.id
        if number % 2:
            trials.end(trial.id)
    return trial_id


# --- evaluations ------------------------------------------------------------------------------------------------------


def fill_evaluations(data: Path, kb: KnowledgeBase, *, n: int, n_cases: int) -> None:
    """Ask made-up cases once, and keep the results as those of ``n`` runs."""
    background = Background()
    evaluations = Evaluations(data, background, Admission())
    cases = [
        Case(id=str(number), question=f"What about {_EN[number % len(_EN)]} {number}?", answers=("seven",))
        for number in range(n_cases)
    ]
    run = evaluations.start(kb, cases, names=["made up"])
    chore = background.newest("evaluation")
    assert chore is not None
    for _ in chore.live.watch():
        pass
    background.close()
    place = data / "evaluations"
    plain = json.loads((place / str(run.n) / "run.json").read_text("utf-8"))
    for number in range(run.n + 1, run.n + n):
        shutil.copytree(place / str(run.n), place / str(number))
        (place / str(number) / "run.json").write_text(json.dumps(plain | {"n": number}), "utf-8")
