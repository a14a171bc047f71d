"""What the documents say is so: every command and setting is in them, and every link leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.cli import COMMANDS
from app.commands.settings_page import PAGE, page
from app.model_commands import VERBS

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "examples" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert re.search(rf"`{command}[` ]", (ROOT / "README.md").read_text("utf-8")), f"{command} is not documented"


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_of_the_models_is_in_the_documents(verb: str) -> None:
    pages = "".join((ROOT / "docs" / name).read_text("utf-8") for name in ("training.md", "evaluation.md"))
    assert f"python -m llm {verb}" in pages


def test_the_page_of_settings_is_that_of_the_settings() -> None:
    written = (ROOT / PAGE).read_text("utf-8")
    assert written == page(), "run `python -m app.commands.settings_page`"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", path.read_text("utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_no_document_is_left_unfinished() -> None:
    for path in PAGES:
        assert not re.search(r"@[A-Z]+@|\bTODO\b|\bTBD\b", path.read_text("utf-8")), f"{path} has a gap"
