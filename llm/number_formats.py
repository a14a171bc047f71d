"""The number formats of GGUF weights, and which of them each tensor of a file gets."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from core.errors import ModelUnfit
from llm import k_quants
from llm.gguf_files import GgufFile, Tensor

NumberFormat = Literal["F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_1", "Q5_0", "Q5_K_M", "Q4_1", "Q4_0", "Q4_K_M"]
NUMBER_FORMATS: tuple[NumberFormat, ...] = get_args(NumberFormat)

# llama.h: enum llama_ftype
FILE_TYPES: dict[NumberFormat, int] = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9,
    "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18, "BF16": 32,
}  # fmt: skip

# The words' vectors, which are the output's too in a small model, lose most by few bits: there they get 8.
_SENSITIVE = ("token_embd.weight", "output.weight")
_FEW_BITS = ("Q4_0", "Q4_1", "Q5_0", "Q5_1")
_WIDE = (0, 1, 30)  # float32, float16, bfloat16
_MIXED = {"Q4_K_M": "Q4_K", "Q5_K_M": "Q5_K"}


def kinds_of(file: GgufFile, number_format: NumberFormat) -> dict[str, int]:
    """Return the ggml type of each tensor of ``file`` in a number format; vectors (norms) stay as they are.

    Raises:
        ModelUnfit: A matrix's rows do not fill whole blocks of a K-quant; the tensor is named.
    """
    return {tensor.name: _kind(file, tensor, number_format) for tensor in file.tensors}


def _kind(file: GgufFile, tensor: Tensor, number_format: NumberFormat) -> int:
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    if len(tensor.dimensions) < 2:
        return tensor.kind
    name = _MIXED.get(number_format, number_format)
    if number_format in _FEW_BITS and tensor.name in _SENSITIVE:
        if tensor.kind not in _WIDE:
            return tensor.kind
        name = "Q8_0"
    elif number_format in _MIXED and _gets_six_bits(file, tensor):
        name = "Q6_K"
    kind = GGMLQuantizationType[name]
    block, row = GGML_QUANT_SIZES[kind][0], tensor.dimensions[0]
    if row % block == 0:
        return int(kind)
    if block == k_quants.BLOCK:
        remedy = "Choose Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0"
        what = f"{number_format} needs rows of a multiple of {block} numbers; {tensor.name} has {row}"
        raise ModelUnfit(what, where=file.path.name, remedy=remedy)
    return tensor.kind


def _gets_six_bits(file: GgufFile, tensor: Tensor) -> bool:
    """Return whether a mixed format gives a tensor 6 bits, as llama.cpp's own quantizer does."""
    names = {each.name for each in file.tensors}
    if tensor.name == "output.weight" or (tensor.name == "token_embd.weight" and "output.weight" not in names):
        return True
    if not tensor.name.endswith(("attn_v.weight", "ffn_down.weight")):
        return False
    layer, n = int(tensor.name.split(".")[1]), int(file.fields["llama.block_count"])
    return layer < n // 8 or layer >= 7 * n // 8 or (layer - n // 8) % 3 == 2


def dequantize(rows: npt.NDArray[np.uint8], kind: int) -> npt.NDArray[np.float32]:
    """Return float32 (n_rows, n_in) of the bytes of rows, uint8 (n_rows, bytes of a row)."""
    from gguf import quants
    from gguf.constants import GGMLQuantizationType

    plain: dict[int, Any] = {0: np.float32, 1: np.float16}
    typed: Any = rows.view(plain[kind]) if kind in plain else rows
    return np.asarray(quants.dequantize(typed, GGMLQuantizationType(kind)), np.float32)


def quantize(rows: npt.NDArray[np.float32], kind: int) -> bytes:
    """Return the bytes of float32 (n_rows, n_in) in a ggml type."""
    from gguf import quants
    from gguf.constants import GGMLQuantizationType

    wanted = GGMLQuantizationType(kind)
    if wanted.name in k_quants.QUANTIZERS:
        return k_quants.QUANTIZERS[wanted.name](rows.reshape(-1, k_quants.BLOCK)).tobytes()
    return bytes(quants.quantize(rows, wanted).tobytes())
