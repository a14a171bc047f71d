"""Two people at one server: whatever one of them reads, writes, listens to or sends, the other never comes near it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Mount
from starlette.types import Receive, Scope, Send

from app.knowledge_base import KnowledgeBase
from app.people.database import People
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.records import Person, Role
from app.people.sessions import Sessions
from app.security import SESSION_COOKIE
from app.server import create_app
from app.uploads import Uploads
from app.web.gradio_doors import Claims, EventPace, GradioDoors, door_of
from benchmarks.serving import running
from core.interfaces import Ingestible
from core.settings import ServeSettings
from tests.small_app import small_house
from tests.small_pdf import Page, pdf_bytes, text
from tests.small_people import add
from tests.small_store import ingestible, open_writer

QUESTION = "How high is the yearly rent?"
WAIT_SECONDS = 60
# What answers nobody; every other route must ask who is there.
PUBLIC = {
    "/healthz", "/favicon.ico", "/manifest.json",
    "/sign-in", "/welcome", "/join/{token}", "/reset/{token}", "/invitation/{token}",
    *(f"/{language}{path}" for language in ("en", "zh") for path in (
        "/assets/{path:path}", "/static/{path:path}", "/svelte/{path:path}", "/theme.css", "/gradio_api/theme.css",
        "/favicon.ico", "/manifest.json",
    )),
}  # fmt: skip


def words_of(name: str) -> str:
    return f"The yearly rent is 84,000 EUR, and CANARY-{name} is the code of the safe."


@dataclass(frozen=True)
class Visitor:
    """A person at a browser: their requests, and what they have."""

    person: Person
    http: httpx.Client
    own: OwnKnowledgeBase
    collection: str
    source_id: str
    fns: dict[str, int]

    def session(self, name: str = "page") -> str:
        """Return the session of one of this person's pages."""
        return f"{name}-{self.person.id}"

    def send(self, event: str, *data: object, session: str | None = None, **clicked: object) -> str:
        """Send an event as a page does and return all that comes back."""
        session = session or self.session()
        sent = {"data": data, "fn_index": self.fns[event], "session_hash": session, "event_data": clicked or None}
        joined = self.http.post("/en/gradio_api/queue/join", json=sent)
        if joined.status_code != 200:
            return f"{joined.status_code} {joined.text}"
        return self.http.get("/en/gradio_api/queue/data", params={"session_hash": session}).text

    def upload(self, name: str, content: str, **query: str) -> httpx.Response:
        return self.http.post("/en/gradio_api/upload", params=query, files={"files": (name, content.encode())})


@dataclass(frozen=True)
class House:
    """A server with two editors, a reader and an administrator."""

    app: FastAPI
    address: str
    kb: KnowledgeBase
    ann: Visitor
    bob: Visitor
    rea: Visitor
    root: Visitor

    def nobody(self) -> httpx.Client:
        return httpx.Client(base_url=self.address)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data = tmp_path_factory.mktemp("data")
    with small_house(data) as (kb, people):
        open_writer(data).close()
        app = create_app(kb, people, host="127.0.0.1")
        with running(app) as address:
            roles: dict[str, Role] = {"root": "admin", "ann": "editor", "bob": "editor", "rea": "reader"}
            persons = {name: add(people, name, role) for name, role in roles.items()}
            visitors = {name: _visitor(kb, people, person, address, data) for name, person in persons.items()}
            yield House(app=app, address=address, kb=kb, **visitors)


def _visitor(kb: KnowledgeBase, people: People, person: Person, address: str, data: Path) -> Visitor:
    own = OwnKnowledgeBase(kb, people, person)
    collection = source_id = ""
    if person.role == "editor":
        collection = own.create_collection("Rent")
        pictured = _pdf(data / f"{person.name}.pdf", person.name, collection)
        with open_writer(data) as writer:
            writer.put([pictured], collection=collection)
        source_id = own.documents()[0].source_id
    token = Sessions(people, ServeSettings()).create(person.id)
    http = httpx.Client(base_url=address, cookies={SESSION_COOKIE: token}, timeout=WAIT_SECONDS)
    config = http.get("/en/config").json()
    fns = {str(fn["api_name"]): int(fn["id"]) for fn in config["dependencies"]}
    return Visitor(person, http, own, collection, source_id, fns)


