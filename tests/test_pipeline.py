"""An ingest reports every file, acknowledges what is stored and nothing else, and goes on where it was ended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from core.errors import DiskFull, EmbedderMismatch, EmptyFile, MissingPath, NotRegularFile
from core.interfaces import Ingestible, Vectors
from core.settings import IngestSettings
from indexes.store import Store
from ingest.passages import ingest_passages
from ingest.pipeline import Pipeline
from ingest.reports import (
    FileDone,
    FileReport,
    IngestEvent,
    IngestReport,
    Progress,
    format_line,
    format_progress,
    format_report,
    format_seconds,
)
from ingest.watch import watch

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = IngestSettings(parse_workers=1, ocr=False)  # type: ignore[call-arg]


class HashingEmbedder:
    """Embeds words by their hashes; counts what it is asked for."""

    fingerprint, dimension = "hashing", 16

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(list(texts))
        vectors = np.full((len(texts), self.dimension), 0.01, np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            for start, end in self.token_spans(text):
                vector[zlib.crc32(text[start:end].encode()) % self.dimension] += 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def encode_query(self, text: str) -> Vectors:
        return self.encode_passages([text])[0]

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "shelf"
    write(folder, {"a.md": "# Alpha\n\nThe pump is red.", "b.txt": "The valve is blue.", "sub/c.txt": "Third text."})
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "data", writer=True) as store:
        yield store


@pytest.fixture
def pipeline(store: Store) -> Pipeline:
    return Pipeline(store, HashingEmbedder(), SETTINGS)


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def statuses(report: IngestReport) -> dict[str, str]:
    assert len({file.path for file in report.files}) == len(report.files)
    return {file.path: file.error_code or file.status for file in report.files}


def stored_texts(store: Store, collection: str = "c") -> dict[str, str]:
    return {
        path: store.document_text(source.source_id) for path, source in store.sources(collection=collection).items()
    }


def test_every_file_is_stored_and_reported(store: Store, pipeline: Pipeline, folder: Path) -> None:
    report = pipeline.ingest([folder], collection="c")
    assert statuses(report) == {"a.md": "added", "b.txt": "added", "sub/c.txt": "added"}
    assert report.exit_code == 0
    assert report.n_chunks == sum(source.n_chunks for source in store.sources(collection="c").values()) == 3
    assert stored_texts(store)["b.txt"] == "The valve is blue."
    assert store.verify() == []


def test_unchanged_files_cost_nothing(store: Store, pipeline: Pipeline, folder: Path) -> None:
    pipeline.ingest([folder], collection="c")
    before = store.state()
    again = Pipeline(store, embedder := HashingEmbedder(), SETTINGS, parser="no.such:parser")
    report = again.ingest([folder], collection="c")
    assert set(statuses(report).values()) == {"unchanged"}
    assert report.exit_code == 0
    assert embedder.batches == []
    assert store.state() == before


def test_a_changed_file_replaces_what_was_stored_of_it(store: Store, pipeline: Pipeline, folder: Path) -> None:
    pipeline.ingest([folder], collection="c")
    (folder / "b.txt").write_text("The valve is green.")
    report = pipeline.ingest([folder], collection="c")
    assert statuses(report) == {"a.md": "unchanged", "b.txt": "replaced", "sub/c.txt": "unchanged"}
    assert stored_texts(store)["b.txt"] == "The valve is green."
    assert store.verify() == []


def test_a_touched_file_is_unchanged_and_seen_as_it_is_now(store: Store, pipeline: Pipeline, folder: Path) -> None:
    pipeline.ingest([folder], collection="c")
    os.utime(folder / "b.txt", (1e9, 1e9))
    assert statuses(pipeline.ingest([folder], collection="c"))["b.txt"] == "unchanged"
    assert store.sources(collection="c")["b.txt"].modified == 1e9


def test_other_settings_ingest_anew(store: Store, pipeline: Pipeline, folder: Path) -> None:
    pipeline.ingest([folder], collection="c")
    smaller = Pipeline(store, HashingEmbedder(), SETTINGS.model_copy(update={"chunk_tokens": 40}))
    assert set(statuses(smaller.ingest([folder], collection="c")).values()) == {"replaced"}


def test_another_embedder_is_refused_before_anything_is_read(store: Store, pipeline: Pipeline, folder: Path) -> None:
    pipeline.ingest([folder], collection="c")
    other = HashingEmbedder()
    other.fingerprint = "another"
    with pytest.raises(EmbedderMismatch):
        Pipeline(store, other, SETTINGS).ingest([folder], collection="c")
    assert other.batches == []


def test_collections_are_apart(store: Store, pipeline: Pipeline, folder: Path) -> None:
    pipeline.ingest([folder], collection="c")
    assert set(statuses(pipeline.ingest([folder], collection="other")).values()) == {"added"}
    pipeline.ingest([folder / "sub"], collection="other", sync=True)
    assert len(store.sources(collection="c")) == len(store.sources(collection="other")) == 3


def test_files_that_fail_are_reported_and_the_rest_is_stored(store: Store, pipeline: Pipeline, folder: Path) -> None:
    write(folder, {"empty.txt": "", "broken.pdf": "%PDF-1.7\nnothing more"})
    os.mkfifo(folder / "fifo.txt")
    (folder / "out.txt").symlink_to("/etc/hostname")
    report = pipeline.ingest([folder, folder / "nowhere"], collection="c")
    assert statuses(report) == {
        "a.md": "added",
        "b.txt": "added",
        "sub/c.txt": "added",
        "empty.txt": "empty_file",
        "broken.pdf": "damaged",
        "fifo.txt": "not_regular_file",
        "out.txt": "link_outside",
        str(folder / "nowhere"): "missing_path",
    }
    assert report.exit_code == 3
    assert report.counts == {"added": 3, "replaced": 0, "unchanged": 0, "removed": 0, "failed": 5}


def test_a_file_that_fails_now_keeps_what_was_stored_and_says_so(
    store: Store, pipeline: Pipeline, folder: Path
) -> None:
    pipeline.ingest([folder], collection="c")
    (folder / "b.txt").write_text("")
    report = pipeline.ingest([folder], collection="c", sync=True)
    (failed,) = [file for file in report.files if file.status == "failed"]
    assert failed.notes == ("the version that was stored before stays",)
    assert stored_texts(store)["b.txt"] == "The valve is blue."


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("two\nlines.txt", id="lines"),
        pytest.param("n" * 200 + ".txt", id="long"),
        pytest.param("字" * 80 + ".txt", id="long-chinese"),
        pytest.param("caf\udce9.txt", id="undecodable"),
    ],
)
def test_a_file_of_any_name_is_stored_once(store: Store, pipeline: Pipeline, folder: Path, name: str) -> None:
    (folder / name).write_text("An odd name.")
    pipeline.ingest([folder], collection="c")
    assert "An odd name." in stored_texts(store).values()
    report = pipeline.ingest([folder], collection="c", sync=True)
    assert set(statuses(report).values()) == {"unchanged"}
    assert all(format_line(file).isprintable() for file in report.files)


class SlowToBegin(HashingEmbedder):
    """Takes its time over the first batch, so that files are parsed faster than they are embedded."""

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        if not self.batches:
            time.sleep(2)
        return super().encode_passages(texts)


def test_chunks_of_many_files_are_embedded_together_in_order_of_length(store: Store, folder: Path) -> None:
    write(folder, {f"{n}.txt": "word " * (n * 7 % 50 + 1) for n in range(30)})
    embedder = SlowToBegin()
    Pipeline(store, embedder, SETTINGS).ingest([folder], collection="c")
    assert len(embedder.batches) < 30
    for batch in embedder.batches:
        lengths = [len(embedder.token_spans(text)) for text in batch]
        assert lengths == sorted(lengths, reverse=True)


class Aside:
    """Counts its pauses; work is hurried where it says so."""

    def __init__(self, *, hurried: bool) -> None:
        self.hurried, self.n_pauses = hurried, 0

    def pause(self, stop: threading.Event) -> None:
        self.n_pauses += 1


@pytest.mark.parametrize("hurried", [False, True])
def test_an_ingest_asks_before_each_step_and_embeds_in_small_ones_while_others_wait(
    store: Store, folder: Path, hurried: bool
) -> None:
    write(folder, {"long.txt": "".join(f"Note number {n} of a long afternoon. " for n in range(700))})
    aside, embedder = Aside(hurried=hurried), HashingEmbedder()
    report = Pipeline(store, embedder, SETTINGS, pace=aside).ingest([folder], collection="c")
    assert {file.status for file in report.files} == {"added"}
    assert aside.n_pauses == len(report.files) + len(embedder.batches)
    assert max(map(len, embedder.batches)) == (8 if hurried else 16)


def test_a_file_is_acknowledged_only_after_others_can_read_it(
    tmp_path: Path, store: Store, pipeline: Pipeline, folder: Path
) -> None:
    seen = []

    def check(event: IngestEvent) -> None:
        if isinstance(event, FileDone):
            with Store.open(tmp_path / "data", writer=False) as reader:
                seen.append(event.report.path in reader.sources(collection="c"))

    pipeline.ingest([folder], collection="c", on_event=check)
    assert seen == [True, True, True]


def test_progress_grows_and_ends_with_everything_done(pipeline: Pipeline, folder: Path) -> None:
    events: list[IngestEvent] = []
    pipeline.ingest([folder], collection="c", on_event=events.append)
    steps = [event for event in events if isinstance(event, Progress)]
    done = [step.files_done for step in steps]
    assert done == sorted(done)
    last = steps[-1]
    assert (last.files_done, last.files_total, last.chunks_done, last.scanned) == (3, 3, 3, True)
    assert last.bytes_done == last.bytes_total == sum(p.stat().st_size for p in folder.rglob("*.*"))
    assert last.seconds_left == 0


# --- removing what is gone


def test_sync_removes_what_is_gone_and_nothing_else(
    tmp_path: Path, store: Store, pipeline: Pipeline, folder: Path
) -> None:
    write(tmp_path / "other", {"d.txt": "Elsewhere."})
    pipeline.ingest([folder, tmp_path / "other"], collection="c")
    (folder / "b.txt").unlink()
    (tmp_path / "other" / "d.txt").unlink()
    report = pipeline.ingest([folder], collection="c", sync=True)
    assert statuses(report) == {"a.md": "unchanged", "sub/c.txt": "unchanged", "b.txt": "removed"}
    assert sorted(store.sources(collection="c")) == ["a.md", "d.txt", "sub/c.txt"]


def test_without_sync_what_is_gone_stays(store: Store, pipeline: Pipeline, folder: Path) -> None:
    pipeline.ingest([folder], collection="c")
    (folder / "b.txt").unlink()
    assert "b.txt" not in statuses(pipeline.ingest([folder], collection="c"))
    assert "b.txt" in store.sources(collection="c")


def test_a_renamed_file_is_added_and_its_old_name_removed(store: Store, pipeline: Pipeline, folder: Path) -> None:
    pipeline.ingest([folder], collection="c")
    (folder / "b.txt").rename(folder / "z.txt")
    report = statuses(pipeline.ingest([folder], collection="c", sync=True))
    assert (report["z.txt"], report["b.txt"]) == ("added", "removed")


def test_sync_removes_what_is_ignored_from_now_on(store: Store, pipeline: Pipeline, folder: Path) -> None:
    pipeline.ingest([folder], collection="c")
    write(folder, {".citadelignore": "sub/"})
    assert statuses(pipeline.ingest([folder], collection="c", sync=True))["sub/c.txt"] == "removed"


def test_a_folder_that_is_not_there_or_cannot_be_listed_removes_nothing(
    store: Store, pipeline: Pipeline, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is not mounted or a share that is down looks like a folder whose files are all gone."""
    pipeline.ingest([folder], collection="c")
    really_scandir = os.scandir

    def refusing(path: str) -> object:
        if path.endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return really_scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert statuses(pipeline.ingest([folder], collection="c", sync=True))["sub"] == "unreadable_file"
    monkeypatch.undo()
    folder.rename(folder.with_name("away"))
    assert statuses(pipeline.ingest([folder], collection="c", sync=True)) == {str(folder): "missing_path"}
    assert len(store.sources(collection="c")) == 3


