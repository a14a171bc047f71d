"""Accounts: who may sign in, for how long, and what is left of somebody who leaves."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest
from argon2 import PasswordHasher, Type
from argon2.profiles import CHEAPEST, RFC_9106_LOW_MEMORY

from app.cli import main
from app.people import passwords
from app.people.accounts import Accounts
from app.people.audit import Audit
from app.people.database import DATABASE, People, token_hash
from app.people.groups import Groups
from app.people.invitations import Invitations
from app.people.sessions import Sessions
from app.people.throttle import LIMITS
from core.errors import (
    CitadelError,
    InvitationSpent,
    LastAdmin,
    NameTaken,
    NotAllowed,
    SignInFailed,
    StoreDamaged,
    StoreTooNew,
    Throttled,
    UnknownPerson,
    UsageError,
    WeakPassword,
)
from core.settings import load_settings
from tests.small_people import PASSWORD, Clock, add, bytes_of

DAY = 86_400.0
HOME = "192.0.2.7"


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    cheap = PasswordHasher.from_parameters(CHEAPEST)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    passwords._nobodys.cache_clear()
    yield
    passwords._nobodys.cache_clear()


@pytest.fixture
def accounts(people: People) -> Accounts:
    """Its accounts: Ann administers."""
    made = Accounts(people)
    made.create_first_admin("Ann", PASSWORD)
    return made


@pytest.fixture
def sessions(people: People) -> Sessions:
    """Its sessions: 90 days, 14 without a visit."""
    return Sessions(people, load_settings().settings.serve)


# --- the file --------------------------------------------------------------------------------------------------------


def test_the_file_is_its_owners_alone_and_keeps_what_it_was_told(tmp_path: Path) -> None:
    with People.open(tmp_path / "new" / "folder") as people:
        ann = Accounts(people).create_first_admin("Ann", PASSWORD)
        for file in (tmp_path / "new" / "folder").iterdir():
            assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    with People.open(tmp_path / "new" / "folder") as people:
        assert Accounts(people).get(ann.id) == ann


def test_a_newer_or_foreign_file_is_refused(tmp_path: Path) -> None:
    People.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreTooNew, match="version 99"):
        People.open(tmp_path)
    connection = sqlite3.connect(tmp_path / DATABASE)
    connection.execute("PRAGMA application_id = 7")
    connection.close()
    with pytest.raises(StoreDamaged, match="another program"):
        People.open(tmp_path)
    (tmp_path / DATABASE).write_bytes(b"no database " * 1000)
    with pytest.raises(StoreDamaged, match="backup"):
        People.open(tmp_path)


def test_a_change_that_fails_is_undone_whole(people: People) -> None:
    def fail_halfway() -> None:
        with people.writing():
            add(people, "Bob")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_halfway()
    assert Accounts(people).all() == []


# --- accounts --------------------------------------------------------------------------------------------------------


def test_the_first_administrator_is_made_once(people: People) -> None:
    accounts = Accounts(people)
    assert not accounts.has_admin()

    def make(i: int) -> object:
        try:
            return accounts.create_first_admin(f"Admin {i}", PASSWORD)
        except NotAllowed as error:
            return error

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(make, range(8)))
    assert sum(not isinstance(each, NotAllowed) for each in made) == 1
    assert len(accounts.all()) == 1
    assert accounts.has_admin()


def test_whoever_works_on_a_machine_without_sign_in_cannot_sign_in_to_another(people: People) -> None:
    accounts = Accounts(people)
    machine = accounts.of_this_machine()
    assert machine == accounts.of_this_machine()
    assert machine.is_admin
    assert accounts.all() == []
    assert not accounts.has_admin()
    for name in (machine.name, machine.id, "\nmachine"):
        with pytest.raises(SignInFailed):
            accounts.check_sign_in(name, "", address=HOME)
    assert accounts.create_first_admin(machine.name, PASSWORD).id != machine.id


def test_passwords_are_kept_as_argon2id_hashes_of_the_librarys_strength(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    hasher = passwords.hasher()
    assert (hasher.type, hasher.memory_cost, hasher.time_cost) == (Type.ID, RFC_9106_LOW_MEMORY.memory_cost, 3)
    hashed = passwords.hash_password(PASSWORD)
    assert hashed.startswith("$argon2id$")
    assert passwords.verify_password(PASSWORD, hashed)
    assert not passwords.verify_password(PASSWORD + "x", hashed)


def test_no_password_and_no_token_is_in_the_file(people: People, accounts: Accounts, sessions: Sessions) -> None:
    ann = accounts.named("ann")
    token = sessions.create(ann.id)
    _, invitation = Invitations(people).invite(role="reader")
    kept = bytes_of(people.path.parent)
    for secret in (PASSWORD, token, invitation):
        assert secret.encode() not in kept
    assert token_hash(token) in kept


@pytest.mark.parametrize(
    "password",
    [
        "",
        "short",
        "123456789",
        "aaaaaaaaaaaa",
        "abababababab",
        "1234567890",
        "0987654321",
        "Ann" * 4,
        "ann1ann2ann3",
        "x" * 1001,
    ],
)
def test_a_weak_password_is_refused(people: People, password: str) -> None:
    with pytest.raises(WeakPassword):
        Accounts(people).create_first_admin("Ann", password)
    assert not Accounts(people).has_admin()


@pytest.mark.parametrize(
    "password", ["horse staple battery", "我的密码是一句很长的话", "ﾊﾟｽﾜｰﾄﾞは長いです", "caf\u00e9 au lait 9"]
)
def test_a_password_is_the_same_however_it_is_composed(people: People, password: str) -> None:
    import unicodedata

    accounts = Accounts(people)
    accounts.create_first_admin("Ann", password)
    assert accounts.check_sign_in("Ann", unicodedata.normalize("NFD", password), address=HOME).name == "Ann"


@pytest.mark.parametrize("name", ["", "  ", "a" * 61, "a\nb\x00", "a\u202eb"])
def test_a_name_that_cannot_be_shown_is_none(people: People, name: str) -> None:
    with pytest.raises(UsageError):
        Accounts(people).create_first_admin(name, PASSWORD)


def test_names_that_people_take_for_the_same_are_one(accounts: Accounts) -> None:
    for name in ("ann", "ANN", "Ａｎｎ", "  Ann "):
        with pytest.raises(NameTaken):
            accounts.add(name, PASSWORD, role="reader")
        assert accounts.check_sign_in(name, PASSWORD, address=HOME).name == "Ann"
    weiss = accounts.add("Weiß  李", PASSWORD, role="reader")
    assert accounts.named("WEISS 李") == weiss
    with pytest.raises(NameTaken):
        accounts.rename(weiss.id, "ann")
    assert accounts.rename(weiss.id, "weiss 李").name == "weiss 李"
    with pytest.raises(UnknownPerson):
        accounts.named("nobody")


def test_the_last_administrator_stays(accounts: Accounts, sessions: Sessions) -> None:
    ann = accounts.named("Ann")
    token = sessions.create(ann.id)
    for change in (accounts.disable, accounts.delete, lambda person_id: accounts.set_role(person_id, "editor")):
        with pytest.raises(LastAdmin):
            change(ann.id)
    assert sessions.resolve(token) == ann
    bob = accounts.add("Bob", PASSWORD, role="admin")
    accounts.disable(bob.id)
    with pytest.raises(LastAdmin):
        accounts.delete(ann.id)
    accounts.enable(bob.id)
    accounts.delete(ann.id)
    assert accounts.all() == [bob]


# --- signing in ------------------------------------------------------------------------------------------------------


def test_a_wrong_name_costs_a_hash_and_is_told_like_a_wrong_password(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    cheap = passwords.hasher()

    class Counting:
        def verify(self, hashed: str, password: bytes) -> bool:
            checked.append(hashed[:9])
            return bool(cheap.verify(hashed, password))

        hash, check_needs_rehash = cheap.hash, cheap.check_needs_rehash

    monkeypatch.setattr(passwords, "hasher", Counting)
    accounts.add("Bob", PASSWORD, role="reader")
    accounts.disable(accounts.named("Bob").id)
    said = set()
    for name, password in (("Ann", "wrong"), ("nobody", PASSWORD), ("Bob", PASSWORD), ("", ""), ("\ud800", "\ud800")):
        with pytest.raises(SignInFailed) as error:
            accounts.check_sign_in(name, password, address=HOME)
        said.add(str(error.value))
    assert checked == ["$argon2id"] * 5
    assert len(said) == 1


def test_a_hash_of_weaker_parameters_is_renewed_by_signing_in(
    people: People, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    stronger = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: stronger)
    accounts.check_sign_in("Ann", PASSWORD, address=HOME)
    with people.reading() as connection:
        assert ",t=2," in connection.execute("SELECT password FROM persons").get
    assert accounts.check_sign_in("Ann", PASSWORD, address=HOME)


def test_waits_grow_with_each_failure_and_outlive_a_restart(tmp_path: Path, clock: Clock) -> None:
    def fail() -> float:
        with People.open(tmp_path, clock=clock) as people, pytest.raises((SignInFailed, Throttled)) as error:
            Accounts(people).check_sign_in("Ann", "wrong", address=HOME)
        return error.value.retry_after_seconds if isinstance(error.value, Throttled) else 0.0

    with People.open(tmp_path, clock=clock) as people:
        Accounts(people).create_first_admin("Ann", PASSWORD)
    waits = []
    for _ in range(20):
        wait = fail()
        waits.append(wait)
        clock.now += wait
    assert waits[:5] == [0] * 5
    assert [wait for wait in waits[5:] if wait] == [1, 2, 4, 8, 16, 32, 64, 128]
    clock.now += LIMITS["both"].longest_seconds
    with People.open(tmp_path, clock=clock) as people:
        assert Accounts(people).check_sign_in("Ann", PASSWORD, address=HOME)
        with pytest.raises(SignInFailed):
            Accounts(people).check_sign_in("Ann", "wrong", address=HOME)


def test_the_right_password_waits_too(accounts: Accounts) -> None:
    for _ in range(5):
        with pytest.raises(SignInFailed):
            accounts.check_sign_in("Ann", "wrong", address=HOME)
    with pytest.raises(Throttled):
        accounts.check_sign_in("Ann", PASSWORD, address=HOME)
    assert accounts.check_sign_in("Ann", PASSWORD, address="192.0.2.8")  # from elsewhere she is not kept out


def test_an_address_that_tries_many_names_waits_even_with_an_account_of_its_own(accounts: Accounts) -> None:
    tries, refused = 0, None
    while refused is None and tries < 200:
        tries += 1
        try:
            accounts.check_sign_in("Ann", PASSWORD, address=HOME)
            accounts.check_sign_in(f"somebody {tries}", "wrong", address=HOME)
        except SignInFailed:
            continue
        except Throttled as error:
            refused = error
    assert refused is not None
    assert tries <= LIMITS["address"].free + 1


def test_many_tries_at_once_are_not_all_judged(accounts: Accounts) -> None:
    def fail(_: int) -> type[CitadelError]:
        with pytest.raises((SignInFailed, Throttled)) as error:
            accounts.check_sign_in("Ann", "wrong", address=HOME)
        return type(error.value)

    with ThreadPoolExecutor(16) as pool:
        kinds = list(pool.map(fail, range(32)))
    assert kinds.count(SignInFailed) == LIMITS["both"].free


def test_what_was_typed_as_a_name_is_not_kept(people: People, accounts: Accounts) -> None:
    with pytest.raises(SignInFailed):
        accounts.check_sign_in("my secret in the wrong field", "x", address="198.51.100.77")
    kept = bytes_of(people.path.parent)
    assert b"wrong field" not in kept
    assert b"198.51.100.77" not in kept


# --- sessions --------------------------------------------------------------------------------------------------------


def test_a_session_that_is_used_every_day_ends_with_age(accounts: Accounts, sessions: Sessions, clock: Clock) -> None:
    ann, start = accounts.named("Ann"), clock.now
    token = sessions.create(ann.id)
    for day in range(1, 91):
        clock.now = start + day * DAY - 1
        assert sessions.resolve(token) == ann, day
    clock.now = start + 90 * DAY
    assert sessions.resolve(token) is None
    assert sessions.of(ann.id) == []


def test_an_idle_session_is_gone_after_its_days(accounts: Accounts, sessions: Sessions, clock: Clock) -> None:
    ann = accounts.named("Ann")
    token = sessions.create(ann.id)
    clock.now += 14 * DAY - 1
    assert len(sessions.of(ann.id)) == 1
    clock.now += 1
    assert sessions.resolve(token) is None
    sessions.create(ann.id)
    assert len(sessions.of(ann.id)) == 1


def test_being_seen_is_written_every_few_minutes_at_most(
    people: People, accounts: Accounts, sessions: Sessions, clock: Clock
) -> None:
    ann = accounts.named("Ann")
    token = sessions.create(ann.id)
    with people.reading() as connection:
        n_changes = connection.total_changes()
        for _ in range(100):
            clock.now += 2.5
            sessions.resolve(token)
        assert connection.total_changes() == n_changes
    clock.now += 100
    sessions.resolve(token)
    (session,) = sessions.of(ann.id, token=token)
    assert session.seen == clock.now
    assert session.expires == clock.now + 14 * DAY
    assert session.current


def test_only_the_whole_token_of_a_living_session_is_somebody(accounts: Accounts, sessions: Sessions) -> None:
    ann = accounts.named("Ann")
    token = sessions.create(ann.id, user_agent="Browser\n\x00" + "x" * 500, address=HOME)
    for wrong in ("", token[:-1], token + "a", token.swapcase(), token_hash(token).hex(), "\ud800"):
        assert sessions.resolve(wrong) is None
    (session,) = sessions.of(ann.id)
    assert session.user_agent.startswith("Browser  xxx")
    assert len(session.user_agent) <= 200
    assert not session.current
    sessions.end(token)
    assert sessions.resolve(token) is None


def test_a_person_ends_their_own_sessions_and_no_others(accounts: Accounts, sessions: Sessions) -> None:
    ann, bob = accounts.named("Ann"), accounts.add("Bob", PASSWORD, role="reader")
    here, there, bobs = sessions.create(ann.id), sessions.create(ann.id), sessions.create(bob.id)
    (session_of_bob,) = sessions.of(bob.id)
    with pytest.raises(UnknownPerson):
        sessions.revoke(ann.id, session_of_bob.id)
    other = next(session for session in sessions.of(ann.id, token=here) if not session.current)
    sessions.revoke(ann.id, other.id)
    assert (sessions.resolve(here), sessions.resolve(there)) == (ann, None)
    sessions.create(ann.id)
    assert sessions.revoke_all(ann.id, but_token=here) == 1
    assert sessions.revoke_all(ann.id) == 1
    assert sessions.resolve(bobs) == bob


def test_a_new_password_ends_every_other_session(accounts: Accounts, sessions: Sessions) -> None:
    ann = accounts.named("Ann")
    here, there = sessions.create(ann.id), sessions.create(ann.id)
    with pytest.raises(SignInFailed):
        accounts.change_password(ann.id, old="wrong", new="another long one", token=here, address=HOME)
    with pytest.raises(WeakPassword):
        accounts.change_password(ann.id, old=PASSWORD, new="short", token=here, address=HOME)
    assert sessions.resolve(there) == ann
    accounts.change_password(ann.id, old=PASSWORD, new="another long one", token=here, address=HOME)
    assert (sessions.resolve(here), sessions.resolve(there)) == (ann, None)
    assert accounts.check_sign_in("Ann", "another long one", address=HOME) == ann
    accounts.reset_password(ann.id, PASSWORD)
    assert sessions.resolve(here) is None


def test_a_disabled_person_is_signed_out_and_cannot_come_back(accounts: Accounts, sessions: Sessions) -> None:
    bob = accounts.add("Bob", PASSWORD, role="reader")
    token = sessions.create(bob.id)
    accounts.disable(bob.id)
    assert sessions.resolve(token) is None
    with pytest.raises(SignInFailed):
        accounts.check_sign_in("Bob", PASSWORD, address=HOME)
    with pytest.raises(UnknownPerson):
        sessions.create(bob.id)
    accounts.enable(bob.id)
    assert sessions.resolve(token) is None
    assert accounts.check_sign_in("Bob", PASSWORD, address=HOME) == bob


# --- invitations -----------------------------------------------------------------------------------------------------


def test_an_invitation_makes_one_account(people: People, accounts: Accounts) -> None:
    invitations = Invitations(people)
    invitation, token = invitations.invite(role="editor", made_by=accounts.named("Ann").id)
    assert invitations.find(token) == invitation
    with pytest.raises(NameTaken):
        invitations.accept(token, name="Ann", password=PASSWORD)
    with pytest.raises(WeakPassword):
        invitations.accept(token, name="Bob", password="short")
    bob = invitations.accept(token, name="Bob", password=PASSWORD)
    assert (bob.name, bob.role) == ("Bob", "editor")
    with pytest.raises(InvitationSpent):
        invitations.accept(token, name="Eve", password=PASSWORD)
    assert invitations.open() == []


def test_two_who_use_an_invitation_at_once_get_one_account(people: People, accounts: Accounts) -> None:
    _, token = Invitations(people).invite(role="reader")

    def accept(i: int) -> bool:
        try:
            Invitations(people).accept(token, name=f"Bob {i}", password=PASSWORD)
        except InvitationSpent:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(accept, range(8))) == 1
    assert len(accounts.all()) == 2


def test_invitations_expire_and_can_be_withdrawn_and_all_are_told_alike(people: People, clock: Clock) -> None:
    invitations = Invitations(people)
    old, expired = invitations.invite(role="reader", days=1)
    clock.now += DAY
    kept, withdrawn = invitations.invite(role="reader")
    assert [invitation.id for invitation in invitations.open()] == [kept.id]
    invitations.withdraw(kept.id)
    said = set()
    for token in (expired, withdrawn, "never was one", ""):
        with pytest.raises(InvitationSpent) as error:
            invitations.accept(token, name="Bob", password=PASSWORD)
        said.add(str(error.value))
    assert len(said) == 1
    assert old.id != kept.id


def test_an_offered_reset_replaces_the_password_once(people: People, accounts: Accounts, sessions: Sessions) -> None:
    invitations, ann = Invitations(people), accounts.named("Ann")
    here = sessions.create(ann.id)
    _, first = invitations.offer_reset(ann.id)
    offered, second = invitations.offer_reset(ann.id)
    assert offered.person == ann.id
    with pytest.raises(InvitationSpent):
        invitations.accept_reset(first, password="another long one")
    with pytest.raises(InvitationSpent):
        invitations.accept(second, name="Eve", password=PASSWORD)
    assert invitations.accept_reset(second, password="another long one") == ann
    assert sessions.resolve(here) is None
    assert accounts.check_sign_in("Ann", "another long one", address=HOME)
    with pytest.raises(InvitationSpent):
        invitations.accept_reset(second, password=PASSWORD)
    _, for_account = invitations.invite(role="reader")
    with pytest.raises(InvitationSpent):
        invitations.accept_reset(for_account, password=PASSWORD)


# --- groups, the audit log -------------------------------------------------------------------------------------------


def test_groups_have_names_and_members(people: People, accounts: Accounts) -> None:
    groups, ann = Groups(people), accounts.named("Ann")
    team = groups.add("Lawyers")
    with pytest.raises(NameTaken):
        groups.add("lawyers")
    assert groups.join(team.id, ann.id).members == (ann.id,)
    assert groups.join(team.id, ann.id) == groups.get(team.id)
    assert groups.rename(team.id, "法务").name == "法务"
    for wrong in (lambda: groups.join(team.id, "nobody"), lambda: groups.join("none", ann.id)):
        with pytest.raises(UnknownPerson):
            wrong()
    groups.delete(team.id)
    assert groups.all() == []


def test_the_audit_log_only_grows_and_is_read_by_administrators(people: People, accounts: Accounts) -> None:
    audit, ann, bob = Audit(people), accounts.named("Ann"), accounts.add("Bob", PASSWORD, role="reader")
    for i in range(7):
        audit.note("documents_added", person=bob if i % 2 else ann, target=f"c{i}\udce9", address=HOME)
    first = audit.newest(ann, n=4)
    second = audit.newest(ann, n=4, after=first.next)
    assert [entry.target for entry in (*first.items, *second.items)] == [f"c{i}\udce9" for i in reversed(range(7))]
    assert second.next == ""
    assert {entry.person_name for entry in audit.newest(ann, person=bob.id).items} == {"Bob"}
    assert audit.newest(ann, action="signed_in").items == []
    with pytest.raises(NotAllowed):
        audit.newest(bob)
    with pytest.raises(UsageError):
        audit.newest(ann, after="x")
    for statement in ("DELETE FROM audit", "UPDATE audit SET action = 'x'", "UPDATE audit SET address = 'x'"):
        with pytest.raises(apsw.ConstraintError, match="only grows"), people.writing() as connection:
            connection.execute(statement)
    accounts.delete(bob.id)
    left = audit.newest(ann, person=bob.id).items
    assert {(entry.person_name, entry.address) for entry in left} == {("", "")}
    assert len(audit.newest(ann).items) == 7


# --- the command line ------------------------------------------------------------------------------------------------


def run(tmp_path: Path, *arguments: str) -> int:
    return main(["--data", str(tmp_path / "data"), "people", *arguments])


def test_an_administrator_is_made_on_the_command_line_and_the_password_is_never_an_argument(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert run(tmp_path, "add-admin", "Ann", "--password-stdin") == 0
    assert run(tmp_path, "list", "--json") == 0
    out = capsys.readouterr().out
    (listed,) = json.loads(out[out.index("[") :])
    assert (listed["name"], listed["role"]) == ("Ann", "admin")
    with People.open(tmp_path / "data") as people:
        assert Accounts(people).check_sign_in("Ann", PASSWORD, address=HOME)
    assert run(tmp_path, "reset-password", "Ann") == 2
    assert "--password-stdin" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    assert run(tmp_path, "reset-password", "Ann", "--password-stdin") == 2
    assert "weak_password" in capsys.readouterr().err


def test_accounts_are_looked_after_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(tmp_path, "invite", "--role", "editor") == 0
    token = capsys.readouterr().out.strip().rpartition("/")[2]
    with People.open(tmp_path / "data") as people:
        bob = Invitations(people).accept(token, name="Bob", password=PASSWORD)
        sessions = Sessions(people, load_settings().settings.serve)
        browser, phone = sessions.create(bob.id, user_agent="Browser"), sessions.create(bob.id, user_agent="Phone")
        assert run(tmp_path, "sessions", "bob") == 0
        listed = capsys.readouterr().out.splitlines()
        assert len(listed) == 2
        assert run(tmp_path, "revoke", "bob", next(line for line in listed if "Phone" in line).split()[0]) == 0
        assert (sessions.resolve(browser), sessions.resolve(phone)) == (bob, None)
        assert run(tmp_path, "revoke", "bob") == 0
        assert sessions.resolve(browser) is None
        assert run(tmp_path, "set-role", "bob", "admin") == 0
        assert Accounts(people).get(bob.id).role == "admin"
        assert run(tmp_path, "disable", "bob") == 2
        assert run(tmp_path, "set-role", "bob", "reader") == 2
        ann = add(people, "Ann", "admin")
        for deed in ("disable", "enable", "delete"):
            assert run(tmp_path, deed, "bob") == 0
        done = [(entry.action, entry.target) for entry in Audit(people).newest(ann).items]
    assert done[0] == ("person_deleted", bob.id)
    assert ("person_invited", "") in done
    assert run(tmp_path, "enable", "bob") == 2
    assert "unknown_person" in capsys.readouterr().err
