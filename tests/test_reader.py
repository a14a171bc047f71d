"""The reader: what it reads, what it is trained on, that training learns, resumes and stops, and how it is kept."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from langchain_core.documents import Document
from tokenizers import Tokenizer

from app.condense import behind
from app.model_commands import main
from core.errors import (
    InvalidSetting,
    MalformedInput,
    MissingPath,
    ModelDamaged,
    ModelMissing,
    ModelUnfit,
    TrainingDiverged,
)
from core.records import Message
from core.settings import EmbedderSettings, ReaderSettings
from llm import registry
from llm.embedders import prepare_embedder
from llm.embedders.base import read_tokenizer
from llm.embedders.int8 import map_words
from llm.reader import Reader, load_network, open_reader, references
from llm.reader.compressor import ReaderCompressor
from llm.reader.exporting import export
from llm.reader.mixing import Mix, Part, known_of, mixed, parts_of
from llm.reader.network import ReaderNetwork, from_embedder
from llm.reader.pairs import (
    Known,
    Pair,
    altered,
    altered_question,
    elsewhere,
    holding,
    lacking,
    read_pairs,
    supported,
    window_around,
    write_pairs,
)
from llm.reader.serving import TorchReader, WindowReading
from llm.reader.training import (
    CHECKPOINT,
    LOG,
    Recipe,
    Trainer,
    batch_of,
    best_span,
    draw,
    features_of,
    judge_on,
    loss_of,
    roc_area,
)
from llm.reader.weights import MANIFEST, WEIGHTS, read_manifest
from llm.reader.windows import END, WINDOW_TOKENS, Framer, runs, segments
from llm.training.records import Passage, Record
from tests.small_e5 import pack

PASSAGE = "The pump was built in 1954. It weighs 40 kg and stands in the yard. The valve is red. Nobody knows why."
KNOWN = Known(
    question="When was the pump built in 1954?",
    context="Pump",
    passage=PASSAGE,
    spans=((22, 26),),
    negatives=(("Mill", "The mill was built in 1954."), ("Dam", "The dam holds water. It is old and grey.")),
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A models folder with a tiny embedder, known to the registry."""
    packed = pack(tmp_path_factory.mktemp("e5") / "tiny-e5.bin")
    registry.MODELS["tiny-e5"] = registry.KnownModel(
        origin=f"file:{packed}",
        sha256=registry.sha256_of(packed),
        size_bytes=packed.stat().st_size,
        licence="none",
        about="tiny",
    )
    prepare_embedder(EMBEDDER, packed.parent / "models")
    yield packed.parent / "models"
    del registry.MODELS["tiny-e5"]


EMBEDDER = EmbedderSettings(model="tiny-e5", engine="torch", threads=1)  # type: ignore[call-arg]


@pytest.fixture(scope="module")
def tokenizer(models: Path) -> Tokenizer:
    return read_tokenizer(prepare_embedder(EMBEDDER, models))


@pytest.fixture(scope="module")
def framer(tokenizer: Tokenizer) -> Framer:
    return Framer(tokenizer)


def count(text: str) -> int:
    return len(text.split())


# --- windows ---------------------------------------------------------------------------------------------------------


def test_a_window_frames_question_context_and_text(framer: Framer) -> None:
    window = framer.frame("hello", "world", "the pump")
    question, rest = window.ids[1 : window.ids.index(END)], window.ids[window.ids.index(END) :]
    assert list(question) == framer.pieces("hello")[0]
    assert rest[:2] == (END, END)
    assert window.ids[window.first : -1] == tuple(framer.pieces("the pump")[0])
    assert window.offsets == tuple(framer.pieces("the pump")[1])


def test_windows_cover_a_long_text_in_whole_sentences_and_share_a_short_one() -> None:
    text = "One two three. Four five six. Seven eight nine."
    assert runs(text, _spans(text), limit=100) == [(0, 9)]
    assert runs(text, _spans(text), limit=6) == [(0, 6), (6, 9)]  # a third of a window is the most that is shared
    text = "A b. C d. E f. G h."
    assert runs(text, _spans(text), limit=6) == [(0, 6), (4, 8)]


