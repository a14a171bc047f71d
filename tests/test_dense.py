"""Dense search: FAISS answers as arithmetic does, and its files are caches that are checked before use."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from core.interfaces import Vectors
from indexes import dense, generations
from indexes.segments import Snapshot, pack_vectors, unpack_vectors
from indexes.snapshots import Snapshots
from indexes.store import Store
from tests.small_store import HashingEmbedder, ingestible, open_writer


def _unit(n: int, dimension: int = 32) -> Vectors:
    vectors = np.random.default_rng(7).normal(size=(n, dimension)).astype(np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _filled(data_dir: Path, n: int = 6) -> Store:
    writer = open_writer(data_dir)
    for i in range(n):
        writer.put([ingestible(f"{i}.txt", f"common words and number {i}", f"tail {i}")], collection="default")
    return writer


def _answers(snapshot: Snapshot, query: str) -> list[tuple[int, float]]:
    vector = HashingEmbedder().encode_query(query)
    slots = snapshot.nearest(vector, k=5, allowed=snapshot.alive)
    return [
        (int(snapshot.ids[s]), round(float(c), 5)) for s, c in zip(slots, snapshot.cosines(vector, slots), strict=True)
    ]


def test_the_nearest_are_those_that_arithmetic_finds_and_ids_are_the_chunks_own() -> None:
    vectors, query = _unit(200), _unit(1)[0]
    ids = np.arange(200, dtype=np.int64) * 3 + 11
    found, cosines = dense.search(dense.build(ids, vectors), query, k=10)
    best = np.argsort(-(vectors @ query))[:10]
    assert found.tolist() == ids[best].tolist()
    assert np.allclose(cosines, (vectors @ query)[best], atol=1e-6)


def test_a_selector_confines_the_search_and_starves_nothing() -> None:
    vectors, query = _unit(200), _unit(1)[0]
    ids = np.arange(1, 201, dtype=np.int64)
    worst = np.argsort(vectors @ query)[:7]
    found, _ = dense.search(dense.build(ids, vectors), query, k=50, only=dense.selector(ids[worst]))
    assert sorted(found.tolist()) == sorted(ids[worst].tolist())


def test_a_large_index_is_clustered_and_finds_nearly_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    centres = _unit(40)
    noise = np.random.default_rng(3).normal(size=(4000, 32)).astype(np.float32) * 0.05
    vectors = np.repeat(centres, 100, axis=0) + noise
    vectors = np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)
    ids = np.arange(1, 4001, dtype=np.int64)
    exact = dense.build(ids, vectors)
    monkeypatch.setattr(dense, "EXACT_UP_TO", 1000)
    clustered = dense.build(ids, vectors)
    shared = 0
    for query in vectors[::200]:
        wanted, _ = dense.search(exact, query, k=10)
        found, _ = dense.search(clustered, query, k=10)
        shared += len(set(wanted.tolist()) & set(found.tolist()))
    assert shared >= 0.9 * 10 * len(vectors[::200])
    only, _ = dense.search(clustered, vectors[0], k=5, only=dense.selector(ids[:2]))
    assert only.tolist() == [1, 2] or only.tolist() == [2, 1]
    assert np.allclose(dense.vectors_of(clustered, ids[5:7]), vectors[5:7])


def test_an_empty_index_finds_nothing() -> None:
    found, cosines = dense.search(dense.build(np.empty(0, np.int64), np.empty((0, 8), np.float32)), _unit(1, 8)[0], k=5)
    assert len(found) == len(cosines) == 0


def test_stored_vectors_come_back_as_unit_vectors_that_rank_the_same() -> None:
    vectors = _unit(50, 384)
    again = unpack_vectors(b"".join(pack_vectors(vectors)), dimension=384)
    assert again.dtype == np.float32
    assert np.allclose(np.linalg.norm(again, axis=1), 1, atol=1e-6)
    assert float(np.abs(again @ vectors.T - vectors @ vectors.T).max()) < 5e-4


def test_index_files_give_the_answers_that_the_rows_give(tmp_path: Path) -> None:
    with _filled(tmp_path) as writer:
        from_rows = _answers(Snapshots(writer).current(), "number 3")
        writer.rebuild()
        snapshot = Snapshots(writer).current()
        assert len(snapshot.segments) == 1
        assert _answers(snapshot, "number 3") == from_rows
        writer.put([ingestible("new.txt", "number 3 number 3")], collection="default")
        writer.delete("3.txt", collection="default")
        replayed = Snapshots(writer).current()
        assert len(replayed.segments) == 2
        writer.rebuild()
        assert _answers(replayed, "number 3") == _answers(Snapshots(writer).current(), "number 3")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _tamper(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("harm", [_truncate, _tamper, Path.unlink, lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("suffix", ["faiss", "npz"])
def test_a_harmed_index_file_is_not_used_and_the_rows_answer(
    tmp_path: Path, suffix: str, harm: object, caplog: pytest.LogCaptureFixture
) -> None:
    assert callable(harm)
    with _filled(tmp_path) as writer:
        writer.rebuild()
        wanted = _answers(Snapshots(writer).current(), "number 3")
        harm(next((tmp_path / "index").glob(f"*.{suffix}")))
        with caplog.at_level(logging.WARNING):
            assert _answers(Snapshots(writer).current(), "number 3") == wanted
        assert "is not used" in caplog.text
        assert any("index generation" in problem.where for problem in writer.verify())
        writer.rebuild()
        assert writer.verify() == []


def test_index_files_of_another_embedder_are_not_used(tmp_path: Path) -> None:
    with _filled(tmp_path) as writer:
        writer.rebuild()
        generation = writer.generations()[0]
        assert generations.load(tmp_path, generation, dimension=64, embedder="hashing-64") is not None
        assert generations.load(tmp_path, generation, dimension=64, embedder="another") is None
        assert generations.load(tmp_path, generation, dimension=32, embedder="hashing-64") is None


def test_the_writer_indexes_what_is_new_and_keeps_two_generations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexes.store.REPLAYED_CHUNKS", 3)
    with _filled(tmp_path, n=12) as writer:
        held = [generation.n for generation in writer.generations()]
        assert len(held) == 2
        names = {path.name for path in (tmp_path / "index").iterdir()}
        assert names == {f"idx-{n}.{suffix}" for n in held for suffix in ("faiss", "npz")}
    after_closing = Store.open(tmp_path, writer=False)
    assert after_closing.generations()[0].n_chunks == 24
    assert len(Snapshots(after_closing).current().segments) == 1


def test_half_written_index_files_are_cleared_away(tmp_path: Path) -> None:
    with _filled(tmp_path) as writer:
        (tmp_path / "index").mkdir()
        (tmp_path / "index" / "idx-9.faiss.tmp").write_bytes(b"torn")
        (tmp_path / "index" / "idx-8.npz").write_bytes(b"never entered in the manifest")
        (tmp_path / "index" / "notes.txt").write_bytes(b"not ours")
        writer.rebuild()
        assert {path.name for path in (tmp_path / "index").iterdir()} == {"idx-1.faiss", "idx-1.npz", "notes.txt"}


def test_a_long_lived_reader_keeps_few_segments_and_takes_up_new_index_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = open_writer(tmp_path)
    snapshots = Snapshots(Store.open(tmp_path, writer=False))
    for i in range(30):
        writer.put([ingestible(f"{i}.txt", f"number {i}")], collection="default")
        if i == 15:
            writer._index()
        snapshot = snapshots.current()
        assert int(snapshot.alive.sum()) == i + 1
        assert len(snapshot.segments) <= 8
        assert np.all(np.diff(snapshot.ids) > 0)
    assert len(snapshots.current().segments[0].ids) >= 16
    writer.close()


def test_equals_are_cut_by_age_not_by_chance() -> None:
    vectors = np.repeat(_unit(2), 40, axis=0)
    ids = np.arange(1, 81, dtype=np.int64)
    found, _ = dense.search(dense.build(ids, vectors), vectors[0], k=3)
    again, _ = dense.search(dense.build(ids[::-1], vectors[::-1]), vectors[0], k=3)
    assert found.tolist() == again.tolist() == [1, 2, 3]
