"""Who watches an answer: pages whose stream of events is open; an answer that nobody watches is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Thread
from typing import Protocol
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# How long after its question a page may take to open its stream.
FIRST_STREAM_SECONDS = 5.0
# How long a page may take to listen anew that broke off a stream on which it had not yet heard of its question: it does
# so when what it asked before has ended, in the moment in which it asks again. Who has heard of it and breaks off is
# gone.
NEXT_STREAM_SECONDS = 0.5
_STREAM = "/queue/data"  # where Gradio's pages listen for what their events yield
_LOOK_SECONDS = 0.05


class _Page:
    __slots__ = ("expected_until", "n_shown", "n_streams", "n_users")

    def __init__(self) -> None:
        self.n_streams = self.n_users = self.n_shown = 0
        self.expected_until = 0.0


class Pages:
    """The pages that are open, by their session: one is there while it listens.

    Args:
        clock: Returns seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pages: dict[str, _Page] = {}
        self._lock = Lock()

    @contextmanager
    def expecting(self, session: str) -> Iterator[Callable[[], bool]]:
        """Return what tells whether a page is there, and shows nothing else since.

        One that has just asked may take a moment to listen.
        """
        with self._used(session) as page:
            with self._lock:
                page.expected_until = self._clock() + FIRST_STREAM_SECONDS
                page.n_shown += 1
                number = page.n_shown
            yield lambda: page.n_shown == number and (page.n_streams > 0 or self._clock() < page.expected_until)

    def turns_away(self, session: str) -> None:
        """Note that a page shows something else from now on."""
        with self._used(session) as page, self._lock:
            page.n_shown += 1

    @contextmanager
    def listening(self, session: str) -> Iterator[Callable[[bool], None]]:
        """Note that a page listens, and that it is gone when it no longer does.

        Gives what is called whenever the page is told something, with whether that is all that the server has to tell:
        a page that has just asked then listens anew, and is still expected.
        """
        with self._used(session) as page:
            heard, told_all = 0, False

            def tell(is_all: bool) -> None:
                nonlocal heard, told_all
                heard, told_all = page.n_shown, is_all

            with self._lock:
                page.n_streams += 1
            try:
                yield tell
            finally:
                with self._lock:
                    page.n_streams -= 1
                    if not told_all:
                        grace = 0.0 if heard == page.n_shown else NEXT_STREAM_SECONDS
                        page.expected_until = min(page.expected_until, self._clock() + grace)

    @contextmanager
    def _used(self, session: str) -> Iterator[_Page]:
        with self._lock:
            page = self._pages.setdefault(session, _Page())
            page.n_users += 1
        try:
            yield page
        finally:
            with self._lock:
                page.n_users -= 1
                if not page.n_users:
                    self._pages.pop(session, None)


class NotesStreams:
    """ASGI middleware: notes for how long each page listens.

    Gradio itself looks whether a page is still there only when the answer has grown; a question that waits in line, or
    a model that reads its prompt, would not notice that everybody has left.
    """

    def __init__(self, app: ASGIApp, *, pages: Pages) -> None:
        self.app, self.pages = app, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or not scope["path"].endswith(_STREAM):
            await self.app(scope, receive, send)
            return
        session = parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [""])[0]
        with self.pages.listening(session) as tell:
            left = False

            async def hearing() -> Message:
                nonlocal left
                message = await receive()
                left = left or message["type"] == "http.disconnect"
                return message

            async def saying(message: Message) -> None:
                # What follows the end is no news: every request is broken off in the end.
                if message["type"] == "http.response.body" and not left:
                    tell(not message.get("more_body"))
                await send(message)

            await self.app(scope, hearing, saying)


class Watched(Protocol):
    """What can be left alone and stopped."""

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to watch."""

    def is_watched(self) -> bool:
        """Return whether anybody is there; who is not is let go."""

    def abandon(self) -> None:
        """Stop, because nobody watches."""


class Attendant:
    """Stops what nobody watches, in a thread that lives while there is something to look after.

    Args:
        idle_seconds: How long nobody may watch; 0: as long as it likes.
        clock: Returns seconds.
    """

    def __init__(self, *, idle_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle_seconds, self._clock = idle_seconds, clock
        self._alone_since: dict[Watched, float | None] = {}
        self._lock = Lock()
        self._thread: Thread | None = None

    def mind(self, watched: Watched) -> None:
        """Look after something from now on."""
        if not self._idle_seconds:
            return
        with self._lock:
            self._alone_since[watched] = None
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._work, name="attendant", daemon=True)
                self._thread.start()

    def look(self) -> bool:
        """Stop what was alone for too long; return whether anything is left to look after."""
        now = self._clock()
        left: list[Watched] = []
        with self._lock:
            for watched, since in list(self._alone_since.items()):
                if watched.ended:
                    del self._alone_since[watched]
                elif watched.is_watched():
                    self._alone_since[watched] = None
                elif since is None:
                    self._alone_since[watched] = now
                elif now - since >= self._idle_seconds:
                    del self._alone_since[watched]
                    left.append(watched)
            more = bool(self._alone_since)
            if not more:
                self._thread = None
        for watched in left:
            watched.abandon()
        return more

    def _work(self) -> None:
        while self.look():
            time.sleep(_LOOK_SECONDS)
