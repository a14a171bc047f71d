"""llama.cpp in this process, through xllamacpp: the default.

Its server object also listens on an address, which cannot be switched off: here that is a Unix socket in a folder that
only this user can open (elsewhere than on POSIX, loopback), behind a random key. Text is written through a callback in
process; only tokenizing goes through the socket, for the object has no call for it.
"""

from __future__ import annotations

import ctypes
import logging
import os
import secrets
import shutil
import signal
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

import httpx
from pydantic import ConfigDict, PrivateAttr

from core.errors import BackendFailed, BackendUnavailable, CitadelError, ModelUnfit, QuestionTooLong
from core.settings import GeneratorSettings
from llm.backends.base import GroundedChatModel, Request
from llm.backends.model_files import Progress, find_gguf
from llm.gguf_files import GgufFile
from llm.templates import TEMPLATES, ChatTemplate, render, template_for

log = logging.getLogger(__name__)

_SMALL_MODEL_BYTES = 1 << 30
# Prompts are read in steps of this many tokens, a third of a second on two cores. A stop is seen after the step that
# follows; steps of 128 tokens are read a seventh faster, but two of them take a second.
_BATCH_TOKENS = 64
_MAX_SOCKET_CHARS = 100  # a Unix socket's path is 107 bytes at most
_LOADING = Lock()


def open_model(settings: GeneratorSettings, models_dir: Path, progress: Progress | None = None) -> LlamaCppChatModel:
    """Open a GGUF model.

    Raises:
        ModelError: The file is missing or unfit, or llama.cpp is not installed or cannot load it.
    """
    file = find_gguf(settings.model, models_dir, progress, adapter=settings.adapter)
    name = settings.model if "/" not in settings.model else file.path.stem
    template = (
        template_for(name, chat_template=file.chat_template)
        if settings.template == "auto"
        else TEMPLATES[settings.template]
    )
    n_ctx = min(settings.n_ctx, file.trained_ctx or settings.n_ctx)
    if n_ctx < settings.n_ctx:
        log.warning("%s was trained for %d tokens; generator.n_ctx is cut to that", name, n_ctx)
    return LlamaCppChatModel(
        model_name=name,
        n_ctx=n_ctx,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        template=template,
        engine=Engine(file, n_ctx=n_ctx, threads=settings.threads),
    )


class LlamaCppChatModel(GroundedChatModel):
    """A GGUF model in this process; two conversations at a time where it is small, others wait."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    template: ChatTemplate
    _engine: Engine = PrivateAttr()

    def __init__(self, *, engine: Engine, **fields: Any) -> None:
        super().__init__(**fields)
        self._engine = engine

    def count_tokens(self, text: str) -> int:
        """Count the model's tokens in ``text``."""
        return len(self._engine.tokenize(text, control=False))

    def close(self) -> None:
        """Stop what is being written and free the model."""
        self._engine.close()

    def _write(self, request: Request) -> Iterator[str]:
        prompt = render(request.messages, self.template, control_tokens=self._engine.file.control_tokens)
        tokens = self._engine.tokenize(prompt, control=True)
        room = self.n_ctx - len(tokens)
        if room < 1:
            remedy = "Ask a shorter question, or raise generator.n_ctx"
            raise QuestionTooLong(f"the prompt is {len(tokens)} tokens, the model holds {self.n_ctx}", remedy=remedy)
        yield from self._engine.write(
            tokens,
            max_tokens=min(request.max_tokens, room),
            temperature=request.temperature,
            stop=(*self.template.stop, *request.stop),
            beats=True,
        )


