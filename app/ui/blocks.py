"""The page of the chat and the documents, in one language; its header is added by its script."""

from __future__ import annotations

import json

import gradio as gr

from app.conversations import Conversations
from app.jobs import Jobs
from app.texts import say
from app.ui.chat import ChatEvents, build_chat
from app.ui.documents import DocumentsEvents, build_documents
from app.ui.parts import QUIET, html
from app.ui.reports import confirm_html
from app.ui.source_pane import pane_html
from app.ui.theme import SCRIPTS
from app.upload_jobs import UploadJobs
from app.uploads import Uploads
from app.web.pages import FRAME
from app.web.pages import SCRIPT as FRAME_SCRIPT
from app.web.visitors import Visitors
from core.records import Language

# Each page that watches an answer or an ingest waits in a thread of its own, and a full line must leave some.
MAX_THREADS = 256


def build_blocks(
    visitors: Visitors,
    *,
    conversations: Conversations,
    jobs: Jobs,
    uploads: Uploads,
    upload_jobs: UploadJobs,
    language: Language,
    folders: bool,
) -> gr.Blocks:
    """Return the pages of the app in one language."""
    chat = ChatEvents(visitors, conversations, language)
    documents = DocumentsEvents(
        visitors, jobs=jobs, uploads=uploads, upload_jobs=upload_jobs, language=language, folders=folders
    )
    blocks: gr.Blocks
    with gr.Blocks(title=say("app.title", language), analytics_enabled=False, fill_width=True) as blocks:
        # The header leads to the tabs by their buttons, which must be there however little room their hidden row has.
        with gr.Tabs(elem_id="tabs", overflow_behavior="wrap"):
            with gr.Tab(say("tab.chat", language), id="chat", elem_id="tab-chat") as chat_page:
                html(f'<h1 class="sr-only">{say("tab.chat", language)}</h1>', elem_classes="title")
                chat_tab = build_chat(language)
            with gr.Tab(say("tab.documents", language), id="documents", elem_id="tab-documents"):
                html(f'<h1 class="sr-only" tabindex="-1">{say("tab.documents", language)}</h1>', elem_classes="title")
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
    scripts = "".join(
        f'<script src="/assets/{script.name}?v={version}"></script>' for script in (FRAME_SCRIPT, *SCRIPTS)
    )
    look = f'<link rel="stylesheet" href="/assets/{FRAME.name}?v={version}">'
    return f"{look}<script>window.citadelTexts = {plain};</script>{scripts}"
