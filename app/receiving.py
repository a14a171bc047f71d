"""A file as its bytes come from a browser: nothing of it counts before all of it is there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter, FileIO
from pathlib import Path

from app.people.attached import Attachment
from app.people.database import new_id
from core.errors import DiskFull, StoreError, UploadBroken


class Incoming:
    """The bytes of a file as they come; nothing of them counts before :meth:`keep`.

    Raises:
        StoreError: They cannot be written.
    """

    def __init__(self, file: Attachment, place: Path, *, touch: Callable[[], None]) -> None:
        self.file, self._place, self._touch = file, place, touch
        self._part = place.parent / f".{new_id()}.part"
        self._n_bytes = 0
        with _writing(file.name):
            place.parent.mkdir(parents=True, exist_ok=True)
            self._opened = BufferedWriter(FileIO(self._part, "xb"))
        touch()

    def write(self, piece: bytes) -> None:
        """Add what came.

        Raises:
            UploadBroken: More came than was announced.
            DiskFull: No room is left.
        """
        self._n_bytes += len(piece)
        if self._n_bytes > self.file.size_bytes:
            raise UploadBroken("more came than was announced", where=self.file.name, remedy="Attach it again")
        with _writing(self.file.name):
            self._opened.write(piece)
        self._touch()

    def require_whole(self) -> None:
        """See that all of it has come; raises UploadBroken."""
        if self._n_bytes < self.file.size_bytes:
            raise broken(self.file.name)

    def keep(self) -> None:
        """Put the file, which is whole, in its place.

        Raises:
            UploadBroken: It was removed meanwhile.
            DiskFull: No room is left.
        """
        with _writing(self.file.name):
            self._opened.close()
        try:
            os.replace(self._part, self._place)
        except FileNotFoundError:
            raise UploadBroken("the file was removed meanwhile", where=self.file.name) from None

    def discard(self) -> None:
        """Drop what came and was not kept."""
        with suppress(OSError):
            self._opened.close()
        self._part.unlink(missing_ok=True)


@contextmanager
def _writing(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise DiskFull("no room is left for the file", where=name, remedy="Free some space") from error
        what = f"the file cannot be written ({error.strerror})"
        raise StoreError(what, where=name, remedy="See the rights of the data directory") from error


def broken(name: str) -> UploadBroken:
    """Return the error of an upload of which not all has come."""
    return UploadBroken("the upload broke off", where=name, remedy="Attach the file again")
