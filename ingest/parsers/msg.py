"""MSG: mail as Outlook saves it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from olefile import OleFileIO
from oxmsg.attachment import Attachment as OxAttachment
from oxmsg.domain import constants as pid
from oxmsg.properties import Properties
from oxmsg.recipient import Recipient
from oxmsg.storage import Storage
from striprtf.striprtf import rtf_to_text

from core.errors import DamagedDocument
from core.records import Document, SourceFile
from ingest.builder import DocumentBuilder, ParseOptions
from ingest.encodings import decode
from ingest.parsers.lzfu import decompress
from ingest.parsers.mail import Attachment, Mail, add_mail

# Bytes before the properties of a message ([MS-OXMSG] 2.4.1): more at the top than within an attachment.
_TOP_HEADER, _INNER_HEADER = 32, 24
_INNER_MESSAGE = "__substg1.0_3701000D"
_MAX_INNER = 3


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse an Outlook message with its attachments.

    Raises:
        DamagedDocument: A part of the message is missing, or the file is cut short.
    """
    try:
        with OleFileIO(path) as ole:
            storage = Storage.from_ole(ole)
            is_cut = any("less than declared" in str(remark) for _, remark in ole.parsing_issues)
        mail = _mail(storage, header_bytes=_TOP_HEADER)
    except KeyError as error:
        raise DamagedDocument("lacks a part", where=source.path, remedy="Save the message again") from error
    if is_cut and not (mail.subject or mail.plain or mail.html):
        raise DamagedDocument("is truncated", where=source.path, remedy="Copy or save the message again")
    builder = DocumentBuilder(source=source, notes=["the file is cut short; parts may be missing"] if is_cut else [])
    add_mail(builder, mail, options=options)
    for number, inner in enumerate(_inner_messages(storage), start=1):
        if number > _MAX_INNER:
            builder.note(f"only the first {_MAX_INNER} messages attached to this one were read")
            break
        carried = DocumentBuilder(source=source)
        add_mail(carried, _mail(inner, header_bytes=_INNER_HEADER), options=options)
        builder.close_headings(level=2)
        builder.add_heading(f"Attachment: {carried.title or 'message'}", level=2)
        builder.add_document(carried.build(), level=2)
    return builder.build()


def _mail(storage: Storage, *, header_bytes: int) -> Mail:
    properties = Properties(storage, properties_header_offset=header_bytes)
    recipients = [Recipient(found) for found in storage.iter_recipient_storages()]
    to = "; ".join(_address(recipient.name, recipient.email_address) for recipient in recipients)
    sent = properties.date_prop_value(pid.PID_CLIENT_SUBMIT_TIME)
    sender = _address(
        properties.str_prop_value(pid.PID_SENDER_NAME) or "",
        properties.str_prop_value(pid.PID_SENDER_SMTP_ADDRESS)
        or properties.str_prop_value(pid.PID_SENDER_EMAIL_ADDRESS)
        or "",
    )
    return Mail(
        subject=properties.str_prop_value(pid.PID_SUBJECT) or "",
        headers=[
            ("From", sender or properties.str_prop_value(pid.PID_SENT_REPRESENTING_NAME) or ""),
            ("To", to or properties.str_prop_value(pid.PID_DISPLAY_TO) or ""),
            ("Date", f"{sent:%Y-%m-%d %H:%M} UTC" if sent else ""),
        ],
        plain=properties.str_prop_value(pid.PID_BODY) or _rich_body(properties),
        html=_html_body(properties),
        attachments=list(_attachments(storage)),
    )


def _address(name: str, address: str) -> str:
    # Exchange's own addresses (/O=FIRM/OU=...) say nothing to a reader.
    if "@" not in address or address == name:
        return name or address
    return f"{name} <{address}>" if name else address


def _html_body(properties: Properties) -> str:
    content = properties.binary_prop_value(pid.PID_HTML)
    if content:
        return decode(content, declared=properties.body_encoding)[0]
    return properties.str_prop_value(pid.PID_BODY_HTML) or ""


def _rich_body(properties: Properties) -> str:
    packed = properties.binary_prop_value(pid.PID_RTF_COMPRESSED)
    if not packed:
        return ""
    return str(rtf_to_text(decompress(packed).decode("latin-1"), errors="replace"))  # type: ignore[no-untyped-call]


def _attachments(storage: Storage) -> Iterator[Attachment]:
    for found in storage.iter_attachment_storages():
        if any(inner.name == _INNER_MESSAGE for inner in found.storages):
            continue
        attachment = OxAttachment(found)
        name = attachment.file_name or attachment.properties.str_prop_value(pid.PID_ATTACH_FILENAME) or "unnamed"
        inline = bool(attachment.properties.str_prop_value(pid.PID_ATTACH_CONTENT_ID))
        yield Attachment(name=name, content=attachment.file_bytes or b"", inline=inline)


def _inner_messages(storage: Storage) -> Iterator[Storage]:
    """Yield the messages attached to a message; those attached to them in turn are left."""
    for found in storage.iter_attachment_storages():
        yield from (inner for inner in found.storages if inner.name == _INNER_MESSAGE)
