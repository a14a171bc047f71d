"""From the name of a generator to a checked GGUF file on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from core.errors import ModelMissing
from core.tables import nearest
from llm.adapters import MANIFEST, SHIPPED, Adapter, read_adapter
from llm.gguf_files import GgufFile, check_llama, read_gguf
from llm.gguf_writing import requantize
from llm.number_formats import NumberFormat
from llm.registry import (
    MODELS,
    exclusive,
    flush_folder,
    is_registered,
    model_sha256,
    read_stamp,
    resolve,
    sha256_of,
    write_stamp,
)

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]

# Measured by `benchmarks/generators.py` on AVX-512: Q8_0 reads prompts 1.8 times as fast as the Q4_1 that is carried,
# with .2% more perplexity at most; Q4_0 reads twice as fast and has 20% more.
SERVED_AS: dict[str, NumberFormat] = {"smollm2-135m-instruct": "Q8_0"}
_MERGED_AS: NumberFormat = "Q8_0"  # what an adapter has learned is lost in 4 bits


def find_gguf(model: str, models_dir: Path, progress: Progress | None = None, *, adapter: str = "none") -> GgufFile:
    """Return the checked GGUF file of a registered name or a path, an adapter merged into it.

    Merging takes seconds, once; a merged file is read and written at the base's speed, while llama.cpp would compute
    an adapter beside its base anew for every token, two small products for each matrix.

    Args:
        model: A registered name or a path.
        models_dir: Where fetched and merged files are kept.
        progress: Told of what is fetched or written.
        adapter: ``generator.adapter``: "default", "none", or a folder.

    Raises:
        ModelError: It is missing, offline, not the pinned one, cut short, no GGUF or no Llama, or the adapter is for
            another model; see :mod:`core.errors`.
    """
    source = _published(model, models_dir, progress)
    chosen = adapter_for(model, source, adapter)
    number_format = _MERGED_AS if chosen else SERVED_AS.get(model)
    return _made(model, source, number_format, chosen, models_dir, progress) if number_format else _checked(source)


def adapter_for(model: str, source: Path, adapter: str) -> Adapter | None:
    """Return the adapter that ``generator.adapter`` asks for; the shipped one goes with no other model than its own.

    Raises:
        ModelMissing, ModelDamaged: The folder or its manifest is missing, or a file is not the one that was written.
        ModelUnfit: It is for another model.
    """
    if adapter == "none" or (adapter == "default" and not (SHIPPED / MANIFEST).is_file()):
        return None
    if adapter == "default":
        shipped = read_adapter(SHIPPED)
        return shipped if model in MODELS and MODELS[model].sha256 == shipped.base_sha256 else None
    chosen = read_adapter(Path(adapter).expanduser())
    chosen.check_base(model_sha256(source), name=model if model in MODELS else source.name)
    return chosen


def _published(model: str, models_dir: Path, progress: Progress | None) -> Path:
    if not is_registered(model):
        path = Path(model).expanduser()
        if not path.exists():
            near = nearest(model, MODELS)
            remedy = f"The nearest known model is {near}" if near else f"Name a .gguf file, or: {', '.join(MODELS)}"
            raise ModelMissing("is no known model and no file", where=model, remedy=remedy)
        read_gguf(path)  # a folder or another file is an error before anything is hashed
        return path
    return resolve(model, models_dir, lambda done, total: progress(model, done, total) if progress else None)


def _made(
    model: str,
    source: Path,
    number_format: NumberFormat,
    adapter: Adapter | None,
    models_dir: Path,
    progress: Progress | None,
) -> GgufFile:
    """Return the file in a number format and with an adapter, written once and named by what it was made of."""
    base = MODELS[model].sha256 if model in MODELS else model_sha256(source)
    name = model if model in MODELS else source.stem
    made_of = {"source": base, "number_format": number_format}
    place = models_dir / name / f"{name}.{number_format}.gguf"
    if adapter:
        _checked(source)
        made_of["adapter"] = adapter.fingerprint
        place = place.with_name(f"{name}.{number_format}.{base[:8]}-{adapter.fingerprint[:8]}.gguf")
    if not _is_made(place, made_of):
        with exclusive(place):
            if not _is_made(place, made_of):
                log.info("writing %s as %s", name, number_format)
                beside = place.with_name(place.name + ".tmp")
                label = f"{name} {'with its adapter ' if adapter else ''}as {number_format}"
                requantize(
                    source,
                    beside,
                    number_format=number_format,
                    adapter=adapter,
                    progress=lambda done, total: progress(label, done, total) if progress else None,
                )
                beside.replace(place)
                flush_folder(place.parent)
                write_stamp(place, sha256=sha256_of(place), made_of=made_of)
    return _checked(place)


def _is_made(place: Path, made_of: dict[str, str]) -> bool:
    """Return whether the file is there, whole and from these parts; one that was tampered with is written anew."""
    stamp = read_stamp(place)
    if not stamp or not place.is_file() or stamp.get("made_of") != made_of:
        return False
    status = place.stat()
    if (status.st_size, status.st_mtime_ns) == (stamp["size_bytes"], stamp["modified_ns"]):
        return True
    if status.st_size != stamp["size_bytes"] or sha256_of(place) != stamp["sha256"]:
        return False
    write_stamp(place, sha256=stamp["sha256"], made_of=made_of)
    return True


def _checked(path: Path) -> GgufFile:
    file = read_gguf(path)
    check_llama(file)
    return file
