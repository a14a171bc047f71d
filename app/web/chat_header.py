"""The header of the chat, which is no page of ours: its script asks for the header and puts it above."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.security import person_of
from app.web.pages import header_html
from app.web.visitors import Visitors
from core.records import Language


def chat_header_router(visitors: Visitors) -> APIRouter:
    """Return the address of the header."""
    router = APIRouter(include_in_schema=False)

    @router.get("/header", response_class=HTMLResponse)
    def header(request: Request, lang: Language = "en") -> str:
        person_of(request)
        return header_html(request, visitors, language=lang)

    return router
