"""Which page stands where."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse, Response

from app.folders import Allowed, Folders
from app.jobs import Jobs
from app.reading_again import KeepingInStep
from app.upkeep import Upkeep
from app.uploads import Uploads
from app.web.administration.collections import CollectionsDesk, SharingDesk
from app.web.administration.desk import SCRIPT, STYLE, Desk, NoSuchPage, Office, Visit, answering
from app.web.administration.documents import DocumentDesk, DocumentsDesk, OriginalDesk
from app.web.administration.folders_page import FoldersDesk
from app.web.administration.people import GroupsDesk, PeopleDesk, PersonDesk
from app.web.administration.records import AuditDesk, ModelsDesk, SettingsDesk
from app.web.administration.storage import StorageDesk
from app.web.pages import Wrong
from app.web.visitors import Visitors

if TYPE_CHECKING:
    from app.knowledge_base import KnowledgeBase


class Nothing(Desk):
    """Every other address below ours: what is not there looks like what is not shown."""

    def page(self, visit: Visit, wrong: Wrong | None = None) -> Response:
        """Say that there is no such page."""
        raise NoSuchPage


DESKS: tuple[tuple[str, Desk], ...] = (
    ("/collections/", CollectionsDesk()),
    ("/collections/{name}", DocumentsDesk()),
    ("/collections/{name}/sharing", SharingDesk()),
    ("/collections/{name}/documents/{source_id}", DocumentDesk()),
    ("/collections/{name}/documents/{source_id}/original", OriginalDesk()),
    ("/admin/people", PeopleDesk()),
    ("/admin/people/{person_id}", PersonDesk()),
    ("/admin/groups", GroupsDesk()),
    ("/admin/storage", StorageDesk()),
    ("/admin/folders", FoldersDesk()),
    ("/admin/models", ModelsDesk()),
    ("/admin/settings", SettingsDesk()),
    ("/admin/audit", AuditDesk()),
)


def open_office(
    kb: KnowledgeBase, visitors: Visitors, *, uploads: Uploads, jobs: Jobs, folders_everywhere: bool
) -> Office:
    """Return what is open behind the pages; its folders are looked at once they are started.

    Args:
        kb: The knowledge base, whole.
        visitors: The persons of the server.
        uploads: Where uploaded files lie.
        jobs: The ingests of this server.
        folders_everywhere: Whether any folder may be followed, as where the server is reached from this machine alone.
    """
    settings = kb.settings
    machine = visitors.own(visitors.accounts.of_this_machine().id)
    roots = [Path(root) for root in settings.serve.folder_roots]
    folders = Folders(
        settings.data_dir,
        allowed=Allowed(everywhere=folders_everywhere, roots=roots, data_dir=settings.data_dir),
        into=KeepingInStep(machine),
        has_collection=lambda name: name in machine.collections(),
        minutes=settings.serve.folder_minutes,
    )
    return Office(
        knowledge_base=kb,
        visitors=visitors,
        uploads=uploads,
        jobs=jobs,
        folders=folders,
        upkeep=Upkeep(kb, visitors.people),
    )


def administration_router(office: Office) -> APIRouter:
    """Return the pages under ``/collections/`` and ``/admin/``; include it after all others that stand there."""
    router = APIRouter(include_in_schema=False)
    for asset in (STYLE, SCRIPT):
        _add_asset(router, asset)
    router.add_route("/collections", _lead("/collections/"))
    for path in ("/admin", "/admin/"):
        router.add_route(path, _lead("/admin/people"))
    for path, desk in DESKS:
        router.add_route(path, answering(office, desk), methods=["GET", "POST"])
    for path in ("/collections/{rest:path}", "/admin/{rest:path}"):
        router.add_route(path, answering(office, Nothing()), methods=["GET", "POST"])
    return router


def nothing_here(office: Office) -> Callable[[Request, Exception], Awaitable[Response]]:
    """Return what answers where there is nothing: a page to whoever looks for one, a line to a program."""
    page = answering(office, Nothing())

    async def answer(request: Request, _: Exception) -> Response:
        looks = request.method == "GET" and "text/html" in request.headers.get("accept", "")
        if looks and getattr(request.state, "person", None) is not None:
            return await page(request)
        return JSONResponse({"detail": "Not Found"}, status_code=404)

    return answer


def _lead(path: str) -> Callable[[Request], Response]:
    def lead(_: Request) -> Response:
        return RedirectResponse(path, status_code=303)

    return lead


def _add_asset(router: APIRouter, path: Path) -> None:
    @router.get(f"/assets/{path.name}")
    def asset() -> FileResponse:
        return FileResponse(path, headers={"Cache-Control": "no-cache"})