def _pdf(path: Path, name: str, collection: str) -> Ingestible:
    """Return a document whose page can be shown as a picture."""
    path.write_bytes(pdf_bytes([Page(content=text(72, 700, words_of(name)))]))
    made = ingestible(path.name, words_of(name), media_type="application/pdf", collection=collection)
    found = path.stat()
    source = replace(made.document.source, location=str(path), size_bytes=found.st_size, modified=found.st_mtime)
    return replace(made, document=replace(made.document, source=source))


def canaries(found: str) -> set[str]:
    return set(re.findall(r"CANARY-(\w+)", found))


# --- every door -------------------------------------------------------------------------------------------------------


def routes_of(routes: Sequence[BaseRoute], prefix: str = "") -> Iterator[tuple[str, set[str]]]:
    """Yield the path and the methods of every route, those of mounted apps too."""
    for route in routes:
        if isinstance(route, Mount):
            yield from routes_of(route.routes, prefix + route.path)
        elif hasattr(route, "original_router"):
            yield from routes_of(route.original_router.routes, prefix)
        else:
            yield prefix + str(getattr(route, "path", "")), set(getattr(route, "methods", None) or {"GET"})


def test_every_route_that_is_not_public_asks_who_is_there(house: House) -> None:
    found = dict(routes_of(house.app.routes))
    assert {"/en/gradio_api/queue/join", "/zh/gradio_api/upload", "/api/pages/{source_id}/{page}.png"} <= set(found)
    with house.nobody() as nobody:
        for path, methods in routes_of(house.app.routes):
            if path in PUBLIC or re.fullmatch(r"/assets/\w+\.(?:js|css)", path):
                continue
            address = re.sub(r"\{[^}]*\}", "x", path)
            for method in methods:
                answered = nobody.request(method, address)
                is_led = answered.status_code == 303 and answered.headers["location"].startswith("/sign-in")
                assert is_led or answered.status_code == 401, f"{method} {path} answers nobody"


def test_doors_of_gradio_that_the_pages_do_not_need_are_shut(house: House) -> None:
    inside = {path.removeprefix("/en") for path, _ in routes_of(house.app.routes) if path.startswith("/en/")}
    shut = {path for path in inside if door_of(re.sub(r"\{[^}]*\}", "x", path)) is None}
    assert {
        "/gradio_api/proxy={url_path:path}", "/gradio_api/call/{api_name}", "/gradio_api/component_server",
        "/gradio_api/file/{path:path}", "/gradio_api/stream/{event_id}", "/gradio_api/cancel", "/login", "/logout",
        "/gradio_api/token", "/gradio_api/vibe-edit/", "/gradio_api/process_recording", "/monitoring",
        "/gradio_api/deep_link", "/gradio_api/queue/status", "/gradio_api/runs", "/gradio_api/openapi.json",
    } <= shut  # fmt: skip
    for path in shut:
        address = "/en" + re.sub(r"\{[^}]*\}", "x", path)
        for method in ("GET", "POST"):
            assert house.root.http.request(method, address).status_code == 404, path


def test_what_is_public_tells_nothing_of_documents_or_people(house: House) -> None:
    with house.nobody() as nobody:
        for path in ("/healthz", "/manifest.json", "/en/manifest.json", "/sign-in"):
            answered = nobody.get(path)
            assert answered.status_code == 200
            assert not re.search(r"canary|\bann\b|\bbob\b|\"documents\":", answered.text, re.IGNORECASE), path


# --- uploads ----------------------------------------------------------------------------------------------------------


