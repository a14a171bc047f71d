"""Files attached to conversations, and how much each person may upload: whose they are, and what goes with them."""

from __future__ import annotations

import io
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, expect
from pypdf import PdfWriter

from app.attachments import MAX_WAITS_PER_PERSON
from app.catalogue import Catalogue
from app.knowledge_base import KnowledgeBase
from app.people.attached import MAX_ATTACHMENTS, Attached, free_name
from app.people.export import everything_about
from app.people.history import History
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.quota import Quota
from app.people.records import Person, Role
from app.people.sessions import Sessions
from app.security import SESSION_COOKIE
from app.texts import explain
from app.uploads import Uploads, attached_collection
from benchmarks.serving import STREAM_ENDED, served, sign_in
from core.errors import (
    CitadelError,
    NotAllowed,
    QuotaReached,
    StoreLocked,
    TooManyAttachments,
    UnknownCollection,
    UnknownConversation,
    UnknownSource,
    UploadBroken,
)
from core.records import SearchFilter
from core.settings import ServeSettings
from tests.small_app import small_house
from tests.small_chat import Chat
from tests.small_people import add

PATIENCE_SECONDS = 60
RENT = "The yearly rent is 84,000 EUR, and CANARY-rent is the code of the safe."
QUESTION = "How high is the yearly rent?"


class Desk(Chat):
    """A server without pages: Ann only reads, Bob administers, and neither has a collection."""

    @property
    def data(self) -> Path:
        return self.kb.settings.data_dir

    def begun(self, person: Person) -> str:
        """Return a conversation that is kept."""
        return History(self.people, person).begin("Hello?").conversation

    def announce(self, person: Person, conversation: str, name: str, size: int, lang: str = "en") -> Any:
        files = {"files": [{"name": name, "size": size}]}
        return self.at(person).post(f"{place(conversation)}?lang={lang}", json=files)

    def attach(self, person: Person, conversation: str, name: str, content: str | bytes = RENT) -> str:
        """Attach a file and wait until it is read, or failed; return its id."""
        plain = content.encode() if isinstance(content, str) else content
        (begun,) = self.announce(person, conversation, name, len(plain)).json()["files"]
        sent = self.at(person).put(f"{place(conversation, begun['id'])}/content", content=plain)
        assert sent.status_code == 200, sent.text
        self.wait(person, conversation)
        return str(begun["id"])

    def wait(self, person: Person, conversation: str) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while self.visitors.attachments.of(person.id, conversation).pending:
            assert time.monotonic() < until, "the file is still being read"
            time.sleep(0.02)

    def states(self, person: Person, conversation: str) -> dict[str, str]:
        files = self.visitors.attachments.of(person.id, conversation).files
        return {file.name: file.code or file.state for file in files}

    def asked(self, person: Person, conversation: str, filter: SearchFilter | None = None) -> str:
        """Return what a conversation's question is answered."""
        answers = self.visitors.attachments.asked(self.own(person), person.id, conversation)
        return answers.ask(QUESTION, filter=filter).text

    def restarted(self) -> Desk:
        self.visitors.attachments.close()
        return super().restarted()

    def left(self) -> tuple[list[str], list[Path]]:
        """Return the hidden collections and the files that there are."""
        files = [path for path in (self.data / "attachments").rglob("*") if path.is_file()]
        return [name for name in self.kb.services.store.collection_names() if "attached" in name], files


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with small_house(tmp_path) as (kb, people):
        made = Desk.over(kb, people, add(people, "Ann", "reader"), add(people, "Bob", "admin"))
        yield made
        made.visitors.attachments.close()


def place(conversation: str, attachment: str = "") -> str:
    return f"/api/conversations/{conversation}/attachments" + (f"/{attachment}" if attachment else "")


def locked_pdf() -> bytes:
    writer, made = PdfWriter(), io.BytesIO()
    writer.add_blank_page(200, 200)
    writer.encrypt(user_password="secret", algorithm="RC4-128")
    writer.write(made)
    return made.getvalue()


# --- attaching and asking ---------------------------------------------------------------------------------------------


def test_who_only_reads_attaches_a_file_whose_passage_answers_and_opens(desk: Desk) -> None:
    conversation = desk.begun(desk.ann)
    assert "no documents" in desk.asked(desk.ann, conversation)
    desk.attach(desk.ann, conversation, "lease.txt")
    shown = desk.at(desk.ann).get(f"{place(conversation)}?lang=zh").json()
    assert "lease.txt" in shown["html"]
    assert "可用" in shown["html"]
    assert not shown["busy"]

    talk = desk.conversations.find(desk.ann.id, conversation) or desk.conversations.restore(desk.ann.id, conversation)
    answers = desk.visitors.attachments.asked(desk.own(desk.ann), desk.ann.id, conversation)
    turn = talk.ask(answers, QUESTION, filter=SearchFilter())
    assert turn is not None
    last = list(turn.watch())[-1]
    assert last.answer is not None
    assert "84,000 EUR" in last.answer.text
    assert [citation.source for citation in last.answer.citations] == ["lease.txt"]
    assert turn.state.scope == (), "what was chosen stays what it was"
    passage = desk.at(desk.ann).get(f"/api/passages/{last.id}/1")
    assert "CANARY-rent" in passage.text
    source_id = last.answer.hits[0].chunk.source_id
    assert desk.at(desk.ann).get(f"/api/sources/{source_id}/original").text == RENT
    assert desk.at(desk.bob).get(f"/api/passages/{last.id}/1").status_code == 404


