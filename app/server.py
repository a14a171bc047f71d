"""The web app: pages in two languages, the sources' addresses, and how to serve them."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from threading import Thread
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse

from app.conversations import Conversations
from app.jobs import Jobs
from app.security import Guard, is_loopback
from app.sources_api import sources_router
from app.texts import LANGUAGES
from app.ui.render import model_name
from app.uploads import Uploads
from core.errors import CitadelError, PortInUse
from core.records import Language

if TYPE_CHECKING:
    from app.knowledge_base import KnowledgeBase

log = logging.getLogger(__name__)

LANGUAGE_COOKIE = "citadel_language"


def create_app(kb: KnowledgeBase, *, host: str | None = None) -> FastAPI:
    """Return the web app over a knowledge base.

    Args:
        kb: The knowledge base; the caller closes it.
        host: The address it will be served on; None takes ``serve.host``. Folders of this machine can be read from
            the pages only where that address is reached from this machine alone.
    """
    host = host or kb.settings.serve.host
    uploads = Uploads(kb.settings.data_dir, max_mb=kb.settings.serve.max_upload_mb)
    conversations, jobs = Conversations(), Jobs(kb)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        jobs.close()
        shutil.rmtree(uploads.incoming, ignore_errors=True)

    app = FastAPI(title="Citadel", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json", lifespan=life)
    app.include_router(sources_router(kb, conversations))
    _add_own_routes(app, kb)
    _mount_pages(app, kb, conversations=conversations, jobs=jobs, uploads=uploads, folders=is_loopback(host))
    app.add_middleware(Guard, host=host)
    return app


def _add_own_routes(app: FastAPI, kb: KnowledgeBase) -> None:
    from app.ui.theme import FOLDER

    @app.get("/", include_in_schema=False)
    def choose_language(request: Request) -> RedirectResponse:
        language = wanted_language(
            request.cookies, request.headers.get("accept-language", ""), kb.settings.serve.language
        )
        return RedirectResponse(f"/{language}/", status_code=307, headers={"Vary": "Cookie, Accept-Language"})

    @app.get("/healthz")
    def healthz() -> JSONResponse:
        """Say that the server is up, over how many documents and with which model."""
        generator = kb.settings.generator
        model = "quotes" if generator.backend == "none" else model_name(generator.model)
        return JSONResponse({"status": "ok", "documents": len(kb.documents()), "model": model})

    @app.get("/assets/page.js", include_in_schema=False)
    def page_script() -> FileResponse:
        return FileResponse(FOLDER / "page.js", headers={"Cache-Control": "no-cache"})

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> FileResponse:
        return FileResponse(FOLDER / "icon.svg", media_type="image/svg+xml")

    @app.get("/manifest.json", include_in_schema=False)
    def manifest() -> JSONResponse:
        icons = [{"src": "/favicon.ico", "sizes": "any", "type": "image/svg+xml"}]
        return JSONResponse({"name": "Citadel", "start_url": "/", "display": "standalone", "icons": icons})


def _mount_pages(app: FastAPI, kb: KnowledgeBase, *, uploads: Uploads, **shared: Any) -> None:
    shutil.rmtree(uploads.incoming, ignore_errors=True)  # what a server that was killed had received
    uploads.incoming.mkdir(parents=True, exist_ok=True)
    os.environ |= {  # Gradio reads these when it is imported and when pages are built
        "GRADIO_ANALYTICS_ENABLED": "False",
        # Else it sums up its last 10,000 events in a data frame at each event, for a page that is not served.
        "GRADIO_ANALYTICS_CACHE_FREQUENCY": str(10**9),
        "GRADIO_ANALYTICS_MAX_EVENTS": "1",
        "GRADIO_TEMP_DIR": str(uploads.incoming),  # uploads never lie in a shared temporary folder
    }
    import gradio as gr

    from app.ui.blocks import build_blocks, head_html
    from app.ui.theme import SCRIPT, STYLE, theme

    version = hashlib.sha256(SCRIPT.read_bytes()).hexdigest()[:12]
    for language in LANGUAGES:
        gr.mount_gradio_app(
            app,
            build_blocks(kb, uploads=uploads, language=language, **shared),
            path=f"/{language}",
            footer_links=[],
            run_history=False,
            allowed_paths=[],
            show_error=False,
            max_file_size=f"{kb.settings.serve.max_upload_mb}mb",
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            theme=theme(),
            css_paths=[STYLE],
            head=head_html(language, version=version),
        )


def wanted_language(cookies: Mapping[str, str], accepted: str, setting: str) -> Language:
    """Return the language of the pages: the one chosen before, else the setting's, else the browser's first."""
    chosen = cookies.get(LANGUAGE_COOKIE)
    for known in LANGUAGES:
        if chosen == known:
            return known
    for known in LANGUAGES:
        if setting == known:
            return known
    for part in accepted.lower().split(","):
        for known in LANGUAGES:
            if part.strip().startswith(known):
                return known
    return "en"


def serve(kb: KnowledgeBase, *, host: str, port: int, open_browser: bool = False) -> None:
    """Serve until interrupted, and print the address.

    Args:
        kb: The knowledge base.
        host: Address to listen on.
        port: Port to listen on; 0 takes any free one.
        open_browser: Open the page in the user's browser.

    Raises:
        PortInUse: Another program listens there.
        UsageError: The address is not one of this machine's.
    """
    import uvicorn

    listening = listen(host, port)  # before the slow part, so that a taken port is said at once
    with listening:
        app = create_app(kb, host=host)
        Thread(target=_warm, args=(kb,), name="warm", daemon=True).start()
        address = f"http://{_shown_host(host)}:{listening.getsockname()[1]}"
        print(f"Citadel is on {address}", flush=True)
        if open_browser and _has_screen():
            webbrowser.open(address)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3
        )
        uvicorn.Server(config).run(sockets=[listening])


def _has_screen() -> bool:
    """Return whether a browser would open in a window: on a bare terminal one would take the terminal over."""
    return os.name == "nt" or sys.platform == "darwin" or bool(os.getenv("DISPLAY") or os.getenv("WAYLAND_DISPLAY"))


def _warm(kb: KnowledgeBase) -> None:
    """Load the models while the first page is being read; what is wrong with them is said with the first question."""
    try:
        kb.services.warm()
    except CitadelError as error:
        log.warning("the models could not be loaded: %s", error)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to the address.

    Raises:
        PortInUse: Another program listens there, or the port or address is not ours to use.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    if os.name == "posix":
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(128)
    except OSError as error:
        made.close()
        taken = error.errno == errno.EADDRINUSE
        what = "another program listens there" if taken else f"this address cannot be listened on ({error.strerror})"
        remedy = "Choose another port with --port, or --port 0 for any free one"
        raise PortInUse(what, where=f"{host}:{port}", remedy=remedy) from None
    return made


def _shown_host(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
