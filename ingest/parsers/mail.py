"""Mail, whichever program saved it: headers, the body, and every attachment read by its own content."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from core.errors import DocumentError, printable
from core.records import SourceFile
from ingest.builder import DocumentBuilder, ParseOptions
from ingest.parsers.html_text import inline_text
from ingest.parsers.webpage import add_page, html_root
from ingest.types import extension_of, media_type_of, parse_file

MAX_DEPTH = 3  # mails within mails
MAX_ATTACHMENTS = 200
_PLAIN_SHARE = 0.3  # of the HTML body's length; a shorter plain body only says that there is another
_INLINE_PICTURE_BYTES = 20_000  # smaller inline pictures are logos and rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file that a mail carries; ``inline`` when the body shows it in place."""

    name: str
    content: bytes
    inline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail; ``headers`` are the (name, value) pairs that a reader sees, in order."""

    subject: str
    headers: Sequence[tuple[str, str]]
    plain: str
    html: str
    attachments: Sequence[Attachment]


def add_mail(builder: DocumentBuilder, mail: Mail, *, options: ParseOptions) -> None:
    """Add a mail's headers, body and attachments; an attachment that cannot be read becomes a note."""
    builder.title = mail.subject
    builder.add_heading(mail.subject, level=1)
    builder.add_text("\n".join(f"{name}: {' '.join(value.split())}" for name, value in mail.headers if value.strip()))
    _add_body(builder, mail)
    budget = options.max_unpacked_bytes
    for attachment in mail.attachments[:MAX_ATTACHMENTS]:
        budget -= len(attachment.content)
        if budget < 0:
            builder.note("the attachments are larger than the limit; the last ones were not read")
            return
        _add_attachment(
            builder, attachment, options=replace(options, depth=options.depth + 1, max_unpacked_bytes=budget)
        )
    if len(mail.attachments) > MAX_ATTACHMENTS:
        builder.note(f"only the first {MAX_ATTACHMENTS} of {len(mail.attachments)} attachments were read")


def _add_body(builder: DocumentBuilder, mail: Mail) -> None:
    root = html_root(mail.html) if mail.html.strip() else None
    written = len(inline_text(root)) if root is not None else 0
    if root is not None and len(" ".join(mail.plain.split())) < written * _PLAIN_SHARE:
        add_page(builder, root, level_offset=1)
        return
    text = mail.plain.replace("\r\n", "\n").replace("\r", "\n")
    for paragraph in re.split(r"\n[ \t]*(?:\n[ \t]*)+", text):
        builder.add_text("\n".join(line.rstrip() for line in paragraph.split("\n")))


def _add_attachment(builder: DocumentBuilder, attachment: Attachment, *, options: ParseOptions) -> None:
    shown = printable(attachment.name)
    if options.depth > MAX_DEPTH:
        builder.note(f"attachment {shown} was not read: it lies more than {MAX_DEPTH} mails deep")
        return
    suffix = extension_of(attachment.name)
    with tempfile.TemporaryDirectory(prefix="citadel-mail-") as folder:
        path = Path(folder) / (f"attachment.{suffix}" if re.fullmatch(r"[a-z0-9]{1,8}", suffix) else "attachment")
        path.write_bytes(attachment.content)
        try:
            media_type = media_type_of(path)
            if attachment.inline and _is_ornament(attachment, media_type):
                return
            source = SourceFile(
                path=PurePosixPath(attachment.name).name or "attachment",
                location=str(path),
                sha256=hashlib.sha256(attachment.content).hexdigest(),
                media_type=media_type,
                size_bytes=len(attachment.content),
                modified=0.0,
            )
            document = parse_file(path, source, options)
        except DocumentError as error:
            builder.note(f"attachment {shown} was not read: it {error.what}")
            return
    builder.close_headings(level=2)
    builder.add_heading(f"Attachment: {attachment.name}", level=2)
    builder.add_document(document, level=2)


def _is_ornament(attachment: Attachment, media_type: str) -> bool:
    return media_type.startswith("image/") and len(attachment.content) < _INLINE_PICTURE_BYTES
