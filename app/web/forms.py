"""Forms: reading them, tying them to a session, and where they may lead."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

from core.errors import UsageError

MAX_FORM_BYTES = 32 * 1024
_MAX_FIELDS = 20
# A path of this server: no host, no scheme, nothing that a browser drops or turns into a slash.
_LOCAL = re.compile(r"/(?![/\\])[^\x00-\x20\x7f\\]*")


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form as a browser sends it, the last of each name; raises as :func:`sent_fields` does."""
    return dict(await sent_fields(request, max_bytes=MAX_FORM_BYTES, max_fields=_MAX_FIELDS))


async def sent_fields(request: Request, *, max_bytes: int, max_fields: int) -> list[tuple[str, str]]:
    """Return the (name, value) pairs of a form as a browser sends it, in their order.

    Raises:
        UsageError: It is no such form, or larger than that.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise UsageError("this is no form")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise UsageError("the form is too large")
    try:
        return parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=max_fields)
    except ValueError as error:  # no UTF-8, or a crowd of fields
        raise UsageError("the form cannot be read") from error


def form_token(session_token: str) -> str:
    """Return what a form of this session carries, which no other page can know."""
    return hmac.new(session_token.encode(), b"form", hashlib.sha256).hexdigest()


def is_own_form(form: Mapping[str, str], session_token: str) -> bool:
    """Return whether a form was made for this session."""
    given = form.get("form_token", "").encode("utf-8", "replace")
    return hmac.compare_digest(given, form_token(session_token).encode())


def local_path(wanted: str) -> str:
    """Return a path of this server to go on with, "/" for anything else."""
    return wanted if _LOCAL.fullmatch(wanted) else "/"
