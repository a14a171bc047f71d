"""Chat models, each a LangChain ``BaseChatModel`` in one module; ``BACKENDS`` is the table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.errors import InvalidSetting
from core.settings import GeneratorSettings
from core.tables import load, nearest
from llm.backends.base import GroundedChatModel

__all__ = ["BACKENDS", "GroundedChatModel", "Progress", "open_chat_model"]

Progress = Callable[[str, int, int], None]
"""Called with the model's name, bytes done and bytes in all."""

# Each opens a model: (settings, models_dir, progress) -> GroundedChatModel.
BACKENDS = {
    "llamacpp": "llm.backends.llamacpp:open_model",
    "transformers": "llm.backends.transformers_local:open_model",
    "openai": "llm.backends.openai_compatible:open_model",
}


def open_chat_model(
    settings: GeneratorSettings, models_dir: Path, progress: Progress | None = None
) -> GroundedChatModel:
    """Open the model of the settings, fetching it first where that was not done.

    Raises:
        InvalidSetting: The backend is of no known name, or runs no model ("none").
        ModelError: The model or what runs it cannot be had; see :mod:`core.errors`.
    """
    if settings.backend not in BACKENDS:
        near = nearest(settings.backend, BACKENDS)
        remedy = f"The nearest is {near}" if near else f"It is one of: {', '.join(BACKENDS)}"
        raise InvalidSetting(
            "no model is run by this backend", where=f"generator.backend={settings.backend}", remedy=remedy
        )
    model: GroundedChatModel = load(BACKENDS[settings.backend])(settings, models_dir, progress)
    return model