def test_an_upload_is_its_persons_alone(house: House) -> None:
    ann, bob = house.ann, house.bob
    (path,) = ann.upload("plan.txt", words_of("upload"), upload_id="up1").json()
    assert canaries(ann.http.get(f"/en/gradio_api/file={path}").text) == {"upload"}
    assert "attachment" in ann.http.get(f"/en/gradio_api/file={path}").headers["content-disposition"]
    for visitor in (bob, house.rea, house.root):
        for address in (f"file={path}", f"file/{path}", f"file={path}/../plan.txt", "upload_progress?upload_id=up1"):
            answered = visitor.http.get(f"/en/gradio_api/{address}")
            assert answered.status_code == 404
            assert not canaries(answered.text)
        sent = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "plan.txt"}
        assert visitor.send("upload", [sent], "mine").startswith("404")
    assert bob.upload("x.txt", "x", upload_id="up1").status_code == 404
    assert Path(path).is_file(), "nobody has taken it"


@pytest.mark.parametrize(
    "path", ["http://127.0.0.1:1/x", "https://evil.example/x", "/etc/passwd", "../../etc/passwd", "{database}", ""]
)
def test_no_address_and_no_file_of_the_server_is_an_upload(house: House, path: str) -> None:
    path = path.format(database=house.kb.settings.data_dir / "people.db")
    assert house.root.http.get(f"/en/gradio_api/file={path}").status_code == 404
    nested = {"deep": [{"path": path, "url": path, "meta": {"_type": "gradio.FileData"}}]}
    for event, data in (("upload", ([nested], "x")), ("look", ("", nested)), ("ask", (nested, [], None))):
        assert house.root.send(event, *data).startswith("404")


def test_who_reads_only_uploads_nothing(house: House) -> None:
    assert house.rea.upload("x.txt", "x").status_code == 403
    assert "value" not in house.rea.send("upload", [], "default") or house.kb.collections()
    shown = json.dumps(house.rea.send("rights"))
    assert shown.count('\\"visible\\":false') == 2


# --- streams ----------------------------------------------------------------------------------------------------------


def test_nobody_listens_to_or_speaks_in_anothers_session(house: House) -> None:
    ann, bob = house.ann, house.bob
    session = ann.session("quiet")
    assert canaries(ann.send("ask", QUESTION, [], None, session=session)) == {"ann"}
    for method, address in (
        ("GET", f"queue/data?session_hash={session}"),
        ("GET", f"queue/data?session_hash={bob.session()}&session_hash={session}"),
        ("GET", f"queue/data?session_hash={session}&session_hash={bob.session()}"),
        ("GET", "queue/data"),
        ("GET", f"heartbeat/{session}"),
        ("POST", "cancel"),
    ):
        assert bob.http.request(method, f"/en/gradio_api/{address}").status_code == 404, address
    assert bob.send("load", session=session).startswith("404")
    run = {"data": [], "fn_index": bob.fns["begin"], "session_hash": session}
    assert bob.http.post("/en/gradio_api/run/predict", json=run).status_code == 404
    for broken in (b"", b"[]", b"{", b'{"session_hash": 1}', b'{"session_hash": null}', b"[" * 100_000):
        assert bob.http.post("/en/gradio_api/queue/join", content=broken).status_code == 404
    with ann.http.stream("GET", f"/en/gradio_api/heartbeat/{session}") as beating:
        assert beating.status_code == 200


def test_a_name_stays_the_first_ones_until_they_have_used_many_others() -> None:
    claims = Claims(most_per_person=3)
    assert claims.claim("a", "ann")
    assert not claims.claim("a", "bob")
    assert all(claims.claim(f"b{i}", "bob") for i in range(100))
    assert not claims.claim("a", "bob"), "another's crowd pushes nobody out"
    assert all(claims.claim(name, "ann") for name in ("b", "a", "c", "d"))
    assert not claims.claim("a", "bob")
    assert claims.claim("b", "bob"), "the oldest of ann's is forgotten"
    assert not any(claims.claim(name, "ann") for name in ("", "x" * 65, "a/b", "é"))


