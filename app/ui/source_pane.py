"""The passage behind a sentence, in place: as a picture of its page, as text, or as rows of a table."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from app.texts import say
from app.ui.icons import DOWNLOAD
from app.ui.render import escaped, file_name, place
from core.errors import printable
from core.records import Box, Language, Locator

CONTEXT_CHARS = 900
CONTEXT_ROWS = 6
MAX_PICTURES = 3
PICTURE_PX = 1200
_CELL = " | "


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A passage as the pane shows it; ``text`` is the whole text of its source.

    ``pages`` are the pages to show as pictures, none where the source has no pages to draw; ``original`` tells whether
    the file that was read is still there.
    """

    source_id: str
    source: str
    title: str
    collection: str
    text: str
    locator: Locator
    pages: tuple[int, ...] = ()
    original: bool = False


def pane_html(language: Language) -> str:
    """Return the empty pane, which the page fills when a citation is opened."""
    return (
        f'<aside id="source-pane" aria-label="{say("source.pane", language)}" tabindex="-1" hidden '
        f'data-loading="{say("source.loading", language)}" data-unreachable="{say("app.unreachable", language)}" '
        f'data-position="{say("source.position", language)}" data-also="{say("source.also", language)}">'
        '<div class="pane-bar">'
        f'<button type="button" data-step="-1" aria-label="{say("source.previous", language)}" '
        f'aria-keyshortcuts="p" title="{say("source.previous", language)} (p)">{_ARROW_LEFT}</button>'
        '<span class="pane-count" aria-live="polite"></span>'
        f'<button type="button" data-step="1" aria-label="{say("source.next", language)}" '
        f'aria-keyshortcuts="n" title="{say("source.next", language)} (n)">{_ARROW_RIGHT}</button>'
        '<span class="pane-also"></span><span class="pane-space"></span>'
        f'<button type="button" data-close aria-label="{say("source.close", language)}" '
        f'aria-keyshortcuts="Escape">{_CROSS}</button>'
        '</div><div class="pane-body" tabindex="0"></div></aside>'
    )


def passage_html(passage: Passage, language: Language) -> str:
    """Return what the pane shows of a passage."""
    if passage.pages:
        body = "".join(_picture(passage, page, language) for page in passage.pages[:MAX_PICTURES])
        words = passage.text[passage.locator.start : passage.locator.end]
        body += (
            f'<h3 class="pane-label">{say("source.quote", language)}</h3>'
            f'<blockquote class="pane-quote">{escaped(words)}</blockquote>'
        )
    elif _is_table(passage):
        body = _table(passage)
    else:
        body = _text(passage)
    return _heading(passage, language) + body


def message_html(said: str) -> str:
    """Return a message in the pane's place."""
    return f'<p class="pane-message" role="alert">{escaped(said)}</p>'


def _heading(passage: Passage, language: Language) -> str:
    name = file_name(passage.source)
    title = printable(passage.title, limit=120) or name
    facts = [place(passage.locator, language), name if title != name else ""]
    below = " · ".join(fact for fact in facts if fact)
    path = " › ".join(printable(heading, limit=80) for heading in passage.locator.headings)
    download = (
        f'<a class="quiet" href="{escaped(original_address(passage.source_id))}" download>{DOWNLOAD}'
        f"<span>{say('source.download', language)}</span></a>"
        if passage.original
        else ""
    )
    return (
        f'<header class="pane-head"><h2>{escaped(title)}</h2>'
        + (f'<p class="pane-place">{escaped(below)}</p>' if below else "")
        + (f'<p class="pane-path">{escaped(path)}</p>' if path else "")
        + download
        + "</header>"
    )


def _picture(passage: Passage, page: int, language: Language) -> str:
    where = say("place.page", language, n=page)
    alt = say("source.page_picture", language, source=file_name(passage.source), place=where)
    boxes = [box for box in passage.locator.boxes if box.page == page]
    address, top = picture_address(passage.source_id, page, boxes), min((box.y0 for box in boxes), default=0.0)
    return (
        f'<figure class="page" data-top="{top:.3f}"><img src="{escaped(address)}" alt="{escaped(alt)}" '
        f'width="{PICTURE_PX}" '
        f'data-failed="{escaped(say("source.no_picture", language))}"></figure>'
    )