# --- ends before the end


def test_an_ingest_that_is_told_to_stop_stops_and_the_next_goes_on(
    store: Store, pipeline: Pipeline, folder: Path
) -> None:
    stop = threading.Event()

    def stop_at_first(event: IngestEvent) -> None:
        if isinstance(event, FileDone):
            stop.set()

    write(folder, {f"{n}.txt": "word " * 5000 for n in range(8)})
    report = pipeline.ingest([folder], collection="c", on_event=stop_at_first, stop=stop)
    assert report.cancelled
    assert report.exit_code == 130
    done = set(statuses(report))
    assert 0 < len(done) < 11
    assert set(store.sources(collection="c")) == done
    rest = statuses(pipeline.ingest([folder], collection="c"))
    assert {path for path, status in rest.items() if status == "unchanged"} == done
    assert {path for path, status in rest.items() if status == "added"} == set(rest) - done


def test_an_ingest_is_stopped_in_the_middle_of_a_long_file(store: Store, folder: Path) -> None:
    stop = threading.Event()

    class Stopping(HashingEmbedder):
        def encode_passages(self, texts: Sequence[str]) -> Vectors:
            stop.set()
            return super().encode_passages(texts)

    write(folder, {"long.txt": "word. " * 100_000})
    report = Pipeline(store, embedder := Stopping(), SETTINGS).ingest([folder / "long.txt"], collection="c", stop=stop)
    assert report.cancelled
    assert report.files == ()
    assert len(embedder.batches) == 1
    assert store.sources(collection="c") == {}


