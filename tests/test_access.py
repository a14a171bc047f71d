"""The gate: what others have is not there, in every read, write, search, answer and file."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from app import KnowledgeBase
from app.people.database import People
from app.people.groups import Groups
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.records import Person, Role
from app.people.sharing import make_public_at_first
from core.errors import (
    CitadelError,
    EmptyQuestion,
    NameTaken,
    NotAllowed,
    UnknownCollection,
    UnknownPerson,
    UnknownSource,
)
from core.records import Answer, Event, Finished, Hit, Retrieved, SearchFilter, Token
from core.settings import load_settings
from indexes.store import Store
from tests.small_people import add
from tests.small_store import HashingEmbedder, ingestible, open_writer

QUESTION = "How high is the yearly rent?"
NAMES = ("ann", "bob", "eve")
EVERYBODY = ("root", *NAMES, "cem", "dee")


def text_of(name: str) -> str:
    return f"The yearly rent is 84,000 EUR, and CANARY-{name} is the code of the safe."


@dataclass(frozen=True)
class House:
    """A knowledge base with a private collection of each editor's, one that is public, and one that is nobody's."""

    kb: KnowledgeBase
    people: People
    persons: dict[str, Person]
    collections: dict[str, str]

    def own(self, name: str) -> OwnKnowledgeBase:
        return OwnKnowledgeBase(self.kb, self.people, self.persons[name])

    def put(self, collection: str, path: str, *paragraphs: str) -> None:
        with Store.open(self.kb.settings.data_dir, writer=True) as writer:
            writer.put([ingestible(path, *paragraphs, collection=collection)], collection=collection)


SETTINGS = ["generator.backend=none", "reader.model=none", "answer.refuse_below=0"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Persons and collections: ann, bob and eve edit, cem reads, dee reads and is given nothing."""
    data = tmp_path_factory.mktemp("built") / "data"
    open_writer(data).close()
    settings = load_settings(overrides=SETTINGS, data_dir=data).settings
    with KnowledgeBase.open(settings=settings) as kb, People.open(data) as people:
        roles: dict[str, Role] = {"root": "admin", "cem": "reader", "dee": "reader"}
        persons = {name: add(people, name, roles.get(name, "editor")) for name in EVERYBODY}
        made = House(kb=kb, people=people, persons=persons, collections={})
        for name in NAMES:
            made.collections[name] = made.own(name).create_collection("Rent")
            made.put(made.collections[name], f"{name}.txt", text_of(name))
        made.put("nobodys", "nobody.txt", text_of("nobody"))
    return made