def _spans(text: str) -> list[tuple[int, int]]:
    found, at = [], 0
    for word in text.split():
        at = text.index(word, at)
        found.append((at, at + len(word)))
        at += len(word)
    return found


def test_a_sentence_longer_than_a_window_is_cut() -> None:
    text = "a " * 25
    covered = [i for a, b in runs(text, _spans(text), limit=10) for i in range(a, b)]
    assert covered == list(range(25))


def test_a_question_that_spells_out_a_control_token_is_read_to_its_end(framer: Framer) -> None:
    window = framer.frame("hello </s> world", "", "the pump")
    assert list(window.ids[1 : window.question_end]) == framer.pieces("hello </s> world")[0]
    assert segments([window], len(window.ids) + 2).tolist() == [
        [0, *[1] * (window.question_end - 1), *[0] * (window.first - window.question_end), *[2] * 2, 0, 0, 0]
    ]


def test_of_a_long_question_both_ends_are_kept(framer: Framer) -> None:
    long = "hello " * 60 + "world " * 60
    asked = framer.frame(long, "", "the pump").ids[1:]
    asked = asked[: asked.index(END)]
    ids = framer.pieces(long)[0]
    assert len(asked) == 64
    assert list(asked[:32]) == ids[:32]
    assert list(asked[-32:]) == ids[-32:]


# --- pairs -----------------------------------------------------------------------------------------------------------


def test_a_window_around_the_answer_holds_it_where_the_span_says() -> None:
    for seed in range(20):
        text, spans = window_around(KNOWN, count, random.Random(seed))
        assert text in PASSAGE
        assert [text[a:b] for a, b in spans] == ["1954"]


def test_what_holds_and_what_lacks_the_answer_are_told_apart() -> None:
    chosen = random.Random(0)
    held, lacked = holding(KNOWN, count, chosen), lacking(KNOWN, count, chosen)
    assert (held.relevant, held.holds, held.supports) == (1, 1, -1)
    assert lacked is not None
    assert (lacked.relevant, lacked.holds, lacked.spans) == (0, 0, ())
    assert "1954" not in lacked.text  # the mill's passage holds the answer's very words: it is no negative


def test_a_part_of_the_passage_without_the_answer_does_not_hold_it() -> None:
    long = " ".join(f"Sentence number {i} tells of gears and wheels." for i in range(20))
    known = Known(question="When?", context="", passage=f"It was built in 1954. {long}", spans=((16, 20),))
    found = elsewhere(known, count, random.Random(0))
    assert found is not None
    assert found.holds == 0
    assert "1954" not in found.text


def test_half_the_windows_are_as_long_as_what_is_read_when_serving() -> None:
    passage = " ".join(f"Sentence number {i} tells of gears." for i in range(60)) + " It was built in 1954."
    known = Known(question="When?", context="", passage=passage, spans=((len(passage) - 5, len(passage) - 1),))
    lengths = [count(holding(known, count, random.Random(seed)).text) for seed in range(200)]
    assert max(lengths) <= WINDOW_TOKENS
    assert 80 <= sum(length > WINDOW_TOKENS - 10 for length in lengths) <= 130


def part(i: int) -> Passage:
    return Passage(text=f"Part {i}\n\nGear {i} was made in {1950 + i}.", title="Gears")


def asked_of(i: int) -> Record:
    passage = replace(part(i), spans=((len(part(i).text) - 5, len(part(i).text) - 1),))
    others = tuple(part(j) for j in range(6) if j != i)
    return Record(
        id=f"gears#{i}", question=f"when was gear {i} made", language="en", kind="number", answer=str(1950 + i),
        passages=(passage,), distractors=others, place=i,
    )  # fmt: skip


def made_known(
    record: Record, rivals: Sequence[Passage], *, parts: Mapping[tuple[str, str], Part] | None = None, seed: int = 0
) -> Known | None:
    return known_of(
        record, rivals, dress=lambda p: p.title, parts=parts or {}, stand=behind, chosen=random.Random(seed)
    )