def test_what_a_listener_raises_ends_the_ingest_and_its_processes(
    store: Store, pipeline: Pipeline, folder: Path
) -> None:
    class Leave(BaseException):
        pass

    def leave(event: IngestEvent) -> None:
        raise Leave

    n_threads = threading.active_count()
    with pytest.raises(Leave):
        pipeline.ingest([folder], collection="c", on_event=leave)
    assert threading.active_count() <= n_threads
    assert store.verify() == []


def test_a_full_disk_stops_the_ingest_and_says_what_was_not_stored(
    store: Store, pipeline: Pipeline, folder: Path
) -> None:
    pipeline.ingest([folder / "a.md"], collection="c")
    assert store._writer is not None
    n_pages = store._writer.execute("PRAGMA page_count").get
    store._writer.execute(f"PRAGMA max_page_count = {n_pages + 4}")
    write(folder, {f"{n}.txt": f"Text {n}. " * 3000 for n in range(4)})
    report = pipeline.ingest([folder], collection="c", sync=True)
    assert isinstance(report.error, DiskFull)
    assert report.exit_code == DiskFull.exit_code
    by_status = statuses(report)
    assert by_status["a.md"] == "unchanged"
    assert "disk_full" in by_status.values()
    kept = {path for path, status in by_status.items() if status in ("added", "unchanged")}
    assert set(store.sources(collection="c")) == kept
    assert "Stopped: " in format_report(report)
    store._writer.execute("PRAGMA max_page_count = 1000000")
    rest = statuses(pipeline.ingest([folder], collection="c"))
    assert set(rest.values()) == {"added", "unchanged"}
    assert len(rest) == 7
    assert store.verify() == []


