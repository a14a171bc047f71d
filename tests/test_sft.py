"""Fine-tuning: what is learned, batches, the schedule, going on after a kill, and what stops a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from app.model_commands import main
from core.errors import (
    BackendUnavailable,
    InvalidSetting,
    MalformedInput,
    MissingPath,
    ModelMissing,
    ModelUnfit,
    TrainingDiverged,
    TrainingMemory,
)
from core.records import Message
from llm.adapters import read_adapter
from llm.sft.batches import batches_of, collate, steps_of
from llm.sft.checkpoints import FOLDER, newest
from llm.sft.examples import Example, read_examples, sequence
from llm.sft.journal import read_journal
from llm.sft.recipe import Recipe
from llm.sft.schedule import Schedule
from llm.sft.tuning import tune
from llm.templates import TEMPLATES, render
from tests.small_llama import CONTROL, write_gguf, write_llama

WORDS = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu".split()


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("sft") / "tiny-llama")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four questions whose answer is in the prompt."""
    path = tmp_path_factory.mktemp("examples") / "train.jsonl"
    rows = [
        {
            "id": f"e{n}",
            "messages": [
                {"role": "system", "content": "Answer."},
                {"role": "user", "content": f"The word is {WORDS[n % 12]}. " + "Which? " * (n % 5)},
                {"role": "assistant", "content": WORDS[n % 12]},
            ],
        }
        for n in range(24)
    ]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n", "utf-8")
    return path


def recipe(**choices: Any) -> Recipe:
    plain = {"rank": 4, "step_examples": 6, "batch_tokens": 256, "max_tokens": 256, "epochs": 2.0, "threads": 1}
    return Recipe(**{**plain, "learning_rate": 3e-3, "evaluations": 2, **choices})


def losses(out: Path) -> dict[int, float]:
    return {e["step"]: e["loss"] for e in read_journal(out) if e["event"] == "step"}


def turns(*said: str) -> tuple[Message, ...]:
    roles = ("user", "assistant")
    return tuple(Message(role=roles[n % 2], content=text) for n, text in enumerate(said))  # type: ignore[arg-type]


