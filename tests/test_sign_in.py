"""Signing in, the first start, invitations and one's own account: pages that work without a script."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response

from app.people.database import People
from app.people.records import Person
from app.security import SESSION_COOKIE
from app.server import begin, create_app
from app.web.account import device
from app.web.forms import MAX_FORM_BYTES, local_path
from app.web.visitors import Visitors
from core.errors import InvalidSetting
from core.settings import ServeSettings
from tests.small_app import browser, entrances, signed_in, small_house
from tests.small_people import PASSWORD, Clock, add
from tests.small_store import ingestible, open_writer

DAY = 86_400.0


@dataclass(frozen=True)
class Door:
    """The pages of accounts over a file of people whose clock is set by hand."""

    app: FastAPI
    visitors: Visitors
    people: People
    clock: Clock

    def browser(self, *, client: str = "127.0.0.1", **headers: str) -> TestClient:
        return browser(self.app, client=client, **headers)

    def sign_in(
        self, name: str, password: str = PASSWORD, *, next: str = "/", at: TestClient | None = None
    ) -> tuple[TestClient, Response]:
        at = at or self.browser()
        return at, at.post("/sign-in", data={"name": name, "password": password, "next": next})


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    with small_house(tmp_path) as (kb, people):
        people.clock = clock = Clock()
        app, visitors = entrances(kb, people)
        yield Door(app, visitors, people, clock)


@pytest.fixture
def ann(door: Door) -> Person:
    return door.visitors.accounts.add("Ann", PASSWORD, role="admin")


def wrong(text: str) -> list[str]:
    """Return what a page says is wrong."""
    return re.findall(r'<p class="wrong[^>]*role="alert">(.*?)</p>', text)


def form_token(text: str) -> str:
    found = re.search(r'name="form_token" value="([0-9a-f]{64})"', text)
    assert found is not None
    return found[1]


# --- signing in -------------------------------------------------------------------------------------------------------


def test_who_signs_in_goes_on_where_they_wanted_to_with_a_cookie_that_no_script_and_no_site_can_use(
    door: Door, ann: Person
) -> None:
    at, answered = door.sign_in(" ann ", next="/zh/?a=1")
    assert (answered.status_code, answered.headers["location"]) == (303, "/zh/?a=1")
    cookie = answered.headers["set-cookie"]
    assert all(part in cookie for part in (f"{SESSION_COOKIE}=", "HttpOnly", "SameSite=strict", "Path=/"))
    assert f"Max-Age={90 * DAY:.0f}" in cookie
    assert "Secure" not in cookie
    assert at.get("/account").status_code == 200
    assert at.get("/sign-in?next=/account").headers["location"] == "/account"
    assert door.visitors.recognize(at.cookies[SESSION_COOKIE]) == ann


def test_over_tls_the_cookie_is_for_tls_alone(door: Door, ann: Person) -> None:
    at = door.browser(origin="https://127.0.0.1:7860")
    at.base_url = "https://127.0.0.1:7860"
    answered = at.post("/sign-in", data={"name": "Ann", "password": PASSWORD})
    assert "; Secure" in answered.headers["set-cookie"]


def test_a_wrong_password_and_an_unknown_name_are_told_alike_and_the_name_stays(door: Door, ann: Person) -> None:
    pages = [door.sign_in(name, password)[1] for name, password in (("Ann", "x" * 12), ("Nobody", PASSWORD))]
    assert [page.status_code for page in pages] == [401, 401]
    assert (
        wrong(pages[0].text) == wrong(pages[1].text) == ["The name or the password is wrong. Check both and try again."]
    )
    assert 'value="Ann"' in pages[0].text
    assert "set-cookie" not in pages[0].headers
    assert PASSWORD not in pages[1].text


def test_an_empty_field_is_told_beside_it(door: Door, ann: Person) -> None:
    page = door.sign_in("Ann", "")[1]
    assert page.status_code == 400
    assert 'id="in-password-wrong" role="alert"' in page.text
    assert 'aria-describedby="in-password-wrong"' in page.text
    assert 'aria-invalid="true"' in page.text


def test_who_guesses_waits_longer_and_longer(door: Door, ann: Person) -> None:
    guesses = [door.sign_in("Ann", f"guess {i} of many")[1] for i in range(7)]
    assert [guess.status_code for guess in guesses] == [401] * 5 + [429] * 2
    assert int(guesses[-1].headers["retry-after"]) >= 1
    assert wrong(guesses[-1].text)[0].startswith("Too many tries")
    assert door.sign_in("Ann")[1].status_code == 429, "the right password does not help during the wait"
    door.clock.now += 5
    assert door.sign_in("Ann")[1].status_code == 303


def test_a_session_ends_after_days_without_a_visit_and_after_its_longest_time(door: Door, ann: Person) -> None:
    at, _ = door.sign_in("Ann")
    for _ in range(8):
        door.clock.now += 10 * DAY
        assert at.get("/account").status_code == 200
    door.clock.now += 11 * DAY
    assert at.get("/account").headers["location"] == "/sign-in?next=/account"
    again, _ = door.sign_in("Ann")
    door.clock.now += 15 * DAY
    assert again.get("/account").status_code == 303


def test_signing_out_ends_the_session_for_whoever_kept_its_cookie(door: Door, ann: Person) -> None:
    at, _ = door.sign_in("Ann")
    kept = at.cookies[SESSION_COOKIE]
    assert at.post("/sign-out", data={"form_token": "0" * 64}).status_code == 303
    assert door.visitors.recognize(kept) is not None, "a form of another page signs nobody out"
    at.cookies.set(SESSION_COOKIE, kept)
    answered = at.post("/sign-out", data={"form_token": form_token(at.get("/account").text)})
    assert (answered.status_code, answered.headers["location"]) == (303, "/sign-in")
    assert door.visitors.recognize(kept) is None


def test_signing_in_anew_replaces_the_session_of_the_browser(door: Door, ann: Person) -> None:
    at, _ = door.sign_in("Ann")
    first = at.cookies[SESSION_COOKIE]
    door.sign_in("Ann", at=at)
    assert door.visitors.recognize(first) is None
    assert len(door.visitors.sessions.of(ann.id)) == 1


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:9999", "null"])
def test_no_other_site_signs_anybody_in_or_out(door: Door, ann: Person, origin: str) -> None:
    evil = door.browser(origin=origin)
    for path in ("/sign-in", "/sign-out", "/welcome", "/account"):
        assert evil.post(path, data={"name": "Ann", "password": PASSWORD}).status_code == 403


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "\\/evil.example", "/\t/evil.example", "",
     "javascript:x", "en/", "/\n//evil.example"],
)  # fmt: skip
def test_signing_in_leads_nowhere_else(door: Door, ann: Person, elsewhere: str) -> None:
    assert local_path(elsewhere) == "/"
    assert door.sign_in("Ann", next=elsewhere)[1].headers["location"] == "/"
    assert 'name="next" value="/"' in door.browser().get("/sign-in", params={"next": elsewhere}).text


def test_a_form_that_is_none_or_is_huge_is_refused(door: Door, ann: Person) -> None:
    at = door.browser()
    for sent in (
        {"json": {"name": "Ann"}},
        {"data": {"name": "x" * MAX_FORM_BYTES}},
        {"data": {f"f{i}": "1" for i in range(30)}},
        {"content": b"name=\xff", "headers": {"content-type": "application/x-www-form-urlencoded"}},
    ):
        with pytest.raises(Exception, match=r"form"):
            at.post("/sign-in", **sent)


def test_the_pages_speak_both_languages_and_remember_the_one_that_was_chosen(door: Door, ann: Person) -> None:
    at = door.browser()
    assert "<h1>Sign in</h1>" in at.get("/sign-in").text
    chosen = at.get("/sign-in?lang=zh&next=/account")
    assert "<h1>登录</h1>" in chosen.text
    assert '<html lang="zh-CN">' in chosen.text
    assert 'value="/account"' in chosen.text
    assert "lang=en&amp;next=%2Faccount" in chosen.text
    assert "用户名或密码错误" in door.sign_in("Ann", "x" * 12, at=at)[1].text


# --- the first start --------------------------------------------------------------------------------------------------

FIRST = {"name": "Ann", "password": PASSWORD, "again": PASSWORD}


def test_the_first_start_makes_the_administrator_and_then_is_over(door: Door) -> None:
    at = door.browser()
    assert at.get("/account").headers["location"] == "/welcome"
    assert at.get("/sign-in").headers["location"] == "/welcome"
    page = at.get("/welcome")
    assert 'autocomplete="new-password"' in page.text
    assert 'name="code"' not in page.text
    answered = at.post("/welcome", data=FIRST)
    assert (answered.status_code, answered.headers["location"]) == (303, "/")
    assert [(p.name, p.role) for p in door.visitors.accounts.all()] == [("Ann", "admin")]
    assert at.get("/account").status_code == 200
    other = door.browser()
    assert other.get("/welcome").headers["location"] == "/"
    assert other.post("/welcome", data={**FIRST, "name": "Eve"}).headers["location"] == "/sign-in"
    assert len(door.visitors.accounts.all()) == 1


@pytest.mark.parametrize(
    ("change", "field", "said"),
    [
        ({"again": "another password"}, "again", "The two passwords differ."),
        ({"password": "short", "again": "short"}, "password", "10 to 1,000 are needed"),
        ({"name": " "}, "name", "Fill this in."),
        ({"name": "a\u202eb"}, "name", "printable characters"),
        ({"again": ""}, "again", "Fill this in."),
    ],
)
def test_what_is_wrong_with_a_new_account_is_said_beside_its_field(
    door: Door, change: dict[str, str], field: str, said: str
) -> None:
    page = door.browser().post("/welcome", data={**FIRST, **change})
    assert page.status_code == 400
    assert f'id="in-{field}-wrong"' in page.text
    assert said in wrong(page.text)[0]
    assert not door.visitors.accounts.has_admin()


def test_from_elsewhere_the_first_start_asks_for_the_code_that_the_terminal_shows(door: Door) -> None:
    remote = door.browser(client="192.168.1.20")
    assert 'name="code"' in remote.get("/welcome").text
    for code in ({}, {"code": "abcd-abcd-abcd-abcd"}):
        assert remote.post("/welcome", data={**FIRST, **code}).status_code == 403
    assert not door.visitors.accounts.has_admin()
    assert remote.post("/welcome", data={**FIRST, "code": f" {door.visitors.code.upper()} "}).status_code == 303


@pytest.mark.parametrize("header", [{"x-forwarded-for": "127.0.0.1"}, {"forwarded": "for=::1"}, {"via": "1.1 proxy"}])
def test_who_comes_through_a_proxy_of_this_machine_is_not_at_it(door: Door, header: dict[str, str]) -> None:
    proxied = door.browser(**header)
    assert 'name="code"' in proxied.get("/welcome").text
    assert proxied.post("/welcome", data=FIRST).status_code == 403


def test_of_many_first_starts_at_once_one_makes_an_administrator(door: Door) -> None:
    def start(name: str) -> int:
        return int(door.browser().post("/welcome", data={**FIRST, "name": name}).status_code)

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(start, ("Ann", "Bob", "Cem", "Dee")))
    assert len(door.visitors.accounts.all()) == 1
    assert sum(len(door.visitors.sessions.of(p.id)) for p in door.visitors.accounts.all()) == 1
    assert set(statuses) <= {303, 403}


def test_at_the_first_start_the_sample_is_for_everybody_and_later_nothing_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_house(tmp_path) as (kb, people):
        for name in ("sample", "other"):
            with open_writer(tmp_path) as writer:
                writer.put([ingestible("a.txt", "Words.", collection=name)], collection=name)
        visitors = Visitors(kb, people)
        begin(kb, visitors, address="http://127.0.0.1:7860")
        said = capsys.readouterr().out
        assert "http://127.0.0.1:7860/welcome" in said
        assert visitors.code in said
        reader = add(people, "Rea")
        assert visitors.own(reader.id).collections() == ["sample"]
        admin = visitors.accounts.create_first_admin("Ann", PASSWORD)
        visitors.own(admin.id).sharing.publish("sample", False)
        begin(kb, visitors, address="http://127.0.0.1:7860")
        assert capsys.readouterr().out == ""
        assert visitors.own(reader.id).collections() == []


# --- invitations ------------------------------------------------------------------------------------------------------


def test_an_invitation_makes_one_account_of_its_role_and_is_spent(door: Door, ann: Person) -> None:
    _, token = door.visitors.invitations.invite(role="editor", made_by=ann.id)
    at = door.browser()
    assert at.get(f"/invitation/{token}?lang=zh").headers["location"] == f"/join/{token}?lang=zh"
    assert "You were invited as editor" in at.get(f"/join/{token}").text
    taken = at.post(f"/join/{token}", data={**FIRST, "name": "ANN"})
    assert (taken.status_code, "This name is taken" in taken.text) == (409, True)
    bob = {"name": "Bob", "password": PASSWORD, "again": PASSWORD}
    assert at.post(f"/join/{token}", data=bob).headers["location"] == "/"
    assert "Signed in as Bob, editor" in at.get("/account").text
    late = door.browser()
    for answered in (late.get(f"/join/{token}"), late.post(f"/join/{token}", data={**bob, "name": "Eve"})):
        assert answered.status_code == 410
        assert "cannot be used any more" in answered.text
    assert [p.name for p in door.visitors.accounts.all()] == ["Ann", "Bob"]


def test_a_reset_changes_the_password_and_signs_out_everywhere_else(door: Door, ann: Person) -> None:
    elsewhere, _ = door.sign_in("Ann")
    _, token = door.visitors.invitations.offer_reset(ann.id)
    at = door.browser()
    assert at.get(f"/join/{token}").headers["location"] == f"/reset/{token}"
    assert "It is for Ann." in at.get(f"/reset/{token}").text
    new = "staple battery horse"
    assert at.post(f"/reset/{token}", data={"password": new, "again": new}).status_code == 303
    assert at.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 303
    assert door.sign_in("Ann")[1].status_code == 401
    assert door.sign_in("Ann", new)[1].status_code == 303
    assert at.get(f"/reset/{token}").status_code == 410


# --- one's own account ------------------------------------------------------------------------------------------------


class Account:
    """The account page of a person who is signed in."""

    def __init__(self, door: Door, at: TestClient) -> None:
        self.door, self.at = door, at

    def send(self, form: str, **fields: str) -> Response:
        token = form_token(self.at.get("/account").text)
        return self.at.post("/account", data={"form": form, "form_token": token, **fields})


@pytest.fixture
def account(door: Door, ann: Person) -> Account:
    return Account(door, door.sign_in("Ann")[0])


def test_name_language_and_password_are_changed(door: Door, account: Account) -> None:
    add(door.people, "Bob")
    taken = account.send("profile", name="bob", language="en")
    assert (taken.status_code, 'id="profile-name-wrong"' in taken.text) == (409, True)
    saved = account.send("profile", name="Anna", language="zh")
    assert saved.headers["location"] == "/account?done=profile"
    assert "已登录：Anna（管理员）" in account.at.get("/account?done=profile").text
    new = "staple battery horse"
    for fields, field in (
        ({"old": "wrong words here", "password": new, "again": new}, "old"),
        ({"old": PASSWORD, "password": "short", "again": "short"}, "password"),
        ({"old": PASSWORD, "password": new, "again": "other"}, "again"),
    ):
        assert f'id="password-{field}-wrong"' in account.send("password", **fields).text
    assert account.send("password", old=PASSWORD, password=new, again=new).status_code == 303
    assert account.at.get("/account").status_code == 200
    assert door.sign_in("Anna", new)[1].status_code == 303


def test_sessions_are_listed_and_ended_from_elsewhere(door: Door, ann: Person, account: Account) -> None:
    others = [door.sign_in("Ann")[0] for _ in range(3)]
    page = account.at.get("/account").text
    assert page.count("Firefox on Linux") == 4 + 3  # each of the others is named on its button too
    ended = re.findall(r'name="session" value="([^"]+)"', page)[0]
    assert account.send("session", session=ended).headers["location"] == "/account?done=sessions"
    assert sorted(at.get("/account").status_code for at in others) == [200, 200, 303]
    assert account.send("session", session=ended).status_code == 404
    account.send("sessions")
    assert [at.get("/account").status_code for at in others] == [303, 303, 303]
    assert account.at.get("/account").status_code == 200
    stranger = add(door.people, "Eve")
    theirs = door.visitors.sessions.create(stranger.id)
    session = door.visitors.sessions.of(stranger.id)[0]
    assert account.send("session", session=session.id).status_code == 404
    assert door.visitors.recognize(theirs) == stranger


def test_a_form_without_the_sessions_token_changes_nothing(door: Door, account: Account) -> None:
    for token in ("", "0" * 64, "é"):
        refused = account.at.post("/account", data={"form": "profile", "name": "Eve", "form_token": token})
        assert (refused.status_code, "Try again" in refused.text) == (403, True)
    assert account.send("nothing").status_code == 403
    assert door.visitors.accounts.all()[0].name == "Ann"


def test_everything_about_a_person_is_downloaded_by_them(door: Door, ann: Person, account: Account) -> None:
    answered = account.at.get("/account/everything.json")
    assert answered.headers["content-disposition"].startswith("attachment")
    everything = answered.json()
    assert everything["account"]["name"] == "Ann"
    assert {entry["action"] for entry in everything["audit"]} >= {"signed_in", "data_exported"}
    assert account.at.cookies[SESSION_COOKIE] not in answered.text


def test_an_account_is_deleted_with_its_password_unless_it_is_the_last_that_administers(
    door: Door, ann: Person, account: Account
) -> None:
    assert account.send("delete", password="wrong words here").status_code == 401
    assert "Make another person an administrator first" in account.send("delete", password=PASSWORD).text
    door.visitors.accounts.add("Bob", PASSWORD, role="admin")
    assert account.send("delete", password=PASSWORD).headers["location"] == "/sign-in"
    assert [p.name for p in door.visitors.accounts.all()] == ["Bob"]
    assert door.sign_in("Ann")[1].status_code == 401


def test_what_a_person_calls_themselves_is_never_markup(door: Door) -> None:
    hostile = add(door.people, "<img src=x onerror=alert(1)>\"'{{1+1}}")
    token = door.visitors.sessions.create(hostile.id, user_agent="<b>x</b>")
    at = door.browser()
    at.cookies.set(SESSION_COOKIE, token)
    page = at.get("/account").text
    assert "<img" not in page
    assert "<b>" not in page
    assert "{{1+1}}" in page


@pytest.mark.parametrize(
    ("user_agent", "said"),
    [
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 15) Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.5.0", "curl"),
        ("", "Unknown program"),
    ],
)
def test_a_browser_is_called_as_people_call_it(user_agent: str, said: str) -> None:
    assert device(user_agent, "en") == said


# --- where nobody signs in --------------------------------------------------------------------------------------------


def test_where_nobody_signs_in_everybody_administers_and_no_page_asks(tmp_path: Path) -> None:
    with small_house(tmp_path, serve=ServeSettings(sign_in="none")) as (kb, people):
        app, visitors = entrances(kb, people)
        at = browser(app)
        for path in ("/sign-in", "/welcome", "/account"):
            assert at.get(path).headers["location"] == "/"
        person = visitors.recognize("")
        assert person is not None
        assert person.is_admin
        with pytest.raises(InvalidSetting, match=r"serve\.sign_in: whoever reaches 0\.0\.0\.0 would administer"):
            create_app(kb, people, host="0.0.0.0")


def test_signed_in_browsers_of_the_tests_are_real_ones(door: Door, ann: Person) -> None:
    assert "Signed in as Ann" in signed_in(door.app, door.people, ann).get("/account").text
