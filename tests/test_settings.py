"""Settings: where a value comes from, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import InvalidSetting, UnknownSetting
from core.settings import load_settings, setting_fields


def test_a_later_place_wins_and_is_named(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[retrieval]\nk = 3\ncandidates = 30\n\n[serve]\nport = 8000\n")
    environ = {"CITADEL_RETRIEVAL_K": "4", "CITADEL_SERVE_PORT": "8001", "CITADEL_DATA": "elsewhere"}
    loaded = load_settings(config_file=file, environ=environ, overrides=["serve.port=8002"])
    shown = {name: (value, origin) for name, value, origin, _ in loaded.rows()}
    assert shown["retrieval.candidates"] == ("30", str(file))
    assert shown["retrieval.k"] == ("4", "CITADEL_RETRIEVAL_K")
    assert shown["serve.port"] == ("8002", "command line")
    assert shown["data_dir"] == ("elsewhere", "CITADEL_DATA")
    assert shown["ingest.ocr"] == ("True", "default")
    assert loaded.settings.retrieval.k == 4


def test_the_data_directory_of_the_command_line_beats_the_environment() -> None:
    loaded = load_settings(environ={"CITADEL_DATA": "a"}, data_dir="b")
    assert loaded.settings.data_dir == Path("b")


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("retreival.k=3", "retrieval.k"),
        ("k=3", "retrieval.k"),
        ("ingest.chunk_token=3", "ingest.chunk_tokens"),
        ("generator.backand=none", "generator.backend"),
    ],
)
def test_an_unknown_setting_names_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(UnknownSetting, match=nearest.replace(".", r"\.")):
        load_settings(overrides=[wrong])


def test_an_unknown_variable_names_the_nearest_variable() -> None:
    with pytest.raises(UnknownSetting, match="CITADEL_RETRIEVAL_K"):
        load_settings(environ={"CITADEL_RETRIVAL_K": "3"})


@pytest.mark.parametrize(
    "wrong",
    ["retrieval.k=0", "retrieval.k=many", "generator.languages=fr", "serve.port=70000", "embedder.engine=gpu"],
)
def test_a_wrong_value_is_refused_with_its_name_and_meaning(wrong: str) -> None:
    name = wrong.partition("=")[0]
    with pytest.raises(InvalidSetting) as caught:
        load_settings(overrides=[wrong])
    assert name in str(caught.value)
    assert setting_fields()[name].description in str(caught.value)


def test_an_override_without_a_value_says_the_form() -> None:
    with pytest.raises(InvalidSetting, match=r"group\.field=value"):
        load_settings(overrides=["retrieval.k"])


def test_a_settings_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "citadel.toml"
    file.write_text("[retrieval\nk = 3")
    with pytest.raises(InvalidSetting, match=r"citadel\.toml"):
        load_settings(config_file=file)


def test_a_settings_file_that_was_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="does not exist"):
        load_settings(config_file=tmp_path / "missing.toml")


def test_a_secret_is_masked_where_settings_are_shown() -> None:
    loaded = load_settings(overrides=["generator.api_key=hunter2"])
    assert "hunter2" not in str(loaded.rows())
    assert loaded.settings.generator.api_key == "hunter2"


def test_every_setting_says_what_it_is() -> None:
    for name, field in setting_fields().items():
        assert field.description, f"{name} has no description"


def test_reading_settings_makes_no_folder(tmp_path: Path) -> None:
    load_settings(data_dir=tmp_path / "new")
    assert not (tmp_path / "new").exists()
