"""Thumbs below an answer, what was said with them, and the small form in which one says more."""

from __future__ import annotations

from html import escape

from app.people.feedback import MAX_CORRECTED_CHARS
from app.people.records import GivenRating, Reason
from app.texts import say
from app.ui.icons import THUMB_DOWN, THUMB_UP
from core.records import Language

REASONS_FOR_ANSWERS: tuple[Reason, ...] = ("wrong", "incomplete", "wrong_source", "should_have_refused")
REASONS_FOR_REFUSALS: tuple[Reason, ...] = ("should_have_answered", "wrong_source")


def thumbs_html(turn_id: str, given: GivenRating | None, language: Language) -> str:
    """Return the two thumbs, the one that was given pressed."""
    buttons = "".join(
        f'<button type="button" class="quiet thumb" data-rate="{verdict}" '
        f'aria-pressed="{"true" if given and given.verdict == verdict else "false"}" '
        f'aria-label="{say(f"rate.{verdict}", language)}" title="{say(f"rate.{verdict}", language)}">{picture}</button>'
        for verdict, picture in (("up", THUMB_UP), ("down", THUMB_DOWN))
    )
    return f'<span class="thumbs" data-rated="{escape(turn_id)}">{buttons}</span>'


def given_html(given: GivenRating | None, language: Language) -> str:
    """Return what is said below an answer that was rated, "" below one that was not."""
    if given is None:
        return ""
    if given.verdict == "up":
        said, more = say("rate.thanks_up", language), ""
    else:
        reason = say(f"rate.{given.reason}", language).lower() if given.reason else ""
        said = say("rate.thanks_reason", language, reason=reason) if reason else say("rate.thanks_down", language)
        more = f'<button type="button" class="as-link" data-rating="form">{say("rate.change", language)}</button>'
    undo = f'<button type="button" class="as-link" data-rating="undo">{say("rate.undo", language)}</button>'
    return f'<p class="note" role="status">{said} {more} {undo}</p>'


def rating_form_html(given: GivenRating, language: Language, *, refused: bool) -> str:
    """Return the form below an answer that got a thumb down."""
    offered = REASONS_FOR_REFUSALS if refused else REASONS_FOR_ANSWERS
    if given.reason and given.reason not in offered:
        offered = (*offered, given.reason)
    reasons = "".join(
        f'<label><input type="radio" name="reason" value="{reason}"{" checked" if reason == given.reason else ""}>'
        f"<span>{say(f'rate.{reason}', language)}</span></label>"
        for reason in offered
    )
    return (
        f'<form class="rating-form"><fieldset><legend>{say("rate.title", language)}</legend>'
        f'<div class="reasons">{reasons}</div></fieldset>'
        f'<label class="corrected"><span>{say("rate.corrected", language)}</span>'
        f'<textarea name="corrected" rows="2" maxlength="{MAX_CORRECTED_CHARS}">{escape(given.corrected)}</textarea>'
        f'</label><p class="note">{say("rate.who", language)}</p><div class="form-foot">'
        f'<button type="button" class="quiet" data-rating="close">{say("rate.close", language)}</button>'
        f'<button type="submit" class="go">{say("rate.send", language)}</button></div></form>'
    )
