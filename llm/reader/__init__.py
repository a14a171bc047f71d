"""The reader: a small cross-encoder that reads a question with a passage, and says where the answer stands."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BackendUnavailable, ModelError, ModelUnfit
from core.settings import EmbedderSettings, ReaderSettings
from llm.reader.serving import PassageReading, Reader, Span
from llm.registry import exclusive, flush_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from llm.reader.weights import Manifest

__all__ = ["TRACKED", "PassageReading", "Reader", "Span", "open_reader", "reader_folder"]

log = logging.getLogger(__name__)

TRACKED = Path(__file__).resolve().parent.parent / "weights" / "reader"
"""The reader that comes with Citadel."""
_GRAPH_RECIPE = 1  # raise it when the graph made of the same weights changes


def reader_folder(settings: ReaderSettings) -> Path | None:
    """Return the folder of the settings' reader; None where answers are to do without one."""
    if settings.model == "none":
        return None
    return TRACKED if settings.model == "default" else Path(settings.model).expanduser()


def open_reader(
    settings: ReaderSettings,
    embedder: EmbedderSettings,
    models_dir: Path,
    progress: Callable[[str, int, int], None] | None = None,
) -> Reader | None:
    """Open the reader of the settings; None where they name none.

    With engine "auto", an engine that is not installed, is broken or fails its check gives way to torch, with a warning
    in the log.

    Raises:
        ModelError: The reader, its embedder or the engine that was asked for cannot be had; see :mod:`core.errors`.
    """
    from llm.embedders import prepare_embedder
    from llm.embedders.base import read_tokenizer
    from llm.embedders.int8 import map_words
    from llm.reader.weights import read_manifest

    folder = reader_folder(settings)
    if folder is None:
        return None
    manifest = read_manifest(folder)
    base = prepare_embedder(embedder.model_copy(update={"model": manifest.embedder}), models_dir, progress)
    check_embedder(folder, manifest, base.sha256)
    tokenizer, words = read_tokenizer(base), map_words(base.path / "model.safetensors")

    def by_torch() -> Reader:
        from llm.reader.serving import TorchReader

        reader = TorchReader(tokenizer, words, load_network(folder, base.path), threads=settings.threads)
        reader.check(manifest.references)
        return reader

    def by_openvino() -> Reader:
        from llm.reader.serving import OpenVinoReader

        graph = _graph(folder, manifest, models_dir, base_path=base.path, tokenizer=tokenizer, words=words)
        reader = OpenVinoReader(tokenizer, words, graph, threads=settings.threads)
        reader.check(manifest.references)
        return reader

    if settings.engine == "torch":
        return by_torch()
    try:
        return by_openvino()
    except (ModelError, ImportError) as error:
        if settings.engine == "openvino":
            raise error if isinstance(error, ModelError) else _missing(error) from error
        log.warning("the openvino engine is passed over: %s", error)
        return by_torch()


def check_embedder(folder: Path, manifest: Manifest, sha256: str) -> None:
    """Raise ``ModelUnfit`` where a reader was trained on another embedder than the one of this sha256."""
    if sha256 != manifest.embedder_sha256:
        remedy = f"It needs {manifest.embedder} of sha256 {manifest.embedder_sha256[:16]}"
        raise ModelUnfit("was trained on another embedder", where=str(folder), remedy=remedy)


def load_network(folder: Path, embedder: Path) -> Any:
    """Return the float32 network of a reader's folder on the embedder's folder."""
    import torch

    from llm.reader.network import from_embedder
    from llm.reader.weights import read_manifest, unpack

    network, _ = from_embedder(embedder)
    state = {name: torch.from_numpy(values) for name, values in unpack(folder, read_manifest(folder)).items()}
    lost = network.load_state_dict(state, strict=False)
    strays = [name for name in (*lost.missing_keys, *lost.unexpected_keys) if "embeddings." not in name]
    if strays:
        raise ModelUnfit(f"lacks or has too many weights ({strays[0]})", where=str(folder))
    return network


def _graph(folder: Path, manifest: Manifest, models_dir: Path, *, base_path: Path, tokenizer: Any, words: Any) -> Path:
    """Return the int8 graph of these weights, made first where that was not done."""
    from llm.reader.graph import GRAPH, write_graph

    place = models_dir / f"reader-{manifest.sha256[:12]}-{_GRAPH_RECIPE}"
    if not place.is_dir():
        with exclusive(place):
            if not place.is_dir():
                log.info("making the int8 graph of the reader")
                beside = place.with_name(place.name + ".tmp")
                shutil.rmtree(beside, ignore_errors=True)
                write_graph(load_network(folder, base_path), tokenizer, words, beside)
                beside.replace(place)
                flush_folder(place.parent)
    return place / GRAPH


def _missing(error: ImportError) -> BackendUnavailable:
    remedy = "Install the requirements, or set reader.engine to torch"
    return BackendUnavailable(f"OpenVINO is not installed ({error.name})", where="reader.engine", remedy=remedy)
