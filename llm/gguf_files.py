"""GGUF files: read and check their headers before llama.cpp does; :mod:`llm.gguf_writing` writes them.

llama.cpp may end the whole process on a file that is cut short or is something else; here each such file is a named
error. Reading is ours too because a header of 49,000 words takes the ``gguf`` package a second and this a fraction.

```
"GGUF" | version u32 | n_tensors u64 | n_fields u64 | fields: name, type u32, value
tensors: name, n_dimensions u32, dimensions u64..., type u32, offset u64 | padding to the alignment | tensor bytes
```
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from core.errors import ModelDamaged, ModelMissing, ModelUnfit

MAGIC = b"GGUF"
DEFAULT_ALIGNMENT = 32
_MAX_COUNT = 1 << 24  # more fields, words or tensors than any model has: the count is garbage
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_UINT32, _STRING, _ARRAY = 4, 8, 9
_CONTROL_TOKEN = 3  # token types: 1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A tensor's place: ``dimensions`` innermost first, ``offset`` from the start of the tensor bytes."""

    name: str
    dimensions: tuple[int, ...]
    kind: int
    offset: int
    n_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufFile:
    """A checked file: its fields, its tensors, and where its parts lie in bytes from the start."""

    path: Path
    fields: dict[str, Any]
    field_places: dict[str, int]
    tensors: tuple[Tensor, ...]
    fields_start: int
    fields_end: int
    tensors_start: int

    @property
    def architecture(self) -> str:
        """What llama.cpp calls the kind of model, such as "llama"."""
        return str(self.fields.get("general.architecture", ""))

    @property
    def trained_ctx(self) -> int:
        """The longest context the model was trained for, in tokens; 0 where the file does not say."""
        return int(self.fields.get(f"{self.architecture}.context_length", 0))

    @property
    def chat_template(self) -> str:
        """The Jinja template in the file, or ""."""
        return str(self.fields.get("tokenizer.chat_template", ""))

    @property
    def control_tokens(self) -> tuple[str, ...]:
        """The words of the vocabulary that steer the model rather than being text."""
        words = self.fields.get("tokenizer.ggml.tokens", [])
        kinds = self.fields.get("tokenizer.ggml.token_type", [])
        return tuple(word for word, kind in zip(words, kinds, strict=False) if kind == _CONTROL_TOKEN and word)


class _Reader:
    def __init__(self, file: IO[bytes]) -> None:
        self.file = file

    def take(self, n_bytes: int) -> bytes:
        raw = self.file.read(n_bytes)
        if len(raw) != n_bytes:
            raise EOFError("the file ends in its header")
        return raw

    def one(self, form: str) -> Any:
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form)))[0]

    def count(self) -> int:
        n = int(self.one("Q"))
        if n > _MAX_COUNT:
            raise ValueError(f"a count of {n:,}")
        return n

    def text(self) -> str:
        return self.take(self.count()).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.one(_SCALARS[kind])
        kind, n = self.one("I"), self.count()
        if kind in (_STRING, _ARRAY):
            return [self.value(kind) for _ in range(n)]
        form = np.dtype("<" + _SCALARS[kind])
        return np.frombuffer(self.take(form.itemsize * n), form).tolist()


def read_gguf(path: Path) -> GgufFile:
    """Read a file's header and check that every tensor lies inside the file.

    Raises:
        ModelMissing: There is no such file.
        ModelUnfit: It is no GGUF file, of a version or byte order that is not read, or is one part of several.
        ModelDamaged: It is cut short, or its header is garbage.
    """
    try:
        with path.open("rb") as file:
            return _read(path, _Reader(file))
    except FileNotFoundError:
        raise ModelMissing("there is no such model file", where=path.name, remedy="Check generator.model") from None
    except IsADirectoryError:
        raise ModelUnfit("is a folder, not a GGUF file", where=path.name, remedy="Name the file in it") from None
    except (EOFError, ValueError, KeyError, struct.error, MemoryError) as error:
        remedy = "Fetch the file again"
        raise ModelDamaged(f"is truncated or malformed ({error})", where=path.name, remedy=remedy) from error


