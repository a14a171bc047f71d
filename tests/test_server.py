"""Who may speak to the server, where it listens and which language it speaks first."""

from __future__ import annotations

import socket

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from app.security import OWNER_COOKIE, Guard, is_loopback, owner_of
from app.server import listen, wanted_language
from app.sources_api import MAX_BOXES, parse_boxes
from core.errors import PortInUse

KEY = "a" * 43


async def _who(request: Request) -> HTMLResponse:
    return HTMLResponse(owner_of(request.cookies) or "nobody")


def _client(host: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
    app = Guard(Starlette(routes=[Route("/", _who, methods=["GET", "POST"])]), host=host)
    transport = httpx.ASGITransport(app=app)
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
async def test_a_browser_is_given_its_session_once_and_only_a_whole_one_counts() -> None:
    async with _client() as client:
        first = await client.get("/")
        assert (first.text, "HttpOnly" in first.headers["set-cookie"]) == ("nobody", True)
        assert "SameSite=Strict" in first.headers["set-cookie"]
        second = await client.get("/")
        assert second.text == client.cookies[OWNER_COOKIE]
        assert "set-cookie" not in second.headers
    for forged in ("short", KEY + "/..", "a" * 65):
        async with _client(Cookie=f"{OWNER_COOKIE}={forged}") as client:
            assert (await client.get("/")).text == "nobody"


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
