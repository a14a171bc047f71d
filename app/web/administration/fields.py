"""The fields of these pages' forms: short texts, some of them many times, as where documents are chosen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from starlette.requests import Request

from core.errors import UsageError

_MAX_BYTES = 64 * 1024
_MAX_FIELDS = 400


class Fields:
    """What was sent, by name."""

    def __init__(self, values: Mapping[str, Sequence[str]] | None = None) -> None:
        self._values = values or {}

    def __getitem__(self, name: str) -> str:
        """Return the last value of a field, "" where there is none."""
        values = self._values.get(name, ())
        return values[-1] if values else ""

    def every(self, name: str) -> list[str]:
        """Return each value of a field once, in their order."""
        return list(dict.fromkeys(self._values.get(name, ())))


async def read_fields(request: Request) -> Fields:
    """Return the fields of a form as a browser sends it.

    Raises:
        UsageError: It is no such form, or larger than any of ours.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        raise UsageError("this is no form")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _MAX_BYTES:
            raise UsageError("the form is too large")
    values = defaultdict(list)
    try:
        for name, value in parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=_MAX_FIELDS):
            values[name].append(value)
    except ValueError as error:  # no UTF-8, or a crowd of fields
        raise UsageError("the form cannot be read") from error
    return Fields(values)
