"""Uploaded files: kept in the data directory under safe names, so that their pages can be shown."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from app.people.quota import Quota
from core.errors import FileTooLarge, QuotaReached, StoreError, UsageError
from core.interfaces import StoredSource

MAX_NAME_BYTES = 180
# What the names of conversations' hidden collections begin with: no name that a person gives may hold it.
_ATTACHED = "\x01attached/"
MAX_COLLECTION_CHARS = 60
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\u2028\u2029\u202a-\u202e\u2066-\u2069]')
RESERVED_NAME = re.compile(r"(?i)(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)")


def safe_name(name: str) -> str:
    """Return a name that is one plain part of a path on any system, the same for the same name.

    Unsafe characters become ``_``; a name that is empty, reserved, hidden or too long is mended and told from others
    by a digest of what it was.
    """
    composed = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode())
    plain = _UNSAFE.sub("_", composed).strip().rstrip(". ")
    plain_enough = plain == composed and plain and not plain.startswith(".") and not RESERVED_NAME.match(plain)
    if plain_enough and len(plain.encode()) <= MAX_NAME_BYTES:
        return plain
    digest = hashlib.sha256(composed.encode()).hexdigest()[:8]
    stem, dot, ending = plain.lstrip(".").rpartition(".")
    if not stem or len(ending) > 10:
        stem, dot, ending = plain.lstrip("."), "", ""
    room = MAX_NAME_BYTES - len(digest) - len(ending.encode()) - 2
    stem = stem.encode()[:room].decode(errors="ignore") or "file"
    return f"{stem}-{digest}{dot}{ending}"


def checked_collection(name: str) -> str:
    """Return a collection's name without the white space around it.

    Raises:
        UsageError: It is empty, too long or holds control characters.
    """
    name = unicodedata.normalize("NFC", name).strip()
    if not name or len(name) > MAX_COLLECTION_CHARS or not name.isprintable():
        raise UsageError(
            f"a collection's name has 1 to {MAX_COLLECTION_CHARS} printable characters", remedy="Type another name"
        )
    return name


def attached_collection(conversation_id: str) -> str:
    """Return the name of the hidden collection of what is attached to a conversation."""
    return f"{_ATTACHED}{conversation_id}"


def conversation_of(collection: str) -> str:
    """Return the conversation whose hidden collection this is, "" for a collection that people know."""
    return collection.removeprefix(_ATTACHED) if collection.startswith(_ATTACHED) else ""


def attachments_folder(data_dir: Path) -> Path:
    """Return where attached files lie, each in a folder of its own in that of its conversation."""
    return data_dir.resolve() / "attachments"


class Uploads:
    """The folder of uploaded files, one folder in it for each collection.

    What is received lies in a folder of the person who sent it, until it is kept.

    Args:
        data_dir: The data directory.
        max_mb: The largest file, in MiB.
        quota: What each person may keep; None: any amount.
    """

    def __init__(self, data_dir: Path, *, max_mb: int, quota: Quota | None = None) -> None:
        self.folder = data_dir.resolve() / "uploads"
        self.incoming = data_dir.resolve() / "tmp" / "uploads"
        self.max_mb, self.quota = max_mb, quota

    def require_room(self, person_id: str, size_bytes: int) -> None:
        """See that a person may upload so much more; raises QuotaReached."""
        if self.quota is not None:
            self.quota.require_room(person_id, size_bytes)

    def incoming_of(self, person_id: str) -> Path:
        """Return where what a person sends is received; its name tells nothing."""
        return self.incoming / hashlib.sha256(person_id.encode()).hexdigest()[:32]

    def received(self, path: str, person_id: str) -> Path | None:
        """Return a file that this person has sent; None for any other path."""
        try:
            found = Path(path).resolve()
            own = found.is_relative_to(self.incoming_of(person_id).resolve()) and found.is_file()
        except (OSError, ValueError):  # a name that is too long, or no name
            return None
        return found if own else None

    def folder_of(self, collection: str) -> Path:
        """Return where the files of a collection lie."""
        return self.folder / safe_name(collection)

    def noted(self) -> dict[str, list[Path]]:
        """Return the files that were kept, by the person who sent them."""
        noted = self.quota.noted() if self.quota is not None else {}
        return {person: [self.folder / place for place in places] for person, places in noted.items()}

    def forget(self, person_id: str) -> None:
        """Remove what a person has sent and nobody kept."""
        shutil.rmtree(self.incoming_of(person_id), ignore_errors=True)

    def keep(self, path: str | Path, *, collection: str, person_id: str) -> Path:
        """Move a file that this person has sent to its place, replacing the one of the same name, and return it.

        Raises:
            UsageError: It is no file that they uploaded.
            FileTooLarge: It is larger than ``max_mb``.
            QuotaReached: They have uploaded as much as they may; the file is gone.
            StoreError: It cannot be written.
        """
        name, received = Path(path).name, self.received(str(path), person_id)
        if received is None:
            raise UsageError("this is no uploaded file", where=name, remedy="Upload it again")
        size_bytes = received.stat().st_size
        if size_bytes > self.max_mb * 2**20:
            raise FileTooLarge(
                f"the file is larger than {self.max_mb} MiB",
                where=name,
                remedy="Split it, or raise serve.max_upload_mb",
            )
        folder = self.folder_of(collection)
        place = folder / safe_name(name)
        if self.quota is not None:
            try:
                self.quota.note(self._noted(place), person_id=person_id, size_bytes=size_bytes)
            except QuotaReached:
                received.unlink(missing_ok=True)
                raise
        part = folder / f".{place.name[:40]}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.move(received, part)
            os.replace(part, place)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            if self.quota is not None and not place.exists():
                self.quota.forget([self._noted(place)])
            what = f"the file cannot be kept ({error.strerror})"
            raise StoreError(
                what, where=name, remedy="Free some space, or see the rights of the data directory"
            ) from error
        with suppress(OSError):  # the folder it was received in, unless another file is still there
            received.parent.rmdir()
        return place

    def discard(self, sources: Sequence[StoredSource]) -> None:
        """Remove the files of deleted sources that were uploads; others stay where they are."""
        self._remove([Path(source.location) for source in sources])

    def discard_failed(self, name: str, *, collection: str, stored: Sequence[StoredSource] = ()) -> None:
        """Remove an uploaded file that could not be read and is not to be tried again; never one of a ``stored``
        source, whose earlier version can be read."""
        place = self.folder_of(collection) / safe_name(name)
        if place.name == name and all(Path(source.location) != place for source in stored):
            self._remove([place])

    def discard_collection(self, name: str) -> None:
        """Remove all that was uploaded to a collection, that which could not be read too."""
        folder = self.folder_of(name)
        self._remove([place for place in folder.glob("*") if place.is_file()])
        with suppress(OSError):  # there was none, or it holds what was put there by hand
            folder.rmdir()

    def _remove(self, places: Sequence[Path]) -> None:
        own = [place for place in places if place.is_relative_to(self.folder)]
        for place in own:
            place.unlink(missing_ok=True)
        if self.quota is not None:
            self.quota.forget([self._noted(place) for place in own])

    def _noted(self, place: Path) -> str:
        return place.relative_to(self.folder).as_posix()
