"""Embedders: text -> unit vectors, through the fastest engine that this machine runs.

``ENGINES`` is the table: a new engine is one file and one line.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

from core.errors import BackendUnavailable, ModelDamaged, ModelError, ModelMissing
from core.settings import EmbedderSettings
from core.tables import load
from llm.embedders.base import Embedder, ModelFolder, read_folder
from llm.registry import MODELS, exclusive, flush_folder, is_registered, resolve, sha256_of

__all__ = ["ENGINES", "Embedder", "Progress", "open_embedder", "prepare_embedder"]

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]
"""Called with the model's name, bytes done and bytes in all."""

# In the order in which "auto" tries them.
ENGINES = {
    "openvino": "llm.embedders.int8:Int8Embedder",
    "torch": "llm.embedders.torch_engine:TorchEmbedder",
}
_RECIPE = 1  # raise it when what is written from the same packed file changes
_COMPLETE = "complete.json"


def open_embedder(settings: EmbedderSettings, models_dir: Path, progress: Progress | None = None) -> Embedder:
    """Open the embedder of the settings, fetching and unpacking it first where that was not done.

    With engine "auto" an engine that is not installed, is broken or fails its check against the reference vectors
    gives way to the next, with a warning in the log.

    Raises:
        ModelError: The model or the engine that was asked for cannot be had; see :mod:`core.errors`.
    """
    folder = prepare_embedder(settings, models_dir, progress)
    quantized = (folder.path / "int8").is_dir()
    if settings.engine != "auto":
        return _open(settings.engine, folder, settings.threads)
    names = [name for name in ENGINES if name != "openvino" or quantized]
    for name in names[:-1]:
        try:
            return _open(name, folder, settings.threads)
        except ModelError as error:
            log.warning("the %s engine is passed over: %s", name, error)
    return _open(names[-1], folder, settings.threads)


def prepare_embedder(settings: EmbedderSettings, models_dir: Path, progress: Progress | None = None) -> ModelFolder:
    """Return the model's folder, unpacked and with its int8 graph where OpenVINO and NNCF are installed."""
    if is_registered(settings.model):
        return _unpacked(settings.model, models_dir, progress, engine=settings.engine)
    path = Path(settings.model).expanduser()
    if not (path / "config.json").is_file():
        remedy = f"Name a sentence-transformers folder, or one of: {', '.join(MODELS)}"
        raise ModelMissing("is no known embedder and no model's folder", where=settings.model, remedy=remedy)
    return read_folder(path, sha256=_folder_sha256(path))


def _open(engine: str, folder: ModelFolder, threads: int) -> Embedder:
    opened: Embedder = load(ENGINES[engine])(folder, threads=threads)
    log.info("embedder %s through %s", folder.path.name, engine)
    return opened


def _unpacked(name: str, models_dir: Path, progress: Progress | None, *, engine: str) -> ModelFolder:
    packed = resolve(name, models_dir, lambda done, total: progress(name, done, total) if progress else None)
    place = models_dir / (name if name in MODELS else packed.stem)
    sha256 = MODELS[name].sha256 if name in MODELS else sha256_of(packed)
    made_of = {"sha256": sha256, "recipe": _RECIPE}
    if _made_of(place) != made_of:
        with exclusive(place):
            if _made_of(place) != made_of:
                _unpack(packed, place, made_of=made_of)
    folder = read_folder(place, sha256=sha256)
    if engine != "torch" and not (place / "int8").is_dir():
        with exclusive(place):
            _quantize(folder)
    return folder


def _unpack(packed: Path, place: Path, *, made_of: dict[str, object]) -> None:
    from llm import e5
    from llm.embedders.quantizing import write_references

    log.info("unpacking %s", place.name)
    beside = place.with_name(place.name + ".tmp")
    for old in (beside, place):
        shutil.rmtree(old, ignore_errors=True)
    beside.mkdir(parents=True)
    e5.write_folder(e5.read(packed), beside)
    write_references(read_folder(beside, sha256=""))
    (beside / _COMPLETE).write_text(json.dumps(made_of), "utf-8")  # last: a folder without it is made anew
    beside.replace(place)
    flush_folder(place.parent)


def _quantize(folder: ModelFolder) -> None:
    place = folder.path / "int8"
    beside = folder.path / "int8.tmp"
    if place.is_dir():
        return
    try:
        from llm.embedders.quantizing import write_graph

        log.info("making the int8 graph of %s", folder.path.name)
        shutil.rmtree(beside, ignore_errors=True)
        write_graph(folder, beside)
        beside.replace(place)
        flush_folder(place.parent)
    except (ImportError, RuntimeError, BackendUnavailable, ModelError) as error:
        log.warning("no int8 graph, torch runs the embedder: %s", error)


def _made_of(place: Path) -> object:
    try:
        return json.loads((place / _COMPLETE).read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _folder_sha256(path: Path) -> str:
    """Return one sha256 for the weights of a folder, in the order of their names."""
    weights = sorted(file for kind in ("*.safetensors", "*.bin") for file in path.glob(kind))
    if not weights:
        raise ModelDamaged("holds no weights", where=path.name, remedy="Fetch the model again")
    digest = hashlib.sha256()
    for file in weights:
        digest.update(f"{file.name} {sha256_of(file)}\n".encode())
    return digest.hexdigest()
