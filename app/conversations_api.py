"""Addresses of a person's own conversations: to list, search, rename, save and delete them, and to rate answers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import BaseModel, Field, ValidationError

from app.conversations import Conversations
from app.downloads import attachment
from app.people.export import conversation_to_markdown, conversation_to_plain
from app.people.feedback import MAX_CORRECTED_CHARS, Ratings
from app.people.history import History
from app.people.history_search import search_conversations
from app.people.records import Reason, Verdict
from app.security import person_of
from app.ui.feedback import given_html, rating_form_html, thumbs_html
from app.ui.history import conversations_html, found_html
from app.web.visitors import Visitors
from core.errors import UnknownConversation, UsageError
from core.records import Language

PAGE = 40
MAX_WORDS_CHARS = 200
MAX_TITLE_CHARS = 400
MAX_BODY_BYTES = 2**17


class NewTitle(BaseModel):
    """What a conversation is to be called."""

    title: str = Field(max_length=MAX_TITLE_CHARS)


class NewRating(BaseModel):
    """What a person thinks of an answer."""

    verdict: Verdict
    reason: Reason | None = None
    corrected: str = Field("", max_length=MAX_CORRECTED_CHARS)


Said = TypeVar("Said", bound=BaseModel)


def sent(kind: type[Said]) -> Callable[[Request], Coroutine[Any, Any, Said]]:
    """Return what reads a small body of this kind; FastAPI itself would take one of any size."""

    async def read(request: Request) -> Said:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY_BYTES:
                raise UsageError("too much was sent", remedy="Shorten it")
        try:
            return kind.model_validate_json(body)
        except ValidationError:
            raise UsageError("what was sent cannot be read", remedy="Reload the page and try again") from None

    return read


def conversations_router(visitors: Visitors, conversations: Conversations) -> APIRouter:
    """Return the routes under ``/api/conversations`` and ``/api/turns``; each knows those of who asks alone."""
    router = APIRouter(prefix="/api")

    def history_of(request: Request) -> History:
        return History(visitors.people, person_of(request))

    @router.get("/conversations", response_class=HTMLResponse)
    def list_conversations(
        request: Request,
        q: Annotated[str, Query(max_length=MAX_WORDS_CHARS)] = "",
        after: str = "",
        east: Annotated[int, Query(ge=-1000, le=1000)] = 0,
        lang: Language = "en",
    ) -> HTMLResponse:
        """Return a part of the list as HTML: by day, or where the words ``q`` were found."""
        if q.strip():
            found = search_conversations(visitors.people, person_of(request), q, n=PAGE, after=after)
            return HTMLResponse(found_html(found, q, lang))
        page = history_of(request).newest(n=PAGE, after=after)
        return HTMLResponse(conversations_html(page, lang, now=time.time(), minutes_east=east))

    @router.delete("/conversations", status_code=204)
    def delete_all(request: Request) -> Response:
        """Delete all the person's conversations; answers that are being written stop."""
        conversations.forget(person_of(request).id)
        history_of(request).delete_all()
        visitors.attachments.sweep()
        return Response(status_code=204)

    @router.get("/conversations/{conversation_id}.{ending}")
    def export(request: Request, conversation_id: str, ending: str) -> Response:
        """Return a conversation as Markdown (``.md``) or JSON (``.json``)."""
        history = history_of(request)
        conversation, turns = history.get(conversation_id), history.turns(conversation_id)
        files = visitors.attachments.of(person_of(request).id, conversation_id).files
        if ending == "md":
            text, media_type = conversation_to_markdown(conversation, turns, files=files), "text/markdown"
        elif ending == "json":
            plain = conversation_to_plain(conversation, turns, files=files)
            text, media_type = json.dumps(plain, ensure_ascii=False, indent=2), "application/json"
        else:
            raise UnknownConversation("there is no such conversation", remedy="Export as .md or .json")
        headers = attachment(conversation.title, ending=f".{ending}")
        return Response(text.encode("utf-8", "replace"), media_type=media_type, headers=headers)

    @router.patch("/conversations/{conversation_id}")
    def rename(
        request: Request, conversation_id: str, new: Annotated[NewTitle, Depends(sent(NewTitle))]
    ) -> JSONResponse:
        """Give a conversation another title and return it as it is kept."""
        renamed = history_of(request).rename(conversation_id, new.title)
        return JSONResponse({"id": renamed.id, "title": renamed.title})

    @router.delete("/conversations/{conversation_id}", status_code=204)
    def delete(request: Request, conversation_id: str) -> Response:
        """Delete a conversation; an answer that is being written in it stops."""
        history = history_of(request)
        history.get(conversation_id)
        conversations.forget(person_of(request).id, conversation_id)
        history.delete(conversation_id)
        visitors.attachments.sweep()
        return Response(status_code=204)

    @router.get("/turns/{turn_id}/rating")
    def show_rating(request: Request, turn_id: str, lang: Language = "en", form: bool = False) -> JSONResponse:
        """Return the thumbs of an answer and what is said below, or the form in which one says more."""
        return _rated(request, turn_id, lang, form=form)

    @router.put("/turns/{turn_id}/rating")
    def rate(
        request: Request,
        turn_id: str,
        new: Annotated[NewRating, Depends(sent(NewRating))],
        lang: Language = "en",
        form: bool = False,
    ) -> JSONResponse:
        """Rate an answer and return its thumbs and what is said below."""
        ratings = Ratings(visitors.people, person_of(request))
        ratings.give(turn_id, new.verdict, reason=new.reason, corrected=new.corrected)
        return _rated(request, turn_id, lang, form=form and new.verdict == "down")

    @router.delete("/turns/{turn_id}/rating")
    def take_back(request: Request, turn_id: str, lang: Language = "en") -> JSONResponse:
        """Forget the person's rating of an answer."""
        Ratings(visitors.people, person_of(request)).take_back(turn_id)
        return _rated(request, turn_id, lang)

    def _rated(request: Request, turn_id: str, language: Language, *, form: bool = False) -> JSONResponse:
        turn = history_of(request).turn(turn_id)
        given = Ratings(visitors.people, person_of(request)).given(turn.conversation).get(turn_id)
        refused = turn.answer is not None and turn.answer.abstained
        shown = form and given is not None
        below = rating_form_html(given, language, refused=refused) if shown and given else given_html(given, language)
        return JSONResponse({"thumbs": thumbs_html(turn_id, given, language), "below": below})

    return router
