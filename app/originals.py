"""Whether the file of a document is still the one that was read."""

from __future__ import annotations

import hashlib
import os

from core.interfaces import StoredSource


def is_unchanged(source: StoredSource, found: os.stat_result) -> bool:
    """Return whether a file found at a source's place is the one that was read: by size and time, or else by content.

    Raises:
        OSError: It cannot be read.
    """
    if found.st_size != source.size_bytes:
        return False
    if found.st_mtime == source.modified:
        return True
    with open(source.location, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == source.sha256