def test_files_are_asked_beside_the_chosen_collections_or_alone_and_in_their_conversation_only(desk: Desk) -> None:
    for name, says in (("far", "The yearly rent is 1 EUR."), ("near", "The yearly rent is 2 EUR.")):
        (desk.data / f"{name}.txt").write_text(says)
        desk.own(desk.bob).sharing.create(name)
        desk.own(desk.bob).ingest(desk.data / f"{name}.txt", collection=name)
    conversation, other = desk.begun(desk.bob), desk.begun(desk.bob)
    desk.attach(desk.bob, conversation, "lease.txt")

    def found(of: str, *collections: str) -> set[str]:
        own = desk.visitors.attachments.asked(desk.own(desk.bob), desk.bob.id, of)
        return {hit.source for hit in own.search(QUESTION, 9, filter=SearchFilter(collections=collections))}

    assert found(conversation) == {"far.txt", "near.txt", "lease.txt"}
    assert found(conversation, "near") == {"near.txt", "lease.txt"}
    assert found(other) == {"far.txt", "near.txt"}
    switched = desk.at(desk.bob).put(f"{place(conversation)}/only", json={"only": True})
    assert " checked" in switched.json()["html"]
    assert found(conversation) == found(conversation, "near") == {"lease.txt"}
    History(desk.people, desk.bob).delete(conversation)
    own = desk.own(desk.bob).with_attachments(conversation, alone=True)
    assert own.search(QUESTION) == [], "a conversation that is gone is not answered from everything instead"
    desk.visitors.attachments.sweep()
    # What administers the machine asks without naming collections: no person's files are among the answers.
    assert {hit.source for hit in desk.kb.search(QUESTION, 9)} == {"far.txt", "near.txt"}


def test_a_program_that_names_no_collection_never_finds_what_is_attached(desk: Desk) -> None:
    conversation = desk.begun(desk.ann)
    desk.attach(desk.ann, conversation, "lease.txt")
    assert desk.kb.search(QUESTION) == []
    assert desk.kb.collections() == []
    assert desk.kb.documents() == []
    (desk.data / "canteen.txt").write_text("The canteen has pancakes.")
    desk.kb.ingest(desk.data / "canteen.txt", collection="house")
    assert {hit.source for hit in desk.kb.search(QUESTION, 9)} == {"canteen.txt"}
    assert desk.kb.collections() == ["house"]


def test_a_conversation_begins_with_a_file_and_is_named_after_its_first_question(desk: Desk) -> None:
    conversation, history = desk.conversations.new(desk.ann.id).id, History(desk.people, desk.ann)
    desk.attach(desk.ann, conversation, "lease.txt")
    assert [found.title for found in history.newest().items] == ["lease.txt"]
    history.begin(QUESTION, conversation=conversation, anew=True)
    assert history.get(conversation).title == QUESTION
    history.begin("And the deposit?", conversation=conversation, anew=True)
    assert history.get(conversation).title == QUESTION
    renamed = desk.conversations.new(desk.ann.id).id
    desk.attach(desk.ann, renamed, "lease.txt")
    history.rename(renamed, "The office")
    history.begin(QUESTION, conversation=renamed, anew=True)
    assert history.get(renamed).title == "The office"


def test_a_file_is_read_beside_a_long_ingest(desk: Desk) -> None:
    conversation = desk.begun(desk.ann)
    held, ended = threading.Event(), threading.Event()

    def ingest() -> None:
        with desk.kb._pipeline():
            held.set()
            assert ended.wait(PATIENCE_SECONDS)

    thread = threading.Thread(target=ingest)
    thread.start()
    try:
        assert held.wait(PATIENCE_SECONDS)
        with pytest.raises(StoreLocked):
            desk.kb.forget_failures(["x"], collection="y")
        removed = desk.attach(desk.ann, conversation, "old.txt", "The office has a blue door.")
        desk.attach(desk.ann, conversation, "lease.txt")
        assert desk.at(desk.ann).delete(place(conversation, removed)).status_code == 200
        assert desk.states(desk.ann, conversation) == {"lease.txt": "ready"}
        assert "84,000" in desk.asked(desk.ann, conversation)
    finally:
        ended.set()
        thread.join()
    desk.kb.services.open_writer().close()  # the last of them has let the right to write go


