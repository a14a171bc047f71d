"""Write the answers of a trial: one side after the other, each by models that are opened for it and freed again."""

from __future__ import annotations

from collections.abc import Sequence

from app.background import Background, Chore, Unhurried
from app.evaluations import UNTOLD, telling
from app.knowledge_base import KnowledgeBase
from app.pacing import Busy
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.records import Person
from app.services import Services
from app.trials import SIDES, Side, SideName, Trial, Trials
from core.errors import AlreadyRunning, InvalidSetting
from core.records import SearchFilter
from core.settings import Settings, changed, setting_fields

# The embedder made the stored vectors, and the rest is not about answers.
CHANGEABLE = ("retrieval", "generator", "reader", "answer")


def side_of(settings: Settings, changes: Sequence[str]) -> Side:
    """Return a side of a trial: the settings with some changed.

    Raises:
        UnknownSetting, InvalidSetting: A change is none, or of what a trial leaves alone.
    """
    for change in changes:
        name = change.partition("=")[0].strip()
        if name in setting_fields() and (not _is_changeable(name) or name in UNTOLD):
            raise InvalidSetting(
                "a trial cannot change this", where=name, remedy=f"Change one of {', '.join(CHANGEABLE)}"
            )
    made = changed(settings, changes)
    written = tuple(f"{name}={value}" for name, value in telling(made).items() if _is_changeable(name))
    return Side(changes=tuple(changes), settings=written)


def _is_changeable(name: str) -> bool:
    return name.partition(".")[0] in CHANGEABLE


class TrialAnswers:
    """What writes the answers of trials in the background.

    Args:
        background: Where it is done.
        answers: What tells whether answers are written for people.
    """

    def __init__(self, background: Background, answers: Busy) -> None:
        self._background, self._answers = background, answers

    def begin(self, trials: Trials, trial: Trial, *, own: OwnKnowledgeBase, person: Person) -> Chore:
        """Write the answers that a trial still lacks.

        Args:
            trials: The trials, as the administrator who asks for it has them.
            trial: Which.
            own: The knowledge base as they have it.
            person: They.

        Raises:
            AlreadyRunning: They are being written.
        """
        if self._background.running("trial", trial.id):
            raise AlreadyRunning("the answers are being written", remedy="Wait until they are, or cancel it")

        def work(chore: Chore) -> None:
            for name in SIDES:
                settings = changed(own.settings, trial.side(name).settings)
                self._write(trials, trial, name, settings=settings, own=own, person=person, chore=chore)

        missing = 2 * trial.n_questions - trial.n_answers
        return self._background.start(work, kind="trial", subject=trial.id, total=missing)

    def _write(
        self,
        trials: Trials,
        trial: Trial,
        name: SideName,
        *,
        settings: Settings,
        own: OwnKnowledgeBase,
        person: Person,
        chore: Chore,
    ) -> None:
        missing = trials.unanswered(trial.id, name)
        if not missing or chore.stop.is_set():
            return
        asked, scope = Unhurried(self._answers, chore.stop), SearchFilter(collections=trial.scope)
        with KnowledgeBase(Services(settings)) as opened:
            side = OwnKnowledgeBase(opened, own.access.people, person)
            for place, question in missing:
                answer = asked.ask(side, question, filter=scope)
                if answer is None:
                    return
                trials.keep(trial.id, place, name, answer)
                chore.step()
