"""Blind trials: who rates sees no names, either side stands left as often, and nobody knows before the end."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app import KnowledgeBase
from app.admission import Admission
from app.background import Background, Unhurried
from app.people.accounts import Accounts
from app.people.database import People
from app.people.export import everything_about
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.records import Person
from app.trial_answers import TrialAnswers, side_of
from app.trial_rating import Seen, TrialRating
from app.trials import SIDES, Side, Trial, Trials
from app.win_rates import Vote, tally, wilson
from core.errors import AlreadyRunning, InvalidSetting, NotAllowed, UnknownCollection, UnknownTrial, UsageError
from core.records import Answer, Event, Finished, Message, Retrieved, SearchFilter, Token
from core.settings import load_settings
from indexes.store import Store
from tests.small_people import add, answer
from tests.small_store import HashingEmbedder, ingestible, open_writer

SETTINGS = ["generator.backend=none", "reader.model=none", "answer.refuse_below=0"]
QUESTIONS = ("How high is the rent?", "Who is the landlord?", "When does it end?", "Is there a garden?")


class House:
    """A knowledge base of two collections, with people: root administers, ann and bob edit, cem reads."""

    def __init__(self, kb: KnowledgeBase, people: People) -> None:
        self.kb, self.people = kb, people
        self.root = add(people, "root", "admin")
        self.ann, self.bob, self.cem = add(people, "ann", "editor"), add(people, "bob", "editor"), add(people, "cem")
        for name, text in (("open", "The rent is 84,000 EUR."), ("closed", "The landlord is Mr Vault.")):
            with Store.open(kb.settings.data_dir, writer=True) as writer:
                writer.put([ingestible(f"{name}.txt", text, collection=name)], collection=name)
        self.own(self.root).sharing.publish("open", True)

    def own(self, person: Person) -> OwnKnowledgeBase:
        return OwnKnowledgeBase(self.kb, self.people, person)

    def trials(self, person: Person | None = None) -> Trials:
        return Trials(self.own(person or self.root).access)

    def rating(self, person: Person) -> TrialRating:
        return TrialRating(self.own(person).access)

    def side(self, *changes: str) -> Side:
        return side_of(self.kb.settings, changes)

    def trial(self, *, scope: tuple[str, ...] = ("open",), n_questions: int = len(QUESTIONS)) -> Trial:
        sides = {"first": self.side("retrieval.k=1"), "second": self.side("answer.refuse_below=1")}
        return self.trials().create("Refusing", QUESTIONS[:n_questions], scope=scope, **sides)

    def answered(self, **changes: object) -> Trial:
        trial = self.trial(**changes)  # type: ignore[arg-type]
        for name in SIDES:
            for place, question in self.trials().unanswered(trial.id, name):
                self.trials().keep(trial.id, place, name, answer(question, f"By the {name}."))
        return self.trials().get(trial.id)

    def rate(self, person: Person, trial: Trial, choose: Callable[[Answer, Answer], Seen]) -> list[str]:
        """Have a person rate everything and return what stood left, in the order in which it came."""
        rating, seen = self.rating(person), []
        while (pairing := rating.next(trial.id)) is not None:
            seen.append(f"{pairing.place} {pairing.left.text}")
            rating.vote(trial.id, pairing.place, choose(pairing.left, pairing.right))
        return seen


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """The house, over models that cost nothing."""
    monkeypatch.setattr("llm.embedders.open_embedder", lambda *_, **__: HashingEmbedder())
    open_writer(tmp_path / "data").close()
    settings = load_settings(overrides=SETTINGS, data_dir=tmp_path / "data").settings
    with KnowledgeBase.open(settings=settings) as kb, People.open(tmp_path / "data") as people:
        yield House(kb, people)


def first_wins(left: Answer, right: Answer) -> Seen:
    return "left" if "first" in left.text else "right"


# --- making -----------------------------------------------------------------------------------------------------------


def test_a_trial_is_made_of_two_settings_that_differ(house: House) -> None:
    present, other = house.side(), house.side("answer.words=quotes")
    trials = house.trials()
    with pytest.raises(UsageError, match="the same"):
        trials.create("Same", QUESTIONS, first=present, second=house.side("answer.words = auto"), scope=["open"])
    with pytest.raises(UsageError, match="no name"):
        trials.create("  ", QUESTIONS, first=present, second=other, scope=["open"])
    with pytest.raises(UsageError, match="1 to 200 questions"):
        trials.create("Empty", [" ", ""], first=present, second=other, scope=["open"])
    with pytest.raises(UsageError, match="no collection"):
        trials.create("Nowhere", QUESTIONS, first=present, second=other, scope=[])
    with pytest.raises(UnknownCollection):
        trials.create("Elsewhere", QUESTIONS, first=present, second=other, scope=["none"])
    made = trials.create(" Two \n words ", [*QUESTIONS, QUESTIONS[0]], first=present, second=other, scope=["open"])
    assert (made.name, made.n_questions, made.ready) == ("Two words", len(QUESTIONS), False)


@pytest.mark.parametrize(
    "change", ["data_dir=/tmp", "serve.sign_in=none", "embedder.model=x", "generator.base_url=http://x", "words", "k=1"]
)
def test_a_trial_changes_only_what_answers_depend_on(house: House, change: str) -> None:
    with pytest.raises((InvalidSetting, UsageError)):
        house.side(change)


def test_the_key_of_a_model_server_is_not_kept_with_a_trial(house: House) -> None:
    settings = load_settings(overrides=["generator.api_key=SECRET", "generator.base_url=http://x/v1"]).settings
    assert "SECRET" not in str(side_of(settings, []))


def test_only_administrators_make_see_and_end_trials(house: House) -> None:
    trial = house.answered()
    for person in (house.ann, house.cem):
        trials = house.trials(person)
        deeds: list[Callable[[], object]] = [
            trials.all,
            lambda trials=trials: trials.get(trial.id),
            lambda trials=trials: trials.end(trial.id),
            lambda trials=trials: trials.delete(trial.id),
            lambda trials=trials: trials.result(trial.id),
            lambda trials=trials: trials.unanswered(trial.id, "first"),
            lambda trials=trials: trials.keep(trial.id, 0, "first", answer()),
            lambda trials=trials: trials.create("x", ["y"], first=trial.first, second=trial.second, scope=["open"]),
        ]
        for deed in deeds:
            with pytest.raises(NotAllowed):
                deed()


# --- rating -----------------------------------------------------------------------------------------------------------


def test_each_rater_and_each_question_sees_either_side_left_as_often(house: House) -> None:
    trial = house.answered()
    seen = [house.rate(person, trial, lambda *_: "same") for person in (house.ann, house.bob)]
    for of_one in seen:
        assert Counter(line.split(" ", 1)[1] for line in of_one) == {"By the first.": 2, "By the second.": 2}
    left = Counter(line for of_one in seen for line in of_one)
    assert len(left) == 2 * len(QUESTIONS), "what one rater sees left, the next one sees right"


def test_a_choice_counts_for_the_side_that_stood_there(house: House) -> None:
    trial = house.answered()
    for person in (house.ann, house.bob):
        house.rate(person, trial, first_wins)
    house.trials().end(trial.id)
    found = house.trials().result(trial.id)
    assert (found.first.wins, found.second.wins, found.n_raters, found.n_questions) == (8, 0, 2, 4)


def test_the_result_is_hidden_until_the_trial_ends_and_then_nobody_rates(house: House) -> None:
    trial = house.answered()
    rating = house.rating(house.ann)
    pairing = rating.next(trial.id)
    assert pairing is not None
    rating.vote(trial.id, pairing.place, "both_bad")
    with pytest.raises(UnknownTrial):
        house.trials().result(trial.id)
    assert house.trials().get(trial.id).n_votes == 1
    assert house.trials().end(trial.id).ended is not None
    assert house.trials().result(trial.id).both_bad == 1
    with pytest.raises(UnknownTrial):
        rating.vote(trial.id, pairing.place, "left")
    with pytest.raises(UnknownTrial):
        rating.next(trial.id)


def test_a_choice_can_be_made_again_and_taken_back(house: House) -> None:
    trial, rating = house.answered(), house.rating(house.ann)
    pairing = rating.next(trial.id)
    assert pairing is not None
    rating.vote(trial.id, pairing.place, "left")
    rating.vote(trial.id, pairing.place, "right")
    assert house.trials().get(trial.id).n_votes == 1
    rating.take_back(trial.id)
    assert rating.next(trial.id) == pairing
    with pytest.raises(UnknownTrial):
        rating.vote(trial.id, 99, "left")


def test_who_may_not_read_what_was_asked_does_not_rate_it(house: House) -> None:
    trial = house.answered(scope=("open", "closed"))
    assert house.rating(house.ann).to_rate() == []
    with pytest.raises(UnknownTrial):
        house.rating(house.ann).next(trial.id)
    with pytest.raises(UnknownTrial):
        house.rating(house.ann).vote(trial.id, 0, "left")
    assert [(found.id, n) for found, n in house.rating(house.root).to_rate()] == [(trial.id, 0)]
    house.own(house.root).sharing.grant("closed", "read", person=house.ann.id)
    assert house.rating(house.ann).next(trial.id) is not None
    house.own(house.root).sharing.revoke("closed", person=house.ann.id)
    with pytest.raises(UnknownTrial):
        house.rating(house.ann).next(trial.id)


def test_readers_rate_nothing_and_nobody_rates_half_a_trial(house: House) -> None:
    house.answered()
    assert house.rating(house.cem).to_rate() == []
    half = house.trial()
    house.trials().keep(half.id, 0, "first", answer())
    assert half.id not in [found.id for found, _ in house.rating(house.ann).to_rate()]


def test_votes_outlive_their_rater_without_a_name_and_go_with_the_trial(house: House) -> None:
    trial = house.answered()
    house.rate(house.ann, trial, first_wins)
    assert len(everything_about(house.people, house.ann)["trials_rated"]) == len(QUESTIONS)
    Accounts(house.people).delete(house.ann.id)
    house.rate(house.bob, trial, first_wins)
    house.trials().end(trial.id)
    assert house.trials().result(trial.id).n_raters == 2
    house.trials().delete(trial.id)
    assert house.trials().all() == []
    with house.people.reading() as connection:
        for table in ("trial_questions", "trial_raters", "trial_votes"):
            assert connection.execute(f"SELECT count(*) FROM {table}").get == 0


# --- writing the answers ----------------------------------------------------------------------------------------------


def test_both_sides_are_answered_by_their_own_settings_and_nothing_outside_the_scope(house: House) -> None:
    background = Background()
    trial = house.trial()
    own = house.own(house.root)
    chore = TrialAnswers(background, Admission()).begin(house.trials(), trial, own=own, person=house.root)
    list(chore.live.watch())
    assert (chore.state.stage, chore.state.done, chore.state.error) == ("finished", 2 * len(QUESTIONS), None)
    assert house.trials().get(trial.id).ready
    pairing = house.rating(house.ann).next(trial.id)
    assert pairing is not None
    assert {pairing.left.abstained, pairing.right.abstained} == {True, False}
    sources = {hit.source for each in (pairing.left, pairing.right) for hit in each.hits}
    assert sources == {"open.txt"}


def test_what_was_cancelled_goes_on_where_it_stopped(house: House) -> None:
    trials, trial = house.trials(), house.trial()
    trials.keep(trial.id, 0, "first", answer(text="Kept."))
    background = Background()
    writing = TrialAnswers(background, Admission())
    own = house.own(house.root)
    gate = threading.Event()
    held = background.start(lambda _: gate.wait() and None, kind="evaluation", subject="1", total=1)
    chore = writing.begin(trials, trials.get(trial.id), own=own, person=house.root)
    with pytest.raises(AlreadyRunning):
        writing.begin(trials, trial, own=own, person=house.root)
    chore.cancel()
    gate.set()
    assert [*held.live.watch()][-1].stage == "finished"
    assert (chore.state.stage, chore.state.done) == ("cancelled", 0)
    again = writing.begin(trials, trials.get(trial.id), own=own, person=house.root)
    assert [*again.live.watch()][-1].done == 2 * len(QUESTIONS) - 1
    house.trials().get(trial.id)
    texts = {pairing.left.text for pairing in _shown(house, trial)} | {p.right.text for p in _shown(house, trial)}
    assert "Kept." in texts


def _shown(house: House, trial: Trial) -> list:
    rating, shown = house.rating(house.bob), []
    while (pairing := rating.next(trial.id)) is not None:
        shown.append(pairing)
        rating.vote(trial.id, pairing.place, "same")
    for _ in shown:
        rating.take_back(trial.id)
    return shown


class _Slow:
    """Answers in two pieces; each calls what it is given, so that somebody may begin to chat in between."""

    def __init__(self, between: Callable[[], None]) -> None:
        self.between = between
        self.n_begun = self.n_closed = 0

    def stream(
        self, question: str, *, history: tuple[Message, ...] = (), filter: SearchFilter | None = None
    ) -> Iterator[Event]:
        self.n_begun += 1
        try:
            yield Retrieved(hits=())
            self.between()
            yield Token(text="x")
            yield Finished(answer=answer(question))
        finally:
            self.n_closed += 1


def test_a_question_of_the_background_gives_way_to_a_chat_and_is_asked_again() -> None:
    admission = Admission(at_once=1)
    places = []

    def chat() -> None:
        if not places:
            places.append(admission.enter("ann"))
            threading.Timer(0.05, places[0].leave).start()

    slow = _Slow(chat)
    found = Unhurried(admission, threading.Event()).ask(slow, "Why?", filter=SearchFilter())
    assert found is not None
    assert (slow.n_begun, slow.n_closed) == (2, 2)


def test_a_question_of_the_background_is_answered_even_where_people_never_pause() -> None:
    admission = Admission(at_once=1)
    admission.enter("ann")
    slow = _Slow(lambda: None)
    asked = Unhurried(admission, threading.Event(), patience_seconds=0)
    assert asked.ask(slow, "Why?", filter=SearchFilter()) is not None
    assert (slow.n_begun, slow.n_closed) == (4, 4)


def test_a_question_of_the_background_ends_soon_when_it_is_stopped() -> None:
    stop = threading.Event()
    slow = _Slow(stop.set)
    assert Unhurried(Admission(), stop).ask(slow, "Why?", filter=SearchFilter()) is None
    assert (slow.n_begun, slow.n_closed) == (1, 1)


# --- counting ---------------------------------------------------------------------------------------------------------


def test_wilsons_interval_is_the_one_of_the_books() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(8, 10)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)
    assert wilson(5, 5)[1] == 1.0
    assert round(wilson(5, 5)[0], 4) == 0.5655


def test_ties_are_counted_apart_and_the_two_rates_mirror_each_other() -> None:
    choices = ("first", "first", "second", "same", "both_bad", "both_bad")
    found = tally([Vote(rater=0, place=i, choice=choice) for i, choice in enumerate(choices)])
    assert (found.n_votes, found.n_decided, found.same, found.both_bad) == (6, 3, 1, 2)
    assert found.first.rate + found.second.rate == pytest.approx(1)
    assert (found.first.low, found.first.high) == pytest.approx((1 - found.second.high, 1 - found.second.low))
    assert found.first.low < found.first.rate < found.first.high


def test_raters_who_agree_on_few_questions_do_not_make_the_interval_narrow() -> None:
    one = [Vote(rater=0, place=place, choice="first" if place % 2 else "second") for place in range(6)]
    many = [replace(vote, rater=rater) for vote in one for rater in range(10)]
    alone = wilson(30, 60)
    found = tally(many).first
    assert found.high - found.low > 1.5 * (alone[1] - alone[0])


def test_no_votes_say_nothing() -> None:
    found = tally([])
    assert (found.n_decided, found.first.low, found.first.high) == (0, 0.0, 1.0)
