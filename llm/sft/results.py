"""What a run leaves: an adapter, or a whole model, with its manifest."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from llm.adapters import CONFIG, WEIGHTS, write_manifest
from llm.sft.bases import Base
from llm.sft.learning import Learner
from llm.sft.recipe import Recipe

_LIBRARIES = ("torch", "transformers", "peft", "accelerate")


def write_result(out: Path, learner: Learner, base: Base, recipe: Recipe, *, about: dict[str, Any]) -> None:
    """Write what was learned into ``out``, the manifest last.

    An adapter goes into float16, half the size at no loss that can be measured; a whole model into bfloat16, which has
    float32's range.
    """
    model = learner.model
    if recipe.method == "full":
        model.to(torch.bfloat16).save_pretrained(out)
        base.tokenizer.save_pretrained(out)
        kind, written = "model", [path.name for path in out.glob("*.safetensors")]
    else:
        for config in model.peft_config.values():
            config.base_model_name_or_path = base.name  # not a path of this machine
        model.save_pretrained(out, save_embedding_layers=False)
        weights = {name: value.to(torch.float16) for name, value in load_file(out / WEIGHTS).items()}
        save_file(weights, out / WEIGHTS, metadata={"format": "pt"})
        (out / "README.md").unlink(missing_ok=True)  # peft's empty card
        kind, written = "adapter", [CONFIG, WEIGHTS]
    manifest = {"kind": kind, **about, "libraries": {name: version(name) for name in _LIBRARIES}}
    write_manifest(out, manifest, files=written)
