"""What is only looked at: the audit log, the settings and the models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi.responses import Response

from app.model_list import registered, trained
from app.people.records import ROLES, AuditEntry
from app.setting_texts import SETTING_TEXTS
from app.web.administration.desk import ACTIONS, Desk, Visit
from app.web.pages import Wrong
from core.settings import CONFIG_FILE, LoadedSettings

_ROWS = 50
_ON_PERSONS = ("person_", "password_", "role_", "reset_", "session_", "data_")


class AuditDesk(Desk):
    """Who did what, newest first."""

    admin = True

    def page(self, visit: Visit, wrong: Wrong | None = None) -> Response:
        """Show a part of the log."""
        asked = visit.request.query_params
        who, what = asked.get("who", ""), asked.get("what", "")
        action = next((one for one in ACTIONS if one == what), None)
        after = asked.get("after", "")
        found = visit.office.visitors.audit.newest(visit.person, n=_ROWS, after=after, person=who, action=action)
        everybody = visit.office.visitors.accounts.all()
        names = {one.id: one.name for one in everybody}
        labels = {shelf.name: shelf.label for shelf in visit.own.shelves()}
        groups = {group.id: group.name for group in visit.office.groups.all()}
        kept = [("who", who), ("what", what)]
        values = {
            "entries": [_entry(visit, entry, names | groups, labels) for entry in found.items],
            "who": who,
            "what": action or "",
            "everybody": everybody,
            "actions": sorted((visit.say(f"action.{one}"), one) for one in ACTIONS),
            "older": f"?{urlencode([*kept, ('after', found.next)])}" if found.next else "",
            "newest": f"?{urlencode(kept)}" if after else "",
        }
        return visit.show("audit.html", values, wrong)


class SettingsDesk(Desk):
    """Every setting, as it is."""

    admin = True

    def page(self, visit: Visit, wrong: Wrong | None = None) -> Response:
        """Show value, origin and meaning of each."""
        kb = visit.office.knowledge_base
        groups: dict[str, list[dict[str, Any]]] = {}
        for name, value, origin, meaning in LoadedSettings(settings=kb.settings, origins=kb.origins).rows():
            groups.setdefault(name.rpartition(".")[0], []).append(
                {
                    "name": name,
                    "value": value,
                    "origin": origin,
                    "meaning": SETTING_TEXTS[name] if visit.language == "zh" else meaning,
                    "by_default": origin == "default",
                }
            )
        return visit.show("settings.html", {"groups": groups, "file": CONFIG_FILE}, wrong)


class ModelsDesk(Desk):
    """The models that are here."""

    admin = True

    def page(self, visit: Visit, wrong: Wrong | None = None) -> Response:
        """Show those of the registry and those that were trained, and which are in use."""
        settings = visit.office.knowledge_base.settings
        values = {
            "registered": registered(settings),
            "trained": trained(settings),
            "generator": settings.generator,
            "models_dir": str(settings.models_dir),
        }
        return visit.show("models.html", values, wrong)


def _entry(visit: Visit, entry: AuditEntry, names: Mapping[str, str], labels: Mapping[str, str]) -> dict[str, Any]:
    """Return an entry with its target as people call it, where it still exists."""
    target = entry.target
    if entry.action == "person_invited":
        target = visit.say(f"role.{target}") if target in ROLES else ""
    elif entry.action.startswith(_ON_PERSONS) or entry.action == "group_changed":
        target = names.get(target, visit.say("audit.gone") if target else "")
    elif entry.action.startswith(("collection_", "documents_")):
        target = labels.get(target, target)
    return {"entry": entry, "target": target, "said": visit.say(f"action.{entry.action}")}