def test_events_come_as_fast_as_fingers_and_no_faster() -> None:
    now = 100.0
    pace = EventPace(at_once=3, per_second=2.0, clock=lambda: now)
    assert [pace.wait("ann") for _ in range(4)] == [0, 0, 0, pytest.approx(0.5)]
    assert pace.wait("bob") == 0
    now += 0.5
    assert [pace.wait("ann") for _ in range(2)] == [0, pytest.approx(0.5)]
    now += 1_000
    assert [pace.wait("ann") > 0 for _ in range(5)] == [False, False, False, True, True], "rest is not saved up"


def test_who_sends_events_by_a_program_is_told_when_to_go_on() -> None:
    person = Person(id="ann", name="Ann", role="reader", disabled=False, created=0.0)
    doors = GradioDoors(PlainTextResponse("in"), uploads=Uploads(Path("nowhere"), max_mb=1))
    doors.pace = EventPace(at_once=2, per_second=0.5, clock=lambda: 0.0)

    async def signed_in(scope: Scope, receive: Receive, send: Send) -> None:
        await doors({**scope, "state": {"person": person}}, receive, send)

    async def tried() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(signed_in), base_url="http://here") as client:
            sent = {"session_hash": "page", "data": []}
            return [await client.post(f"/{each}/gradio_api/queue/join", json=sent) for each in ("en", "zh", "en", "zh")]

    first, second, third, fourth = asyncio.run(tried())
    assert (first.text, second.text) == ("in", "in")
    assert (third.status_code, third.headers["Retry-After"]) == (429, "2")
    assert third.json() == {"detail": "Too many requests at once. Wait a moment."}
    assert fourth.json()["detail"].startswith("尝试次数过多")


# --- events -----------------------------------------------------------------------------------------------------------


def test_each_is_answered_from_their_own_documents_alone(house: House) -> None:
    for visitor in (house.ann, house.bob):
        name = visitor.person.name
        for event, data in (("ask", (QUESTION, [], None)), ("load", ()), ("look", ("", ""))):
            assert canaries(visitor.send(event, *data)) <= {name}
        assert canaries(visitor.send("ask", QUESTION, [], None, session=visitor.session("fresh"))) == {name}
        assert f"{name}.pdf" in visitor.send("look", "", "")
    assert canaries(house.rea.send("ask", QUESTION, [], None)) == set()
    assert "Nothing is shared with you yet" in house.rea.send("begin")


def test_what_others_have_is_not_there_for_any_event(house: House) -> None:
    ann, bob = house.ann, house.bob
    asked = bob.send("ask", QUESTION, [ann.collection], None, session=bob.session("scoped"))
    assert not canaries(asked)
    seen = [
        bob.send("scope_choices"),
        bob.send("look", ann.collection, ""),
        bob.send("look", "", "ann"),
        bob.send("welcome", None, session=bob.session("new")),
        bob.send("remove", source="ann.pdf", collection=ann.collection),
        bob.send("remove", source="ann.pdf", collection="Rent"),
    ]
    for shown in seen:
        assert not canaries(shown) & {"ann"}
        assert ann.source_id not in shown
    assert ann.collection not in seen[0]
    assert '"ann.pdf' not in seen[1]
    assert [source.path for source in ann.own.documents(collection=ann.collection)] == ["ann.pdf"]
    assert "1 document" in seen[3] or "bob" in bob.send("load")


