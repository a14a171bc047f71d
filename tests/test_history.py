"""Conversations that are kept: whole, one's own, found again, taken away, and gone when they are deleted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.people.accounts import Accounts
from app.people.audit import Audit
from app.people.database import People
from app.people.export import conversation_to_markdown, conversation_to_plain, everything_about
from app.people.feedback import Ratings, Review
from app.people.groups import Groups
from app.people.history import History
from app.people.history_search import search_conversations
from app.people.invitations import Invitations
from app.people.kept_answers import answer_from_plain, answer_to_plain, to_text
from app.people.records import Page, Person
from app.people.sessions import Sessions
from app.people.usage import percentile, usage
from core.errors import BackendFailed, NotAllowed, UnknownConversation, UsageError
from core.records import Message
from core.settings import load_settings
from tests.small_people import Clock, add, answer, bytes_of

MANY = 5_000


@pytest.fixture
def ann(people: People) -> Person:
    """Somebody who asks."""
    return add(people, "Ann")


@pytest.fixture
def history(people: People, ann: Person) -> History:
    """Her conversations."""
    return History(people, ann)


def test_an_answer_is_kept_whole() -> None:
    for kept in (answer(), answer(abstained=True), answer(text="torn \ud83d", source="caf\udce9.pdf", scores=())):
        assert answer_from_plain(json.loads(to_text(answer_to_plain(kept)))) == kept


def test_a_reload_shows_what_was_shown(history: History, clock: Clock) -> None:
    begun = history.begin("How long is the leave?", scope=("hr", "年假"))
    assert (begun.stage, begun.running, begun.scope) == ("searching", True, ("hr", "年假"))
    history.progress(begun.id, stage="writing", text="It is")
    assert history.turn(begun.id).text == "It is"
    clock.now += 1
    assert history.finish(begun.id, answer())
    (turn,) = history.turns(begun.conversation)
    assert (turn.stage, turn.answer, turn.text) == ("finished", answer(), answer().text)
    assert history.get(begun.conversation).scope == ("hr", "年假")


def test_a_conversation_is_named_after_its_first_question_and_can_be_renamed(history: History) -> None:
    long = "How many days of leave does somebody have who has worked here for\nmore than five years and a half?"
    first = history.begin(long)
    assert (
        history.get(first.conversation).title
        == "How many days of leave does somebody have who has worked here for more than…"
    )
    history.begin("And in China?", conversation=first.conversation)
    assert history.get(first.conversation).title.startswith("How many")
    assert history.rename(first.conversation, "  Leave\x00 ").title == "Leave"
    assert history.rename(first.conversation, "  ").title == "Leave"
    chinese = history.begin("员工工作满五年之后" * 20)
    assert len(history.get(chinese.conversation).title) == 80


def test_a_turn_ends_once(history: History) -> None:
    turn = history.begin("Leave?")
    history.stop(turn.id, text="It is 2")
    assert not history.finish(turn.id, answer())
    history.fail(turn.id, BackendFailed("broke off"))
    kept = history.turn(turn.id)
    assert (kept.stage, kept.text, kept.answer, kept.error) == ("stopped", "It is 2", None, None)


def test_a_failure_is_kept_with_what_to_do(history: History) -> None:
    turn = history.begin("Leave?")
    history.fail(turn.id, BackendFailed("broke off", where="model", remedy="Ask again"))
    error = history.turn(turn.id).error
    assert isinstance(error, BackendFailed)
    assert str(error) == "model: broke off. Ask again."


def test_what_was_running_when_the_server_died_reads_as_stopped(tmp_path: Path, ann: Person, history: History) -> None:
    turn = history.begin("Leave?")
    history.progress(turn.id, stage="writing", text="It is 27")
    with People.open(tmp_path) as after_restart:
        again = History(after_restart, ann)
        kept = again.turn(turn.id)
        assert (kept.stage, kept.running, kept.text) == ("stopped", False, "It is 27")
        assert not again.finish(turn.id, answer())
    assert history.turn(turn.id).running  # to the server that writes it, it still runs


def test_nobody_reads_or_changes_the_conversations_of_another(people: People, history: History) -> None:
    turn = history.begin("CANARY?")
    history.finish(turn.id, answer(text="CANARY."))
    for other in (add(people, "Bob"), add(people, "Root", "admin")):
        theirs = History(people, other)
        refused: list[Callable[[], object]] = [
            lambda theirs=theirs: theirs.get(turn.conversation),  # type: ignore[misc]
            lambda theirs=theirs: theirs.turns(turn.conversation),  # type: ignore[misc]
            lambda theirs=theirs: theirs.turn(turn.id),  # type: ignore[misc]
            lambda theirs=theirs: theirs.messages(turn.conversation),  # type: ignore[misc]
            lambda theirs=theirs: theirs.begin("Mine?", conversation=turn.conversation),  # type: ignore[misc]
            lambda theirs=theirs: theirs.forget_from(turn.id),  # type: ignore[misc]
            lambda theirs=theirs: theirs.rename(turn.conversation, "x"),  # type: ignore[misc]
            lambda theirs=theirs: theirs.delete(turn.conversation),  # type: ignore[misc]
            lambda other=other: Ratings(people, other).give(turn.id, "up"),  # type: ignore[misc]
        ]
        said = set()
        for attempt in refused:
            with pytest.raises(UnknownConversation) as error:
                attempt()
            said.add(error.value.what.replace("answer", "conversation"))
        assert said == {"there is no such conversation"}
        running = history.begin("Running?")
        assert not theirs.finish(running.id, answer())
        theirs.stop(running.id, text="stopped")
        assert history.turn(running.id).running
        assert theirs.newest().items == []
        assert theirs.delete_all() == 0
        assert search_conversations(people, other, "CANARY").items == []
        assert "CANARY" not in json.dumps(everything_about(people, other))
    assert history.turn(turn.id).answer is not None


def test_the_next_question_follows_upon_the_answers_before_it(history: History) -> None:
    first = history.begin("One?")
    history.finish(first.id, answer("One?", "First."))
    stopped = history.begin("Two?", conversation=first.conversation)
    history.stop(stopped.id)
    told = (Message(role="user", content="One?"), Message(role="assistant", content="First."))
    assert history.messages(first.conversation) == told
    for i in range(8):
        turn = history.begin(f"{i}?", conversation=first.conversation)
        history.finish(turn.id, answer(f"{i}?", f"{i}."))
    assert [m.content for m in history.messages(first.conversation)][:2] == ["2?", "2."]
    assert history.messages(first.conversation, before=stopped.id) == told


def test_asking_again_forgets_the_turn_and_what_followed_it(history: History) -> None:
    first = history.begin("One?")
    second = history.begin("Two?", conversation=first.conversation)
    history.begin("Three?", conversation=first.conversation)
    assert history.forget_from(second.id).question == "Two?"
    assert [turn.question for turn in history.turns(first.conversation)] == ["One?"]
    history.begin("Two, but better?", conversation=first.conversation)
    assert [turn.question for turn in history.turns(first.conversation)] == ["One?", "Two, but better?"]


def test_words_are_found_in_both_languages_however_they_are_written(
    people: People, ann: Person, history: History
) -> None:
    def kept(question: str, text: str) -> str:
        turn = history.begin(question)
        history.finish(turn.id, answer(question, text))
        return turn.conversation

    leave = kept("员工有多少天年假？", "新员工每年享有十五天年假。")
    lease = kept("When does the LEASE end?", "It ends in Café Müller on 31 March 2031 at 100%.")
    plain = kept("租金是多少？", "每年84,000歐元。")

    def found(words: str) -> list[str]:
        return [each.conversation.id for each in search_conversations(people, ann, words).items]

    assert found("年假") == [leave]
    assert found("lease MULLER") == [lease]
    assert found("cafe") == [lease]
    assert found("欧元") == [plain]
    assert found("100%") == [lease]
    assert found("%") == [lease]  # no wildcard
    assert found("100_") == found("'; --") == found("lease 年假") == []
    history.rename(plain, "Rent")
    (hit,) = search_conversations(people, ann, "rent").items
    assert (hit.turn, hit.snippet) == ("", "Rent")
    (hit,) = search_conversations(people, ann, "31 march").items
    assert "31 March 2031" in hit.snippet
    for words in ("", "  "):
        with pytest.raises(UsageError):
            search_conversations(people, ann, words)


def test_lists_come_in_parts_newest_first_whatever_is_added_meanwhile(history: History, clock: Clock) -> None:
    ids = []
    for i in range(7):
        clock.now += i % 2  # some share a time
        ids.append(history.begin(f"{i}?").conversation)
    first = history.newest(n=3)
    clock.now += 1
    history.begin("New?")
    second, third = history.newest(n=3, after=first.next), None
    third = history.newest(n=3, after=second.next)
    listed = [each.id for page in (first, second, third) for each in page.items]
    assert sorted(listed) == sorted(ids)
    assert third.next == ""
    updated = [each.updated for page in (first, second, third) for each in page.items]
    assert updated == sorted(updated, reverse=True)
    clock.now += 1
    history.begin("Again?", conversation=ids[0])
    assert history.newest(n=1).items[0].id == ids[0]
    with pytest.raises(UsageError):
        history.newest(after="yesterday")


def test_a_conversation_is_taken_away_as_markdown_and_json(history: History) -> None:
    turn = history.begin("What about <b>*leave*</b>?")
    history.finish(turn.id, answer(quote="The leave is <script>27</script> days."))
    stopped = history.begin("![x](http://evil.example)", conversation=turn.conversation)
    history.stop(stopped.id, text="# Not\na heading")
    conversation, turns = history.get(turn.conversation), history.turns(turn.conversation)
    text = conversation_to_markdown(conversation, turns)
    assert "## What about \\<b\\>\\*leave\\*\\</b\\>?" in text
    assert "It is 27 days. [1] Nobody counted." in text
    assert "[1] handbook.pdf, page 3" in text
    assert "> The leave is \\<script\\>27\\</script\\> days." in text
    assert not re.search(r"(?<!\\)[<!]", text)
    assert "> \\# Not\n> a heading" in text
    plain = json.loads(json.dumps(conversation_to_plain(conversation, turns)))
    assert answer_from_plain(plain["turns"][0]["answer"]).citations == turns[0].answer.citations  # type: ignore[union-attr]
    assert [each["stage"] for each in plain["turns"]] == ["finished", "stopped"]


def test_a_deleted_conversation_leaves_no_word_behind(people: People, history: History) -> None:
    kept = history.begin("Kept?")
    turn = history.begin("CANARY-question?")
    history.finish(turn.id, answer("CANARY-question?", "CANARY-answer.", quote="CANARY-quote"))
    Ratings(people, people_person(people)).give(turn.id, "down", corrected="CANARY-corrected")
    assert b"CANARY" in bytes_of(people.path.parent)
    history.delete(turn.conversation)
    assert b"CANARY" not in bytes_of(people.path.parent)
    assert [each.id for each in history.newest().items] == [kept.conversation]
    assert history.delete_all() == 1


def people_person(people: People) -> Person:
    return Accounts(people).named("Ann")


def test_everything_about_a_person_can_be_taken_away_and_deleted(people: People, ann: Person, clock: Clock) -> None:
    """Every word about somebody is marked, exported, and then in no byte of the files."""
    root, history = add(people, "Root", "admin"), History(people, ann)
    Accounts(people).rename(ann.id, "CANARY-name")
    team = Groups(people).add("Team")
    Groups(people).join(team.id, ann.id)
    Sessions(people, load_settings().settings.serve).create(ann.id, user_agent="CANARY-agent", address="CANARY-home")
    Invitations(people).invite(role="reader", made_by=ann.id)
    Audit(people).note("signed_in", person=ann, address="CANARY-from")

    def talk(i: int) -> None:
        turn = history.begin(f"CANARY-question-{i} {'x' * (37 * i % 900)}", scope=("CANARY-scope",))
        history.finish(turn.id, answer(f"CANARY-{i}", f"CANARY-answer {'年假' * (i % 90)}", quote=f"CANARY-quote-{i}"))
        if i % 20 == 0:
            Ratings(people, ann).give(turn.id, "down", reason="wrong", corrected=f"CANARY-corrected-{i}")

    for i in range(12):
        talk(i)
    with people.writing():
        for i in range(12, 120):
            talk(i)
    taken = json.loads(json.dumps(everything_about(people, ann)))
    for mark in ("name", "agent", "home", "from", "question-119", "scope", "answer", "quote-119", "corrected-100"):
        assert f"CANARY-{mark}" in json.dumps(taken), mark
    assert len(taken["conversations"]) == 120
    assert taken["invitations_made"][0]["role"] == "reader"
    assert [group["name"] for group in taken["groups"]] == ["Team"]
    assert "$argon2" not in json.dumps(taken)
    assert Accounts(people).delete(ann.id)
    with people.reading() as connection:
        assert connection.pragma("freelist_count") == 0  # written anew: a copy can stay where pages were split
    for kept in (bytes_of(people.path.parent), *(path.read_bytes() for path in people.path.parent.iterdir())):
        assert b"CANARY" not in kept
    assert Accounts(people).all() == [root]
    assert Groups(people).get(team.id).members == ()
    assert len(Audit(people).newest(root).items) == 1


def test_what_is_read_meanwhile_delays_the_scrubbing_and_not_the_deletion(people: People, ann: Person) -> None:
    add(people, "Root", "admin")
    History(people, ann).begin("CANARY?")
    with People.open(people.path.parent) as other, other.reading() as connection:
        assert connection.execute("SELECT count(*) FROM turns").get == 1
        assert not Accounts(people).delete(ann.id)
    assert people.scrub()
    assert b"CANARY" not in bytes_of(people.path.parent)


def test_percentiles_are_of_what_was_measured() -> None:
    assert percentile([], 0.5) is None
    assert percentile([3.0], 0.95) == 3.0
    assert percentile(range(1, 101), 0.5) == 50
    assert percentile(range(1, 101), 0.95) == 95
    assert percentile([1.0, 2.0], 0.5) == 1.0


def test_usage_counts_by_day_and_is_for_administrators(
    people: People, ann: Person, history: History, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = add(people, "Root", "admin")
    for day in range(3):
        for i in range(4):
            turn = history.begin("Leave?")
            if i < 3:
                history.finish(turn.id, answer(abstained=i == 2, total_ms=100.0 * (i + 1)))
            if i == day == 0:
                Ratings(people, ann).give(turn.id, "down", reason="wrong")
            if i == 1:
                Ratings(people, ann).give(turn.id, "up")
        clock.now += 86_400
    in_all, days = usage(people, root, days=2.5)
    assert [day.questions for day in days] == [4, 4]
    in_all, days = usage(people, root, days=30)
    assert len(days) == 3
    assert (in_all.questions, in_all.answered, in_all.refusals) == (12, 9, 3)
    assert (in_all.sentences, in_all.unsupported) == (12, 6)
    assert (in_all.thumbs_up, in_all.thumbs_down, days[0].thumbs_down) == (3, 1, 1)
    assert (days[0].whole.p50_ms, days[0].whole.p95_ms, in_all.first_text.p95_ms) == (200.0, 300.0, 100.0)
    assert usage(people, root, days=0.1)[0].whole.p50_ms is None
    with pytest.raises(NotAllowed):
        usage(people, ann)


def plans(people: People, ask: Callable[[], Any]) -> list[str]:
    """Return how SQLite goes about every query of a call."""
    asked: list[tuple[str, Any]] = []
    with people.reading() as connection:
        connection.exec_trace = lambda _, sql, bindings: asked.append((sql, bindings)) or True
        try:
            ask()
        finally:
            connection.exec_trace = None
        steps = []
        for sql, bindings in asked:
            if sql.lstrip().startswith("SELECT"):
                rows = connection.execute(f"EXPLAIN QUERY PLAN {sql}", bindings).fetchall()
                steps += [str(row[3]) for row in rows]
    return steps


def test_with_thousands_of_conversations_every_list_is_read_from_an_index(people: People, ann: Person) -> None:
    bob, root = add(people, "Bob"), add(people, "Root", "admin")
    kept = to_text(answer_to_plain(answer()))
    with people.writing() as connection:
        for i in range(MANY):
            who, at = (ann, bob)[i % 2].id, 1_700_000_000.0 + i % 977
            connection.execute(
                "INSERT INTO conversations VALUES (?, ?, 'Leave', 'leave', '[]', ?, ?)", (f"c{i}", who, at, at)
            )
            connection.execute(
                "INSERT INTO turns VALUES (?, ?, 1, 'Leave?', '27', ?, 'finished', '', '', '[]', ?, ?, 0, 2, 1, 1, 2)",
                (f"t{i}", f"c{i}", f"leave? number{i}.", at, at),
            )
            connection.execute("INSERT INTO answers VALUES (?, ?)", (f"t{i}", kept))
            connection.execute(
                "INSERT INTO feedback VALUES (?, ?, ?, ?, '', '[]', ?, 'up', '', '', ?, NULL, NULL, ?)",
                (f"f{i}", who, f"c{i}", f"t{i}", kept, ("open", "dismissed")[i % 2], at),
            )
            connection.execute("INSERT INTO audit VALUES (NULL, ?, ?, 'signed_in', '', '')", (at, who))
        connection.execute("ANALYZE")
    history, last = History(people, ann), None
    n_listed, after = 0, ""
    while page := history.newest(n=200, after=after):
        n_listed += len(page.items)
        last, after = page.items[-1], page.next
        if not after:
            break
    assert n_listed == MANY // 2
    assert last is not None
    calls: dict[str, Callable[[], Any]] = {
        "newest": lambda: history.newest(after=history.newest().next),
        "turns": lambda: history.turns("c0"),
        "turn": lambda: history.turn("t0"),
        "search": lambda: search_conversations(people, ann, "number4998"),
        "queue": lambda: Review(people, root).queue(),
        "audit": lambda: Audit(people).newest(root, after="4000"),
        "audit of one": lambda: Audit(people).newest(root, person=ann.id),
        "usage": lambda: usage(people, root, days=30),
    }
    for name, call in calls.items():
        steps = plans(people, call)
        assert steps, name
        for step in steps:
            searched = step.startswith(("SEARCH", "CORRELATED", "CO-ROUTINE", "SCAN CONSTANT"))
            assert searched or (name == "audit" and step == "SCAN a"), f"{name}: {step}"
            assert "TEMP B-TREE" not in step, f"{name}: {step}"
    found: Page[Any] = search_conversations(people, ann, "number4998")
    assert [each.conversation.id for each in found.items] == ["c4998"]
    assert replace(found, items=()).next == ""
