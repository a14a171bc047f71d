"""The documents tab: adding files and folders, watching them being read, and the list with filter and delete."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.jobs import Job, Jobs
from app.texts import explain, say
from app.ui.parts import QUIET, html
from app.ui.render import file_name
from app.ui.reports import confirm_html, documents_html, job_html
from app.uploads import Uploads, checked_collection
from core.errors import CitadelError
from core.records import Language

if TYPE_CHECKING:
    from app.knowledge_base import KnowledgeBase
    from core.interfaces import StoredSource

DEFAULT_COLLECTION = "default"
_ALL = ""
_LIST_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-delete]');
  if (button) citadel.confirm(button.dataset.sure).then((sure) => {
    if (sure) trigger('remove', { source: button.dataset.delete, collection: button.dataset.collection });
  });
});
"""
_JOB_JS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-cancel]');
  if (button) trigger('cancel', { job: button.dataset.cancel });
});
"""

Update = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentsTab:
    """The parts of the documents tab that events read and write."""

    files: gr.File
    folder: gr.Textbox
    read_folder: gr.Button
    into: gr.Dropdown
    job: gr.HTML
    collection: gr.Dropdown
    pattern: gr.Textbox
    listing: gr.HTML
    grown: gr.State

    @property
    def shown(self) -> list[Any]:
        """What a look at the knowledge base updates, in order."""
        return [self.listing, self.collection, self.into]

    @property
    def followed(self) -> list[Any]:
        """What following a job updates, in order."""
        return [self.job, self.grown]


def build_documents(language: Language, *, max_mb: int, folders: bool) -> DocumentsTab:
    """Lay out the documents tab; without ``folders`` no path of this machine can be read."""
    with gr.Column(elem_id="documents"):
        html(f"<h2>{say('docs.add', language)}</h2>", elem_classes="heading")
        with gr.Row(elem_id="adding"):
            files = gr.File(
                label=f"{say('docs.drop', language)} · {say('docs.upload_limit', language, n=max_mb)}",
                file_count="multiple",
                elem_id="upload",
                height=148,
            )
            with gr.Column(elem_id="adding-more"):
                into = gr.Dropdown(
                    choices=[DEFAULT_COLLECTION],
                    value=DEFAULT_COLLECTION,
                    allow_custom_value=True,
                    label=say("docs.into", language),
                    info=say("docs.into_hint", language),
                    elem_id="into",
                )
                with gr.Row(elem_id="folder-row", visible=folders):
                    folder = gr.Textbox(
                        label=say("docs.folder", language),
                        placeholder=say("docs.folder_placeholder", language),
                        max_lines=1,
                        elem_id="folder",
                        scale=4,
                    )
                    read_folder = gr.Button(say("docs.folder_read", language), elem_id="read-folder", min_width=80)
                html(f'<p class="note">{say("docs.folder_remote", language)}</p>', visible=not folders)
        job = html(js=_JOB_JS, elem_id="job")
        html(f"<h2>{say('docs.list', language)}</h2>", elem_classes="heading")
        with gr.Row(elem_id="listing-bar"):
            pattern = gr.Textbox(
                label=say("docs.filter", language),
                placeholder=say("docs.filter_placeholder", language),
                show_label=False,
                container=False,
                max_lines=1,
                elem_id="filter",
                scale=3,
            )
            collection = gr.Dropdown(
                choices=[(say("chat.scope_all", language), _ALL)],
                value=_ALL,
                label=say("docs.collection", language),
                show_label=False,
                container=False,
                elem_id="in-collection",
                min_width=140,
            )
        listing = html(js=_LIST_JS, elem_id="listing")
        html(confirm_html(language))
    return DocumentsTab(
        files=files,
        folder=folder,
        read_folder=read_folder,
        into=into,
        job=job,
        collection=collection,
        pattern=pattern,
        listing=listing,
        grown=gr.State(""),
    )


class DocumentsEvents:
    """What happens when something on the documents tab is used."""

    def __init__(
        self, knowledge_base: KnowledgeBase, *, jobs: Jobs, uploads: Uploads, language: Language, folders: bool
    ) -> None:
        self.knowledge_base = knowledge_base
        self.jobs = jobs
        self.uploads = uploads
        self.language = language
        self.folders = folders

    def connect(self, tab: DocumentsTab) -> None:
        """Bind the tab's events."""
        view = [tab.collection, tab.pattern]
        uploaded = tab.files.upload(self.upload, [tab.files, tab.into], [tab.files, tab.job], **QUIET)
        uploaded.then(self.follow, None, tab.followed, **QUIET)
        for read in (tab.read_folder.click, tab.folder.submit):
            read(self.read, [tab.folder, tab.into], [tab.folder, tab.job], **QUIET).then(
                self.follow, None, tab.followed, **QUIET
            )
        tab.job.cancel(self.cancel, None, None, queue=False, **QUIET)
        tab.listing.remove(self.remove, None, tab.grown, **QUIET)
        # One event for all that changes the list, so that an older look never overwrites a newer one.
        gr.on(
            [tab.pattern.input, tab.collection.input, tab.grown.change],
            self.look,
            view,
            tab.shown,
            trigger_mode="always_last",
            **QUIET,
        )

    def upload(self, received: list[str] | None, into: str) -> Update:
        """Keep uploaded files and begin to read them."""
        if not received:
            return gr.skip(), gr.skip()
        try:
            collection = checked_collection(into or "")
            kept = [self.uploads.keep(Path(path), collection=collection) for path in received]
        except CitadelError as error:
            gr.Warning(explain(error, self.language))
            return None, gr.skip()
        return None, self._begun(kept, collection)

    def read(self, folder: str, into: str) -> Update:
        """Begin to read a folder of this machine."""
        path = folder.strip()
        if not path or not self.folders:
            gr.Warning(say("docs.no_folder" if self.folders else "docs.folder_remote", self.language))
            return gr.skip(), gr.skip()
        try:
            collection = checked_collection(into or "")
        except CitadelError as error:
            gr.Warning(explain(error, self.language))
            return gr.skip(), gr.skip()
        return "", self._begun([Path(path).expanduser()], collection)

    def follow(self) -> Iterator[Update]:
        """Show the newest job until it ends; a change of the second output says that the list has grown."""
        while (job := self.jobs.newest) is not None:
            for state in job.live.watch(pause_seconds=0.25):
                yield job_html(state, self.language), f"{state.id} {len(state.reports)} {state.running}"
            if self.jobs.newest is job:
                return

    def load(self) -> Iterator[Update]:
        """Show the list, and a job that is running."""
        yield "", ""
        newest = self.jobs.newest
        if newest is not None and newest.state.running:
            yield from self.follow()

    def cancel(self, event: gr.EventData) -> None:
        """Cancel the job whose button was clicked."""
        job = self.jobs.get(str(event.job))
        if job is not None:
            job.cancel()

    def remove(self, event: gr.EventData) -> str:
        """Delete a document, with its file where it was uploaded."""
        path, of = str(event.source), str(event.collection)
        try:
            self.uploads.discard([self.knowledge_base.delete(path, collection=of)])
        except CitadelError as error:
            gr.Warning(explain(error, self.language))
        else:
            gr.Info(say("docs.deleted", self.language, name=file_name(path)))
        return secrets.token_hex(4)

    def listed(self, collection: str, pattern: str | None) -> str:
        """Return the list of documents that match."""
        sources = self.knowledge_base.documents()
        matching = [source for source in sources if matches(source, collection=collection, pattern=pattern or "")]
        return documents_html(matching, self.language, filtered=len(matching) < len(sources))

    def _begun(self, paths: list[Path], collection: str) -> str:
        job: Job = self.jobs.start(paths, collection=collection)
        return job_html(job.state, self.language)

    def look(self, collection: str, pattern: str | None) -> Update:
        """Show the list and both collection pickers as they are now."""
        names = self.knowledge_base.collections()
        if collection not in names:
            collection = _ALL
        shown = [(say("chat.scope_all", self.language), _ALL), *((name, name) for name in names)]
        picker = gr.Dropdown(choices=shown, value=collection, visible=len(names) > 1)
        into = gr.Dropdown(choices=list(dict.fromkeys([DEFAULT_COLLECTION, *names])))
        return self.listed(collection, pattern), picker, into


def matches(source: StoredSource, *, collection: str, pattern: str) -> bool:
    """Return whether a source is of the collection and every word of the pattern is in its path or title."""
    haystack = f"{source.path}\n{source.title}".casefold()
    return collection in (_ALL, source.collection) and all(word in haystack for word in pattern.casefold().split())
