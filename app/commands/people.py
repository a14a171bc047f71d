"""``people``: accounts, invitations, roles, passwords and sessions."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime

from app.people.accounts import Accounts
from app.people.audit import Action, Audit
from app.people.database import People
from app.people.invitations import Invitations, invitation_path
from app.people.passwords import check_password
from app.people.sessions import Sessions
from core.errors import UsageError, printable
from core.settings import LoadedSettings

_FROM = "command line"


def people(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Do what was named with the accounts of the data directory."""
    deeds: dict[str, Callable[[argparse.Namespace, People, LoadedSettings], Action | None]] = {
        "list": _list,
        "invite": _invite,
        "add-admin": _add_admin,
        "reset-password": _reset_password,
        "set-role": _set_role,
        "disable": _disable,
        "enable": _enable,
        "sessions": _sessions,
        "revoke": _revoke,
        "delete": _delete,
    }
    with People.open(loaded.settings.data_dir) as opened:
        target = Accounts(opened).named(arguments.name).id if _is_of_somebody(arguments) else ""
        action = deeds[arguments.deed](arguments, opened, loaded)
        if action is not None:
            Audit(opened).note(action, target=target, address=_FROM)
    return 0


def _is_of_somebody(arguments: argparse.Namespace) -> bool:
    return "name" in arguments and arguments.deed != "add-admin"


def _list(arguments: argparse.Namespace, opened: People, _: LoadedSettings) -> None:
    persons = Accounts(opened).all()
    if arguments.json:
        print(json.dumps([asdict(person) for person in persons], ensure_ascii=False, indent=2))
        return
    for person in persons:
        state = "disabled" if person.disabled else ""
        print(f"{person.role:<8} {state:<8} {_time(person.created)}  {printable(person.name)}")
    print(f"{len(persons)} accounts", file=sys.stderr)


def _invite(arguments: argparse.Namespace, opened: People, loaded: LoadedSettings) -> Action:
    if not 0 < arguments.days <= 365:
        raise UsageError("an invitation lasts up to 365 days", where=f"--days {arguments.days:g}")
    invitation, token = Invitations(opened).invite(role=arguments.role, days=arguments.days)
    serve = loaded.settings.serve
    print(f"http://{serve.host}:{serve.port}{invitation_path(token)}")
    print(f"for one {invitation.role}, until {_time(invitation.expires)}; it is shown only now", file=sys.stderr)
    return "person_invited"


def _add_admin(arguments: argparse.Namespace, opened: People, _: LoadedSettings) -> Action:
    person = Accounts(opened).add(arguments.name, _password(arguments), role="admin")
    print(f"{printable(person.name)} administers")
    return "person_added"


def _reset_password(arguments: argparse.Namespace, opened: People, _: LoadedSettings) -> Action:
    accounts = Accounts(opened)
    person = accounts.named(arguments.name)
    accounts.reset_password(person.id, _password(arguments))
    print(f"{printable(person.name)} has a new password and is signed out everywhere")
    return "password_reset"


def _set_role(arguments: argparse.Namespace, opened: People, _: LoadedSettings) -> Action:
    accounts = Accounts(opened)
    person = accounts.set_role(accounts.named(arguments.name).id, arguments.role)
    print(f"{printable(person.name)} is {person.role}")
    return "role_changed"


def _disable(arguments: argparse.Namespace, opened: People, _: LoadedSettings) -> Action:
    accounts = Accounts(opened)
    person = accounts.disable(accounts.named(arguments.name).id)
    print(f"{printable(person.name)} can no longer sign in")
    return "person_disabled"


def _enable(arguments: argparse.Namespace, opened: People, _: LoadedSettings) -> Action:
    accounts = Accounts(opened)
    person = accounts.enable(accounts.named(arguments.name).id)
    print(f"{printable(person.name)} can sign in")
    return "person_enabled"


def _sessions(arguments: argparse.Namespace, opened: People, loaded: LoadedSettings) -> None:
    person = Accounts(opened).named(arguments.name)
    for session in Sessions(opened, loaded.settings.serve).of(person.id):
        where = printable(f"{session.address} {session.user_agent}".strip())
        print(f"{session.id}  since {_time(session.created)}, seen {_time(session.seen)}  {where}")


def _revoke(arguments: argparse.Namespace, opened: People, loaded: LoadedSettings) -> Action:
    person, sessions = Accounts(opened).named(arguments.name), Sessions(opened, loaded.settings.serve)
    if arguments.session:
        sessions.revoke(person.id, arguments.session)
        n_ended = 1
    else:
        n_ended = sessions.revoke_all(person.id)
    print(f"{n_ended} sessions of {printable(person.name)} ended")
    return "session_revoked"


def _delete(arguments: argparse.Namespace, opened: People, _: LoadedSettings) -> Action:
    accounts = Accounts(opened)
    person = accounts.named(arguments.name)
    emptied = accounts.delete(person.id)
    print(f"{printable(person.name)} and all that was kept about them is deleted")
    if not emptied:
        print("somebody was reading: the bytes are scrubbed by `python -m app purge`", file=sys.stderr)
    return "person_deleted"


def _password(arguments: argparse.Namespace) -> str:
    """Return the password that is typed twice, or that comes on one line of standard input.

    Raises:
        UsageError: There is no terminal to type at, or the two differ.
        WeakPassword: It is short or easily guessed.
    """
    if arguments.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to type a password at", remedy="Give it with --password-stdin")
    password = getpass.getpass("Password: ")
    check_password(password, name=arguments.name)
    if getpass.getpass("Again: ") != password:
        raise UsageError("the two passwords differ", remedy="Run the command again")
    return password


def _time(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M")