@pytest.fixture
def house(built: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A copy of it for each test."""
    monkeypatch.setattr("llm.embedders.open_embedder", lambda *_, **__: HashingEmbedder())
    data = tmp_path / "data"
    shutil.copytree(built.kb.settings.data_dir, data)
    settings = load_settings(overrides=SETTINGS, data_dir=data).settings
    with KnowledgeBase.open(settings=settings) as kb, People.open(data) as people:
        yield House(kb=kb, people=people, persons=built.persons, collections=built.collections)


def canaries(found: object) -> set[str]:
    return {name for name in (*NAMES, "nobody") if f"CANARY-{name}" in str(found)}


def test_each_sees_their_own_and_administrators_see_all(house: House) -> None:
    for name in NAMES:
        own = house.own(name)
        assert own.collections() == [house.collections[name]]
        assert [source.path for source in own.documents()] == [f"{name}.txt"]
        assert canaries(own.search(QUESTION)) == {name}
        assert canaries(own.ask(QUESTION)) == {name}
        assert own.shelves()[0].label == "Rent"
        assert own.shelves()[0].owner_name == name
    assert canaries(house.own("root").search(QUESTION)) == {*NAMES, "nobody"}
    assert len(house.own("root").documents()) == 4
    assert house.own("root").access.right("nobodys") == "own"


@pytest.mark.parametrize("name", ["cem", "dee"])
def test_who_may_read_nothing_is_told_that_there_is_nothing(house: House, name: str) -> None:
    """To the index a filter that names no collection means all of them."""
    own = house.own(name)
    assert own.collections() == own.documents() == own.search(QUESTION) == []
    answer = own.ask(QUESTION)
    assert answer.abstained
    assert not answer.hits
    assert "no documents" in answer.text
    assert "还没有" in own.ask("租金是多少？").text
    events = list(own.stream(QUESTION))
    assert [type(event) for event in events] == [Retrieved, Token, Finished]
    assert own.as_retriever(k=5).invoke(QUESTION) == []
    with pytest.raises(EmptyQuestion):
        own.search("?!")
    with pytest.raises(EmptyQuestion):
        own.stream("?!")


def attempts(own: OwnKnowledgeBase, collection: str, path: str) -> dict[str, Callable[[], object]]:
    """Return every way to a collection and a document by their names."""
    wanted = SearchFilter(collections=(collection,))
    both = SearchFilter(collections=(*own.collections(), collection))
    return {
        "documents": lambda: own.documents(collection=collection),
        "listed": lambda: own.listed(collection=collection, limit=9),
        "document": lambda: own.document(path, collection=collection),
        "document_text": lambda: own.document_text(path, collection=collection),
        "chunks": lambda: own.chunks(path, collection=collection),
        "search": lambda: own.search(QUESTION, filter=wanted),
        "search both": lambda: own.search(QUESTION, filter=both),
        "ask": lambda: own.ask(QUESTION, filter=wanted),
        "stream": lambda: own.stream(QUESTION, filter=wanted),
        "retriever": lambda: own.as_retriever(filter=wanted),
        "ingest": lambda: own.ingest("/nowhere", collection=collection),
        "delete": lambda: own.delete(path, collection=collection),
        "delete_collection": lambda: own.delete_collection(collection),
        "grants": lambda: own.sharing.grants(collection),
        "grant": lambda: own.sharing.grant(collection, "read", person=own.access.person_id),
        "revoke": lambda: own.sharing.revoke(collection, person=own.access.person_id),
        "publish": lambda: own.sharing.publish(collection),
        "rename": lambda: own.sharing.rename(collection, "Mine"),
        "transfer": lambda: own.sharing.transfer(collection, own.access.person_id),
        "withdraw": lambda: own.sharing.withdraw(collection),
    }


@pytest.mark.parametrize("name", ["ann", "cem", "dee"])
@pytest.mark.parametrize("others", ["bob", "nobodys"])
def test_what_others_have_is_told_in_the_words_of_what_never_was(house: House, name: str, others: str) -> None:
    own, theirs = house.own(name), house.collections.get(others, others)

    def told() -> dict[str, str]:
        said = {}
        for way, attempt in attempts(own, theirs, "bob.txt").items():
            with pytest.raises(UnknownCollection) as error:
                attempt()
            said[way] = str(error.value)
        return said

    of_others = told()
    assert canaries(house.kb.search(QUESTION)) == {*NAMES, "nobody"}
    house.own("root").delete_collection(theirs)
    assert told() == of_others


def test_a_document_of_others_is_not_found_by_path_or_id(house: House) -> None:
    own, theirs = house.own("ann"), house.kb.document("bob.txt")
    for path in ("bob.txt", "bob.tx"):
        with pytest.raises(UnknownSource) as error:
            own.document(path)
        assert "bob.txt" not in error.value.remedy
    with pytest.raises(UnknownSource) as of_others:
        own.source(theirs.source_id)
    with pytest.raises(UnknownSource) as of_nothing:
        own.source("0" * 32)
    assert str(of_others.value).replace(theirs.source_id, "") == str(of_nothing.value).replace("0" * 32, "")
    assert own.source(own.document("ann.txt").source_id).path == "ann.txt"
    with pytest.raises(UnknownSource):
        own.delete("bob.txt")


def test_a_list_is_cut_off_and_counts_what_may_be_read_alone(house: House) -> None:
    for path in ("plan b.txt", "plan a.txt", "note.txt"):
        house.put(house.collections["ann"], path, "Nothing.")

    def listed(name: str, limit: int = 9, *words: str) -> tuple[list[str], int]:
        found, total = house.own(name).listed(words=words, limit=limit)
        return [source.path for source in found], total

    (filled,) = house.own("ann").filled()
    assert (filled.name, filled.n_documents, filled.newest.path) == (house.collections["ann"], 4, "note.txt")
    assert [each.name for each in house.own("bob").filled()] == [house.collections["bob"]]
    assert house.own("dee").filled() == []
    assert len(house.own("root").filled()) == 4
    assert listed("ann") == ([source.path for source in house.own("ann").documents()], 4)
    assert listed("ann", 2) == (["ann.txt", "note.txt"], 4)
    assert listed("ann", 0) == ([], 4)
    assert listed("ann", 9, "PLAN", "a.t") == (["plan a.txt"], 1)
    assert listed("bob") == (["bob.txt"], 1)
    assert listed("bob", 9, "plan") == ([], 0)
    assert listed("dee") == ([], 0)
    everything, total = listed("root", 5)
    assert (len(everything), total) == (5, 7)
    assert everything == [source.path for source in house.own("root").documents()][:5]


def test_near_names_are_suggested_among_what_may_be_read(house: House) -> None:
    house.own("root").create_collection("contracts")
    with pytest.raises(UnknownCollection) as error:
        house.own("ann").documents(collection="contract")
    assert "contracts" not in str(error.value)
    with pytest.raises(UnknownCollection, match="nearest is contracts"):
        house.own("root").documents(collection="contract")


def test_a_grant_to_a_person_counts_at_once_and_until_it_is_taken_back(house: House) -> None:
    ann, cem, name = house.own("ann"), house.own("cem"), house.collections["ann"]
    ann.sharing.grant(name, "read", person=house.persons["cem"].id)
    assert canaries(cem.ask(QUESTION)) == {"ann"}
    assert cem.access.right(name) == "read"
    assert [(grant.name, grant.level) for grant in ann.sharing.grants(name)] == [("cem", "read")]
    ann.sharing.revoke(name, person=house.persons["cem"].id)
    assert cem.collections() == []
    assert cem.ask(QUESTION).abstained


def test_a_grant_to_a_group_counts_for_its_members(house: House) -> None:
    groups, bob = Groups(house.people), house.own("bob")
    team = groups.add("Lawyers")
    bob.sharing.grant(house.collections["bob"], "write", group=team.id)
    assert house.own("eve").collections() == [house.collections["eve"]]
    groups.join(team.id, house.persons["eve"].id)
    groups.join(team.id, house.persons["cem"].id)
    assert house.own("eve").access.right(house.collections["bob"]) == "write"
    assert house.own("cem").access.right(house.collections["bob"]) == "read"  # a reader only reads
    groups.leave(team.id, house.persons["eve"].id)
    assert house.own("eve").access.right(house.collections["bob"]) is None
    groups.delete(team.id)
    assert house.own("cem").collections() == []


def test_a_public_collection_is_read_by_everybody_and_written_by_its_owner(house: House) -> None:
    name = house.collections["ann"]
    house.own("ann").sharing.publish(name)
    for reader in ("bob", "cem", "dee"):
        assert canaries(house.own(reader).search(QUESTION)) == {"ann"} | ({reader} & set(NAMES))
        with pytest.raises(NotAllowed, match="Ask its owner"):
            house.own(reader).delete("ann.txt", collection=name)
        with pytest.raises(NotAllowed):
            house.own(reader).sharing.publish(name, False)
    house.own("ann").sharing.publish(name, False)
    assert house.own("dee").collections() == []


def test_the_sample_is_made_public_once_and_stays_what_an_administrator_makes_of_it(house: House) -> None:
    make_public_at_first(house.people, "nobodys")
    assert canaries(house.own("dee").search(QUESTION)) == {"nobody"}
    house.own("root").sharing.publish("nobodys", False)
    make_public_at_first(house.people, "nobodys")
    assert house.own("dee").collections() == []


def test_a_role_or_an_account_that_was_taken_away_counts_at_once(house: House) -> None:
    from app.people.accounts import Accounts

    accounts, ann = Accounts(house.people), house.own("ann")
    assert ann.access.right(house.collections["ann"]) == "own"
    accounts.set_role(house.persons["ann"].id, "reader")
    assert ann.access.right(house.collections["ann"]) == "read"
    with pytest.raises(NotAllowed):
        ann.create_collection("More")
    with pytest.raises(NotAllowed):
        ann.delete("ann.txt")
    accounts.disable(house.persons["ann"].id)
    assert ann.collections() == ann.search(QUESTION) == []
    accounts.delete(house.persons["ann"].id)
    assert ann.collections() == []
    shelf = next(s for s in house.own("root").shelves() if s.name == house.collections["ann"])
    assert (shelf.owner, shelf.right) == ("", "own")


def test_a_stream_that_begins_late_asks_for_rights_then(house: House) -> None:
    house.own("ann").sharing.grant(house.collections["ann"], "read", person=house.persons["cem"].id)
    waiting = house.own("cem").stream(QUESTION)
    house.own("ann").sharing.revoke(house.collections["ann"], person=house.persons["cem"].id)
    assert canaries(list(waiting)) == set()


def test_labels_of_editors_never_collide_and_tell_nothing_of_others(house: House) -> None:
    assert len(set(house.collections.values())) == 3
    assert all(name.startswith("Rent~") for name in house.collections.values())
    root = house.own("root")
    assert root.create_collection("Plans") == "Plans"
    with pytest.raises(NameTaken):
        root.create_collection("Plans")
    with pytest.raises(NameTaken):
        root.create_collection("nobodys")
    assert house.own("ann").create_collection("nobodys").startswith("nobodys~")
    with pytest.raises(NotAllowed):
        house.own("dee").create_collection("Mine")


def test_a_label_leads_to_a_collection_that_may_be_written_to(house: House) -> None:
    ann = house.own("ann")
    assert ann.collection_for("Rent") == ann.collection_for(house.collections["ann"]) == house.collections["ann"]
    house.own("bob").sharing.publish(house.collections["bob"])
    made = ann.collection_for(house.collections["bob"])  # she reads bob's, so that this is one of her own
    assert made != house.collections["bob"]
    assert ann.access.right(made) == "own"
    ann.sharing.rename(made, "Papers")
    assert ann.collection_for("Papers") == made


def test_a_collection_that_holds_nothing_yet_is_there_and_answers_that_it_is_empty(house: House) -> None:
    ann = house.own("ann")
    empty = ann.create_collection("Empty")
    assert empty in ann.collections()
    assert ann.documents(collection=empty) == []
    wanted = SearchFilter(collections=(empty,))
    assert ann.search(QUESTION, filter=wanted) == []
    assert ann.ask(QUESTION, filter=wanted).abstained
    assert ann.delete_collection(empty) == []
    assert empty not in ann.collections()


def test_ownership_can_be_handed_on(house: House) -> None:
    name = house.collections["ann"]
    house.own("ann").sharing.grant(name, "read", person=house.persons["bob"].id)
    house.own("ann").sharing.transfer(name, house.persons["bob"].id)
    assert house.own("ann").access.right(name) is None
    assert house.own("bob").access.right(name) == "own"
    assert house.own("bob").sharing.grants(name) == []
    with pytest.raises(UnknownPerson):
        house.own("bob").sharing.transfer(name, "nobody")
    with pytest.raises(UnknownPerson):
        house.own("bob").sharing.grant(name, "read", person="nobody")
    with pytest.raises(ValueError, match="one person or to one group"):
        house.own("bob").sharing.grant(name, "read")


def test_a_deleted_collection_leaves_no_rights_behind(house: House) -> None:
    name = house.collections["ann"]
    house.own("ann").sharing.publish(name)
    house.own("ann").sharing.grant(name, "read", person=house.persons["dee"].id)
    assert [source.path for source in house.own("ann").delete_collection(name)] == ["ann.txt"]
    assert house.own("dee").collections() == []
    house.put(name, "again.txt", text_of("ann"))  # by the command line: it belongs to nobody
    assert house.own("dee").search(QUESTION) == []
    assert canaries(house.own("ann").search(QUESTION)) == set()


def test_a_deletion_that_is_stopped_halfway_leaves_nothing_shared(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.knowledge_base._PATIENCE_SECONDS", 0.0)
    name = house.collections["ann"]
    house.own("ann").sharing.publish(name)
    with Store.open(house.kb.settings.data_dir, writer=True), pytest.raises(CitadelError):
        house.own("ann").delete_collection(name)
    assert house.own("dee").collections() == []
    assert house.own("ann").access.right(name) == "own"
    assert house.own("ann").delete_collection(name)


def test_only_uploads_into_the_collection_itself_are_read_from_this_machine(house: House, tmp_path: Path) -> None:
    """An upload is named by its path: that of another's must not become a document of one's own."""
    ann, folder = house.own("ann"), house.kb.settings.data_dir / "uploads"
    mine, theirs = house.collections["ann"], house.collections["bob"]
    for name in (mine, theirs):
        (folder / name).mkdir(parents=True)
        (folder / name / "note.txt").write_text(f"A note on {name}.", "utf-8")
    (tmp_path / "secret.txt").write_text("CANARY-nobody", "utf-8")
    (folder / mine / "link.txt").symlink_to(tmp_path / "secret.txt")
    for path in (
        tmp_path / "secret.txt",
        folder / theirs / "note.txt",
        folder / mine / ".." / theirs / "note.txt",
        folder / mine / "link.txt",
        folder,
        "/etc/passwd",
    ):
        with pytest.raises(NotAllowed, match="only administrators"):
            ann.ingest(folder / mine / "note.txt", path, collection=mine)
    assert ann.ingest(folder / mine / "note.txt", collection=mine).exit_code == 0
    assert {source.path for source in ann.documents()} == {"ann.txt", "note.txt"}
    assert house.own("root").ingest(tmp_path / "secret.txt", collection=mine).exit_code == 0


def test_the_store_is_looked_after_by_administrators(house: House) -> None:
    for name in ("ann", "dee"):
        for deed in (house.own(name).verify, house.own(name).rebuild, house.own(name).purge):
            with pytest.raises(NotAllowed, match="administrators"):
                deed()
    assert house.own("root").verify() == []


@pytest.mark.parametrize(("way", "n_looks"), [("search", 2), ("ask", 4)])
def test_a_collection_that_is_deleted_between_look_and_search_is_looked_past(
    house: House, monkeypatch: pytest.MonkeyPatch, way: str, n_looks: int
) -> None:
    now, before = house.kb.collections, iter([[*house.kb.collections(), "gone"]] * n_looks)
    monkeypatch.setattr(house.kb, "collections", lambda: next(before, None) or now())
    assert canaries(getattr(house.own("root"), way)(QUESTION)) == {*NAMES, "nobody"}
    assert next(before, None) is None


@pytest.mark.parametrize("way", ["search", "ask"])
def test_a_collection_that_is_gone_when_it_is_searched_is_told_without_what_others_have(
    house: House, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    bob, near = house.own("bob"), f"{house.collections['ann']}x"
    monkeypatch.setattr(bob, "_narrowed", lambda _: SearchFilter(collections=(near,)))
    with pytest.raises(UnknownCollection) as error:
        getattr(bob, way)(QUESTION)
    assert house.collections["ann"] not in error.value.remedy


class Leaking:
    """A knowledge base with a fault: it answers from one collection whatever was asked."""

    def __init__(self, kb: KnowledgeBase, hits: list[Hit]) -> None:
        self._kb, self._hits = kb, hits
        self.closed = False
        self.settings, self.collections, self.checked_question = kb.settings, kb.collections, kb.checked_question

    def search(self, query: str, k: int | None = None, *, filter: SearchFilter) -> list[Hit]:
        return self._hits

    def stream(self, question: str, *, history: object, filter: SearchFilter) -> Iterator[Event]:
        try:
            yield Retrieved(hits=())
            yield Token(text="The")
            yield Finished(answer=Answer(question=question, text="The", hits=tuple(self._hits)))
        finally:
            self.closed = True


def test_a_fault_elsewhere_does_not_become_a_leak(house: House) -> None:
    leaking = Leaking(house.kb, house.kb.search(QUESTION, filter=SearchFilter(collections=(house.collections["bob"],))))
    own = OwnKnowledgeBase(leaking, house.people, house.persons["ann"])  # type: ignore[arg-type]
    with pytest.raises(CitadelError, match="not of the collections"):
        own.search(QUESTION)
    seen = []
    with pytest.raises(CitadelError, match="not of the collections"):
        seen.extend(own.stream(QUESTION))
    assert leaking.closed
    stream = own.stream(QUESTION)
    next(stream)
    leaking.closed = False
    stream.close()  # type: ignore[attr-defined]
    assert leaking.closed


def test_no_canary_reaches_another_over_many_answers_at_once(house: House) -> None:
    house.own("ann").sharing.publish(house.collections["ann"])
    house.own("bob").sharing.grant(house.collections["bob"], "read", person=house.persons["cem"].id)
    allowed = {
        "root": {*NAMES, "nobody"},
        "ann": {"ann"},
        "bob": {"ann", "bob"},
        "eve": {"ann", "eve"},
        "cem": {"ann", "bob"},
        "dee": {"ann"},
    }
    ended = threading.Event()

    def change() -> None:
        """Make, fill and share collections meanwhile, so that what may be read never stands still."""
        groups, eve = Groups(house.people), house.own("eve")
        team = groups.add("Team")
        while not ended.is_set():
            name = eve.create_collection("More")
            eve.sharing.grant(name, "read", group=team.id)
            house.put(name, "more.txt", text_of("eve"))
            eve.delete_collection(name)

    def ask(n: int) -> tuple[str, set[str]]:
        name = EVERYBODY[n % len(EVERYBODY)]
        own = house.own(name)
        return name, canaries(own.search(QUESTION, 10) if n % 4 else own.ask(QUESTION))

    changing = threading.Thread(target=change)
    changing.start()
    try:
        with ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(ask, range(240)))
    finally:
        ended.set()
        changing.join(60)
    for name, found in answers:
        assert found <= allowed[name], f"{name} saw {found}"
    assert all(found for _, found in answers)
