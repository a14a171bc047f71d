"""Trained adapters on disk: a folder in peft's format with a manifest that says of what, from what and how good.

```
adapter_config.json   adapter_model.safetensors   manifest.json (written last)   log.jsonl   loss.svg
```

An adapter changes a base's matrices: ``W + alpha / rank * B @ A``. It fits one base only, named by its sha256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import ModelDamaged, ModelMissing, ModelUnfit
from llm.registry import model_sha256, sha256_of, write_durably

MANIFEST, CONFIG, WEIGHTS = "manifest.json", "adapter_config.json", "adapter_model.safetensors"
SHIPPED = Path(__file__).resolve().parent / "weights" / "generator"

Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Adapter:
    """A checked adapter: its folder and its manifest."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def base_sha256(self) -> str:
        """The sha256 of the base it was trained on."""
        return str(self.manifest["base"]["sha256"])

    @cached_property
    def fingerprint(self) -> str:
        """What tells this adapter from every other: 64 hexadecimal digits."""
        digests = [self.manifest["files"][name] for name in (CONFIG, WEIGHTS)]
        return hashlib.sha256(" ".join(digests).encode()).hexdigest()

    @cached_property
    def scale(self) -> float:
        """What ``B @ A`` is multiplied by."""
        config = json.loads((self.folder / CONFIG).read_text("utf-8"))
        rank = float(config["r"])
        return float(config["lora_alpha"]) / (rank**0.5 if config.get("use_rslora") else rank)

    def matrices(self) -> dict[str, tuple[Matrix, Matrix]]:
        """Return (A, B) by the name of the base's module, such as ``model.layers.0.self_attn.q_proj``.

        A is float32 (rank, n_in), B float32 (n_out, rank).

        Raises:
            ModelDamaged: The weights cannot be read, or are no such pairs.
        """
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            weights = load_file(self.folder / WEIGHTS)
            names = {name.removesuffix(".lora_A.weight") for name in weights if name.endswith(".lora_A.weight")}
            pairs = {
                name.removeprefix("base_model.model."): (
                    weights[f"{name}.lora_A.weight"].astype(np.float32),
                    weights[f"{name}.lora_B.weight"].astype(np.float32),
                )
                for name in sorted(names)
            }
        except (OSError, SafetensorError, KeyError) as error:
            raise ModelDamaged(f"its weights cannot be read ({error})", where=self.folder.name) from error
        if not pairs or 2 * len(pairs) != len(weights):
            raise ModelDamaged("its weights are not of the kind that is read", where=self.folder.name)
        return pairs

    def check_base(self, sha256: str, *, name: str) -> None:
        """Check that this adapter was trained on the base called ``name``.

        Raises:
            ModelUnfit: It was trained on another.
        """
        if sha256 != self.base_sha256:
            trained_on = self.manifest["base"]["name"]
            what = f"is an adapter for {trained_on} ({self.base_sha256[:12]}…), not for {name} ({sha256[:12]}…)"
            remedy = "Name an adapter that was trained on this model, or set generator.adapter=none"
            raise ModelUnfit(what, where=self.folder.name, remedy=remedy)


def base_sha256(path: Path) -> str:
    """Return the sha256 of a GGUF file, or of a folder's weights in the order of their names."""
    if path.is_file():
        return model_sha256(path)
    digest = hashlib.sha256()
    for weights in sorted(path.glob("*.safetensors")):
        digest.update(f"{weights.name} {sha256_of(weights)}\n".encode())
    return digest.hexdigest()


def read_adapter(folder: Path) -> Adapter:
    """Return the adapter of a folder, its files checked against the manifest.

    Raises:
        ModelMissing: There is no such folder, or no manifest: the training did not end.
        ModelDamaged: A file is not the one that was written, or the manifest is malformed.
    """
    if not folder.is_dir():
        remedy = "Check generator.adapter, or train one with `python -m llm sft`"
        raise ModelMissing("there is no such adapter folder", where=str(folder), remedy=remedy)
    manifest = read_manifest(folder)
    if manifest.get("kind") != "adapter":
        remedy = "It is a whole model: name it as generator.model"
        raise ModelUnfit("holds no adapter", where=folder.name, remedy=remedy)
    for name in (CONFIG, WEIGHTS):
        path = folder / name
        if not path.is_file() or sha256_of(path) != manifest["files"].get(name):
            remedy = "Fetch or train it again"
            raise ModelDamaged(f"{name} is missing or not the one that was written", where=folder.name, remedy=remedy)
    return Adapter(folder=folder, manifest=manifest)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a trained folder.

    Raises:
        ModelMissing: There is none.
        ModelDamaged: It is malformed.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        if not isinstance(manifest["files"], dict) or not isinstance(manifest["base"]["sha256"], str):
            raise ValueError("its files and base are not as they should be")
    except FileNotFoundError:
        remedy = "Finish the training with `python -m llm sft --resume`"
        raise ModelMissing("has no manifest.json: its training did not end", where=folder.name, remedy=remedy) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelDamaged(f"its manifest is malformed ({error})", where=folder.name) from error
    return dict(manifest)


def write_manifest(folder: Path, manifest: Mapping[str, Any], *, files: list[str]) -> None:
    """Write the manifest last, with the sha256 of each of ``files``: a folder that has one is whole."""
    whole = {**manifest, "files": {name: sha256_of(folder / name) for name in sorted(files)}}
    write_durably(folder / MANIFEST, (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode())
