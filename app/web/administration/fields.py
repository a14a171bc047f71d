"""The fields of these pages' forms: short texts, some of them many times, as where documents are chosen."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from starlette.requests import Request

from app.web.forms import sent_fields

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
    """Return the fields of a form as a browser sends it; raises as :func:`sent_fields` does."""
    values = defaultdict(list)
    for name, value in await sent_fields(request, max_bytes=_MAX_BYTES, max_fields=_MAX_FIELDS):
        values[name].append(value)
    return Fields(values)
