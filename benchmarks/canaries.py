"""Whether anybody is ever shown what is another's, over many answers at a time through the doors of a running server.

``python -m benchmarks.canaries [-n 1000] [--people 4] [--at-once 16] [--data DIR] [--seed 1] [--set NAME=VALUE ...]``

Each person has a private collection whose documents hold a canary, in texts, titles and names of files, and puts the
same canary into questions, names of conversations and ratings. All ask at once, in both languages: new conversations
and follow-ups, some stopped, some left in the middle; and between their own questions they ask with the ids of others'
collections, conversations, answers, documents, uploads and pages' sessions. Every byte that comes back is looked
through for canaries that are not the asker's. Answers are quotes, which change nothing of who may see what. Exits with
1 where one was seen, or where something that is another's was opened.
"""

from __future__ import annotations

import argparse
import random
import re
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from app.knowledge_base import KnowledgeBase
from app.people.database import People
from app.people.history import History
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.records import Person
from app.uploads import safe_name
from benchmarks.serving import Client, add_person, attribute, begin_session, link_models, served
from benchmarks.trespassing import DOORS, Prey
from core.records import Language
from core.settings import load_settings

# Or the beginning of one: texts are cut.
CANARY = re.compile(r"canary[0-9a-f]{6,16}", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")  # a chip may stand within a word
SETTINGS = ("answer.words=quotes", "generator.backend=none", "answer.refuse_below=0", "serve.answers_at_once=4",
            "serve.waiting=256", "serve.waiting_per_person=64")  # fmt: skip
SUBJECTS = {
    "rent": ("The yearly rent of the house is 84,000 EUR", "How high is the yearly rent of the house?"),
    "pump": ("The pump in the cellar is replaced every seven years", "How often is the pump in the cellar replaced?"),
    "safe": ("The safe stands behind the bookcase on the second floor", "Where does the safe stand?"),
    "房租": ("这栋房子每年的租金是八万四千欧元", "这栋房子每年的租金是多少？"),
    "水泵": ("地下室的水泵每七年更换一次", "地下室的水泵多久更换一次？"),
    "保险柜": ("保险柜放在二楼书柜后面", "保险柜放在哪里？"),
}  # fmt: skip
FOLLOW_UPS = {"en": "And what is the code that stands beside it?", "zh": "旁边写的代码是什么？"}
# Of ten: four begin a conversation, two follow up, one is stopped, one is left, two ask for what is another's.
KINDS = ("new", "new", "new", "new", "follow-up", "follow-up", "stopped", "left", "others", "others")
_MOST_LINES_UNTIL_LEFT = 6
_TOLD_EVERY = 100


@dataclass
class Resident:
    """A person, their private collection, and what of theirs others will ask for."""

    person: Person
    own: OwnKnowledgeBase
    canary: str
    language: Language
    token: str
    prey: Prey
    lock: Lock = field(default_factory=Lock)


@dataclass
class Seen:
    """What came back, of all together."""

    n_bytes: int = 0
    n_own: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    doors: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def look(self, resident: Resident, what: str, text: str) -> bool:
        """Look through something that a person received, and return whether their own canary was in it."""
        found = canaries_in(text)
        with self.lock:
            self.n_bytes += len(text.encode("utf-8", "replace"))
            if others := strange(found, resident.canary):
                self.faults.append(f"{resident.person.name} was shown {sorted(others)} by {what}")
        return resident.canary in found

    def count(self, kind: str, *, own: bool = False) -> None:
        """Count an answer that was begun, and whether it held its asker's canary."""
        with self.lock:
            self.kinds[kind] += 1
            self.n_own += own

    def met(self, door: str, how: str) -> None:
        """Count what was said at a door of another's."""
        with self.lock:
            self.doors[door, how] += 1

    def fault(self, told: str) -> None:
        """Write down what should not be."""
        with self.lock:
            self.faults.append(told)


def main() -> int:
    """Ask, look and print what was counted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=1000, help="answers in all")
    parser.add_argument("--people", type=int, default=4, help="two at least")
    parser.add_argument("--at-once", type=int, default=16, help="answers asked for at the same time")
    parser.add_argument("--data", type=Path, default=Path("data"), help="data directory with the models")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="one setting; may be repeated")
    options = parser.parse_args()
    if options.people < 2:
        parser.error("one person has nobody to hide from")
    _try_the_eyes()
    seen = Seen()
    with tempfile.TemporaryDirectory() as place:
        link_models(options.data / "models", Path(place))
        settings = load_settings(data_dir=place, overrides=[*SETTINGS, *options.set]).settings
        with KnowledgeBase.open(settings=settings) as kb, People.open(Path(place)) as people:
            residents = [_settle(kb, people, number) for number in range(options.people)]
            kb.services.warm()
            with served(kb, people) as address:
                for resident in residents:
                    _leave_files(resident, address)
                seconds = _ask_all(residents, address, seen, options)
                for resident in residents:
                    _look_everywhere(resident, address, seen)
            for resident in residents:
                _compare_with_store(people, resident, seen)
    _tell(seen, seconds)
    return 1 if seen.faults or not seen.n_own else 0


def canaries_in(text: str) -> set[str]:
    """Return the canaries of a text, whole or cut off, also where tags stand within."""
    return {canary.lower() for told in (text, _TAG.sub("", text)) for canary in CANARY.findall(told)}


def strange(found: set[str], own: str) -> set[str]:
    """Return the canaries that are not one's own, nor the beginning of it."""
    return {canary for canary in found if not own.startswith(canary)}


def _try_the_eyes() -> None:
    """See that a canary is noticed whole, cut off and with a tag within."""
    own, others = f"canary{'a' * 16}", f"canary{'b' * 16}"
    for told in (others, f"<mark>{others[:-3]}</mark>{others[-3:]}", f"{others[:-8]}…", others.upper()):
        assert strange(canaries_in(f"{own} {told} {own[:-4]}"), own), f"{told} would not be noticed"


def _settle(kb: KnowledgeBase, people: People, number: int) -> Resident:
    """Make a person with a private collection, every text of which holds their canary."""
    person = add_person(people, f"Resident {number + 1}", "editor")
    own, canary = OwnKnowledgeBase(kb, people, person), f"canary{secrets.token_hex(8)}"
    collection = own.create_collection("Papers")
    folder = kb.settings.data_dir / "uploads" / safe_name(collection)
    folder.mkdir(parents=True)
    for name, (told, _) in SUBJECTS.items():
        text = f"# {canary} {name}\n\n{told}, and {canary} is the code. {told}；代码是 {canary}。\n"
        (folder / f"{name}-{canary}.md").write_text(text, "utf-8")
    (folder / "plain-name.md").write_text(f"# {canary}\n\nNothing else but {canary}.\n", "utf-8")
    report = own.ingest(folder, collection=collection)
    assert not report.counts["failed"], report
    return Resident(
        person=person,
        own=own,
        canary=canary,
        language="en" if number % 2 == 0 else "zh",
        token=begin_session(people, person, kb.settings.serve),
        prey=Prey(
            person_id=person.id,
            collection=collection,
            source_ids=[source.source_id for source in own.documents()],
        ),
    )


def _leave_files(resident: Resident, address: str) -> None:
    """Send a file that is not kept yet, and attach another to a conversation."""
    client, content = Client(address, resident.token, language=resident.language), resident.canary.encode()
    sent = client.http.post(
        f"/{resident.language}/gradio_api/upload",
        files={"files": ("plan.txt", content)},
        params={"upload_id": secrets.token_urlsafe(9)},
    )
    resident.prey.uploads += sent.raise_for_status().json()
    (conversation, *_) = attribute(client.send("begin", session=secrets.token_urlsafe(9)).text, "data-conversation")
    place = f"/api/conversations/{conversation}/attachments"
    new = {"files": [{"name": "notes.txt", "size": len(content)}]}
    (begun, *_) = client.http.post(place, json=new).raise_for_status().json()["files"]
    client.http.put(f"{place}/{begun['id']}/content", content=content).raise_for_status()
    resident.prey.attachments.append(f"{place}/{begun['id']}")
    client.close()


def _ask_all(residents: Sequence[Resident], address: str, seen: Seen, options: argparse.Namespace) -> float:
    """Ask as often as is wanted, and return the seconds that it took."""
    dice = random.Random(options.seed)
    work: SimpleQueue[tuple[Resident, str, int] | None] = SimpleQueue()
    for number in range(options.n):
        work.put((residents[number % len(residents)], dice.choice(KINDS), dice.randrange(2**32)))
    for _ in range(options.at_once):  # the end, for each
        work.put(None)
    started = time.monotonic()

    def ask_on() -> None:
        clients = {one.person.id: Client(address, one.token, language=one.language, patient=True) for one in residents}
        for resident, kind, seed in iter(work.get, None):
            visit = Visit(resident, clients[resident.person.id], seen, random.Random(seed))
            visit.ask(kind, [one for one in residents if one is not resident])
            if (left := work.qsize() - options.at_once) > 0 and left % _TOLD_EVERY == 0:
                print(f"{left} of {options.n} to be asked", file=sys.stderr, flush=True)
        for client in clients.values():
            client.close()

    with ThreadPoolExecutor(options.at_once) as pool:
        for done in [pool.submit(ask_on) for _ in range(options.at_once)]:
            done.result()
    return time.monotonic() - started


class Visit:
    """A page that a person opens to ask something."""

    def __init__(self, resident: Resident, client: Client, seen: Seen, dice: random.Random) -> None:
        self.resident, self.client, self.seen, self.dice = resident, client, seen, dice
        self.session = secrets.token_urlsafe(9)

    def ask(self, kind: str, others: Sequence[Resident]) -> None:
        """Open the page and ask as ``kind`` says."""
        opened = self.client.send("load", session=self.session)
        self.seen.look(self.resident, "an empty page", opened.text)
        if kind == "others":
            self._trespass(self.dice.choice(others))
        elif kind in ("stopped", "left"):
            self._break_off(kind)
            return
        text = self._answer(self._question(), kind)
        if kind == "follow-up":
            text = self._answer(f"{FOLLOW_UPS[self.resident.language]} {self.resident.canary}", kind)
        self._rate(text)

    def _question(self) -> str:
        asked = self.dice.choice(list(SUBJECTS.values()))[1]
        return f"{asked} {self.resident.canary}" if self.dice.random() < 0.5 else asked

    def _answer(self, question: str, kind: str) -> str:
        """Ask, and keep what others may try to open of it."""
        sent = self.client.send("ask", question, [], None, session=self.session)
        holds = self.seen.look(self.resident, f"an answer ({kind})", sent.text)
        self.seen.count(kind, own=holds)
        turns, conversations = attribute(sent.text, "data-turn"), attribute(sent.text, "data-conversation")
        if sent.status != 200 or not turns or not conversations:
            self.seen.fault(f"an answer did not come: {sent.status} {sent.text[-2000:]}")
            return ""
        with self.resident.lock:
            prey = self.resident.prey
            prey.sessions.append(self.session)
            prey.turns.append(turns[-1])
            prey.conversations.append(conversations[-1])
            prey.passages += attribute(sent.text, "data-open")[-1:]
        return sent.text

    def _break_off(self, kind: str) -> None:
        """Stop an answer, or close the page in the middle of it."""
        joined = self.client.join("ask", self._question(), [], None, session=self.session)
        self.seen.look(self.resident, "a question", joined.text)
        until, lines = self.dice.randint(1, _MOST_LINES_UNTIL_LEFT), []
        for line in self.client.lines(self.session):
            lines.append(line)
            if len(lines) == until:
                if kind == "left":
                    break
                stopped = self.client.join("stop", None, session=self.session)
                self.seen.look(self.resident, "a stop", stopped.text)
        text = "\n".join(lines)
        self.seen.count(kind, own=self.seen.look(self.resident, f"an answer ({kind})", text))

    def _rate(self, text: str) -> None:
        turns = attribute(text, "data-turn")
        if turns and self.dice.random() < 0.3:
            sent = {"verdict": "down", "reason": "wrong", "corrected": f"It is {self.resident.canary}."}
            rated = self.client.http.put(f"/api/turns/{turns[-1]}/rating", json=sent, params={"form": "true"})
            self.seen.look(self.resident, "a rating", rated.text)
            if rated.status_code != 200:
                self.seen.fault(f"one's own answer could not be rated: {rated.status_code}")

    def _trespass(self, other: Resident) -> None:
        """Ask for what is another's at each door, under an id that is really theirs."""
        with other.lock:
            prey = other.prey.one(self.dice)
        if prey is None:  # nobody has answered them yet
            return
        for door in DOORS:
            text, how = door(self.client, prey)
            self.seen.look(self.resident, f"another's {door.__name__}", text)
            self.seen.met(door.__name__, how)
            if how.startswith("opened"):
                self.seen.fault(f"{self.resident.person.name} {how} {door.__name__} of {other.person.name}")


def _look_everywhere(resident: Resident, address: str, seen: Seen) -> None:
    """Look through every list that a person has, in both languages."""
    for language in ("en", "zh"):
        client = Client(address, resident.token, language=language, patient=True)
        for path in (
            f"/{language}/", f"/{language}/config", "/account", "/account/everything.json", "/collections/",
            f"/api/conversations?lang={language}", f"/api/conversations?lang={language}&q=canary", "/trials",
        ):  # fmt: skip
            holds = seen.look(resident, path, client.http.get(path, follow_redirects=True).text)
            if path == "/account/everything.json" and not holds:
                seen.fault(f"{path} holds nothing of its own person's")
        session = secrets.token_urlsafe(9)
        for event, data in (("load", ()), ("look", ("", "")), ("scope_choices", ()), ("follow", ())):
            seen.look(resident, event, client.send(event, *data, session=session).text)
        client.close()


def _compare_with_store(people: People, resident: Resident, seen: Seen) -> None:
    """Look through what was kept of each person's conversations, and see that nothing was taken away."""
    history, kept_turns = History(people, resident.person), set[str]()
    after = "begin"
    while after:
        page = history.newest(after="" if after == "begin" else after)
        for conversation in page.items:
            turns = history.turns(conversation.id)
            kept_turns |= {turn.id for turn in turns}
            seen.look(resident, f"the kept conversation {conversation.id}", f"{conversation} {turns}")
        after = page.next
    documents = {source.source_id for source in resident.own.documents()}
    if gone := [*(set(resident.prey.source_ids) - documents), *(set(resident.prey.turns) - kept_turns)]:
        seen.fault(f"{resident.person.name} has no longer {', '.join(gone)}")


def _tell(seen: Seen, seconds: float) -> None:
    n = sum(seen.kinds.values())
    print(
        f"{n} answers in {seconds:.0f} s: {', '.join(f'{kind} {count}' for kind, count in sorted(seen.kinds.items()))}"
    )
    print(f"{seen.n_own} of them showed the asker's own canary; {seen.n_bytes:,} bytes were looked through")
    names = sorted({name for name, _ in seen.doors})
    print(f"asked for another's: {sum(seen.doors.values())} times at {len(names)} doors")
    for name in names:
        said = ", ".join(f"{how} {count}" for (at, how), count in sorted(seen.doors.items()) if at == name)
        print(f"  {name:<28}{said}")
    print(f"seen of another's: {len(seen.faults)}")
    for fault in seen.faults[:50]:
        print(f"  {fault}")


if __name__ == "__main__":
    sys.exit(main())
