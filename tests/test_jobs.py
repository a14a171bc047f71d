"""Ingests run one after another in the background and can be cancelled; uploads are kept under safe names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from app.jobs import Job, Jobs, JobState
from app.uploads import MAX_NAME_BYTES, Uploads, checked_collection, safe_name
from core.errors import DiskFull, FileTooLarge, StoreError, StoreLocked, UsageError
from core.interfaces import StoredSource
from ingest.reports import FileDone, FileReport, IngestEvent, IngestReport

PATIENCE = 10


class Reads:
    """Reports each path as added, as the knowledge base does; waits and fails where it is told to."""

    def __init__(self, *, wait: Event | None = None, error: Exception | None = None) -> None:
        self.wait, self.error = wait, error
        self.order: list[str] = []

    def ingest(
        self,
        *paths: str | Path,
        collection: str,
        on_event: Callable[[IngestEvent], None] | None = None,
        stop: Event | None = None,
    ) -> IngestReport:
        assert on_event is not None
        assert stop is not None
        self.order.append(collection)
        done = []
        for path in paths:
            if isinstance(self.error, StoreLocked):
                raise self.error
            done.append(FileReport(path=str(path), status="added"))
            on_event(FileDone(report=done[-1]))
            if self.wait:
                while not self.wait.wait(0.01) and not stop.is_set():
                    pass
            if stop.is_set():
                break
        error = self.error if isinstance(self.error, DiskFull) else None
        return IngestReport(files=tuple(done), seconds=0, cancelled=stop.is_set(), error=error)


def _ended(job: Job) -> JobState:
    return list(job.live.watch(pause_seconds=0.001))[-1]


def test_a_job_ends_with_a_report_for_each_file() -> None:
    state = _ended(Jobs().start([Path("a"), Path("b")], collection="hr", into=Reads()))
    assert (state.stage, [report.path for report in state.reports]) == ("finished", ["a", "b"])


def test_jobs_run_one_after_another_and_the_running_one_is_shown() -> None:
    gate = Event()
    reads = Reads(wait=gate)
    jobs = Jobs()
    first = jobs.start([Path("a")], collection="one", into=reads)
    second = jobs.start([Path("b")], collection="two", into=reads)
    next(state for state in first.live.watch(pause_seconds=0.001) if state.reports)
    assert jobs.newest() is first
    assert second.state.stage == "queued"
    gate.set()
    assert (_ended(first).stage, _ended(second).stage) == ("finished", "finished")
    assert reads.order == ["one", "two"]
    assert jobs.newest() is second


def test_a_job_is_cancelled_while_it_runs_and_before_it_starts() -> None:
    reads = Reads(wait=Event())
    jobs = Jobs()
    first = jobs.start([Path("a"), Path("b")], collection="one", into=reads)
    second = jobs.start([Path("c")], collection="two", into=reads)
    next(state for state in first.live.watch(pause_seconds=0.001) if state.reports)
    second.cancel()
    first.cancel()
    assert _ended(first).stage == "cancelled"
    assert [report.path for report in first.state.reports] == ["a"]
    assert _ended(second).stage == "cancelled"
    third = jobs.start([], collection="three", into=reads)
    assert _ended(third).stage == "finished"
    assert reads.order == ["one", "three"]


@pytest.mark.parametrize("error", [StoreLocked("another process writes"), DiskFull("no room is left")])
def test_an_error_that_stops_an_ingest_is_the_jobs_last_word(error: StoreLocked | DiskFull) -> None:
    state = _ended(Jobs().start([Path("a")], collection="hr", into=Reads(error=error)))
    assert (state.stage, state.error) == ("failed", error)


def test_what_is_to_be_done_at_the_end_of_a_job_is_done_once_however_it_ends() -> None:
    gate, jobs, ended = Event(), Jobs(), list[tuple[str, int]]()

    def note(state: JobState) -> None:
        ended.append((state.stage, len(state.reports)))

    first = jobs.start([Path("a"), Path("b")], collection="one", into=Reads(wait=gate), on_end=note)
    second = jobs.start([Path("c")], collection="two", into=Reads(), on_end=note)
    next(state for state in first.live.watch(pause_seconds=0.001) if state.reports)
    second.cancel()
    first.cancel()
    assert _ended(first).stage == "cancelled"
    failed = jobs.start([Path("a")], collection="hr", into=Reads(error=StoreLocked("another writes")), on_end=note)
    assert _ended(failed).stage == "failed"
    assert ended == [("cancelled", 0), ("cancelled", 1), ("failed", 0)]


def test_a_piece_of_work_that_fails_unforeseen_keeps_nothing_behind_it_waiting() -> None:
    jobs = Jobs()
    broken = jobs.start([Path("a")], collection="one", into=Reads(error=StoreLocked("held")), on_end=_fail)
    assert _ended(broken).stage == "failed"
    assert _ended(jobs.start([Path("b")], collection="two", into=Reads())).stage == "finished"


def _fail(state: JobState) -> None:
    raise RuntimeError("unforeseen")


def test_closing_cancels_what_runs() -> None:
    jobs = Jobs()
    job = jobs.start([Path("a")], collection="hr", into=Reads(wait=Event()))
    next(state for state in job.live.watch(pause_seconds=0.001) if state.reports)
    jobs.close(patience_seconds=PATIENCE)
    assert job.state.stage == "cancelled"


def test_nothing_is_done_at_the_end_of_jobs_that_the_servers_end_cuts_off() -> None:
    jobs, ended = Jobs(), list[JobState]()
    running = jobs.start([Path("a")], collection="hr", into=Reads(wait=Event()), on_end=ended.append)
    queued = jobs.start([Path("b")], collection="hr", into=Reads(), on_end=ended.append)
    next(state for state in running.live.watch(pause_seconds=0.001) if state.reports)
    jobs.close(patience_seconds=PATIENCE)
    assert (running.state.stage, queued.state.stage) == ("cancelled", "cancelled")
    assert ended == []


def test_what_somebody_cancelled_before_the_servers_end_is_done_with() -> None:
    jobs, ended = Jobs(), list[JobState]()
    job = jobs.start([Path("a")], collection="hr", into=Reads(wait=Event()), on_end=ended.append)
    next(state for state in job.live.watch(pause_seconds=0.001) if state.reports)
    job.cancel()
    jobs.close(patience_seconds=PATIENCE)
    assert [state.stage for state in ended] == ["cancelled"]


@pytest.mark.parametrize("name", ["report.pdf", "员工手册-2025.pdf", "a b (2).txt", "no_ending", "ünï.docx"])
def test_a_plain_name_is_kept(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "../../etc/passwd", "a/b.txt", "a\\b.txt", ".hidden", "con", "NUL.txt", "a\nb.txt", "a\x00.txt",
        "x" * 300 + ".pdf", "页" * 200 + ".pdf", "name.", "name ", "evil\u202egnp.exe", "a:b", "-" + "x" * 255,
        "\ud800.txt",
    ],
)  # fmt: skip
def test_any_other_name_becomes_one_plain_part_of_a_path(name: str, tmp_path: Path) -> None:
    safe = safe_name(name)
    assert len(safe.encode()) <= MAX_NAME_BYTES
    assert safe == safe_name(name)
    (tmp_path / safe).write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == [safe]
    assert not safe.startswith(".")


def test_names_that_differ_stay_apart_when_they_are_mended() -> None:
    assert len({safe_name(name) for name in ("a/b.txt", "a\\b.txt", "a:b.txt", "a_b.txt")}) == 4
    assert safe_name("x" * 300 + ".pdf").endswith(".pdf")


def _received(uploads: Uploads, name: str, text: str) -> Path:
    folder = uploads.incoming_of("ann") / "one"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def test_an_upload_is_kept_in_its_collections_folder_and_replaces_the_one_of_its_name(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, max_mb=1)
    first = uploads.keep(_received(uploads, "a.txt", "old"), collection="../hr", person_id="ann")
    second = uploads.keep(_received(uploads, "a.txt", "new"), collection="../hr", person_id="ann")
    assert first == second
    assert first.read_text() == "new"
    assert first.parent.parent == uploads.folder
    assert list(uploads.incoming_of("ann").iterdir()) == []


def test_no_file_of_the_server_is_taken_for_an_upload(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "data", max_mb=1)
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    uploads.incoming.mkdir(parents=True)
    (uploads.incoming / "link.txt").symlink_to(secret)
    for path in (secret, uploads.incoming / ".." / ".." / ".." / "secret.txt", uploads.incoming / "link.txt"):
        with pytest.raises(UsageError, match="no uploaded file"):
            uploads.keep(path, collection="hr", person_id="ann")
    assert secret.read_text() == "secret"


def test_an_upload_over_the_limit_is_refused(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, max_mb=0)
    with pytest.raises(FileTooLarge, match=r"big\.txt: the file is larger than 0 MiB"):
        uploads.keep(_received(uploads, "big.txt", "xx"), collection="hr", person_id="ann")


def test_only_uploads_are_discarded_with_their_documents(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "data", max_mb=1)
    kept = uploads.keep(_received(uploads, "a.txt", "a"), collection="hr", person_id="ann")
    own = tmp_path / "own.txt"
    own.write_text("mine")
    uploads.discard([_source(kept), _source(own), _source(kept)])
    assert not kept.exists()
    assert own.exists()


def _source(location: Path) -> StoredSource:
    return StoredSource(
        source_id="s", path=location.name, collection="hr", location=str(location), sha256="", media_type="text/plain",
        size_bytes=1, modified=0, ingested=0, title="", n_chunks=1, n_pages=None, language="en", recipe="",
    )  # fmt: skip


def test_the_name_of_a_collection_is_short_and_printable() -> None:
    assert checked_collection("  人事 ") == "人事"
    for name in ("", "  ", "a\nb", "x" * 61, "a\u202eb"):
        with pytest.raises(UsageError):
            checked_collection(name)


def test_a_failed_upload_is_not_discarded_where_its_earlier_version_is_a_document(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, max_mb=1)
    kept = uploads.keep(_received(uploads, "a.txt", "a"), collection="hr", person_id="ann")
    stored = _source(kept)
    uploads.discard_failed("a.txt", collection="hr", stored=[stored])
    assert kept.exists()
    uploads.discard_failed("a.txt", collection="hr")
    assert not kept.exists()


def test_a_file_that_cannot_be_kept_takes_no_room(tmp_path: Path) -> None:
    from app.people.database import People
    from app.people.quota import Quota
    from tests.small_people import add

    with People.open(tmp_path / "data") as people:
        ann, quota = add(people, "Ann"), Quota(people, quota_mb=1)
        uploads = Uploads(tmp_path / "data", max_mb=1, quota=quota)
        uploads.folder.mkdir(parents=True)
        (uploads.folder / "hr").write_text("a file where a folder should be", "utf-8")
        received = uploads.incoming_of(ann.id) / "hash" / "a.txt"
        received.parent.mkdir(parents=True)
        received.write_text("a", "utf-8")
        with pytest.raises(StoreError, match=r"a\.txt: .*cannot be kept"):
            uploads.keep(received, collection="hr", person_id=ann.id)
        assert quota.used(ann.id) == 0
