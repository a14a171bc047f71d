"""Settings: defaults < ``citadel.toml`` < environment < command line, each value with where it came from.

A setting is named ``group.field``. In ``citadel.toml`` it stands under ``[group]``; in the environment it is
``CITADEL_GROUP_FIELD``; on the command line ``--set group.field=value``. ``CITADEL_DATA`` and ``--data`` name the
data directory. Reading settings makes no folders and loads no model.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import InvalidSetting, UnknownSetting
from core.tables import nearest

CONFIG_FILE = "citadel.toml"
DEFAULT_DATA = Path("data")


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class IngestSettings(_Group):
    """How files become chunks."""

    chunk_tokens: int = Field(190, ge=32, le=480, description="longest chunk, in the embedder's tokens")
    chunk_overlap_tokens: int = Field(24, ge=0, le=128, description="tokens repeated where a paragraph is cut")
    max_file_mb: int = Field(200, ge=1, description="largest file that is read, in MiB")
    max_unpacked_mb: int = Field(600, ge=1, description="largest size an archive or Office file may unpack to, in MiB")
    parse_seconds: int = Field(300, ge=5, description="longest time one file may take to parse, in seconds")
    parse_memory_mb: int = Field(3000, ge=256, description="largest address space growth of a parser, in MiB")
    parse_workers: int = Field(0, ge=0, le=64, description="parser processes; 0: one a core, at most 4")
    ocr: bool = Field(True, description="recognize text in images and scanned pages")
    ignore: tuple[str, ...] = Field((), description="more ignore patterns, as in .gitignore")


class RetrievalSettings(_Group):
    """How chunks are found."""

    k: int = Field(5, ge=1, le=100, description="passages returned")
    candidates: int = Field(60, ge=5, le=1000, description="chunks taken from each searcher before fusion")
    fusion: Literal["scores", "ranks"] = Field(
        "scores", description="how the searchers are made one; scores: BM25 added to cosine; ranks: reciprocal ranks"
    )
    dense_weight: float = Field(1.0, ge=0, le=10, description="weight of dense search in the fusion")
    sparse_weight: float = Field(1.0, ge=0, le=10, description="weight of BM25 in the fusion")
    merge_neighbours: bool = Field(True, description="join neighbouring chunks so that a passage reads whole")


class EmbedderSettings(_Group):
    """The model that turns text into vectors."""

    model: str = Field("multilingual-e5-small", description="a name in the model registry, or a folder")
    engine: Literal["auto", "openvino", "torch"] = Field(
        "auto", description="openvino, torch; auto: the fastest that this machine runs"
    )
    threads: int = Field(0, ge=0, le=256, description="processor threads; 0: all cores")


class GeneratorSettings(_Group):
    """The model that writes answers."""

    backend: Literal["llamacpp", "transformers", "openai", "none"] = Field(
        "llamacpp", description="what runs the model; none: no model writes, answers are the reader's words or quotes"
    )
    model: str = Field(
        "smollm2-135m-instruct", description="a name in the model registry, a GGUF file, a folder, or a served name"
    )
    adapter: str = Field(
        "default", description="default: the one that comes with Citadel, for its model; none; or a trained folder"
    )
    template: Literal["auto", "chatml", "llama-2", "llama-3"] = Field(
        "auto", description="chat template; auto: by the model's file, else its name"
    )
    languages: tuple[Literal["en", "zh"], ...] = Field(
        ("en",), description="languages the model writes; others: the reader's words, or quotes"
    )
    n_ctx: int = Field(2048, ge=512, le=131072, description="context window, in the model's tokens")
    max_tokens: int = Field(64, ge=16, le=4096, description="longest answer, in the model's tokens")
    prompt_tokens: int = Field(224, ge=128, le=131072, description="longest prompt, in the model's tokens")
    prompt_passages: int = Field(3, ge=1, le=20, description="passages put before the model")
    temperature: float = Field(0.0, ge=0, le=2, description="0: the same answer each time")
    threads: int = Field(0, ge=0, le=256, description="processor threads; 0: all cores")
    load_bits: Literal["as-stored", "4", "8"] = Field(
        "as-stored", description="transformers backend: bits to load the weights in"
    )
    base_url: str = Field("", description="openai backend: address of the server, such as http://127.0.0.1:8000/v1")
    api_key: str = Field(
        "", description="openai backend: key, if the server asks for one", json_schema_extra={"secret": True}
    )


class ReaderSettings(_Group):
    """The model that reads the passages with the question: it ranks them, finds the answer and decides refusal."""

    model: str = Field("default", description="default: the one that comes with Citadel; none; or a folder")
    engine: Literal["auto", "openvino", "torch"] = Field(
        "auto", description="openvino, torch; auto: the fastest that this machine runs"
    )
    passages: int = Field(8, ge=1, le=100, description="passages read for a question; the best of them are kept")
    threads: int = Field(0, ge=0, le=256, description="processor threads; 0: all cores")


class AnswerSettings(_Group):
    """How answers are worded and checked."""

    words: Literal["auto", "reader", "generator", "quotes"] = Field(
        "auto",
        description="who words it; reader: the span it found; generator: the model; quotes: whole sentences; "
        "auto: the reader where it is sure, else the model",
    )
    max_question_chars: int = Field(4000, ge=100, le=100_000, description="longest question, in characters")
    support: float = Field(0.7, ge=0, le=1, description="share of a sentence's terms that its passage must hold")
    verify_above: float = Field(
        -2.0, ge=-16, le=16, description="log-odds, by the reader, that a passage bears a written sentence out"
    )
    refuse_below: float = Field(
        0.2, ge=0, le=1, description="probability of an answer under which the documents are said not to hold it"
    )


class ServeSettings(_Group):
    """Where the web app listens."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(7860, ge=0, le=65535, description="port to listen on; 0: any free one")
    language: Literal["auto", "en", "zh"] = Field("auto", description="language of the pages; auto: the browser's")
    max_upload_mb: int = Field(200, ge=1, description="largest upload, in MiB")
    upload_quota_mb: int = Field(2000, ge=0, description="uploads that one person may keep, in MiB; 0: any amount")
    answers_at_once: int = Field(0, ge=0, le=64, description="answers written at once; 0: one for two cores, at most 4")
    waiting: int = Field(64, ge=1, le=10_000, description="questions that may wait in line, of all people")
    waiting_per_person: int = Field(3, ge=1, le=100, description="questions that may wait of one person")
    idle_stop_seconds: float = Field(
        0.1, ge=0, le=3600, description="seconds without anybody watching until an answer is stopped; 0: never"
    )
    sign_in: Literal["required", "none"] = Field(
        "required", description="none: whoever reaches it administers it; on an address of this machine alone"
    )
    session_days: int = Field(90, ge=1, le=3650, description="longest time one stays signed in, in days")
    session_idle_days: int = Field(14, ge=1, le=3650, description="days without a visit until one is signed out")
    folder_minutes: float = Field(5, ge=0.1, le=10_080, description="minutes from one look at a folder to the next")
    folder_roots: tuple[str, ...] = Field(
        (), description="where more than this machine reaches it: folders below which administrators may follow some"
    )


