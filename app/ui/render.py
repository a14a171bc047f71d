"""Turns of a conversation as HTML.

Pure functions from records to markup. Every text of a user, a model or a document goes through :func:`escaped`;
nothing of theirs is read as HTML, Markdown or mathematics, and no address of theirs becomes a link.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import PurePosixPath, PureWindowsPath

from app.chain import QUOTES_MODEL, READER_MODEL
from app.conversations import TurnState
from app.texts import count, duration, explain, say
from core.errors import printable
from core.records import Answer, Citation, Hit, Language, Locator, Sentence

SNIPPET_CHARS = 220
SHOWN_HITS = 3
_KEPT_CHARS = 2


def escaped(text: str) -> str:
    """Return text that is safe between tags and inside quoted attributes."""
    return escape(text, quote=True)


def place(locator: Locator, language: Language) -> str:
    """Say where a passage stands: page, slide, sheet and rows; "" when the source has none of them."""
    parts: list[str] = []
    if locator.slide is not None:
        parts.append(say("place.slide", language, n=locator.slide))
    elif locator.page is not None:
        if locator.page_end is not None and locator.page_end > locator.page:
            parts.append(say("place.pages", language, first=locator.page, last=locator.page_end))
        else:
            parts.append(say("place.page", language, n=locator.page))
    if locator.sheet:
        parts.append(say("place.sheet", language, name=printable(locator.sheet, limit=40)))
    if locator.row_start is not None:
        if locator.row_end is not None and locator.row_end > locator.row_start:
            parts.append(say("place.rows", language, first=locator.row_start, last=locator.row_end))
        else:
            parts.append(say("place.row", language, n=locator.row_start))
    return (", " if language == "en" else "，").join(parts)


def file_name(path: str) -> str:
    """Return the last part of a source's path, on one line."""
    return printable(PurePosixPath(path).name or path, limit=80)


def model_name(model: str) -> str:
    """Return a model's name without the folders it lies in."""
    return PureWindowsPath(model).name or model


