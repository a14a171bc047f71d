"""Let one process at a time write to a data directory."""

from __future__ import annotations

import fcntl
import os
import weakref
from functools import lru_cache
from pathlib import Path

from core.errors import StoreError, StoreLocked

LOCK_FILE = "writer.lock"

_held: weakref.WeakSet[WriterLock] = weakref.WeakSet()


class WriterLock:
    """A lock on a data directory, held until it is released or the process ends, however it ends.

    The system drops the lock with its last holder, so the file that a killed process leaves is no obstacle. The file
    holds the writer's process id for the message alone.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        _held.add(self)

    @classmethod
    def acquire(cls, data_dir: Path) -> WriterLock:
        """Take the lock, making ``data_dir`` when it is not there.

        Raises:
            StoreLocked: Another holds it; its process id is named.
            StoreError: The directory cannot be made or written.
        """
        path = data_dir / LOCK_FILE
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(
                f"the data directory cannot be written ({error.strerror})",
                where=data_dir.name,
                remedy="Name another data directory, or give this one write permission",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            holder = "this process" if pid == str(os.getpid()) else f"process {pid or 'unknown'}"
            raise StoreLocked(
                f"{holder} writes to this knowledge base already",
                where=data_dir.name,
                remedy="Wait for it to end, or stop it, then try again",
            ) from error
        _keep_from_children()
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        return cls(descriptor)

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._descriptor >= 0:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@lru_cache(maxsize=1)
def _keep_from_children() -> None:
    # A forked child shares the lock. Closing its copy leaves the parent's in force, and a child that outlives a killed
    # parent then holds nothing.
    os.register_at_fork(after_in_child=_close_all)


def _close_all() -> None:
    for lock in list(_held):
        lock._close()
