"""Conversations outlive the server, are listed by day, searched, renamed, taken away and deleted, each person's own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event as Flag
from urllib.parse import unquote

import pytest

from app.conversations import MAX_CONVERSATIONS
from app.downloads import attachment, saved_as
from app.keeping import HistoryKeeper, state_of
from app.people.database import People
from app.people.history import History
from app.people.records import Conversation, Found, Page
from app.people.sharing import make_public_at_first
from app.ui.history import conversations_html, found_html, marked
from app.ui.render import turn_html
from core.errors import BackendFailed, UnknownConversation
from core.records import Citation, SearchFilter
from tests.small_chat import Chat, Tells, small_chat, wait_until_kept
from tests.small_people import answer
from tests.small_store import ingestible, open_writer
from tests.test_render import assert_harmless

DAY = 86_400.0
NOON = 1_700_049_600.0  # 2023-11-15 12:00 in Greenwich
QUOTE = "The leave is 27 days."


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    with small_chat(tmp_path) as opened:
        yield opened


def titles(html: str) -> list[str]:
    return [re.sub(r"<[^>]+>", "", found) for found in re.findall(r"<span>(.*?)</span>", html)]


# --- kept ------------------------------------------------------------------------------------------------------------


def test_after_a_restart_a_conversation_is_shown_exactly_and_gone_on_with(chat: Chat) -> None:
    conversation_id, first = chat.told(chat.ann)
    back = chat.restarted().conversations.find(chat.ann.id, conversation_id)
    assert back is not None
    assert [turn_html(turn.state, "en") for turn in back.turns] == [turn_html(first, "en")]
    assert [turn_html(turn.state, "zh") for turn in back.turns] == [turn_html(first, "zh")]
    tells = Tells()
    chat.told(chat.ann, "And in 2026?", into=conversation_id, tells=tells)
    assert [message.content for message in tells.asked[0][1]] == [first.question, first.text]
    again = chat.restarted().conversations.find(chat.ann.id, conversation_id)
    assert again is not None
    assert [turn.state.question for turn in again.turns] == [first.question, "And in 2026?"]


def test_a_turn_that_was_running_when_the_server_died_is_stopped(chat: Chat) -> None:
    wait = Flag()
    conversation = chat.conversations.new(chat.ann.id)
    turn = conversation.ask(Tells(wait=wait), "Leave?", filter=SearchFilter())
    assert turn is not None
    back = chat.restarted().conversations.find(chat.ann.id, conversation.id)
    assert back is not None
    assert (back.turns[0].state.stage, back.running) == ("stopped", None)
    wait.set()
    wait_until_kept(chat.people, chat.ann, turn.state.id)


def test_what_was_written_when_the_server_died_is_shown_as_cut_off(
    chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.conversations.NOTE_SECONDS", 0.01)
    wait, conversation = Flag(), chat.conversations.new(chat.ann.id)
    turn = conversation.ask(Tells(wait=wait), "Leave?", filter=SearchFilter())
    assert turn is not None
    history = History(chat.people, chat.ann)
    for _ in range(1000):
        if history.turn(turn.state.id).text:
            break
        wait.wait(0.01)
    with People.open(tmp_path) as another:
        kept = HistoryKeeper(another).turns(chat.ann.id, conversation.id)
    assert [(state.stage, state.text, state.cut_off) for state in kept] == [("stopped", "It is", True)]
    assert kept[0].asked == turn.state.asked
    html = turn_html(kept[0], "en")
    assert "It is" in html
    assert "Cut off when the server ended." in html
    assert "data-again" in html
    assert "服务器中断" in turn_html(replace(kept[0], text=""), "zh")
    wait.set()
    wait_until_kept(chat.people, chat.ann, turn.state.id)
    assert not state_of(history.turn(turn.state.id)).cut_off


def test_failed_and_stopped_turns_are_kept_as_they_were_shown(chat: Chat) -> None:
    conversation = chat.conversations.new(chat.ann.id)
    failing = conversation.ask(_Fails(), "One?", filter=SearchFilter())
    assert failing is not None
    failed = list(failing.watch())[-1]
    wait = Flag()
    stopping = conversation.ask(Tells(wait=wait), "Two?", filter=SearchFilter())
    assert stopping is not None
    next(state for state in stopping.watch() if state.text)
    stopping.stop()
    wait.set()
    for state in (failed, stopping.state):
        wait_until_kept(chat.people, chat.ann, state.id)
    back = chat.restarted().conversations.find(chat.ann.id, conversation.id)
    assert back is not None
    shown = [turn_html(turn.state, "en") for turn in back.turns]
    assert shown == [turn_html(failed, "en"), turn_html(stopping.state, "en")]
    assert "the model broke off" in shown[0].lower()
    assert "It is" in shown[1]


class _Fails(Tells):
    def _events(self, question: str) -> Iterator[object]:  # type: ignore[override]
        raise BackendFailed("the model broke off")
        yield


def test_a_question_that_is_edited_replaces_what_followed_in_the_store_too(chat: Chat) -> None:
    conversation_id, first = chat.told(chat.ann, "Leave?")
    chat.told(chat.ann, "And in China?", into=conversation_id)
    conversation = chat.conversations.get(chat.ann.id, conversation_id)
    turn = conversation.ask_again(Tells(), first.id, filter=SearchFilter(), question="Annual leave?")
    assert turn is not None
    last = list(turn.watch())[-1]
    wait_until_kept(chat.people, chat.ann, last.id)
    assert [kept.question for kept in History(chat.people, chat.ann).turns(conversation_id)] == ["Annual leave?"]


def test_what_leaves_the_memory_comes_back_when_it_is_asked_for_and_what_runs_stays(chat: Chat) -> None:
    wait = Flag()
    running = chat.conversations.new(chat.ann.id)
    turn = running.ask(Tells(wait=wait), "Leave?", filter=SearchFilter())
    kept, _ = chat.told(chat.bob)
    for _ in range(MAX_CONVERSATIONS + 1):
        chat.conversations.new(chat.ann.id)
        chat.conversations.new(chat.bob.id)
    assert chat.conversations.get(chat.ann.id, running.id) is running
    back = chat.conversations.find(chat.bob.id, kept)
    assert back is not None
    assert len(back.turns) == 1
    assert chat.conversations.find(chat.ann.id, kept) is None
    assert chat.conversations.find(chat.bob.id, "never") is None
    wait.set()
    assert turn is not None
    wait_until_kept(chat.people, chat.ann, turn.state.id)


def test_the_passage_of_a_kept_answer_opens_and_says_when_its_document_is_gone(chat: Chat, tmp_path: Path) -> None:
    stored = ingestible("handbook.pdf", QUOTE, collection="hr")
    with open_writer(tmp_path) as writer:
        writer.put([stored], collection="hr")
    make_public_at_first(chat.people, "hr")
    hit = answer().hits[0]
    chunk = stored.chunks[0]
    cited = Citation(
        number=1, chunk_id=chunk.id, source="handbook.pdf", collection="hr", locator=chunk.locator, quote=QUOTE
    )
    told = replace(answer(), hits=(replace(hit, chunk=chunk),), citations=(cited,))
    _, turn = chat.told(chat.bob, tells=Tells(told))
    later = chat.restarted()
    opened = later.at(chat.bob).get(f"/api/passages/{turn.id}/1")
    assert (opened.status_code, QUOTE in opened.text) == (200, True)
    assert later.at(chat.ann).get(f"/api/passages/{turn.id}/1").status_code == 404
    chat.kb.delete("handbook.pdf", collection="hr")
    gone = later.at(chat.bob).get(f"/api/passages/{turn.id}/1?lang=zh")
    assert gone.status_code == 404
    assert "该文档已被删除" in gone.text


def test_the_original_is_saved_by_who_may_read_it_under_a_safe_name_and_never_shown(chat: Chat, tmp_path: Path) -> None:
    file = tmp_path / "notes <b>" / 'leave "2025".html'
    file.parent.mkdir()
    file.write_text("<script>alert(1)</script><p>The leave is 27 days.</p>", "utf-8")
    chat.own(chat.ann).create_collection("hr")
    chat.own(chat.ann).ingest(file.parent, collection="hr")
    source = chat.kb.documents(collection="hr")[0]
    path = f"/api/sources/{source.source_id}/original"
    saved = chat.at(chat.ann).get(path)
    assert saved.content == file.read_bytes()
    assert saved.headers["content-type"] == "application/octet-stream"
    assert saved.headers["content-disposition"].startswith('attachment; filename="leave 2025.html"')
    assert "sandbox" in saved.headers["content-security-policy"]
    assert chat.at(chat.bob).get(path).status_code == 404
    assert chat.at(chat.bob).get(path).text == chat.at(chat.bob).get("/api/sources/never/original").text
    file.write_text("something else", "utf-8")
    changed = chat.at(chat.ann).get(path)
    assert (changed.status_code, str(tmp_path) in changed.text) == (410, False)


# --- the addresses ---------------------------------------------------------------------------------------------------


def test_the_list_shows_ones_own_conversations_in_parts_and_those_of_nobody_else(chat: Chat) -> None:
    history = History(chat.people, chat.bob)
    for i in range(50):
        history.begin(f"Question {i}?")
    History(chat.people, chat.ann).begin("A secret?")
    bob = chat.at(chat.bob)
    first = bob.get("/api/conversations").text
    assert titles(first) == [f"Question {i}?" for i in range(49, 9, -1)]
    after = re.findall(r'data-after="([^"]+)"', first)[0]
    rest = bob.get("/api/conversations", params={"after": after, "lang": "zh"}).text
    assert titles(rest) == [f"Question {i}?" for i in range(9, -1, -1)]
    assert "data-after" not in rest
    assert "今天" in rest
    assert bob.get("/api/conversations", params={"after": "x~y"}).status_code == 400


def test_words_are_found_in_questions_and_answers_and_marked(chat: Chat) -> None:
    conversation_id, turn = chat.told(chat.bob, "年假有几天？")
    found = chat.at(chat.bob).get("/api/conversations", params={"q": "nobody COUNTED"}).text
    assert f'data-go="{conversation_id}" data-turn-found="{turn.id}"' in found
    assert "<mark>Nobody</mark> <mark>counted</mark>" in found
    chinese = chat.at(chat.bob).get("/api/conversations", params={"q": "年假"}).text
    assert "<mark>年假</mark>有几天" in chinese
    assert "Nothing found" in chat.at(chat.bob).get("/api/conversations", params={"q": "年假 zebra"}).text
    assert "Nothing found" in chat.at(chat.ann).get("/api/conversations", params={"q": "年假"}).text


def test_a_conversation_is_renamed_taken_away_and_deleted_by_its_person_alone(chat: Chat) -> None:
    conversation_id, turn = chat.told(chat.bob)
    path, ann, bob = f"/api/conversations/{conversation_id}", chat.at(chat.ann), chat.at(chat.bob)
    refused = [
        ann.patch(path, json={"title": "Mine"}), ann.delete(path), ann.get(f"{path}.md"), ann.get(f"{path}.json"),
        bob.get("/api/conversations/never.md"), bob.get(f"{path}.exe"),
    ]  # fmt: skip
    assert [answered.status_code for answered in refused] == [404] * 6
    assert bob.patch(path, json={"title": " Leave \n"}).json() == {"id": conversation_id, "title": "Leave"}
    markdown = bob.get(f"{path}.md")
    assert markdown.text.startswith("# Leave\n")
    assert "attachment" in markdown.headers["content-disposition"]
    assert json.loads(bob.get(f"{path}.json").text)["turns"][0]["answer"]["text"] == turn.text
    assert bob.delete(path).status_code == 204
    assert chat.conversations.find(chat.bob.id, conversation_id) is None
    assert chat.conversations.turn(chat.bob.id, turn.id) is None
    assert bob.get(f"/api/passages/{turn.id}/1").status_code == 404


def test_half_a_character_in_a_question_spoils_no_answer_of_the_server(chat: Chat) -> None:
    conversation_id, turn = chat.told(chat.ann, "Leave \ud83d?")
    assert turn_html(turn, "en").encode().decode().count("Leave \ufffd?") == 1
    with chat.at(chat.ann) as ann:
        assert "Leave ?" in ann.get("/api/conversations").text
        assert "Leave" in ann.get("/api/conversations?q=leave").text
        for ending in ("md", "json"):
            assert "Leave ??" in ann.get(f"/api/conversations/{conversation_id}.{ending}").text


def test_deleting_stops_what_is_being_written_and_nothing_of_it_comes_back(chat: Chat) -> None:
    wait = Flag()
    conversation = chat.conversations.new(chat.bob.id)
    turn = conversation.ask(Tells(wait=wait), "Leave?", filter=SearchFilter())
    assert turn is not None
    kept, _ = chat.told(chat.ann)
    assert chat.at(chat.bob).delete("/api/conversations").status_code == 204
    assert turn.state.stage == "stopped"
    wait.set()
    list(turn.watch())
    assert History(chat.people, chat.bob).newest().items == []
    assert chat.conversations.get(chat.bob.id, conversation.id) is not conversation
    assert chat.conversations.find(chat.ann.id, kept) is not None


def test_nothing_is_written_into_a_conversation_of_anothers(chat: Chat) -> None:
    kept, _ = chat.told(chat.ann)
    with pytest.raises(UnknownConversation):
        History(chat.people, chat.bob).begin("Mine?", conversation=kept, anew=True)
    History(chat.people, chat.bob).forget([turn.id for turn in History(chat.people, chat.ann).turns(kept)])
    assert len(History(chat.people, chat.ann).turns(kept)) == 1


# --- how it looks ----------------------------------------------------------------------------------------------------


def _conversation(title: str, updated: float, id: str = "c") -> Conversation:
    return Conversation(id=id, title=title, scope=(), created=updated, updated=updated)


def test_days_are_those_of_the_readers_clock() -> None:
    times = [NOON, NOON - 11 * 3600, NOON - 13 * 3600, NOON - 6 * DAY, NOON - 40 * DAY]
    page = Page(items=[_conversation(str(i), at) for i, at in enumerate(times)])
    days = re.findall(r'data-day="(\w+)"', conversations_html(page, "en", now=NOON))
    assert days == ["today", "yesterday", "week", "earlier"]
    for minutes_east, today in ((480, ["0", "1", "2"]), (0, ["0", "1"]), (-480, ["0"])):
        html = conversations_html(page, "en", now=NOON, minutes_east=minutes_east)
        parts = re.split(r'<section data-day="(\w+)">', html)
        assert titles(parts[parts.index("today") + 1]) == today


def test_titles_snippets_and_words_of_others_never_become_markup() -> None:
    hostile = "<img src=x onerror=alert(1)> \"'&amp;"
    listed = conversations_html(Page(items=[_conversation(hostile, NOON)], next=hostile), "en", now=NOON)
    found = Found(conversation=_conversation("Leave", NOON), turn='"><script>', snippet=f"{hostile} {hostile}")
    shown = found_html(Page(items=[found]), "img onerror < .* [", "en")
    for html in (listed, shown):
        reader = assert_harmless(html, links={"/en/?c=c"}, more_tags={"a", "ul"})
        assert hostile in reader.text
    assert marked("(a+b)", "+ (") == "<mark>(</mark>a<mark>+</mark>b)"
    assert marked("ﬁrst ǅ", "first") == "ﬁrst ǅ"


@pytest.mark.parametrize(
    ("name", "saved"),
    [
        ("Leave: 27 days?", "Leave 27 days.md"),
        ("../../etc/passwd", "etc passwd.md"),
        ('a"b\r\nSet-Cookie: x', "a b Set-Cookie x.md"),
        ("年假有几天？", "年假有几天？.md"),
        ("evil\u202egnp.exe", "evil gnp.exe.md"),
        ("CON", "_CON.md"),
        ("...", "citadel.md"),
        ("", "citadel.md"),
        ("a" * 500, "a" * 117 + ".md"),
        ("torn \ud83d", "torn.md"),
    ],
)
def test_a_download_has_a_name_that_every_system_takes(name: str, saved: str) -> None:
    assert saved_as(name, ending=".md") == saved
    said = attachment(name, ending=".md")["Content-Disposition"]
    said.encode("latin-1")
    assert re.fullmatch(r"attachment; filename=\"[^\"\r\n%\\]+\"; filename\*=UTF-8''[\w.%~-]+", said)
    assert unquote(said.rpartition("''")[2]) == saved


def test_an_original_keeps_its_ending_however_long_its_name_is() -> None:
    assert saved_as("x" * 300 + ".pdf") == "x" * 116 + ".pdf"
    assert saved_as("price list.xlsx") == "price list.xlsx"
    assert saved_as("README") == "README"