def test_a_part_of_a_document_is_read_with_its_neighbours_as_search_joins_them() -> None:
    records = [asked_of(i) for i in range(6)]
    parts, read = parts_of(records), set()
    for seed in range(60):
        known = known_of(
            records[2], [part(5)], dress=lambda p: p.title, parts=parts, stand=behind, chosen=random.Random(seed)
        )
        assert known is not None
        assert [known.passage[a:b] for a, b in known.spans] == ["1952"]
        read.add(known.passage)
        assert known.passage in "\n\n".join(part(i).text for i in range(5))  # in its order, two on each side at most
        assert known.negatives[0][1] in "\n\n".join(part(i).text for i in (3, 4, 5))
    assert len(read) == 9


def test_a_passage_without_a_place_in_a_document_is_read_alone() -> None:
    record = replace(asked_of(2), place=None)
    known = made_known(record, [])
    assert known is not None
    assert known.passage == part(2).text


@pytest.mark.parametrize(("folder", "n_rivals"), [("gears", 24), ("", 0)])
def test_a_near_miss_is_answered_by_nothing_in_its_folder(folder: str, n_rivals: int) -> None:
    record = replace(asked_of(2), kind="unanswerable", answerable=False, answer="", collection=folder)
    record = replace(record, passages=(part(2),))
    known = [
        known_of(record, [part(5)], dress=lambda p: p.title, parts={}, stand=behind, chosen=random.Random(seed))
        for seed in range(12)
    ]
    pairs = mixed(
        [k for k in known if k], names=[], count=count, seed=0, mix=Mix(folder_rivals=2.0, checked=0.0, altered=0.0)
    )
    assert {(pair.relevant, pair.holds) for pair in pairs} == {(-1, 0)}
    assert sum(pair.kind.endswith("rival") for pair in pairs) == n_rivals
    assert len(pairs) == n_rivals + 12


def test_an_answerable_question_of_a_folder_brings_more_rivals() -> None:
    record = replace(asked_of(2), collection="gears")
    known = made_known(record, [part(5)])
    assert known is not None
    pairs = mixed([known] * 5, names=[], count=count, seed=0, mix=Mix(rivals=1.0, folder_rivals=3.0))
    assert sum(pair.kind.endswith("rival") for pair in pairs) == 15


def test_a_follow_up_is_read_behind_what_it_follows() -> None:
    before = [
        Message(role=role, content=text)
        for asked, told in (("when was gear 1 made", "In 1951."), ("and gear 2", "In 1952."))
        for role, text in (("user", asked), ("assistant", told))
    ]
    record = replace(asked_of(3), question="and gear 3", history=tuple(before))
    known = made_known(record, [])
    assert known is not None
    assert known.question == "when was gear 1 made and gear 2 and gear 3"


@pytest.mark.parametrize("place", [-1, 6])
def test_a_place_outside_the_document_is_refused(place: int) -> None:
    with pytest.raises(ValueError, match="not among its document's 5 other parts"):
        replace(asked_of(2), place=place)


def test_an_altered_question_names_a_year_that_the_passage_does_not() -> None:
    for seed in range(10):
        question = altered_question(KNOWN, ["Mill"], random.Random(seed))
        assert question is not None
        assert question != KNOWN.question
        assert question.split()[-1].rstrip("?") not in PASSAGE
    pair = altered(KNOWN, ["Mill"], count, random.Random(0))
    assert pair is not None
    assert (pair.holds, pair.spans) == (0, ())


def test_an_altered_question_names_another_title_in_its_case() -> None:
    known = Known(
        question="who built the pump", context="Pump", passage="The pump was built by Ada.", spans=((22, 25),)
    )
    assert altered_question(known, ["Lighthouse"], random.Random(0)) == "who built the lighthouse"


def test_a_question_with_nothing_to_alter_is_left_out() -> None:
    known = Known(question="why", context="", passage="Nobody knows why.", spans=((0, 6),))
    assert altered_question(known, [], random.Random(0)) is None


def test_a_checked_answer_is_right_or_from_elsewhere_in_the_window() -> None:
    right = supported(KNOWN, count, random.Random(1), right=True)
    wrong = supported(KNOWN, lambda text: 10 if len(text) < 70 else 1000, random.Random(1), right=False)
    assert right is not None
    assert wrong is not None
    assert right.question.endswith("1954")
    assert right.supports == 1
    assert wrong.supports == 0
    assert not wrong.question.endswith(" 1954")


