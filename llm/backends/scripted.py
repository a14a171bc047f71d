"""A chat model that says what it was told to say: for dry runs and tests, through the real interface."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from threading import Lock

from pydantic import PrivateAttr

from core.errors import BackendFailed
from core.records import Message
from llm.backends.base import GroundedChatModel, Request, until_stop

Script = Callable[[tuple[Message, ...]], str]
_WORDS = re.compile(r"\s*\S+|\s+")


class ScriptedChatModel(GroundedChatModel):
    """Gives the ``replies`` one after another, beginning again at the end, a word at a time; counts words as tokens.

    A reply may be a function of the turns. ``asked`` holds every conversation that was put to it.
    """

    model_name: str = "scripted"
    n_ctx: int = 2048
    replies: tuple[str | Script, ...] = ("",)
    _asked: list[tuple[Message, ...]] = PrivateAttr(default_factory=list)
    _n_written: int = PrivateAttr(default=0)
    _closed: bool = PrivateAttr(default=False)
    _lock: Lock = PrivateAttr(default_factory=Lock)

    @property
    def asked(self) -> list[tuple[Message, ...]]:
        """The conversations so far, oldest first."""
        return self._asked

    @property
    def n_written(self) -> int:
        """The words written so far, over all replies."""
        return self._n_written

    def count_tokens(self, text: str) -> int:
        """Count the words of ``text``."""
        return len(_WORDS.findall(text))

    def close(self) -> None:
        """Refuse all that is asked from now on."""
        self._closed = True

    def _write(self, request: Request) -> Iterator[str]:
        if self._closed:
            raise BackendFailed("the model was closed", where=self.model_name)
        with self._lock:
            reply = self.replies[len(self._asked) % len(self.replies)]
            self._asked.append(request.messages)
        text = reply if isinstance(reply, str) else reply(request.messages)
        yield from until_stop(self._words(text, request.max_tokens), request.stop)

    def _words(self, text: str, limit: int) -> Iterator[str]:
        for word in _WORDS.findall(text)[:limit]:
            if self._closed:
                return
            self._n_written += 1
            yield word
