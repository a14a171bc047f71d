"""The files of a conversation above the composer, the button that attaches some, and what is said while they are read.

``attachments.js`` shows what the server says here, and adds how far each upload is.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from app.people.attached import AttachedFiles, Attachment
from app.texts import say
from app.ui.icons import CLIP, CROSS, SHEET
from app.ui.render import escaped
from app.ui.reports import explain_failure
from core.errors import printable
from core.records import Language
from ingest.reports import FileReport


def place_html(language: Language) -> str:
    """Return where the files are shown, empty, with the words that the page needs for what it does by itself."""
    words = {
        "uploading": say("attach.uploading_share", language, n="{n}"),
        "remove": say("attach.remove", language, name="{name}"),
        "removed": say("attach.removed", language, name="{name}"),
        "ready": say("attach.is_ready", language, name="{name}"),
        "failed": say("attach.is_failed", language, name="{name}", why="{why}"),
        "broken": say("attach.broken", language),
        "drop": say("attach.drop", language),
        "fault": say("history.failed", language),
    }
    data = "".join(f' data-{name}="{escaped(said)}"' for name, said in words.items())
    return (
        f'<section id="attachments" aria-label="{say("attach.files", language)}" hidden{data}>'
        '<div class="attachments-shown"></div>'
        f'<template class="attachment-sheet"><span class="attachment-icon">{SHEET}</span></template>'
        f'<template class="attachment-cross">{CROSS}</template></section>'
        '<p id="attachments-said" class="sr-only" role="status"></p>'
    )


def button_html(language: Language) -> str:
    """Return the button that attaches files."""
    said = say("attach.add", language)
    return (
        f'<button type="button" id="attach-button" aria-label="{said}" title="{said}">{CLIP}</button>'
        f'<input type="file" id="attach-input" multiple hidden tabindex="-1" aria-label="{said}">'
    )


def now_html(attached: AttachedFiles, language: Language) -> str:
    """Return what tells the page which conversation it shows and which files that has.

    Gradio patches the attributes of what it shows anew, and the page looks again where a class has changed.
    """
    busy = " data-busy" if attached.pending else ""
    return (
        f'<span class="attached-now now-{secrets.token_hex(4)}" hidden{busy} '
        f'data-conversation="{escaped(attached.conversation)}" data-html="{escaped(strip_html(attached, language))}">'
        "</span>"
    )


def strip_html(attached: AttachedFiles, language: Language) -> str:
    """Return the files of a conversation with the switch to ask them alone; "" where there are none."""
    if not attached.files:
        return ""
    chips = "".join(_chip(file, language) for file in attached.files)
    checked = " checked" if attached.only else ""
    return (
        f'<ul class="attachment-list">{chips}</ul>'
        f'<label class="only-files"><input type="checkbox" role="switch" data-only-files{checked}>'
        f"<span>{say('attach.only', language)}</span></label>"
    )


def waiting_html(pending: Sequence[Attachment], language: Language) -> str:
    """Return what is shown while a question waits for files."""
    if len(pending) == 1:
        said = say("attach.waiting_named", language, name=printable(pending[0].name, limit=60))
    else:
        said = say("attach.waiting", language, n=len(pending))
    return (
        f'<p class="stage is-waiting" role="status"><span class="dots"><i></i><i></i><i></i></span>{escaped(said)}</p>'
    )


def why_failed(file: Attachment, language: Language) -> str:
    """Return why a file could not be read, and what to do."""
    report = FileReport(path=file.name, status="failed", error_code=file.code, error=file.said)
    return explain_failure(report, language)


def _chip(file: Attachment, language: Language) -> str:
    said = why_failed(file, language) if file.state == "failed" else say(f"attach.{file.state}", language)
    name, remove = escaped(printable(file.name, limit=80)), escaped(say("attach.remove", language, name=file.name))
    dots = '<span class="dots" aria-hidden="true"><i></i><i></i><i></i></span>' if file.pending else ""
    return (
        f'<li class="attachment is-{file.state}" data-attachment="{escaped(file.id)}" data-state="{file.state}">'
        f'<span class="attachment-icon">{SHEET}</span><span class="attachment-text">'
        f'<span class="attachment-name" title="{escaped(file.name)}">{name}</span>'
        f'<span class="attachment-state"><span class="attachment-said">{escaped(said)}</span>{dots}</span></span>'
        f'<button type="button" class="attachment-remove" data-remove-file aria-label="{remove}" title="{remove}">'
        f"{CROSS}</button></li>"
    )
