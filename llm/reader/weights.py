"""The reader on disk: its own weights in 8 bits, without the table of words, and a manifest written last.

A folder holds ``reader.safetensors`` (each matrix int8 with a float32 scale a row, the rest float32) and
``reader.json`` (the embedder it stands on, by sha256; how it was trained; what it must give for fixed pairs): 22 MB for
21.7 M weights.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from core.errors import ModelDamaged, ModelMissing, ModelUnfit
from llm.registry import sha256_of

WEIGHTS = "reader.safetensors"
MANIFEST = "reader.json"
FORMAT = 1
_SCALE = ".scale"
_EMBEDDER_OWNS = "encoder.embeddings."
Arrays = dict[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is said of the weights.

    ``embedder_sha256`` pins the file the encoder's table of words comes from, ``sha256`` the weights themselves;
    ``references`` is what float32 gives for :data:`llm.reader.references.PAIRS`.
    """

    embedder: str
    embedder_sha256: str
    sha256: str
    recipe: dict[str, Any]
    references: list[list[float]]
    format: int = FORMAT


def pack(state: Arrays, folder: Path) -> str:
    """Write the weights into ``folder``, without a manifest until :func:`write_manifest`, and return their sha256."""
    packed: dict[str, npt.NDArray[Any]] = {}
    for name, values in state.items():
        if name.startswith(_EMBEDDER_OWNS):
            continue
        if values.ndim == 2 and min(values.shape) > len("xyz"):  # the heads' few rows are not worth rounding
            scale = np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-12) / 127
            packed[name] = np.rint(values / scale).astype(np.int8)
            packed[name + _SCALE] = scale.astype(np.float32)
        else:
            packed[name] = np.ascontiguousarray(values, np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    save_file(packed, folder / WEIGHTS)
    return sha256_of(folder / WEIGHTS)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a folder's weights."""
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest), ensure_ascii=False, indent=1) + "\n", "utf-8")


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a reader's folder.

    Raises:
        ModelMissing: There is no reader there.
        ModelDamaged: The manifest cannot be read.
        ModelUnfit: It is of a later format.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise ModelMissing("holds no reader", where=str(folder), remedy="Name a folder that training wrote")
    try:
        fields = json.loads(path.read_text("utf-8"))
        if fields.get("format") != FORMAT:
            raise ModelUnfit(f"is of format {fields.get('format')}, and this reads {FORMAT}", where=str(folder))
        return Manifest(**fields)
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelDamaged(f"its manifest cannot be read ({error})", where=str(folder)) from error


def unpack(folder: Path, manifest: Manifest) -> Arrays:
    """Return the weights as float32.

    Raises:
        ModelDamaged: The file is not what the manifest says.
    """
    path = folder / WEIGHTS
    try:
        if sha256_of(path) != manifest.sha256:
            raise ModelDamaged(
                "its weights are not those of its manifest", where=str(folder), remedy="Restore the folder"
            )
        packed = load_file(path)
    except (OSError, ValueError, SafetensorError) as error:
        raise ModelDamaged(f"its weights cannot be read ({error})", where=str(folder)) from error
    return {
        name: values.astype(np.float32) * packed[name + _SCALE] if name + _SCALE in packed else values
        for name, values in packed.items()
        if not name.endswith(_SCALE)
    }
