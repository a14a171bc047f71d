"""Name-to-class tables: a new format, embedder or backend is one file and one line in a literal table."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any


def load(target: str) -> Any:
    """Import ``"package.module:attribute"`` on first use and return the attribute."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def nearest(name: str, known: Mapping[str, object] | list[str] | tuple[str, ...]) -> str | None:
    """Return the known name most like ``name``, or None when none is like it."""
    matches = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None
