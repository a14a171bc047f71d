"""Turns of a conversation as HTML.

Pure functions from records to markup. Every text of a user, a model or a document goes through :func:`escaped`;
nothing of theirs is read as HTML, Markdown or mathematics, and no address of theirs becomes a link.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import PurePosixPath, PureWindowsPath

from app.chain import QUOTES_MODEL, READER_MODEL
from app.people.records import GivenRating
from app.question_kind import QuestionKind
from app.texts import count, duration, explain, say
from app.turns import TurnState
from app.ui.feedback import given_html, thumbs_html
from app.ui.icons import AGAIN, COPY, NOTHING_FOUND, PENCIL
from core.errors import printable
from core.records import Answer, Citation, Hit, Language, Locator, Sentence

SNIPPET_CHARS = 220
SHOWN_HITS = 3
_KEPT_CHARS = 2
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")  # no encoding knows it: all that is sent with it would be lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What is known beside an answer: its reader's rating, and what was asked of all that it covers only in part."""

    given: GivenRating | None = None
    uncovered: QuestionKind | None = None


NOTHING = Beside()


def escaped(text: str) -> str:
    """Return text that is safe between tags and inside quoted attributes, and that can be sent."""
    return escape(_HALF_CHARACTER.sub("\ufffd", text), quote=True)


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


def conversation_html(
    conversation_id: str,
    turns: Iterable[TurnState],
    language: Language,
    *,
    beside: Mapping[str, Beside] | None = None,
) -> str:
    """Return the turns of a conversation that have ended; its id tells the page which one it shows."""
    said = turns_html(turns, language, beside=beside)
    return f'<div class="conversation" data-conversation="{escaped(conversation_id)}">{said}</div>'


def turns_html(turns: Iterable[TurnState], language: Language, *, beside: Mapping[str, Beside] | None = None) -> str:
    """Return turns that have ended, oldest first, with what is known beside them, by turn."""
    known = beside or {}
    return "".join(turn_html(turn, language, beside=known.get(turn.id, NOTHING)) for turn in turns)


def turn_html(turn: TurnState, language: Language, *, beside: Beside = NOTHING) -> str:
    """Return a question and its answer as it stands."""
    busy = ' aria-busy="true"' if turn.running else ""
    edit = "" if turn.running else _edit_button(language)
    return (
        f'<article class="turn" data-turn="{escaped(turn.id)}"{busy}>'
        f'<h2 class="sr-only">{say("chat.you", language)}</h2>'
        f'<div class="asking">{edit}<div class="asked">{escaped(turn.question)}</div></div>'
        f'<h2 class="sr-only">{say("chat.citadel", language)}</h2>'
        f'<div class="told">{_told(turn, language, beside)}</div></article>'
    )


def _edit_button(language: Language) -> str:
    said = say("chat.edit", language)
    return (
        f'<button type="button" class="quiet edit" data-edit data-go="{say("chat.edit_do", language)}" '
        f'data-cancel="{say("docs.cancel", language)}" aria-label="{said}" title="{said}">{PENCIL}</button>'
    )


def _told(turn: TurnState, language: Language, beside: Beside) -> str:
    match turn.stage:
        case "waiting":
            return _stage(count("stage.waiting", language, turn.place))
        case "searching":
            return _stage(say("stage.searching", language))
        case "reading":
            return _stage(count("stage.reading", language, len(turn.hits)))
        case "writing":
            return f'<div class="answer">{escaped(turn.text)}<span class="caret"></span></div>'
        case "stopped":
            why = "chat.cut_off" if turn.cut_off else "chat.stopped"
            note = say(why if turn.text else f"{why}_empty", language)
            return f'{_written(turn)}<p class="note">{note}</p>{_foot(turn, language)}'
        case "failed":
            said = explain(turn.error, language) if turn.error else ""
            return f'{_written(turn)}<div class="failure" role="alert">{escaped(said)}</div>{_foot(turn, language)}'
        case "finished":
            return _finished(turn, language, beside)


def _written(turn: TurnState) -> str:
    return f'<div class="answer">{escaped(turn.text)}</div>' if turn.text else ""


def _stage(said: str) -> str:
    return f'<p class="stage" role="status"><span class="dots"><i></i><i></i><i></i></span>{said}</p>'


def _finished(turn: TurnState, language: Language, beside: Beside) -> str:
    answer = turn.answer
    assert answer is not None, "a finished turn has its answer"
    if answer.abstained:
        body = f'<div class="answer abstained">{NOTHING_FOUND}<span>{escaped(answer.text)}</span></div>'
        body += closest_html(answer.hits, turn_id=turn.id, language=language)
    else:
        body = answer_html(answer, turn_id=turn.id, language=language)
        body += _uncovered(answer, beside, language)
        body += sources_html(answer.citations, turn_id=turn.id, language=language, also=_uncited(answer, turn.id))
    given = given_html(beside.given, language)
    return f'{body}{_foot(turn, language, beside.given)}<div class="rating">{given}</div>'


def _uncovered(answer: Answer, beside: Beside, language: Language) -> str:
    if beside.uncovered is None:
        return ""
    return f'<p class="note">{count(f"kind.{beside.uncovered}", language, len(answer.hits))}</p>'


def _uncited(answer: Answer, turn_id: str) -> list[str]:
    """Return the addresses of passages that were found and not cited, best first."""
    cited = {citation.chunk_id for citation in answer.citations}
    return [f"{turn_id}/h{i}" for i, hit in enumerate(answer.hits, start=1) if hit.chunk.id not in cited]


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


def sources_html(citations: Sequence[Citation], *, turn_id: str, language: Language, also: Sequence[str] = ()) -> str:
    """Return the cited passages as a list of cards; ``also`` are the addresses that the pane goes on to after them."""
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
    return _cards(say("answer.sources", language), cards, kind="sources", also=also)


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


def _cards(heading: str, cards: Sequence[str], *, kind: str, also: Sequence[str] = ()) -> str:
    if not cards:
        return ""
    more = f' data-also="{escaped(" ".join(also))}"' if also else ""
    listed = "".join(f"<li>{card}</li>" for card in cards)
    return f'<section class="{kind}"{more}><h3>{heading}</h3><ol>{listed}</ol></section>'


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


def _foot(turn: TurnState, language: Language, given: GivenRating | None = None) -> str:
    facts: list[str] = []
    if turn.answer is not None:
        timings = turn.answer.timings
        if turn.answer.model:
            facts.append(_worded_by(turn.answer.model, language))
        if timings.total_ms:
            first, total = (duration(ms / 1000, language) for ms in (timings.first_token_ms, timings.total_ms))
            facts.append(say("answer.times", language, first=first, total=total))
    thumbs = thumbs_html(turn.id, given, language) if turn.answer is not None else ""
    copy = (
        f'<button type="button" class="quiet" data-copy data-copied="{say("chat.copied", language)}">'
        f"{COPY}<span>{say('chat.copy', language)}</span></button>"
        if turn.text
        else ""
    )
    again = (
        f'<button type="button" class="quiet" data-again="{escaped(turn.id)}">'
        f"{AGAIN}<span>{say('chat.regenerate', language)}</span></button>"
    )
    return f'<footer class="foot"><span class="facts">{" · ".join(facts)}</span>{thumbs}{copy}{again}</footer>'
