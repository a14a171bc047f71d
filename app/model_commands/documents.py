"""The text of a document that is not ingested."""

from __future__ import annotations

from pathlib import Path

from core.errors import DocumentError
from core.settings import IngestSettings


def text_of(path: Path, settings: IngestSettings) -> str:
    """Return the text of a document of any type that is ingested, "" where it has none or cannot be read."""
    from ingest.builder import ParseOptions
    from ingest.scan import identify
    from ingest.types import parse_file

    try:
        source = identify(path.name, location=str(path), max_file_bytes=settings.max_file_mb * 2**20)
        return parse_file(path, source, ParseOptions()).text
    except DocumentError:
        return ""
