"""The torch engine: any sentence-transformers folder, in bfloat16 where the processor computes in it."""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np

from core.errors import BackendFailed, BackendUnavailable, ModelDamaged
from core.interfaces import Vectors
from llm.embedders.base import Embedder, Integers, ModelFolder
from llm.quiet import quiet_transformers

log = logging.getLogger(__name__)


class TorchEmbedder(Embedder):
    """Runs a folder's own modules (transformer, pooling, norm) as they are configured.

    Raises:
        BackendUnavailable: torch or sentence-transformers is not installed.
        ModelDamaged: The folder cannot be loaded.
    """

    engine = "torch"

    def __init__(self, folder: ModelFolder, *, threads: int = 0, bfloat16: bool | None = None) -> None:
        super().__init__(folder)
        try:
            import torch
            from safetensors import SafetensorError
            from sentence_transformers import SentenceTransformer
        except (ImportError, OSError) as error:
            remedy = "Install the requirements, or set embedder.engine to openvino"
            raise BackendUnavailable("torch is not installed", where="embedder.engine", remedy=remedy) from error
        quiet_transformers()
        torch.set_num_threads(threads or os.cpu_count() or 1)
        self.bfloat16 = computes_bfloat16() if bfloat16 is None else bfloat16
        dtype = torch.bfloat16 if self.bfloat16 else torch.float32
        try:
            self._model: Any = SentenceTransformer(
                str(folder.path), device="cpu", local_files_only=True, model_kwargs={"dtype": dtype}
            )
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            remedy = "Delete the folder and run the set-up again, or name another in embedder.model"
            what = f"cannot be loaded ({str(error).splitlines()[0][:160]})"
            raise ModelDamaged(what, where=folder.path.name, remedy=remedy) from error
        self._model.eval()

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._model.get_embedding_dimension() or self.folder.dimension)

    def _forward(self, ids: Integers, mask: Integers) -> Vectors:
        import torch

        try:
            with torch.inference_mode():
                found = self._model({"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)})
        except RuntimeError as error:
            raise BackendFailed(f"torch failed ({error})", where=self.folder.path.name) from error
        vectors = found["sentence_embedding"].float().numpy()
        norms: Vectors = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Vectors = vectors / np.maximum(norms, 1e-12)
        return unit


def computes_bfloat16() -> bool:
    """Return whether this processor multiplies in bfloat16 (AVX512_BF16 or AMX), where it is faster than float32."""
    import torch

    can = torch.cpu.get_capabilities()
    return bool(can.get("amx_bf16") or can.get("avx512_bf16"))
