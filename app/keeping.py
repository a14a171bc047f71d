"""What the chat says is kept in the people's store: each turn when it is asked, while it is written, and at its end."""

from __future__ import annotations

from collections.abc import Sequence

from app.people.accounts import Accounts
from app.people.database import People
from app.people.history import History
from app.people.records import KeptTurn
from app.turns import TurnState
from core.errors import UnknownConversation, UnknownPerson


class HistoryKeeper:
    """Keeps the turns of conversations; an owner is the id of a person.

    Args:
        people: The file of people.
    """

    def __init__(self, people: People) -> None:
        self._people, self._accounts = people, Accounts(people)

    def keep(self, owner: str, conversation_id: str, turn: TurnState) -> None:
        """Keep a turn: called when it was asked, and again with the same id when it has ended.

        Raises:
            UnknownPerson: The owner has been deleted.
            UnknownConversation: It is another's.
        """
        history = self._history(owner)
        if turn.running:
            history.begin(
                turn.question,
                conversation=conversation_id,
                scope=turn.scope,
                turn_id=turn.id,
                anew=True,
                asked=turn.asked,
            )
        elif turn.answer is not None:
            history.finish(turn.id, turn.answer)
        elif turn.error is not None:
            history.fail(turn.id, turn.error, text=turn.text)
        else:
            history.stop(turn.id, text=turn.text)

    def note(self, owner: str, turn: TurnState) -> None:
        """Keep what was written so far of a turn; one that has ended meanwhile stays as it ended.

        Raises:
            UnknownPerson: The owner has been deleted.
        """
        self._history(owner).progress(turn.id, stage="writing", text=turn.text)

    def drop(self, owner: str, conversation_id: str, turn_ids: Sequence[str]) -> None:
        """Forget turns that are asked anew, and those that followed."""
        self._history(owner).forget(turn_ids)

    def turns(self, owner: str, conversation_id: str) -> list[TurnState]:
        """Return the turns of a conversation, oldest first, all ended; none where the owner has no such one."""
        try:
            return [state_of(turn) for turn in self._history(owner).turns(conversation_id)]
        except (UnknownConversation, UnknownPerson):
            return []

    def turn(self, owner: str, turn_id: str) -> TurnState | None:
        """Return a turn, as ended; None where the owner has no such one."""
        try:
            return state_of(self._history(owner).turn(turn_id))
        except (UnknownConversation, UnknownPerson):
            return None

    def _history(self, owner: str) -> History:
        return History(self._people, self._accounts.get(owner))


def state_of(turn: KeptTurn) -> TurnState:
    """Return a kept turn as the chat knows it; who asks here does not have it in memory, so it runs no longer."""
    return TurnState(
        id=turn.id,
        question=turn.question,
        scope=turn.scope,
        stage="stopped" if turn.running else turn.stage,
        hits=turn.answer.hits if turn.answer else (),
        text=turn.text,
        answer=turn.answer,
        error=turn.error,
        asked=turn.started,
        cut_off=turn.cut_off or turn.running,
    )
