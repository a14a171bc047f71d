"""Forms with long texts and files, as a browser sends them in parts."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from core.errors import UsageError

MAX_BYTES = 8 * 2**20
_MAX_FIELDS = 600  # a question names every collection that is looked at


@dataclass(frozen=True, slots=True)
class Received:
    """The fields of a form; of a name that comes several times :attr:`every` has all values."""

    parts: FormData

    def __getitem__(self, name: str) -> str:
        """Return the last value of a field, "" where there is none; a file has none."""
        return next(reversed(self.every(name)), "")

    def every(self, name: str) -> list[str]:
        """Return all values of a field, in their order."""
        return [part for part in self.parts.getlist(name) if isinstance(part, str)]

    def file(self, name: str) -> tuple[str, bytes]:
        """Return the name and content of an uploaded file, two times nothing where none was chosen."""
        found = [part for part in self.parts.getlist(name) if isinstance(part, UploadFile) and part.filename]
        if not found:
            return "", b""
        return found[-1].filename or "", found[-1].file.read()


async def _read(request: Request) -> AsyncGenerator[Received, None]:
    if request.headers.get("content-type", "").partition(";")[0].strip() != "multipart/form-data":
        raise UsageError("this is no form")
    parser = MultiPartParser(
        request.headers, _limited(request), max_files=1, max_fields=_MAX_FIELDS, max_part_size=MAX_BYTES
    )
    try:
        parts = await parser.parse()
    except MultiPartException as error:
        raise UsageError("the form cannot be read") from error
    try:
        yield Received(parts)
    finally:
        await parts.close()


async def _limited(request: Request) -> AsyncGenerator[bytes, None]:
    n_bytes = 0
    async for piece in request.stream():
        n_bytes += len(piece)
        if n_bytes > MAX_BYTES:
            raise UsageError(
                f"the form and its file are larger than {MAX_BYTES >> 20} MiB", remedy="Send it in several parts"
            )
        yield piece


Sent = Annotated[Received, Depends(_read)]