def _read(path: Path, reader: _Reader) -> GgufFile:
    if (magic := reader.file.read(4)) != MAGIC:
        what = "is empty" if not magic else "is not a GGUF file"
        raise ModelUnfit(what, where=path.name, remedy="Name a .gguf file, or set generator.backend to transformers")
    version = reader.one("I")
    if version not in (2, 3):
        raise ModelUnfit(f"is GGUF version {version}; 2 and 3 are read", where=path.name, remedy="Convert it anew")
    n_tensors, n_fields = reader.count(), reader.count()
    fields_start = reader.file.tell()
    fields, places = {}, {}
    for _ in range(n_fields):
        name, kind = reader.text(), reader.one("I")
        places[name] = reader.file.tell()
        fields[name] = reader.value(kind)
    if int(fields.get("split.count", 1)) > 1:
        raise ModelUnfit("is one part of several", where=path.name, remedy="Join the parts with llama-gguf-split")
    fields_end = reader.file.tell()
    tensors = tuple(_tensor(reader) for _ in range(n_tensors))
    alignment = int(fields.get("general.alignment", DEFAULT_ALIGNMENT)) or DEFAULT_ALIGNMENT
    tensors_start = aligned(reader.file.tell(), alignment)
    size = os.fstat(reader.file.fileno()).st_size
    end = tensors_start + max((tensor.offset + tensor.n_bytes for tensor in tensors), default=0)
    if not tensors:
        raise ValueError("it holds no weights")
    if size < end:
        raise EOFError(f"{size:,} of {end:,} bytes")
    return GgufFile(
        path=path,
        fields=fields,
        field_places=places,
        tensors=tensors,
        fields_start=fields_start,
        fields_end=fields_end,
        tensors_start=tensors_start,
    )


def _tensor(reader: _Reader) -> Tensor:
    from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

    name, n_dimensions = reader.text(), reader.one("I")
    if n_dimensions > 8:
        raise ValueError(f"a tensor of {n_dimensions} dimensions")
    dimensions = tuple(reader.one("Q") for _ in range(n_dimensions))
    kind, offset = reader.one("I"), reader.one("Q")
    block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    n = 1
    for each in dimensions:
        n *= each
    return Tensor(name=name, dimensions=dimensions, kind=kind, offset=offset, n_bytes=n // block * block_bytes)


def check_llama(file: GgufFile) -> None:
    """Check that a file is a whole text model of the Llama architecture.

    Raises:
        ModelUnfit: It is another kind of model, or lacks its words or a layer.
    """
    if file.architecture != "llama":
        what = f"is of the architecture {file.architecture or 'unknown'!r}, not a Llama"
        raise ModelUnfit(what, where=file.path.name, remedy="Name a Llama-architecture model, or serve it elsewhere")
    if not file.fields.get("tokenizer.ggml.tokens"):
        raise ModelUnfit("holds no vocabulary", where=file.path.name, remedy="Convert the model anew")
    names = {tensor.name for tensor in file.tensors}
    layers = int(file.fields.get("llama.block_count", 0))
    wanted = ["token_embd.weight", "output_norm.weight", *(f"blk.{layer}.attn_q.weight" for layer in range(layers))]
    lacking = [name for name in wanted if name not in names]
    if lacking or not layers:
        lacks = lacking[0] if lacking else "every layer"
        raise ModelUnfit(f"lacks {lacks}", where=file.path.name, remedy="Fetch or convert the model anew")


def aligned(n: int, alignment: int = DEFAULT_ALIGNMENT) -> int:
    """Return ``n`` rounded up to a multiple of ``alignment``."""
    return -(-n // alignment) * alignment
