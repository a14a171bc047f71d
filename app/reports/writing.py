"""Write a report into a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from app.evaluation import Outcome
from app.reports.blocks import Plot, to_html, to_markdown
from app.reports.content import report
from core.errors import UsageError


def write_report(folder: Path, systems: Mapping[str, Sequence[Outcome]]) -> Path:
    """Write ``report.html``, which stands alone, and ``report.md`` with its plots beside it; return the former.

    Raises:
        UsageError: The folder cannot be written to.
        MalformedInput: Two systems have no case in common.
    """
    blocks = report(systems)
    page = folder / "report.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for block in blocks:
            if isinstance(block, Plot):
                (folder / f"{block.name}.svg").write_text(block.svg, "utf-8", "replace")
        (folder / "report.md").write_text(to_markdown(blocks), "utf-8", "replace")
        page.write_text(to_html(blocks), "utf-8", "replace")
    except OSError as error:
        remedy = "Name a folder that may be written to"
        raise UsageError(f"cannot be written ({error.strerror})", where=str(folder), remedy=remedy) from error
    return page
