"""What every test shares: no network but loopback, where the real data lies, and a browser."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from app.people.database import People
    from tests.small_people import Clock

os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
_OF_TESTS = ("CITADEL_TEST_MODELS", "CITADEL_SCREENSHOTS")
for _name in [name for name in os.environ if name.startswith("CITADEL_") and name not in _OF_TESTS]:
    del os.environ[_name]  # a developer's own settings are none of a test's

ROOT = Path(__file__).resolve().parent.parent


class NetworkBlocked(OSError):
    """A test tried to leave the machine."""


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def allowed(self: socket.socket, address: Any) -> bool:
        return (
            self.family == socket.AF_UNIX
            or str(address[0]) in ("localhost", "::1")
            or str(address[0]).startswith("127.")
        )

    def guarded(self: socket.socket, address: Any) -> None:
        if not allowed(self, address):
            raise NetworkBlocked(f"a test tried to reach {address}")
        connect(self, address)

    def guarded_ex(self: socket.socket, address: Any) -> int:
        if not allowed(self, address):
            raise NetworkBlocked(f"a test tried to reach {address}")
        return connect_ex(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_ex)


@pytest.fixture
def clock() -> Clock:
    """A clock that is set by hand."""
    from tests.small_people import Clock

    return Clock()


@pytest.fixture
def people(tmp_path: Path, clock: Clock) -> Iterator[People]:
    """An empty file of people."""
    from app.people.database import People

    with People.open(tmp_path, clock=clock) as opened:
        yield opened


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data beside the project; a test that needs it is skipped where it is absent."""
    path = ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip("needs ../shared/data, which is not here")
    return path


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """The models that `make setup` put into the data directory; nothing is fetched by a test."""
    path = Path(os.environ.get("CITADEL_TEST_MODELS", ROOT / "data" / "models"))
    if not path.is_dir():
        pytest.fail("the default models are not here: run `make setup` first")
    return path


@pytest.fixture(scope="session")
def chromium_path() -> str | None:
    """The system's Chromium; None lets Playwright take its own."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser(chromium_path: str | None) -> Iterator[Browser]:
    """A Chromium without a window."""
    from tests.small_browser import chromium

    with chromium(chromium_path) as launched:
        yield launched
