"""The collections that a person sees, and how one is made, named, shared, handed over and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.responses import Response

from app.people.records import Grant
from app.web.administration.desk import Deed, Desk, Visit, chosen
from app.web.administration.words import in_address
from app.web.pages import Wrong
from core.errors import UsageError

PLACE = "/collections/"


class CollectionsDesk(Desk):
    """All collections of a person."""

    def page(self, visit: Visit, wrong: Wrong | None = None) -> Response:
        """Show them, with what they hold."""
        shelves = visit.catalogue.shelves()
        values = {
            "shelves": [(shelf, PLACE + in_address(shelf.name)) for shelf in shelves],
            "may_make": visit.own.access.role in ("admin", "editor"),
            "label": visit.sent["label"],
        }
        return visit.show("collections.html", values, wrong)

    def deeds(self) -> Mapping[str, Deed]:
        """A collection can be made."""
        return {"make": self._make}

    def _make(self, visit: Visit) -> Response:
        name = visit.own.create_collection(visit.sent["label"])
        visit.note("collection_created", name)
        return visit.done("collection_made", path=PLACE + in_address(name))


class SharingDesk(Desk):
    """One collection's name, sharing, owner and end, for whoever owns it."""

    def page(self, visit: Visit, wrong: Wrong | None = None) -> Response:
        """Show to whom it is shared."""
        name = visit.named("name")
        visit.own.access.require(name, "own")
        shelf = visit.catalogue.shelf(name)
        grants = visit.own.sharing.grants(name)
        values: dict[str, Any] = {
            "shelf": shelf,
            "place": PLACE + in_address(name),
            "grants": grants,
            "candidates": _candidates(visit, grants, owner=shelf.rights.owner),
            "owners": [one for one in visit.office.visitors.accounts.all() if one.id != shelf.rights.owner],
            "followed": _followed(visit, name),
        }
        return visit.show("sharing.html", values, wrong)

    def deeds(self) -> Mapping[str, Deed]:
        """It can be named, shared, published, handed over and deleted."""
        return {
            "rename": self._rename,
            "grant": self._grant,
            "revoke": self._revoke,
            "publish": self._publish,
            "transfer": self._transfer,
            "delete": self._delete,
        }

    def _rename(self, visit: Visit) -> Response:
        name = visit.named("name")
        visit.own.sharing.rename(name, visit.sent["label"])
        visit.note("collection_renamed", name)
        return visit.done("renamed")

    def _grant(self, visit: Visit) -> Response:
        name, level = visit.named("name"), chosen(visit.sent["level"], ("read", "write"))
        visit.own.sharing.grant(name, level, **_whom(visit.sent["whom"]))
        visit.note("collection_shared", name)
        return visit.done("shared")

    def _revoke(self, visit: Visit) -> Response:
        name = visit.named("name")
        visit.own.sharing.revoke(name, **_whom(visit.sent["whom"]))
        visit.note("collection_shared", name)
        return visit.done("unshared")

    def _publish(self, visit: Visit) -> Response:
        name, public = visit.named("name"), visit.sent["public"] == "yes"
        visit.own.sharing.publish(name, public)
        visit.note("collection_shared", name)
        return visit.done("published" if public else "unpublished")

    def _transfer(self, visit: Visit) -> Response:
        name, whom = visit.named("name"), visit.sent["owner"]
        visit.own.sharing.transfer(name, whom)
        visit.note("collection_transferred", name)
        still = visit.own.access.right(name)
        return visit.done("transferred", path=PLACE + in_address(name) if still else PLACE)

    def _delete(self, visit: Visit) -> Response:
        name = visit.named("name")
        visit.own.access.require(name, "own")
        if visit.sent["typed"].strip() != visit.catalogue.shelf(name).rights.label:
            raise UsageError("this is not the collection's name", remedy="Type it as it stands above")
        visit.office.uploads.discard(visit.own.delete_collection(name))
        visit.office.uploads.discard_collection(name)
        visit.note("collection_deleted", name)
        return visit.done("collection_deleted", path=PLACE)


def _candidates(visit: Visit, grants: list[Grant], *, owner: str) -> list[tuple[str, str, str]]:
    """Return (value, kind, name) of the persons and groups that a collection can be shared with still."""
    taken = {(grant.kind, grant.id) for grant in grants} | {("person", owner)}
    groups = [("group", group.id, group.name) for group in visit.office.groups.all()]
    persons = [("person", one.id, one.name) for one in visit.office.visitors.accounts.all() if not one.disabled]
    return [(f"{kind}:{one}", kind, name) for kind, one, name in [*groups, *persons] if (kind, one) not in taken]


def _followed(visit: Visit, name: str) -> list[str]:
    """Return the folders that fill a collection, for administrators: others know no path of the server."""
    if visit.own.access.role != "admin":
        return []
    return [folder.path for folder in visit.office.folders.all() if folder.collection == name]


def _whom(value: str) -> dict[str, str]:
    kind, _, one = value.partition(":")
    if kind not in ("person", "group") or not one:
        raise UsageError("nobody was chosen", remedy="Choose a person or a group")
    return {kind: one}