def test_whoever_asks_while_a_file_is_read_waits_for_it_or_stops_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, attach = threading.Event(), OwnKnowledgeBase.attach

    def slowly(self: OwnKnowledgeBase, path: Path, **how: Any) -> Any:
        assert gate.wait(PATIENCE_SECONDS)
        return attach(self, path, **how)

    monkeypatch.setattr(OwnKnowledgeBase, "attach", slowly)
    conversation, attachments = desk.begun(desk.ann), desk.visitors.attachments
    (begun,) = desk.announce(desk.ann, conversation, "lease.txt", len(RENT)).json()["files"]
    waiting = attachments.wait(desk.ann.id, conversation)
    assert [file.state for file in next(waiting).pending] == ["uploading"]
    desk.at(desk.ann).put(f"{place(conversation, begun['id'])}/content", content=RENT.encode())
    attachments.stop_waiting(desk.ann.id, conversation)
    assert [file.state for file in list(waiting)[-1].pending] == ["reading"]
    assert list(attachments.wait(desk.ann.id, conversation, is_there=lambda: False))[-1].pending
    gate.set()
    assert [file.state for file in list(attachments.wait(desk.ann.id, conversation))[-1].files] == ["ready"]


def test_a_wait_ends_when_another_page_waits_for_the_same_and_the_oldest_of_too_many(desk: Desk) -> None:
    attachments, places = desk.visitors.attachments, [desk.begun(desk.ann) for _ in range(MAX_WAITS_PER_PERSON + 1)]
    for conversation in places:
        desk.announce(desk.ann, conversation, "lease.txt", len(RENT))
    older, newer = (attachments.wait(desk.ann.id, places[0]) for _ in range(2))
    assert next(older).pending
    assert next(newer).pending
    assert len(list(older)) == 1, "its thread is free"
    others = [attachments.wait(desk.ann.id, conversation) for conversation in places[1:]]
    assert all(next(other).pending for other in others)
    assert len(list(newer)) == 1
    assert all(next(other).pending for other in others), "the others wait on"
    for other in others:
        other.close()


# --- whose they are ---------------------------------------------------------------------------------------------------


def test_others_are_told_of_a_file_what_they_are_told_of_none(desk: Desk) -> None:
    conversation = desk.begun(desk.ann)
    attachment = desk.attach(desk.ann, conversation, "lease.txt")
    (begun,) = desk.announce(desk.ann, conversation, "half.txt", 9).json()["files"]
    bob = desk.at(desk.bob)
    never, own = "x" * 12, desk.begun(desk.bob)

    def answers(of: str, file: str) -> list[tuple[int, str]]:
        files = {"files": [{"name": "a.txt", "size": 3}]}
        asked = [
            bob.get(place(of)),
            bob.post(place(of), json=files),
            bob.put(f"{place(of, file)}/content", content=b"x" * 9),
            bob.put(f"{place(of)}/only", json={"only": True}),
            bob.delete(place(of, file)),
            bob.get(f"/api/conversations/{of}.json"),
            bob.delete(f"/api/conversations/{of}"),
        ]
        return [(answered.status_code, answered.text) for answered in asked]

    for file in (attachment, begun["id"]):
        assert answers(conversation, file) == answers(never, never)
    assert {status for status, _ in answers(never, never)} == {404}
    for file in (attachment, begun["id"]):  # by way of a conversation of one's own
        refused = bob.delete(place(own, file)), bob.put(f"{place(own, file)}/content", content=b"x" * 9)
        missing = bob.delete(place(own, never)), bob.put(f"{place(own, never)}/content", content=b"x" * 9)
        assert [(a.status_code, a.text) for a in refused] == [(a.status_code, a.text) for a in missing]
    assert desk.states(desk.ann, conversation) == {"lease.txt": "ready", "half.txt": "uploading"}
    with TestClient(desk.app, base_url="http://127.0.0.1:7860") as nobody:
        assert nobody.get(place(conversation)).status_code == 401


def test_the_gate_opens_what_is_attached_to_its_person_alone_and_to_reading_alone(desk: Desk) -> None:
    conversation = desk.begun(desk.ann)
    desk.attach(desk.ann, conversation, "lease.txt")
    hidden = attached_collection(conversation)
    (source,) = desk.own(desk.ann).documents(collection=hidden)
    assert desk.own(desk.ann).access.right(hidden) == "read"
    bob = desk.own(desk.bob)
    assert bob.access.role == "admin"
    assert bob.access.right(hidden) is None
    for refused in (
        lambda: bob.documents(collection=hidden),
        lambda: bob.search(QUESTION, filter=SearchFilter(collections=(hidden,))),
        lambda: bob.ask(QUESTION, filter=SearchFilter(collections=(hidden,))),
        lambda: bob.document_text("lease.txt", collection=hidden),
        lambda: bob.sharing.grants(hidden),
        lambda: bob.delete_collection(hidden),
        lambda: bob.delete("lease.txt", collection=hidden),
        lambda: Catalogue(desk.kb, bob).shelf(hidden),
        lambda: Catalogue(desk.kb, desk.own(desk.ann)).shelf(hidden),
    ):
        with pytest.raises(UnknownCollection):
            refused()
    with pytest.raises(UnknownSource):
        bob.source(source.source_id)
    assert bob.with_attachments(conversation).search(QUESTION) == []
    assert bob.with_attachments(conversation, alone=True).search(QUESTION) == []
    with pytest.raises(UnknownConversation):
        bob.attach(Path(source.location), conversation_id=conversation)
    ann = desk.own(desk.ann)
    with pytest.raises(NotAllowed):
        ann.attach(desk.data / "people.db", conversation_id=conversation)
    for manages in (
        lambda: ann.sharing.grant(hidden, "read", person=desk.bob.id),
        lambda: ann.sharing.publish(hidden),
        lambda: ann.sharing.transfer(hidden, desk.bob.id),
        lambda: ann.delete_collection(hidden),
        lambda: ann.ingest(Path(source.location), collection=hidden),
    ):
        with pytest.raises(NotAllowed):
            manages()
    for who in (ann, bob):
        assert who.collections() == []
        assert who.shelves() == []
        assert Catalogue(desk.kb, who).shelves() == []
        assert who.documents() == []
    with pytest.raises(CitadelError):
        bob.sharing.create(hidden)
    desk.visitors.accounts.disable(desk.ann.id)
    assert ann.access.right(hidden) is None


