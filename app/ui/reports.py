"""Documents and ingests as HTML: the list, a job's progress, and one line for every file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from app.error_texts import ERROR_TEXTS
from app.jobs import JobState
from app.people.records import CollectionRights
from app.texts import TEXTS, count, duration, explain, say
from app.ui.render import escaped, file_name
from core.errors import printable
from core.records import Language
from ingest.reports import FileReport, Progress

if TYPE_CHECKING:
    from core.interfaces import StoredSource

SHOWN_REPORTS = 300
OPEN_REPORTS = 12


def documents_html(
    sources: Sequence[StoredSource],
    language: Language,
    *,
    shelves: Mapping[str, CollectionRights],
    total: int | None = None,
    filtered: bool = False,
    may_add: bool = True,
) -> str:
    """Return the list of documents.

    Args:
        sources: The documents that are shown.
        language: Of the page.
        shelves: By name, what the person may do with each collection.
        total: How many there are, of which these are the first; None: no more.
        filtered: Whether others are left out, which tells an empty list from an empty knowledge base.
        may_add: Whether the person may add documents.
    """
    if not sources:
        if filtered:
            return f'<p class="empty">{say("docs.none_match", language)}</p>'
        return (
            f'<div class="empty"><strong>{say("docs.none", language)}</strong>'
            f"<span>{say('docs.none_more' if may_add else 'docs.none_shared', language)}</span></div>"
        )
    columns = ("name", "collection", "type", "pages", "chunks", "language", "added")
    head = "".join(f'<th scope="col" class="c-{name}">{say(f"docs.{name}", language)}</th>' for name in columns)
    rows = "".join(_row(source, shelves.get(source.collection), language) for source in sources)
    n = len(sources) if total is None else total
    said = (
        say("docs.shown", language, shown=len(sources), n=f"{n:,}")
        if n > len(sources)
        else count("docs.count", language, n)
    )
    return (
        f'<table class="list"><caption class="sr-only">{say("docs.list", language)}</caption><thead><tr>{head}'
        f'<th scope="col"><span class="sr-only">{say("docs.actions", language)}</span></th></tr></thead>'
        f'<tbody>{rows}</tbody></table><p class="count">{said}</p>'
    )


def _row(source: StoredSource, shelf: CollectionRights | None, language: Language) -> str:
    name, folder = file_name(source.path), printable(source.path.rpartition("/")[0], limit=80)
    title = printable(source.title, limit=120) if source.title and source.title != name else ""
    below = " · ".join(part for part in (title, folder) if part)
    spoken = f"language.{source.language}"
    n_pages = source.n_pages or 0
    cells = (
        ("collection", escaped(printable(shelf.label if shelf else source.collection, limit=60)), ""),
        ("type", escaped(kind_of(source.path, source.media_type)), ""),
        ("pages", f"{n_pages:,}" if n_pages else "–", count("docs.n_pages", language, n_pages) if n_pages else ""),
        ("chunks", f"{source.n_chunks:,}", count("job.chunks", language, source.n_chunks)),
        ("language", say(spoken, language) if spoken in TEXTS else escaped(source.language), ""),
        ("added", datetime.fromtimestamp(source.ingested).strftime("%Y-%m-%d %H:%M"), ""),
    )
    tail = "".join(f'<td class="c-{key}" data-said="{said}">{value}</td>' for key, value, said in cells)
    return (
        f'<tr><th scope="row" class="c-name"><span>{escaped(name)}</span>'
        f"{f'<small>{escaped(below)}</small>' if below else ''}</th>{tail}"
        f'<td class="c-actions">{_delete_button(source, language) if shelf and shelf.right != "read" else ""}</td></tr>'
    )


def _delete_button(source: StoredSource, language: Language) -> str:
    name = file_name(source.path)
    return (
        f'<button type="button" class="quiet danger" data-delete="{escaped(source.path)}" '
        f'data-collection="{escaped(source.collection)}" '
        f'data-sure="{escaped(say("docs.delete_sure", language, name=name))}" '
        f'aria-label="{escaped(say("docs.delete_named", language, name=name))}">'
        f"{say('docs.delete', language)}</button>"
    )


def kind_of(path: str, media_type: str) -> str:
    """Return a document's type in a few letters: its ending, else what its media type ends in."""
    ending = path.rpartition(".")[2]
    short = ending if "." in path and 0 < len(ending) <= 5 and ending.isalnum() else media_type.rpartition("/")[2]
    return short.upper()[:12]


def confirm_html(language: Language) -> str:
    """Return the dialog that asks before a document is deleted."""
    return (
        '<dialog id="confirm" aria-labelledby="confirm-sure" aria-describedby="confirm-more">'
        f'<h2 id="confirm-sure"></h2><p id="confirm-more" data-usual="{say("docs.delete_more", language)}"></p>'
        '<form method="dialog">'
        f'<button value="" autofocus>{say("docs.cancel", language)}</button>'
        f'<button value="yes" class="danger" data-usual="{say("docs.delete", language)}"></button></form></dialog>'
    )


