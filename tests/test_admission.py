"""Who waits is served fairly between persons, knows their place, and is told when there is no room."""

from __future__ import annotations

import pickle
from threading import Event, Thread

import pytest

from app.admission import Admission, Place, default_at_once
from app.pacing import MAX_STEP_SECONDS, StepAside
from app.texts import LANGUAGES, explain
from app.turns import TurnState
from app.ui.render import turn_html
from core.errors import TooBusy, TooManyWaiting

PATIENCE = 10


class Clock:
    """Tells the time that it was set to, in seconds."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def served(admission: Admission, places: dict[str, Place], first: str) -> list[str]:
    """End one answer after the other, beginning with the one that runs, and return the order."""
    order, running = [first], places[first]
    while True:
        running.leave()
        admitted = [name for name, place in places.items() if place.admitted and not place.left]
        if not admitted:
            return order
        assert len(admitted) == 1
        order.append(admitted[0])
        running = places[admitted[0]]


def entered(admission: Admission, *names: str) -> dict[str, Place]:
    """Enter questions named after their owner and a number: "a1" is the first of a."""
    return {name: admission.enter(name[0]) for name in names}


@pytest.mark.parametrize(("n_cores", "n"), [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4), (64, 4)])
def test_more_cores_answer_more_at_once_up_to_four(n_cores: int, n: int) -> None:
    assert default_at_once(n_cores) == n


def test_persons_take_turns_however_much_one_of_them_asks() -> None:
    admission = Admission(at_once=1)
    places = entered(admission, "f1", "f2", "f3", "f4", "a1", "b1", "a2", "b2")
    assert served(admission, places, "f1") == ["f1", "a1", "b1", "f2", "a2", "b2", "f3", "f4"]


def test_who_comes_while_one_person_floods_waits_for_the_answer_that_runs_and_no_other() -> None:
    admission = Admission(at_once=1)
    places = entered(admission, "f1", "f2", "f3")
    places["f1"].leave()
    assert places["f2"].admitted
    places |= entered(admission, "a1", "f4")
    assert [places[name].ahead for name in ("a1", "f3", "f4")] == [1, 2, 3]
    places["f2"].leave()
    assert places["a1"].admitted


def test_who_was_served_long_ago_goes_before_who_was_served_just_now() -> None:
    admission = Admission(at_once=1)
    for name in ("a", "b"):
        admission.enter(name).leave()
    places = entered(admission, "c1", "b1", "a1", "c2")
    assert served(admission, places, "c1") == ["c1", "a1", "b1", "c2"]


def test_a_person_has_one_answer_at_a_time_even_where_there_is_room() -> None:
    admission = Admission(at_once=3)
    places = entered(admission, "a1", "a2", "b1", "a3")
    assert {name for name, place in places.items() if place.admitted} == {"a1", "b1"}
    places["b1"].leave()
    assert not places["a2"].admitted
    places["a1"].leave()
    assert places["a2"].admitted


def test_the_place_in_line_is_told_as_it_moves_and_waiting_ends_with_being_admitted() -> None:
    admission = Admission(at_once=1)
    places = entered(admission, "a1", "b1", "c1", "d1")
    seen = places["d1"].wait()
    assert next(seen) == 3
    places["b1"].leave()
    assert next(seen) == 2
    places["a1"].leave()
    assert next(seen) == 1
    places["c1"].leave()
    assert list(seen) == []
    assert places["d1"].admitted


def test_leaving_the_line_wakes_who_waits_there() -> None:
    admission = Admission(at_once=1)
    places, ended = entered(admission, "a1", "b1"), Event()

    def wait() -> None:
        list(places["b1"].wait())
        ended.set()

    Thread(target=wait, daemon=True).start()
    places["b1"].leave()
    places["b1"].leave()
    assert ended.wait(PATIENCE)
    assert (places["b1"].left, places["b1"].admitted, admission.n_waiting) == (True, False, 0)
    places["a1"].leave()
    assert not admission.busy


def test_a_person_may_have_so_many_in_line_and_is_told_when_to_come_back() -> None:
    clock = Clock()
    admission = Admission(at_once=1, waiting_per_person=2, clock=clock)
    first = admission.enter("x")
    clock.now += 30
    first.leave()  # answers take 10 s in the mean now: five for the first guess, and a fifth of the way to 30
    places = entered(admission, "b1", "a1", "a2")
    with pytest.raises(TooManyWaiting, match=r"you have 2 questions in line.*about 10 s") as refused:
        admission.enter("a")
    assert (refused.value.http_status, refused.value.retry_after_seconds) == (429, 10)
    places["a1"].leave()
    assert admission.enter("a").ahead == 2


def test_the_line_is_bounded_whoever_asks_and_has_room_again_when_somebody_leaves() -> None:
    admission = Admission(at_once=1, waiting=2)
    places = entered(admission, "a1", "b1", "c1")
    with pytest.raises(TooBusy) as refused:
        admission.enter("d")
    assert (refused.value.http_status, refused.value.retry_after_seconds) == (503, 5)
    places["b1"].leave()
    assert admission.enter("d").ahead == 2


def test_a_refused_question_leaves_nothing_behind() -> None:
    admission = Admission(at_once=1, waiting=1, waiting_per_person=1)
    first = admission.enter("a")
    second = admission.enter("a")
    for _ in range(3):
        with pytest.raises(TooManyWaiting):
            admission.enter("a")
        with pytest.raises(TooBusy):
            admission.enter("b")
    first.leave()
    second.leave()
    assert (admission.busy, admission.n_waiting) == (False, 0)


@pytest.mark.parametrize("kind", [TooBusy, TooManyWaiting])
def test_a_refusal_crosses_processes_with_its_wait_and_is_said_in_both_languages(kind: type[TooBusy]) -> None:
    error = kind("no room", remedy="Wait", retry_after_seconds=7)
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), copied.retry_after_seconds) == (kind, 7)
    said = {explain(kind("", retry_after_seconds=7), language) for language in LANGUAGES}
    assert len(said) == 2


@pytest.mark.parametrize(
    ("place", "language", "said"),
    [
        (1, "en", "In line, next to be answered"),
        (12, "en", "In line, number 12"),
        (1, "zh", "排队中，下一个就是您"),
        (12, "zh", "排队中，第 12 位"),
    ],
)
def test_the_place_in_line_is_shown(place: int, language: str, said: str) -> None:
    turn = TurnState(id="t", question="q", stage="waiting", place=place)
    shown = turn_html(turn, language)  # type: ignore[arg-type]
    assert said in shown
    assert 'aria-busy="true"' in shown


# --- an ingest steps aside -----------------------------------------------------------------------------------------


class Answers:
    """Answers that run until a time; waiting for their end moves the clock."""

    def __init__(self, clock: Clock, *, until: float) -> None:
        self.clock, self.until = clock, until
        self.on_wait = lambda: None

    @property
    def busy(self) -> bool:
        return self.clock.now < self.until

    def wait_idle(self, seconds: float) -> bool:
        self.on_wait()
        if self.busy:
            self.clock.now = min(self.clock.now + seconds, self.until)
        return not self.busy


def test_an_ingest_goes_on_at_once_where_nobody_is_answered() -> None:
    clock = Clock()
    aside = StepAside(Answers(clock, until=0), clock=clock)
    clock.now += 0.5
    assert not aside.hurried
    aside.pause(Event())
    assert clock.now == 100.5


def test_an_ingest_takes_its_share_of_the_time_while_answers_never_end() -> None:
    clock = Clock()
    aside, worked = StepAside(Answers(clock, until=10_000), share=0.25, clock=clock), 0.0
    assert aside.hurried
    for step in (0.2, 0.4, 0.1, 0.3):
        clock.now += step
        worked += step
        aside.pause(Event())
    assert worked / (clock.now - 100) == pytest.approx(0.25)


def test_an_ingest_goes_on_as_soon_as_the_last_answer_ends() -> None:
    clock = Clock()
    aside = StepAside(Answers(clock, until=101), clock=clock)
    clock.now += 0.9
    aside.pause(Event())
    assert clock.now == 101


def test_what_an_ingest_waited_for_itself_counts_as_one_step_at_most() -> None:
    clock = Clock()
    aside = StepAside(Answers(clock, until=10_000), share=0.5, clock=clock)
    clock.now += 500
    aside.pause(Event())
    assert clock.now == pytest.approx(600 + MAX_STEP_SECONDS)


def test_an_ingest_that_steps_aside_can_be_stopped() -> None:
    clock, stop = Clock(), Event()
    answers = Answers(clock, until=10_000)
    aside = StepAside(answers, clock=clock)
    answers.on_wait = stop.set
    clock.now += 1
    aside.pause(stop)
    assert clock.now < 102


def test_the_line_itself_tells_whether_answers_are_written() -> None:
    admission = Admission(at_once=1)
    place = admission.enter("a")
    assert StepAside(admission).hurried
    assert not admission.wait_idle(0)
    place.leave()
    assert admission.wait_idle(0)
    assert not StepAside(admission).hurried
