"""Addresses that show sources in place: the passage behind a citation, and pages as pictures."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, Response

from app.conversations import Conversations
from app.downloads import attachment
from app.originals import is_unchanged
from app.security import person_of
from app.texts import explain, say
from app.turns import TurnState
from app.ui.source_pane import PICTURE_PX, Passage, message_html, passage_html
from app.web.visitors import Visitors
from core.errors import CitadelError, DocumentError, UnknownCollection, UnknownSource
from core.records import Box, Language, Locator

if TYPE_CHECKING:
    from core.interfaces import StoredSource

MAX_BOXES = 400
_BOX = re.compile(r"(?:0|1|0?\.\d{1,6}|[01]\.\d{1,6})")
_REVALIDATE = "private, no-cache"  # a deleted document is gone at once, from the browser's cache too


class Shelf(Protocol):
    """What showing sources needs of a knowledge base."""

    def source(self, source_id: str) -> StoredSource:
        """Return the source of this id."""

    def document(self, path: str, *, collection: str | None = None) -> StoredSource:
        """Return the source of this path."""

    def document_text(self, path: str, *, collection: str | None = None) -> str:
        """Return the whole text of a source."""


class Gone(Exception):
    """What was asked for was there once; ``key`` names the text that says so."""

    def __init__(self, key: str, *, status: int) -> None:
        super().__init__(key)
        self.key, self.status = key, status


def sources_router(visitors: Visitors, conversations: Conversations) -> APIRouter:
    """Return the routes under ``/api/passages``, ``/api/pages`` and ``/api/sources``.

    Each shows what the person may read now.
    """
    router = APIRouter(prefix="/api")

    @router.get("/passages/{turn_id}/{number}", response_class=HTMLResponse)
    def show_passage(request: Request, turn_id: str, number: str, lang: Language = "en") -> HTMLResponse:
        """Return the passage behind citation ``number``, or behind hit ``h<number>``, as a piece of HTML."""
        person = person_of(request)
        turn = conversations.turn(person.id, turn_id)
        try:
            passage = find_passage(visitors.own(person.id), turn, number)
        except Gone as gone:
            return _html(message_html(say(gone.key, lang)), status=gone.status)
        except CitadelError as error:
            return _html(message_html(explain(error, lang)), status=error.http_status)
        return _html(passage_html(passage, lang))

    @router.get("/pages/{source_id}/{page}.png", response_class=Response)
    def show_page(
        request: Request, source_id: str, page: int, boxes: str = "", width: int = PICTURE_PX, lang: Language = "en"
    ) -> Response:
        """Return a page of a source as a picture, with ``boxes`` (``x0,y0,x1,y1;...``) highlighted."""
        try:
            source = _by_id(visitors.own(person_of(request).id), source_id, page)
            marks = parse_boxes(boxes, page=page)
            tag = _etag(source_id, page, boxes, width)
            _check_unchanged(source)
            if request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers={"ETag": tag, "Cache-Control": _REVALIDATE})
            from ingest.pages import render_page  # what draws is loaded with the first picture

            picture = render_page(Path(source.location), page, boxes=marks, width_px=min(max(width, 200), 2400))
        except Gone as gone:
            return PlainTextResponse(say(gone.key, lang), status_code=gone.status)
        except ValueError as error:
            return PlainTextResponse(f"{error}.", status_code=400)
        except DocumentError:
            return PlainTextResponse(say("source.no_picture", lang), status_code=410)
        return Response(picture, media_type="image/png", headers={"ETag": tag, "Cache-Control": _REVALIDATE})

    @router.get("/sources/{source_id}/original", response_class=FileResponse)
    def save_original(request: Request, source_id: str, lang: Language = "en") -> Response:
        """Return the file that was read, to be saved, as long as it is the one that was read."""
        try:
            source = visitors.own(person_of(request).id).source(source_id)
            _check_unchanged(source)
        except UnknownSource:
            return PlainTextResponse(say("source.deleted", lang), status_code=404)
        except Gone:
            return PlainTextResponse(say("source.not_there", lang), status_code=410)
        # As a stream of bytes, whatever it is: a page of others is never shown under this address.
        headers = attachment(source.path.rpartition("/")[2])
        return FileResponse(source.location, media_type="application/octet-stream", headers=headers)

    return router


def find_passage(shelf: Shelf, turn: TurnState | None, number: str) -> Passage:
    """Return the passage of a turn's citation ``"2"`` or of its hit ``"h2"``.

    Raises:
        Gone: The turn was forgotten, or the document deleted or replaced since.
    """
    if turn is None or turn.answer is None:
        raise Gone("source.forgotten", status=404)
    source_ids = {hit.chunk.id: hit.chunk.source_id for hit in turn.answer.hits}
    located: Mapping[str, tuple[str, str, Locator, str]] = {
        **{str(c.number): (c.source, c.collection, c.locator, c.chunk_id) for c in turn.answer.citations},
        **{
            f"h{i}": (hit.source, hit.collection, hit.chunk.locator, hit.chunk.id)
            for i, hit in enumerate(turn.answer.hits, start=1)
        },
    }
    if number not in located:
        raise Gone("source.forgotten", status=404)
    path, collection, locator, chunk_id = located[number]
    try:
        source = shelf.document(path, collection=collection)
        text = shelf.document_text(path, collection=collection)
    except (UnknownSource, UnknownCollection):
        raise Gone("source.deleted", status=404) from None
    if source_ids.get(chunk_id, source.source_id) != source.source_id:
        raise Gone("source.replaced", status=410)
    return Passage(
        source_id=source.source_id,
        source=path,
        title=source.title,
        collection=collection,
        text=text,
        locator=locator,
        pages=_pages(source, locator),
        original=_is_unchanged(source),
    )


def _pages(source: StoredSource, locator: Locator) -> tuple[int, ...]:
    if not _drawable(source):
        return ()
    if locator.boxes:
        return tuple(sorted({box.page for box in locator.boxes}))
    return (locator.page or 1,)


def _drawable(source: StoredSource) -> bool:
    return source.media_type == "application/pdf" or source.media_type.startswith("image/")


def _by_id(shelf: Shelf, source_id: str, page: int) -> StoredSource:
    try:
        source = shelf.source(source_id)
    except UnknownSource:
        raise Gone("source.deleted", status=404) from None
    if not _drawable(source):
        raise Gone("source.deleted", status=404)
    if not 1 <= page <= (source.n_pages or 1):
        raise Gone("source.no_picture", status=404)
    return source


def _is_unchanged(source: StoredSource) -> bool:
    try:
        _check_unchanged(source)
    except Gone:
        return False
    return True


def _check_unchanged(source: StoredSource) -> None:
    """Raise unless the file is the one that was read: its size and time, or else its content."""
    try:
        unchanged = is_unchanged(source, os.stat(source.location))
    except OSError:
        unchanged = False
    if not unchanged:
        raise Gone("source.no_picture", status=410)


def parse_boxes(plain: str, *, page: int) -> list[Box]:
    """Read ``x0,y0,x1,y1;...`` in fractions of the page.

    Raises:
        ValueError: It is malformed, or has more than ``MAX_BOXES``.
    """
    pieces = plain.split(";") if plain else []
    if len(pieces) > MAX_BOXES:
        raise ValueError(f"more than {MAX_BOXES} boxes")
    boxes = []
    for piece in pieces:
        sides = piece.split(",")
        if len(sides) != 4 or not all(_BOX.fullmatch(side) for side in sides):
            raise ValueError("boxes need the form x0,y0,x1,y1;... in fractions of the page")
        x0, y0, x1, y1 = (min(float(side), 1.0) for side in sides)
        boxes.append(Box(page=page, x0=x0, y0=y0, x1=x1, y1=y1, start=0, end=0))
    return boxes


def _etag(*parts: object) -> str:
    return f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}"'


def _html(body: str, *, status: int = 200) -> HTMLResponse:
    return HTMLResponse(body, status_code=status, headers={"Cache-Control": "no-store"})
