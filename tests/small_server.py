"""A server as a process of its own, whose answers come word by word: ``python -m tests.small_server DATA PORT``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.knowledge_base import KnowledgeBase
from app.server import serve
from core.records import Event, Message, SearchFilter, Token
from tests.small_app import SmallServices, small_settings

WORDS = [f"word-{n}" for n in range(2000)]
PAUSE_SECONDS = 0.05


class WordyKnowledgeBase(KnowledgeBase):
    """Answers every question with the same words, one after the other, and is long about it."""

    def stream(
        self, question: str, *, history: Sequence[Message] = (), filter: SearchFilter | None = None
    ) -> Iterator[Event]:
        return self._words()

    def _words(self) -> Iterator[Event]:
        for word in WORDS:
            yield Token(text=f"{word} ")
            time.sleep(PAUSE_SECONDS)


def main() -> None:
    """Serve the data directory on the port that the command line names, until the process is killed."""
    data, port = Path(sys.argv[1]), int(sys.argv[2])
    with WordyKnowledgeBase(SmallServices(small_settings(data))) as kb:
        serve(kb, host="127.0.0.1", port=port)


if __name__ == "__main__":
    main()
