"""K-quants: ggml's blocks of 256 numbers with scales of their own precision; the ``gguf`` package only reads them.

```
Q4_K  d f16, e f16, 12 bytes of 8 scales and 8 minima in 6 bits, 128 bytes of 4 bits   x = d*scale*q - e*minimum
Q5_K  as Q4_K, with 32 bytes of fifth bits before the 4 bits                            q in 0..31
Q6_K  128 bytes of 4 bits, 64 bytes of 2 bits, 16 int8 scales, d f16                    x = d*scale*(q - 32)
```

The layouts are those of ggml's ``ggml-common.h``. Scales are searched for: of several near the plain one, the one with
the least squared error, each number weighing more the larger it is.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

BLOCK = 256
_TRIALS = np.linspace(-1.0, 1.0, 11, dtype=np.float32)  # about the plain scale, in steps of the largest code

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


def quantize_q4_k(blocks: Floats) -> Bytes:
    """Return uint8 (n, 144) of float32 (n, 256)."""
    head, codes = _scaled_from_least(blocks, largest=15)
    return np.concatenate([head, _nibbles(codes)], axis=1)


def quantize_q5_k(blocks: Floats) -> Bytes:
    """Return uint8 (n, 176) of float32 (n, 256)."""
    head, codes = _scaled_from_least(blocks, largest=31)
    fifth = codes.reshape(-1, 8, 32) >> 4 << np.arange(8, dtype=np.uint8)[:, None]
    return np.concatenate([head, np.bitwise_or.reduce(fifth, axis=1), _nibbles((codes & 15).astype(np.uint8))], axis=1)


def quantize_q6_k(blocks: Floats) -> Bytes:
    """Return uint8 (n, 210) of float32 (n, 256)."""
    parts = blocks.reshape(-1, 16, 16)
    scales = _symmetric_scales(parts)
    d = _half(np.abs(scales).max(axis=1, keepdims=True) / 127)
    whole = np.clip(np.rint(_ratio(scales, d)), -128, 127).astype(np.int8)
    steps = (d * whole)[..., None]
    codes = (np.clip(np.rint(_ratio(parts, steps)), -32, 31) + 32).astype(np.uint8).reshape(-1, 2, 4, 32)
    low = np.stack([codes[:, :, 0] & 15 | codes[:, :, 2] << 4, codes[:, :, 1] & 15 | codes[:, :, 3] << 4], axis=2)
    high = codes >> 4 << np.array([0, 2, 4, 6], np.uint8)[:, None]
    rows = len(blocks)
    return np.concatenate(
        [
            low.reshape(rows, 128).astype(np.uint8),
            np.bitwise_or.reduce(high, axis=2).reshape(rows, 64),
            whole.view(np.uint8),
            d.astype(np.float16).view(np.uint8),
        ],
        axis=1,
    )


QUANTIZERS: dict[str, Callable[[Floats], Bytes]] = {
    "Q4_K": quantize_q4_k,
    "Q5_K": quantize_q5_k,
    "Q6_K": quantize_q6_k,
}


def _scaled_from_least(blocks: Floats, *, largest: int) -> tuple[Bytes, Bytes]:
    """Return (the 16 bytes before the codes, the codes uint8 (n, 256)) of blocks with scales and minima."""
    parts = blocks.reshape(-1, 8, 32)
    scales, minima = _scales_and_minima(parts, largest)
    d, least = (_half(values.max(axis=1, keepdims=True) / 63) for values in (scales, minima))
    whole_scales = np.clip(np.rint(_ratio(scales, d)), 0, 63).astype(np.uint8)
    whole_minima = np.clip(np.rint(_ratio(minima, least)), 0, 63).astype(np.uint8)
    steps, floors = (d * whole_scales)[..., None], (least * whole_minima)[..., None]
    codes = np.clip(np.rint(_ratio(parts + floors, steps)), 0, largest).astype(np.uint8)
    head = [d.astype(np.float16).view(np.uint8), least.astype(np.float16).view(np.uint8)]
    return np.concatenate([*head, _six_bits(whole_scales, whole_minima)], axis=1), codes.reshape(-1, BLOCK)


def _scales_and_minima(parts: Floats, largest: int) -> tuple[Floats, Floats]:
    """Return (scale, minimum) of each run of 32 numbers, both at least 0: x is about ``scale * q - minimum``."""
    weights = np.sqrt(np.mean(parts**2, axis=2, keepdims=True)) + np.abs(parts)
    low = np.minimum(parts.min(axis=2, keepdims=True), 0)
    span = parts.max(axis=2, keepdims=True) - low
    best_scale, best_minimum = span / largest, -low
    best = _error(parts, weights, best_scale, best_minimum, largest)
    for shift in _TRIALS:
        codes = np.clip(np.rint(_ratio(parts - low, span / (largest + shift))), 0, largest)
        scale, minimum = _fitted(parts, weights, codes)
        error = _error(parts, weights, scale, minimum, largest)
        better = error < best
        best = np.where(better, error, best)
        best_scale = np.where(better, scale, best_scale)
        best_minimum = np.where(better, minimum, best_minimum)
    return best_scale[..., 0].astype(np.float32), best_minimum[..., 0].astype(np.float32)


def _fitted(parts: Floats, weights: Floats, codes: Floats) -> tuple[Floats, Floats]:
    """Return the scale and minimum with the least weighted squared error for given codes."""
    total, by_code = weights.sum(axis=2, keepdims=True), (weights * codes).sum(axis=2, keepdims=True)
    by_square = (weights * codes**2).sum(axis=2, keepdims=True)
    by_x, by_both = (weights * parts).sum(axis=2, keepdims=True), (weights * codes * parts).sum(axis=2, keepdims=True)
    scale = np.maximum(_ratio(total * by_both - by_x * by_code, total * by_square - by_code**2), 0)
    minimum = np.maximum(_ratio(scale * by_code - by_x, total), 0)
    return scale, minimum


def _error(parts: Floats, weights: Floats, scale: Floats, minimum: Floats, largest: int) -> Floats:
    codes = np.clip(np.rint(_ratio(parts + minimum, scale)), 0, largest)
    off: Floats = (weights * (scale * codes - minimum - parts) ** 2).sum(axis=2, keepdims=True)
    return off


def _symmetric_scales(parts: Floats) -> Floats:
    """Return the scale of each run of 16 numbers; x is about ``scale * (q - 32)``."""
    weights = parts**2
    peak = np.take_along_axis(parts, np.abs(parts).argmax(axis=2)[..., None], axis=2)
    best = best_error = np.zeros_like(peak)
    for number, shift in enumerate(_TRIALS * 0.9):
        codes = np.clip(np.rint(_ratio(parts * -(32 + shift), peak)), -32, 31)
        scale = _ratio(
            (weights * codes * parts).sum(axis=2, keepdims=True), (weights * codes**2).sum(axis=2, keepdims=True)
        )
        error = (weights * (scale * codes - parts) ** 2).sum(axis=2, keepdims=True)
        better = error < best_error if number else np.ones_like(error, bool)
        best, best_error = np.where(better, scale, best), np.where(better, error, best_error)
    found: Floats = best[..., 0].astype(np.float32)
    return found


def _six_bits(scales: Bytes, minima: Bytes) -> Bytes:
    """Return uint8 (n, 12): the low 6 bits of four of each, then the last four's low 4 bits, their rest on top."""
    first = scales[:, :4] | scales[:, 4:] >> 4 << 6
    second = minima[:, :4] | minima[:, 4:] >> 4 << 6
    third = scales[:, 4:] & 15 | (minima[:, 4:] & 15) << 4
    return np.concatenate([first, second, third], axis=1)


def _nibbles(codes: Bytes) -> Bytes:
    pairs = codes.reshape(-1, 4, 2, 32)
    return (pairs[:, :, 0] | pairs[:, :, 1] << 4).astype(np.uint8).reshape(-1, 128)


def _half(values: Floats) -> Floats:
    """Round to what float16 holds."""
    return values.astype(np.float16).astype(np.float32)


def _ratio(over: Floats, under: Floats) -> Floats:
    """Divide, giving 0 where there is nothing to divide by."""
    result: Floats = np.divide(over, under, out=np.zeros(np.broadcast(over, under).shape, np.float32), where=under != 0)
    return result
