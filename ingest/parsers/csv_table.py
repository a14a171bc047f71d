"""Delimited tables: CSV and TSV with whichever separator, quotes and ragged rows they come with."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from core.errors import DamagedDocument
from core.records import Document, SourceFile
from ingest.builder import DocumentBuilder, ParseOptions
from ingest.encodings import decode, encoding_note

_SEPARATORS = (",", ";", "\t", "|")
_SAMPLE_RECORDS = 100
_MAX_CELL = 16 * 2**20  # characters
_MAX_CELL_LINES = 200  # a cell of more lines is an opening quote that nothing closes
_NUMBER = re.compile(r"[-+]?[$€£¥]?\d[\d.,\s]*%?")


def parse(path: Path, source: SourceFile, options: ParseOptions) -> Document:
    """Parse a delimited table; rows are numbered as a spreadsheet would number them.

    Raises:
        DamagedDocument: A cell is longer than any table's is.
    """
    text, encoding = decode(path.read_bytes())
    builder = DocumentBuilder(source=source, notes=list(encoding_note(encoding)))
    separator = find_separator(text)
    try:
        records = _read(text, separator, quoted=True)
        if any(cell.count("\n") > _MAX_CELL_LINES for record in records for cell in record):
            records = _read(text, separator, quoted=False)
            builder.note("a quotation mark is never closed; quotation marks are read as they stand")
    except csv.Error as error:
        raise DamagedDocument(
            f"is no table ({error})", where=source.path, remedy="Check its quotation marks"
        ) from error
    for first, rows, header in _stretches(records):
        builder.add_table(
            rows, has_header=not header and first == 1 and looks_like_header(rows), header=header, first_row=first
        )
    return builder.build()


def find_separator(text: str) -> str:
    """Return the separator that parts the first records into the most even columns; "," for a single column."""
    sample = "\n".join(text.split("\n", 1000)[:1000])
    best, best_score = ",", 0.0
    for separator in _SEPARATORS:
        try:
            rows = csv.reader(io.StringIO(sample), delimiter=separator)
            widths = Counter(len(row) for row, _ in zip(rows, range(_SAMPLE_RECORDS), strict=False) if row)
        except csv.Error:
            continue
        width, count = max(widths.items(), key=lambda found: (found[0] > 1, found[1], found[0]), default=(1, 0))
        score = count / max(1, widths.total()) + min(width, 50) / 1000 if width > 1 else 0.0
        if score > best_score:
            best, best_score = separator, score
    return best


def looks_like_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: it has words, and no numbers."""
    if len(rows) < 2:
        return False
    cells = [cell.strip() for cell in rows[0] if cell.strip()]
    return bool(cells) and not any(_NUMBER.fullmatch(cell) for cell in cells)


def _read(text: str, separator: str, *, quoted: bool) -> list[list[str]]:
    csv.field_size_limit(_MAX_CELL)  # Python's own limit, 128 KiB, is under what one cell of a mail archive holds
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    space = separator != "\t"
    return list(csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=space, quoting=quoting))


def _stretches(records: list[list[str]]) -> Iterator[tuple[int, list[list[str]], list[str]]]:
    """Yield runs of records without an empty one between: 1-based first row, rows, and the header if it came before."""
    header: list[str] = []
    run: list[list[str]] = []
    for number, record in enumerate([*records, []], start=1):
        if any(cell.strip() for cell in record):
            run.append(record)
            continue
        if run:
            yield number - len(run), run, header
            same_width = not header and looks_like_header(run) and number - len(run) == 1
            header = run[0] if same_width else header
        run = []