def test_nothing_is_added_to_what_is_anothers(house: House) -> None:
    ann, bob = house.ann, house.bob
    (path,) = bob.upload("note.txt", "The canteen has pancakes.").json()
    sent = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "note.txt"}
    bob.send("upload", [sent], ann.collection)
    bob.send("follow")
    assert [source.path for source in ann.own.documents(collection=ann.collection)] == ["ann.pdf"]
    made = next(shelf for shelf in bob.own.shelves() if shelf.label == ann.collection)
    assert made.name != ann.collection
    assert [source.path for source in bob.own.documents(collection=made.name)] == ["note.txt"]
    assert house.rea.send("follow").count("note.txt") == 0
    assert "note.txt" not in ann.send("follow", session=ann.session("jobs"))
    assert "note.txt" in house.root.send("follow")
    bob.send("read", str(house.kb.settings.data_dir), "Rent")
    assert len(bob.own.documents()) == 2, "folders of the machine are for administrators"


# --- addresses --------------------------------------------------------------------------------------------------------


def test_pages_and_passages_are_shown_to_who_may_read_them_and_are_not_there_for_others(house: House) -> None:
    ann, bob = house.ann, house.bob
    asked = ann.send("ask", QUESTION, [], None, session=ann.session("passages"))
    opens = re.findall(r'data-open=\\+"([^"\\]+)', asked)[0]
    there = [f"/api/passages/{opens}", f"/api/pages/{ann.source_id}/1.png"]
    never = [f"/api/passages/{'x' * 12}/1", f"/api/pages/{'0' * 32}/1.png"]
    for address, unknown in zip(there, never, strict=True):
        assert ann.http.get(address).status_code == 200
        refused, missing = bob.http.get(address), bob.http.get(unknown)
        assert (refused.status_code, refused.content) == (missing.status_code, missing.content)
        assert refused.status_code == 404
    etag = ann.http.get(there[1]).headers["etag"]
    assert bob.http.get(there[1], headers={"If-None-Match": etag}).status_code == 404


def test_a_right_that_is_taken_back_is_gone_from_answers_that_were_given(house: House) -> None:
    ann, bob = house.ann, house.bob
    ann.own.sharing.grant(ann.collection, "read", person=bob.person.id)
    session = bob.session("shared")
    assert ann.collection in bob.send("scope_choices", session=session)
    asked = bob.send("ask", QUESTION, [ann.collection], None, session=session)
    assert canaries(asked) == {"ann"}
    opens = re.findall(r'data-open=\\+"([^"\\]+)', asked)[0]
    address, page = f"/api/passages/{opens}", f"/api/pages/{ann.source_id}/1.png"
    assert bob.http.get(address).status_code == bob.http.get(page).status_code == 200
    assert "data-delete" not in bob.send("look", ann.collection, "", session=session)
    bob.send("remove", source="ann.pdf", collection=ann.collection, session=session)
    ann.own.sharing.revoke(ann.collection, person=bob.person.id)
    assert bob.http.get(address).status_code == bob.http.get(page).status_code == 404
    asked_again = bob.send("ask", QUESTION, [ann.collection], None, session=session)
    assert "There is no such collection" in asked_again
    assert not canaries(asked_again.rpartition("There is no such collection")[2])
    assert [source.path for source in ann.own.documents(collection=ann.collection)] == ["ann.pdf"]


def test_everything_about_a_person_is_theirs(house: House) -> None:
    found: dict[str, Any] = {
        visitor.person.name: visitor.http.get("/account/everything.json").json() for visitor in (house.ann, house.bob)
    }
    assert found["ann"]["account"]["id"] == house.ann.person.id
    assert house.bob.person.id not in json.dumps(found["ann"])
    assert house.ann.person.id not in json.dumps(found["bob"])


def test_whoever_is_disabled_is_out_at_the_next_request(house: House) -> None:
    eve = add(house.root.own.access.people, "eve", "reader")
    token = Sessions(house.root.own.access.people, ServeSettings()).create(eve.id)
    with httpx.Client(base_url=house.address, cookies={SESSION_COOKIE: token}) as http:
        assert http.get("/en/config").status_code == 200
        house.app.state.visitors.accounts.disable(eve.id)
        assert http.get("/en/config").status_code == 401