def picture_address(source_id: str, page: int, boxes: list[Box]) -> str:
    """Return the address of a page's picture with boxes highlighted: ``x0,y0,x1,y1`` in fractions, by ``;``."""
    plain = ";".join(f"{b.x0:.4f},{b.y0:.4f},{b.x1:.4f},{b.y1:.4f}" for b in boxes)
    query = f"?{urlencode({'boxes': plain})}" if plain else ""
    return f"/api/pages/{quote(source_id, safe='')}/{page}.png{query}"


def original_address(source_id: str) -> str:
    """Return the address from which the file that was read is saved."""
    return f"/api/sources/{quote(source_id, safe='')}/original"


def _text(passage: Passage) -> str:
    text, start, end = passage.text, passage.locator.start, passage.locator.end
    first = _line_start(text, max(0, start - CONTEXT_CHARS)) if start else 0
    last = _line_end(text, min(len(text), end + CONTEXT_CHARS))
    before, after = ("…\n" if first else ""), ("\n…" if last < len(text) else "")
    return (
        f'<div class="pane-text">{before}{escaped(text[first:start])}'
        f"<mark>{escaped(text[start:end])}</mark>{escaped(text[end:last])}{after}</div>"
    )


def _line_start(text: str, position: int) -> int:
    """Return where the line of ``position`` starts, or ``position`` in a line that is very long."""
    start = text.rfind("\n", 0, position) + 1
    return start if position - start <= CONTEXT_CHARS else position


def _line_end(text: str, position: int) -> int:
    end = text.find("\n", position)
    end = len(text) if end < 0 else end
    return end if end - position <= CONTEXT_CHARS else position


def _is_table(passage: Passage) -> bool:
    locator = passage.locator
    first = passage.text[_line_start(passage.text, locator.start) : _line_end(passage.text, locator.start)]
    return _CELL in first


def _table(passage: Passage) -> str:
    """Return the rows around the passage under the table's first row, the passage's own rows marked."""
    rows = _table_rows(passage.text, passage.locator)
    marked = [
        i for i, (start, end, _) in enumerate(rows) if start < passage.locator.end and passage.locator.start < end
    ]
    low, high = max(1, marked[0] - CONTEXT_ROWS), min(len(rows), marked[-1] + 1 + CONTEXT_ROWS)
    n_columns = max(len(cells) for _, _, cells in rows)
    body = []
    if low > 1:
        body.append(f'<tr class="gap"><td colspan="{n_columns}">…</td></tr>')
    for i in range(low, high):
        mark = ' class="marked"' if i in marked else ""
        body.append(f"<tr{mark}>{''.join(f'<td>{escaped(cell)}</td>' for cell in rows[i][2])}</tr>")
    if high < len(rows):
        body.append(f'<tr class="gap"><td colspan="{n_columns}">…</td></tr>')
    head_mark = ' class="marked"' if marked == [0] else ""
    head = "".join(f'<th scope="col">{escaped(cell)}</th>' for cell in rows[0][2])
    return (
        f'<div class="pane-table" tabindex="0"><table><thead><tr{head_mark}>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def _table_rows(text: str, locator: Locator) -> list[tuple[int, int, list[str]]]:
    """Return (start, end, cells) of every line of the table in which the passage starts."""
    start = text.rfind("\n", 0, locator.start) + 1
    while start:
        above = text.rfind("\n", 0, start - 1) + 1
        if _CELL not in text[above : start - 1]:
            break
        start = above
    rows: list[tuple[int, int, list[str]]] = []
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end]
        if _CELL not in line and start >= locator.end:
            break
        if _CELL not in line and rows and not line.strip():
            break
        rows.append((start, end, line.split(_CELL)))
        start = end + 1
    return rows


def _svg(path: str) -> str:
    return (
        '<svg viewBox="0 0 24 24" width="18" height="18" fill="none" stroke="currentColor" stroke-width="2" '
        f'stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="{path}"/></svg>'
    )


_ARROW_LEFT, _ARROW_RIGHT, _CROSS = _svg("m14 6-6 6 6 6"), _svg("m10 6 6 6-6 6"), _svg("M6 6l12 12M18 6 6 18")
