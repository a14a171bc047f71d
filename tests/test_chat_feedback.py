"""Thumbs below an answer: given, explained, changed, taken back, and shown again after a reload."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.people.feedback import Ratings, Review
from app.people.records import REASONS, GivenRating
from app.turns import TurnState
from app.ui.feedback import REASONS_FOR_ANSWERS, REASONS_FOR_REFUSALS, given_html, rating_form_html, thumbs_html
from app.ui.render import Beside, conversation_html
from tests.small_chat import Chat, small_chat
from tests.small_people import answer

PRESSED = 'aria-pressed="true"'


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Chat]:
    with small_chat(tmp_path) as opened:
        yield opened


def test_a_thumb_is_given_explained_changed_and_taken_back(chat: Chat) -> None:
    conversation_id, turn = chat.told(chat.bob)
    bob, path, ratings = chat.at(chat.bob), f"/api/turns/{turn.id}/rating", Ratings(chat.people, chat.bob)
    told = bob.put(f"{path}?form=true", json={"verdict": "down"}).json()
    assert told["thumbs"].index(PRESSED) > told["thumbs"].index('data-rate="down"')
    assert "<form" in told["below"]
    assert ratings.given(conversation_id) == {turn.id: GivenRating(verdict="down")}
    said = {"verdict": "down", "reason": "incomplete", "corrected": "27, then 30 <days>."}
    told = bob.put(path, json=said).json()
    assert "Rated as bad: incomplete." in told["below"]
    assert ratings.given(conversation_id)[turn.id].corrected == "27, then 30 <days>."
    form = bob.get(f"{path}?form=true&lang=zh").json()["below"]
    assert 'value="incomplete" checked' in form
    assert "27, then 30 &lt;days&gt;.</textarea>" in form
    assert "不完整" in form
    assert "Rated as good." in bob.put(path, json={"verdict": "up"}).json()["below"]
    assert len(Review(chat.people, chat.ann).queue().items) == 1
    told = bob.delete(path).json()
    assert (PRESSED in told["thumbs"], told["below"]) == (False, "")
    assert ratings.given(conversation_id) == {}
    assert Review(chat.people, chat.ann).queue().items == []


def test_nobody_rates_or_sees_the_rating_of_anothers_answer(chat: Chat) -> None:
    conversation_id, turn = chat.told(chat.bob)
    Ratings(chat.people, chat.bob).give(turn.id, "down", reason="wrong", corrected="30 days.")
    ann, path = chat.at(chat.ann), f"/api/turns/{turn.id}/rating"
    tried = [ann.put(path, json={"verdict": "up"}), ann.get(path), ann.delete(path)]
    assert [answered.status_code for answered in tried] == [404] * 3
    assert all("30 days" not in answered.text for answered in tried)
    assert Ratings(chat.people, chat.ann).given(conversation_id) == {}
    assert Ratings(chat.people, chat.bob).given(conversation_id)[turn.id].reason == "wrong"


@pytest.mark.parametrize(
    "said",
    [
        {"verdict": "sideways"},
        {"verdict": "up", "reason": "wrong"},
        {"verdict": "down", "reason": "boring"},
        {"verdict": "down", "corrected": "x" * 10_001},
        {"verdict": "down", "corrected": "x" * 10**6},
        {},
    ],
)
def test_what_is_no_rating_is_refused(chat: Chat, said: dict[str, str]) -> None:
    _, turn = chat.told(chat.bob)
    assert chat.at(chat.bob).put(f"/api/turns/{turn.id}/rating", json=said).status_code == 400
    assert Review(chat.people, chat.ann).queue().items == []


def test_a_reload_shows_the_thumb_that_was_given(chat: Chat) -> None:
    conversation_id, turn = chat.told(chat.bob)
    Ratings(chat.people, chat.bob).give(turn.id, "up")
    back = chat.restarted().conversations.find(chat.bob.id, conversation_id)
    assert back is not None
    ratings = Ratings(chat.people, chat.bob).given(conversation_id)
    beside = {at: Beside(given=given) for at, given in ratings.items()}
    html = conversation_html(back.id, [each.state for each in back.turns], "en", beside=beside)
    assert f'data-conversation="{conversation_id}"' in html
    assert html.count(PRESSED) == 1
    assert "Rated as good." in html


def test_reasons_fit_what_was_said_and_every_reason_can_be_given() -> None:
    assert set(REASONS_FOR_ANSWERS) | set(REASONS_FOR_REFUSALS) == set(REASONS)
    assert "should_have_answered" not in rating_form_html(GivenRating(verdict="down"), "en", refused=False)
    assert "should_have_refused" not in rating_form_html(GivenRating(verdict="down"), "en", refused=True)
    kept = rating_form_html(GivenRating(verdict="down", reason="incomplete"), "en", refused=True)
    assert 'value="incomplete" checked' in kept


def test_only_answers_have_thumbs() -> None:
    refused = TurnState(id="t", question="q", stage="finished", text="No.", answer=answer(abstained=True))
    stopped = TurnState(id="t", question="q", stage="stopped", text="It is")
    assert "data-rated" in conversation_html("c", [refused], "en")
    assert "data-rated" not in conversation_html("c", [stopped], "en")
    assert thumbs_html("t", None, "en").count('aria-pressed="false"') == 2
    assert given_html(None, "zh") == ""
