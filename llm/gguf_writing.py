"""Write a GGUF file anew in another number format, with an adapter merged into it, or an adapter alone.

llama.cpp turns the halves of a head against each other in another order than transformers does: rows of the query and
key matrices are permuted, and so are those of an adapter's B.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from core.errors import ModelUnfit
from llm.adapters import Adapter
from llm.gguf_files import DEFAULT_ALIGNMENT, GgufFile, Tensor, aligned, read_gguf
from llm.number_formats import FILE_TYPES, NumberFormat, dequantize, kinds_of, quantize

Matrix = npt.NDArray[np.float32]
_STEP_NUMBERS = 8 << 20  # converted at a time: 32 MB of float32


def requantize(
    source: Path,
    to: Path,
    *,
    number_format: NumberFormat,
    progress: Callable[[int, int], None],
    adapter: Adapter | None = None,
) -> None:
    """Write ``source`` anew with its matrices in another number format; all its fields are kept byte for byte.

    Vectors (norms) stay as they are. What ``adapter`` has learned is added to its matrices on the way. The file at
    ``to`` is flushed to disk; the caller renames it into place.

    Raises:
        ModelDamaged, ModelUnfit: As :func:`read_gguf`; or the adapter or the number format does not fit the model.
    """
    file = read_gguf(source)
    kinds = kinds_of(file, number_format)
    added = _changes(file, adapter) if adapter else {}
    planned = _planned(file, kinds)
    with source.open("rb") as reader, to.open("wb") as writer:
        writer.write(_header(reader, file, planned, file_type=FILE_TYPES[number_format]))
        for done, (old, new) in enumerate(zip(file.tensors, planned, strict=True), start=1):
            reader.seek(file.tensors_start + old.offset)
            for piece in _converted(reader.read(old.n_bytes), old, new, added.get(old.name)):
                writer.write(piece)
            writer.write(b"\0" * (aligned(new.n_bytes) - new.n_bytes))
            progress(done, len(planned))
        writer.flush()
        os.fsync(writer.fileno())


def write_adapter(adapter: Adapter, base: GgufFile, to: Path) -> None:
    """Write an adapter alone, as llama.cpp reads one beside its base: float16, flushed to disk.

    Raises:
        ModelUnfit: It does not fit the base.
    """
    import gguf

    writer = gguf.GGUFWriter(str(to), base.architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    for name, (a, b) in _pairs(base, adapter).items():
        writer.add_tensor(f"{name}.lora_a", a.astype(np.float16))
        writer.add_tensor(f"{name}.lora_b", np.ascontiguousarray(b).astype(np.float16))
        rank = len(a)
    writer.add_float32("adapter.lora.alpha", adapter.scale * rank)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with to.open("rb+") as file:
        os.fsync(file.fileno())


def permuted(rows: Matrix, *, n_heads: int) -> Matrix:
    """Return rows (n_out, n) of a query or key matrix in llama.cpp's order: a head's halves interleaved."""
    return rows.reshape(n_heads, 2, -1, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def heads_of(file: GgufFile, tensor_name: str) -> int:
    """Return the heads whose rows a tensor holds in permuted order; 0 where it holds none."""
    n_heads = int(file.fields["llama.attention.head_count"])
    if tensor_name.endswith("attn_q.weight"):
        return n_heads
    if tensor_name.endswith("attn_k.weight"):
        return int(file.fields.get("llama.attention.head_count_kv", n_heads))
    return 0


def _pairs(file: GgufFile, adapter: Adapter) -> dict[str, tuple[Matrix, Matrix]]:
    """Return the adapter's (A, B) by the name of the file's tensor, rows in the file's order."""
    from gguf import MODEL_ARCH, get_tensor_name_map

    names = get_tensor_name_map(MODEL_ARCH.LLAMA, int(file.fields["llama.block_count"]))
    shapes = {tensor.name: tensor.dimensions for tensor in file.tensors}
    pairs = {}
    for module, (a, b) in adapter.matrices().items():
        name = f"{names.get_name(module)}.weight"
        if shapes.get(name) != (a.shape[1], b.shape[0]):
            remedy = "Name the model that it was trained on"
            raise ModelUnfit(f"{module} does not fit {file.path.name}", where=adapter.folder.name, remedy=remedy)
        n_heads = heads_of(file, name)
        pairs[name] = a, permuted(b, n_heads=n_heads) if n_heads else b
    return pairs


def _changes(file: GgufFile, adapter: Adapter) -> Mapping[str, tuple[Matrix, Matrix]]:
    return {name: (a, b * np.float32(adapter.scale)) for name, (a, b) in _pairs(file, adapter).items()}


def _planned(file: GgufFile, kinds: Mapping[str, int]) -> list[Tensor]:
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    planned, offset = [], 0
    for tensor in file.tensors:
        block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kinds[tensor.name])]
        n_bytes = int(np.prod(tensor.dimensions)) // block * block_bytes
        planned.append(
            Tensor(
                name=tensor.name,
                dimensions=tensor.dimensions,
                kind=kinds[tensor.name],
                offset=offset,
                n_bytes=n_bytes,
            )
        )
        offset = aligned(offset + n_bytes)
    return planned


def _header(reader: IO[bytes], file: GgufFile, tensors: list[Tensor], *, file_type: int) -> bytes:
    reader.seek(0)
    raw = bytearray(reader.read(file.fields_end))
    for name, value in (("general.file_type", file_type), ("general.alignment", DEFAULT_ALIGNMENT)):
        if name in file.field_places:
            struct.pack_into("<I", raw, file.field_places[name], value)
    for tensor in tensors:
        label = tensor.name.encode()
        raw += struct.pack("<Q", len(label)) + label + struct.pack("<I", len(tensor.dimensions))
        raw += struct.pack(f"<{len(tensor.dimensions)}QIQ", *tensor.dimensions, tensor.kind, tensor.offset)
    return bytes(raw.ljust(aligned(len(raw)), b"\0"))


def _converted(raw: bytes, old: Tensor, new: Tensor, added: tuple[Matrix, Matrix] | None) -> Iterator[bytes]:
    if old.kind == new.kind and added is None:
        yield raw
        return
    n_rows = int(np.prod(old.dimensions[1:]))
    rows: Any = np.frombuffer(raw, np.uint8).reshape(n_rows, -1)
    step = max(1, _STEP_NUMBERS // old.dimensions[0])
    for start in range(0, n_rows, step):
        floats = dequantize(rows[start : start + step], old.kind)
        if added:
            a, b = added
            floats = floats + b[start : start + step] @ a
        yield quantize(floats, new.kind)
