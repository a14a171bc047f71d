"""The page: brand, tabs and source pane, in one language."""

from __future__ import annotations

import json

import gradio as gr

from app.conversations import Conversations
from app.jobs import Jobs
from app.texts import say
from app.ui.chat import ChatEvents, build_chat
from app.ui.documents import DocumentsEvents, build_documents
from app.ui.parts import QUIET, html
from app.ui.render import escaped
from app.ui.reports import confirm_html
from app.ui.source_pane import pane_html
from app.ui.theme import SCRIPTS
from app.uploads import Uploads
from app.web.visitors import Visitors
from core.records import Language

# Each page that watches an answer or an ingest waits in a thread of its own, and a full line must leave some.
MAX_THREADS = 256
_KEEP = (
    '<svg viewBox="0 0 24 24" width="22" height="22" fill="currentColor" aria-hidden="true"><path d="M4 3h3v3h3V3h4v3'
    'h3V3h3v7l-2 2v9h-4.5v-4.5a1.5 1.5 0 0 0-3 0V21H6v-9l-2-2z"/></svg>'
)
_HALF = (
    '<svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true"><circle cx="12" cy="12" r="8" fill="none" '
    'stroke="currentColor" stroke-width="1.8"/><path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor"/></svg>'
)
_PERSON = (
    '<svg viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" stroke-width="1.8" '
    'stroke-linecap="round" aria-hidden="true"><circle cx="12" cy="8" r="4"/>'
    '<path d="M4.500 20a7.500 7.500 0 0 1 15 0"/></svg>'
)


def build_blocks(
    visitors: Visitors,
    *,
    conversations: Conversations,
    jobs: Jobs,
    uploads: Uploads,
    language: Language,
    folders: bool,
) -> gr.Blocks:
    """Return the pages of the app in one language."""
    chat = ChatEvents(visitors, conversations, language)
    documents = DocumentsEvents(visitors, jobs=jobs, uploads=uploads, language=language, folders=folders)
    blocks: gr.Blocks
    with gr.Blocks(title=say("app.title", language), analytics_enabled=False, fill_width=True) as blocks:
        html(header_html(language, account=visitors.sign_in_required), elem_id="top")
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab(say("tab.chat", language), id="chat", elem_id="tab-chat") as chat_page:
                chat_tab = build_chat(language)
            with gr.Tab(say("tab.documents", language), id="documents", elem_id="tab-documents"):
                documents_tab = build_documents(language, max_mb=uploads.max_mb, folders=folders)
        html(pane_html(language) + confirm_html(language), elem_id="source")
        chat.connect(chat_tab)
        documents.connect(documents_tab)
        blocks.load(chat.load, None, chat_tab.opened, **QUIET)
        blocks.load(documents.look, [documents_tab.collection, documents_tab.pattern], documents_tab.shown, **QUIET)
        blocks.load(documents.rights, None, documents_tab.rights, **QUIET)
        blocks.load(documents.load, None, documents_tab.followed, **QUIET)
        chat_page.select(chat.scope_choices, None, chat_tab.scope, **QUIET)
        chat_page.select(chat.welcome, chat_tab.conversation, chat_tab.transcript, **QUIET)
    blocks.max_threads = MAX_THREADS
    blocks.queue(default_concurrency_limit=None, api_open=False)
    return blocks


def header_html(language: Language, *, account: bool) -> str:
    """Return the brand and the switches of language and theme, and the way to one's account where there are any."""
    other: Language = "zh" if language == "en" else "en"
    theme = escaped(say("app.switch_theme", language))
    return (
        f'<header class="brand"><span class="mark">{_KEEP}</span><h1>{say("app.name", language)}</h1></header>'
        f'<div class="switches"><a class="switch" href="/{other}/" hreflang="{other}" lang="{other}" '
        f'data-language="{other}" title="{escaped(say("app.switch_language", language))}">'
        f"{say('app.other_language', language)}</a>"
        f'<button type="button" class="switch" data-theme aria-label="{theme}" title="{theme}">{_HALF}</button>'
        f"{_account_link(language) if account else ''}</div>"
    )


def _account_link(language: Language) -> str:
    said = escaped(say("account.link", language))
    return f'<a class="switch" href="/account" aria-label="{said}" title="{said}">{_PERSON}</a>'


def head_html(language: Language, *, version: str) -> str:
    """Return what goes into the page's head: its language, and the script that opens citations."""
    words = {
        "language": "zh-CN" if language == "zh" else "en",
        "scope": say("chat.scope_all", language),
        "send": say("chat.send", language),
        "stop": say("chat.stop", language),
        "log": say("chat.log", language),
        "lost": say("app.lost", language),
        "failed": say("history.failed", language),
        **{key: say(f"chat.{key}", language) for key in ("replace", "replace_sure", "replace_more")},
    }
    plain = json.dumps(words, ensure_ascii=True).replace("<", "\\u003c")
    scripts = "".join(f'<script src="/assets/{script.name}?v={version}"></script>' for script in SCRIPTS)
    return f"<script>window.citadelTexts = {plain};</script>{scripts}"
