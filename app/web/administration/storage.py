"""What lies on the disk, and the work that keeps it sound."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from fastapi.responses import Response

from app.model_list import folder_bytes
from app.upkeep import KINDS
from app.web.administration.desk import Deed, Desk, Visit, chosen
from app.web.pages import Wrong

_SHOWN_PROBLEMS = 100


class StorageDesk(Desk):
    """The data directory."""

    admin = True

    def page(self, visit: Visit, wrong: Wrong | None = None) -> Response:
        """Show what takes how much room, and what upkeep came to."""
        folder = visit.office.knowledge_base.settings.data_dir
        store = visit.office.knowledge_base.services.store
        generations = [
            {"n": one.n, "n_chunks": one.n_chunks, "bytes": sum(_bytes(path) for path, _ in one.files(folder))}
            for one in store.generations()
        ]
        held = store.collections()
        values = {
            "rows": [
                ("documents", _database_bytes(folder, "citadel.db")),
                ("people", _database_bytes(folder, "people.db")),
                ("indexes", sum(one["bytes"] for one in generations)),
                ("models", folder_bytes(folder / "models")),
                ("uploads", folder_bytes(folder / "uploads") + folder_bytes(folder / "attachments")),
            ],
            "free_bytes": shutil.disk_usage(folder).free,
            "generations": generations,
            "n_documents": sum(one.n_sources for one in held),
            "n_passages": sum(one.n_chunks for one in held),
            "kinds": KINDS,
            "states": visit.office.upkeep.states(),
            "busy": visit.office.upkeep.running,
            "shown_problems": _SHOWN_PROBLEMS,
            "data_dir": str(folder.resolve()),
        }
        return visit.show("storage.html", values, wrong)

    def deeds(self) -> Mapping[str, Deed]:
        """The store can be checked, its indexes built again, and deleted bytes scrubbed."""
        return {"upkeep": self._upkeep}

    def _upkeep(self, visit: Visit) -> Response:
        kind = chosen(visit.sent["kind"], KINDS)
        visit.office.upkeep.start(kind)
        if kind == "purge":
            visit.note("store_purged")
        elif kind == "rebuild":
            visit.note("store_rebuilt")
        else:
            visit.note("store_verified")
        return visit.done("upkeep")


def _database_bytes(folder: Path, name: str) -> int:
    return sum(_bytes(folder / f"{name}{ending}") for ending in ("", "-wal", "-shm"))


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a log that was emptied, or a file of an index that was made anew
        return 0
