"""The web app: pages in two languages, the sources' addresses, and how to serve them."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import socket
import sys
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse

from app.admission import Admission
from app.attachments_api import attachments_router
from app.conversations import Conversations
from app.conversations_api import conversations_router
from app.jobs import Jobs
from app.keeping import HistoryKeeper
from app.pacing import StepAside
from app.people.database import People
from app.people.records import Person
from app.people.sharing import make_public_at_first
from app.security import Guard, error_json, is_loopback
from app.sources_api import sources_router
from app.texts import LANGUAGES
from app.ui.render import model_name
from app.upload_jobs import UploadJobs
from app.uploads import Uploads
from app.watching import NotesStreams
from app.web.account import account_router
from app.web.administration.routes import administration_router, nothing_here, open_office
from app.web.chat_header import chat_header_router
from app.web.entrance import entrance_router
from app.web.gradio_doors import GradioDoors, doors_router
from app.web.language import wanted_language
from app.web.pages import ASSETS as PAGES_ASSETS
from app.web.pages import version_of
from app.web.quality.rooms import Rooms
from app.web.quality.routes import add_quality_pages
from app.web.visitors import Visitors
from core.errors import CitadelError, InvalidSetting, PortInUse
from core.settings import ServeSettings

if TYPE_CHECKING:
    from app.knowledge_base import KnowledgeBase

log = logging.getLogger(__name__)

SAMPLE = "sample"  # the collection that `make run` fills
# Probes after 3 quiet seconds, one a second, three of them; what was sent and not taken is waited for 6 s.
_KEEPALIVE = {"TCP_KEEPIDLE": 3, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 6000}


def create_app(kb: KnowledgeBase, people: People, *, host: str | None = None) -> FastAPI:
    """Return the web app over a knowledge base; ``state.visitors`` tells who its visitors are.

    Args:
        kb: The knowledge base; the caller closes it.
        people: The file of people; the caller closes it.
        host: The address it will be served on; None takes ``serve.host``. Folders of this machine can be read from
            the pages only where that address is reached from this machine alone.

    Raises:
        InvalidSetting: Nobody would have to sign in, and others than this machine could reach it.
    """
    host = host or kb.settings.serve.host
    _require_sign_in(kb.settings.serve, host)
    visitors = Visitors(kb, people)
    attachments = visitors.attachments
    uploads = Uploads(kb.settings.data_dir, max_mb=kb.settings.serve.max_upload_mb, quota=attachments.quota)
    admission = _admission(kb.settings.serve)
    kb.pace = StepAside(admission)
    conversations = Conversations(
        admission=admission, idle_stop_seconds=kb.settings.serve.idle_stop_seconds, keeper=HistoryKeeper(people)
    )
    jobs = Jobs()
    upload_jobs = UploadJobs(jobs, uploads, visitors.own)
    rooms = Rooms(visitors, kb.settings.data_dir, admission)
    office = open_office(kb, visitors, uploads=uploads, jobs=jobs, folders_everywhere=is_loopback(host))

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        office.folders.start()
        for resume in (attachments.resume, upload_jobs.resume):
            Thread(target=resume, name="resume", daemon=True).start()
        yield
        office.folders.close()
        attachments.close()
        conversations.close()
        jobs.close()
        rooms.background.close()
        shutil.rmtree(uploads.incoming, ignore_errors=True)

    app = FastAPI(title="Citadel", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json", lifespan=life)
    app.state.visitors = visitors
    app.add_exception_handler(CitadelError, _explained)
    app.add_exception_handler(404, nothing_here(office))
    app.include_router(sources_router(visitors, conversations))
    app.include_router(conversations_router(visitors, conversations))
    app.include_router(attachments_router(visitors, conversations))
    app.include_router(entrance_router(visitors))
    app.include_router(account_router(visitors, uploads))
    app.include_router(chat_header_router(visitors))
    add_quality_pages(app, rooms)
    app.include_router(administration_router(office))
    app.include_router(doors_router(visitors, uploads))
    _add_own_routes(app, kb)
    _mount_pages(
        app,
        visitors,
        conversations=conversations,
        jobs=jobs,
        uploads=uploads,
        upload_jobs=upload_jobs,
        folders=is_loopback(host),
    )
    app.add_middleware(NotesStreams, pages=conversations.pages)
    app.add_middleware(GradioDoors, uploads=uploads)
    app.add_middleware(Guard, host=host, visitors=visitors)
    return app


def _require_sign_in(serve: ServeSettings, host: str) -> None:
    if serve.sign_in == "none" and not is_loopback(host):
        raise InvalidSetting(
            f"whoever reaches {host} would administer Citadel without signing in",
            where="serve.sign_in",
            remedy="Set it to required, or listen on 127.0.0.1",
        )


async def _explained(_: Request, error: Exception) -> JSONResponse:
    """Return an error of ours as the table of errors says; the handler is registered for no other."""
    assert isinstance(error, CitadelError)
    return error_json(error)


def _admission(serve: ServeSettings) -> Admission:
    return Admission(at_once=serve.answers_at_once, waiting=serve.waiting, waiting_per_person=serve.waiting_per_person)


def _add_own_routes(app: FastAPI, kb: KnowledgeBase) -> None:
    from app.ui.theme import FOLDER, SCRIPTS

    @app.get("/", include_in_schema=False)
    def choose_language(request: Request) -> RedirectResponse:
        language = wanted_language(
            request.cookies, request.headers.get("accept-language", ""), kb.settings.serve.language
        )
        return RedirectResponse(f"/{language}/", status_code=307, headers={"Vary": "Cookie, Accept-Language"})

    @app.get("/healthz")
    def healthz() -> JSONResponse:
        """Say that the server is up and with which model; anybody may ask, so it tells nothing of the documents."""
        generator = kb.settings.generator
        model = "quotes" if generator.backend == "none" else model_name(generator.model)
        return JSONResponse({"status": "ok", "model": model})

    for asset in (*SCRIPTS, *PAGES_ASSETS):
        _add_asset(app, asset)

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> FileResponse:
        return FileResponse(FOLDER / "icon.svg", media_type="image/svg+xml")

    @app.get("/manifest.json", include_in_schema=False)
    def manifest() -> JSONResponse:
        icons = [{"src": "/favicon.ico", "sizes": "any", "type": "image/svg+xml"}]
        return JSONResponse({"name": "Citadel", "start_url": "/", "display": "standalone", "icons": icons})


def _add_asset(app: FastAPI, path: Path) -> None:
    @app.get(f"/assets/{path.name}", include_in_schema=False)
    def asset() -> FileResponse:
        return FileResponse(path, headers={"Cache-Control": "no-cache"})


def _name_of_person(request: Request) -> str | None:
    """Return what Gradio's events know a person by: their id, which is never anybody else's."""
    person: Person | None = request.state.person
    return person.id if person else None


def _mount_pages(app: FastAPI, visitors: Visitors, *, uploads: Uploads, **shared: Any) -> None:
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
    from app.ui.theme import SCRIPTS, STYLES, theme

    for language in LANGUAGES:
        gr.mount_gradio_app(
            app,
            build_blocks(visitors, uploads=uploads, language=language, **shared),
            path=f"/{language}",
            auth_dependency=_name_of_person,
            footer_links=[],
            run_history=False,
            allowed_paths=[],
            show_error=False,
            enable_monitoring=False,
            max_file_size=f"{uploads.max_mb}mb",
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            theme=theme(),
            css_paths=list(STYLES),
            head=head_html(language, version=version_of((*SCRIPTS, *PAGES_ASSETS))),
        )


def serve(kb: KnowledgeBase, *, host: str, port: int, open_browser: bool = False) -> None:
    """Serve until interrupted, and print the address.

    Args:
        kb: The knowledge base.
        host: Address to listen on.
        port: Port to listen on; 0 takes any free one.
        open_browser: Open the page in the user's browser.

    Raises:
        PortInUse: Another program listens there, or the address is not one of this machine's.
        InvalidSetting: As :func:`create_app` says.
    """
    import uvicorn

    _require_sign_in(kb.settings.serve, host)

    listening = listen(host, port)  # before the slow part, so that a taken port is said at once
    with listening, People.open(kb.settings.data_dir) as people:
        app = create_app(kb, people, host=host)
        Thread(target=_warm, args=(kb,), name="warm", daemon=True).start()
        address = f"http://{_shown_host(host)}:{listening.getsockname()[1]}"
        print(f"Citadel is on {address}", flush=True)
        begin(kb, app.state.visitors, address=address)
        if open_browser and _has_screen():
            webbrowser.open(address)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3
        )
        uvicorn.Server(config).run(sockets=[listening])


def begin(kb: KnowledgeBase, visitors: Visitors, *, address: str) -> None:
    """At the first start, let everybody read the sample and say how the administrator is made."""
    if visitors.accounts.has_admin():
        return
    if SAMPLE in kb.collections():
        make_public_at_first(visitors.people, SAMPLE)
    if visitors.sign_in_required:
        print(f"Create the administrator on {address}/welcome", flush=True)
        print(f"From another machine it asks for this code: {visitors.code}", flush=True)


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
    _notice_lost_networks(made)
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


def _notice_lost_networks(made: socket.socket) -> None:
    """Have connections end within seconds when the other side vanishes without a word; accepted ones inherit this."""
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _shown_host(host: str) -> str:
    if host in ("0.0.0.0", "::"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
