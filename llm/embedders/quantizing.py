"""Make the int8 graph of an embedder, once, at set-up: torch -> OpenVINO -> weights and activations in 8 bits.

Quantizing the activations too is what makes it fast (integer products on VNNI); their ranges come from
:mod:`llm.embedders.calibration`. Nothing here is imported when the graph is there.
"""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from core.errors import ModelUnfit
from llm.embedders import references
from llm.embedders.base import ModelFolder, padded, read_tokenizer
from llm.embedders.calibration import passages
from llm.embedders.int8 import GRAPH, LOWEST_COSINE, map_words
from llm.quiet import quiet_conversion, quiet_transformers

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

log = logging.getLogger(__name__)

_N_CALIBRATION = 64
_SMOOTHING = 0.6  # share of an activation's outliers that is moved into the weights (SmoothQuant, Xiao et al. 2022)


def write_references(folder: ModelFolder) -> None:
    """Write the float32 vectors of the fixed sentences beside the model."""
    import torch

    encoder = _encoder(folder)
    with torch.inference_mode():
        rows = [encoder(torch.from_numpy(words), torch.from_numpy(mask)).numpy() for words, mask in _inputs(folder)]
    references.write(folder.path / references.FILE, np.concatenate(rows))


def write_graph(folder: ModelFolder, to: Path) -> None:
    """Write the int8 graph of a BERT folder into the folder ``to``.

    Its inputs are word vectors, float32 (rows, length, dimension), and the mask, int64 (rows, length); its output is
    float32 (rows, dimension), unit norm.

    Raises:
        ImportError: OpenVINO or NNCF is not installed.
        ModelUnfit: The graph does not reproduce the float32 vectors.
    """
    import openvino

    with quiet_conversion():
        float_graph, samples = _float_graph(folder), list(_calibration(folder))
    graph = save_int8(float_graph, samples, to / GRAPH)
    compiled = openvino.Core().compile_model(graph, "CPU")
    found = np.concatenate([compiled([words, mask])[0] for words, mask in _inputs(folder)])
    lowest = references.lowest_cosine(found, references.read(folder.path / references.FILE))
    log.info("int8 graph made; lowest cosine with float32: %.4f", lowest)
    if lowest < LOWEST_COSINE:
        shutil.rmtree(to)
        raise ModelUnfit(f"its int8 graph is off (cosine {lowest:.3f})", where=folder.path.name)


def save_int8(float_graph: Any, samples: Sequence[Any], path: Path) -> Any:
    """Quantize weights and activations of an OpenVINO graph, write the result to ``path`` and return it.

    Args:
        float_graph: A transformer's graph.
        samples: Inputs that show the ranges of its activations.
        path: Where to; its folder is made.

    Raises:
        ImportError: OpenVINO or NNCF is not installed.
    """
    import nncf
    import openvino

    with quiet_conversion():
        graph = nncf.quantize(
            float_graph,
            nncf.Dataset(list(samples)),
            model_type=nncf.ModelType.TRANSFORMER,
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(samples),
            advanced_parameters=nncf.AdvancedQuantizationParameters(
                smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=_SMOOTHING)
            ),
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    openvino.save_model(graph, str(path), compress_to_fp16=True)
    return graph


def _float_graph(folder: ModelFolder) -> Any:
    import openvino
    import torch

    words, mask = torch.randn(2, 16, folder.dimension), torch.ones(2, 16, dtype=torch.int64)
    mask[1, 10:] = 0
    return openvino.convert_model(
        _encoder(folder),
        example_input={"words": words, "mask": mask},
        input=[("words", [-1, -1, folder.dimension], np.float32), ("mask", [-1, -1], np.int64)],
    )


def _encoder(folder: ModelFolder) -> Any:
    import torch
    from transformers import AutoModel

    quiet_transformers()

    class Encoder(torch.nn.Module):
        """Word vectors and mask -> unit vectors, by the mean over the words that are there."""

        def __init__(self) -> None:
            super().__init__()
            self.bert = AutoModel.from_pretrained(str(folder.path), dtype=torch.float32, local_files_only=True)

        def forward(self, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            hidden = self.bert(inputs_embeds=words, attention_mask=mask)[0]
            there = mask.unsqueeze(-1).to(hidden.dtype)
            mean = (hidden * there).sum(1) / there.sum(1).clamp(min=1)
            return torch.nn.functional.normalize(mean, dim=-1)

    return Encoder().eval()


def _inputs(folder: ModelFolder) -> Iterator[tuple[Any, Any]]:
    tokenizer, words = read_tokenizer(folder), map_words(folder.path / "model.safetensors")
    for sentence in references.SENTENCES:
        ids, mask = padded([tokenizer.encode(sentence).ids], limit=folder.max_tokens)
        yield words[ids].astype(np.float32), mask


def _calibration(folder: ModelFolder) -> Iterator[dict[str, Any]]:
    tokenizer, words = read_tokenizer(folder), map_words(folder.path / "model.safetensors")
    for number, text in enumerate(passages(_N_CALIBRATION)):
        prefix = folder.query_prefix if number % 4 == 0 else folder.passage_prefix
        ids, mask = padded([tokenizer.encode(prefix + text).ids[: folder.max_tokens]], limit=folder.max_tokens)
        yield {"words": words[ids].astype(np.float32), "mask": mask}
