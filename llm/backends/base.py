"""What every backend is: a LangChain chat model that also knows its window, counts its tokens and can be closed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.outputs.chat_generation import ChatGeneration

from core.errors import MalformedInput
from core.records import Message

Finish = Literal["stop", "length"]
_ROLES: dict[str, Literal["system", "user", "assistant"]] = {
    "system": "system",
    "human": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a model: the turns, and how it may answer."""

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float
    stop: tuple[str, ...] = ()


class GroundedChatModel(BaseChatModel):
    """A chat model for grounded prompts; ``stream`` yields text as it is written.

    Closing the iterator of ``stream`` stops the model before its next token. All errors are
    :class:`core.errors.CitadelError`.
    """

    model_name: str
    n_ctx: int
    max_tokens: int = 160
    temperature: float = 0.0

    @abstractmethod
    def count_tokens(self, text: str) -> int:
        """Count the model's tokens in ``text``, without any that begin or end a turn."""

    @abstractmethod
    def close(self) -> None:
        """Stop what is being written and free the model; a second call does nothing."""

    @abstractmethod
    def _write(self, request: Request) -> Iterator[str]:
        """Yield pieces of text as they are written; return when the model has ended or ``max_tokens`` is reached."""

    @property
    def _llm_type(self) -> str:
        return type(self).__name__

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, "n_ctx": self.n_ctx, "temperature": self.temperature}

    def get_num_tokens(self, text: str) -> int:
        """Count tokens, as LangChain asks for them."""
        return self.count_tokens(text)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        request = Request(
            messages=to_turns(messages),
            max_tokens=int(kwargs.get("max_tokens") or self.max_tokens),
            temperature=float(kwargs.get("temperature", self.temperature)),
            stop=tuple(stop or ()),
        )
        with closing(self._write(request)) as pieces:  # type: ignore[type-var]
            for piece in pieces:
                chunk = ChatGenerationChunk(message=AIMessageChunk(content=piece))
                if run_manager:
                    run_manager.on_llm_new_token(piece, chunk=chunk)
                yield chunk
        # LangChain takes a stream without any chunk for a fault; a model may rightly say nothing.
        yield ChatGenerationChunk(message=AIMessageChunk(content="", chunk_position="last"))

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        from langchain_core.messages import AIMessage

        text = "".join(chunk.text for chunk in self._stream(messages, stop, run_manager, **kwargs))
        message = AIMessage(content=text, response_metadata={"model_name": self.model_name})
        return ChatResult(generations=[ChatGeneration(message=message)])


def to_turns(messages: Sequence[BaseMessage]) -> tuple[Message, ...]:
    """Return LangChain messages as turns.

    Raises:
        MalformedInput: A message is of another role, or is no text.
    """
    turns = []
    for message in messages:
        role = _ROLES.get(message.type)
        if role is None:
            raise MalformedInput(f"a message of the role {message.type!r} cannot be put to the model")
        turns.append(Message(role=role, content=message.text))
    return tuple(turns)


def until_stop(pieces: Iterator[str], stops: Sequence[str]) -> Iterator[str]:
    """Yield text up to the first of ``stops``, holding back what may be the beginning of one."""
    held = ""
    for piece in pieces:
        held += piece
        found = [at for stop in stops if (at := held.find(stop)) >= 0]
        if found:
            if ready := held[: min(found)]:
                yield ready
            return
        keep = max((n for stop in stops for n in range(1, len(stop)) if held.endswith(stop[:n])), default=0)
        ready, held = held[: len(held) - keep], held[len(held) - keep :]
        if ready:
            yield ready
    if held:
        yield held
