"""The documents tab: adding files and folders, watching them being read, and the list with filter and delete."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from app.jobs import Job, Jobs
from app.people.audit import Action
from app.people.records import CollectionRights
from app.texts import explain, say
from app.ui.parts import QUIET, html, inform, warn
from app.ui.render import file_name
from app.ui.reports import documents_html, job_html
from app.ui.shelves import named_shelves
from app.upload_jobs import UploadJobs
from app.uploads import Uploads, checked_collection
from app.web.visitors import Visitors
from core.errors import CitadelError
from core.records import Language

if TYPE_CHECKING:
    from app.people.own_knowledge_base import OwnKnowledgeBase

DEFAULT_COLLECTION = "default"
SHOWN_DOCUMENTS = 200
_TOLD_REFUSED = 3  # files, each with its reason; of more only how many
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

    adding: gr.Column
    folders: gr.Row
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
    def rights(self) -> list[Any]:
        """What depends on what the person may do, in order."""
        return [self.adding, self.folders]

    @property
    def followed(self) -> list[Any]:
        """What following a job updates, in order."""
        return [self.job, self.grown]


def build_documents(language: Language, *, max_mb: int, folders: bool) -> DocumentsTab:
    """Lay out the documents tab; without ``folders`` no path of this machine can be read.

    What adds documents is hidden until it is known that the person may.
    """
    with gr.Column(elem_id="documents"):
        with gr.Column(elem_id="adding-all", visible=False) as adding:
            html(f"<h2>{say('docs.add', language)}</h2>", elem_classes="heading")
            with gr.Row(elem_id="adding"):
                with gr.Column(elem_id="adding-more"):
                    into = gr.Dropdown(
                        choices=[DEFAULT_COLLECTION],
                        value=DEFAULT_COLLECTION,
                        allow_custom_value=True,
                        label=say("docs.into", language),
                        info=say("docs.into_hint", language),
                        elem_id="into",
                    )
                    with gr.Row(elem_id="folder-row", visible=False) as folder_row:
                        folder = gr.Textbox(
                            label=say("docs.folder", language),
                            placeholder=say("docs.folder_placeholder", language),
                            max_lines=1,
                            elem_id="folder",
                            scale=4,
                        )
                        read_folder = gr.Button(say("docs.folder_read", language), elem_id="read-folder", min_width=80)
                    html(f'<p class="note">{say("docs.folder_remote", language)}</p>', visible=not folders)
                files = gr.File(
                    label=f"{say('docs.drop', language)} · {say('docs.upload_limit', language, n=max_mb)}",
                    file_count="multiple",
                    elem_id="upload",
                    height=148,
                )
        job = html(js=_JOB_JS, elem_id="job")
        html(f"<h2>{say('docs.list', language)}</h2>", elem_classes="heading")
        with gr.Row(elem_id="listing-bar"):
            pattern = gr.Textbox(
                value="",
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
    return DocumentsTab(
        adding=adding,
        folders=folder_row,
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
        self,
        visitors: Visitors,
        *,
        jobs: Jobs,
        uploads: Uploads,
        upload_jobs: UploadJobs,
        language: Language,
        folders: bool,
    ) -> None:
        self.visitors = visitors
        self.jobs = jobs
        self.uploads, self.upload_jobs = uploads, upload_jobs
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
        # One event for all that changes the list, so that an older look never overwrites a newer one. Words that are
        # pasted, or composed of several keys as Chinese is, are no input to Gradio, but they are a change.
        gr.on(
            [tab.pattern.change, tab.collection.input, tab.grown.change],
            self.look,
            view,
            tab.shown,
            trigger_mode="always_last",
            **QUIET,
        )

    def rights(self, request: gr.Request) -> Update:
        """Show what adds documents to who may, and folders of this machine to who administers it."""
        role = self._own(request).access.role
        return gr.update(visible=role != "reader"), gr.update(visible=self.folders and role == "admin")

    def upload(self, received: list[str] | None, into: str, request: gr.Request) -> Update:
        """Keep uploaded files and begin to read them."""
        if not received:
            return gr.skip(), gr.skip()
        own = self._own(request)
        try:
            collection = own.collection_for(checked_collection(into or ""))
        except CitadelError as error:
            warn(explain(error, self.language))
            return None, gr.skip()
        kept, refused = [], []
        for path in received:  # one that is refused harms no other
            try:
                kept.append(self.uploads.keep(path, collection=collection, person_id=_id(request)))
            except CitadelError as error:
                refused.append(explain(error, self.language))
        for said in refused[:_TOLD_REFUSED]:
            warn(said)
        if len(refused) > _TOLD_REFUSED:
            warn(say("docs.more_refused", self.language, n=len(refused) - _TOLD_REFUSED))

        if not kept:
            return None, gr.skip()
        return None, self._begun(self.upload_jobs.begin(kept, collection=collection, own=own), request)

    def read(self, folder: str, into: str, request: gr.Request) -> Update:
        """Begin to read a folder of this machine."""
        path = folder.strip()
        if not path or not self.folders:
            warn(say("docs.no_folder" if self.folders else "docs.folder_remote", self.language))
            return gr.skip(), gr.skip()
        own = self._own(request)
        try:
            own.access.require_admin()
            collection = own.collection_for(checked_collection(into or ""))
        except CitadelError as error:
            warn(explain(error, self.language))
            return gr.skip(), gr.skip()
        job = self.jobs.start(
            [Path(path).expanduser()],
            collection=collection,
            into=own,
            label=own.label(collection),
            owner=_id(request),
        )
        return "", self._begun(job, request)

    def follow(self, request: gr.Request) -> Iterator[Update]:
        """Show the newest job until it ends; a change of the second output says that the list has grown."""
        while (job := self._newest(request)) is not None:
            for state in job.live.watch(pause_seconds=0.25):
                yield job_html(state, self.language), f"{state.id} {len(state.reports)} {state.running}"
            if self._newest(request) is job:
                return

    def load(self, request: gr.Request) -> Iterator[Update]:
        """Show the list, and a job that is running."""
        yield "", ""
        newest = self._newest(request)
        if newest is not None and newest.state.running:
            yield from self.follow(request)

    def cancel(self, event: gr.EventData, request: gr.Request) -> None:
        """Cancel the job whose button was clicked."""
        job = self.jobs.get(str(event.job))
        if job is not None and (job.owner == _id(request) or self._own(request).access.role == "admin"):
            job.cancel()

    def remove(self, event: gr.EventData, request: gr.Request) -> str:
        """Delete a document, with its file where it was uploaded."""
        path, of = str(event.source), str(event.collection)
        try:
            self.uploads.discard([self._own(request).delete(path, collection=of)])
        except CitadelError as error:
            warn(explain(error, self.language))
        else:
            self._note(request, "document_deleted", f"{of}/{path}")
            inform(say("docs.deleted", self.language, name=file_name(path)))
        return secrets.token_hex(4)

    def look(self, collection: str, pattern: str | None, request: gr.Request) -> Update:
        """Show the list and both collection pickers as they are now."""
        own = self._own(request)
        shelves = own.shelves()
        if all(shelf.name != collection for shelf in shelves):
            collection = _ALL
        shown = [(say("chat.scope_all", self.language), _ALL), *named_shelves(shelves)]
        picker = gr.Dropdown(choices=shown, value=collection, visible=len(shelves) > 1)
        listing = self._listed(own, shelves, collection=collection, pattern=pattern or "")
        return listing, picker, gr.Dropdown(choices=_into_choices(shelves))

    def _listed(
        self, own: OwnKnowledgeBase, shelves: Sequence[CollectionRights], *, collection: str, pattern: str
    ) -> str:
        words = tuple(pattern.split())
        sources, total = own.listed(collection=collection or None, words=words, limit=SHOWN_DOCUMENTS)
        return documents_html(
            sources,
            self.language,
            shelves={shelf.name: shelf for shelf in shelves},
            total=total,
            filtered=not total and own.listed(limit=0)[1] > 0,
            may_add=own.access.role != "reader",
        )

    def _own(self, request: gr.Request) -> OwnKnowledgeBase:
        return self.visitors.own(request.username)

    def _newest(self, request: gr.Request) -> Job | None:
        """Return the newest job that the person may see: their own; who administers sees all."""
        return self.jobs.newest(None if self._own(request).access.role == "admin" else _id(request))

    def _begun(self, job: Job, request: gr.Request) -> str:
        self._note(request, "documents_added", job.state.collection)
        return job_html(job.state, self.language)

    def _note(self, request: gr.Request, action: Action, target: str) -> None:
        person = self.visitors.accounts.get(_id(request))
        address = request.client.host if request.client else ""
        self.visitors.audit.note(action, person=person, target=target, address=address)


def _id(request: gr.Request) -> str:
    return str(request.username)


def _into_choices(shelves: Sequence[CollectionRights]) -> list[tuple[str, str]]:
    """Return the collections to add to; the one that is proposed is among them before there is one."""
    writable = [shelf for shelf in shelves if shelf.right != "read"]
    proposed = [] if any(shelf.label == DEFAULT_COLLECTION for shelf in writable) else [DEFAULT_COLLECTION]
    return [*((name, name) for name in proposed), *named_shelves(writable)]