class Settings(_Group):
    """Every setting, by group."""

    data_dir: Path = Field(DEFAULT_DATA, description="where the knowledge base and the fetched models live")
    ingest: IngestSettings = IngestSettings()  # type: ignore[call-arg]
    retrieval: RetrievalSettings = RetrievalSettings()  # type: ignore[call-arg]
    embedder: EmbedderSettings = EmbedderSettings()  # type: ignore[call-arg]
    generator: GeneratorSettings = GeneratorSettings()  # type: ignore[call-arg]
    reader: ReaderSettings = ReaderSettings()  # type: ignore[call-arg]
    answer: AnswerSettings = AnswerSettings()  # type: ignore[call-arg]
    serve: ServeSettings = ServeSettings()  # type: ignore[call-arg]

    @property
    def models_dir(self) -> Path:
        """Where fetched models are kept."""
        return self.data_dir / "models"


class LoadedSettings(BaseModel):
    """Settings with the origin of each, by dotted name."""

    model_config = ConfigDict(frozen=True)
    settings: Settings
    origins: Mapping[str, str]

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return (name, value, origin, description) of every setting; secrets are masked."""
        rows = []
        for name, field in setting_fields().items():
            value = value_of(self.settings, name)
            secret = isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("secret")
            shown = "***" if secret and value else _show(value)
            rows.append((name, shown, self.origins.get(name, "default"), field.description or ""))
        return rows


def _show(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def setting_fields() -> dict[str, Any]:
    """Return every setting's pydantic field by dotted name, in the order of the classes."""
    fields: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            for inner, inner_field in field.annotation.model_fields.items():
                fields[f"{name}.{inner}"] = inner_field
        else:
            fields[name] = field
    return fields