INGEST = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
from pathlib import Path
from test_pipeline import *
embedder = HashingEmbedder()
really = embedder.encode_passages
def slowly(texts):
    time.sleep(0.02)
    return really(texts)
embedder.encode_passages = slowly
def told(event):
    if isinstance(event, FileDone):
        print(event.report.status, event.report.path, flush=True)
with Store.open({data!r}, writer=True) as store:
    Pipeline(store, embedder, SETTINGS).ingest([{folder!r}], collection="c", on_event=told)
"""


def test_a_killed_ingest_loses_nothing_that_it_acknowledged_and_is_gone_on_with(tmp_path: Path) -> None:
    folder = tmp_path / "shelf"
    write(folder, {f"{n:02}.txt": f"Text {n} says this. " * (300 if n % 5 else 1200) for n in range(32)})
    code = INGEST.format(root=str(ROOT), tests=str(ROOT / "tests"), data=str(tmp_path / "data"), folder=str(folder))
    acknowledged: set[str] = set()
    for kill_after in (1, 6, 12):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        n_added = 0
        for line in process.stdout:
            status, path = line.split()
            # One that was committed and not acknowledged any more is unchanged too; one that was cannot be added.
            assert status == "unchanged" or path not in acknowledged
            n_added += status == "added"
            acknowledged.add(path)
            if n_added == kill_after:
                process.send_signal(signal.SIGKILL)
                break
        # What was printed before the signal was acknowledged too.
        acknowledged |= {line.split()[1] for line in process.stdout if line.endswith("\n")}
        assert process.wait() == -signal.SIGKILL
        process.stdout.close()
        with Store.open(tmp_path / "data", writer=False) as reader:
            assert acknowledged <= set(reader.sources(collection="c"))
            assert reader.verify() == []
    with Store.open(tmp_path / "data", writer=True) as store:
        report = Pipeline(store, HashingEmbedder(), SETTINGS).ingest([folder], collection="c")
        by_status = statuses(report)
        assert len(by_status) == 32
        assert all(by_status[path] == "unchanged" for path in acknowledged)
        texts = stored_texts(store)
        assert {path: text.strip() for path, text in texts.items()} == {
            path.name: path.read_text().strip() for path in folder.iterdir()
        }
        assert store.verify() == []


# --- following a folder


def test_a_watched_folder_is_followed_until_the_watch_is_stopped(
    store: Store, pipeline: Pipeline, folder: Path
) -> None:
    stop, changed = threading.Event(), threading.Event()
    reports: list[IngestReport] = []

    def told(report: IngestReport) -> None:
        reports.append(report)
        changed.set()

    def follow() -> None:
        watch(pipeline, [folder], collection="c", on_report=told, stop=stop)

    def after(change: Callable[[], object], wanted: Callable[[], bool]) -> bool:
        changed.clear()
        change()
        until = time.monotonic() + 30
        while not wanted() and time.monotonic() < until:
            changed.wait(1)
            changed.clear()
        return wanted()

    watching = threading.Thread(target=follow)
    try:
        assert after(watching.start, lambda: len(store.sources(collection="c")) == 3)
        assert after(lambda: write(folder, {"new/d.txt": "Fourth."}), lambda: "new/d.txt" in stored_texts(store))
        assert after(
            lambda: write(folder, {"b.txt": "Now green."}), lambda: stored_texts(store)["b.txt"] == "Now green."
        )
        assert after(lambda: (folder / "a.md").unlink(), lambda: "a.md" not in stored_texts(store))
    finally:
        stop.set()
        watching.join(30)
    assert not watching.is_alive()
    assert all(report.exit_code in (0, 130) for report in reports)


def test_a_watch_goes_on_after_an_ingest_that_failed(store: Store, folder: Path) -> None:
    stop, done = threading.Event(), threading.Event()

    class Failing(Pipeline):
        fails = 1

        def ingest(self, *args: object, **options: object) -> IngestReport:
            if self.fails:
                self.fails -= 1
                (folder / "e.txt").write_text("Another change.")
                raise DiskFull("no room")
            return super().ingest(*args, **options)  # type: ignore[arg-type]

    watching = threading.Thread(
        target=lambda: watch(
            Failing(store, HashingEmbedder(), SETTINGS), [folder], collection="c",
            on_report=lambda report: done.set(), stop=stop,
        )
    )  # fmt: skip
    watching.start()
    try:
        assert done.wait(30)
    finally:
        stop.set()
        watching.join(30)
    assert len(store.sources(collection="c")) == 4


def test_a_watch_of_what_is_not_there_says_so(pipeline: Pipeline, folder: Path) -> None:
    with pytest.raises(MissingPath):
        watch(pipeline, [folder / "nowhere"], collection="c")


# --- ready passages


def passages(path: Path, lines: Sequence[object]) -> Path:
    path.write_text("".join(f"{line if isinstance(line, str) else json.dumps(line)}\n" for line in lines))
    return path


def test_each_passage_is_a_source_named_by_its_id(tmp_path: Path, store: Store, pipeline: Pipeline) -> None:
    text = "First paragraph.\n\n\n  Second one, with a space before.  "
    lines = [{"id": "q1", "title": "Pumps", "text": text}, {"id": 2, "title": "", "text": "水泵"}, ""]
    report = ingest_passages(pipeline, passages(tmp_path / "p.jsonl", lines), collection="c")
    assert statuses(report) == {"q1": "added", "2": "added"}
    assert stored_texts(store) == {"q1": text, "2": "水泵"}
    sources = store.sources(collection="c")
    (chunk,) = store.chunks(sources["q1"].source_id)
    assert chunk.context == "Pumps"
    assert chunk.text == text.strip()
    assert store.chunks(sources["2"].source_id)[0].context == ""
    assert sources["2"].language == "zh"
    assert store.verify() == []


def test_unchanged_passages_cost_nothing_and_changed_ones_replace(
    tmp_path: Path, store: Store, pipeline: Pipeline
) -> None:
    file = passages(tmp_path / "p.jsonl", [{"id": str(n), "text": f"Text {n}."} for n in range(3)])
    ingest_passages(pipeline, file, collection="c")
    passages(file, [{"id": "0", "text": "Text 0."}, {"id": "1", "text": "Other."}, {"id": "3", "text": "New."}])
    report = ingest_passages(pipeline, file, collection="c", sync=True)
    assert statuses(report) == {"0": "unchanged", "1": "replaced", "3": "added", "2": "removed"}


def test_a_line_that_is_no_passage_is_reported_by_its_number_and_the_others_go_on(
    tmp_path: Path, store: Store, pipeline: Pipeline
) -> None:
    lines: list[object] = [
        {"id": "good", "text": "Good."},
        "{not json",
        [1, 2],
        {"text": "No id."},
        {"id": True, "text": "No id either."},
        {"id": "x"},
        {"id": "y", "text": "   "},
        {"id": "z", "title": 5, "text": "Odd title."},
        {"id": "good", "text": "Again."},
        {"id": "last", "text": "Last."},
    ]
    report = ingest_passages(pipeline, passages(tmp_path / "p.jsonl", lines), collection="c")
    assert statuses(report) == {
        "good": "added",
        "last": "added",
        **{f"p.jsonl, line {n}": "malformed_input" for n in range(2, 10)},
    }
    assert "line 1 already" in next(file.error for file in report.files if file.path.endswith("line 9"))
    assert report.exit_code == 3


def test_many_passages_are_stored_in_few_transactions(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    really_put = store.put

    def counting(items: Sequence[Ingestible], *, collection: str) -> None:
        sizes.append(len(items))
        really_put(items, collection=collection)

    monkeypatch.setattr(store, "put", counting)
    file = passages(tmp_path / "p.jsonl", [{"id": f"p{n}", "text": f"Text {n}."} for n in range(500)])
    ingest_passages(Pipeline(store, HashingEmbedder(), SETTINGS), file, collection="c")
    assert sum(sizes) == 500
    assert len(sizes) <= 10


def test_passages_and_files_leave_one_another_alone(tmp_path: Path, store: Store, pipeline: Pipeline) -> None:
    folder = tmp_path / "shelf"
    write(folder, {"a.txt": "A file."})
    file = passages(folder / "p.jsonl", [{"id": "p1", "text": "A passage."}])
    ingest_passages(pipeline, file, collection="c")
    report = pipeline.ingest([folder], collection="c", sync=True)
    assert statuses(report) == {"a.txt": "added", "p.jsonl": "added"}
    assert set(store.sources(collection="c")) == {"p1", "a.txt", "p.jsonl"}


def test_a_file_of_passages_that_is_not_there_or_no_file_says_so(tmp_path: Path, pipeline: Pipeline) -> None:
    with pytest.raises(MissingPath):
        ingest_passages(pipeline, tmp_path / "nothing.jsonl", collection="c")
    with pytest.raises(NotRegularFile):
        ingest_passages(pipeline, tmp_path, collection="c")


# --- words for people


def test_a_report_reads_as_one_line_a_file_and_their_sum() -> None:
    files = (
        FileReport(path="a.pdf", status="added", n_chunks=1200, seconds=3.25, notes=("no outline",)),
        FileReport.failure("two\nlines.txt", EmptyFile("has no bytes", where="two\nlines.txt")),
        FileReport(path="old.txt", status="removed"),
    )  # fmt: skip
    first, second, third, last = format_report(IngestReport(files=files, seconds=75)).splitlines()
    assert first.split() == ["added", "a.pdf", "1,200", "chunks", "3.2", "s", "no", "outline"]
    assert second.split(maxsplit=2) == ["failed", "two\\nlines.txt", "has no bytes."]
    assert third.split() == ["removed", "old.txt"]
    assert last == "1 added, 1 removed, 1 failed; 1,200 chunks in 1 min 15 s"


def test_chinese_names_keep_the_columns_in_line() -> None:
    plain, chinese = (
        format_line(FileReport(path=path, status="added", n_chunks=3)) for path in ("abcd.txt", "手册.txt")
    )
    assert len(plain) == len(chinese) + 2
    assert plain.split()[2:] == chinese.split()[2:]


def test_a_report_as_json_says_everything(pipeline: Pipeline, folder: Path) -> None:
    write(folder, {"empty.txt": ""})
    plain = json.loads(json.dumps(pipeline.ingest([folder], collection="c").to_json()))
    assert plain["exit_code"] == 3
    assert plain["counts"]["added"] == 3
    assert {file["path"]: file.get("error_code") for file in plain["files"]} == {
        "a.md": None, "b.txt": None, "sub/c.txt": None, "empty.txt": "empty_file",
    }  # fmt: skip


def test_progress_reads_as_a_line() -> None:
    progress = Progress(
        files_done=3, files_total=1200, bytes_done=1, bytes_total=2, chunks_done=40, scanned=False,
        seconds_elapsed=2.0, chunks_per_second=20.0, seconds_left=None,
    )  # fmt: skip
    assert format_progress(progress) == "3/1,200+ files, 40 chunks, 20.0/s"


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "0 s"), (59.4, "59 s"), (200, "3 min 20 s"), (7505, "2 h 05 min")])
def test_a_duration_is_said_as_people_do(seconds: float, said: str) -> None:
    assert format_seconds(seconds) == said
