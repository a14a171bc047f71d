"""The chat's addresses for tests, over answers that are kept: two people, one conversation, and no page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event as Flag
from typing import Self

from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from app.admission import Admission
from app.attachments_api import attachments_router
from app.conversations import Conversations
from app.conversations_api import conversations_router
from app.keeping import HistoryKeeper
from app.knowledge_base import KnowledgeBase
from app.people.database import People
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.records import Person
from app.security import Guard, error_json
from app.sources_api import sources_router
from app.turns import TurnState
from app.uploads import Uploads
from app.web.account import account_router
from app.web.visitors import Visitors
from core.errors import CitadelError
from core.records import Answer, Event, Finished, Message, Retrieved, SearchFilter, Token
from tests.small_app import signed_in, small_house
from tests.small_people import add, answer

PATIENCE = 10


class Tells:
    """Answers every question with one answer, as the knowledge base does; waits before the end where it is told to."""

    def __init__(self, told: Answer | None = None, *, wait: Flag | None = None) -> None:
        self.told, self.wait = told, wait
        self.asked: list[tuple[str, tuple[Message, ...]]] = []

    def stream(
        self, question: str, *, history: Sequence[Message] = (), filter: SearchFilter | None = None
    ) -> Iterator[Event]:
        self.asked.append((question, tuple(history)))
        return self._events(question)

    def _events(self, question: str) -> Iterator[Event]:
        told = self.told or replace(answer(question), question=question)
        yield Retrieved(hits=told.hits)
        yield Token(text=told.text[:5])
        if self.wait:
            assert self.wait.wait(PATIENCE)
        yield Finished(answer=told)


@dataclass(frozen=True)
class Chat:
    """Two people at one server; ``ann`` administers, which opens nothing of Bob's conversations to her."""

    app: FastAPI
    kb: KnowledgeBase
    people: People
    visitors: Visitors
    conversations: Conversations
    ann: Person
    bob: Person

    def at(self, person: Person) -> TestClient:
        """Return a browser in which a person is signed in."""
        return signed_in(self.app, self.people, person)

    def own(self, person: Person) -> OwnKnowledgeBase:
        """Return what a person has of the knowledge base."""
        return self.visitors.own(person.id)

    def told(
        self, person: Person, question: str = "How long is the leave?", *, into: str = "", tells: Tells | None = None
    ) -> tuple[str, TurnState]:
        """Ask and wait for the answer; return the conversation and the turn as it ended."""
        conversation = self.conversations.get(person.id, into) if into else self.conversations.new(person.id)
        turn = conversation.ask(tells or Tells(), question, filter=SearchFilter())
        assert turn is not None
        last = list(turn.watch())[-1]
        wait_until_kept(self.people, person, last.id)
        return conversation.id, last

    def restarted(self) -> Self:
        """Return the chat as another server finds it: nothing in memory."""
        return self.over(self.kb, self.people, self.ann, self.bob)

    @classmethod
    def over(cls, kb: KnowledgeBase, people: People, ann: Person, bob: Person) -> Self:
        """Return the chat of a server that has just begun."""
        app, visitors = FastAPI(), Visitors(kb, people)
        conversations = Conversations(admission=Admission(at_once=4), keeper=HistoryKeeper(people))
        app.add_exception_handler(CitadelError, _explained)  # type: ignore[arg-type]
        app.include_router(sources_router(visitors, conversations))
        app.include_router(conversations_router(visitors, conversations))
        app.include_router(attachments_router(visitors, conversations))
        app.include_router(account_router(visitors, Uploads(kb.settings.data_dir, max_mb=1)))
        app.add_middleware(Guard, host="127.0.0.1", visitors=visitors)
        return cls(app, kb, people, visitors, conversations, ann, bob)


@contextmanager
def small_chat(data_dir: Path) -> Iterator[Chat]:
    """Give a chat over a knowledge base that is empty at first."""
    with small_house(data_dir) as (kb, people):
        yield Chat.over(kb, people, add(people, "Ann", "admin"), add(people, "Bob"))


def wait_until_kept(people: People, person: Person, turn_id: str) -> None:
    """Wait until a turn has ended in the store: a page is told of the end first."""
    from app.people.history import History

    patience = Flag()
    for _ in range(PATIENCE * 100):
        if not History(people, person).turn(turn_id).running:
            return
        patience.wait(0.01)
    raise AssertionError("the turn was not kept")


async def _explained(_: Request, error: Exception) -> object:
    assert isinstance(error, CitadelError)
    return error_json(error)
