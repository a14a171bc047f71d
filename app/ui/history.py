"""The panel beside the chat: a person's conversations by day, and those in which words were found."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from app.people.conversation_rows import key_of
from app.people.records import Conversation, Found, Page
from app.texts import say
from app.ui.icons import DOTS, PLUS, SIDE
from app.ui.render import escaped
from core.records import Language


def history_html(language: Language) -> str:
    """Return the empty panel, its menu and the button that shows it; the page fills the list."""
    words = {
        name.replace("_", "-"): say(f"history.{name}", language)
        for name in ("delete_more", "delete_all_sure", "delete_all_more", "failed", "rename_named")
    }
    told = "".join(f' data-{name}="{escaped(text)}"' for name, text in words.items())
    show, hide, search = (escaped(say(f"history.{name}", language)) for name in ("show", "hide", "search"))
    keys = say("history.keys", language)
    return (
        f'<button type="button" id="history-show" class="switch" data-history="show" aria-controls="history-pane" '
        f'aria-label="{show}" title="{show} ({keys})">{SIDE}</button><div id="history-shade" data-history="hide"></div>'
        f'<nav id="history-pane" aria-label="{say("history.title", language)}"{told}>'
        f'<div class="history-head"><input type="search" id="history-search" autocomplete="off" spellcheck="false" '
        f'maxlength="200" placeholder="{search}" aria-label="{search}" aria-keyshortcuts="Control+K" '
        f'title="{keys}"><button type="button" class="switch" data-history="hide" aria-label="{hide}" '
        f'title="{hide}">{SIDE}</button></div>'
        f'<button type="button" class="history-new" data-history="new">{PLUS}<span>{say("chat.new", language)}</span>'
        '</button><div class="history-list" aria-busy="true"></div>'
        f'<div class="history-foot"><button type="button" class="quiet danger" data-history="delete-all">'
        f"{say('history.delete_all', language)}</button></div></nav>{_menu(language)}"
    )


def _menu(language: Language) -> str:
    links = "".join(
        f'<a role="menuitem" tabindex="-1" data-export="{ending}" download>{say(f"history.{kind}", language)}</a>'
        for kind, ending in (("markdown", "md"), ("json", "json"))
    )
    rename, delete = (
        f'<button type="button" role="menuitem" tabindex="-1" data-menu="{name}">{say(f"history.{name}", language)}'
        "</button>"
        for name in ("rename", "delete")
    )
    title = say("history.title", language)
    return f'<div id="history-menu" role="menu" aria-label="{title}" popover>{rename}{links}{delete}</div>'


def conversations_html(page: Page[Conversation], language: Language, *, now: float, minutes_east: int = 0) -> str:
    """Return a part of the list by day, newest first.

    Args:
        page: The part.
        language: Of the page.
        now: In seconds since the epoch.
        minutes_east: By how much the reader's clock is ahead of Greenwich.
    """
    if not page.items:
        return f'<p class="history-none">{say("history.none", language)}</p>'
    shift = timedelta(minutes=minutes_east)
    today = (datetime.fromtimestamp(now, UTC) + shift).date()

    def day_of(conversation: Conversation) -> str:
        return _day((datetime.fromtimestamp(conversation.updated, UTC) + shift).date(), today)

    parts = [
        _section(day, (_item(conversation, language) for conversation in conversations), language)
        for day, conversations in groupby(page.items, key=day_of)
    ]
    return "".join(parts) + _more(page.next, language)


def found_html(page: Page[Found], words: str, language: Language) -> str:
    """Return a part of what was found, the words marked."""
    if not page.items:
        return f'<p class="history-none">{say("history.none_found", language)}</p>'
    items = (_found_item(found, words, language) for found in page.items)
    return _section("found", items, language) + _more(page.next, language)


def _day(day: date, today: date) -> str:
    days_ago = (today - day).days
    if days_ago < 1:
        return "today"
    if days_ago == 1:
        return "yesterday"
    return "week" if days_ago < 7 else "earlier"


def _section(day: str, items: Iterable[str], language: Language) -> str:
    return f'<section data-day="{day}"><h2>{say(f"history.{day}", language)}</h2><ul>{"".join(items)}</ul></section>'


def _found_item(found: Found, words: str, language: Language) -> str:
    title = found.conversation.title
    is_named = all(key in key_of(title) for key in key_of(words).split())  # the title tells it all
    snippet = "" if is_named or not found.turn else marked(found.snippet, words)
    return _item(found.conversation, language, turn=found.turn, title=marked(title, words), snippet=snippet)


def _item(conversation: Conversation, language: Language, *, turn: str = "", title: str = "", snippet: str = "") -> str:
    named = conversation.title or say("history.untitled", language)
    at = f' data-turn-found="{escaped(turn)}"' if turn else ""
    below = f"<small>{snippet}</small>" if snippet else ""
    return (
        f'<li><a href="/{language}/?c={escaped(conversation.id)}" data-go="{escaped(conversation.id)}"{at}>'
        f"<span>{title or escaped(named)}</span>{below}</a>"
        f'<button type="button" class="history-more" aria-haspopup="menu" '
        f'aria-label="{escaped(say("history.actions", language, title=named))}" '
        f'data-sure="{escaped(say("history.delete_sure", language, title=named))}">{DOTS}</button></li>'
    )


def _more(after: str, language: Language) -> str:
    if not after:
        return ""
    return (
        f'<button type="button" class="history-after" data-after="{escaped(after)}">{say("history.more", language)}'
        "</button>"
    )


def marked(text: str, words: str) -> str:
    """Return text with the words that were searched for marked, as far as folding leaves them in their places."""
    folded = key_of(text)
    if len(folded) != len(text):
        folded = text.casefold() if len(text.casefold()) == len(text) else text
    keys = sorted(set(key_of(words).split()), key=len, reverse=True)
    return _with_marks(
        text, [found.span() for found in re.finditer("|".join(map(re.escape, keys)), folded)] if keys else []
    )


def _with_marks(text: str, spans: Sequence[tuple[int, int]]) -> str:
    parts, end = [], 0
    for start, stop in spans:
        parts += [escaped(text[end:start]), f"<mark>{escaped(text[start:stop])}</mark>"]
        end = stop
    return "".join(parts) + escaped(text[end:])
