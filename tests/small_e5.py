"""A real e5 of two layers with random weights, packed as the published one is."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

HIDDEN, LAYERS, FEED_FORWARD = 64, 2, 128
PIECES = [
    *("<s>", "<pad>", "</s>", "<unk>", ",", ".", "▁"),
    *"abcdefghijklmnopqrstuvwxyz0123456789～你好世界和平阀锅炉:?",
    *("▁query", "▁passage", "▁the", "▁hello", "▁world", "你好", "世界", "▁pump"),
    "<mask>",
]
RULES = {"\n": " ", "\t": " ", "\x01": "", "\u3000": " ", "ﬁ": "fi", "Ａ": "A", "\u200b": " "}


def pack(path: Path) -> Path:
    """Write a packed file with random weights."""
    from gguf import GGMLQuantizationType, quants

    chance = np.random.default_rng(3)
    n_rows = len(PIECES) + 3
    blob = b"".join(piece.encode() for piece in PIECES)
    offsets = np.cumsum([0, *(len(piece.encode()) for piece in PIECES)]).astype(np.uint32)
    scores = np.array([0.0 if piece.startswith("<") else -5.0 - len(PIECES[:n]) / 50 for n, piece in enumerate(PIECES)])
    scores += np.array([3.0 * (len(piece) > 1) for piece in PIECES])
    rules = b"".join(
        struct.pack("<IB", ord(c), len(to)) + b"".join(struct.pack("<I", ord(each)) for each in to)
        for c, to in RULES.items()
    )
    head = b"E5S1" + struct.pack("<I7ifi", 1, HIDDEN, LAYERS, 4, FEED_FORWARD, n_rows, 512, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(blob)) + offsets.tobytes()
    head += scores.astype(np.float32).tobytes() + blob + struct.pack("<iI", len(RULES), len(rules)) + rules
    shapes: dict[str, tuple[int, ...]] = {
        "emb.word": (n_rows, HIDDEN),
        "emb.pos": (512, HIDDEN),
        "emb.type": (2, HIDDEN),
        "emb.ln.w": (HIDDEN,),
        "emb.ln.b": (HIDDEN,),
    }
    for layer in range(LAYERS):
        for name in ("q", "k", "v", "ao"):
            shapes[f"l{layer}.{name}.w"], shapes[f"l{layer}.{name}.b"] = (HIDDEN, HIDDEN), (HIDDEN,)
        shapes[f"l{layer}.fi.w"], shapes[f"l{layer}.fi.b"] = (FEED_FORWARD, HIDDEN), (FEED_FORWARD,)
        shapes[f"l{layer}.fo.w"], shapes[f"l{layer}.fo.b"] = (HIDDEN, FEED_FORWARD), (HIDDEN,)
        for name in ("aln", "oln"):
            shapes[f"l{layer}.{name}.w"], shapes[f"l{layer}.{name}.b"] = (HIDDEN,), (HIDDEN,)
    raw = {}
    for name, shape in shapes.items():
        values = chance.normal(0, 0.15, shape).astype(np.float32)
        values += 1.0 if name.endswith(("ln.w",)) else 0.0
        four_bits = name == "emb.word" or (len(shape) > 1 and not name.startswith("emb"))
        raw[name] = four_bits, (quants.quantize(values, GGMLQuantizationType.Q4_0) if four_bits else values).tobytes()
    directory_bytes = 4 + sum(2 + len(name) + 21 for name in raw)
    at, directory, body = len(head) + directory_bytes, struct.pack("<i", len(raw)), b""
    for name, (four_bits, content) in raw.items():
        n = int(np.prod(shapes[name]))
        directory += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", four_bits, n, at, len(content))
        at += len(content)
        body += content
    path.write_bytes(head + directory + body)
    return path
