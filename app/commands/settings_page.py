"""Write ``docs/settings.md`` from the settings themselves: ``python -m app.commands.settings_page``."""

from __future__ import annotations

from pathlib import Path

from core.settings import LoadedSettings, Settings

PAGE = Path("docs/settings.md")
_HEAD = """# Settings

Defaults < `citadel.toml` < environment < command line. `retrieval.k` is `k` under `[retrieval]` in the file,
`CITADEL_RETRIEVAL_K` in the environment and `--set retrieval.k=8` on the command line. `CITADEL_DATA` and `--data` name
the data directory. `python -m app config` prints each value and where it came from.

| setting | default | what it does |
|---|---|---|
"""


def page() -> str:
    """Return the page."""
    defaults = LoadedSettings(settings=Settings.model_validate({}), origins={})
    rows = [f"| `{name}` | `{value}` | {text} |" for name, value, _, text in defaults.rows()]
    return _HEAD + "\n".join(row.replace("| `` |", "| |") for row in rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
