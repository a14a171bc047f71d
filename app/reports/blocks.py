"""A report as blocks, written in Markdown and in one HTML file that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #8881; --mark: #2f6f9f; --other: #b5651d; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2, h3 { line-height: 1.2; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .75rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td.number, th.number { text-align: right; }
figure { margin: 1rem 0; }
figcaption { color: GrayText; }
svg { max-width: 100%; height: auto; font: 12px system-ui, sans-serif; }
"""
_NUMERIC = re.compile(r"[-+−]?[\d.,]+(?: ?(?:%|ms|points))?|—")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A title; ``level`` 1 is the report's own."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """Plain text, shown as it is."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of plain text under a header."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A drawing as SVG; ``name`` is its file's beside the Markdown, ``caption`` says what it shows."""

    name: str
    caption: str
    svg: str


Block = Heading | Paragraph | Table | Plot


def to_markdown(blocks: Sequence[Block]) -> str:
    """Return the report in Markdown; a plot is a link to ``NAME.svg`` beside it."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {_plain(block.text)}"
    if isinstance(block, Paragraph):
        return _plain(block.text)
    if isinstance(block, Plot):
        return f"![{_plain(block.caption)}]({block.name}.svg)"
    lines = [block.header, *block.rows]
    rows = [f"| {' | '.join(_plain(cell) for cell in line)} |" for line in lines]
    return "\n".join([rows[0], "|" + " --- |" * len(block.header), *rows[1:]])


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _MARKDOWN_SPECIAL.sub(r"\\\1", " ".join(text.split()))


def to_html(blocks: Sequence[Block]) -> str:
    """Return the report as one HTML file: styles and plots within, no script, nothing from elsewhere."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), "Report")
    body = "\n".join(_html(block) for block in blocks)
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _html(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
    if isinstance(block, Paragraph):
        return f"<p>{escape(block.text)}</p>"
    if isinstance(block, Plot):
        return f"<figure>{block.svg}<figcaption>{escape(block.caption)}</figcaption></figure>"
    head = "".join(f"<th>{escape(cell)}</th>" for cell in block.header)
    rows = "\n".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in block.rows)
    return f'<div class="wide"><table>\n<tr>{head}</tr>\n{rows}\n</table></div>'


def _cell(text: str) -> str:
    kind = ' class="number"' if _NUMERIC.fullmatch(text) else ""
    return f"<td{kind}>{escape(text)}</td>"
