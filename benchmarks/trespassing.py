"""Doors at which one person asks for what is another's, each with an id that is really theirs, as a thief would.

A door returns all that it said, and what it did: ``refused``, or ``opened`` where it gave or changed something. Ids and
names that are sent hold no canary, so that an echo of them is none.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from benchmarks.serving import Client

REFUSED, OPENED = "refused", "opened"
Door = Callable[[Client, "Prey"], tuple[str, str]]


@dataclass
class Prey:
    """What a person has that others might ask for; what is listed grows as they are answered."""

    person_id: str
    collection: str
    source_ids: list[str]
    uploads: list[str] = field(default_factory=list)
    attachments: list[str] = field(default_factory=list)
    conversations: list[str] = field(default_factory=list)
    turns: list[str] = field(default_factory=list)
    passages: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)

    def one(self, dice: random.Random) -> Prey | None:
        """Return one of each kind, None as long as nothing was answered."""
        lists = {name: getattr(self, name) for name in _LISTS}
        if not all(lists.values()):
            return None
        return Prey(self.person_id, self.collection, **{name: [dice.choice(found)] for name, found in lists.items()})


_LISTS = ("source_ids", "uploads", "attachments", "conversations", "turns", "passages", "sessions")


def _session() -> str:
    return secrets.token_urlsafe(9)


def _addresses(client: Client, *addresses: str, method: str = "GET", **sent: Any) -> tuple[str, str]:
    answered = [client.http.request(method, address, **sent) for address in addresses]
    is_open = any(each.is_success for each in answered)
    return "\n".join(each.text for each in answered), OPENED if is_open else REFUSED


def _together(*tried: tuple[str, str]) -> tuple[str, str]:
    return "".join(text for text, _ in tried), OPENED if any(how == OPENED for _, how in tried) else REFUSED


def collection_asked(client: Client, prey: Prey) -> tuple[str, str]:
    """Ask in another's collection alone."""
    sent = client.send("ask", "What is the code? 代码是什么？", [prey.collection], None, session=_session())
    return sent.text, OPENED if "data-open" in sent.text else REFUSED


def conversation_opened(client: Client, prey: Prey) -> tuple[str, str]:
    """Have another's conversation shown, as by a click, and as by the address of the page."""
    clicked = client.send("open", session=_session(), conversation=prey.conversations[0])
    loaded = client.send("load", session=_session(), query={"c": prey.conversations[0]})
    text = clicked.text + loaded.text
    return text, OPENED if prey.conversations[0] in text or prey.turns[0] in text else REFUSED


def answer_asked_again(client: Client, prey: Prey) -> tuple[str, str]:
    """Have another's question answered anew, edited."""
    sent = client.send("ask_again", [], None, session=_session(), turn=prey.turns[0], question="What is the code?")
    is_open = prey.turns[0] in sent.text or prey.conversations[0] in sent.text
    return sent.text, OPENED if is_open else REFUSED


def session_listened_to(client: Client, prey: Prey) -> tuple[str, str]:
    """Listen to another's page, and speak in it."""
    spoken = client.join("begin", session=prey.sessions[0])
    text, is_open = spoken.text, spoken.is_success
    for place in (f"queue/data?session_hash={prey.sessions[0]}", f"heartbeat/{prey.sessions[0]}"):
        with client.http.stream("GET", f"/{client.language}/gradio_api/{place}") as heard:
            is_open = is_open or heard.is_success
            text += "" if heard.is_success else heard.read().decode()  # one that is open may never end
    return text, OPENED if is_open else REFUSED


def upload_read(client: Client, prey: Prey) -> tuple[str, str]:
    """Read a file that another has sent, and have it added to one's own."""
    path = prey.uploads[0]
    file = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "plan.txt"}
    added = client.join("upload", [file], "mine", session=_session())
    text, how = _addresses(client, f"/{client.language}/gradio_api/file={path}")
    return added.text + text, OPENED if added.is_success else how


