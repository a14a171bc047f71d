"""``serve``."""

from __future__ import annotations

import argparse

from app.knowledge_base import KnowledgeBase
from core.settings import LoadedSettings


def serve(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Serve the web app until interrupted."""
    from app.server import serve as run  # the web stack is imported by this command alone

    with KnowledgeBase.open(settings=loaded.settings) as kb:
        kb.origins = loaded.origins
        run(kb, host=loaded.settings.serve.host, port=loaded.settings.serve.port, open_browser=arguments.open)
    return 0