def test_no_ingest_of_the_data_directory_reads_what_is_attached(desk: Desk) -> None:
    conversation = desk.begun(desk.ann)
    desk.attach(desk.ann, conversation, "lease.txt")
    (desk.data / "note.txt").write_text("The canteen has pancakes.")
    report = desk.kb.ingest(desk.data, collection="all")
    assert "CANARY-rent" not in "".join(desk.kb.document_text(file.path) for file in report.files if not file.error)
    assert any(file.path == "note.txt" for file in report.files)


def test_an_export_names_the_files(desk: Desk) -> None:
    conversation = desk.begun(desk.ann)
    desk.attach(desk.ann, conversation, "lease [1].txt")
    ann = desk.at(desk.ann)
    assert "- 📎 lease \\[1\\].txt" in ann.get(f"/api/conversations/{conversation}.md").text
    (file,) = ann.get(f"/api/conversations/{conversation}.json").json()["attachments"]
    assert (file["name"], file["state"], file["size_bytes"]) == ("lease [1].txt", "ready", len(RENT))
    assert "lease [1].txt" in json.dumps(everything_about(desk.people, desk.ann))
    assert "lease" not in json.dumps(everything_about(desk.people, desk.bob))


# --- restart and end --------------------------------------------------------------------------------------------------


def test_files_are_there_after_a_restart_and_what_was_not_read_is_read_then(desk: Desk) -> None:
    conversation = desk.begun(desk.ann)
    desk.attach(desk.ann, conversation, "lease.txt")
    desk.announce(desk.ann, conversation, "half.txt", 9)
    attached = Attached(desk.people, desk.ann.id)
    cut_off = attached.add(conversation, "late.txt", size_bytes=30, quota=Quota(desk.people, quota_mb=0))
    attached.change(cut_off, "reading", of="uploading")
    lies = desk.data / "attachments" / conversation / cut_off.id / cut_off.name
    lies.parent.mkdir(parents=True)
    lies.write_text("The deposit is 7,000 EUR, paid back.")
    again = desk.restarted()
    assert again.states(desk.ann, conversation) == {
        "lease.txt": "ready", "half.txt": "uploading", "late.txt": "reading"
    }  # fmt: skip
    again.visitors.attachments.resume()
    again.wait(desk.ann, conversation)
    assert again.states(desk.ann, conversation) == {
        "lease.txt": "ready", "half.txt": "upload_broken", "late.txt": "ready"
    }  # fmt: skip
    assert "84,000" in again.asked(desk.ann, conversation)
    again.visitors.attachments.close()


