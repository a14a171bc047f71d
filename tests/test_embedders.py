"""Embedders, on a real e5 of two layers that is packed here as the published one is."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BackendUnavailable, CitadelError, ModelDamaged, ModelMissing, ModelUnfit
from core.settings import EmbedderSettings
from llm import e5, registry
from llm.embedders import ENGINES, Embedder, calibration, open_embedder, prepare_embedder, references
from llm.embedders.base import BATCH_ROWS, LENGTH_STEP, batches, padded
from llm.embedders.int8 import map_words
from tests.small_e5 import HIDDEN, PIECES, pack

TEXTS = [
    "hello world",
    "你好，世界",
    "the pump " * 30,
    "a",
    "锅炉 the valve\nhello",
    "",
    "世界和平 " * 12,
    "b c d",
    "q",
    "x y",
]


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(tmp_path_factory.mktemp("e5") / "tiny-e5.bin")


@pytest.fixture(scope="module")
def prepared(packed: Path) -> Iterator[Path]:
    """A models folder with the tiny model unpacked and its int8 graph made, as set-up leaves it."""
    known = registry.KnownModel(
        origin=f"file:{packed}",
        sha256=registry.sha256_of(packed),
        size_bytes=packed.stat().st_size,
        licence="none",
        about="tiny",
    )
    registry.MODELS["tiny-e5"] = known
    models_dir = packed.parent / "models"
    prepare_embedder(settings(), models_dir)
    yield models_dir
    del registry.MODELS["tiny-e5"]


@pytest.fixture
def models(prepared: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(prepared, tmp_path / "models"))


@pytest.fixture(scope="module", params=ENGINES)
def embedder(request: pytest.FixtureRequest, prepared: Path) -> Embedder:
    return open_embedder(settings(engine=request.param), prepared)


def settings(**fields: Any) -> EmbedderSettings:
    return EmbedderSettings(**{"model": "tiny-e5", "threads": 1, **fields})


def test_four_bit_blocks_unpack_as_llama_cpp_unpacks_them() -> None:
    from gguf import GGMLQuantizationType, quants

    values = np.random.default_rng(1).normal(size=(4, 64)).astype(np.float32)
    blocks = quants.quantize(values, GGMLQuantizationType.Q4_0)
    expected = quants.dequantize(blocks, GGMLQuantizationType.Q4_0)
    np.testing.assert_array_equal(e5.unpack_q4_0(blocks.tobytes()).reshape(4, 64), expected)


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.03, 0.1, 0.5, 0.999])
def test_a_packed_file_cut_short_anywhere_is_damaged(packed: Path, tmp_path: Path, share: float) -> None:
    cut = tmp_path / "cut.bin"
    cut.write_bytes(packed.read_bytes()[: int(packed.stat().st_size * share)])
    with pytest.raises(ModelDamaged, match="fetched anew"):
        e5.read(cut)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hello world", ["▁hello", "▁world"]),
        ("hello\n\tworld", ["▁hello", "▁world"]),
        ("hel\x01lo", ["▁hello"]),
        ("  hello   world  ", ["▁hello", "▁world"]),
        ("你好～世界", ["▁", "你好", "～", "世界"]),
        ("ﬁ", ["▁", "f", "i"]),
        ("ｈｅｌｌｏ", ["▁hello"]),
        ("你好\u3000世界", ["▁", "你好", "▁", "世界"]),
    ],
)
def test_text_is_normalized_as_the_model_was_trained(packed: Path, text: str, expected: list[str]) -> None:
    assert e5.build_tokenizer(e5.read(packed)).encode(text, add_special_tokens=False).tokens == expected


def test_a_passage_stands_between_the_models_own_marks(packed: Path) -> None:
    ids = e5.build_tokenizer(e5.read(packed)).encode("hello").ids
    assert [PIECES[number] for number in ids] == ["<s>", "▁hello", "</s>"]


def test_the_folder_is_a_sentence_transformers_model_with_the_same_vectors(prepared: Path, embedder: Embedder) -> None:
    import torch
    from sentence_transformers import SentenceTransformer

    stock = SentenceTransformer(str(prepared / "tiny-e5"), device="cpu", model_kwargs={"dtype": torch.float32})
    assert stock.prompts["query"] == "query: "
    texts = [text for text in TEXTS if text]
    for prompt, found in (
        ("passage", embedder.encode_passages(texts)),
        ("query", np.stack([embedder.encode_query(text) for text in texts])),
    ):
        expected = stock.encode(texts, prompt_name=prompt)
        assert references.lowest_cosine(found, expected) > 0.98


def test_vectors_come_in_the_order_of_the_texts_and_do_not_depend_on_their_neighbours(embedder: Embedder) -> None:
    together = embedder.encode_passages(TEXTS)
    assert together.dtype == np.float32
    assert together.shape == (len(TEXTS), embedder.dimension)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    alone = np.concatenate([embedder.encode_passages([text]) for text in TEXTS])
    assert references.lowest_cosine(alone, together) > 0.995
    assert embedder.encode_passages([]).shape == (0, embedder.dimension)


def test_a_passage_longer_than_the_model_counts_up_to_its_end(embedder: Embedder) -> None:
    long = "hello world " * 400
    vectors = embedder.encode_passages([long, long + "你好 " * 50])
    assert references.lowest_cosine(vectors[:1], vectors[1:]) > 0.9999


def test_it_is_a_langchain_embedder(embedder: Embedder) -> None:
    assert np.allclose(embedder.embed_query("hello"), embedder.encode_query("hello"), atol=1e-6)
    found = embedder.embed_documents(["hello", "world"])
    assert np.allclose(found, embedder.encode_passages(["hello", "world"]), atol=1e-6)
    assert isinstance(found[0][0], float)


def test_questions_are_answered_while_passages_are_embedded(embedder: Embedder) -> None:
    passages, queries = TEXTS * 6, ["hello", "你好", "pump"] * 4
    expected = [embedder.encode_query(query) for query in queries]
    with ThreadPoolExecutor(4) as pool:
        ingest = pool.submit(embedder.encode_passages, passages)
        found = list(pool.map(embedder.encode_query, queries))
        assert references.lowest_cosine(ingest.result(), embedder.encode_passages(passages)) > 0.9999
    assert references.lowest_cosine(np.stack(found), np.stack(expected)) > 0.9999


@pytest.mark.parametrize("text", [*TEXTS, "hello world 你好\n" * 2000, "你好" * 9000, "x\u3000y ﬁ \x01 z"])
def test_token_spans_name_the_characters_of_each_token(embedder: Embedder, text: str) -> None:
    spans = embedder.token_spans(text)
    whole = embedder._tokenizer.encode(text, add_special_tokens=False)
    assert spans == whole.offsets
    assert all(0 <= start <= end <= len(text) for start, end in spans)


def test_every_engine_has_one_fingerprint_that_names_the_weights(prepared: Path) -> None:
    prints = {open_embedder(settings(engine=engine), prepared).fingerprint for engine in ENGINES}
    assert len(prints) == 1
    assert registry.MODELS["tiny-e5"].sha256[:16] in prints.pop()


def test_auto_takes_the_int8_graph(prepared: Path) -> None:
    assert open_embedder(settings(), prepared).engine == "openvino"


def test_the_int8_engine_runs_without_torch(prepared: Path) -> None:
    folder = prepared / "tiny-e5"
    script = (
        "import sys; from pathlib import Path; from core.settings import EmbedderSettings\n"
        "from llm.embedders.base import read_folder\n"
        "from llm.embedders.int8 import Int8Embedder\n"
        f"Int8Embedder(read_folder(Path({str(folder)!r}), sha256='0')).encode_query('hello')\n"
        "heavy = {'torch', 'transformers', 'sentence_transformers', 'nncf'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _turned(folder: Path) -> None:
    plain = json.loads((folder / references.FILE).read_text("utf-8"))
    plain["vectors"] = [row[1:] + row[:1] for row in plain["vectors"]]
    (folder / references.FILE).write_text(json.dumps(plain), "utf-8")


@pytest.mark.parametrize(
    ("harm", "error"),
    [
        (lambda folder: _cut(folder / "int8" / "encoder.bin"), ModelDamaged),
        (lambda folder: _cut(folder / "int8" / "encoder.xml"), ModelDamaged),
        (lambda folder: (folder / "int8" / "encoder.xml").unlink(), ModelDamaged),
        (lambda folder: (folder / references.FILE).unlink(), ModelDamaged),
        (_turned, ModelUnfit),
    ],
)
def test_an_unfit_int8_graph_gives_way_to_torch_and_says_so(
    harm: Any, error: type[CitadelError], models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    harm(models / "tiny-e5")
    with pytest.raises(error):
        open_embedder(settings(engine="openvino"), models)
    with caplog.at_level(logging.WARNING):
        assert open_embedder(settings(), models).engine == "torch"
    assert "passed over" in caplog.text


def test_without_openvino_torch_runs_the_model(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(BackendUnavailable, match="OpenVINO"):
        open_embedder(settings(engine="openvino"), models)
    assert open_embedder(settings(), models).engine == "torch"


@pytest.mark.parametrize("name", ["tokenizer.json", "config.json", "model.safetensors"])
def test_a_damaged_folder_is_a_named_error(models: Path, name: str) -> None:
    _cut(models / "tiny-e5" / name)
    with pytest.raises(ModelDamaged, match="tiny-e5"):
        open_embedder(settings(), models)


def test_an_unpacking_that_was_cut_off_is_done_again(models: Path) -> None:
    (models / "tiny-e5" / "complete.json").unlink()
    (models / "tiny-e5" / "model.safetensors").write_bytes(b"half")
    shutil.rmtree(models / "tiny-e5" / "int8")
    assert open_embedder(settings(engine="torch"), models).encode_query("hello").shape == (HIDDEN,)


def test_a_folder_of_another_model_is_opened_by_its_path(prepared: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(prepared / "tiny-e5", tmp_path / "mine", ignore=shutil.ignore_patterns("int8")))
    mine = open_embedder(settings(model=str(folder)), tmp_path)
    theirs = open_embedder(settings(engine="torch"), prepared)
    assert mine.engine == "torch"
    assert mine.fingerprint != theirs.fingerprint
    assert np.allclose(mine.encode_query("hello"), theirs.encode_query("hello"), atol=1e-5)


def test_a_model_that_is_neither_known_nor_a_folder_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="multilingual-e5-small"):
        open_embedder(settings(model="multilingual-e5-smal"), tmp_path)


def test_the_table_of_words_is_mapped_and_not_read(prepared: Path) -> None:
    words = map_words(prepared / "tiny-e5" / "model.safetensors")
    assert isinstance(words, np.memmap)
    assert words.shape == (len(PIECES) + 3, HIDDEN)


def test_batches_hold_every_row_once_longest_first() -> None:
    lengths = [5, 90, 3, 40, 40, 7, 1, 200, 8, 9, 10]
    found = list(batches(lengths))
    assert sorted(row for batch in found for row in batch) == list(range(len(lengths)))
    assert [lengths[row] for batch in found for row in batch] == sorted(lengths, reverse=True)
    assert max(map(len, found)) == BATCH_ROWS


@pytest.mark.parametrize(("longest", "length"), [(1, LENGTH_STEP), (LENGTH_STEP + 1, 2 * LENGTH_STEP), (512, 512)])
def test_lengths_are_padded_to_few_sizes(longest: int, length: int) -> None:
    ids, mask = padded([[7] * longest, [7]], limit=512)
    assert ids.shape == mask.shape == (2, length)
    assert mask.sum() == longest + 1


def test_calibration_texts_are_the_same_each_time_and_in_both_languages() -> None:
    texts = list(calibration.passages(20))
    assert texts == list(calibration.passages(20))
    assert any("的" in text for text in texts)
    assert any("the" in text for text in texts)


@pytest.mark.models
def test_the_default_model_finds_across_languages_on_every_engine(models_dir: Path) -> None:
    passages = [
        "The warranty on the pump lasts three years from the date of delivery.",
        "员工每年享有十五天带薪年假，入职满一年后可以使用。",
        "Visitors park behind building C; a ticket is handed out at the reception.",
    ]
    questions = {"How long is the pump under guarantee?": 0, "年假有多少天？": 1, "Where do guests park?": 2}
    found = {}
    for engine in ENGINES:
        embedder = open_embedder(EmbedderSettings(engine=engine, threads=2), models_dir)
        vectors = embedder.encode_passages(passages)
        found[engine] = vectors
        for question, row in questions.items():
            assert int((vectors @ embedder.encode_query(question)).argmax()) == row
    assert references.lowest_cosine(found["openvino"], found["torch"]) > 0.99
