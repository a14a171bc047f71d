"""Components as all pages use them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.ui.render import escaped

# How every event is bound: no spinner over what it changes, no queue behind others, no address of its own.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None}


def html(value: str = "", *, js: str | None = None, **options: Any) -> gr.HTML:
    """Return HTML of our own, in our own style; ``js`` runs once, with ``element`` and ``trigger``."""
    return gr.HTML(value, js_on_load=js, apply_default_css=False, **options)


def inform(words: str) -> None:
    """Say something in passing; names of others are in it, and Gradio would show it as HTML."""
    gr.Info(escaped(words))


def warn(words: str) -> None:
    """Say in passing that something is wrong; as :func:`inform`."""
    gr.Warning(escaped(words))
