"""The store: one truth, one writer, many readers, nothing lost and nothing left behind."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from core.errors import (
    DiskFull,
    EmbedderMismatch,
    StoreDamaged,
    StoreError,
    StoreLocked,
    StoreTooNew,
    UnknownCollection,
    UnknownSource,
)
from core.interfaces import DocumentStore, Ingestible
from indexes.schema import DATABASE, MIGRATIONS
from indexes.snapshots import Snapshots
from indexes.store import Store
from tests.small_store import DIMENSION, ingestible, open_writer

ROOT = Path(__file__).resolve().parent.parent


def _run(code: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _damage(data_dir: Path, statement: str) -> None:
    connection = sqlite3.connect(data_dir / DATABASE)
    connection.execute(statement)
    connection.commit()
    connection.close()


def test_what_was_put_is_read_back_as_it_was(tmp_path: Path) -> None:
    item = ingestible("a/b.pdf", "First words.", "第二段。", context="Title", locators=[{"page": 2}, {"sheet": "S"}])
    with open_writer(tmp_path) as writer:
        writer.put([item], collection="default")
    reader = Store.open(tmp_path, writer=False)
    source = reader.source_by_path("a/b.pdf", collection="default")
    assert reader.document_text(source.source_id) == item.document.text
    assert reader.chunks(source.source_id) == list(item.chunks)
    assert (source.n_chunks, source.sha256, source.location) == (2, item.document.source.sha256, "/files/a/b.pdf")
    assert reader.source(source.source_id) == source
    assert reader.verify() == []


def test_the_store_is_what_ingestion_asks_for(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        store: DocumentStore = writer
        assert store.sources(collection="default") == {}
        store.put([ingestible("a.txt", "words")], collection="default")
        store.refresh("a.txt", collection="default", location="/moved/a.txt", modified=9.0)
        kept = store.sources(collection="default")["a.txt"]
        assert (kept.location, kept.modified) == ("/moved/a.txt", 9.0)
        assert store.delete("a.txt", collection="default")
        assert not store.delete("a.txt", collection="default")
        assert not store.delete("a.txt", collection="nowhere")


def test_a_changed_file_replaces_its_old_chunks_and_no_id_comes_back(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        seen: set[int] = set()
        for version in range(4):
            writer.put([ingestible("a.txt", f"version {version}", "same tail")], collection="default")
            ids = {row[0] for row in writer.since(change=0, last_chunk=0).added}
            assert len(ids) == 2
            assert not ids & seen
            seen |= ids
        writer.delete("a.txt", collection="default")
        writer.put([ingestible("b.txt", "new")], collection="default")
        assert not {row[0] for row in writer.since(change=0, last_chunk=0).added} & seen
        assert [c.n_chunks for c in writer.collections()] == [1]


def test_the_same_file_lives_in_two_collections(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        for collection in ("one", "two"):
            writer.put([ingestible("a.txt", "words", collection=collection)], collection=collection)
        assert writer.delete_collection("one")
        assert not writer.delete_collection("one")
        assert [(c.name, c.n_sources) for c in writer.collections()] == [("two", 1)]
        assert writer.verify() == []


def test_names_and_texts_that_are_no_valid_unicode_are_kept(tmp_path: Path) -> None:
    path, words = "caf\udce9\n.txt", "torn \ud83d and \x00 nul"
    with open_writer(tmp_path) as writer:
        writer.put([ingestible(path, words)], collection="default")
        assert list(writer.sources(collection="default")) == [path]
        source = writer.source_by_path(path, collection="default")
        assert writer.document_text(source.source_id) == words
        assert writer.chunks(source.source_id)[0].text == words
        assert writer.verify() == []
        assert writer.delete(path, collection="default")


def test_a_second_writer_is_told_who_writes(tmp_path: Path) -> None:
    code = """
        import sys, time
        from pathlib import Path
        from indexes.store import Store
        store = Store.open(Path(sys.argv[1]), writer=True)
        print("open", flush=True)
        time.sleep(60)
    """
    other = _run(code, str(tmp_path))
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StoreLocked, match=f"process {other.pid} writes"):
            Store.open(tmp_path, writer=True)
        assert Store.open(tmp_path, writer=False).collections() == []
    finally:
        other.kill()
        other.communicate()
    with Store.open(tmp_path, writer=True) as writer:  # what the killed process left is no obstacle
        assert writer.writes


def test_a_second_writer_in_one_process_is_refused_until_the_first_closes(tmp_path: Path) -> None:
    with (
        Store.open(tmp_path, writer=True),
        pytest.raises(StoreLocked, match="this process"),
    ):
        Store.open(tmp_path, writer=True)
    Store.open(tmp_path, writer=True).close()


def test_a_child_that_outlives_its_killed_parent_does_not_keep_the_lock(tmp_path: Path) -> None:
    code = """
        import os, signal, sys, time
        from pathlib import Path
        from indexes.store import Store
        store = Store.open(Path(sys.argv[1]), writer=True)
        if os.fork() == 0:
            print(os.getpid(), flush=True)
            time.sleep(60)
        signal.pause()
    """
    parent = _run(code, str(tmp_path))
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        with pytest.raises(StoreLocked, match=f"process {parent.pid} "):
            Store.open(tmp_path, writer=True)
        parent.kill()
        parent.wait()
        Store.open(tmp_path, writer=True).close()
    finally:
        os.kill(child, signal.SIGKILL)
        parent.communicate()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    open_writer(tmp_path).close()
    reader = Store.open(tmp_path, writer=False)
    with pytest.raises(StoreLocked, match="opened for reading"):
        reader.put([ingestible("a.txt", "words")], collection="default")
    with pytest.raises(StoreLocked, match="opened for reading"):
        reader.delete("a.txt", collection="default")


def test_a_reader_sees_what_another_process_commits(tmp_path: Path) -> None:
    open_writer(tmp_path).close()
    reader = Store.open(tmp_path, writer=False)
    snapshots = Snapshots(reader)
    assert len(snapshots.current().ids) == 0
    code = """
        import sys
        from pathlib import Path
        from tests.small_store import ingestible, open_writer
        with open_writer(Path(sys.argv[1])) as writer:
            for i in range(3):
                writer.put([ingestible(f"{i}.txt", "words")], collection="default")
            writer.delete("1.txt", collection="default")
    """
    other = _run(code, str(tmp_path))
    _, said = other.communicate(timeout=60)
    assert other.returncode == 0, said
    assert list(reader.sources(collection="default")) == ["0.txt", "2.txt"]
    assert int(snapshots.current().alive.sum()) == 2


def test_killed_while_putting_the_store_keeps_what_was_acknowledged_and_verifies_clean(tmp_path: Path) -> None:
    code = """
        import sys
        from pathlib import Path
        from tests.small_store import ingestible, open_writer
        writer = open_writer(Path(sys.argv[1]))
        round = sys.argv[2]
        for i in range(10_000):
            words = [f"round {round} document {i} paragraph {j} " + "filler " * 50 for j in range(20)]
            writer.put([ingestible(f"{round}/{i}.txt", *words)], collection="default")
            print(i, flush=True)
    """
    acknowledged: set[str] = set()
    for attempt in range(4):
        child = _run(code, str(tmp_path), str(attempt))
        assert child.stdout is not None
        for _ in range(3 + attempt):
            acknowledged.add(f"{attempt}/{int(child.stdout.readline())}.txt")
        time.sleep(0.003 * attempt)  # somewhere within the next put
        child.send_signal(signal.SIGKILL)
        rest, _ = child.communicate()
        acknowledged |= {f"{attempt}/{line}.txt" for line in rest.split() if line.isdigit()}
    with Store.open(tmp_path, writer=True) as writer:
        assert acknowledged <= set(writer.sources(collection="default"))
        assert writer.verify() == []


def test_a_full_disk_undoes_the_whole_put_and_says_so(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.put([ingestible("kept.txt", "kept words")], collection="default")
        connection = writer._write_connection()
        connection.execute(f"PRAGMA max_page_count = {connection.pragma('page_count') + 2}")
        items = [ingestible(f"{i}.txt", *(f"{i} {j} {os.urandom(400).hex()}" for j in range(20))) for i in range(5)]
        with pytest.raises(DiskFull, match="nothing of this change was stored"):
            writer.put(items, collection="default")
        assert list(writer.sources(collection="default")) == ["kept.txt"]
        assert writer.verify() == []
        connection.execute("PRAGMA max_page_count = 1000000")
        writer.put(items, collection="default")
        assert len(writer.sources(collection="default")) == 6


def test_a_disk_too_full_for_the_index_files_loses_no_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("indexes.store.REPLAYED_CHUNKS", 1)
    (tmp_path / "index").write_text("a file where the folder should be")
    with open_writer(tmp_path) as writer:
        writer.put([ingestible("a.txt", "one", "two", "three")], collection="default")
        assert len(Snapshots(writer).current().ids) == 3
    assert "index files were not written" in caplog.text


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda item: _with(item, vectors=item.vectors[:1]), "vectors are"),
        (lambda item: _with(item, vectors=item.vectors * 2), "unit norm"),
        (lambda item: _with(item, vectors=np.full_like(item.vectors, np.nan)), "unit norm"),
        (
            lambda item: _with(item, chunks=item.chunks[::-1], document=ingestible("a.txt", "x").document),
            "another source",
        ),
    ],
)
def test_chunks_and_vectors_that_do_not_belong_together_are_refused(
    tmp_path: Path, broken: object, message: str
) -> None:
    assert callable(broken)
    with open_writer(tmp_path) as writer:
        with pytest.raises(ValueError, match=message):
            writer.put([broken(ingestible("a.txt", "one", "two"))], collection="default")
        assert writer.sources(collection="default") == {}


def _with(item: Ingestible, **changes: object) -> Ingestible:
    from dataclasses import replace

    return replace(item, **changes)  # type: ignore[arg-type]


def test_vectors_of_another_embedder_are_refused_until_the_store_is_empty(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.use_embedder(fingerprint="other", dimension=8)
        writer.use_embedder(fingerprint="hashing-64", dimension=DIMENSION)
        writer.put([ingestible("a.txt", "words")], collection="default")
        with pytest.raises(EmbedderMismatch, match="made by hashing-64, not by other"):
            writer.use_embedder(fingerprint="other", dimension=8)
        writer.delete("a.txt", collection="default")
        writer.use_embedder(fingerprint="other", dimension=8)


def test_no_embedder_no_put(tmp_path: Path) -> None:
    with Store.open(tmp_path, writer=True) as writer, pytest.raises(EmbedderMismatch):
        writer.put([ingestible("a.txt", "words")], collection="default")


def test_a_newer_database_and_another_programs_are_left_alone(tmp_path: Path) -> None:
    newer, other = tmp_path / "newer", tmp_path / "other"
    Store.open(newer, writer=True).close()
    _damage(newer, f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    other.mkdir()
    _damage(other, "PRAGMA application_id = 77")
    for writer in (True, False):
        with pytest.raises(StoreTooNew, match="newer Citadel"):
            Store.open(newer, writer=writer)
        with pytest.raises(StoreDamaged, match="another program"):
            Store.open(other, writer=writer)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"no database at all, but long enough to be read as a header" * 20)
    with pytest.raises(StoreDamaged, match=DATABASE):
        Store.open(tmp_path, writer=False)


def test_a_data_directory_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for writer in (True, False):
        with pytest.raises(StoreError):
            Store.open(tmp_path / "file" / "data", writer=writer)


def test_a_missing_source_or_collection_is_named(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.create_collection("contracts")
        writer.create_collection("contracts")
        with pytest.raises(UnknownCollection, match="nearest is contracts"):
            writer.source_by_path("a.txt", collection="contract")
        with pytest.raises(UnknownSource, match=r"a\.txt"):
            writer.source_by_path("a.txt", collection="contracts")
        with pytest.raises(UnknownSource):
            writer.document_text("0" * 32)
        with pytest.raises(UnknownSource):
            writer.source("0" * 32)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE chunks SET text = 'forged' WHERE id = 1", "is not the text at"),
        ("UPDATE chunks SET chunk_id = 'forged' WHERE id = 1", "an id that is not its content's"),
        ("UPDATE vectors SET vector = x'00' WHERE chunk = 1", "dimensions"),
        ("UPDATE vectors SET vector = zeroblob(128) WHERE chunk = 1", "norm"),
        ("DELETE FROM vectors WHERE chunk = 1", "have no row"),
        ("UPDATE fulltext SET counts = x'09' WHERE chunk = 1", "full-text row"),
        ("DELETE FROM fulltext WHERE chunk = 1", "have no row"),
        ("DELETE FROM chunks WHERE id = 2", "has 1 chunks, not 2"),
        ("UPDATE texts SET text = x'00'", "cannot be read"),
        ("DELETE FROM texts", "have no text"),
        ("UPDATE chunks SET source = 99 WHERE id = 1", "belongs to a row of sources"),
        ("UPDATE generations SET dense_sha256 = 'forged'", "is not the file that was written"),
    ],
)
def test_verify_finds_what_was_tampered_with(tmp_path: Path, statement: str, said: str) -> None:
    with open_writer(tmp_path) as writer:
        writer.put([ingestible("a.txt", "words and more", "tail")], collection="default")
        writer.rebuild()
        assert writer.verify() == []
    _damage(tmp_path, statement)
    problems = Store.open(tmp_path, writer=False).verify()
    assert any(said in problem.what for problem in problems), problems


def test_rebuild_mends_full_text_rows_and_index_files_without_embedding(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        writer.put([ingestible("a.txt", "words and more", "tail")], collection="default")
        writer.rebuild()
        _damage(tmp_path, "DELETE FROM fulltext")
        next((tmp_path / "index").glob("*.faiss")).write_bytes(b"")
        assert writer.verify()
        assert writer.rebuild() == 2
        assert writer.verify() == []
        assert len(Snapshots(writer).current().segments) == 1


def test_purge_leaves_no_byte_of_what_was_deleted(tmp_path: Path) -> None:
    secret = "xylophonequartz"
    with open_writer(tmp_path) as writer:
        writer.put([ingestible("kept.txt", "kept words")], collection="default")
        for i in range(20):
            writer.put([ingestible(f"{secret}-{i}.txt", f"{secret} paragraph {i} " * 30)], collection="default")
        vector = ingestible("x", f"{secret} paragraph 7 " * 30).vectors[0].astype("<f2").tobytes()
        writer.rebuild()
        assert _files_with(tmp_path, secret.encode())
        assert _files_with(tmp_path, vector)
        for i in range(20):
            writer.delete(f"{secret}-{i}.txt", collection="default")
        reader = Store.open(tmp_path, writer=False)
        assert list(reader.sources(collection="default")) == ["kept.txt"]
        writer.purge()
        assert _files_with(tmp_path, secret.encode()) == []
        assert _files_with(tmp_path, vector) == []
        assert _files_with(tmp_path, vector[:64]) == []
        assert list(reader.sources(collection="default")) == ["kept.txt"]
        assert writer.verify() == []


def _files_with(folder: Path, needle: bytes) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and needle in path.read_bytes()]


def test_threads_read_and_write_at_once_without_a_torn_view(tmp_path: Path) -> None:
    writer = open_writer(tmp_path)
    snapshots = Snapshots(Store.open(tmp_path, writer=False))
    failures: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                snapshot = snapshots.current()
                assert int(snapshot.alive.sum()) % 3 == 0, "a document was seen in part"
                assert len(snapshot.ids) == len(snapshot.alive) == len(snapshot.n_terms)
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for i in range(40):
        writer.put([ingestible(f"{i % 10}.txt", f"one {i}", f"two {i}", f"three {i}")], collection="default")
        if i % 7 == 3:
            writer.delete(f"{i % 10}.txt", collection="default")
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert int(snapshots.current().alive.sum()) == 3 * len(writer.sources(collection="default"))
    writer.close()
