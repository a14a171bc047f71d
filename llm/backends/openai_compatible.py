"""Any server with OpenAI's chat API: vLLM, llama-server, Ollama and others.

Plain httpx, which is here anyway: langchain-openai brings the official client and a tokenizer (0.7 s and 21 MB
of imports), and errors that would have to be mapped all the same, for one request.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from pydantic import ConfigDict, PrivateAttr

from core.errors import (
    BackendFailed,
    BackendUnavailable,
    CitadelError,
    InvalidSetting,
    ModelMissing,
    QuestionTooLong,
)
from core.settings import GeneratorSettings
from llm.backends.base import GroundedChatModel, Request
from llm.templates import neutralise

_CONNECT_SECONDS = 5.0
_READ_SECONDS = 120.0  # a large model on a slow machine may read that long before its first word
_TOKENS_OF_ASCII, _TOKENS_OF_OTHER = 1 / 3, 1.5


def open_model(settings: GeneratorSettings, models_dir: Path, progress: object = None) -> OpenAICompatibleChatModel:
    """Name a served model; nothing is asked of the server until the first question.

    Raises:
        InvalidSetting: ``generator.base_url`` is no address, or an adapter is named.
    """
    if not settings.base_url.startswith(("http://", "https://")):
        remedy = "Set it to the server's address with its version, such as http://127.0.0.1:8000/v1"
        raise InvalidSetting("the openai backend needs an address", where="generator.base_url", remedy=remedy)
    if settings.adapter not in ("default", "none"):
        remedy = "Name it to the server, or choose another generator.backend"
        raise InvalidSetting("a served model has its server's adapters", where="generator.adapter", remedy=remedy)
    return OpenAICompatibleChatModel(
        model_name=settings.model,
        n_ctx=settings.n_ctx,
        max_tokens=settings.max_tokens,
        temperature=settings.temperature,
        base_url=settings.base_url,
        api_key=settings.api_key,
    )


class OpenAICompatibleChatModel(GroundedChatModel):
    """A model behind ``POST {base_url}/chat/completions`` with server-sent events."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    base_url: str
    _client: httpx.Client = PrivateAttr()

    def __init__(self, *, api_key: str = "", **fields: Any) -> None:
        super().__init__(**fields)
        self._client = httpx.Client(
            base_url=self.base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {api_key}"} if api_key else {},
            timeout=httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS),
        )

    def count_tokens(self, text: str) -> int:
        """Estimate the tokens of ``text``, on the high side: the API has no call that counts them."""
        n_ascii = sum(character.isascii() for character in text)
        return math.ceil(n_ascii * _TOKENS_OF_ASCII + (len(text) - n_ascii) * _TOKENS_OF_OTHER)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _write(self, request: Request) -> Iterator[str]:
        # The server writes the template, which is unknown here: control tokens of every family are made harmless.
        turns = [{"role": turn.role, "content": neutralise(turn.content)} for turn in request.messages]
        body: dict[str, Any] = {
            "model": self.model_name,
            "messages": turns,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "stream": True,
        }
        if request.stop:
            body["stop"] = list(request.stop)
        if self._client.is_closed:
            raise BackendFailed("the model was closed", where=self.base_url, remedy="Open it again")
        try:
            with self._client.stream("POST", "chat/completions", json=body) as answer:
                if answer.is_error:
                    answer.read()
                    raise self._refusal(answer)
                yield from self._texts(answer)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            remedy = "Start the server, or correct generator.base_url"
            raise BackendUnavailable("no server answers", where=self.base_url, remedy=remedy) from error
        except httpx.TimeoutException as error:
            what = f"the server said nothing for {_READ_SECONDS:.0f} seconds"
            raise BackendFailed(what, where=self.base_url, remedy="Try again, or ask for less") from error
        except (httpx.HTTPError, httpx.StreamError, RuntimeError) as error:
            what = f"the connection ended within the answer ({type(error).__name__})"
            raise BackendFailed(what, where=self.base_url, remedy="Try again") from error

    def _texts(self, answer: httpx.Response) -> Iterator[str]:
        ended = False
        for line in answer.iter_lines():
            payload = line.removeprefix("data:").strip()
            if not line.startswith("data:") or not payload:
                continue
            if payload == "[DONE]":
                return
            try:
                event = json.loads(payload)
            except ValueError as error:
                raise BackendFailed(
                    "the server sent no JSON", where=self.base_url, remedy="Is it OpenAI's API"
                ) from error
            if "error" in event:
                raise BackendFailed(f"the server failed ({_said(event)})", where=self.base_url, remedy="Try again")
            for choice in event.get("choices") or []:
                ended = ended or bool(choice.get("finish_reason"))
                if text := (choice.get("delta") or {}).get("content"):
                    yield text
        if not ended:
            what = "the connection ended within the answer"
            raise BackendFailed(what, where=self.base_url, remedy="Try again, and look into the server's log")

    def _refusal(self, answer: httpx.Response) -> CitadelError:
        try:
            said = _said(answer.json())
        except ValueError:
            said = answer.text.strip()[:160] or "no reason given"
        status = answer.status_code
        where = self.base_url
        if status in (401, 403):
            remedy = "Set generator.api_key to a key that the server knows"
            return BackendUnavailable(f"the server refuses the key ({said})", where=where, remedy=remedy)
        if status == 404:
            remedy = "Check generator.model and that generator.base_url ends in the version, such as /v1"
            return ModelMissing(f"the server has no model {self.model_name!r} ({said})", where=where, remedy=remedy)
        if status in (400, 413, 422) and any(word in said.lower() for word in ("context", "too long", "maximum")):
            return QuestionTooLong(f"the prompt is too long for the model ({said})", remedy="Lower generator.n_ctx")
        remedy = "Try again later" if status == 429 or status >= 500 else "Check the generator's settings"
        return BackendFailed(f"the server answers {status} ({said})", where=where, remedy=remedy)


def _said(event: Any) -> str:
    error = event.get("error", event) if isinstance(event, dict) else event
    message = error.get("message", error) if isinstance(error, dict) else error
    return str(message)[:160]