def load_settings(
    *,
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
    data_dir: str | Path | None = None,
) -> LoadedSettings:
    """Read the settings from all their places.

    Args:
        config_file: A TOML file; None reads ``citadel.toml`` in the working directory when it is there.
        environ: The environment; None reads none.
        overrides: ``"group.field=value"`` as on the command line.
        data_dir: The data directory as on the command line.

    Raises:
        UnknownSetting: A name is not a setting; the nearest one is named.
        InvalidSetting: A value is not of its setting's type or range, or the file is no TOML.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}

    def put(name: str, value: Any, origin: str) -> None:
        values[_known(name, origin)] = value
        origins[name] = origin

    for name, value in _from_file(config_file):
        put(name, value, str(config_file or CONFIG_FILE))
    for variable, value in (environ or {}).items():
        if variable == "CITADEL_DATA":
            put("data_dir", value, "CITADEL_DATA")
        elif variable.startswith("CITADEL_"):
            put(_variable_to_name(variable), value, variable)
    for override in overrides:
        name, equals, value = override.partition("=")
        if not equals:
            raise InvalidSetting("needs the form group.field=value", where=f"--set {override}")
        put(name.strip(), value, "command line")
    if data_dir is not None:
        put("data_dir", str(data_dir), "command line")
    return LoadedSettings(settings=_build(values, origins), origins=origins)


def changed(settings: Settings, overrides: Sequence[str]) -> Settings:
    """Return the settings with some of them changed, each given as ``"group.field=value"``.

    Raises:
        UnknownSetting: A name is not a setting; the nearest one is named.
        InvalidSetting: A value is not of its setting's type or range.
    """
    values = {name: value_of(settings, name) for name in setting_fields()}
    origins: dict[str, str] = {}
    for override in overrides:
        name, equals, value = (part.strip() for part in override.partition("="))
        if not equals:
            raise InvalidSetting("needs the form group.field=value", where=override)
        values[_known(name, name)] = value
        origins[name] = "changed"
    return _build(values, origins)


def value_of(settings: Settings, name: str) -> Any:
    """Return the value of a setting by its dotted name."""
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _from_file(config_file: Path | None) -> list[tuple[str, Any]]:
    path = config_file or Path(CONFIG_FILE)
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if config_file is None:
            return []
        raise InvalidSetting("the settings file does not exist", where=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise InvalidSetting(f"the settings file cannot be read: {error}", where=str(path)) from error
    flat: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict):
            flat.extend((f"{key}.{inner}", inner_value) for inner, inner_value in value.items())
        else:
            flat.append((key, value))
    return flat


def _variable_to_name(variable: str) -> str:
    by_variable = {"CITADEL_" + name.replace(".", "_").upper(): name for name in setting_fields()}
    return by_variable.get(variable, variable)


def _known(name: str, origin: str) -> str:
    fields = setting_fields()
    if name in fields:
        return name
    if name.startswith("CITADEL_"):
        known = ["CITADEL_DATA", *("CITADEL_" + n.replace(".", "_").upper() for n in fields)]
        near = nearest(name, known)
    else:
        near = nearest(name, fields) or nearest(name.rpartition(".")[2], {n.rpartition(".")[2]: n for n in fields})
        near = next((n for n in fields if n == near or n.endswith(f".{near}")), None)
    where = name if name == origin else f"{name} ({origin})"
    remedy = f"The nearest is {near}" if near else "`python -m app config` lists every setting"
    raise UnknownSetting("there is no such setting", where=where, remedy=remedy)


def _build(values: Mapping[str, Any], origins: Mapping[str, str]) -> Settings:
    fields = setting_fields()
    tree: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, str) and "tuple" in str(fields[name].annotation):
            value = tuple(part.strip() for part in value.split(",") if part.strip())
        group, _, field = name.rpartition(".")
        (tree.setdefault(group, {}) if group else tree)[field] = value
    try:
        return Settings(**tree)
    except ValidationError as error:
        first = error.errors()[0]
        parts = [str(part) for part in first["loc"]]
        name = next((".".join(parts[:n]) for n in (2, 1) if ".".join(parts[:n]) in fields), ".".join(parts))
        raise InvalidSetting(
            f"{first['msg'][0].lower()}{first['msg'][1:]}, got {first.get('input')!r}",
            where=f"{name} ({origins.get(name, 'default')})",
            remedy=f"It is: {fields[name].description}" if name in fields else "",
        ) from None
