"""The collections as one person sees them, in parts of a page: every list passes the gate and costs what it shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from app.originals import is_unchanged
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.records import CollectionRights
from app.uploads import safe_name
from core.errors import FileVanished, NotAllowed, UnknownSource
from core.interfaces import StoredFailure, StoredSource
from core.records import Chunk
from indexes.listing import Listed, Order
from ingest.known import is_passage_recipe

if TYPE_CHECKING:
    from app.knowledge_base import KnowledgeBase

ROWS = 50
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A collection with what the person may do with it and how much it holds."""

    rights: CollectionRights
    n_documents: int = 0
    n_passages: int = 0
    size_bytes: int = 0
    n_failures: int = 0

    @property
    def name(self) -> str:
        """What programs call it."""
        return self.rights.name

    @property
    def may_write(self) -> bool:
        """Whether the person adds to it and deletes from it."""
        return self.rights.right != "read"

    @property
    def owned(self) -> bool:
        """Whether the person manages it."""
        return self.rights.right == "own"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Generic[Row]):
    """A page of a long list: ``number`` counts from 1, ``total`` is the length of the list."""

    rows: Sequence[Row]
    number: int
    total: int

    @property
    def n_pages(self) -> int:
        """How many pages there are, one at least."""
        return max(1, -(-self.total // ROWS))

    @property
    def first(self) -> int:
        """The place of the first row in the list, from 1; 0 where there is none."""
        return (self.number - 1) * ROWS + 1 if self.rows else 0

    @property
    def last(self) -> int:
        """The place of the last row in the list."""
        return (self.number - 1) * ROWS + len(self.rows)


def part_of(rows: Sequence[Row], number: int) -> Part[Row]:
    """Return a page of a list that is short enough to be held."""
    number = within(number, len(rows))
    return Part(rows=rows[(number - 1) * ROWS : number * ROWS], number=number, total=len(rows))


def within(number: int, total: int) -> int:
    """Return the page that is nearest to the one asked for."""
    return min(max(number, 1), max(1, -(-total // ROWS)))


class Catalogue:
    """What a person may see of the collections, and which files stand behind it.

    Every method but :meth:`shelves` raises UnknownCollection and UnknownSource as the person's knowledge base does.
    """

    def __init__(self, knowledge_base: KnowledgeBase, own: OwnKnowledgeBase) -> None:
        self._kb, self._own = knowledge_base, own

    def shelves(self) -> list[Shelf]:
        """Return the collections that the person may read, by label."""
        held = {found.name: found for found in self._kb.services.store.collections()}
        return [
            Shelf(
                rights=rights,
                n_documents=held[rights.name].n_sources,
                n_passages=held[rights.name].n_chunks,
                size_bytes=held[rights.name].size_bytes,
                n_failures=held[rights.name].n_failures,
            )
            if rights.name in held
            else Shelf(rights=rights)
            for rights in self._own.shelves()
        ]

    def shelf(self, name: str) -> Shelf:
        """Return a collection."""
        self._own.access.require(name, "read")
        found = next((shelf for shelf in self.shelves() if shelf.name == name), None)
        if found is None:  # what is attached to a conversation is no shelf
            raise self._own.access.unknown(name)
        return found

    def documents(
        self, name: str, *, words: Sequence[str] = (), order: Order = "path", page: int = 1
    ) -> Part[StoredSource]:
        """Return a page of a collection's documents, those whose path or title has every word."""
        self._own.access.require(name, "read")
        store, wanted = self._kb.services.store, Listed(collection=name, words=tuple(words), order=order)
        total = store.count_sources(wanted)
        page = within(page, total)
        return Part(rows=store.list_sources(wanted, limit=ROWS, offset=(page - 1) * ROWS), number=page, total=total)

    def failures(self, name: str, *, total: int, page: int = 1) -> Part[StoredFailure]:
        """Return a page of the files that could not be read when they were last tried; there are ``total``."""
        self._own.access.require(name, "write")
        page = within(page, total)
        found = self._kb.services.store.failures(collection=name, limit=ROWS, offset=(page - 1) * ROWS)
        return Part(rows=list(found.values()), number=page, total=total)

    def document(self, name: str, source_id: str) -> StoredSource:
        """Return a document of a collection."""
        self._own.access.require(name, "read")
        source = self._own.source(source_id)
        if source.collection != name:
            raise UnknownSource("there is no such document", where=source_id, remedy="It may have been deleted")
        return source

    def passages(self, source: StoredSource, *, page: int = 1) -> Part[Chunk]:
        """Return a page of a document's passages as they were cut, in reading order."""
        page = within(page, source.n_chunks)
        offset = (page - 1) * ROWS
        found = self._kb.services.store.list_chunks(source.source_id, limit=ROWS, offset=offset)
        return Part(rows=found, number=page, total=source.n_chunks)

    def original(self, source: StoredSource) -> Path:
        """Return the file of a document, as it was read.

        Raises:
            FileVanished: It is gone, was changed since, or there is no file that is this document alone.
        """
        gone = FileVanished(
            "the file is not there any more, or was changed since it was read",
            where=source.path,
            remedy="Read it again, or add it anew",
        )
        place = Path(source.location)
        try:
            found = os.lstat(place)
            if is_passage_recipe(source.recipe) or not place.is_file() or not is_unchanged(source, found):
                raise gone
        except OSError:
            raise gone from None
        return place

    def can_be_read_again(self, source: StoredSource) -> bool:
        """Return whether the person may have a document's file read anew."""
        return not is_passage_recipe(source.recipe) and self._may_read_file(source.collection, Path(source.location))

    def files_to_read_again(self, name: str, source_ids: Sequence[str]) -> list[Path]:
        """Return the files of documents, to be ingested anew.

        Raises:
            NotAllowed: The person may not write there, or has no right to the file itself.
        """
        self._own.access.require(name, "write")
        sources = [self.document(name, source_id) for source_id in source_ids]
        refused = next((source for source in sources if not self.can_be_read_again(source)), None)
        if refused is not None:
            raise NotAllowed("you may not have this file read again", where=refused.path, remedy="Upload it anew")
        return [Path(source.location) for source in sources]

    def failed_files(self, name: str) -> list[Path]:
        """Return the files that failed and that the person may have tried again."""
        self._own.access.require(name, "write")
        failures = self._kb.services.store.failures(collection=name).values()
        places = [Path(failure.location) for failure in failures if failure.location]
        return [place for place in dict.fromkeys(places) if self._may_read_file(name, place)]

    def _may_read_file(self, name: str, place: Path) -> bool:
        """Return whether the person may have a file of this machine read: administrators may, others their uploads."""
        if self._own.access.role == "admin":
            return True
        uploads = self._own.settings.data_dir.resolve() / "uploads" / safe_name(name)
        return place.resolve().is_relative_to(uploads)
