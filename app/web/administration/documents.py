"""A collection's documents: what was read, what could not be, and reading again or deleting several at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlencode

from fastapi.responses import FileResponse, Response

from app.catalogue import Part, Shelf
from app.downloads import attachment
from app.jobs import JobState
from app.reading_again import ReadingAgain
from app.ui.render import file_name, place
from app.ui.reports import kind_of
from app.web.administration.collections import PLACE
from app.web.administration.desk import Deed, Desk, Visit
from app.web.administration.words import failure, in_address
from app.web.pages import Wrong
from core.errors import UsageError
from core.interfaces import StoredFailure, StoredSource
from core.records import Chunk
from indexes.listing import ORDERS, Order

View = Literal["documents", "failures"]


class DocumentsDesk(Desk):
    """One collection."""

    def page(self, visit: Visit, wrong: Wrong | None = None) -> Response:
        """Show a page of its documents, or of the files that failed."""
        shelf = visit.catalogue.shelf(visit.named("name"))
        view: View = "failures" if "failed" in visit.request.query_params and shelf.may_write else "documents"
        order = visit.request.query_params.get("order", "")
        values: dict[str, Any] = {
            "shelf": shelf,
            "place": PLACE + in_address(shelf.name),
            "view": view,
            "find": " ".join(visit.words),
            "order": order if order in ORDERS else "path",
            "orders": ORDERS,
            "job": _job(visit, shelf),
            "to_page": addresses(visit),
        }
        part: Part[Any]
        if view == "failures":
            found = visit.catalogue.failures(shelf.name, total=shelf.n_failures, page=visit.page_number)
            rows = [_failure_row(visit, one) for one in found.rows]
            part = Part(rows=rows, number=found.number, total=found.total)
        else:
            wanted: Order = values["order"]
            listed = visit.catalogue.documents(shelf.name, words=visit.words, order=wanted, page=visit.page_number)
            part = Part(rows=[_row(shelf, one) for one in listed.rows], number=listed.number, total=listed.total)
        return visit.show("documents.html", {**values, "part": part}, wrong)

    def deeds(self) -> Mapping[str, Deed]:
        """Documents can be read again and deleted, failed files tried again or forgotten."""
        return {
            "again": self._again,
            "delete": self._delete,
            "retry": self._retry,
            "forget": self._forget,
            "cancel": self._cancel,
        }

    def _again(self, visit: Visit) -> Response:
        name = visit.named("name")
        read_again(visit, name, _selected(visit))
        return visit.done("reading")

    def _delete(self, visit: Visit) -> Response:
        name = visit.named("name")
        visit.own.access.require(name, "write")
        sources = [visit.catalogue.document(name, source_id) for source_id in _selected(visit)]
        if visit.sent["sure"] != "yes":
            values = {
                "shelf": visit.catalogue.shelf(name),
                "place": PLACE + in_address(name),
                "rows": [(source.source_id, file_name(source.path), source.path) for source in sources],
            }
            return visit.show("sure.html", values)
        for source in sources:
            delete_document(visit, source)
        return visit.done("documents_deleted", path=PLACE + in_address(name))

    def _retry(self, visit: Visit) -> Response:
        name = visit.named("name")
        places = visit.catalogue.failed_files(name)
        if not places:
            raise UsageError("none of these files can be read from here", remedy="Upload them anew")
        _queue(visit, name, places)
        return visit.done("reading")

    def _forget(self, visit: Visit) -> Response:
        name, path = visit.named("name"), visit.sent["path"]
        visit.own.access.require(name, "write")
        visit.office.knowledge_base.forget_failures([path], collection=name)
        stored = visit.office.knowledge_base.documents(collection=name)
        visit.office.uploads.discard_failed(path, collection=name, stored=stored)
        return visit.done("failure_forgotten", path=PLACE + in_address(name))

    def _cancel(self, visit: Visit) -> Response:
        job = visit.office.jobs.get(visit.sent["job"])
        visit.own.access.require(visit.named("name"), "write")
        if job is not None and job.state.collection == visit.named("name"):
            job.cancel()
        return visit.done("cancelling")


class DocumentDesk(Desk):
    """One document, and its passages as they were cut."""

    def page(self, visit: Visit, wrong: Wrong | None = None) -> Response:
        """Show its facts and a page of its passages."""
        shelf = visit.catalogue.shelf(visit.named("name"))
        source = visit.catalogue.document(shelf.name, str(visit.request.path_params["source_id"]))
        chunks = visit.catalogue.passages(source, page=visit.page_number)
        rows = [_chunk_row(visit, chunk, (chunks.first or 1) + i) for i, chunk in enumerate(chunks.rows)]
        values = {
            "shelf": shelf,
            "place": PLACE + in_address(shelf.name),
            "source": source,
            "row": _row(shelf, source),
            "again": shelf.may_write and visit.catalogue.can_be_read_again(source),
            "part": Part(rows=rows, number=chunks.number, total=chunks.total),
            "to_page": addresses(visit),
        }
        return visit.show("document.html", values, wrong)

    def deeds(self) -> Mapping[str, Deed]:
        """It can be read again and deleted."""
        return {"again": self._again, "delete": self._delete}

    def _again(self, visit: Visit) -> Response:
        name = visit.named("name")
        read_again(visit, name, [str(visit.request.path_params["source_id"])])
        return visit.done("reading", path=PLACE + in_address(name))

    def _delete(self, visit: Visit) -> Response:
        name = visit.named("name")
        visit.own.access.require(name, "write")
        source = visit.catalogue.document(name, str(visit.request.path_params["source_id"]))
        delete_document(visit, source)
        return visit.done("document_deleted", path=PLACE + in_address(name))


class OriginalDesk(Desk):
    """The file of a document, as it was read."""

    def page(self, visit: Visit, wrong: Wrong | None = None) -> Response:
        """Send it to be kept, never to be shown by the browser."""
        source = visit.catalogue.document(visit.named("name"), str(visit.request.path_params["source_id"]))
        original = visit.catalogue.original(source)
        headers = attachment(file_name(source.path))
        return FileResponse(original, media_type="application/octet-stream", headers=headers)


def read_again(visit: Visit, name: str, source_ids: list[str]) -> None:
    """Have documents read again in the background; raises as :meth:`Catalogue.files_to_read_again` does."""
    _queue(visit, name, visit.catalogue.files_to_read_again(name, source_ids))


def delete_document(visit: Visit, source: StoredSource) -> None:
    """Delete a document with its file where that was uploaded."""
    visit.office.uploads.discard([visit.own.delete(source.path, collection=source.collection)])
    visit.note("document_deleted", f"{source.collection}: {source.path}")


def _queue(visit: Visit, name: str, places: list[Any]) -> None:
    into = ReadingAgain(visit.office.knowledge_base, visit.own)
    label = visit.catalogue.shelf(name).rights.label
    visit.office.jobs.start(places, collection=name, into=into, label=label, owner=visit.person.id)
    visit.note("documents_added", name)


def _selected(visit: Visit) -> list[str]:
    selected = visit.sent.every("document")
    if not selected:
        raise UsageError("no document was chosen", remedy="Choose at least one")
    return selected


def _job(visit: Visit, shelf: Shelf) -> JobState | None:
    """Return what the person's own newest job does in this collection, while it runs or when it has just ended."""
    job = visit.office.jobs.newest(visit.person.id)
    return job.state if job is not None and job.state.collection == shelf.name and shelf.may_write else None


