"""Administration: collections, documents, people, the store, followed folders, models, settings and the log."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import get_args

import apsw
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.administration_texts import ADMINISTRATION_TEXTS
from app.catalogue import ROWS
from app.folders import Allowed, Folders
from app.jobs import Jobs
from app.knowledge_base import KnowledgeBase
from app.people.audit import Audit
from app.people.database import People
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.records import Person
from app.people.sessions import Sessions
from app.setting_texts import SETTING_TEXTS
from app.texts import LANGUAGES, say
from app.uploads import Uploads, safe_name
from app.web.administration.desk import ACTIONS, Office
from app.web.administration.routes import DESKS, administration_router, open_office
from app.web.administration.words import from_address, in_address, size
from app.web.forms import form_token
from app.web.visitors import Visitors
from core.errors import CitadelError, NotAllowed, StoreDamaged, UsageError
from core.settings import ServeSettings, setting_fields
from indexes import listing
from indexes.listing import ORDERS, Listed, Order
from indexes.store import Store
from ingest.reports import IngestReport
from tests.small_app import browser, entrances, small_house
from tests.small_people import add
from tests.small_store import ingestible, open_writer

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Guest:
    """A person with their browser and what their forms carry."""

    person: Person
    http: TestClient
    token: str

    def get(self, path: str, status: int = 200) -> str:
        """Return a page as it reads."""
        answered = self.http.get(path)
        assert answered.status_code == status, answered.text
        return unescape(answered.text)

    def send(self, path: str, form: str, status: int = 303, /, **fields: str | list[str]) -> str:
        """Send a form and return where it leads, or the page it comes back to."""
        sent: dict[str, str | list[str]] = {"form": form, "form_token": form_token(self.token), **fields}
        answered = self.http.post(path, data=sent)
        assert answered.status_code == status, answered.text
        return answered.headers["location"] if status == 303 else unescape(answered.text)


@dataclass(frozen=True)
class Place:
    """A server without the chat: an administrator, two editors and a reader."""

    kb: KnowledgeBase
    people: People
    office: Office
    app: FastAPI
    root: Guest
    ann: Guest
    bob: Guest
    rea: Guest

    def own(self, guest: Guest) -> OwnKnowledgeBase:
        return self.office.visitors.own(guest.person.id)

    def actions(self) -> list[str]:
        return [entry.action for entry in Audit(self.people).newest(self.root.person).items]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    data = tmp_path / "data"
    with small_house(data) as (kb, people):
        open_writer(data).close()
        app, visitors = entrances(kb, people)
        office = _office(kb, visitors)
        app.include_router(administration_router(office))
        persons = {
            "root": add(people, "Root", "admin"),
            "ann": add(people, "Ann", "editor"),
            "bob": add(people, "Bob", "editor"),
            "rea": add(people, "Rea", "reader"),
        }
        guests = {name: _guest(app, people, person) for name, person in persons.items()}
        yield Place(kb=kb, people=people, office=office, app=app, **guests)
        office.folders.close()
        office.jobs.close()


def _office(kb: KnowledgeBase, visitors: Visitors) -> Office:
    uploads = Uploads(kb.settings.data_dir, max_mb=1)
    return open_office(kb, visitors, uploads=uploads, jobs=Jobs(), folders_everywhere=True)


def _guest(app: FastAPI, people: People, person: Person) -> Guest:
    token = Sessions(people, ServeSettings()).create(person.id)
    http = browser(app)
    http.cookies.set("citadel_session", token)
    return Guest(person, http, token)


def _filled(place: Place, guest: Guest, label: str, files: Mapping[str, str]) -> tuple[str, str]:
    """Return name and address of a new collection with these uploads in it."""
    name = place.own(guest).create_collection(label)
    folder = place.kb.settings.data_dir.resolve() / "uploads" / safe_name(name)
    folder.mkdir(parents=True)
    for path, content in files.items():
        (folder / path).write_text(content, "utf-8")
    place.kb.ingest(folder, collection=name)
    return name, f"/collections/{in_address(name)}"


def _until_done(place: Place, guest: Guest) -> None:
    job = place.office.jobs.newest(guest.person.id)
    assert job is not None
    deadline = time.monotonic() + PATIENCE_SECONDS
    while job.state.running:
        assert time.monotonic() < deadline, job.state
        time.sleep(0.02)


# --- lists of any length ----------------------------------------------------------------------------------------------


def plan(connection: apsw.Connection, query: str, bindings: tuple[object, ...]) -> str:
    return "\n".join(str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", bindings))


@pytest.mark.parametrize("order", ORDERS)
def test_a_page_of_documents_is_read_through_an_index_and_never_sorted(tmp_path: Path, order: Order) -> None:
    told: list[str] = []
    with open_writer(tmp_path) as store:
        store.put([ingestible("a.txt", "one"), ingestible("b.txt", "two")], collection="default")
        connection = store._reader()
        connection.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: told.append(event["sql"]))
        assert len(store.list_sources(Listed(collection="default", order=order), limit=ROWS)) == 2
        connection.trace_v2(0, None)
        (query,) = told
        found = plan(connection, query, ("default", ROWS, 0))
    assert re.search(r"SEARCH s USING INDEX \S+ \(collection=\?\)", found), found
    assert "TEMP B-TREE" not in found
    assert "SCAN s" not in found


def test_sums_and_counts_are_read_from_indexes_alone(tmp_path: Path) -> None:
    with open_writer(tmp_path) as store:
        store.put([ingestible("a.txt", "one"), ingestible("b.txt", "two")], collection="default")
        connection = store._reader()
        sums = plan(connection, listing.SUMS, ())
        where, bindings = listing._condition(Listed(collection="default"))
        counted = plan(connection, f"SELECT count(*) FROM sources AS s {where}", tuple(bindings))
        (collection,) = store.collections()
    assert "SEARCH s USING COVERING INDEX sources_by_size (collection=?)" in sums, sums
    assert "SCAN f" not in sums
    assert "USING COVERING INDEX" in counted, counted
    assert (collection.n_sources, collection.n_chunks, collection.size_bytes) == (2, 2, 6)


def test_a_page_of_passages_is_read_through_an_index(tmp_path: Path) -> None:
    told: list[str] = []
    with open_writer(tmp_path) as store:
        store.put([ingestible("a.txt", "one", "two", "three")], collection="default")
        (source,) = store.sources(collection="default").values()
        connection = store._reader()
        connection.trace_v2(apsw.SQLITE_TRACE_STMT, lambda event: told.append(event["sql"]))
        assert [chunk.text for chunk in store.list_chunks(source.source_id, limit=2, offset=1)] == ["two", "three"]
        connection.trace_v2(0, None)
        found = plan(connection, told[0], (source.source_id, 2, 1))
    assert "SEARCH k USING INDEX chunks_of_source (source=?)" in found, found
    assert "TEMP B-TREE" not in found


def test_a_list_comes_in_each_order_and_finds_words_in_names_and_titles(tmp_path: Path) -> None:
    with open_writer(tmp_path) as store:
        store.put([ingestible("b.txt", "x" * 50)], collection="default")
        store.put([ingestible("a_1.txt", "one", "two", "three"), ingestible("手册.txt", "y")], collection="default")
        found: dict[Order, list[str]] = {
            order: [s.path for s in store.list_sources(Listed(collection="default", order=order), limit=9)]
            for order in ORDERS
        }
        assert found["path"] == ["a_1.txt", "b.txt", "手册.txt"]
        assert found["newest"][-1] == "b.txt"
        assert found["largest"][0] == "b.txt"
        assert found["most_chunks"][0] == "a_1.txt"
        for words, wanted in ((("A_1",), 1), (("手册",), 1), (("a%1",), 0), (("_",), 1), (("txt", "b"), 1)):
            assert store.count_sources(Listed(collection="default", words=words)) == wanted, words
        assert store.count_sources(Listed(collection="other")) == 0
        store.put([ingestible("Übersicht ΝΕΑ.txt", "z", collection="letters")], collection="letters")
        for word in ("übersicht", "ÜBERSICHT", "Über", "νεα"):
            assert store.count_sources(Listed(collection="letters", words=(word,))) == 1, word


# --- who sees what ----------------------------------------------------------------------------------------------------


def addresses(place: Place, name: str, source_id: str) -> list[str]:
    filled = {"name": in_address(name), "source_id": source_id, "person_id": place.ann.person.id}
    return [re.sub(r"\{(\w+)\}", lambda match: filled[match[1]], path) for path, _ in DESKS]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_page_opens_for_an_administrator_in_both_languages(place: Place, language: str) -> None:
    name, _ = _filled(place, place.ann, "Plans & <b>", {"a.txt": "The yearly rent is 84,000 EUR.", "bad.txt": ""})
    source = place.own(place.ann).documents()[0]
    for address in [*addresses(place, name, source.source_id), f"/collections/{in_address(name)}?failed"]:
        answered = place.root.http.get(address, params={"lang": language})
        assert answered.status_code == 200, address
        if address.endswith("/original"):
            continue
        assert f'<html lang="{"zh-CN" if language == "zh" else "en"}">' in answered.text
        assert "<b>" not in answered.text, "a name is text"
        assert "connect-src 'self'" in answered.headers["content-security-policy"]
        assert not re.search(r"<script(?! src=)|<[^>]+ style=|<[^>]+ on\w+=", answered.text), "nothing is inline"
        assert len(re.findall(r"aria-current", answered.text)) >= 1, f"{address} marks no place in the bar"


def test_pages_of_administration_are_not_there_for_others(place: Place) -> None:
    nowhere = place.ann.get("/admin/nowhere", 404)
    for address in ("/admin/people", f"/admin/people/{place.bob.person.id}", "/admin/groups", "/admin/storage",
                    "/admin/folders", "/admin/models", "/admin/settings", "/admin/audit"):  # fmt: skip
        for guest in (place.ann, place.rea):
            page = guest.get(address, 404)
            assert "Root" not in page
        assert place.ann.get(address, 404).replace(address, "") == nowhere.replace("/admin/nowhere", "")
        refused = place.ann.send(address, "invite", 404, role="admin")
        assert "invitation/" not in refused
    assert place.office.visitors.invitations.open() == []


def test_a_collection_of_others_reads_like_one_that_never_was(place: Place) -> None:
    name, address = _filled(place, place.ann, "Plans", {"a.txt": "The yearly rent is 84,000 EUR."})
    source_id = place.own(place.ann).documents()[0].source_id
    for inside in ("", "/sharing", f"/documents/{source_id}", f"/documents/{source_id}/original"):
        for guest in (place.bob, place.rea):
            seen, never = guest.http.get(address + inside), guest.http.get("/collections/never" + inside)
            assert (seen.status_code, never.status_code) == (404, 404)
            assert seen.text == never.text.replace("/collections/never", address)
        for form in ("again", "delete", "retry", "forget", "cancel", "rename", "grant", "publish", "transfer"):
            sent = place.bob.http.post(
                address + inside, data={"form": form, "form_token": form_token(place.bob.token), "document": source_id}
            )
            assert sent.status_code == 404, (inside, form)
    assert "Plans" not in place.bob.get("/collections/")
    assert place.own(place.ann).documents(), "nothing was done"
    assert name in place.own(place.root).collections()


def test_who_only_reads_sees_a_collection_and_changes_nothing(place: Place) -> None:
    name, address = _filled(place, place.ann, "Plans", {"a.txt": "The yearly rent is 84,000 EUR.", "bad.txt": ""})
    place.own(place.ann).sharing.publish(name)
    source_id = place.own(place.ann).documents()[0].source_id
    page = place.rea.get(address)
    assert "a.txt" in page
    assert "bad.txt" not in place.rea.get(f"{address}?failed")
    assert 'value="delete"' not in page
    assert "New collection" not in place.rea.get("/collections/")
    for form in ("again", "delete", "retry"):
        place.rea.send(address, form, 403, document=source_id, sure="yes")
    place.rea.send(f"{address}/documents/{source_id}", "delete", 403)
    assert "You may not make collections" in place.rea.send("/collections/", "make", 403, label="Mine")
    assert place.rea.get(f"{address}/sharing", 403)
    assert len(place.own(place.ann).documents()) == 1


def test_no_form_is_taken_without_its_token(place: Place) -> None:
    name, _ = _filled(place, place.ann, "Plans", {"a.txt": "The yearly rent is 84,000 EUR."})
    source_id = place.own(place.ann).documents()[0].source_id
    for (_, desk), address in zip(DESKS, addresses(place, name, source_id), strict=True):
        for form in desk.deeds():
            for token in ("", form_token(place.ann.token)):
                sent = place.root.http.post(address, data={"form": form, "form_token": token, "sure": "yes"})
                assert sent.status_code == 403, (address, form)
    assert place.actions() == []
    broken = place.root.http.post("/collections/", content=b"{}", headers={"content-type": "application/json"})
    assert broken.status_code == 400


def test_nobody_is_led_to_where_one_signs_in(place: Place) -> None:
    answered = browser(place.app).get("/collections/")
    assert (answered.status_code, answered.headers["location"]) == (303, "/sign-in?next=/collections/")


# --- collections ------------------------------------------------------------------------------------------------------


def test_a_collection_is_made_named_shared_handed_over_and_deleted(place: Place) -> None:
    assert "1 to 60" in place.ann.send("/collections/", "make", 400, label=" ")
    address = place.ann.send("/collections/", "make", label="Plans").partition("?")[0]
    name = from_address(address.removeprefix("/collections/").replace("%7E", "~"))
    sharing = f"{address}/sharing"
    place.ann.send(sharing, "rename", label="Rents")
    place.ann.send(sharing, "grant", whom=f"person:{place.bob.person.id}", level="write")
    assert "Rents" in place.bob.get("/collections/")
    assert place.own(place.bob).access.right(name) == "write"
    place.ann.send(sharing, "revoke", whom=f"person:{place.bob.person.id}")
    assert place.own(place.bob).access.right(name) is None
    group = place.office.groups.add("Finance")
    place.office.groups.join(group.id, place.rea.person.id)
    place.ann.send(sharing, "grant", whom=f"group:{group.id}", level="read")
    assert place.own(place.rea).access.right(name) == "read"
    place.ann.send(sharing, "publish", public="yes")
    assert place.own(place.bob).access.right(name) == "read"
    place.ann.send(sharing, "publish", public="no")
    for whom in ("", "person:", "person:nobody", "root"):
        assert place.ann.http.post(
            sharing, data={"form": "grant", "form_token": form_token(place.ann.token), "whom": whom, "level": "read"}
        ).status_code in (400, 404)
    assert place.ann.send(sharing, "transfer", owner=place.bob.person.id).startswith("/collections/?")
    assert place.own(place.ann).access.right(name) is None
    assert "not the collection's name" in place.bob.send(sharing, "delete", 400, typed="Plans")
    place.bob.send(sharing, "delete", typed="Rents")
    assert place.own(place.root).collections() == []
    assert {
        "collection_created", "collection_renamed", "collection_shared", "collection_transferred", "collection_deleted",
    } <= set(place.actions())  # fmt: skip


@pytest.mark.parametrize("name", ["plans", "a/b", "a!2Fb", "100%", "..", "?x=1#y", "员工手册", "a b+c~1"])
def test_any_name_of_a_collection_has_an_address(place: Place, name: str) -> None:
    place.own(place.root).create_collection(name)
    assert f"<h1>{name}" in place.root.get(f"/collections/{in_address(name)}")


# --- documents --------------------------------------------------------------------------------------------------------


def test_documents_are_chosen_read_again_and_deleted_when_it_is_sure(place: Place) -> None:
    _, address = _filled(place, place.ann, "Plans", {"a.txt": "Rent is due.", "b.txt": "Tea is hot.", "c.txt": "Snow."})
    documents = {source.path: source for source in place.own(place.ann).documents()}
    page = place.ann.get(f"{address}?find=b.t")
    assert "b.txt" in page
    assert "a.txt" not in page
    assert "Nothing matches" in place.ann.get(f"{address}?find=zzz")
    chosen = [documents["a.txt"].source_id, documents["b.txt"].source_id]
    assert "no document was chosen" in place.ann.send(address, "again", 400).lower()
    place.ann.send(address, "again", document=chosen)
    _until_done(place, place.ann)
    job = place.office.jobs.newest(place.ann.person.id)
    assert job is not None
    assert [report.status for report in job.state.reports] == ["replaced", "replaced"]
    assert "2 of 2 files" in place.ann.get(address)
    sure = place.ann.send(address, "delete", 200, document=chosen)
    assert "Delete 2 documents" in sure
    assert len(place.own(place.ann).documents()) == 3
    place.ann.send(address, "delete", document=chosen, sure="yes")
    assert [source.path for source in place.own(place.ann).documents()] == ["c.txt"]
    assert not Path(documents["a.txt"].location).exists(), "an upload goes with its document"
    assert place.actions().count("document_deleted") == 2


def test_an_editor_has_only_uploads_read_again(place: Place, tmp_path: Path) -> None:
    name, address = _filled(place, place.ann, "Plans", {})
    (tmp_path / "outside.txt").write_text("Rent is due.", "utf-8")
    place.kb.ingest(tmp_path / "outside.txt", collection=name)
    source_id = place.own(place.ann).documents()[0].source_id
    assert "may not have this file read again" in place.ann.send(address, "again", 403, document=source_id)
    place.root.send(address, "again", document=source_id)
    _until_done(place, place.root)


def test_failures_outlive_a_restart_and_end_when_the_file_is_mended_or_gone(tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "bad.pdf").write_bytes(b"%PDF-1.4 broken")
    (files / "empty.txt").touch()
    (files / "good.txt").write_text("Rent is due.", "utf-8")
    with small_house(tmp_path / "data") as (kb, _):
        kb.ingest(files, collection="default")
    with small_house(tmp_path / "data") as (kb, people):
        app, visitors = entrances(kb, people)
        app.include_router(administration_router(_office(kb, visitors)))
        root = _guest(app, people, add(people, "Root", "admin"))
        page = root.get("/collections/default?failed")
        assert "bad.pdf" in page
        assert "has no bytes" in page.lower()
        assert say("collections.failed", "en", n=2) in root.get("/collections/")
        chinese = unescape(root.http.get("/collections/default?failed&lang=zh").text)
        assert "文件为空。请确认文件已完整保存。" in chinese
        (files / "empty.txt").write_text("Not any more.", "utf-8")
        root.send("/collections/default?failed", "retry")
        (files / "bad.pdf").unlink()
        kb.ingest(files, collection="default")
        assert kb.services.store.failures(collection="default") == {}


def test_a_failure_is_forgotten_with_its_path_its_collection_or_on_request(tmp_path: Path) -> None:
    def failed(kb: KnowledgeBase) -> set[str]:
        return set(kb.services.store.failures(collection="default"))

    bad = tmp_path / "files" / "bad.txt"
    bad.parent.mkdir()
    bad.touch()
    with small_house(tmp_path / "data") as (kb, _):
        assert kb.ingest(bad.parent, collection="default").counts["failed"] == 1
        assert failed(kb) == {"bad.txt"}
        kb.forget_failures(["bad.txt"], collection="default")
        assert failed(kb) == set()
        kb.ingest(bad.parent, collection="default")
        kb.delete_collection("default")
        kb.ingest(tmp_path / "never", collection="default")
        assert failed(kb) == set(), "a path of the server that is not there is told to whoever asked, and kept nowhere"


def test_files_that_failed_to_be_read_once_are_mended_without_a_change(tmp_path: Path) -> None:
    """A file whose rights were lost and given back is unchanged, and must not stay on the list for ever."""
    good = tmp_path / "good.txt"
    good.write_text("Rent is due.", "utf-8")
    with small_house(tmp_path / "data") as (kb, _):
        kb.ingest(good, collection="default")
        (source,) = kb.documents()
        with Store.open(kb.settings.data_dir, writer=True) as writer:
            lost = CitadelError("cannot be read")
            writer.note_failures([_failure("good.txt", source.location, lost)], collection="default")
        assert kb.ingest(good, collection="default").counts["unchanged"] == 1
        assert kb.services.store.failures(collection="default") == {}


def _failure(path: str, location: str, error: CitadelError) -> listing.StoredFailure:
    return listing.StoredFailure(path=path, location=location, code=error.code, error=str(error), at=1.0)


def test_a_document_shows_its_facts_and_its_passages_in_parts(place: Place) -> None:
    place.own(place.root).create_collection("long")
    locators = [{"page": i + 1, "headings": ("Rules", f"Rule {i + 1}")} for i in range(ROWS + 5)]
    made = ingestible(
        "rules.pdf", *(f"Rule number {i + 1}." for i in range(ROWS + 5)), collection="long",
        media_type="application/pdf", context="Rules of the house", locators=locators,
    )  # fmt: skip
    with open_writer(place.kb.settings.data_dir) as writer:
        writer.put([made], collection="long")
    (source,) = place.own(place.root).documents(collection="long")
    address = f"/collections/long/documents/{source.source_id}"
    first, second = place.root.get(address), place.root.get(f"{address}?page=2")
    assert "Rule number 1." in first
    assert f"1–{ROWS} of {ROWS + 5}" in first
    assert "Rules › Rule 1" in first
    assert "Rules of the house" in first
    assert f"Passage {ROWS + 1}" in second
    assert f"Rule number {ROWS + 5}." in second
    assert f"Rule number {ROWS}." not in second
    assert place.root.get(f"{address}?page=999") == second.replace("?lang=zh&page=2", "?lang=zh&page=999")
    assert place.root.get("/collections/other/documents/" + source.source_id, 404)


def test_an_original_is_sent_to_be_kept_as_long_as_it_is_what_was_read(place: Place) -> None:
    name, address = _filled(place, place.ann, "Plans", {"租约 1.txt": "<script>alert(1)</script> Rent is due."})
    (source,) = place.own(place.ann).documents()
    path = f"{address}/documents/{source.source_id}/original"
    sent = place.ann.http.get(path)
    assert sent.text == "<script>alert(1)</script> Rent is due."
    assert sent.headers["content-type"] == "application/octet-stream"
    assert sent.headers["content-disposition"].startswith("attachment; ")
    assert "filename*=UTF-8''%E7%A7%9F" in sent.headers["content-disposition"]
    assert "sandbox" in sent.headers["content-security-policy"]
    place.own(place.ann).sharing.publish(name)
    assert place.rea.http.get(path).status_code == 200
    Path(source.location).write_text("<script>alert(2)</script> Rent is due.", "utf-8")
    assert "changed since it was read" in place.ann.get(path, 410)


# --- people -----------------------------------------------------------------------------------------------------------


def test_an_invitation_is_shown_once_works_and_can_be_withdrawn(place: Place) -> None:
    page = place.root.send("/admin/people", "invite", 200, role="editor")
    (link,) = set(re.findall(r'value="(http://127\.0\.0\.1:7860/invitation/[\w-]+)"', page))
    assert browser(place.app).get(link.removeprefix("http://127.0.0.1:7860")).status_code == 303
    again = place.root.get("/admin/people")
    assert link not in again
    assert "for a new editor" in again
    (invitation,) = place.office.visitors.invitations.open()
    place.root.send("/admin/people", "withdraw", invitation=invitation.id)
    assert browser(place.app).get(link.removeprefix("http://127.0.0.1:7860")).status_code == 410
    assert {"person_invited", "invitation_withdrawn"} <= set(place.actions())
    assert "cannot be chosen" in place.root.send("/admin/people", "invite", 400, role="owner")


def test_a_persons_role_groups_password_sessions_and_end_are_decided(place: Place) -> None:
    bob, here = place.bob.person, f"/admin/people/{place.bob.person.id}"
    accounts, group = place.office.visitors.accounts, place.office.groups.add("Finance")
    place.root.send(here, "role", role="reader")
    assert accounts.get(bob.id).role == "reader"
    place.root.send(here, "groups", group=group.id)
    assert place.office.groups.get(group.id).members == (bob.id,)
    place.root.send(here, "groups")
    assert place.office.groups.get(group.id).members == ()
    assert "/invitation/" in place.root.send(here, "reset", 200)
    (session,) = place.office.visitors.sessions.of(bob.id)
    assert "Firefox on Linux" in place.root.get(here) or session.user_agent == ""
    place.root.send(here, "session", session=session.id)
    assert place.office.visitors.sessions.of(bob.id) == []
    place.root.send(here, "disable")
    assert accounts.get(bob.id).disabled
    place.root.send(here, "enable")
    assert not accounts.get(bob.id).disabled
    assert "not the person's name" in place.root.send(here, "delete", 400, typed="bob")
    place.root.send(here, "delete", typed="Bob")
    assert bob.id not in {one.id for one in accounts.all()}
    assert place.root.get(here, 404)
    assert {
        "role_changed", "group_changed", "reset_offered", "session_revoked", "person_disabled", "person_enabled",
        "person_deleted",
    } <= set(place.actions())  # fmt: skip


def test_nobody_locks_themselves_out_by_mistake(place: Place) -> None:
    here = f"/admin/people/{place.root.person.id}"
    for form in ("disable", "delete"):
        assert "your own account" in place.root.send(here, form, 403, typed="Root")
    with place.people.writing() as connection:
        connection.execute("UPDATE persons SET password = 'x' WHERE id = ?", (place.root.person.id,))
    assert "Nobody would be left who can administer" in place.root.send(here, "role", 409, role="reader")


def test_groups_are_made_filled_named_and_deleted(place: Place) -> None:
    place.root.send("/admin/groups", "add", name="Finance")
    assert "name is taken" in place.root.send("/admin/groups", "add", 409, name=" FINANCE ")
    (group,) = place.office.groups.all()
    assert "no such person" in place.root.send("/admin/groups", "join", 404, group=group.id, name="Nobody")
    place.root.send("/admin/groups", "join", group=group.id, name=place.rea.person.name.upper())
    assert "1 member" in place.root.get("/admin/groups")
    place.root.send("/admin/groups", "leave", group=group.id, person=place.rea.person.id)
    place.root.send("/admin/groups", "rename", group=group.id, name="Accounting")
    assert "not the group's name" in place.root.send("/admin/groups", "delete", 400, group=group.id, typed="Finance")
    place.root.send("/admin/groups", "delete", group=group.id, typed="Accounting")
    assert place.office.groups.all() == []
    assert set(place.actions()) == {"group_changed"}


def test_many_people_come_in_pages_and_are_found_by_name(place: Place) -> None:
    for i in range(ROWS):
        add(place.people, f"Guest {i:03}")
    page = place.root.get("/admin/people")
    assert f"1–{ROWS} of {ROWS + 4}" in page
    assert "Rea" not in page
    assert "Rea" in place.root.get("/admin/people?page=2")
    found = place.root.get("/admin/people?find=guest+007")
    assert "Guest 007" in found
    assert "Guest 008" not in found


# --- the store --------------------------------------------------------------------------------------------------------


def test_upkeep_checks_rebuilds_and_scrubs_and_says_what_came_of_it(place: Place) -> None:
    name, _ = _filled(place, place.ann, "Plans", {"a.txt": "The yearly rent is 84,000 EUR.", "b.txt": "CANARY"})
    for kind, said in (("verify", "All is sound."), ("rebuild", "2 passages are indexed.")):
        place.root.send("/admin/storage", "upkeep", kind=kind)
        place.office.upkeep.wait(PATIENCE_SECONDS)
        assert said in place.root.get("/admin/storage")
    place.own(place.ann).delete("b.txt", collection=name)
    place.root.send("/admin/storage", "upkeep", kind="purge")
    place.office.upkeep.wait(PATIENCE_SECONDS)
    assert "were freed" in place.root.get("/admin/storage")
    assert b"CANARY" not in b"".join(path.read_bytes() for path in place.kb.settings.data_dir.glob("citadel.db*"))
    with apsw.Connection(str(place.kb.settings.data_dir / "citadel.db")) as connection:
        connection.execute("UPDATE chunks SET text = 'forged'")
    place.root.send("/admin/storage", "upkeep", kind="verify")
    place.office.upkeep.wait(PATIENCE_SECONDS)
    page = place.root.get("/admin/storage")
    assert "problem" in page
    assert "a.txt" in page
    assert "cannot be chosen" in place.root.send("/admin/storage", "upkeep", 400, kind="drop")
    assert {"store_purged", "store_verified", "store_rebuilt"} <= set(place.actions())


def test_what_goes_wrong_in_upkeep_is_said_and_only_one_runs(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(place.kb.settings.data_dir, writer=True):
        place.root.send("/admin/storage", "upkeep", kind="rebuild")
        place.office.upkeep.wait(PATIENCE_SECONDS)
    page = place.root.get("/admin/storage")
    assert 'role="alert"' in page
    state = place.office.upkeep.states()["rebuild"]
    assert state.error is not None
    assert state.error.code == "store_locked"
    with place.kb._writing:  # a rebuild waits for an ingest of this process
        place.root.send("/admin/storage", "upkeep", kind="verify")
        place.office.upkeep.wait(PATIENCE_SECONDS)
    monkeypatch.setattr(place.kb, "verify", lambda **_: time.sleep(0.5) or [])
    place.root.send("/admin/storage", "upkeep", kind="verify")
    assert "being worked on" in place.root.send("/admin/storage", "upkeep", 409, kind="purge")
    place.office.upkeep.wait(PATIENCE_SECONDS)


# --- folders ----------------------------------------------------------------------------------------------------------


def _looked(folders: Folders) -> None:
    """Let every look that is due begin, and end."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    folders.tick(time.time())
    while any(folders.job(folder.id) for folder in folders.all()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
        folders.tick(time.time())


def test_a_folder_is_kept_in_step_with_a_collection_after_a_restart_too(place: Place, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "a.txt").write_text("Rent is due.", "utf-8")
    (files / "empty.txt").touch()
    place.own(place.root).create_collection("rents")
    place.root.send("/admin/folders", "add", path=str(files), collection="rents")
    _looked(place.office.folders)
    page = place.root.get("/admin/folders")
    assert "Added 1" in page
    assert "Failed 1" in page
    assert [source.path for source in place.own(place.root).documents(collection="rents")] == ["a.txt"]
    place.office.folders.close()

    (files / "a.txt").unlink()
    (files / "b.txt").write_text("Tea is hot.", "utf-8")
    office = _office(place.kb, place.office.visitors)
    (folder,) = office.folders.all()
    assert folder.last is not None
    office.folders.look(folder.id)
    _looked(office.folders)
    assert [source.path for source in place.own(place.root).documents(collection="rents")] == ["b.txt"]
    office.folders.close()


def test_a_folder_is_switched_off_and_removed_and_its_documents_stay(place: Place, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "a.txt").write_text("Rent is due.", "utf-8")
    place.own(place.root).create_collection("rents")
    place.root.send("/admin/folders", "add", path=str(files), collection="rents")
    _looked(place.office.folders)
    (folder,) = place.office.folders.all()
    assert "followed already" in place.root.send("/admin/folders", "add", 409, path=str(files), collection="rents")
    place.root.send("/admin/folders", "off", folder=folder.id)
    (files / "b.txt").write_text("Tea is hot.", "utf-8")
    place.office.folders.tick(time.time() + 1e6)
    assert place.office.folders.job(folder.id) is None
    place.root.send("/admin/folders", "on", folder=folder.id)
    place.root.send("/admin/folders", "remove", folder=folder.id)
    assert place.office.folders.all() == []
    assert place.own(place.root).documents(collection="rents")
    assert "no such" not in place.root.get("/admin/folders")
    assert place.root.send("/admin/folders", "look", 404, folder=folder.id)
    assert {"folder_added", "folder_changed", "folder_removed"} <= set(place.actions())


def test_a_look_never_makes_a_deleted_collection_again(place: Place, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    place.own(place.root).create_collection("rents")
    place.root.send("/admin/folders", "add", path=str(files), collection="rents")
    _looked(place.office.folders)
    place.own(place.root).delete_collection("rents")
    place.office.folders.tick(time.time() + 1e6)
    (folder,) = place.office.folders.all()
    assert not folder.on
    assert place.own(place.root).collections() == []
    assert "no such collection" in place.root.get("/admin/folders").lower()


def test_the_path_of_a_followed_folder_is_told_to_administrators_alone(place: Place, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    name = place.own(place.ann).create_collection("rents")
    place.root.send("/admin/folders", "add", path=str(files), collection=name)
    _looked(place.office.folders)
    address = f"/collections/{in_address(name)}"
    assert str(files) in place.root.get(f"{address}/sharing")
    for page in (address, f"{address}?failed", f"{address}/sharing"):
        assert str(tmp_path) not in place.ann.get(page)
    files.rmdir()
    place.office.folders.look(place.office.folders.all()[0].id)
    _looked(place.office.folders)
    assert str(tmp_path) not in place.ann.get(f"{address}?failed")


def test_only_folders_that_may_be_read_are_followed(tmp_path: Path) -> None:
    data, inside, outside = tmp_path / "data", tmp_path / "shared" / "x", tmp_path / "private"
    for folder in (data, inside, outside):
        folder.mkdir(parents=True)
    (tmp_path / "shared" / "out").symlink_to(outside)
    allowed = Allowed(everywhere=False, roots=[tmp_path / "shared"], data_dir=data)
    assert allowed.checked(f" {inside} ") == inside.resolve()
    for path in (outside, tmp_path / "shared" / ".." / "private", tmp_path / "shared" / "out"):
        with pytest.raises(NotAllowed):
            allowed.checked(str(path))
    everywhere = Allowed(everywhere=True, roots=[], data_dir=data)
    for wrong in ("", "relative", str(tmp_path / "never"), str(data / "uploads"), str(tmp_path)):
        with pytest.raises(UsageError):
            everywhere.checked(wrong)


class _Idle:
    """Ingests nothing."""

    def ingest(self, *_: object, **__: object) -> IngestReport:
        return IngestReport(files=(), seconds=0.0)


def test_a_damaged_list_of_folders_is_named(tmp_path: Path) -> None:
    (tmp_path / "folders.json").write_text('[{"id": 1}]', "utf-8")
    allowed = Allowed(everywhere=True, roots=[], data_dir=tmp_path)
    with pytest.raises(StoreDamaged, match=r"folders\.json"):
        Folders(tmp_path, allowed=allowed, into=_Idle(), has_collection=lambda name: True, minutes=5)


# --- the log, the settings and the models -----------------------------------------------------------------------------


def test_the_log_is_shown_in_parts_and_by_person_and_action(place: Place) -> None:
    audit = Audit(place.people)
    for _ in range(ROWS + 3):
        audit.note("signed_in", person=place.ann.person, address="192.0.2.7")
    audit.note("role_changed", person=place.root.person, target=place.bob.person.id)
    page = place.root.get("/admin/audit")
    assert "changed a role" in page
    assert "192.0.2.7" in page
    assert re.search(r"changed a role</td>\s*<td[^>]*>Bob</td>", page), "a target is called by its name"
    (older,) = set(re.findall(r'href="(\?[^"]*after=\d+)"', page))
    assert place.root.get(f"/admin/audit{older}").count("<tr>") == 5
    only = place.root.get(f"/admin/audit?who={place.root.person.id}&what=role_changed")
    assert only.count("<tr>") == 2
    assert "No entry matches" in place.root.get("/admin/audit?what=store_purged")
    assert place.root.get("/admin/audit?after=x", 400)


def test_every_setting_is_shown_with_value_origin_and_meaning_and_no_secret(tmp_path: Path) -> None:
    with small_house(tmp_path / "data") as (kb, people):
        generator = kb.settings.generator.model_copy(update={"api_key": "CANARY"})
        kb.services.settings = kb.settings.model_copy(update={"generator": generator})
        kb.origins = {"generator.api_key": "CITADEL_GENERATOR_API_KEY"}
        app, visitors = entrances(kb, people)
        app.include_router(administration_router(_office(kb, visitors)))
        root = _guest(app, people, add(people, "Root", "admin"))
        page, chinese = root.get("/admin/settings"), root.get("/admin/settings?lang=zh")
    for name, field in setting_fields().items():
        assert f"<code>{name}</code>" in page
        assert field.description in page
        assert SETTING_TEXTS[name] in chinese
    assert "CANARY" not in page
    assert "CITADEL_GENERATOR_API_KEY" in page
    assert set(SETTING_TEXTS) == set(setting_fields())


def test_models_say_what_they_are_and_which_are_in_use(place: Place, tmp_path: Path) -> None:
    broken = place.kb.settings.data_dir / "training" / "mine"
    broken.mkdir(parents=True)
    (broken / "manifest.json").write_text("{}", "utf-8")
    page = place.root.get("/admin/models")
    assert "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53" in page
    assert "in use: embedder" in page
    assert "not fetched" in page
    assert page.count("comes with Citadel") == 2
    assert "training/mine" in page
    assert "malformed" in page
    assert 'reader.model = "default"' in page


# --- texts ------------------------------------------------------------------------------------------------------------


def test_every_action_of_the_log_and_every_done_has_its_words() -> None:
    for action in ACTIONS:
        assert f"action.{action}" in ADMINISTRATION_TEXTS
    folder = Path(__file__).parent.parent / "app" / "web" / "administration"
    written = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    named = set(re.findall(r'(?:visit\.done\(\s*|\bdone=)"(\w+)"', written)) | {
        "published",
        "unpublished",
        "folder_on",
        "folder_off",
    }
    assert named == {key.removeprefix("done.") for key in ADMINISTRATION_TEXTS if key.startswith("done.")}


@pytest.mark.parametrize(
    ("n_bytes", "said"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (98_362_432, "98.4 MB"),
        (2.5e11, "250 GB"),
        (3e15, "3,000 TB"),
    ],
)
def test_sizes_are_said_in_the_unit_that_fits(n_bytes: float, said: str) -> None:
    assert size(n_bytes) == said


def test_all_orders_are_offered_and_named() -> None:
    assert set(ORDERS) == set(get_args(Order))
    assert {f"order.{order}" for order in ORDERS} <= set(ADMINISTRATION_TEXTS)
