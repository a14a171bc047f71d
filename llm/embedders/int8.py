"""The int8 engine: an OpenVINO graph of the encoder, its word vectors read from the model's own file.

The table of 250,037 words is most of the model and a text touches a few rows of it: it stays on disk, mapped into
memory, and only the 22 MB encoder is compiled. Neither this module nor a question asked through it imports torch.
"""

from __future__ import annotations

import json
import logging
import os
import struct
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt

from core.errors import BackendFailed, BackendUnavailable, ModelDamaged, ModelUnfit
from core.interfaces import Vectors
from llm.embedders import references
from llm.embedders.base import Embedder, Integers, ModelFolder

log = logging.getLogger(__name__)

GRAPH = "encoder.xml"
# Float32 against int8 is .996 and more on real text; an engine that computes something else falls far below.
LOWEST_COSINE = 0.99
_WORDS = "embeddings.word_embeddings.weight"
_DTYPES = {"F16": np.float16, "F32": np.float32}
_REQUESTS = 3  # an ingest, a question, and one to spare


class Int8Embedder(Embedder):
    """Runs the int8 graph of a folder's ``int8/``.

    Raises:
        BackendUnavailable: OpenVINO is not installed.
        ModelDamaged: The graph or the table of words cannot be read.
        ModelUnfit: On this machine the graph does not give the vectors it should.
    """

    engine = "openvino"

    def __init__(self, folder: ModelFolder, *, threads: int = 0) -> None:
        super().__init__(folder)
        self._words = map_words(folder.path / "model.safetensors")
        compiled = compile_graph(folder.path / "int8" / GRAPH, threads=threads, setting="embedder.engine")
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(_REQUESTS):
            self._requests.put(compiled.create_infer_request())
        self._check()

    def _forward(self, ids: Integers, mask: Integers) -> Vectors:
        request = self._requests.get()
        try:
            result = request.infer([self._words[ids].astype(np.float32), mask])
            return np.array(result[0], np.float32)
        except RuntimeError as error:
            raise BackendFailed(f"OpenVINO failed ({_first_line(error)})", where=self.folder.path.name) from error
        finally:
            self._requests.put(request)

    def _check(self) -> None:
        try:
            expected = references.read(self.folder.path / references.FILE)
        except (OSError, ValueError, KeyError) as error:
            raise ModelDamaged("its reference vectors cannot be read", where=self.folder.path.name) from error
        lowest = references.lowest_cosine(self._encode(references.SENTENCES), expected)
        if lowest < LOWEST_COSINE:
            raise ModelUnfit(
                f"the int8 graph is off on this machine (cosine {lowest:.3f} with the reference)",
                where=self.folder.path.name,
                remedy="Set embedder.engine to torch",
            )


def map_words(path: Path) -> npt.NDArray[Any]:
    """Map the table of word vectors of a safetensors file into memory, (words, dimension), read-only.

    Raises:
        ModelDamaged: The file is cut short or holds no such table.
    """
    try:
        with path.open("rb") as file:
            (n_header,) = struct.unpack("<Q", file.read(8))
            header = json.loads(file.read(min(n_header, 1 << 24)))
        name = next(each for each in header if each.endswith(_WORDS))
        begin = header[name]["data_offsets"][0]
        whole = max(each["data_offsets"][1] for label, each in header.items() if label != "__metadata__")
        if path.stat().st_size < 8 + n_header + whole:
            raise ValueError("the file ends early")
        dtype, shape = _DTYPES[header[name]["dtype"]], tuple(header[name]["shape"])
        return np.memmap(path, dtype, "r", offset=8 + n_header + begin, shape=shape)
    except (OSError, ValueError, KeyError, StopIteration, struct.error) as error:
        remedy = "Delete the folder and run the set-up again"
        raise ModelDamaged(f"its weights cannot be read ({error})", where=path.parent.name, remedy=remedy) from error


def compile_graph(graph: Path, *, threads: int, setting: str) -> Any:
    """Compile a graph of OpenVINO's for low latency; ``setting`` names the engine in errors.

    Raises:
        BackendUnavailable: OpenVINO is not installed.
        ModelDamaged: The graph is not there or cannot be loaded.
    """
    try:
        import openvino
    except (ImportError, OSError) as error:
        remedy = f"Install the requirements, or set {setting} to torch"
        raise BackendUnavailable("OpenVINO is not installed", where=setting, remedy=remedy) from error
    if not graph.is_file():
        raise ModelDamaged("has no int8 graph", where=graph.parent.parent.name, remedy="Run the set-up again")
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads or os.cpu_count() or 1,
        "ENABLE_CPU_PINNING": False,  # the same cores parse documents and write answers
    }
    try:
        return openvino.Core().compile_model(str(graph), "CPU", options)
    except RuntimeError as error:
        remedy = f"Delete the folder int8 of the model and run the set-up again, or set {setting} to torch"
        what = f"the int8 graph cannot be loaded ({_first_line(error)})"
        raise ModelDamaged(what, where=graph.parent.parent.name, remedy=remedy) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:160]
