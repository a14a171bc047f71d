"""The people of the server: who they are, what they may, where they are signed in, and who is invited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi.responses import Response

from app.catalogue import Part, part_of
from app.people.invitations import invitation_path
from app.people.records import ROLES, Group, Person
from app.web.account import device
from app.web.administration.desk import Deed, Desk, Visit, chosen
from app.web.administration.documents import addresses
from app.web.pages import Wrong
from core.errors import NotAllowed, UsageError

PLACE = "/admin/people"


class PeopleDesk(Desk):
    """Everybody with an account, and the open invitations."""

    admin = True

    def page(self, visit: Visit, wrong: Wrong | None = None, *, link: str = "") -> Response:
        """Show a page of the accounts; ``link`` is that of a new invitation, shown this once."""
        everybody = visit.office.visitors.accounts.all()
        names = {one.id: one.name for one in everybody}
        found = [one for one in everybody if all(word.casefold() in one.name.casefold() for word in visit.words)]
        invitations = [
            {
                "invitation": one,
                "made_by": names.get(one.made_by or "", ""),
                "reset_of": names.get(one.person or "", ""),
            }
            for one in visit.office.visitors.invitations.open()
        ]
        part: Part[Person] = part_of(found, visit.page_number)
        values = {
            "part": part,
            "uploaded": visit.office.visitors.attachments.quota.used_by_all(),
            "find": " ".join(visit.words),
            "roles": ROLES,
            "invitations": invitations,
            "link": link,
            "to_page": addresses(visit),
        }
        return visit.show("people.html", values, wrong)

    def deeds(self) -> Mapping[str, Deed]:
        """People can be invited, and invitations withdrawn."""
        return {"invite": self._invite, "withdraw": self._withdraw}

    def _invite(self, visit: Visit) -> Response:
        role = chosen(visit.sent["role"], ROLES)
        made_by = visit.person.id if visit.office.visitors.sign_in_required else None
        _, token = visit.office.visitors.invitations.invite(role=role, made_by=made_by)
        visit.note("person_invited", role)
        return self.page(visit, link=link_of(visit, token))

    def _withdraw(self, visit: Visit) -> Response:
        visit.office.visitors.invitations.withdraw(visit.sent["invitation"])
        visit.note("invitation_withdrawn")
        return visit.done("withdrawn")


class PersonDesk(Desk):
    """One person's account."""

    admin = True

    def page(self, visit: Visit, wrong: Wrong | None = None, *, link: str = "") -> Response:
        """Show the account; ``link`` is that for a new password, shown this once."""
        one = self._one(visit)
        token = visit.request.state.token if one.id == visit.person.id else ""
        sessions = [
            {"session": session, "device": device(session.user_agent, visit.language)}
            for session in visit.office.visitors.sessions.of(one.id, token=token)
        ]
        values: dict[str, Any] = {
            "one": one,
            "myself": one.id == visit.person.id,
            "roles": ROLES,
            "sessions": sessions,
            "groups": [(group, one.id in group.members) for group in visit.office.groups.all()],
            "owned": [shelf.label for shelf in visit.own.shelves() if shelf.owner == one.id],
            "link": link,
        }
        return visit.show("person.html", values, wrong)

    def deeds(self) -> Mapping[str, Deed]:
        """The account's role, groups, password, sessions and end can be decided."""
        return {
            "role": self._role,
            "groups": self._groups,
            "disable": self._disable,
            "enable": self._enable,
            "reset": self._reset,
            "session": self._session,
            "sessions": self._sessions,
            "delete": self._delete,
        }

    def _one(self, visit: Visit) -> Person:
        return visit.office.visitors.accounts.get(str(visit.request.path_params["person_id"]))

    def _role(self, visit: Visit) -> Response:
        one = self._one(visit)
        visit.office.visitors.accounts.set_role(one.id, chosen(visit.sent["role"], ROLES))
        visit.note("role_changed", one.id)
        return visit.done("role")

    def _groups(self, visit: Visit) -> Response:
        one, wanted = self._one(visit), visit.sent.every("group")
        for group in visit.office.groups.all():
            if (group.id in wanted) == (one.id in group.members):
                continue
            change = visit.office.groups.join if group.id in wanted else visit.office.groups.leave
            change(group.id, one.id)
            visit.note("group_changed", group.id)
        return visit.done("groups")

    def _disable(self, visit: Visit) -> Response:
        one = self._another(visit)
        visit.office.visitors.accounts.disable(one.id)
        visit.note("person_disabled", one.id)
        return visit.done("disabled")

    def _enable(self, visit: Visit) -> Response:
        one = self._one(visit)
        visit.office.visitors.accounts.enable(one.id)
        visit.note("person_enabled", one.id)
        return visit.done("enabled")

    def _reset(self, visit: Visit) -> Response:
        one = self._one(visit)
        made_by = visit.person.id if visit.office.visitors.sign_in_required else None
        _, token = visit.office.visitors.invitations.offer_reset(one.id, made_by=made_by)
        visit.note("reset_offered", one.id)
        return self.page(visit, link=link_of(visit, token))

    def _session(self, visit: Visit) -> Response:
        one = self._one(visit)
        visit.office.visitors.sessions.revoke(one.id, visit.sent["session"])
        visit.note("session_revoked", one.id)
        return visit.done("session")

    def _sessions(self, visit: Visit) -> Response:
        one = self._one(visit)
        kept = visit.request.state.token if one.id == visit.person.id else ""
        visit.office.visitors.sessions.revoke_all(one.id, but_token=kept)
        visit.note("session_revoked", one.id)
        return visit.done("sessions")

    def _delete(self, visit: Visit) -> Response:
        one = self._another(visit)
        if visit.sent["typed"].strip() != one.name:
            raise UsageError("this is not the person's name", remedy="Type it as it stands above")
        visit.office.visitors.accounts.delete(one.id)
        visit.office.uploads.forget(one.id)
        visit.office.visitors.attachments.sweep()
        visit.note("person_deleted", one.id)
        return visit.done("person_deleted", path=PLACE)

    def _another(self, visit: Visit) -> Person:
        """Return the person of the page, who is not the one that asks: nobody locks themselves out by mistake."""
        one = self._one(visit)
        if one.id == visit.person.id:
            raise NotAllowed("this is your own account", remedy="Another administrator can do this")
        return one


