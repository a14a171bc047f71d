"""Pages from templates: plain forms that work without a script."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request

from app.people.passwords import MIN_CHARS
from app.security import whole_seconds
from app.texts import explain, say
from app.web.header import header_of
from app.web.language import LANGUAGE_COOKIE, YEAR_SECONDS, wanted_language
from app.web.visitors import Visitors
from core.errors import CitadelError, Throttled
from core.records import Language

FOLDER = Path(__file__).parent
FRAME, SCRIPT, STYLE = (
    FOLDER / "frame.css",
    FOLDER / "frame.js",
    FOLDER / "pages.css",
)  # the first two are the chat's too
ASSETS = (FRAME, SCRIPT, STYLE)
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrong:
    """What is wrong with a form: ``said`` beside ``field``, or above the form where that is ""."""

    said: str
    form: str = "in"
    field: str = ""
    status: int = 400
    retry_after_seconds: float = 0.0

    @classmethod
    def of(cls, error: CitadelError, language: Language, *, form: str = "in", field: str = "") -> Wrong:
        """Return an error as it is said beside a field."""
        after = error.retry_after_seconds if isinstance(error, Throttled) else 0.0
        said = explain(error, language)
        return cls(said=said, form=form, field=field, status=error.http_status, retry_after_seconds=after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page shows beside its texts."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    wrong: Wrong | None = None
    status: int = 200


def language_of(request: Request, setting: str) -> Language:
    """Return the language of a page: the one just asked for by ``?lang=``, else as ever."""
    asked = request.query_params.get("lang")
    cookies = {LANGUAGE_COOKIE: asked} if asked in ("en", "zh") else request.cookies
    return wanted_language(cookies, request.headers.get("accept-language", ""), setting)


def shown(request: Request, page: Page, *, language: Language, visitors: Visitors) -> HTMLResponse:
    """Return a page; choosing a language is remembered."""
    body = _rendered(
        page.template,
        language,
        header=header_of(request, visitors),
        other_address=_other_address(request, language),
        version=version_of(ASSETS),
        min_chars=MIN_CHARS,
        wrong=page.wrong,
        **page.values,
    )
    status = page.wrong.status if page.wrong else page.status
    response = HTMLResponse(body.encode("utf-8", "replace"), status_code=status)
    response.headers.update({"Content-Security-Policy": _POLICY, "Cache-Control": "no-store"})
    if page.wrong and page.wrong.retry_after_seconds:
        response.headers["Retry-After"] = whole_seconds(page.wrong.retry_after_seconds)
    if request.query_params.get("lang") == language:
        remember_language(response, language)
    return response


def header_html(request: Request, visitors: Visitors, *, language: Language) -> str:
    """Return the header alone, for the chat in a language."""
    other = "zh" if language == "en" else "en"
    header = header_of(request, visitors, path=f"/{language}/")
    return _rendered("header.html", language, header=header, other_address=f"/{other}/")


def _rendered(template: str, language: Language, **values: Any) -> str:
    made = _environment().get_template(template)
    return made.render(say=lambda key, **named: say(key, language, **named), language=language, **values)


def remember_language(response: HTMLResponse | Any, language: Language) -> None:
    """Let the browser keep the language that was chosen."""
    response.set_cookie(LANGUAGE_COOKIE, language, max_age=YEAR_SECONDS, path="/", samesite="lax")


def _other_address(request: Request, language: Language) -> str:
    kept = [(name, value) for name, value in request.query_params.items() if name != "lang"]
    return "?" + urlencode([("lang", "zh" if language == "en" else "en"), *kept])


@lru_cache(maxsize=1)
def _environment() -> Environment:
    loader = FileSystemLoader([FOLDER / "templates", FOLDER / "quality" / "templates"])
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


@lru_cache
def version_of(assets: tuple[Path, ...]) -> str:
    """Return what changes with these files, so that a browser never keeps an old one; 12 hex digits."""
    return hashlib.sha256(b"".join(asset.read_bytes() for asset in assets)).hexdigest()[:12]
