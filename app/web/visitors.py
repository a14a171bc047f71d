"""Who is behind a request, and what of the knowledge base is theirs."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from app.attachments import Attachments
from app.people.accounts import Accounts
from app.people.audit import Audit
from app.people.database import People
from app.people.invitations import Invitations
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.records import Person
from app.people.sessions import Sessions
from core.errors import SignInNeeded, UnknownPerson

if TYPE_CHECKING:
    from app.knowledge_base import KnowledgeBase

_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,64}")
_CODE_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is taken for another
_CODE_GROUPS = 4


class Visitors:
    """The persons of a server: recognizes them by their sessions and gives each their own knowledge base.

    Args:
        knowledge_base: The knowledge base, whole.
        people: The file of people.
    """

    def __init__(self, knowledge_base: KnowledgeBase, people: People) -> None:
        serve = knowledge_base.settings.serve
        self.people = people
        self.accounts, self.sessions = Accounts(people), Sessions(people, serve)
        self.invitations, self.audit = Invitations(people), Audit(people)
        self.sign_in_required = serve.sign_in == "required"
        self.language_setting = serve.language
        self.session_days = serve.session_days
        self.code = "-".join("".join(secrets.choice(_CODE_LETTERS) for _ in range(4)) for _ in range(_CODE_GROUPS))
        self.attachments = Attachments(knowledge_base, people, own=self.own)
        self._kb = knowledge_base
        self._has_admin = False
        self._everybody = None if self.sign_in_required else self.accounts.of_this_machine()

    def recognize(self, token: str) -> Person | None:
        """Return whose session this is; where nobody signs in, everybody is the administrator of this machine."""
        if self._everybody is not None:
            return self._everybody
        return self.sessions.resolve(token) if _TOKEN.fullmatch(token) else None

    def awaits_admin(self) -> bool:
        """Return whether this is the first start: nobody can sign in and administer."""
        if self.sign_in_required and not self._has_admin:
            self._has_admin = self.accounts.has_admin()  # once there is one, there always is
            return not self._has_admin
        return False

    def own(self, person_id: str | None) -> OwnKnowledgeBase:
        """Return the knowledge base as a person has it.

        Raises:
            SignInNeeded: There is no such person, or no longer.
        """
        if person_id:
            try:
                return OwnKnowledgeBase(self._kb, self.people, self.accounts.get(person_id))
            except UnknownPerson:
                pass
        raise SignInNeeded("nobody is signed in", remedy="Sign in and try again")