def snippet(text: str, *, limit: int = SNIPPET_CHARS) -> str:
    """Return the beginning of a passage on one line."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def turns_html(turns: Iterable[TurnState], language: Language) -> str:
    """Return turns that have ended, oldest first."""
    return "".join(turn_html(turn, language) for turn in turns)


def turn_html(turn: TurnState, language: Language) -> str:
    """Return a question and its answer as it stands."""
    busy = ' aria-busy="true"' if turn.running else ""
    return (
        f'<article class="turn" data-turn="{escaped(turn.id)}"{busy}>'
        f'<h3 class="sr-only">{say("chat.you", language)}</h3><div class="asked">{escaped(turn.question)}</div>'
        f'<h3 class="sr-only">{say("chat.citadel", language)}</h3><div class="told">{_told(turn, language)}</div>'
        "</article>"
    )


def _told(turn: TurnState, language: Language) -> str:
    match turn.stage:
        case "searching":
            return _stage(say("stage.searching", language))
        case "reading":
            return _stage(count("stage.reading", language, len(turn.hits)))
        case "writing":
            return f'<div class="answer">{escaped(turn.text)}<span class="caret"></span></div>'
        case "stopped":
            note = say("chat.stopped" if turn.text else "chat.stopped_empty", language)
            written = f'<div class="answer">{escaped(turn.text)}</div>' if turn.text else ""
            return f'{written}<p class="note">{note}</p>{_foot(turn, language)}'
        case "failed":
            said = explain(turn.error, language) if turn.error else ""
            return f'<div class="failure" role="alert">{escaped(said)}</div>{_foot(turn, language)}'
        case "finished":
            return _finished(turn, language)


def _stage(said: str) -> str:
    return f'<p class="stage" role="status"><span class="dots"><i></i><i></i><i></i></span>{said}</p>'


def _finished(turn: TurnState, language: Language) -> str:
    answer = turn.answer
    assert answer is not None, "a finished turn has its answer"
    if answer.abstained:
        body = f'<div class="answer abstained">{_quiet_icon()}<span>{escaped(answer.text)}</span></div>'
        body += closest_html(answer.hits, turn_id=turn.id, language=language)
    else:
        body = answer_html(answer, turn_id=turn.id, language=language)
        body += sources_html(answer.citations, turn_id=turn.id, language=language)
    return body + _foot(turn, language)


def answer_html(answer: Answer, *, turn_id: str, language: Language) -> str:
    """Return an answer's text with each sentence's citations behind it, and sentences without support marked."""
    by_number = {citation.number: citation for citation in answer.citations}
    parts: list[str] = []
    end = 0
    for sentence in sorted(answer.sentences, key=lambda s: s.start):
        start = max(sentence.start, end)
        parts.append(escaped(answer.text[end:start]))
        end = max(sentence.end, start)
        parts.append(_sentence(answer.text[start:end], sentence, by_number, turn_id=turn_id, language=language))
    parts.append(escaped(answer.text[end:]))
    unsupported = any(not sentence.supported for sentence in answer.sentences)
    note = f'<p class="note">{say("answer.unsupported_note", language)}</p>' if unsupported else ""
    return f'<div class="answer" lang="{answer.language}">{"".join(parts)}</div>{note}'


def _sentence(
    text: str, sentence: Sentence, by_number: dict[int, Citation], *, turn_id: str, language: Language
) -> str:
    if not sentence.supported:
        why = escaped(say("answer.unsupported", language))
        return (
            f'<span class="unsupported" tabindex="0" title="{why}">{escaped(text)}'
            f'<span class="sr-only"> ({why})</span></span>'
        )
    chips = "".join(
        _chip(by_number[number], turn_id=turn_id, language=language)
        for number in sentence.citations
        if number in by_number
    )
    head, tail = text[:-_KEPT_CHARS], text[-_KEPT_CHARS:]  # so that no line begins with a chip
    return f'<span class="supported">{escaped(head)}</span><span class="keep">{escaped(tail)}{chips}</span>'


def _chip(citation: Citation, *, turn_id: str, language: Language) -> str:
    label = say("answer.open", language, number=citation.number, source=file_name(citation.source))
    return (
        f'<button type="button" class="chip" data-open="{escaped(turn_id)}/{citation.number}" '
        f'title="{escaped(_named(citation.source, citation.locator, language))}" '
        f'aria-label="{escaped(label)}">{citation.number}</button>'
    )


def _named(source: str, locator: Locator, language: Language) -> str:
    return " · ".join(part for part in (file_name(source), place(locator, language)) if part)


def sources_html(citations: Sequence[Citation], *, turn_id: str, language: Language) -> str:
    """Return the cited passages as a list of cards."""
    cards = [
        _card(
            str(c.number),
            c.source,
            c.locator,
            c.quote,
            opens=f"{turn_id}/{c.number}",
            mark=str(c.number),
            language=language,
        )
        for c in citations
    ]
    return _cards(say("answer.sources", language), cards, kind="sources")


def closest_html(hits: Sequence[Hit], *, turn_id: str, language: Language) -> str:
    """Return the passages nearest to a question that no passage answers."""
    cards = [
        _card(
            f"{number}",
            hit.source,
            hit.chunk.locator,
            hit.chunk.text,
            opens=f"{turn_id}/h{number}",
            mark="",
            language=language,
        )
        for number, hit in enumerate(hits[:SHOWN_HITS], start=1)
    ]
    return _cards(say("answer.closest", language), cards, kind="closest")


def _cards(heading: str, cards: Sequence[str], *, kind: str) -> str:
    if not cards:
        return ""
    return (
        f'<section class="{kind}"><h4>{heading}</h4><ol>{"".join(f"<li>{card}</li>" for card in cards)}</ol></section>'
    )


def _card(number: str, source: str, locator: Locator, text: str, *, opens: str, mark: str, language: Language) -> str:
    where = escaped(place(locator, language) or " › ".join(printable(h, limit=60) for h in locator.headings[-1:]))
    badge = f'<span class="badge" aria-hidden="true">{mark}</span>' if mark else ""
    return (
        f'<button type="button" class="card" data-open="{escaped(opens)}" data-number="{number}">{badge}'
        f'<span class="card-text"><span class="card-name">{escaped(file_name(source))}'
        f"{f'<span class=card-place>{where}</span>' if where else ''}</span>"
        f'<span class="card-quote">{escaped(snippet(text))}</span></span></button>'
    )


def _worded_by(model: str, language: Language) -> str:
    if model == QUOTES_MODEL:
        return say("answer.quotes", language)
    return say("answer.reader", language) if model == READER_MODEL else escaped(model_name(model))


def _foot(turn: TurnState, language: Language) -> str:
    facts: list[str] = []
    if turn.answer is not None:
        timings = turn.answer.timings
        if turn.answer.model:
            facts.append(_worded_by(turn.answer.model, language))
        if timings.total_ms:
            first, total = (duration(ms / 1000, language) for ms in (timings.first_token_ms, timings.total_ms))
            facts.append(say("answer.times", language, first=first, total=total))
    copy = (
        f'<button type="button" class="quiet" data-copy data-copied="{say("chat.copied", language)}">'
        f"{_COPY_ICON}<span>{say('chat.copy', language)}</span></button>"
        if turn.text
        else ""
    )
    again = (
        f'<button type="button" class="quiet" data-again="{escaped(turn.id)}">'
        f"{_AGAIN_ICON}<span>{say('chat.regenerate', language)}</span></button>"
    )
    return f'<footer class="foot"><span class="facts">{" · ".join(facts)}</span>{copy}{again}</footer>'


def _icon(path: str) -> str:
    return (
        '<svg viewBox="0 0 24 24" width="16" height="16" fill="none" stroke="currentColor" stroke-width="1.8" '
        f'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{path}</svg>'
    )


_COPY_ICON = _icon('<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M5 15V6a2 2 0 0 1 2-2h8"/>')
_AGAIN_ICON = _icon('<path d="M20 11a8 8 0 1 0-2.3 6.3"/><path d="M20 4v7h-7"/>')


def _quiet_icon() -> str:
    return _icon('<circle cx="11" cy="11" r="7"/><path d="m20 20-4-4"/><path d="M8.5 11h5"/>')
