"""A real Llama of two layers with a byte-level tokenizer, as a folder and as a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
N_CTX = 512


def tiny_tokenizer() -> Any:
    """Return a byte-level tokenizer with one merge and ChatML's control tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {word: number for number, word in enumerate([*CONTROL, *alphabet, "he"])}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[("h", "e")]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(word, special=True, normalized=False) for word in CONTROL])
    return tokenizer


def write_llama(folder: Path, *, width: int = 64, between: int = 96, spread: float = 0.4) -> Path:
    """Write a Hugging Face folder of a Llama of two layers that writes letters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(7)
    tokenizer = tiny_tokenizer()
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=width,
            intermediate_size=between,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=N_CTX,
            bos_token_id=1,
            eos_token_id=2,
            initializer_range=spread,
            tie_word_embeddings=False,
        )
    )
    letters = {tokenizer.token_to_id(letter) for letter in "abcdefghijklmnopqrstuvwxyz"}
    with torch.no_grad():
        for row in range(tokenizer.get_vocab_size()):
            if row not in letters:
                model.lm_head.weight[row] = 0
    model.save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", bos_token="<|im_start|>"
    ).save_pretrained(folder)
    return folder


def write_gguf(folder: Path, to: Path, *, architecture: str = "llama", with_words: bool = True) -> Path:
    """Write the model of such a folder as a GGUF file in float32, permuting query and key rows as llama.cpp reads."""
    import gguf
    from safetensors.numpy import load_file

    weights = load_file(folder / "model.safetensors")
    writer = gguf.GGUFWriter(str(to), architecture)
    writer.add_name("Tiny")
    writer.add_context_length(N_CTX)
    writer.add_embedding_length(64)
    writer.add_block_count(2)
    writer.add_feed_forward_length(96)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(16)
    writer.add_file_type(0)
    tokenizer = tiny_tokenizer()
    words = [tokenizer.id_to_token(number) for number in range(tokenizer.get_vocab_size())]
    if with_words:
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list(words)
        writer.add_token_types([3 if word in CONTROL else 1 for word in words])
        writer.add_token_merges(["h e"])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_add_bos_token(False)
    names = {
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }
    writer.add_tensor("token_embd.weight", weights["model.embed_tokens.weight"])
    writer.add_tensor("output_norm.weight", weights["model.norm.weight"])
    writer.add_tensor("output.weight", weights["lm_head.weight"])
    for layer in range(2):
        for theirs, ours in names.items():
            value = weights[f"model.layers.{layer}.{theirs}.weight"]
            heads = {"attn_q": 4, "attn_k": 2}.get(ours)
            if heads:  # llama.cpp pairs the rotated halves of a head otherwise
                value = value.reshape(heads, 2, -1, 64).swapaxes(1, 2).reshape(value.shape)
            writer.add_tensor(f"blk.{layer}.{ours}.weight", np.ascontiguousarray(value))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return to
