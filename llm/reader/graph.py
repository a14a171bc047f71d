"""Make the reader's int8 graph, once, at set-up: torch -> OpenVINO -> weights and activations in 8 bits."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from llm.embedders.base import padded
from llm.embedders.calibration import CHINESE, ENGLISH, passages
from llm.embedders.quantizing import save_int8
from llm.quiet import quiet_conversion
from llm.reader.windows import Framer, segments

GRAPH = "reader.xml"
_N_CALIBRATION = 96


def write_graph(network: Any, tokenizer: Tokenizer, words: npt.NDArray[Any], to: Path) -> None:
    """Write the int8 graph of a float32 network into the folder ``to``.

    Inputs are word vectors, float32 (rows, length, dimension), mask and segment, int64 (rows, length); outputs are
    start and end logits, float32 (rows, length), and judgements, float32 (rows, 3).

    Raises:
        ImportError: OpenVINO or NNCF is not installed.
    """
    with quiet_conversion():
        float_graph, samples = _float_graph(network, words.shape[1]), list(_calibration(tokenizer, words))
    save_int8(float_graph, samples, to / GRAPH)


def _float_graph(network: Any, dimension: int) -> Any:
    import openvino
    import torch

    words, mask = torch.randn(2, 16, dimension), torch.ones(2, 16, dtype=torch.int64)
    segment = torch.tensor([[0, 1, 1, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 0]] * 2)
    return openvino.convert_model(
        network.eval(),
        example_input={"words": words, "mask": mask, "segment": segment},
        input=[
            ("words", [-1, -1, dimension], np.float32),
            ("mask", [-1, -1], np.int64),
            ("segment", [-1, -1], np.int64),
        ],
    )


def _calibration(tokenizer: Tokenizer, words: npt.NDArray[Any]) -> Iterator[dict[str, Any]]:
    framer, chosen = Framer(tokenizer), random.Random(20)
    for number, text in enumerate(passages(_N_CALIBRATION)):
        question = chosen.choice((ENGLISH, CHINESE)[number % 2])
        window = framer.windows(question, "", text)[0]
        ids, mask = padded([window.ids], limit=512)
        yield {"words": words[ids].astype(np.float32), "mask": mask, "segment": segments([window], ids.shape[1])}
