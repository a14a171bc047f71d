"""Addresses of the files of a person's own conversations: to list, announce, receive and remove them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from app.conversations import Conversations
from app.conversations_api import sent
from app.people.attached import MAX_ATTACHMENTS
from app.people.history import History
from app.receiving import Incoming, broken
from app.security import person_of
from app.texts import explain
from app.ui.attachments import strip_html
from app.web.visitors import Visitors
from core.errors import CitadelError, UnknownConversation, printable
from core.records import Language

MAX_NAME_CHARS = 1000
_WRITE_BYTES = 2**20
_PLACE = "/api/conversations/{conversation_id}/attachments"


class NewFile(BaseModel):
    """A file that is to be uploaded."""

    name: str = Field(min_length=1, max_length=MAX_NAME_CHARS)
    size: int = Field(ge=0)


class NewFiles(BaseModel):
    """Files that are to be uploaded; those of one drop, of which most may be too many."""

    files: list[NewFile] = Field(min_length=1, max_length=50 * MAX_ATTACHMENTS)


class OnlyFiles(BaseModel):
    """Whether a conversation's questions are asked of its files alone."""

    only: bool


def attachments_router(visitors: Visitors, conversations: Conversations) -> APIRouter:
    """Return the routes under ``/api/conversations/{id}/attachments``; each knows those of who asks alone."""
    router = APIRouter()
    attachments = visitors.attachments

    def strip(request: Request, conversation_id: str, language: Language) -> dict[str, object]:
        found = attachments.of(person_of(request).id, conversation_id)
        return {"html": strip_html(found, language), "busy": bool(found.pending)}

    def require(request: Request, conversation_id: str) -> bool:
        """See that the conversation is the person's, and return whether it is kept: one without a word is not yet."""
        person = person_of(request)
        try:
            History(visitors.people, person).get(conversation_id)
        except UnknownConversation:
            if conversations.find(person.id, conversation_id) is None:
                raise
            return False
        return True

    @router.get(_PLACE)
    def show(request: Request, conversation_id: str, lang: Language = "en", sending: bool = False) -> JSONResponse:
        """Return the files of a conversation as HTML, and whether some are still uploaded or read.

        ``sending`` says that the page that asks is sending some itself.
        """
        require(request, conversation_id)
        if sending:
            attachments.sending(conversation_id)
        return JSONResponse(strip(request, conversation_id, lang))

    @router.post(_PLACE)
    def begin(
        request: Request,
        conversation_id: str,
        new: Annotated[NewFiles, Depends(sent(NewFiles))],
        lang: Language = "en",
    ) -> JSONResponse:
        """Take files in; each is told its id, or why it is refused, which harms no other."""
        anew, status = not require(request, conversation_id), 201
        told: list[dict[str, object]] = []
        for file in new.files:
            try:
                begun = attachments.begin(
                    person_of(request).id, conversation_id, file.name, size_bytes=file.size, anew=anew
                )
                told.append({"id": begun.id, "name": begun.name})
                anew = False
            except UnknownConversation:
                raise
            except CitadelError as error:
                status = error.http_status if len(new.files) == 1 else 207
                told.append({"name": file.name, "error": _told(error, lang)})
        return JSONResponse({"files": told, **strip(request, conversation_id, lang)}, status_code=status)

    @router.put(f"{_PLACE}/{{attachment_id}}/content")
    async def receive(
        request: Request, conversation_id: str, attachment_id: str, lang: Language = "en"
    ) -> JSONResponse:
        """Receive the bytes of a file, as they are, and begin to read it."""
        person_id = person_of(request).id
        incoming = await run_in_threadpool(attachments.open, person_id, conversation_id, attachment_id)
        if incoming is None:  # it came before, and only the answer was lost
            async for _ in request.stream():
                pass
            return JSONResponse(await run_in_threadpool(strip, request, conversation_id, lang))
        try:
            await _received(request, incoming)
            await run_in_threadpool(attachments.received, person_id, incoming)
        except ClientDisconnect:
            raise broken(incoming.file.name) from None
        except CitadelError as error:
            return JSONResponse({"error": _told(error, lang)}, status_code=error.http_status)
        finally:
            await run_in_threadpool(incoming.discard)
        return JSONResponse(await run_in_threadpool(strip, request, conversation_id, lang))

    @router.put(f"{_PLACE}/only")
    def ask_only(
        request: Request,
        conversation_id: str,
        new: Annotated[OnlyFiles, Depends(sent(OnlyFiles))],
        lang: Language = "en",
    ) -> JSONResponse:
        """Ask the conversation's questions of its files alone, or no longer."""
        attachments.ask_only(person_of(request).id, conversation_id, new.only)
        return JSONResponse(strip(request, conversation_id, lang))

    @router.delete(f"{_PLACE}/{{attachment_id}}")
    def remove(request: Request, conversation_id: str, attachment_id: str, lang: Language = "en") -> Response:
        """Remove a file."""
        attachments.remove(person_of(request).id, conversation_id, attachment_id)
        return JSONResponse(strip(request, conversation_id, lang))

    return router


def _told(error: CitadelError, language: Language) -> dict[str, str]:
    """Return an error as programs and people read it; ``why`` is without the file's name, which stands beside it."""
    message = explain(error, language)
    mark = "：" if language == "zh" else ": "
    return {"code": error.code, "message": message, "why": message.removeprefix(f"{printable(error.where)}{mark}")}


async def _received(request: Request, incoming: Incoming) -> None:
    """Write what comes, a mebibyte at a time and in a thread: the disk may be slow, and others are served meanwhile."""
    waiting = bytearray()
    async for piece in request.stream():
        waiting += piece
        if len(waiting) >= _WRITE_BYTES:
            await run_in_threadpool(incoming.write, bytes(waiting))
            waiting.clear()
    if waiting:
        await run_in_threadpool(incoming.write, bytes(waiting))