class Engine:
    """A loaded llama.cpp server object.

    Args:
        file: A checked file.
        n_ctx: Window of each conversation, in tokens.
        threads: Processor threads; 0: all cores.
        lora: A GGUF adapter computed beside the model, or None.
    """

    def __init__(self, file: GgufFile, *, n_ctx: int, threads: int = 0, lora: Path | None = None) -> None:
        self.file = file
        self._folder = Path(tempfile.mkdtemp(prefix="citadel-", dir=_short_temporary_folder()))
        self._lock, self._stops, self._closed = Lock(), set[Event](), False
        key = secrets.token_urlsafe(24)
        n_parallel = 2 if file.path.stat().st_size < _SMALL_MODEL_BYTES else 1
        try:
            params = _params(file.path, n_ctx=n_ctx, n_parallel=n_parallel, threads=threads)
            params.api_keys = [key]
            if lora:
                params.lora_adapters = [_lora(lora)]
            socket = self._folder / "llama.sock"
            if os.name == "posix":
                params.hostnames = [str(socket)]
            with _LOADING, _python_signals():
                import xllamacpp

                self._server = xllamacpp.Server(params)
        except RuntimeError as error:
            shutil.rmtree(self._folder, ignore_errors=True)
            remedy = "Check that the file is whole and made for this version of llama.cpp"
            raise ModelUnfit(f"llama.cpp cannot load it ({error})", where=file.path.name, remedy=remedy) from error
        posix = os.name == "posix"
        self._http = httpx.Client(
            base_url="http://llama" if posix else self._server.listening_address,
            transport=httpx.HTTPTransport(uds=str(socket)) if posix else None,
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
            trust_env=False,
        )
        # llama.cpp's threads must have ended before the interpreter does.
        self._at_exit = weakref.finalize(self, _free, self.__dict__)

    def tokenize(self, text: str, *, control: bool) -> list[int]:
        """Return the tokens of ``text``; ``control`` says whether control tokens in it are recognized."""
        self._check_open()
        request = {"content": text, "add_special": False, "parse_special": control}
        try:
            answer = self._http.post("/tokenize", json=request)
            answer.raise_for_status()
            tokens: list[int] = answer.json()["tokens"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise BackendFailed(f"llama.cpp cannot tokenize ({error})", where=self.file.path.name) from error
        return tokens

    def write(
        self,
        tokens: list[int],
        *,
        max_tokens: int,
        temperature: float,
        stop: tuple[str, ...] = (),
        beats: bool = False,
    ) -> Iterator[str]:
        """Yield text as it is written; closing the iterator returns when the model is free again.

        ``beats`` yields "" at the start and after each step of reading the prompt, where it can be closed too.
        """
        request = {
            "prompt": tokens,
            "max_tokens": max_tokens,
            "temperature": temperature,
            "stop": list(stop),
            "stream": True,
            "cache_prompt": True,
            "return_progress": True,  # without it nothing is said, and no stop is seen, until the first token
            **({"top_k": 1} if temperature == 0 else {}),
        }
        chunks: SimpleQueue[Any] = SimpleQueue()
        stopped = Event()
        with self._lock:
            self._check_open()
            self._stops.add(stopped)
        worker = Thread(target=self._run, args=(request, chunks, stopped), name="llama.cpp", daemon=True)
        worker.start()
        try:
            while (chunk := chunks.get()) is not None:
                text = _text(chunk, where=self.file.path.name)
                if text or (beats and "prompt_progress" in chunk):
                    yield text
            if stopped.is_set():  # by close(), from another thread: what was said is not the whole
                raise BackendFailed("the model was closed", where=self.file.path.name, remedy="Open it again")
        finally:
            stopped.set()
            worker.join()

    def next_log_probabilities(self, tokens: list[int], *, n: int) -> dict[int, float]:
        """Return the natural logarithms of the likeliest ``n`` next tokens' probabilities, by token."""
        self._check_open()
        answers: list[Any] = []

        def take(answer: Any) -> bool:
            answers.append(answer)
            return False

        request = {"prompt": tokens, "max_tokens": 1, "temperature": 0, "logprobs": n, "stream": False}
        self._server.handle_completions(request, take)
        _text(answers[-1], where=self.file.path.name)  # raises what llama.cpp says went wrong
        first = answers[-1]["choices"][0]["logprobs"]["content"][0]
        return {int(one["id"]): float(one["logprob"]) for one in first["top_logprobs"]}

    def close(self) -> None:
        """Stop what is being written, wait for it, and free the model."""
        self._at_exit()

    def _run(self, request: dict[str, Any], chunks: SimpleQueue[Any], stopped: Event) -> None:
        def take(chunk: Any) -> bool:
            chunks.put(chunk)
            return stopped.is_set()

        try:
            self._server.handle_completions(request, take)
        except RuntimeError as error:
            chunks.put(error)
        finally:
            chunks.put(None)
            with self._lock:
                self._stops.discard(stopped)

    def _check_open(self) -> None:
        if self._closed:
            raise BackendFailed("the model was closed", where=self.file.path.name, remedy="Open it again")


def _free(held: dict[str, Any]) -> None:
    """Free an engine's parts; takes its attributes and not itself, so that it can be collected."""
    import time

    with held["_lock"]:
        held["_closed"] = True
        for stopped in held["_stops"]:
            stopped.set()
    while held["_stops"]:  # each leaves when its call of the model has returned, within a token
        time.sleep(0.005)
    held["_http"].close()
    held.pop("_server", None)
    shutil.rmtree(held["_folder"], ignore_errors=True)


def _text(chunk: Any, *, where: str) -> str:
    if isinstance(chunk, BaseException):
        raise BackendFailed(f"llama.cpp failed ({chunk})", where=where) from chunk
    if "error" in chunk:
        raise _error(chunk["error"], where=where)
    choices = chunk.get("choices") or [{}]
    return str(choices[0].get("text") or "")


def _error(error: dict[str, Any], *, where: str) -> CitadelError:
    said = str(error.get("message", "no reason given"))
    if error.get("type") == "exceed_context_size_error":
        return QuestionTooLong(said, remedy="Ask a shorter question, or raise generator.n_ctx")
    return BackendFailed(f"llama.cpp failed ({said})", where=where, remedy="Try again")


def _params(path: Path, *, n_ctx: int, n_parallel: int, threads: int) -> Any:
    try:
        import xllamacpp
    except (ImportError, OSError) as error:
        remedy = "Install the requirements, or choose another generator.backend"
        raise BackendUnavailable("xllamacpp is not installed", where="generator.backend", remedy=remedy) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel = n_ctx * n_parallel, n_parallel
    params.n_batch = params.n_ubatch = _BATCH_TOKENS
    cores = os.cpu_count() or 1
    # Prompts are read on all cores. Writing waits for memory more than for cores, and its threads wait for one another
    # some 400 times a token: one core is left to the rest, or a busy machine stops it for seconds.
    params.cpuparams_batch.n_threads = threads or cores
    params.cpuparams.n_threads = threads or max(1, cores - 1)
    # Threads sleep while they wait for one another. Spinning, the default, makes an answer eight times as slow as soon
    # as anything else, such as an ingest, wants the same cores.
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    params.n_gpu_layers = 0
    params.cache_ram_mib = 0  # its 8 GiB of old prompts; each slot's own prompt is still reused
    params.n_ctx_checkpoints = 0
    params.warmup = False
    params.fit_params = False
    params.ui = params.endpoint_slots = params.endpoint_props = False
    params.n_threads_http = 2
    params.cors_origins = ""
    params.verbosity = -1
    return params


def _lora(path: Path) -> Any:
    import xllamacpp

    return xllamacpp.CommonAdapterLoraInfo(str(path), 1.0)


@contextmanager
def _python_signals() -> Iterator[None]:
    """Keep Python's own handling of Ctrl-C and of being ended: loading replaces both, for the whole process."""
    get, put = ctypes.pythonapi.PyOS_getsig, ctypes.pythonapi.PyOS_setsig
    get.restype, get.argtypes = ctypes.c_void_p, [ctypes.c_int]
    put.restype, put.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
    kept = [(number, get(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in kept:
            put(number, handler)


def _short_temporary_folder() -> str | None:
    usual = tempfile.gettempdir()
    return "/tmp" if os.name == "posix" and len(usual) > _MAX_SOCKET_CHARS - 40 else None
