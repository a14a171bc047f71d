"""Who there is and what they may: the records of people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from core.errors import CitadelError
from core.interfaces import StoredSource
from core.records import Answer, Message

Role = Literal["admin", "editor", "reader"]  # administers; makes and fills collections; asks
ROLES: tuple[Role, ...] = ("admin", "editor", "reader")
Level = Literal["read", "write"]
Right = Literal["read", "write", "own"]

Stage = Literal["searching", "reading", "writing", "finished", "stopped", "failed"]
RUNNING: tuple[Stage, ...] = ("searching", "reading", "writing")
Verdict = Literal["up", "down"]
Reason = Literal["wrong", "incomplete", "wrong_source", "should_have_refused", "should_have_answered"]
REASONS: tuple[Reason, ...] = ("wrong", "incomplete", "wrong_source", "should_have_refused", "should_have_answered")
ReviewState = Literal["open", "example", "case", "dismissed"]

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who signs in; ``created`` in seconds since the epoch, as all times here."""

    id: str
    name: str
    role: Role
    disabled: bool
    created: float

    @property
    def is_admin(self) -> bool:
        """Whether the person administers."""
        return self.role == "admin" and not self.disabled


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Persons who are granted things together; ``members`` are ids."""

    id: str
    name: str
    members: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser in which a person is signed in; ``current`` is the one that asked."""

    id: str
    created: float
    seen: float
    expires: float
    user_agent: str
    address: str
    current: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """A link that makes one account, or lets ``person`` choose a new password."""

    id: str
    role: Role
    person: str | None
    made_by: str | None
    created: float
    expires: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A right to a collection, given to a person or to a group; ``name`` is theirs."""

    kind: Literal["person", "group"]
    id: str
    name: str
    level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """A collection that holds documents: how many, and the one that was read last; a change of it changes one."""

    name: str
    n_documents: int
    newest: StoredSource


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionRights:
    """A collection as one person sees it: ``name`` is what programs use, ``label`` what people read.

    ``owner`` is a person's id and ``owner_name`` theirs, both "" for a collection that belongs to nobody.
    """

    name: str
    label: str
    right: Right
    owner: str = ""
    owner_name: str = ""
    public: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """A conversation of one person's; ``scope`` are the collections it asks, () all that the person may read."""

    id: str
    title: str
    scope: tuple[str, ...]
    created: float
    updated: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTurn:
    """A question and what became of it: ``text`` as far as it was kept, ``answer`` the whole once finished.

    ``cut_off`` tells that the server ended before the answer had. ``verdict`` is the person's own.
    """

    id: str
    conversation: str
    question: str
    stage: Stage
    text: str
    scope: tuple[str, ...]
    started: float
    answer: Answer | None = None
    error: CitadelError | None = None
    verdict: Verdict | None = None
    cut_off: bool = False

    @property
    def running(self) -> bool:
        """Whether more is to come."""
        return self.stage in RUNNING


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A conversation in which words were found; ``turn`` is where, "" for its title, and ``snippet`` shows it."""

    conversation: Conversation
    turn: str
    snippet: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenRating:
    """What a person thinks of an answer, as that person sees it."""

    verdict: Verdict
    reason: Reason | None = None
    corrected: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """What a person thought of an answer, with the question, the passages and the answer as they were.

    ``person`` is "" once the rater is gone or the rating became an example; ``decided_by`` is a person's id.
    """

    id: str
    person: str
    person_name: str
    question: str
    history: tuple[Message, ...]
    answer: Answer
    verdict: Verdict
    reason: Reason | None
    corrected: str
    state: ReviewState
    decided_by: str
    decided: float | None
    created: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """Something that was done: by whom ("" nobody known), what, on what, when and from where."""

    id: int
    at: float
    person: str
    person_name: str
    action: str
    target: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds within which half and 95 in a hundred of the answers came; None without answers."""

    p50_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What was asked on a day, "" for all of them together, and how it went.

    ``questions`` counts what was asked, ``answered`` what was answered or refused; sentences are those of answers.
    """

    day: str
    questions: int
    answered: int
    refusals: int
    sentences: int
    unsupported: int
    thumbs_up: int
    thumbs_down: int
    first_text: Latency
    whole: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[Item]):
    """A part of a long list; ``next`` is given back to get the part after it, "" at the end."""

    items: Sequence[Item]
    next: str = ""