def _row(shelf: Shelf, source: StoredSource) -> dict[str, Any]:
    folder, title = source.path.rpartition("/")[0], source.title
    return {
        "source": source,
        "name": file_name(source.path),
        "below": " · ".join(part for part in (title if title != file_name(source.path) else "", folder) if part),
        "kind": kind_of(source.path, source.media_type),
        "address": f"{PLACE}{in_address(shelf.name)}/documents/{source.source_id}",
    }


def _failure_row(visit: Visit, one: StoredFailure) -> dict[str, Any]:
    said = failure(one.code, one.error, where=one.path, language=visit.language)
    return {"path": one.path, "said": said, "at": one.at}


def _chunk_row(visit: Visit, chunk: Chunk, number: int) -> dict[str, Any]:
    locator = chunk.locator
    return {
        "number": number,
        "where": place(locator, visit.language),
        "headings": " › ".join(locator.headings),
        "context": chunk.context,
        "text": chunk.text,
        "n_tokens": chunk.n_tokens,
        "range": f"{locator.start:,}–{locator.end:,}",
    }


def addresses(visit: Visit) -> Any:
    """Return what makes the address of another page of the same list."""
    kept = [(k, v) for k, v in visit.request.query_params.multi_items() if k not in ("page", "done", "lang")]
    return lambda number: "?" + urlencode([*kept, ("page", number)])
