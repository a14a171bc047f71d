"""Who may speak to the server, where it listens and which language it speaks first."""

from __future__ import annotations

import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from app.people.records import Person
from app.security import SESSION_COOKIE, Guard, is_loopback
from app.server import listen
from app.sources_api import MAX_BOXES, parse_boxes
from app.web.language import wanted_language
from core.errors import PortInUse

ANN = Person(id="a", name="Ann", role="reader", disabled=False, created=0.0)


class _OneToken:
    """Knows Ann by her token, and nobody else."""

    def __init__(self, *, first_start: bool = False) -> None:
        self.first_start = first_start

    def recognize(self, token: str) -> Person | None:
        return ANN if token == "anns" else None

    def awaits_admin(self) -> bool:
        return self.first_start


async def _who(request: Request) -> HTMLResponse:
    person = getattr(request.state, "person", None)
    return HTMLResponse(person.name if person else "nobody", headers={"Access-Control-Allow-Origin": "*"})


def _client(
    host: str = "127.0.0.1", *, token: str = "anns", first_start: bool = False, **headers: str
) -> httpx.AsyncClient:
    routes = [Route("/{path:path}", _who, methods=["GET", "POST"])]
    app = Guard(Starlette(routes=routes), host=host, visitors=_OneToken(first_start=first_start))
    transport = httpx.ASGITransport(app=app)
    headers = {"Cookie": f"{SESSION_COOKIE}={token}", **headers}
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7860", headers=headers)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("localhost:7860", 200),
        ("[::1]:7860", 200),
        ("192.168.1.20", 200),
        ("citadel.example", 200),
        ("CITADEL.example:80", 200),
        ("rebound.example", 421),
        ("localhost.rebound.example", 421),
        ("", 421),
        ("[", 421),
    ],
)
async def test_only_addresses_and_the_served_name_are_answered(host: str, status: int) -> None:
    async with _client("citadel.example") as client:
        assert (await client.get("/", headers={"Host": host})).status_code == status


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:7860", 200),
        (None, 200),
        ("http://127.0.0.1:9999", 403),
        ("https://evil.example", 403),
        ("null", 403),
    ],
)
async def test_only_its_own_pages_may_send(origin: str | None, status: int) -> None:
    headers = {"Origin": origin} if origin else {}
    async with _client() as client:
        assert (await client.post("/", headers=headers)).status_code == status


@pytest.mark.anyio
async def test_every_request_is_somebodys_and_no_answer_is_kept_or_shared() -> None:
    async with _client() as client:
        answered = await client.get("/en/")
    assert (answered.text, answered.headers["cache-control"]) == ("Ann", "no-store")
    assert "access-control-allow-origin" not in answered.headers
    assert "frame-ancestors 'none'" in answered.headers["content-security-policy"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("path", "leads_to"),
    [
        ("/", "/sign-in"),
        ("/en/", "/sign-in?next=/en/"),
        ("/zh/?a=1&b=/x", "/sign-in?next=/zh/%3Fa%3D1%26b%3D/x"),
        ("/account", "/sign-in?next=/account"),
    ],
)
async def test_a_page_of_nobodys_leads_to_where_one_signs_in(path: str, leads_to: str) -> None:
    async with _client(token="guessed") as client:
        answered = await client.get(path)
        assert (answered.status_code, answered.headers["location"]) == (303, leads_to)
        assert (await client.post(path)).status_code == 401
    async with _client(token="", first_start=True) as client:
        assert (await client.get(path)).headers["location"] == "/welcome"


@pytest.mark.anyio
async def test_a_link_from_another_site_is_followed_once_more_with_the_cookie() -> None:
    crossed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    async with _client(token="", **crossed) as client:
        answered = await client.get("/en/")
    assert (answered.status_code, 'http-equiv="refresh"' in answered.text) == (200, True)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "path", ["/api/pages/x/1.png", "/en/config", "/en/gradio_api/queue/join", "/x", "/en/assets/", "/assets/a/b"]
)
async def test_programs_are_told_by_the_table_of_errors(path: str) -> None:
    async with _client(token="") as client:
        answered = await client.get(path)
    assert (answered.status_code, answered.json()["error"]["code"]) == (401, "sign_in_needed")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "path", ["/sign-in", "/welcome", "/join/x", "/healthz", "/assets/page.js", "/en/assets/a/b.js"]
)
async def test_entrances_and_looks_are_for_everybody(path: str) -> None:
    async with _client(token="") as client:
        assert (await client.get(path)).text == "nobody"


def test_loopback_is_told_from_the_network() -> None:
    assert all(is_loopback(host) for host in ("localhost", "127.0.0.1", "127.1.2.3", "::1"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "192.168.1.20", "citadel.example"))


def test_a_taken_port_is_said_with_what_to_do() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(PortInUse, match=rf"127.0.0.1:{port}: another program listens there.*--port"):
            listen("127.0.0.1", port)


def test_port_zero_takes_a_free_one_that_can_be_reached() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()[:2]) as reached:
        assert reached.getpeername()[1] == listening.getsockname()[1] != 0


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(PortInUse, match="cannot be listened on"):
        listen("192.0.2.1", 0)


@pytest.mark.parametrize(
    ("chosen", "accepted", "setting", "language"),
    [
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "auto", "zh"),
        (None, "en-GB,en;q=0.9,zh;q=0.1", "auto", "en"),
        (None, "fr-FR,zh;q=0.5", "auto", "zh"),
        (None, "", "auto", "en"),
        (None, "en", "zh", "zh"),
        ("zh", "en", "en", "zh"),
        ("xx", "zh", "auto", "zh"),
    ],
)
def test_the_language_is_the_chosen_one_then_the_settings_then_the_browsers(
    chosen: str | None, accepted: str, setting: str, language: str
) -> None:
    cookies = {"citadel_language": chosen} if chosen else {}
    assert wanted_language(cookies, accepted, setting) == language


def test_boxes_are_read_in_fractions_of_the_page() -> None:
    (first, second) = parse_boxes("0,0.25,1,0.3;.5,0.1,0.75,1.0", page=4)
    assert (first.page, first.x0, first.y0, first.x1, first.y1) == (4, 0, 0.25, 1, 0.3)
    assert (second.x0, second.y1) == (0.5, 1)
    assert parse_boxes("", page=1) == []


@pytest.mark.parametrize(
    "plain", ["0,0,1", "0,0,1,x", "0,0,1,1e9", "0,0,1,nan", "-1,0,1,1", ";", "2,0,1,1", "0,0,1,1;"]
)
def test_malformed_boxes_are_refused(plain: str) -> None:
    with pytest.raises(ValueError, match="boxes need the form"):
        parse_boxes(plain, page=1)


def test_more_boxes_than_a_page_has_words_are_refused() -> None:
    with pytest.raises(ValueError, match="more than"):
        parse_boxes(";".join(["0,0,1,1"] * (MAX_BOXES + 1)), page=1)
