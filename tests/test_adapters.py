"""Adapters: merged into a GGUF file and served, refused for another base, and number formats written by our hand."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import HumanMessage

from app.model_commands import main
from core.errors import InvalidSetting, ModelDamaged, ModelMissing, ModelUnfit
from core.settings import GeneratorSettings
from llm import gguf_writing, k_quants
from llm.adapters import MANIFEST, WEIGHTS, read_adapter, write_manifest
from llm.backends import open_chat_model
from llm.backends.model_files import find_gguf
from llm.backends.transformers_local import load_gguf
from llm.gguf_checking import check_agreement, compare
from llm.gguf_files import read_gguf
from llm.gguf_from_folder import write_folder
from llm.gguf_writing import requantize, write_adapter
from llm.registry import no_progress, sha256_of
from tests.small_llama import N_CTX, write_gguf, write_llama


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llama(tmp_path_factory.mktemp("adapters") / "tiny-llama", spread=0.15)


@pytest.fixture(scope="module")
def tiny_gguf(tiny: Path) -> Path:
    return write_gguf(tiny, tiny.parent / "tiny-llama.gguf")


def write_adapter_folder(
    base: Path, to: Path, *, base_name: str = "tiny", seed: int = 1, strength: float = 0.15
) -> Path:
    """Write an adapter of random matrices for a base, as peft does, with its manifest."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = base if base.is_dir() else base.parent / "tiny-llama"
    torch.manual_seed(seed)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(folder), LoraConfig(r=4, lora_alpha=8, target_modules="all-linear")
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_" in name:
                weight.normal_(0, strength)
    model.save_pretrained(to)
    from llm.adapters import base_sha256

    manifest = {"kind": "adapter", "base": {"name": base_name, "sha256": base_sha256(base)}}
    write_manifest(to, manifest, files=["adapter_config.json", WEIGHTS])
    return to


def settings(**fields: Any) -> GeneratorSettings:
    return GeneratorSettings(**{"n_ctx": N_CTX, "max_tokens": 16, "threads": 1, **fields})


def said(models_dir: Path, **fields: Any) -> str:
    model = open_chat_model(settings(**fields), models_dir)
    try:
        return model.invoke([HumanMessage("hello there")]).text
    finally:
        model.close()


def logits(model: Any) -> Any:
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.arange(3, 60)[None]).logits[0]


def test_a_merged_file_computes_what_peft_computes(tiny: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    folder = write_adapter_folder(tiny_gguf, tmp_path / "adapter")
    to = tmp_path / "merged.gguf"
    requantize(tiny_gguf, to, number_format="F32", progress=no_progress, adapter=read_adapter(folder))
    theirs = logits(PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), folder))
    ours = logits(load_gguf(to, torch.float32)[1])
    plain = logits(load_gguf(tiny_gguf, torch.float32)[1])
    assert torch.allclose(ours, theirs, atol=1e-3)
    assert not torch.allclose(plain, theirs, atol=0.5)