def test_pairs_are_read_as_they_were_written(tmp_path: Path) -> None:
    pairs = [
        holding(KNOWN, count, random.Random(0)),
        Pair(question="谁", context="", text="没有", holds=0, language="zh"),
    ]
    write_pairs(tmp_path / "pairs.jsonl", pairs)
    assert read_pairs(tmp_path / "pairs.jsonl") == pairs


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"question": "q"}', '{"question":"q","context":"","text":"t","spans":[[0,9]]}']
)
def test_a_line_that_is_no_pair_is_named_with_its_file_and_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "pairs.jsonl"
    write_pairs(path, [holding(KNOWN, count, random.Random(0))])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(MalformedInput, match=r"pairs\.jsonl:2"):
        read_pairs(path)


def test_no_file_and_no_pairs_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPath):
        read_pairs(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(MalformedInput, match="no pairs"):
        read_pairs(tmp_path / "empty.jsonl")


# --- training --------------------------------------------------------------------------------------------------------

LESSONS = [
    Pair(question=q, context="", text=t, spans=s, relevant=r, holds=r)
    for q, t, s, r in [
        ("hello", "the pump world a b c", ((4, 8),), 1),
        ("world", "a b c the pump d", ((10, 14),), 1),
        ("hello", "x y z q r s", (), 0),
        ("world", "d e f g h i", (), 0),
    ]
    for _ in range(6)
]


def test_a_pair_longer_than_the_network_reads_is_left_out(framer: Framer) -> None:
    assert features_of(framer, Pair(question="hello", context="", text="pump " * 600, relevant=0)) is None


def trainer(models: Path, framer: Framer, folder: Path, *, epochs: float = 30, **recipe: float) -> Trainer:
    network, words = from_embedder(prepare_embedder(EMBEDDER, models).path, seed=1)
    rows = [row for pair in LESSONS if (row := features_of(framer, pair))]
    settings = Recipe(
        learning_rate=2e-3,
        heads_rate=4e-3,
        batch_tokens=120,
        epochs=epochs,
        threads=1,
        **recipe,  # type: ignore[arg-type]
    )
    return Trainer(network, words, rows, recipe=settings, folder=folder, judge=judge_on(LESSONS, framer, words))


def logged(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / LOG).read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(models: Path, framer: Framer, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    done = trainer(models, framer, tmp_path_factory.mktemp("run"))
    done.run()
    return done


def test_training_learns_where_the_answer_stands_and_where_none_does(trained: Trainer) -> None:
    last = logged(trained._folder)[-1]
    assert last["done"]
    assert last["held_out"]["span_f1_en"] > 0.95  # type: ignore[index]
    assert last["held_out"]["auc_holds"] > 0.95  # type: ignore[index]


def test_the_losses_of_a_run_are_drawn(trained: Trainer) -> None:
    picture = draw(trained._folder).read_text("utf-8")
    assert picture.startswith("<svg")
    assert "<polyline" in picture


def test_a_killed_run_goes_on_to_the_very_same_weights(models: Path, framer: Framer, tmp_path: Path) -> None:
    whole = trainer(models, framer, tmp_path / "whole", epochs=2)
    whole.run()

    class Killed(Exception):
        pass

    def kill(progress: object, loss: float) -> None:
        if broken.progress.step == 5:
            broken.save()
            raise Killed

    broken = trainer(models, framer, tmp_path / "broken", epochs=2)
    with pytest.raises(Killed):
        broken.run(on_step=kill)
    resumed = trainer(models, framer, tmp_path / "broken", epochs=2)
    assert resumed.progress.step == 5
    resumed.run()
    for name, weights in whole.network.state_dict().items():
        assert torch.equal(weights, resumed.network.state_dict()[name]), name


def test_a_run_does_not_go_on_over_other_pairs_or_from_a_damaged_checkpoint(
    models: Path, framer: Framer, tmp_path: Path
) -> None:
    run = trainer(models, framer, tmp_path, epochs=2)
    run._log({"loss": 1.0})
    run.progress.step = 3  # killed after its checkpoint: the steps that are taken again are logged once
    run._log({"loss": 1.0})
    run.progress.step = 0
    run.save()
    with pytest.raises(InvalidSetting, match="other pairs"):
        trainer(models, framer, tmp_path, epochs=4)
    trainer(models, framer, tmp_path, epochs=2)
    assert [entry["step"] for entry in logged(tmp_path)] == [0]
    (tmp_path / CHECKPOINT).write_bytes(b"PK cut short")
    with pytest.raises(ModelDamaged, match=CHECKPOINT):
        trainer(models, framer, tmp_path, epochs=2)


@pytest.mark.parametrize(
    "choices", [{"epochs": 0.0}, {"minutes": -1.0}, {"frozen_layers": -1}, {"learning_rate": float("nan")}]
)
def test_a_recipe_that_would_train_nothing_is_refused(choices: dict[str, float]) -> None:
    with pytest.raises(InvalidSetting):
        Recipe(**choices)  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["--resume", "--from-checkpoint"])
def test_without_a_checkpoint_there_is_nothing_to_go_on_from(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It wrote the reader of an untrained network."""
    write_pairs(tmp_path / "pairs.jsonl", LESSONS)
    pairs = str(tmp_path / "pairs.jsonl")
    assert main(["--data", str(tmp_path), "reader", pairs, "--held-out", pairs, "--out", str(tmp_path), option]) == 2
    assert "holds no checkpoint" in capsys.readouterr().err


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_step(
    models: Path, framer: Framer, tmp_path: Path
) -> None:
    run = trainer(models, framer, tmp_path, epochs=1)
    with torch.no_grad():
        run.network.judge.weight.fill_(float("nan"))
    with pytest.raises(TrainingDiverged, match="step 0"):
        run.run()


def test_a_gradient_that_is_no_number_stops_the_run_before_the_weights_take_it(
    models: Path, framer: Framer, tmp_path: Path
) -> None:
    run = trainer(models, framer, tmp_path, epochs=1)
    run.network.span.weight.register_hook(lambda gradient: gradient * float("nan"))
    with pytest.raises(TrainingDiverged, match=r"gradient.*step 0|step 0.*gradient"):
        run.run()
    assert all(torch.isfinite(weights).all() for weights in run.network.state_dict().values())


def test_frozen_layers_stay_as_they_are_while_the_others_learn(models: Path, framer: Framer, tmp_path: Path) -> None:
    run = trainer(models, framer, tmp_path, epochs=1, frozen_layers=1)
    before = {name: weights.clone() for name, weights in run.network.state_dict().items()}
    run.run()
    changed = {name for name, weights in run.network.state_dict().items() if not torch.equal(weights, before[name])}
    assert changed
    assert not any(name.startswith("encoder.encoder.layer.0.") for name in changed)
    assert any(name.startswith(f"encoder.encoder.layer.{len(run.network.layers) - 1}.") for name in changed)


def test_time_ends_a_run_and_its_schedule(models: Path, framer: Framer, tmp_path: Path) -> None:
    run = trainer(models, framer, tmp_path, epochs=10_000, minutes=0.02)
    run.run()
    assert 0 < run.progress.step < len(run.batches)
    assert logged(tmp_path)[-1]["rate"] == 0.0


def test_the_words_and_what_is_not_asked_get_no_gradient(models: Path, framer: Framer) -> None:
    network, words = from_embedder(prepare_embedder(EMBEDDER, models).path)
    row = features_of(framer, Pair(question="hello", context="", text="the pump", supports=1))
    assert row is not None
    batch = batch_of([row])
    loss, parts = loss_of(network(words[batch.ids], batch.mask, batch.segment), batch, judgement_weight=1.0)
    loss.backward()
    assert parts["start"] == parts["end"] == parts["relevant"] == parts["holds"] == 0
    assert parts["supports"] > 0
    assert not any(parameter.requires_grad for parameter in network.encoder.embeddings.parameters())
    assert network.span.weight.grad is None or not network.span.weight.grad.any()


def test_the_best_span_is_told_against_position_zero() -> None:
    start, end = np.array([1.0, 0.0, 5.0, 0.0]), np.array([2.0, 9.0, 0.0, 4.0])
    assert best_span(start, end) == (2, 3, 6.0)


def test_roc_area_counts_ties_as_half() -> None:
    assert roc_area([(2.0, 1), (1.0, 0)]) == 1.0
    assert roc_area([(1.0, 1), (1.0, 0)]) == 0.5
    assert np.isnan(roc_area([(1.0, 1)]))


# --- keeping and serving ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(trained: Trainer, models: Path, tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained reader, written as it is shipped."""
    base = prepare_embedder(EMBEDDER, models)
    folder = tmp_path_factory.mktemp("reader")
    export(
        trained.network.eval(),
        folder,
        tokenizer=tokenizer,
        words=map_words(base.path / "model.safetensors"),
        embedder=base.path,
        embedder_sha256=base.sha256,
        recipe={"seed": 1},
    )
    return folder


def opened(kept: Path, models: Path, engine: str) -> Reader:
    settings = ReaderSettings(model=str(kept), engine=engine, threads=1)  # type: ignore[call-arg, arg-type]
    reader = open_reader(settings, EMBEDDER, models)
    assert reader is not None
    return reader


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_a_kept_reader_finds_what_it_learned_on_every_engine(kept: Path, models: Path, engine: str) -> None:
    reader = opened(kept, models, engine)
    right, wrong = reader.read("hello", [("", "the pump world a b c"), ("", "x y z q r s")])
    span = right.best()
    assert span is not None
    assert "the pump world a b c"[span.start : span.end] == "pump"
    assert right.holds > 0 > wrong.holds
    assert span.score > 0
    assert reader.engine == engine


def test_a_batch_reads_as_each_passage_alone(kept: Path, models: Path) -> None:
    reader = opened(kept, models, "torch")
    passages = [("", "the pump world a b c"), ("pump", "x y z"), ("", "a. " * 300)]
    together = reader.read("hello", passages)
    for passage, reading in zip(passages, together, strict=True):
        alone = reader.read("hello", [passage])[0]
        assert alone.holds == pytest.approx(reading.holds, abs=1e-4)
        assert len(alone.windows) == len(reading.windows)
    assert len(together[2].windows) > 1


def test_as_a_langchain_reranker_it_keeps_the_most_relevant_documents(kept: Path, models: Path) -> None:
    compressor = ReaderCompressor(reader=opened(kept, models, "torch"), top_n=1)
    documents = [Document(page_content="x y z q r s"), Document(page_content="the pump world a b c", metadata={"n": 2})]
    (best,) = compressor.compress_documents(documents, "hello")
    assert best.page_content == documents[1].page_content
    assert best.metadata["n"] == 2
    assert best.metadata["relevance"] > 0


def test_the_best_span_within_a_sentence_stays_within_it() -> None:
    reading = WindowReading(
        offsets=((0, 3), (4, 7), (8, 11)),
        start=np.array([-2.0, 1.0, 5.0], np.float32),
        end=np.array([-2.0, 2.0, 5.0], np.float32),
        nowhere=(1.0, 1.0),
        relevant=0.0,
        holds=0.0,
        supports=0.0,
    )
    whole, within = reading.best(), reading.best(0, 7)
    assert whole is not None
    assert (whole.start, whole.end, whole.score) == (8, 11, 8.0)
    assert within is not None
    assert (within.start, within.end, within.score) == (4, 7, 1.0)
    assert reading.best(20, 30) is None


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [(4.6, 4.6, (0, 11)), (4.6, -9.0, (0, 7)), (-9.0, 4.6, (4, 11)), (-9.0, -9.0, (4, 7))],
)
def test_of_spans_that_may_be_right_the_one_is_drawn_that_is_worth_most(
    first: float, last: float, expected: tuple[int, int]
) -> None:
    """An end that may well be further out is taken along, and the score stays the likeliest span's."""
    reading = WindowReading(
        offsets=((0, 3), (4, 7), (8, 11), (12, 15)),
        start=np.array([first, 5.0, -9.0, -9.0], np.float32),
        end=np.array([-9.0, 5.0, last, -9.0], np.float32),
        nowhere=(0.0, 0.0),
        relevant=0.0,
        holds=0.0,
        supports=0.0,
    )
    span = reading.best()
    assert span is not None
    assert ((span.start, span.end), span.score) == (expected, 10.0)


def test_a_long_passage_with_many_spans_is_read_in_a_moment_and_within_its_bounds() -> None:
    dice = np.random.default_rng(1)
    n = 170
    reading = WindowReading(
        offsets=tuple((4 * i, 4 * i + 3) for i in range(n)),
        start=dice.normal(size=n).astype(np.float32),
        end=dice.normal(size=n).astype(np.float32),
        nowhere=(0.0, 0.0),
        relevant=0.0,
        holds=0.0,
        supports=0.0,
    )
    for low, high in ((0, 4 * n), (100, 300), (100, 104)):
        span = reading.best(low, high)
        assert span is not None
        assert low <= span.start < span.end <= high


def test_nothing_to_read_is_read_as_nothing(kept: Path, models: Path) -> None:
    reader = opened(kept, models, "torch")
    assert reader.read("hello", []) == []
    empty = reader.read("hello", [("", "")])[0]
    assert empty.best() is None
    assert empty.holds == -np.inf


def test_weights_are_kept_in_eight_bits_and_without_the_words(kept: Path, trained: Trainer, models: Path) -> None:
    n_weights = sum(p.numel() for n, p in trained.network.named_parameters() if "embeddings" not in n)
    assert (kept / WEIGHTS).stat().st_size < 1.4 * n_weights
    network: ReaderNetwork = load_network(kept, prepare_embedder(EMBEDDER, models).path)
    for name, weights in network.state_dict().items():
        assert torch.allclose(weights, trained.network.state_dict()[name], atol=0.02), name


def test_a_reader_of_another_embedder_is_refused(kept: Path, models: Path, tmp_path: Path) -> None:
    folder = _copied(kept, tmp_path, embedder_sha256="0" * 64)
    with pytest.raises(ModelUnfit, match="another embedder"):
        opened(folder, models, "torch")


def test_a_reader_that_gives_other_numbers_than_its_references_is_refused(
    kept: Path, models: Path, tmp_path: Path
) -> None:
    wrong = [[-value for value in row] for row in read_manifest(kept).references]
    folder = _copied(kept, tmp_path, references=wrong)
    with pytest.raises(ModelUnfit, match="agreement"):
        opened(folder, models, "torch")


def test_damaged_and_missing_readers_are_named(kept: Path, models: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        opened(tmp_path, models, "torch")
    folder = _copied(kept, tmp_path)
    (folder / WEIGHTS).write_bytes(b"\0" * 64)
    with pytest.raises(ModelDamaged):
        opened(folder, models, "torch")
    (folder / MANIFEST).write_text("{")
    with pytest.raises(ModelDamaged):
        opened(folder, models, "torch")
    (folder / MANIFEST).write_text('{"format": 99}')
    with pytest.raises(ModelUnfit, match="format"):
        opened(folder, models, "torch")


def test_no_reader_is_a_setting(models: Path) -> None:
    assert open_reader(ReaderSettings(model="none"), EMBEDDER, models) is None  # type: ignore[call-arg]


def test_agreement_tells_other_numbers_and_none_at_all() -> None:
    rows = np.arange(24, dtype=np.float32).reshape(8, 3)
    assert references.agreement(rows, rows.tolist()) == pytest.approx(1.0)
    assert references.agreement(-rows, rows.tolist()) < 0
    assert references.agreement(rows * np.nan, rows.tolist()) == -1.0
    assert references.agreement(rows[:2], rows.tolist()) == -1.0


def test_a_torch_reader_runs_a_network_that_was_never_kept(
    trained: Trainer, models: Path, tokenizer: Tokenizer
) -> None:
    words = map_words(prepare_embedder(EMBEDDER, models).path / "model.safetensors")
    reader = TorchReader(tokenizer, words, trained.network, threads=1)
    assert reader.read("hello", [("", "the pump world a b c")])[0].holds > 0


def _copied(kept: Path, to: Path, **fields: object) -> Path:
    folder = to / "reader"
    folder.mkdir()
    for name in (WEIGHTS, MANIFEST):
        (folder / name).write_bytes((kept / name).read_bytes())
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, **fields}))
    return folder
