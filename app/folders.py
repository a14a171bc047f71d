"""Folders of this machine that are kept in step with a collection: read again every few minutes, after a restart too.

They are written down in ``folders.json`` of the data directory. Each look is an ingest with removal in the queue of
jobs, so that it never holds the writer's lock longer than it has something to write; what has not changed costs a look
at its name and time.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event, RLock, Thread
from typing import Any

from app.jobs import Ingests, Job, Jobs
from core.errors import CitadelError, NameTaken, NotAllowed, StoreDamaged, UnknownFolder, UsageError
from llm.registry import write_durably

log = logging.getLogger(__name__)

FILE = "folders.json"
_TICK_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LastLook:
    """What the last look at a folder came to; ``error_code`` and ``error`` say what stopped it, both "" if nothing."""

    at: float
    seconds: float
    counts: Mapping[str, int]
    error_code: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder that goes into a collection; it is looked at while it is ``on``."""

    id: str
    path: str
    collection: str
    on: bool
    last: LastLook | None = None

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Folder:
        """Rebuild a folder from its fields."""
        last = plain.get("last")
        return cls(**{**plain, "last": LastLook(**last) if last else None})


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Which folders may be read: all, where the server is reached from this machine alone, or those below ``roots``."""

    everywhere: bool
    roots: Sequence[Path]
    data_dir: Path

    def checked(self, path: str) -> Path:
        """Return a folder that may be read.

        Raises:
            UsageError: It is no folder, or the data directory is in it or holds it.
            NotAllowed: It lies outside of what may be read.
        """
        place = Path(path.strip()).expanduser()
        if not path.strip() or not place.is_absolute():
            raise UsageError("a folder needs its whole path", where=path.strip(), remedy="Begin at the top, with /")
        place, data_dir = place.resolve(), self.data_dir.resolve()
        roots = [root.expanduser().resolve() for root in self.roots]
        if not self.everywhere and not any(place.is_relative_to(root) for root in roots):
            raise NotAllowed(
                "this folder may not be read from the pages",
                where=str(place),
                remedy="Name a folder above it in serve.folder_roots",
            )
        if not place.is_dir():
            raise UsageError("there is no such folder", where=str(place), remedy="Check the spelling")
        if place.is_relative_to(data_dir) or data_dir.is_relative_to(place):
            raise UsageError(
                "the data directory itself is not read", where=str(place), remedy="Choose a folder beside it"
            )
        return place


class Folders:
    """The folders, and the thread that looks at them.

    Args:
        data_dir: Where they are written down.
        allowed: Which may be added.
        into: What a look ingests into.
        has_collection: Whether a collection is there still; one that was deleted is never made again by a look.
        minutes: Time from one look to the next.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        allowed: Allowed,
        into: Ingests,
        has_collection: Callable[[str], bool],
        minutes: float,
    ) -> None:
        self.allowed = allowed
        self._file = data_dir / FILE
        self._into, self._has_collection = into, has_collection
        self._seconds = minutes * 60
        self._jobs = Jobs()
        self._running: dict[str, tuple[Job, float]] = {}
        self._lock = RLock()
        self._stop = Event()
        self._folders = {folder.id: folder for folder in self._read()}
        self._thread: Thread | None = None

    # --- what is there ---------------------------------------------------------------------------------------------

    def all(self) -> list[Folder]:
        """Return the folders by path."""
        with self._lock:
            return sorted(self._folders.values(), key=lambda folder: folder.path)

    def job(self, folder_id: str) -> Job | None:
        """Return the look that is going on at a folder."""
        with self._lock:
            running = self._running.get(folder_id)
        return running[0] if running else None

    def add(self, path: str, *, collection: str) -> Folder:
        """Follow a folder from now on.

        Raises:
            UsageError, NotAllowed: As :meth:`Allowed.checked` says.
            NameTaken: It is followed already.
        """
        place = self.allowed.checked(path)
        with self._lock:
            if any(folder.path == str(place) for folder in self._folders.values()):
                raise NameTaken("this folder is followed already", where=str(place), remedy="Change the one that is")
            folder = Folder(id=secrets.token_urlsafe(9), path=str(place), collection=collection, on=True)
            self._put(folder)
        return folder

    def switch(self, folder_id: str, *, on: bool) -> Folder:
        """Follow a folder, or leave it and its documents as they are; raises UnknownFolder."""
        with self._lock:
            folder = replace(self._known(folder_id), on=on)
            self._put(folder)
            if not on and folder_id in self._running:
                self._running[folder_id][0].cancel()
        return folder

    def remove(self, folder_id: str) -> Folder:
        """Follow a folder no more; its documents stay. Raises UnknownFolder."""
        with self._lock:
            folder = self._known(folder_id)
            if folder_id in self._running:
                self._running.pop(folder_id)[0].cancel()
            del self._folders[folder_id]
            self._write()
        return folder

    def look(self, folder_id: str) -> None:
        """Look at a folder now; raises UnknownFolder."""
        with self._lock:
            self._begin(self._known(folder_id))

    # --- looking ---------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look, until :meth:`close`."""
        self._thread = Thread(target=self._follow, name="folders", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        self._jobs.close()
        if self._thread is not None:
            self._thread.join(_TICK_SECONDS)

    def tick(self, now: float) -> None:
        """Write down what has ended, and begin what is due at ``now``, seconds since the epoch."""
        with self._lock:
            for folder_id, (job, started) in list(self._running.items()):
                if not job.state.running:
                    del self._running[folder_id]
                    self._put(replace(self._known(folder_id), last=_last_look(job, started=started, now=now)))
            for folder in self.all():
                if folder.on and (folder.last is None or folder.last.at + self._seconds <= now):
                    self._begin(folder)

    def _follow(self) -> None:
        while not self._stop.wait(_TICK_SECONDS):
            try:
                self.tick(time.time())
            except CitadelError as error:  # the next look tries again
                log.warning("the watched folders: %s", error)

    def _begin(self, folder: Folder) -> None:
        if folder.id in self._running:
            return
        if not self._has_collection(folder.collection):
            gone = LastLook(at=time.time(), seconds=0.0, counts={}, error_code="unknown_collection")
            self._put(replace(folder, on=False, last=gone))
            return
        job = self._jobs.start([Path(folder.path)], collection=folder.collection, into=self._into)
        self._running[folder.id] = (job, time.time())

    # --- the file --------------------------------------------------------------------------------------------------

    def _known(self, folder_id: str) -> Folder:
        if folder_id not in self._folders:
            raise UnknownFolder("this folder is not followed", remedy="It may have been removed; reload the list")
        return self._folders[folder_id]

    def _put(self, folder: Folder) -> None:
        self._folders[folder.id] = folder
        self._write()

    def _write(self) -> None:
        plain = [asdict(folder) for folder in self.all()]
        try:
            write_durably(self._file, (json.dumps(plain, ensure_ascii=False, indent=1) + "\n").encode())
        except OSError as error:
            raise StoreDamaged(f"cannot be written ({error.strerror})", where=FILE, remedy="See its rights") from error

    def _read(self) -> list[Folder]:
        try:
            return [Folder.from_json(plain) for plain in json.loads(self._file.read_text("utf-8"))]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError) as error:
            raise StoreDamaged(f"cannot be read ({error})", where=FILE, remedy="Restore or delete it") from error


def _last_look(job: Job, *, started: float, now: float) -> LastLook:
    state = job.state
    counts: dict[str, int] = {}
    for report in state.reports:
        counts[report.status] = counts.get(report.status, 0) + 1
    code, error = (state.error.code, str(state.error)) if state.error else ("", "")
    return LastLook(at=now, seconds=max(0.0, now - started), counts=counts, error_code=code, error=error)
