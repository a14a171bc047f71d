"""What the store holds of a collection: it keeps the names of files stable and spares unchanged ones the reading."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ingest.storable import storable_name

if TYPE_CHECKING:  # the module needs numpy, which a parser process can start without
    from core.interfaces import StoredSource

# A file as young as this when it was stored may have changed since within the same tick of the file system's clock.
_RACY_SECONDS = 2.0


class Known:
    """The sources of a collection by path and by location, and the names that a scan has given so far."""

    def __init__(self, sources: Mapping[str, StoredSource] | None = None, *, recipe: str = "") -> None:
        self._by_path = sources or {}
        self._by_location = {s.location: s for s in self._by_path.values() if not is_passage_recipe(s.recipe)}
        self._recipe = recipe
        self._taken: set[str] = set()

    def at(self, location: str) -> StoredSource | None:
        """Return the source stored from ``location``, or None."""
        return self._by_location.get(storable_name(location))

    def is_unchanged(self, stored: StoredSource, status: os.stat_result) -> bool:
        """Return whether size, time and recipe say that a stored source needs no look at its file."""
        if stored.recipe != self._recipe or stored.path in self._taken:
            return False
        same = stored.size_bytes == status.st_size and stored.modified == status.st_mtime
        return same and stored.ingested - stored.modified > _RACY_SECONDS

    def claim(self, wanted: str, *, root: str, location: str, sha256: str) -> str:
        """Return the name of a file in the collection: ``wanted``, or with folders before it where that is taken.

        A name is taken by another file of this scan, and by a stored one that is still there with other content.
        """
        stored = self.at(location)
        if stored is not None and stored.path not in self._taken:
            return self._take(stored.path)
        above = [part for part in storable_name(root).split("/") if part]
        name = wanted
        while not self._is_free(name, location=location, sha256=sha256):
            # Past the last folder only a name with odd bytes that equals another one's escaped form is left.
            name = f"{above.pop() if above else '_'}/{name}"
        return self._take(name)

    def _take(self, name: str) -> str:
        self._taken.add(name)
        return name

    def _is_free(self, name: str, *, location: str, sha256: str) -> bool:
        if name in self._taken:
            return False
        stored = self._by_path.get(name)
        if stored is None or stored.sha256 == sha256 or stored.location == storable_name(location):
            return True
        return not os.path.lexists(stored.location)


def is_passage_recipe(recipe: str) -> bool:
    """Return whether a source was stored as a ready passage; many of those share one location."""
    return recipe.startswith("passages")