def job_html(job: JobState, language: Language) -> str:
    """Return an ingest as it stands: a bar, figures and the files that are done."""
    if job.error is not None:
        said = f'<div class="failure" role="alert">{escaped(explain(job.error, language))}</div>'
    else:
        said = ""
    into = say("job.into", language, collection=printable(job.label or job.collection, limit=60))
    return (
        f'<section class="job" data-stage="{job.stage}"><header><strong>{say(f"job.{job.stage}", language)}</strong>'
        f'<span class="job-into">{escaped(into)}</span>{_job_button(job, language)}</header>'
        f"{_bar(job, language)}{said}{_files(job, language)}</section>"
    )


def _job_button(job: JobState, language: Language) -> str:
    """Return what can be done with an ingest as it stands: it is cancelled, or asked about once something was read."""
    if job.running and job.stage != "cancelling":
        said = say("job.cancel", language)
        return f'<button type="button" class="quiet" data-cancel="{escaped(job.id)}">{said}</button>'
    if job.stage == "finished" and any(report.status != "failed" for report in job.reports):
        return f'<button type="button" class="go" data-section="chat">{say("job.ask", language)}</button>'
    return ""


def _bar(job: JobState, language: Language) -> str:
    progress = job.progress
    label = say("job.progress", language)
    if progress is None:
        return f'<progress aria-label="{label}"></progress>' if job.running else ""
    bar = ""
    if job.running:
        share = f'value="{progress.bytes_done}" max="{progress.bytes_total}"'
        bar = f'<progress aria-label="{label}" {share if progress.bytes_total else ""}></progress>'
    facts = "".join(f"<span>{fact}</span>" for fact in _figures(progress, language, running=job.running))
    return f'{bar}<p class="figures">{facts}</p>'


def _figures(progress: Progress, language: Language, *, running: bool) -> list[str]:
    total = f"{progress.files_total:,}" if progress.scanned else f"{progress.files_total:,}+"
    facts = [
        say("job.files", language, done=f"{progress.files_done:,}", total=total),
        count("job.chunks", language, progress.chunks_done),
    ]
    if progress.chunks_per_second >= 1:
        facts.append(say("job.rate", language, n=f"{progress.chunks_per_second:.0f}"))
    if running and progress.seconds_left is not None:
        facts.append(say("job.left", language, time=duration(progress.seconds_left, language, rough=True)))
    return facts


def _files(job: JobState, language: Language) -> str:
    """Return a line for every file: in the order in which they were given while they are read, then failures first."""
    if job.running:
        known = {report.path: report for report in job.reports}
        given = [_report_row(known.pop(n), language) if n in known else _waiting_row(n, language) for n in job.names]
        found = [_report_row(report, language) for report in known.values()]  # in a folder, or within another file
        return _folded([*given, *found], say("report.details", language), language, opened=bool(job.names))
    n_failed = sum(report.status == "failed" for report in job.reports)
    n = len(job.reports)
    summary = say("report.summary", language, good=f"{n - n_failed:,}", total=f"{n:,}")
    ended = sorted(job.reports, key=lambda report: report.status != "failed")
    rows = [_report_row(report, language) for report in ended]
    return _folded(rows, summary, language, opened=bool(n_failed) or n <= OPEN_REPORTS)


def _folded(rows: Sequence[str], summary: str, language: Language, *, opened: bool) -> str:
    if not rows:
        return ""
    more = len(rows) - SHOWN_REPORTS
    tail = f'<p class="count">{say("report.more", language, n=f"{more:,}")}</p>' if more > 0 else ""
    return (
        f"<details{' open' if opened else ''}><summary>{summary}</summary>"
        f'<table class="report"><tbody>{"".join(rows[:SHOWN_REPORTS])}</tbody></table>{tail}</details>'
    )


def _waiting_row(name: str, language: Language) -> str:
    return (
        f'<tr class="is-waiting"><th scope="row">{escaped(printable(name, limit=100))}</th>'
        f"<td>{say('report.waiting', language)}</td><td></td></tr>"
    )


def _report_row(report: FileReport, language: Language) -> str:
    facts = [count("job.chunks", language, report.n_chunks)] if report.n_chunks else []
    said = explain_failure(report, language) if report.status == "failed" else " · ".join([*facts, *report.notes])
    return (
        f'<tr class="is-{report.status}"><th scope="row">{escaped(printable(report.path, limit=100))}</th>'
        f"<td>{say(f'report.{report.status}', language)}</td><td>{escaped(said)}</td></tr>"
    )


def explain_failure(report: FileReport, language: Language) -> str:
    """Return why a file failed and what to do; its name is said beside it."""
    fallback = ERROR_TEXTS.get(report.error_code, ERROR_TEXTS["document"])
    if language == "zh":
        return f"{fallback.what_zh}。{fallback.remedy_zh}。"
    said = report.error.removeprefix(f"{printable(report.path)}: ") or f"{fallback.what_en}. {fallback.remedy_en}."
    return said[0].upper() + said[1:]
