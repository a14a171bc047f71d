"""Folders that are followed: which, into what, and what the last look at each came to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.responses import Response

from app.folders import Folder
from app.web.administration.desk import Deed, Desk, Visit
from app.web.administration.words import failure
from app.web.pages import Wrong
from ingest.reports import STATUSES


class FoldersDesk(Desk):
    """The followed folders."""

    admin = True

    def page(self, visit: Visit, wrong: Wrong | None = None) -> Response:
        """Show them."""
        shelves = visit.own.shelves()
        labels = {shelf.name: shelf.label for shelf in shelves}
        folders = visit.office.folders
        values = {
            "folders": [_row(visit, folder, labels) for folder in folders.all()],
            "shelves": shelves,
            "minutes": visit.office.knowledge_base.settings.serve.folder_minutes,
            "everywhere": folders.allowed.everywhere,
            "roots": [str(root) for root in folders.allowed.roots],
            "typed": {"path": visit.sent["path"], "collection": visit.sent["collection"]},
        }
        return visit.show("folders.html", values, wrong)

    def deeds(self) -> Mapping[str, Deed]:
        """Folders can be added, switched on and off, looked at now and removed."""
        return {
            "add": self._add,
            "on": self._switch,
            "off": self._switch,
            "look": self._look,
            "remove": self._remove,
        }

    def _add(self, visit: Visit) -> Response:
        name = visit.sent["collection"]
        visit.own.access.require(name, "write")
        folder = visit.office.folders.add(visit.sent["path"], collection=name)
        visit.office.folders.look(folder.id)
        visit.note("folder_added", f"{folder.path} -> {name}")
        return visit.done("folder_added")

    def _switch(self, visit: Visit) -> Response:
        on = visit.sent["form"] == "on"
        folder = visit.office.folders.switch(visit.sent["folder"], on=on)
        visit.note("folder_changed", folder.path)
        return visit.done("folder_on" if on else "folder_off")

    def _look(self, visit: Visit) -> Response:
        visit.office.folders.look(visit.sent["folder"])
        return visit.done("folder_looking")

    def _remove(self, visit: Visit) -> Response:
        folder = visit.office.folders.remove(visit.sent["folder"])
        visit.note("folder_removed", folder.path)
        return visit.done("folder_removed")


def _row(visit: Visit, folder: Folder, labels: Mapping[str, str]) -> dict[str, Any]:
    job, last = visit.office.folders.job(folder.id), folder.last
    stopped = ""
    if last is not None and last.error_code:
        stopped = failure(last.error_code, last.error, where=folder.path, language=visit.language)
    return {
        "folder": folder,
        "label": labels.get(folder.collection, folder.collection),
        "known": folder.collection in labels,
        "job": job.state if job else None,
        "counts": [(status, last.counts[status]) for status in STATUSES if last.counts.get(status)] if last else [],
        "stopped": stopped,
    }
