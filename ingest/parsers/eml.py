"""EML: mail as it travels the Internet."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage, Message
from pathlib import Path

from core.records import Document, SourceFile
from ingest.builder import DocumentBuilder, ParseOptions
from ingest.encodings import decode
from ingest.parsers.mail import Attachment, Mail, add_mail

_SHOWN = ("From", "To", "Cc", "Date")


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse a mail with its attachments."""
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    builder = DocumentBuilder(source=source)
    add_mail(builder, _mail(message), options=options)
    return builder.build()


def _mail(message: EmailMessage) -> Mail:
    plain: list[str] = []
    html: list[str] = []
    attachments: list[Attachment] = []
    _collect(message, plain=plain, html=html, attachments=attachments)
    return Mail(
        subject=_header(message, "Subject"),
        headers=[(name, value) for name in _SHOWN if (value := _header(message, name))],
        plain="\n\n".join(plain),
        html="\n".join(html),
        attachments=attachments,
    )


def _collect(part: Message, *, plain: list[str], html: list[str], attachments: list[Attachment]) -> None:
    kind = part.get_content_type()
    name = part.get_filename() or ""
    if kind == "message/rfc822" and part.is_multipart():
        inner = part.get_payload(0)
        if isinstance(inner, EmailMessage):
            name = name or f"{_header(inner, 'Subject') or 'mail'}.eml"
            attachments.append(Attachment(name=name, content=inner.as_bytes(policy=email.policy.default)))
    elif part.is_multipart():
        for inner in part.iter_parts() if isinstance(part, EmailMessage) else ():
            _collect(inner, plain=plain, html=html, attachments=attachments)
    elif part.get_content_disposition() == "attachment" or name or not kind.startswith("text/"):
        inline = part.get_content_disposition() == "inline" or part.get("Content-ID") is not None
        name = name or f"unnamed.{part.get_content_subtype()}"
        attachments.append(Attachment(name=name, content=_content(part), inline=inline))
    elif kind == "text/html":
        html.append(_text(part))
    elif kind == "text/plain":
        plain.append(_text(part))


def _content(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: Message) -> str:
    declared = part.get_content_charset() or ""
    return decode(_content(part), declared=declared)[0]


def _header(message: EmailMessage, name: str) -> str:
    """Return a header decoded; one with raw bytes in it is decoded as any text is."""
    value = str(message.get(name) or "")
    raw = value.encode("utf-8", "surrogateescape")
    return value if raw.isascii() or not _has_escapes(value) else decode(raw)[0]


def _has_escapes(value: str) -> bool:
    return any("\udc80" <= c <= "\udcff" for c in value)
