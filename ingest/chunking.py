"""Cut a document into chunks that follow its structure, counted in the embedder's own tokens.

Sections under one heading are packed together; a heading goes with what follows it; slides and sheets are never mixed,
and pages and headings only to avoid fragments. What is too long for one chunk is cut by :mod:`ingest.cutting`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from core.records import Chunk, Document, Section, chunk_id
from ingest.contexts import Contexts
from ingest.cutting import cut
from ingest.places import Places, common_headings
from ingest.tokens import TokenCounter

# Shares of the longest chunk. Below the first, text is a fragment that any neighbour may take in; from the second on,
# it stands for itself and is not mixed with what another heading says.
_FRAGMENT, _SIZABLE = 1 / 6, 1 / 3


def split(
    document: Document,
    *,
    token_spans: Callable[[str], Sequence[tuple[int, int]]],
    chunk_tokens: int,
    overlap_tokens: int,
    source_id: str,
    label: str | None = None,
) -> list[Chunk]:
    """Return the chunks of a document in reading order; each one's text is ``document.text[start:end]``.

    Args:
        document: What a parser made.
        token_spans: The ``[start, end)`` characters of each of the embedder's tokens in a text.
        chunk_tokens: The most tokens of a chunk with its context.
        overlap_tokens: The most tokens of whole sentences repeated where a paragraph is cut.
        source_id: The source's name in its store, part of each chunk's id.
        label: What the context calls a document without a title; None: the stem of its file's name.
    """
    packer = _Packer(
        document=document,
        counter=TokenCounter(document.text, token_spans),
        contexts=Contexts(document, token_spans=token_spans, chunk_tokens=chunk_tokens, label=label),
        chunk_tokens=chunk_tokens,
        overlap_tokens=overlap_tokens,
        groups=_groups(document.sections),
        places=Places(document.sections),
    )
    return [packer.chunk(draft, source_id=source_id) for draft in packer.drafts()]


@dataclass(frozen=True, slots=True)
class _Group:
    """A run of sections ``[first, after)`` under one heading path and on one page, slide or sheet; bare: no body."""

    headings: tuple[str, ...]
    place: tuple[int | None, str | None]
    page: int | None
    first: int
    after: int
    bare: bool


def _groups(sections: Sequence[Section]) -> list[_Group]:
    """Return the group of each section, by its index."""
    groups: list[_Group] = []
    first = 0
    for i in range(len(sections)):
        after = i + 1
        if after == len(sections) or _kind_of_place(sections[after]) != _kind_of_place(sections[first]):
            at = sections[first].locator
            bare = all(section.kind == "heading" for section in sections[first:after])
            group = _Group(at.headings, (at.slide, at.sheet), at.page, first, after, bare)
            groups.extend([group] * (after - first))
            first = after
    return groups


def _kind_of_place(section: Section) -> tuple[object, ...]:
    at = section.locator
    return at.headings, at.slide, at.sheet, at.page


@dataclass(frozen=True, slots=True)
class _Draft:
    """A chunk in the making: the range ``[start, end)`` over the sections ``first`` to ``last``.

    ``header`` is the header row of the table that the range starts inside of, ``bare`` says that it holds headings
    alone.
    """

    start: int
    end: int
    first: int
    last: int
    bare: bool
    header: str = ""


@dataclass(slots=True, kw_only=True)
class _Packer:
    document: Document
    counter: TokenCounter
    contexts: Contexts
    chunk_tokens: int
    overlap_tokens: int
    groups: list[_Group]
    places: Places
    _open: _Draft | None = None
    _closed: list[_Draft] = field(default_factory=list)

    def drafts(self) -> list[_Draft]:
        """Pack every section."""
        for i in range(len(self.document.sections)):
            self._add(i)
        self._close()
        return self._closed

    def chunk(self, draft: _Draft, *, source_id: str) -> Chunk:
        """Return the chunk that a draft stands for."""
        context, n_context = self._context(draft)
        text = self.document.text[draft.start : draft.end]
        return Chunk(
            id=chunk_id(source_id=source_id, start=draft.start, end=draft.end, text=text),
            source_id=source_id,
            text=text,
            locator=self.places.of(draft.first, draft.last, start=draft.start, end=draft.end),
            n_tokens=n_context + self.counter.count(draft.start, draft.end),
            context=context,
        )

    def _add(self, i: int) -> None:
        section = self.document.sections[i]
        alone = _Draft(section.locator.start, section.locator.end, i, i, section.kind == "heading")
        if self._open is not None and not self._may_join(self._open, i):
            self._close()
        if self._open is not None:
            joined = replace(self._open, end=alone.end, last=i, bare=self._open.bare and alone.bare)
            if self._fits(joined):
                self._open = joined
                return
            if not self._leads(self._open, alone):
                self._close()
        if self._open is None and self._fits(alone):
            self._open = alone
        else:
            self._add_cut(i)

    def _leads(self, draft: _Draft, alone: _Draft) -> bool:
        """Return whether a section that does not fit is to be cut, so that the open draft stays with its start.

        Headings stay with what follows unless they are long themselves; a fragment stays with what must be cut anyway.
        """
        n_tokens = self.counter.count(draft.start, draft.end)
        if n_tokens > self.chunk_tokens * _SIZABLE:
            return False
        if draft.bare and not alone.bare:
            return True
        return n_tokens < self.chunk_tokens * _FRAGMENT and not self._fits(alone)

    def _add_cut(self, i: int) -> None:
        """Add a section that is too long for the open draft; its last piece stays open for what follows."""
        section = self.document.sections[i]
        opened = self._open
        plain = _Draft(section.locator.start, section.locator.end, i, i, False)
        room = self.chunk_tokens - self._context(replace(plain, header=section.table_header))[1]
        first_room = room
        if opened is not None:
            whole = replace(opened, end=section.locator.start, last=i, bare=False)
            first_room = min(room, self.chunk_tokens - self._context(whole)[1])
            first_room -= self.counter.count(opened.start, section.locator.start)
        pieces = cut(
            section,
            self.counter,
            first_room=max(1, first_room),
            room=max(1, room),
            overlap_tokens=self.overlap_tokens,
        )
        for n, piece in enumerate(pieces):
            if n == 0:
                draft = _Draft(
                    opened.start if opened else piece.start, piece.end, opened.first if opened else i, i, False
                )
            else:
                self._close()
                draft = _Draft(piece.overlap_start, piece.end, i, i, False, section.table_header)
            self._open = draft

    def _close(self) -> None:
        draft, self._open = self._open, None
        if draft is None:
            return
        if draft.bare and self._closed:
            # Headings that nothing follows go with what is before them.
            before = self._closed[-1]
            joined = replace(before, end=draft.end, last=draft.last)
            if self.groups[before.last].place == self.groups[draft.first].place and self._fits(joined):
                self._closed[-1] = joined
                return
        self._closed.append(draft)

    def _may_join(self, draft: _Draft, i: int) -> bool:
        """Return whether a section may go into an open draft, room or not."""
        ours, theirs = self.groups[draft.last], self.groups[i]
        if ours.place != theirs.place:
            return False
        if ours is theirs or draft.bare:
            return True
        turns_page = ours.page != theirs.page
        if turns_page and not self.document.sections[i].locator.boxes:
            return False  # nothing would tell on which of the two pages a sentence of the chunk stands
        n_ours = self.counter.count(draft.start, draft.end)
        if n_ours < self.chunk_tokens * _FRAGMENT or self._is_fragment(theirs):
            return True
        return not turns_page and ours.headings[:1] == theirs.headings[:1] and n_ours < self.chunk_tokens * _SIZABLE

    def _is_fragment(self, group: _Group) -> bool:
        """Return whether a group is too short to stand for itself; headings alone count with the group after them."""
        sections = self.document.sections
        start, after, bare = sections[group.first].locator.start, group.after, group.bare
        while True:
            if self.counter.count(start, sections[after - 1].locator.end) >= self.chunk_tokens * _FRAGMENT:
                return False
            if not bare or after == len(sections):
                return True
            after, bare = self.groups[after].after, self.groups[after].bare

    def _fits(self, draft: _Draft) -> bool:
        n_tokens = self.counter.count(draft.start, draft.end)
        if n_tokens > self.chunk_tokens:
            return False
        return n_tokens + self._context(draft)[1] <= self.chunk_tokens

    def _context(self, draft: _Draft) -> tuple[str, int]:
        sections = self.document.sections[draft.first : draft.last + 1]
        shown = [s.text for s in sections if s.kind == "heading" and draft.start <= s.locator.start]
        return self.contexts.of(common_headings(sections), shown=shown, header=draft.header)