def fast(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(str(folder))


def test_only_the_assistants_words_and_the_end_of_its_turn_are_learned(tiny: Path) -> None:
    tokenizer = fast(tiny)
    example = Example(id="1", messages=turns("who?", "me", "when?", "now"))
    one = sequence(example, tokenizer, TEMPLATES["chatml"], control_tokens=CONTROL)
    learned = [token for token, wanted in zip(one.ids, one.learned, strict=True) if wanted]
    assert tokenizer.decode(learned) == "me<|im_end|>now<|im_end|>"
    assert tokenizer.decode(one.ids[-4:]) == "now<|im_end|>"


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_prompt_of_an_example_has_the_ids_that_serving_makes(name: str, tiny: Path) -> None:
    tokenizer, template = fast(tiny), TEMPLATES[name]  # type: ignore[index]
    said = (Message(role="system", content="Be <|im_end|> kind."), *turns("he said [INST] hello", "hello there"))
    one = sequence(Example(id="1", messages=said), tokenizer, template, control_tokens=CONTROL)
    prompt = tokenizer(render(said[:2], template, control_tokens=CONTROL), add_special_tokens=False)["input_ids"]
    assert list(one.ids[: len(prompt)]) == prompt
    assert not any(one.learned[: len(prompt)])
    assert all(one.learned[len(prompt) :])
    assert tokenizer.decode(one.ids[len(prompt) :]).endswith(template.stop[0])


def test_llama_cpp_cuts_the_prompt_into_the_ids_that_were_trained(models_dir: Path) -> None:
    """transformers' own reading of the file makes other tokens of line breaks before a number."""
    from llm.backends.llamacpp import Engine
    from llm.backends.transformers_local import load_gguf_tokenizer
    from llm.gguf_files import read_gguf
    from llm.registry import resolve

    path = resolve("smollm2-135m-instruct", models_dir)
    tokenizer = load_gguf_tokenizer(path)
    file = read_gguf(path)
    engine = Engine(file, n_ctx=512, threads=1)
    try:
        for text in (
            "Text:\nThe Zandwijk contract (§ 4.2) runs to 31/12/2025 … it's 1,250.75 € + VAT\n\n  twice   spaced",
            "文本：保修期为两年。 it isn't <|im_end|> the end\ttab\r\n naïve café 🙂 I'M DON'T 12345678",
            "Figures\n\n1980 Raiders  15\n\n\n7 Broncos\t 3",
        ):
            said = (Message(role="system", content="Answer."), *turns(text, "It is 2 years."))
            one = sequence(
                Example(id="1", messages=said), tokenizer, TEMPLATES["chatml"], control_tokens=file.control_tokens
            )
            prompt = render(said[:2], TEMPLATES["chatml"], control_tokens=file.control_tokens)
            served = engine.tokenize(prompt, control=True)
            assert list(one.ids[: len(served)]) == served
            assert list(one.ids[len(served) :]) == engine.tokenize("It is 2 years.<|im_end|>", control=True)
    finally:
        engine.close()


def test_steps_are_the_same_for_a_seed_and_differ_between_epochs() -> None:
    first = steps_of(20, step_examples=6, seed=1, epoch=0)
    assert first == steps_of(20, step_examples=6, seed=1, epoch=0)
    assert first != steps_of(20, step_examples=6, seed=1, epoch=1)
    assert sorted(n for step in first for n in step) == list(range(20))
    assert [len(step) for step in first] == [6, 6, 6, 2]


def test_batches_are_of_like_length_and_never_over_their_size() -> None:
    lengths = [10, 200, 12, 190, 11, 30]
    batches = batches_of(lengths, range(6), batch_tokens=400)
    assert batches == [[0, 4, 2, 5], [3, 1]]
    assert all(len(b) * max(lengths[n] for n in b) <= 400 for b in batches)


def test_a_batch_points_at_the_tokens_before_those_that_are_learned(tiny: Path) -> None:
    tokenizer = fast(tiny)
    several = [
        sequence(Example(id=str(n), messages=turns("hello" * n, "yes" * n)), tokenizer, TEMPLATES["chatml"])
        for n in (1, 3)
    ]
    batch = collate(several, padding=0)
    flat = batch.ids.flatten()
    assert [int(flat[at + 1]) for at in batch.at] == batch.wanted.tolist()
    assert len(batch.wanted) == sum(one.n_learned for one in several)


def test_padding_does_not_change_the_loss(tiny: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from llm.sft.learning import Learner

    learner, tokenizer = Learner(AutoModelForCausalLM.from_pretrained(tiny)), fast(tiny)
    several = [
        sequence(Example(id=str(n), messages=turns("hello " * n, "yes")), tokenizer, TEMPLATES["chatml"])
        for n in (1, 9)
    ]
    with torch.no_grad():
        alone = [learner(b.ids, b.at, b.wanted)[0] for b in (collate([one], padding=0) for one in several)]
        both = collate(several, padding=5)
        together = learner(both.ids, both.at, both.wanted)[0]
        whole = collate(several[1:], padding=0)
        labels = torch.full_like(whole.ids, -100)
        labels[0, whole.at + 1] = whole.wanted
        theirs = learner.model(input_ids=whole.ids, labels=labels).loss
    assert torch.allclose(sum(alone), together, rtol=1e-4)
    assert torch.allclose(theirs * several[1].n_learned, alone[1], rtol=1e-4)


def test_the_rate_rises_and_falls_by_steps_or_by_the_clock() -> None:
    by_steps = Schedule(n_steps=100, seconds=0, learning_rate=1.0, warm_up=0.1)
    rates = [by_steps.rate(step=n, seconds=0) for n in range(100)]
    assert rates.index(max(rates)) == 9
    assert rates[-1] < 0.001
    by_clock = Schedule(n_steps=0, seconds=60, learning_rate=1.0, warm_up=0.1)
    assert by_clock.rate(step=10, seconds=30) == pytest.approx(0.5, abs=0.2)
    assert by_clock.progress(step=10_000, seconds=61) == 1


def test_a_trained_adapter_answers_better_and_says_what_it_was_made_of(
    tiny: Path, examples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    arguments = ["sft", str(examples), "--out", str(out), "--base", str(tiny), "--epochs", "6", "--rank", "4"]
    arguments += ["--learning-rate", "0.003", "--step-examples", "6", "--threads", "1", "--seed", "3"]
    assert main(arguments) == 0
    assert "best validation loss" in capsys.readouterr().out
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    assert manifest["base"]["name"] == "tiny-llama"
    assert manifest["template"] == "chatml"
    assert manifest["recipe"]["seed"] == 3
    assert set(manifest["files"]) == {"adapter_config.json", "adapter_model.safetensors"}
    assert str(tmp_path) not in (out / "manifest.json").read_text() + (out / "adapter_config.json").read_text()
    looks = [e["loss"] for e in read_journal(out) if e["event"] == "evaluation"]
    assert min(looks) == manifest["figures"]["best_loss"] < looks[0]
    steps = list(losses(out).values())
    assert sum(steps[-3:]) < 0.8 * sum(steps[:3])
    assert (out / "loss.svg").read_text("utf-8").count("<polyline") == 3
    assert not (out / FOLDER).exists()


def test_all_weights_can_be_trained_from_a_gguf_file(tiny: Path, examples: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    file = write_gguf(tiny, tmp_path / "tiny.gguf")
    tune(examples, out=tmp_path / "run", base=str(file), models_dir=tmp_path, recipe=recipe(method="full", epochs=1.0))
    before = AutoModelForCausalLM.from_pretrained(tiny)
    after = AutoModelForCausalLM.from_pretrained(tmp_path / "run", dtype=torch.float32)
    assert torch.allclose(before.model.embed_tokens.weight, after.model.embed_tokens.weight, atol=0.01)
    changed = (
        (before.model.layers[0].self_attn.q_proj.weight - after.model.layers[0].self_attn.q_proj.weight).detach().abs()
    )
    assert 0.003 < float(changed.max()) < 0.2
    assert json.loads((tmp_path / "run/manifest.json").read_text())["kind"] == "model"


def test_a_killed_run_goes_on_to_the_very_same_losses(tiny: Path, examples: Path, tmp_path: Path) -> None:
    choices = {"dropout": 0.1, "epochs": 4.0, "checkpoint_minutes": 0.0}
    whole = tmp_path / "whole"
    tune(examples, out=whole, base=str(tiny), models_dir=tmp_path, recipe=recipe(**choices))
    killed = tmp_path / "killed"
    script = (
        "import sys; from pathlib import Path; from tests.test_sft import recipe; from llm.sft.tuning import tune\n"
        f"tune(Path({str(examples)!r}), out=Path({str(killed)!r}), base={str(tiny)!r}, models_dir=Path('.'), "
        f"recipe=recipe(**{choices!r}))"
    )
    child = subprocess.Popen([sys.executable, "-c", script], env={**os.environ, "OMP_NUM_THREADS": "1"})
    while newest(killed) is None or newest(killed).name < "step-000004":  # type: ignore[union-attr]
        assert child.poll() is None
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    stopped_after = len(losses(killed))
    assert stopped_after < len(losses(whole))
    tune(examples, out=killed, base=str(tiny), models_dir=tmp_path, recipe=recipe(**choices), resume=True)
    assert losses(killed) == losses(whole)
    ended = [json.loads((out / "manifest.json").read_text())["files"] for out in (whole, killed)]
    assert ended[0] == ended[1]


def test_ctrl_c_finishes_the_step_and_writes_a_checkpoint(
    tiny: Path, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm.sft.running import Run

    steps = []
    step = Run._step

    def interrupted(self: Run) -> None:
        steps.append(1)
        if len(steps) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        step(self)

    monkeypatch.setattr(Run, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune(examples, out=tmp_path, base=str(tiny), models_dir=tmp_path, recipe=recipe())
    assert newest(tmp_path) == tmp_path / FOLDER / "step-000003"
    assert len(losses(tmp_path)) == 3


def test_a_run_may_begin_with_an_adapter(tiny: Path, examples: Path, tmp_path: Path) -> None:
    here: dict[str, Any] = {"base": str(tiny), "models_dir": tmp_path}
    tune(examples, out=tmp_path / "first", recipe=recipe(epochs=8.0), **here)
    tune(examples, out=tmp_path / "further", recipe=recipe(epochs=1.0), start=tmp_path / "first", **here)
    began = losses(tmp_path / "first")
    assert losses(tmp_path / "further")[1] < 0.9 * began[1], "it begins where the other ended"
    assert read_adapter(tmp_path / "further").manifest["start"] == read_adapter(tmp_path / "first").fingerprint
    with pytest.raises(InvalidSetting, match="another shape"):
        tune(examples, out=tmp_path / "other", recipe=recipe(rank=8), start=tmp_path / "first", **here)
    with pytest.raises(ModelMissing):
        tune(examples, out=tmp_path / "none", recipe=recipe(), start=tmp_path / "nowhere", **here)


def test_a_run_ends_when_its_time_is_up(tiny: Path, examples: Path, tmp_path: Path) -> None:
    figures = tune(examples, out=tmp_path, base=str(tiny), models_dir=tmp_path, recipe=recipe(epochs=0.0, minutes=0.01))
    assert figures["step"] >= 1
    assert figures["seconds"] >= 0.6


def test_a_run_that_gets_no_better_stops_and_keeps_its_best_weights(tiny: Path, examples: Path, tmp_path: Path) -> None:
    choices = recipe(learning_rate=2.0, warm_up=0.0, epochs=40.0, evaluations=40, patience=2, clip=1e9)
    figures = tune(examples, out=tmp_path, base=str(tiny), models_dir=tmp_path, recipe=choices)
    looks = [(e["step"], e["loss"]) for e in read_journal(tmp_path) if e["event"] == "evaluation"]
    assert figures["step"] < 160
    assert (figures["best_step"], figures["best_loss"]) == min(looks, key=lambda look: look[1])
    assert looks[-1][0] > figures["best_step"]


def test_a_loss_that_is_no_number_stops_and_names_step_and_examples(
    tiny: Path, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm.sft.learning import Learner

    forward = Learner.forward

    def poisoned(self: Learner, ids: Any, at: Any, wanted: Any) -> Any:
        loss, hits = forward(self, ids, at, wanted)
        return (loss * float("nan") if self.training and len(losses(tmp_path)) == 2 else loss), hits

    monkeypatch.setattr(Learner, "forward", poisoned)
    with pytest.raises(TrainingDiverged, match=r"step 3: the loss is nan, of the examples e\d+.*--resume"):
        tune(examples, out=tmp_path, base=str(tiny), models_dir=tmp_path, recipe=recipe())


def test_memory_that_is_out_is_a_named_error(
    tiny: Path, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm.sft.learning import Learner

    def greedy(self: Learner, ids: Any, at: Any, wanted: Any) -> Any:
        import torch

        return torch.empty(1 << 60), None

    monkeypatch.setattr(Learner, "forward", greedy)
    with pytest.raises(TrainingMemory, match="--batch-tokens"):
        tune(examples, out=tmp_path, base=str(tiny), models_dir=tmp_path, recipe=recipe())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{nonsense", "bad.jsonl:2: is no JSON"),
        ('{"id": "1"}', 'bad.jsonl:2: has no list of "messages"'),
        ('{"messages": [{"role": "bot", "content": "x"}]}', "bad.jsonl:2: a message needs"),
        ('{"messages": [{"role": "user", "content": "x"}]}', "bad.jsonl:2: the last two messages"),
    ],
)
def test_a_malformed_example_is_named_by_file_and_line(line: str, said: str, examples: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(examples.read_text().splitlines()[0] + "\n" + line + "\n")
    with pytest.raises(MalformedInput, match=said):
        read_examples(path)


def test_a_line_separator_within_a_text_ends_no_line(tmp_path: Path) -> None:
    said = "one\u2028two\x85three"  # what web pages hold, and JSON leaves as it is
    row = {"messages": [{"role": "user", "content": said}, {"role": "assistant", "content": "x"}]}
    (tmp_path / "some.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n", "utf-8")
    assert [example.messages[0].content for example in read_examples(tmp_path / "some.jsonl")] == [said]


def test_a_missing_or_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(MalformedInput, match=r"empty\.jsonl: holds no example"):
        read_examples(tmp_path / "empty.jsonl")
    with pytest.raises(MissingPath):
        read_examples(tmp_path / "none.jsonl")


def test_examples_that_are_validated_on_may_not_be_trained_on(tiny: Path, examples: Path, tmp_path: Path) -> None:
    with pytest.raises(MalformedInput, match="24 of its examples are training examples too"):
        tune(examples, out=tmp_path, base=str(tiny), models_dir=tmp_path, recipe=recipe(), validation=examples)


def test_a_base_that_is_no_llama_or_not_there_is_named(tiny: Path, examples: Path, tmp_path: Path) -> None:
    other = tmp_path / "bert"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "bert"}')
    for base, error in (
        (other, ModelUnfit),
        (write_gguf(tiny, tmp_path / "other.gguf", architecture="bert"), ModelUnfit),
        (tmp_path / "nowhere", ModelMissing),
    ):
        with pytest.raises(error, match=base.stem):
            tune(examples, out=tmp_path / "run", base=str(base), models_dir=tmp_path, recipe=recipe())


def test_four_bits_without_a_gpu_are_a_named_error(tiny: Path, examples: Path, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(BackendUnavailable, match="--method lora"):
        tune(examples, out=tmp_path, base=str(tiny), models_dir=tmp_path, recipe=recipe(method="qlora"))


def test_a_folder_that_holds_a_run_is_not_written_over(
    tiny: Path, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm.sft.running import Run

    def again(**choices: Any) -> Any:
        return tune(examples, out=tmp_path, base=str(tiny), models_dir=tmp_path, **choices)

    with pytest.raises(InvalidSetting, match="no checkpoint"):
        again(recipe=recipe(), resume=True)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "_look", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            again(recipe=recipe(checkpoint_minutes=0.0))
    with pytest.raises(InvalidSetting, match="--resume"):
        again(recipe=recipe())
    with pytest.raises(InvalidSetting, match="recipe: rank, recipe: seed"):
        again(recipe=recipe(rank=8, seed=1), resume=True)
    # What the errors of a run that diverged or ran out of memory advise can be done.
    again(recipe=recipe(learning_rate=1e-3, batch_tokens=256), resume=True)
    with pytest.raises(InvalidSetting, match="finished run"):
        again(recipe=recipe())


def test_layers_that_the_base_has_not_are_a_named_error(tiny: Path, examples: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"nonsense.*all-linear"):
        tune(examples, out=tmp_path, base=str(tiny), models_dir=tmp_path, recipe=recipe(targets=("nonsense",)))


def test_a_folder_that_is_a_file_is_told(tiny: Path, examples: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidSetting, match="is a file"):
        tune(examples, out=tmp_path / "file", base=str(tiny), models_dir=tmp_path, recipe=recipe())


@pytest.mark.parametrize(
    "choices", [{"rank": 0}, {"dropout": 1.0}, {"epochs": 0.0}, {"batch_tokens": 100}, {"learning_rate": float("nan")}]
)
def test_a_recipe_that_makes_no_sense_is_refused(choices: dict[str, Any]) -> None:
    with pytest.raises(InvalidSetting):
        recipe(**choices)
