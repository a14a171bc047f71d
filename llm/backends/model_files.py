"""From the name of a generator to a checked GGUF file on this machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from core.errors import ModelMissing
from core.tables import nearest
from llm.gguf_files import GgufFile, NumberFormat, check_llama, read_gguf, requantize
from llm.registry import MODELS, exclusive, flush_folder, is_registered, read_stamp, resolve, sha256_of, write_stamp

log = logging.getLogger(__name__)

Progress = Callable[[str, int, int], None]

# Measured by `benchmarks/generators.py` on AVX-512: Q8_0 reads prompts 1.8 times as fast as the Q4_1 that is carried,
# with .2% more perplexity at most; Q4_0 reads twice as fast and has 20% more.
NUMBER_FORMATS: dict[str, NumberFormat] = {"smollm2-135m-instruct": "Q8_0"}


def find_gguf(model: str, models_dir: Path, progress: Progress | None = None) -> GgufFile:
    """Return the checked GGUF file of a registered name or a path.

    Raises:
        ModelError: It is missing, offline, not the pinned one, cut short, no GGUF or no Llama; see :mod:`core.errors`.
    """
    if not is_registered(model):
        path = Path(model).expanduser()
        if not path.exists():
            near = nearest(model, MODELS)
            remedy = f"The nearest known model is {near}" if near else f"Name a .gguf file, or: {', '.join(MODELS)}"
            raise ModelMissing("is no known model and no file", where=model, remedy=remedy)
        return _checked(path)
    path = resolve(model, models_dir, lambda done, total: progress(model, done, total) if progress else None)
    number_format = NUMBER_FORMATS.get(model)
    return _requantized(model, path, number_format, models_dir, progress) if number_format else _checked(path)


def _requantized(
    model: str, source: Path, number_format: NumberFormat, models_dir: Path, progress: Progress | None
) -> GgufFile:
    """Return the file in the number format that suits processors best, written once."""
    place = models_dir / model / f"{model}.{number_format}.gguf"
    made_of = {"source": MODELS[model].sha256, "number_format": number_format}
    if not _is_made(place, made_of):
        with exclusive(place):
            if not _is_made(place, made_of):
                log.info("writing %s as %s", model, number_format)
                beside = place.with_name(place.name + ".tmp")
                label = f"{model} as {number_format}"
                requantize(
                    source,
                    beside,
                    number_format=number_format,
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
