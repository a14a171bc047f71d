"""Write a transformers folder of the Llama architecture as a GGUF file: its settings, its words and its weights."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import ModelDamaged, ModelUnfit
from llm.backends.transformers_local import check_folder
from llm.gguf_writing import permuted

_NORMAL, _UNKNOWN, _CONTROL, _USER, _BYTE = 1, 2, 3, 4, 6
_REMEDY = "Convert it with llama.cpp's own script, and name the .gguf file"


def write_folder(folder: Path, to: Path) -> None:
    """Write the model of ``folder`` as ``to``: float32 weights stay so, narrower ones become float16.

    Raises:
        ModelMissing, ModelDamaged: A file is missing or cannot be read.
        ModelUnfit: It is no Llama, or of a kind of positions or words that cannot be written.
    """
    import gguf

    check_folder(folder)
    config = _json(folder / "config.json")
    writer: Any = gguf.GGUFWriter(str(to), "llama", use_temp_file=True)
    try:
        _add_settings(writer, config, name=folder.name)
        _add_words(writer, folder, n_words=int(config["vocab_size"]))
        _add_weights(writer, folder, config)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    except KeyError as error:
        raise ModelDamaged(f"lacks {error}", where=folder.name, remedy="Fetch the model again") from error
    finally:
        writer.close()
    with to.open("rb+") as file:
        os.fsync(file.fileno())


def _json(path: Path) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelDamaged(f"cannot be read ({error})", where=f"{path.parent.name}/{path.name}") from error
    return read


def _add_settings(writer: Any, config: Mapping[str, Any], *, name: str) -> None:
    positions = config.get("rope_parameters") or config.get("rope_scaling") or {}
    kind = positions.get("rope_type", positions.get("type", "default"))
    if kind != "default" or config.get("attention_bias") or config.get("mlp_bias"):
        what = f"has positions of the kind {kind!r}" if kind != "default" else "has biases in its layers"
        raise ModelUnfit(f"{what}, which cannot be written", where=name, remedy=_REMEDY)
    width, n_heads = int(config["hidden_size"]), int(config["num_attention_heads"])
    writer.add_name(name)
    writer.add_context_length(int(config["max_position_embeddings"]))
    writer.add_embedding_length(width)
    writer.add_block_count(int(config["num_hidden_layers"]))
    writer.add_feed_forward_length(int(config["intermediate_size"]))
    writer.add_head_count(n_heads)
    writer.add_head_count_kv(int(config.get("num_key_value_heads") or n_heads))
    writer.add_layer_norm_rms_eps(float(config["rms_norm_eps"]))
    writer.add_rope_dimension_count(int(config.get("head_dim") or width // n_heads))
    writer.add_rope_freq_base(float(positions.get("rope_theta", config.get("rope_theta", 10_000.0))))
    writer.add_vocab_size(int(config["vocab_size"]))
    writer.add_file_type(0)


def _add_words(writer: Any, folder: Path, *, n_words: int) -> None:
    whole = _json(folder / "tokenizer.json")
    model, added = whole["model"], {int(one["id"]): one for one in whole.get("added_tokens", [])}
    if model.get("type") != "BPE":
        raise ModelUnfit(f"has words of the kind {model.get('type')}", where=folder.name, remedy=_REMEDY)
    words = {int(number): word for word, number in model["vocab"].items()}
    words |= {number: one["content"] for number, one in added.items()}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    pieces = bool(model.get("byte_fallback"))
    listed = [words.get(number, f"[unused {number}]") for number in range(n_words)]
    writer.add_tokenizer_model("llama" if pieces else "gpt2")
    writer.add_token_list(listed)
    writer.add_token_types([_word_kind(number, word, added, model) for number, word in enumerate(listed)])
    if pieces:
        ranks = {merge.replace(" ", ""): rank for rank, merge in reversed(list(enumerate(merges)))}
        writer.add_token_scores([-float(ranks.get(word, 0)) for word in listed])
    else:
        writer.add_tokenizer_pre(_cut(whole.get("pre_tokenizer"), folder.name))
        writer.add_token_merges(merges)
    writer.add_add_bos_token(False)  # our templates write it themselves
    _add_special_words(writer, folder, {word: number for number, word in words.items()})


def _word_kind(number: int, word: str, added: Mapping[int, Mapping[str, Any]], model: Mapping[str, Any]) -> int:
    if word == model.get("unk_token") and model.get("byte_fallback"):
        return _UNKNOWN
    if number in added:
        return _CONTROL if added[number].get("special") else _USER
    return _BYTE if model.get("byte_fallback") and len(word) == 6 and word.startswith("<0x") else _NORMAL


def _add_special_words(writer: Any, folder: Path, numbers: Mapping[str, int]) -> None:
    settings = _json(folder / "tokenizer_config.json")
    for name, add in (
        ("bos_token", writer.add_bos_token_id),
        ("eos_token", writer.add_eos_token_id),
        ("unk_token", writer.add_unk_token_id),
        ("pad_token", writer.add_pad_token_id),
    ):
        word = settings.get(name)
        word = word.get("content") if isinstance(word, dict) else word
        if isinstance(word, str) and word in numbers:
            add(numbers[word])
    template = settings.get("chat_template")
    if not template and (folder / "chat_template.jinja").is_file():
        template = (folder / "chat_template.jinja").read_text("utf-8")
    if isinstance(template, str) and template:
        writer.add_chat_template(template)


def _cut(pre_tokenizer: Mapping[str, Any] | None, name: str) -> str:
    """Return llama.cpp's name for how text is cut before it is merged into words."""
    parts = (pre_tokenizer or {}).get("pretokenizers", [pre_tokenizer or {}])
    kinds = [str(part.get("type")) for part in parts]
    patterns = " ".join(str(part.get("pattern")) for part in parts)
    if kinds == ["ByteLevel"]:
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"]:
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and r"\\p{N}{1,3}" in patterns:
        return "llama-bpe"
    raise ModelUnfit(f"cuts text in a way that is not known ({', '.join(kinds)})", where=name, remedy=_REMEDY)


def _add_weights(writer: Any, folder: Path, config: Mapping[str, Any]) -> None:
    import torch
    from gguf import MODEL_ARCH, get_tensor_name_map
    from safetensors import SafetensorError, safe_open

    names = get_tensor_name_map(MODEL_ARCH.LLAMA, int(config["num_hidden_layers"]))
    heads = {"q_proj": int(config["num_attention_heads"])}
    heads["k_proj"] = int(config.get("num_key_value_heads") or heads["q_proj"])
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as weights:
                for theirs in weights.keys():  # noqa: SIM118 - it is no mapping
                    ours = names.get_name(theirs, try_suffixes=(".weight",))
                    if ours is None:
                        raise ModelUnfit(f"has {theirs}, which a Llama has not", where=folder.name, remedy=_REMEDY)
                    value = weights.get_tensor(theirs)
                    narrow = value.ndim > 1 and value.dtype != torch.float32
                    rows = value.to(torch.float32).numpy()
                    n_heads = heads.get(theirs.removesuffix(".weight").rpartition(".")[2])
                    rows = permuted(rows, n_heads=n_heads) if n_heads else rows
                    writer.add_tensor(ours, np.ascontiguousarray(rows, np.float16 if narrow else np.float32))
        except (OSError, SafetensorError) as error:
            raise ModelDamaged(f"cannot be read ({error})", where=f"{folder.name}/{path.name}") from error