class GroupsDesk(Desk):
    """The groups of people."""

    admin = True

    def page(self, visit: Visit, wrong: Wrong | None = None) -> Response:
        """Show them with their members."""
        names = {one.id: one.name for one in visit.office.visitors.accounts.all()}
        groups = [
            {
                "group": group,
                "members": [(member, names[member]) for member in group.members if member in names],
            }
            for group in visit.office.groups.all()
        ]
        shown = {"groups": groups, "everybody": list(names.values()), "name": visit.sent["name"]}
        return visit.show("groups.html", shown, wrong)

    def deeds(self) -> Mapping[str, Deed]:
        """Groups can be made, named, filled and deleted."""
        return {
            "add": self._add,
            "rename": self._rename,
            "join": self._join,
            "leave": self._leave,
            "delete": self._delete,
        }

    def _add(self, visit: Visit) -> Response:
        return _changed(visit, visit.office.groups.add(visit.sent["name"]), done="group_made")

    def _rename(self, visit: Visit) -> Response:
        return _changed(visit, visit.office.groups.rename(visit.sent["group"], visit.sent["name"]), done="renamed")

    def _join(self, visit: Visit) -> Response:
        person = visit.office.visitors.accounts.named(visit.sent["name"])
        return _changed(visit, visit.office.groups.join(visit.sent["group"], person.id), done="joined")

    def _leave(self, visit: Visit) -> Response:
        return _changed(visit, visit.office.groups.leave(visit.sent["group"], visit.sent["person"]), done="left")

    def _delete(self, visit: Visit) -> Response:
        group = visit.office.groups.get(visit.sent["group"])
        if visit.sent["typed"].strip() != group.name:
            raise UsageError("this is not the group's name", remedy="Type it as it stands above")
        visit.office.groups.delete(group.id)
        return _changed(visit, group, done="group_deleted")


def _changed(visit: Visit, group: Group, *, done: str) -> Response:
    """Note that a group was changed, and lead back to the page."""
    visit.note("group_changed", group.id)
    return visit.done(done)


def link_of(visit: Visit, token: str) -> str:
    """Return the whole address of an invitation, as whoever gets it opens it."""
    return f"{str(visit.request.base_url).rstrip('/')}{invitation_path(token)}"
