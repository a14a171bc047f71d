"""The models that are here: those of the registry, those trained or put into folders, and which of them answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from core.errors import CitadelError
from core.settings import Settings
from llm.adapters import MANIFEST as TRAINED_MANIFEST
from llm.adapters import SHIPPED, read_manifest
from llm.reader import TRACKED, reader_folder
from llm.reader.weights import MANIFEST as READER_MANIFEST
from llm.reader.weights import read_manifest as read_reader_manifest
from llm.registry import MODELS, is_fetched

Use = Literal["embedder", "generator", "reader", "adapter"]
_DEEPEST = 3  # folders below the models and the trainings that are looked into
_MOST_FOLDERS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredModel:
    """A model of the registry; ``present`` says that its file was fetched and is whole."""

    name: str
    origin: str
    sha256: str
    size_bytes: int
    licence: str
    about: str
    present: bool
    used_as: Use | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A folder that training wrote; ``stands_on`` is the model that it changes or needs, ``setting`` chooses it.

    ``fault`` says why it cannot be used, "" where it can.
    """

    kind: Literal["reader", "adapter", "generator"]
    place: str
    shipped: bool
    sha256: str
    size_bytes: int
    stands_on: str
    used: bool
    setting: str
    fault: str = ""


def registered(settings: Settings) -> list[RegisteredModel]:
    """Return the models of the registry, and those that the settings name by where they come from."""
    used: dict[str, Use] = {settings.embedder.model: "embedder"}
    if settings.generator.backend in ("llamacpp", "transformers"):
        used[settings.generator.model] = "generator"
    return [
        RegisteredModel(
            name=name,
            origin=known.origin,
            sha256=known.sha256,
            size_bytes=known.size_bytes,
            licence=known.licence,
            about=known.about,
            present=is_fetched(name, settings.models_dir),
            used_as=used.get(name),
        )
        for name, known in MODELS.items()
    ]


def trained(settings: Settings) -> list[TrainedModel]:
    """Return the folders that training wrote: those that come with Citadel, and those in the data directory."""
    reader = reader_folder(settings.reader)
    named = [Path(name).expanduser() for name in (settings.generator.adapter, settings.generator.model)]
    named = [path for path in named if path.is_dir()]
    roots = [settings.models_dir, settings.data_dir / "training"]
    folders = [TRACKED, SHIPPED, *([reader] if reader else []), *named, *_folders_below(roots)]
    found = []
    for folder in dict.fromkeys(folder.resolve() for folder in folders):
        if (folder / READER_MANIFEST).is_file():
            found.append(_reader(folder, settings))
        elif (folder / TRAINED_MANIFEST).is_file():
            found.append(_trained(folder, settings))
    return found


def folder_bytes(folder: Path) -> int:
    """Return the size of the files in a folder and below."""
    total = 0
    for path in folder.rglob("*") if folder.is_dir() else ():
        try:
            total += path.lstat().st_size if path.is_file() else 0
        except OSError:  # it went away meanwhile
            continue
    return total


def _reader(folder: Path, settings: Settings) -> TrainedModel:
    sha256 = stands_on = fault = ""
    try:
        manifest = read_reader_manifest(folder)
        sha256, stands_on = manifest.sha256, manifest.embedder
    except (CitadelError, OSError) as error:
        fault = str(error)
    used = reader_folder(settings.reader)
    shipped = folder == TRACKED.resolve()
    return TrainedModel(
        kind="reader",
        place=_shown(folder, settings),
        shipped=shipped,
        sha256=sha256,
        size_bytes=folder_bytes(folder),
        stands_on=stands_on,
        used=used is not None and used.resolve() == folder,
        setting=f'reader.model = "{"default" if shipped else folder}"',
        fault=fault,
    )


def _trained(folder: Path, settings: Settings) -> TrainedModel:
    sha256 = stands_on = fault = ""
    is_adapter = True
    try:
        manifest = read_manifest(folder)
        is_adapter = manifest.get("kind") == "adapter"
        stands_on = str(manifest["base"]["name"])
        sha256 = next((digest for name, digest in manifest["files"].items() if name.endswith(".safetensors")), "")
    except (CitadelError, KeyError) as error:
        fault = str(error)
    shipped = folder == SHIPPED.resolve()
    setting = "adapter" if is_adapter else "model"
    chosen: str = getattr(settings.generator, setting)
    by_default = shipped and chosen == "default" and stands_on == settings.generator.model
    return TrainedModel(
        kind="adapter" if is_adapter else "generator",
        place=_shown(folder, settings),
        shipped=shipped,
        sha256=sha256,
        size_bytes=folder_bytes(folder),
        stands_on=stands_on,
        used=settings.generator.backend != "none" and (by_default or Path(chosen).expanduser().resolve() == folder),
        setting=f'generator.{setting} = "{"default" if shipped else folder}"',
        fault=fault,
    )


def _folders_below(roots: list[Path]) -> Iterator[Path]:
    waiting = [(root, 0) for root in roots if root.is_dir()]
    n = 0
    while waiting and n < _MOST_FOLDERS:
        folder, depth = waiting.pop()
        n += 1
        try:
            inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
        except OSError:  # not ours to look into
            continue
        yield from inner
        if depth + 1 < _DEEPEST:
            waiting.extend((path, depth + 1) for path in inner)


def _shown(folder: Path, settings: Settings) -> str:
    data_dir = settings.data_dir.resolve()
    return str(folder.relative_to(data_dir)) if folder.is_relative_to(data_dir) else str(folder)
