"""Evaluations that administrators ran: asked in the background, and each kept as files.

```
DATA/evaluations/3/run.json        when, over what, with which settings and models, and the figures
DATA/evaluations/3/results.jsonl   each case with its scores and answer, written as it comes
```
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from app.background import Background, Chore, Unhurried
from app.cases import Case
from app.conversations import Asks
from app.evaluation import Outcome, outcome, read_outcomes
from app.pacing import Busy
from app.people.kept_answers import to_text
from app.results import summaries
from core.errors import (
    AlreadyRunning,
    CitadelError,
    UnknownCollection,
    UnknownEvaluation,
    UnknownSource,
    UsageError,
)
from core.records import Citation, SearchFilter
from core.settings import Settings, setting_fields, value_of
from ingest.wire import error_from_json, error_to_json
from llm.registry import write_durably

# What an answer depends on; the others say where and for whom.
_TELLING = ("retrieval", "embedder", "generator", "reader", "answer")
# Where a model is reached and with which key: nothing that an answer depends on, nor anybody's to read.
UNTOLD = frozenset({"generator.base_url", "generator.api_key"})

Stage = Literal["running", "finished", "cancelled", "failed", "interrupted"]


class Examined(Asks, Protocol):
    """What is evaluated: it answers, and its documents can be read to check the quotes."""

    @property
    def settings(self) -> Settings:
        """The settings it answers with."""

    def document_text(self, path: str, *, collection: str | None = None) -> str:
        """Return the whole text of a source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An evaluation: times in seconds since the epoch, ``figures`` by group as their summaries give them.

    ``cases`` names what was asked; ``collections`` are those that were looked at, () all.
    """

    n: int
    started: float
    cases: tuple[str, ...]
    n_cases: int
    settings: Mapping[str, str]
    ended: float | None = None
    stage: Stage = "running"
    collections: tuple[str, ...] = ()
    n_done: int = 0
    figures: Mapping[str, Any] = field(default_factory=dict)
    failure: Mapping[str, Any] | None = None

    @property
    def error(self) -> CitadelError | None:
        """Why it failed."""
        return error_from_json(dict(self.failure)) if self.failure else None

    @property
    def model(self) -> str:
        """The model that wrote answers."""
        return "quotes" if self.settings.get("generator.backend") == "none" else self.settings["generator.model"]


class Evaluations:
    """The evaluations of a data directory.

    Args:
        data_dir: The data directory.
        background: Where they run.
        answers: What tells whether answers are written for people.
        clock: Returns seconds since the epoch.
    """

    def __init__(
        self, data_dir: Path, background: Background, answers: Busy, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = data_dir / "evaluations"
        self._background, self._answers, self._clock = background, answers, clock

    def all(self) -> list[Run]:
        """Return every run, newest first."""
        numbers = (int(path.parent.name) for path in self._folder.glob("*/run.json") if path.parent.name.isdecimal())
        return [self.get(n) for n in sorted(numbers, reverse=True)]

    def get(self, n: int) -> Run:
        """Return a run.

        Raises:
            UnknownEvaluation: There is none of this number.
        """
        try:
            plain = json.loads((self._place(n) / "run.json").read_text("utf-8"))
        except FileNotFoundError:
            raise _unknown() from None
        run = Run(**plain | {"cases": tuple(plain["cases"]), "collections": tuple(plain["collections"])})
        goes_on = self._background.running("evaluation", str(n)) is not None
        return replace(run, stage="interrupted") if run.stage == "running" and not goes_on else run

    def outcomes(self, n: int) -> list[Outcome]:
        """Return what became of each case that was asked; none before the first is.

        Raises:
            UnknownEvaluation: There is no run of this number.
        """
        path = self.results_file(n)
        return read_outcomes(path) if path.is_file() and path.stat().st_size else []

    def results_file(self, n: int) -> Path:
        """Return the file of results of a run; raises as :meth:`get` does."""
        self.get(n)
        return self._place(n) / "results.jsonl"

    def start(
        self, knowledge_base: Examined, cases: Sequence[Case], *, names: Sequence[str], collections: Sequence[str] = ()
    ) -> Run:
        """Ask cases in the background.

        Args:
            knowledge_base: What is asked.
            cases: The cases.
            names: What they are called.
            collections: Where to look, () everywhere; a case that brings its own place keeps it.

        Raises:
            AlreadyRunning: Another evaluation runs.
            UsageError: There are no cases.
        """
        if self._background.running("evaluation"):
            raise AlreadyRunning("an evaluation runs already", remedy="Wait until it has ended, or cancel it")
        if not cases:
            raise UsageError("there is nothing to ask", remedy="Choose a file of cases, or make cases of feedback")
        run = Run(
            n=self._next_number(),
            started=self._clock(),
            cases=tuple(names),
            n_cases=len(cases),
            settings=telling(knowledge_base.settings),
            collections=tuple(collections),
        )
        self._write(run)

        def work(chore: Chore) -> None:
            self._ask(run, knowledge_base, cases, chore)

        self._background.start(work, kind="evaluation", subject=str(run.n), total=len(cases))
        return run

    def cancel(self) -> Run | None:
        """Cancel the evaluation that runs and return it; what was asked stays."""
        chore = self._background.running("evaluation")
        if chore is None:
            return None
        chore.cancel()
        run = self.get(int(chore.state.subject))
        if chore.state.stage == "cancelled":  # it never began
            self._write(replace(run, stage="cancelled", ended=self._clock()))
        return run

    def delete(self, n: int) -> None:
        """Delete a run.

        Raises:
            UnknownEvaluation: There is none of this number.
            AlreadyRunning: It has not ended.
        """
        if self.get(n).stage == "running":
            raise AlreadyRunning("it has not ended", remedy="Cancel it first")
        shutil.rmtree(self._place(n))

    # --- within ----------------------------------------------------------------------------------------------------

    def _ask(self, run: Run, knowledge_base: Examined, cases: Iterable[Case], chore: Chore) -> None:
        def source_text(citation: Citation) -> str:
            try:
                return knowledge_base.document_text(citation.source, collection=citation.collection)
            except (UnknownCollection, UnknownSource):  # deleted since the answer was written
                return ""

        everywhere, asked = SearchFilter(collections=run.collections), Unhurried(self._answers, chore.stop)
        outcomes: list[Outcome] = []
        stage: Stage = "failed"
        failure = None
        try:
            with (self._place(run.n) / "results.jsonl").open("w", encoding="utf-8") as file:
                for case in cases:
                    scope = case.filter if case.filter != SearchFilter() else everywhere
                    answer = asked.ask(knowledge_base, case.question, history=case.history, filter=scope)
                    if answer is None:
                        break
                    outcomes.append(outcome(case, answer, source_text))
                    file.write(f"{to_text(outcomes[-1].to_json())}\n")
                    file.flush()
                    chore.step()
            stage = "cancelled" if chore.stop.is_set() else "finished"
        except CitadelError as error:
            failure = error_to_json(error)
            raise
        finally:
            run = replace(run, stage=stage, ended=self._clock(), n_done=len(outcomes), failure=failure)
            groups = summaries(outcomes) if outcomes else ()
            self._write(replace(run, figures={one.group: one.to_json() for one in groups}))

    def _place(self, n: int) -> Path:
        return self._folder / str(n)

    def _next_number(self) -> int:
        taken = [int(path.name) for path in self._folder.glob("*") if path.name.isdecimal()]
        return max(taken, default=0) + 1

    def _write(self, run: Run) -> None:
        place = self._place(run.n)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_durably(place / "run.json", to_text(asdict(run)).encode())


def telling(settings: Settings) -> dict[str, str]:
    """Return what an answer depends on, by the setting's name; secrets and addresses are left out."""
    names = [name for name in setting_fields() if name.partition(".")[0] in _TELLING]
    return {name: _written(value_of(settings, name)) for name in names if name not in UNTOLD}


def _written(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _unknown() -> UnknownEvaluation:
    return UnknownEvaluation("there is no such evaluation", remedy="It may have been deleted")