def test_an_adapter_is_served_by_every_backend_and_merged_once(tiny: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    for_gguf = write_adapter_folder(tiny_gguf, tmp_path / "for-gguf")
    for_folder = write_adapter_folder(tiny, tmp_path / "for-folder")
    same = 5  # letters; later ones hang on how numbers are rounded
    plain = said(tmp_path, model=str(tiny_gguf))[:same]
    adapted = said(tmp_path, model=str(tiny_gguf), adapter=str(for_gguf))[:same]
    assert adapted != plain
    assert said(tmp_path, model=str(tiny), backend="transformers", adapter=str(for_folder))[:same] == adapted
    assert said(tmp_path, model=str(tiny_gguf), backend="transformers", adapter=str(for_gguf))[:same] == adapted
    (merged,) = (tmp_path / "tiny-llama").glob("*.gguf")
    base, fingerprint = sha256_of(tiny_gguf), read_adapter(for_gguf).fingerprint
    assert merged.name == f"tiny-llama.Q8_0.{base[:8]}-{fingerprint[:8]}.gguf"
    before = merged.stat().st_mtime_ns
    find_gguf(str(tiny_gguf), tmp_path, adapter=str(for_gguf))
    assert merged.stat().st_mtime_ns == before
    other = write_adapter_folder(tiny_gguf, tmp_path / "other", seed=2)
    assert find_gguf(str(tiny_gguf), tmp_path, adapter=str(other)).path != merged


def test_the_adapter_that_comes_with_citadel_goes_with_its_own_model_alone(
    tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm.backends import model_files
    from llm.registry import MODELS, KnownModel

    shipped = write_adapter_folder(tiny_gguf, tmp_path / "shipped")
    monkeypatch.setattr(model_files, "SHIPPED", shipped)
    known = KnownModel(
        origin=f"file:{tiny_gguf}", sha256=sha256_of(tiny_gguf), size_bytes=0, licence="", about="a tiny one"
    )
    monkeypatch.setitem(MODELS, "tiny", known)
    assert "-" + read_adapter(shipped).fingerprint[:8] in find_gguf("tiny", tmp_path, adapter="default").path.name
    assert find_gguf("tiny", tmp_path, adapter="none").path == tiny_gguf
    assert find_gguf(str(tiny_gguf), tmp_path, adapter="default").path == tiny_gguf
    monkeypatch.setattr(model_files, "SHIPPED", tmp_path / "nothing")
    assert find_gguf("tiny", tmp_path, adapter="default").path == tiny_gguf


def test_an_adapter_for_another_base_is_refused(tiny: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    folder = write_adapter_folder(tiny, tmp_path / "adapter", base_name="my-llama")
    with pytest.raises(ModelUnfit, match=r"is an adapter for my-llama .* not for tiny-llama\.gguf"):
        find_gguf(str(tiny_gguf), tmp_path, adapter=str(folder))
    other = write_adapter_folder(tiny_gguf, tmp_path / "other")
    with pytest.raises(ModelUnfit, match=r"generator\.adapter=none"):
        open_chat_model(settings(backend="transformers", model=str(tiny), adapter=str(other)), tmp_path)
    with pytest.raises(InvalidSetting, match=r"generator\.adapter"):
        open_chat_model(settings(backend="openai", base_url="http://127.0.0.1:9/v1", adapter=str(folder)), tmp_path)


def test_an_unfinished_or_damaged_adapter_is_named(tiny_gguf: Path, tmp_path: Path) -> None:
    folder = write_adapter_folder(tiny_gguf, tmp_path / "adapter")
    with pytest.raises(ModelMissing, match="no such adapter folder"):
        read_adapter(tmp_path / "nowhere")
    weights = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(weights[:-1] + b"x")
    with pytest.raises(ModelDamaged, match=f"{WEIGHTS} is missing or not the one"):
        read_adapter(folder)
    (folder / WEIGHTS).write_bytes(weights)
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text("{}")
    with pytest.raises(ModelDamaged, match="malformed"):
        read_adapter(folder)
    (folder / MANIFEST).write_text(json.dumps({**manifest, "kind": "model"}))
    with pytest.raises(ModelUnfit, match=r"generator\.model"):
        read_adapter(folder)
    (folder / MANIFEST).unlink()
    with pytest.raises(ModelMissing, match="its training did not end"):
        read_adapter(folder)


@pytest.mark.parametrize(("name", "closeness"), [("Q4_K", 0.08), ("Q5_K", 0.045), ("Q6_K", 0.02)])
def test_k_quants_are_read_back_by_the_gguf_package(name: str, closeness: float) -> None:
    from gguf import GGMLQuantizationType, quants

    rows = np.random.default_rng(3).normal(0, 1, (64, k_quants.BLOCK)).astype(np.float32)
    rows[0] = 0
    rows[1] = np.abs(rows[1])
    rows[2] *= 1e-6
    packed = k_quants.QUANTIZERS[name](rows)
    read = quants.dequantize(packed, GGMLQuantizationType[name])
    assert not read[0].any()
    off = np.sqrt(((read - rows) ** 2).mean(axis=1)[3:]) / rows[3:].std(axis=1)
    assert off.max() < closeness
    if name == "Q4_K":  # worth its trouble: nearer than 4 bits with a scale and a minimum of 16 bits for each 32
        plain = quants.dequantize(quants.quantize(rows, GGMLQuantizationType.Q4_1), GGMLQuantizationType.Q4_1)
        assert ((read - rows) ** 2).mean() < ((plain - rows) ** 2).mean()


def test_a_k_quant_of_rows_that_do_not_fit_is_refused_by_name(tiny_gguf: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelUnfit, match=r"Q4_K_M needs rows of a multiple of 256 numbers; token_embd\.weight has 64"):
        requantize(tiny_gguf, tmp_path / "k.gguf", number_format="Q4_K_M", progress=no_progress)
    assert not (tmp_path / "k.gguf").exists()
    assert read_gguf(tiny_gguf).tensors


def torch_model(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval()


def test_a_folder_written_as_gguf_is_the_same_model_to_llama_cpp(tiny: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    tokenizer, model = torch_model(tiny)
    write_folder(tiny, tmp_path / "ours.gguf")
    check_agreement(compare(tmp_path / "ours.gguf", model, tokenizer, threads=1), "F32", where="ours.gguf")
    ours, theirs = read_gguf(tmp_path / "ours.gguf"), read_gguf(tiny_gguf)
    assert {t.name: t.dimensions for t in ours.tensors} == {t.name: t.dimensions for t in theirs.tensors}
    assert ours.control_tokens == theirs.control_tokens


def test_a_file_whose_rows_are_in_the_wrong_order_does_not_pass_the_check(
    tiny: Path, tiny_gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft import PeftModel

    tokenizer, model = torch_model(tiny)
    adapter = read_adapter(write_adapter_folder(tiny_gguf, tmp_path / "adapter"))
    model = PeftModel.from_pretrained(model, adapter.folder).eval()
    to = tmp_path / "merged.gguf"
    requantize(tiny_gguf, to, number_format="Q8_0", progress=no_progress, adapter=adapter)
    check_agreement(compare(to, model, tokenizer, threads=1), "Q8_0", where=to.name)
    monkeypatch.setattr(gguf_writing, "heads_of", lambda file, name: 0)
    requantize(tiny_gguf, to, number_format="Q8_0", progress=no_progress, adapter=adapter)
    with pytest.raises(ModelUnfit, match="differs from the model it was made of"):
        check_agreement(compare(to, model, tokenizer, threads=1), "Q8_0", where=to.name)


def test_an_adapter_beside_its_base_is_computed_by_llama_cpp(tiny: Path, tiny_gguf: Path, tmp_path: Path) -> None:
    from peft import PeftModel

    tokenizer, model = torch_model(tiny)
    adapter = read_adapter(write_adapter_folder(tiny_gguf, tmp_path / "adapter"))
    write_adapter(adapter, read_gguf(tiny_gguf), tmp_path / "lora.gguf")
    model = PeftModel.from_pretrained(model, adapter.folder).eval()
    agreement = compare(tiny_gguf, model, tokenizer, lora=tmp_path / "lora.gguf", threads=1)
    check_agreement(agreement, "F16", where="lora.gguf")


def test_k_quants_are_read_by_llama_cpp(tmp_path: Path) -> None:
    folder = write_llama(tmp_path / "wide", width=256, between=256, spread=0.08)
    tokenizer, model = torch_model(folder)
    write_folder(folder, tmp_path / "wide.gguf")
    means = {}
    for number_format in ("Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0"):
        to = tmp_path / f"{number_format}.gguf"
        requantize(tmp_path / "wide.gguf", to, number_format=number_format, progress=no_progress)  # type: ignore[arg-type]
        means[number_format] = compare(to, model, tokenizer, threads=1).mean
    assert means["Q8_0"] < means["Q5_K_M"] < means["Q4_K_M"] * 1.5
    assert means["Q6_K"] < means["Q4_K_M"] < 0.5


def test_the_table_names_each_format_and_what_cannot_be_written(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = tmp_path / "examples.jsonl"
    messages = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "yes"}]
    examples.write_text(json.dumps({"id": "1", "messages": messages}) + "\n")
    arguments = ["--set", "generator.threads=1", "quantize", str(tiny), "--out", str(tmp_path / "out")]
    arguments += ["--to", "F16", "Q8_0", "Q5_1", "Q4_K_M", "--examples", str(examples)]
    assert main(arguments) == 0
    table = capsys.readouterr().out
    assert re.search(r"Q4_K_M  not written: Q4_K_M needs rows of a multiple of 256 numbers; \S+\.weight has \d+", table)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        f"tiny-llama.{name}.gguf" for name in ("F16", "Q8_0", "Q5_1")
    }
    rows = [line.split() for line in table.splitlines()]
    assert [row[0] for row in rows[1:4]] == ["F16", "Q8_0", "Q5_1"]
    assert all(float(number) >= 0 for row in rows[1:4] for number in row[1:])
    assert "n = 1 examples" in table