def test_a_server_that_ends_while_a_file_is_read_leaves_it_to_the_next(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun_reading, attach = threading.Event(), OwnKnowledgeBase.attach

    def stuck(self: OwnKnowledgeBase, path: Path, *, conversation_id: str, stop: threading.Event) -> Any:
        begun_reading.set()
        assert stop.wait(PATIENCE_SECONDS)
        return attach(self, path, conversation_id=conversation_id, stop=stop)

    monkeypatch.setattr(OwnKnowledgeBase, "attach", stuck)
    conversation = desk.begun(desk.ann)
    (begun,) = desk.announce(desk.ann, conversation, "lease.txt", len(RENT)).json()["files"]
    desk.at(desk.ann).put(f"{place(conversation, begun['id'])}/content", content=RENT.encode())
    assert begun_reading.wait(PATIENCE_SECONDS)
    again = desk.restarted()
    assert again.states(desk.ann, conversation) == {"lease.txt": "reading"}
    monkeypatch.setattr(OwnKnowledgeBase, "attach", attach)
    again.visitors.attachments.resume()
    again.wait(desk.ann, conversation)
    assert again.states(desk.ann, conversation) == {"lease.txt": "ready"}
    again.visitors.attachments.close()


@pytest.mark.parametrize("way", ["file", "conversation", "all", "account"])
def test_nothing_is_left_of_a_file_whose_time_is_over(desk: Desk, way: str) -> None:
    conversation = desk.begun(desk.ann)
    attachment = desk.attach(desk.ann, conversation, "lease.txt")
    kept = desk.begun(desk.bob)
    desk.attach(desk.bob, kept, "his.txt", "The office has a blue door.")
    assert [len(part) for part in desk.left()] == [2, 2]
    ann = desk.at(desk.ann)
    if way == "file":
        assert ann.delete(place(conversation, attachment)).json() == {"html": "", "busy": False}
    elif way == "conversation":
        assert ann.delete(f"/api/conversations/{conversation}").status_code == 204
    elif way == "all":
        assert ann.delete("/api/conversations").status_code == 204
    else:
        desk.visitors.accounts.delete(desk.ann.id)
        desk.visitors.attachments.sweep()
    collections, files = desk.left()
    assert collections == [attached_collection(kept)]
    assert [path.name for path in files] == ["his.txt"]
    assert desk.states(desk.bob, kept) == {"his.txt": "ready"}
    assert [item.source for item in desk.own(desk.bob).with_attachments(kept).search(QUESTION)] == ["his.txt"]
    desk.own(desk.bob).purge()
    everything = b"".join(path.read_bytes() for path in desk.data.rglob("*") if path.is_file())
    assert b"CANARY-rent" not in everything
    assert b"blue door" in everything


def test_what_is_removed_while_it_is_read_is_gone_all_the_same(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    begun_reading, gate = threading.Event(), threading.Event()

    def slowly(self: OwnKnowledgeBase, path: Path, *, conversation_id: str, stop: threading.Event) -> Any:
        begun_reading.set()
        assert gate.wait(PATIENCE_SECONDS)
        return self._kb.ingest(path, collection=attached_collection(conversation_id), beside=True)

    monkeypatch.setattr(OwnKnowledgeBase, "attach", slowly)
    first, second = desk.begun(desk.ann), desk.begun(desk.ann)
    ids = {}
    for conversation in (first, second):
        (begun,) = desk.announce(desk.ann, conversation, "lease.txt", len(RENT)).json()["files"]
        desk.at(desk.ann).put(f"{place(conversation, begun['id'])}/content", content=RENT.encode())
        ids[conversation] = begun["id"]
    assert begun_reading.wait(PATIENCE_SECONDS)
    places = [path.read_bytes() for path in desk.left()[1]]
    assert len(places) == 2
    History(desk.people, desk.ann).delete(first)  # nobody has swept yet: the file is read to its end
    desk.at(desk.ann).delete(place(second, ids[second]))
    gate.set()
    until = time.monotonic() + PATIENCE_SECONDS
    while any(desk.left()) and time.monotonic() < until:
        time.sleep(0.02)
    assert desk.left() == ([], [])


def test_deleting_goes_on_by_itself_when_another_process_wrote(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    import app.attachments

    monkeypatch.setattr(app.attachments, "_RETRY_SECONDS", 0.1)
    conversation = desk.begun(desk.ann)
    attachment = desk.attach(desk.ann, conversation, "lease.txt")
    with desk.kb.services.open_writer():  # as another process does
        refused = desk.at(desk.ann).delete(place(conversation, attachment))
        assert refused.status_code == StoreLocked.http_status
        assert desk.states(desk.ann, conversation) == {"lease.txt": "ready"}, "not said to be gone"
        assert desk.at(desk.ann).delete(f"/api/conversations/{conversation}").status_code == 204
        collections, files = desk.left()
        assert (len(collections), files) == (1, [])
        assert desk.own(desk.ann).access.right(collections[0]) is None
    until = time.monotonic() + PATIENCE_SECONDS
    while desk.left()[0] and time.monotonic() < until:
        time.sleep(0.02)
    assert desk.left() == ([], [])


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_files_that_cannot_be_read_say_why_and_harm_no_other(desk: Desk) -> None:
    conversation = desk.begun(desk.ann)
    desk.attach(desk.ann, conversation, "lease.txt")
    desk.attach(desk.ann, conversation, "tool.bin", bytes(range(256)) * 20)
    desk.attach(desk.ann, conversation, "locked.pdf", locked_pdf())
    assert desk.states(desk.ann, conversation) == {
        "lease.txt": "ready", "tool.bin": "unsupported_type", "locked.pdf": "encrypted"
    }  # fmt: skip
    ann = desk.at(desk.ann)
    assert "Save a copy without a password" in ann.get(place(conversation)).json()["html"]
    assert "请另存一份无密码的副本" in ann.get(f"{place(conversation)}?lang=zh").json()["html"]
    assert [path.name for path in desk.left()[1]] == ["lease.txt"], "what cannot be read takes no room"
    assert desk.kb.services.store.failures(collection=attached_collection(conversation)) == {}
    assert desk.visitors.attachments.quota.used(desk.ann.id) == len(RENT)
    assert "84,000" in desk.asked(desk.ann, conversation)


@pytest.mark.parametrize(
    ("name", "size", "code", "status", "said"),
    [
        ("empty.txt", 0, "empty_file", 422, "文件为空"),
        ("film.pdf", 201 * 2**20, "file_too_large", 422, "超过大小限制"),
    ],
)
def test_a_file_is_refused_before_it_is_sent(
    desk: Desk, name: str, size: int, code: str, status: int, said: str
) -> None:
    conversation = desk.begun(desk.ann)
    refused = desk.announce(desk.ann, conversation, name, size, "zh")
    assert refused.status_code == status
    (told,) = refused.json()["files"]
    assert told["error"]["code"] == code
    assert said in told["error"]["message"]
    assert name in told["error"]["message"]
    both = {"files": [{"name": name, "size": size}, {"name": "ok.txt", "size": 2}]}
    mixed = desk.at(desk.ann).post(place(conversation), json=both)
    assert mixed.status_code == 207
    assert ["error" in file for file in mixed.json()["files"]] == [True, False]


def test_a_conversation_has_so_many_files_and_no_more(desk: Desk) -> None:
    conversation, many = desk.begun(desk.ann), MAX_ATTACHMENTS + 2
    files = {"files": [{"name": "same.txt", "size": 3}] * many}
    told = desk.at(desk.ann).post(place(conversation), json=files).json()["files"]
    assert [file.get("error", {}).get("code") for file in told] == [None] * MAX_ATTACHMENTS + [
        TooManyAttachments.code
    ] * 2
    assert len({file["name"] for file in told[:MAX_ATTACHMENTS]}) == MAX_ATTACHMENTS
    assert "same (2).txt" in desk.states(desk.ann, conversation)
    alone = desk.announce(desk.ann, conversation, "more.txt", 3)
    assert alone.status_code == 409
    assert "Remove one first" in alone.json()["files"][0]["error"]["message"]


def test_names_are_plain_parts_of_a_path_and_told_apart() -> None:
    assert free_name("a.txt", {"a.txt", "a (2).txt"}) == "a (3).txt"
    for name in ("../../etc/passwd", "/etc/passwd", "..", "con.txt", "a\0b\n.txt", "报告" * 200 + ".pdf", ""):
        made = free_name(name, {})
        assert Path(made).name == made
        assert made not in ("", ".", "..")
        assert len(made.encode()) <= 200


def test_an_upload_that_breaks_off_or_brings_more_than_it_said_is_no_file(desk: Desk) -> None:
    conversation, ann = desk.begun(desk.ann), desk.at(desk.ann)
    (begun,) = desk.announce(desk.ann, conversation, "lease.txt", len(RENT)).json()["files"]
    content = f"{place(conversation, begun['id'])}/content"
    for wrong in (RENT.encode()[:9], RENT.encode() + b"x"):
        refused = ann.put(content, content=wrong)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, UploadBroken.code)
        assert desk.left()[1] == []
    assert ann.put(content, content=RENT.encode()).status_code == 200, "it can be sent again"
    desk.wait(desk.ann, conversation)
    again = ann.put(content, content=b"something else")
    assert again.status_code == 200, "who sends it again did not hear that it had come"
    assert desk.states(desk.ann, conversation) == {"lease.txt": "ready"}
    assert "84,000" in desk.asked(desk.ann, conversation)


def test_of_two_that_bring_the_same_file_the_later_takes_nothing_away(desk: Desk) -> None:
    conversation, attachments = desk.begun(desk.ann), desk.visitors.attachments
    (begun,) = desk.announce(desk.ann, conversation, "lease.txt", len(RENT)).json()["files"]
    both = [attachments.open(desk.ann.id, conversation, begun["id"]) for _ in range(2)]
    for incoming in both:
        assert incoming is not None
        incoming.write(RENT.encode())
        attachments.received(desk.ann.id, incoming)
        incoming.discard()
    desk.wait(desk.ann, conversation)
    assert desk.states(desk.ann, conversation) == {"lease.txt": "ready"}
    assert [path.name for path in desk.left()[1]] == ["lease.txt"]
    assert "84,000" in desk.asked(desk.ann, conversation)


def test_an_upload_of_which_nothing_comes_is_given_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    conversation = desk.begun(desk.ann)
    desk.announce(desk.ann, conversation, "lease.txt", len(RENT))
    assert desk.states(desk.ann, conversation) == {"lease.txt": "uploading"}
    monkeypatch.setattr("app.attachments.STALLED_SECONDS", 0.05)
    time.sleep(0.1)
    desk.at(desk.ann).get(f"{place(conversation)}?sending=true").raise_for_status()
    assert desk.states(desk.ann, conversation) == {"lease.txt": "uploading"}, "a proxy may hold it back from us"
    time.sleep(0.1)
    assert desk.states(desk.ann, conversation) == {"lease.txt": UploadBroken.code}


# --- the quota --------------------------------------------------------------------------------------------------------


@pytest.fixture
def tight(tmp_path: Path) -> Iterator[Desk]:
    """A server where each may keep one mebibyte."""
    settings = ServeSettings(upload_quota_mb=1)  # type: ignore[call-arg]
    with small_house(tmp_path, serve=settings) as (kb, people):
        made = Desk.over(kb, people, add(people, "Ann", "editor"), add(people, "Bob", "admin"))
        yield made
        made.visitors.attachments.close()


def test_over_the_quota_a_file_is_refused_with_what_is_used_until_something_is_deleted(tight: Desk) -> None:
    conversation = tight.begun(tight.ann)
    (first,) = tight.announce(tight.ann, conversation, "big.txt", 700_000).json()["files"]  # room is taken at once
    refused = tight.announce(tight.ann, conversation, "more.txt", 600_000)
    assert refused.status_code == 413
    error = refused.json()["files"][0]["error"]
    assert error["code"] == QuotaReached.code
    assert "take 0.7 of 1 MiB" in error["message"]
    assert "Delete documents" in error["message"]
    chinese = tight.announce(tight.ann, conversation, "more.txt", 600_000, "zh").json()["files"][0]["error"]["message"]
    assert "已占用 0.7 MiB" in chinese
    assert "more.txt" in chinese
    assert tight.announce(tight.bob, tight.begun(tight.bob), "his.txt", 600_000).status_code == 201, (
        "each has their own"
    )
    assert tight.at(tight.ann).delete(place(conversation, first["id"])).status_code == 200
    assert tight.announce(tight.ann, conversation, "more.txt", 600_000).status_code == 201


def test_uploads_to_collections_count_and_are_given_back(tight: Desk) -> None:
    quota = tight.visitors.attachments.quota
    uploads = Uploads(tight.data, max_mb=5, quota=quota)

    def upload(name: str, n_bytes: int) -> Path:
        received = uploads.incoming_of(tight.ann.id) / "hash" / name
        received.parent.mkdir(parents=True, exist_ok=True)
        received.write_bytes(b"x" * n_bytes)
        return uploads.keep(received, collection="house", person_id=tight.ann.id)

    upload("a.txt", 700_000)
    assert quota.used(tight.ann.id) == 700_000
    with pytest.raises(QuotaReached, match=r"b\.txt: .*0\.7 of 1 MiB"):
        upload("b.txt", 600_000)
    assert not list(uploads.incoming_of(tight.ann.id).rglob("b.txt")), "what was refused does not stay"
    upload("a.txt", 900_000)
    assert quota.used(tight.ann.id) == 900_000, "what is replaced does not count twice"
    assert tight.announce(tight.ann, tight.begun(tight.ann), "c.txt", 300_000).status_code == 413
    assert quota.used_by_all() == {tight.ann.id: 900_000}
    uploads.discard_failed("a.txt", collection="house")
    assert quota.used(tight.ann.id) == 0
    upload("d.txt", 10)
    uploads.discard_collection("house")
    assert quota.used_by_all() == {}
    assert not (tight.data / "uploads" / "house").exists()


def test_no_quota_is_any_amount_and_an_error_that_knows_no_numbers_is_told_too(desk: Desk) -> None:
    Quota(desk.people, quota_mb=0).require_room(desk.ann.id, 10**15)
    assert explain(QuotaReached("full"), "zh").startswith("您的上传空间已用完")


# --- in the pages -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str], KnowledgeBase]]:
    """The whole server: its address, the sessions of a reader and an administrator, and the knowledge base."""
    data = tmp_path_factory.mktemp("data")
    roles: dict[str, Role] = {"root": "admin", "rea": "reader"}
    settings = ServeSettings(upload_quota_mb=1)  # type: ignore[call-arg]
    with small_house(data, serve=settings) as (kb, people), served(kb, people) as address:
        persons = {name: add(people, name, role) for name, role in roles.items()}
        yield address, {name: Sessions(people, settings).create(person.id) for name, person in persons.items()}, kb


def test_documents_over_the_quota_are_refused_by_the_page_in_its_language(
    house: tuple[str, dict[str, str], Any],
) -> None:
    address, tokens, _ = house
    with httpx.Client(base_url=address, cookies={SESSION_COOKIE: tokens["root"]}, timeout=PATIENCE_SECONDS) as root:
        for language, said in (("en", "Your uploads take 0.0 of 1 MiB"), ("zh", "您的上传已占用 0.0 MiB")):
            sent = {"files": ("big.txt", b"x" * 1_100_000)}
            refused = root.post(f"/{language}/gradio_api/upload", files=sent)
            assert refused.status_code == 413
            assert refused.text.startswith(said)
        assert root.post("/en/gradio_api/upload", files={"files": ("small.txt", b"x")}).status_code == 200
        listed = root.get("/admin/people")
        assert "Uploads" in listed.text


@pytest.fixture
def page(house: tuple[str, dict[str, str], KnowledgeBase], browser: Browser) -> Iterator[Page]:
    """A browser in which somebody who only reads is signed in; it must say no error."""
    address, tokens, _ = house
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    sign_in(context, tokens["rea"], address)
    opened, errors = context.new_page(), []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto(address)
    expect(opened.locator(".welcome")).to_be_visible(timeout=PATIENCE_SECONDS * 1000)
    opened.wait_for_function(STREAM_ENDED)
    yield opened
    context.close()
    assert errors == []


@pytest.mark.browser
@pytest.mark.flaky(reruns=2)
def test_a_file_is_attached_asked_about_opened_and_removed(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, attach = threading.Event(), OwnKnowledgeBase.attach

    def slowly(self: OwnKnowledgeBase, path: Path, **how: Any) -> Any:
        assert gate.wait(PATIENCE_SECONDS)
        return attach(self, path, **how)

    monkeypatch.setattr(OwnKnowledgeBase, "attach", slowly)
    expect(page.locator("#question textarea")).to_be_focused()  # as each page begins
    with page.expect_file_chooser() as chosen:
        page.get_by_role("button", name="Attach files").press("Enter")
    sent: Any = [{"name": name, "mimeType": "text/plain", "buffer": said.encode()} for name, said in (
        ("lease.txt", RENT), ("nothing.txt", ""),
    )]  # fmt: skip
    chosen.value.set_files(sent)
    lease, nothing = (page.locator(".attachment", has_text=name) for name in ("lease.txt", "nothing.txt"))
    expect(nothing).to_contain_text("Check that it was saved in full")
    expect(lease).to_contain_text("Reading")
    expect(page).to_have_url(re.compile(r"\?c="))
    nothing.get_by_role("button", name="Remove nothing.txt").click()
    expect(nothing).to_have_count(0)

    page.locator("#question textarea").fill(QUESTION)
    page.keyboard.press("Enter")
    patience = PATIENCE_SECONDS * 1000
    expect(page.locator("#current .stage")).to_contain_text(
        "Reading lease.txt; your question is asked", timeout=patience
    )
    assert page.locator("#question textarea").input_value() == QUESTION, "nothing is lost with the page"
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#current .stage")).to_have_count(0)
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    page.keyboard.press("Tab")
    page.locator("#question textarea").press("Enter")
    expect(page.locator("#current .stage")).to_be_visible(timeout=patience)
    gate.set()
    expect(page.locator(".answer")).to_contain_text("84,000 EUR", timeout=patience)
    expect(lease).to_contain_text("Ready", timeout=patience)
    page.locator(".chip").first.click()
    expect(page.locator(".pane-text mark")).to_contain_text("CANARY-rent")
    page.keyboard.press("Escape")

    page.get_by_role("switch", name="Only these files").check()
    page.reload()
    expect(lease).to_contain_text("Ready", timeout=patience)
    expect(page.get_by_role("switch", name="Only these files")).to_be_checked()
    lease.get_by_role("button", name="Remove lease.txt").click()
    expect(lease).to_have_count(0, timeout=patience)
    expect(page.locator("#attachments")).to_be_hidden()
    page.locator(".chip").first.click()
    expect(page.locator(".pane-message")).to_have_text("This document has been deleted.")


@pytest.mark.browser
@pytest.mark.flaky(reruns=2)
def test_a_conversation_that_is_deleted_while_its_question_waits_for_a_file_stays_deleted(
    page: Page, house: tuple[str, dict[str, str], KnowledgeBase], monkeypatch: pytest.MonkeyPatch
) -> None:
    address, tokens, _ = house
    gate, attach, patience = threading.Event(), OwnKnowledgeBase.attach, PATIENCE_SECONDS * 1000

    def slowly(self: OwnKnowledgeBase, path: Path, **how: Any) -> Any:
        assert gate.wait(PATIENCE_SECONDS)
        return attach(self, path, **how)

    monkeypatch.setattr(OwnKnowledgeBase, "attach", slowly)
    sent: Any = {"name": "lease.txt", "mimeType": "text/plain", "buffer": RENT.encode()}
    page.locator("#attach-input").set_input_files(sent)
    expect(page.locator(".attachment", has_text="lease.txt")).to_contain_text("Reading", timeout=patience)
    page.locator("#question textarea").fill(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator("#current .stage")).to_be_visible(timeout=patience)
    conversation = f"/api/conversations/{page.url.partition('?c=')[2]}"
    with httpx.Client(base_url=address, cookies={SESSION_COOKIE: tokens["rea"]}, timeout=PATIENCE_SECONDS) as other:
        assert other.delete(conversation).status_code == 204
        gate.set()
        expect(page.locator(".toast-body")).to_contain_text("This conversation has been deleted", timeout=patience)
        expect(page.locator("#current .stage")).to_have_count(0)
        expect(page.get_by_role("button", name="Send")).to_be_visible()
        assert page.locator("#question textarea").input_value() == QUESTION
        assert other.get(f"{conversation}.md").status_code == 404


@pytest.mark.browser
@pytest.mark.flaky(reruns=2)
def test_files_are_dropped_on_the_chat_or_pasted_and_another_conversation_has_its_own(page: Page) -> None:
    brings = """([kind, target, name]) => {
      const data = new DataTransfer();
      data.items.add(new File(['The deposit is 7,000 EUR.'], name, { type: 'text/plain' }));
      const event = kind === 'paste'
        ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
        : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
      return document.querySelector(target).dispatchEvent(event);
    }"""
    assert not page.evaluate(brings, ["dragover", "#transcript", "a.txt"]), "the browser must not open the file itself"
    expect(page.locator("#chat")).to_have_class(re.compile("is-dropped-on"))
    page.evaluate(brings, ["drop", "#transcript", "dropped.txt"])
    page.evaluate(brings, ["paste", "#question textarea", "pasted.txt"])
    chips, patience = page.locator(".attachment.is-ready"), PATIENCE_SECONDS * 1000
    expect(chips).to_have_count(2, timeout=patience)
    assert sorted(page.locator(".attachment-name").all_inner_texts()) == ["dropped.txt", "pasted.txt"]
    page.locator("#history-pane [data-history='new']").click()
    expect(page.locator("#attachments")).to_be_hidden(timeout=patience)
    page.go_back()
    expect(chips).to_have_count(2, timeout=patience)
