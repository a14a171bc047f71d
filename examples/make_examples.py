"""Make the files of ``knowledge_base/`` that are not plain text from their manuscripts.

Run ``python examples/make_examples.py`` to make all, or name manuscripts to make only these. Each
``manuscripts/<path>.md`` becomes ``knowledge_base/<path>``; the last extension but one says in which format. Text
files (Markdown, HTML, JSON Lines, ...) are written by hand in ``knowledge_base/`` and are left alone. Needs Chromium,
the Liberation and Noto CJK fonts, and the packages in ``requirements.txt``. The same versions of these give the
same bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from making import office, pages, plain
from making.manuscript import Manuscript, read_manuscript

HERE = Path(__file__).resolve().parent
MANUSCRIPTS, KNOWLEDGE_BASE = HERE / "manuscripts", HERE / "knowledge_base"

WRITERS: dict[str, Callable[[Manuscript, Path], None]] = {
    ".csv": plain.write_csv,
    ".docx": office.write_docx,
    ".eml": plain.write_eml,
    ".epub": plain.write_epub,
    ".jpg": pages.write_jpg,
    ".ods": office.write_ods,
    ".odt": office.write_odt,
    ".pdf": pages.write_pdf,
    ".png": pages.write_png,
    ".pptx": office.write_pptx,
    ".rtf": plain.write_rtf,
    ".xlsx": office.write_xlsx,
}


def main(names: list[str]) -> None:
    """Make the files of the named manuscripts, or of all when none is named."""
    chosen = [Path(name).resolve() for name in names] or sorted(MANUSCRIPTS.rglob("*.md"))
    for source in chosen:
        target = KNOWLEDGE_BASE / source.relative_to(MANUSCRIPTS).with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        WRITERS[target.suffix](read_manuscript(source), target)
        print(f"{target.relative_to(HERE)}  {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
