"""What an ingest says: progress while it runs, a line for each file whatever happened to it, and the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal
from unicodedata import east_asian_width

from core.errors import CitadelError, printable

Status = Literal["added", "replaced", "unchanged", "removed", "failed"]
STATUSES: tuple[Status, ...] = ("added", "replaced", "unchanged", "removed", "failed")

_PATH_WIDTH = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """What became of one file; for added and replaced ones it is said after they are durably stored.

    ``seconds`` is the time its parsing, cutting and embedding took. ``error_code`` and ``error`` are set for failed
    ones; what was stored of such a file before stays.
    """

    path: str
    status: Status
    n_chunks: int = 0
    n_tokens: int = 0
    seconds: float = 0.0
    size_bytes: int = 0
    media_type: str = ""
    notes: tuple[str, ...] = ()
    error_code: str = ""
    error: str = ""

    @classmethod
    def failure(cls, path: str, error: CitadelError, **fields: Any) -> FileReport:
        """Return the report of a file that failed."""
        return cls(path=path, status="failed", error_code=error.code, error=str(error), **fields)

    def to_json(self) -> dict[str, Any]:
        """Return the fields that are set, as JSON values."""
        plain = {name: value for name, value in asdict(self).items() if value not in ("", (), None)}
        return {**plain, "seconds": round(self.seconds, 3), "notes": list(self.notes)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an ingest is. Files and bytes are those found so far; ``scanned`` says that these are all.

    Rates are over the whole run; ``seconds_left`` is None while it cannot be told.
    """

    files_done: int
    files_total: int
    bytes_done: int
    bytes_total: int
    chunks_done: int
    scanned: bool
    seconds_elapsed: float
    chunks_per_second: float
    seconds_left: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDone:
    """A file is done with."""

    report: FileReport


IngestEvent = Progress | FileDone


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestReport:
    """What became of every file, in the order in which they were done with.

    ``error`` is what stopped the ingest before its end, such as a full disk; ``cancelled`` says that a person did.
    """

    files: tuple[FileReport, ...]
    seconds: float
    cancelled: bool = False
    error: CitadelError | None = None

    @property
    def counts(self) -> dict[Status, int]:
        """The number of files by status; every status is there."""
        counted = Counter(report.status for report in self.files)
        return {status: counted[status] for status in STATUSES}

    @property
    def n_chunks(self) -> int:
        """Chunks that were stored."""
        return sum(report.n_chunks for report in self.files if report.status in ("added", "replaced"))

    @property
    def exit_code(self) -> int:
        """0: all went well; 3: some failed; another: what stopped it."""
        if self.error is not None:
            return self.error.exit_code
        if self.cancelled:
            return 130
        return 3 if self.counts["failed"] else 0

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "counts": self.counts,
            "n_chunks": self.n_chunks,
            "seconds": round(self.seconds, 3),
            "cancelled": self.cancelled,
            "error": str(self.error) if self.error else None,
            "exit_code": self.exit_code,
            "files": [report.to_json() for report in self.files],
        }


def format_line(report: FileReport) -> str:
    """Return one line of plain text about a file, safe on a terminal whatever the file is called."""
    name = printable(report.path, limit=_PATH_WIDTH)
    line = f"{report.status:<9} {_padded(name, _PATH_WIDTH)}"
    if report.status in ("added", "replaced"):
        line += f" {report.n_chunks:>6,} chunks {report.seconds:>7.1f} s"
    said = report.error.removeprefix(f"{printable(report.path)}: ") if report.error else "; ".join(report.notes)
    return f"{line}  {printable(said, limit=400)}".rstrip()


def _padded(text: str, width: int) -> str:
    """Fill up to a width on a terminal, where a Chinese character takes two places."""
    n_places = sum(2 if east_asian_width(character) in "WF" else 1 for character in text)
    return text + " " * (width - n_places)


def format_progress(progress: Progress) -> str:
    """Return one line of plain text about how far an ingest is."""
    total = f"{progress.files_total:,}" if progress.scanned else f"{progress.files_total:,}+"
    line = f"{progress.files_done:,}/{total} files, {progress.chunks_done:,} chunks, {progress.chunks_per_second:.1f}/s"
    if progress.seconds_left is None:
        return line
    return f"{line}, {format_seconds(progress.seconds_left)} left"


def format_seconds(seconds: float) -> str:
    """Return a duration to read: ``42 s``, ``3 min 20 s``, ``2 h 05 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def format_report(report: IngestReport, *, statuses: Iterable[Status] = STATUSES) -> str:
    """Return the report as plain text: a line for each file of these statuses, then the sums."""
    wanted = set(statuses)
    lines = [format_line(file) for file in report.files if file.status in wanted]
    sums = ", ".join(f"{n:,} {status}" for status, n in report.counts.items() if n) or "nothing to ingest"
    lines.append(f"{sums}; {report.n_chunks:,} chunks in {format_seconds(report.seconds)}")
    if report.error is not None:
        lines.append(f"Stopped: {report.error}")
    elif report.cancelled:
        lines.append("Stopped on request; what is listed as added or replaced is stored.")
    return "\n".join(lines)