def attachment_touched(client: Client, prey: Prey) -> tuple[str, str]:
    """Put something else in the place of a file that another has attached, and remove it."""
    place = prey.attachments[0]
    listed = _addresses(client, place.rpartition("/")[0])
    put = _addresses(client, f"{place}/content", method="PUT", content=b"mine")
    removed = _addresses(client, place, method="DELETE")
    return _together(listed, put, removed)


def passage_read(client: Client, prey: Prey) -> tuple[str, str]:
    """Open the source of another's answer."""
    return _addresses(client, *(f"/api/passages/{prey.passages[0]}?lang={language}" for language in ("en", "zh")))


def document_read(client: Client, prey: Prey) -> tuple[str, str]:
    """Open another's document: its pages, its file and its passages."""
    source, shelf = prey.source_ids[0], quote(prey.collection, safe="")
    return _addresses(
        client,
        f"/api/pages/{source}/1.png",
        f"/api/sources/{source}/original",
        f"/collections/{shelf}/documents/{source}",
        f"/collections/{shelf}/documents/{source}/original",
    )


def collection_looked_at(client: Client, prey: Prey) -> tuple[str, str]:
    """Have another's collection listed."""
    shelf = quote(prey.collection, safe="")
    text, how = _addresses(
        client, f"/collections/{shelf}", f"/collections/{shelf}?failed", f"/collections/{shelf}/sharing"
    )
    looked = client.send("look", prey.collection, "", session=_session())
    return text + looked.text, OPENED if any(source in looked.text for source in prey.source_ids) else how


def document_deleted(client: Client, prey: Prey) -> tuple[str, str]:
    """Delete another's document; anything but the refusal counts as done."""
    sent = client.send("remove", session=_session(), source="plain-name.md", collection=prey.collection)
    is_refused = "no such collection" in sent.text or "没有" in sent.text
    return sent.text, REFUSED if is_refused else OPENED


def conversation_kept(client: Client, prey: Prey) -> tuple[str, str]:
    """Export another's conversation, and list its files."""
    place = f"/api/conversations/{prey.conversations[0]}"
    return _addresses(client, f"{place}.md", f"{place}.json", f"{place}/attachments")


def conversation_changed(client: Client, prey: Prey) -> tuple[str, str]:
    """Name another's conversation, attach to it and delete it."""
    place = f"/api/conversations/{prey.conversations[0]}"
    named = _addresses(client, place, method="PATCH", json={"title": "mine"})
    attached = _addresses(
        client, f"{place}/attachments", method="POST", json={"files": [{"name": "mine.txt", "size": 4}]}
    )
    deleted = _addresses(client, place, method="DELETE")
    return _together(named, attached, deleted)


def rating_given(client: Client, prey: Prey) -> tuple[str, str]:
    """Look at the rating of another's answer, give one and take it back."""
    place = f"/api/turns/{prey.turns[0]}/rating"
    looked = _addresses(client, f"{place}?form=true")
    given = _addresses(client, place, method="PUT", json={"verdict": "up"})
    taken = _addresses(client, place, method="DELETE")
    return _together(looked, given, taken)


def administration_entered(client: Client, prey: Prey) -> tuple[str, str]:
    """Open the pages of administrators, on which others' questions and names stand."""
    sections = (
        "people",
        f"people/{prey.person_id}",
        "audit",
        "feedback",
        "feedback/training.jsonl",
        "usage",
        "storage",
    )
    return _addresses(client, *(f"/admin/{section}" for section in sections))


DOORS: tuple[Door, ...] = (
    collection_asked,
    conversation_opened,
    answer_asked_again,
    session_listened_to,
    upload_read,
    attachment_touched,
    passage_read,
    document_read,
    collection_looked_at,
    document_deleted,
    conversation_kept,
    conversation_changed,
    rating_given,
    administration_entered,
)
