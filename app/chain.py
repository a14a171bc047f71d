"""The retrieval chain, in LCEL: condense -> retrieve -> read and weigh -> word and check.

``Asked`` flows in; ``Retrieved``, ``Token``... and ``Finished`` flow out as they happen. What the model writes is
streamed as it comes; the answer of ``Finished`` is what remains after every sentence was checked. A question that finds
nothing by itself is read once more behind the one before it, for it may be a follow-up that does not say so. Where
nothing retrieved supports an answer nothing is written; where the reader is sure of the answer's place, its words are
the answer; where the model has nothing supported to say, or does not write the question's language, the documents speak
for themselves, in quotes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from langchain_core.runnables import Runnable, RunnableGenerator, RunnableLambda

from app.condense import behind, condense
from app.evidence import Evidence, Scorer, Weighed
from app.grounding import Grounder, extended, ground, quote_answer, span_answer
from app.prompts import REFUSAL, grounded_messages
from app.reading_weights import SURE
from core.records import (
    Answer,
    Citation,
    Event,
    Finished,
    Hit,
    Language,
    Message,
    Retrieved,
    SearchFilter,
    Sentence,
    Timings,
    Token,
)
from core.settings import Settings
from core.text import detect_language
from llm.training.normalize import holds

QUOTES_MODEL = "quotes"
READER_MODEL = "reader"
_EMPTY: dict[Language, str] = {
    "en": "There are no documents to search yet. Add some, then ask again.",
    "zh": "这里还没有可供检索的文档。请先添加文档，再提问。",
}
_SEPARATOR: dict[Language, str] = {"en": " ", "zh": ""}
# A second sentence is quoted when it is nearly as good as the best, in log-odds.
_SECOND_WITHIN = 1.0


class Writer(Protocol):
    """A chat model with what a grounded prompt needs to know of it."""

    @property
    def n_ctx(self) -> int:
        """The context window, in tokens."""

    def count_tokens(self, text: str) -> int:
        """Count the model's tokens in ``text``."""

    def stream(self, messages: list[BaseMessage], /) -> Iterator[object]:
        """Yield message chunks with ``content``."""


class Verifier(Protocol):
    """What judges whether passages bear out what was written."""

    def __call__(self, question: str, said: Sequence[tuple[str, Hit]], /) -> list[float]:
        """Return the log-odds for each sentence with the passage it cites."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question with what came before it and where to look."""

    question: str
    history: tuple[Message, ...] = ()
    filter: SearchFilter = field(default_factory=SearchFilter)
    started: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Searched:
    asked: Asked
    standalone: str
    hits: tuple[Hit, ...] = ()
    weighed: Weighed = field(default_factory=lambda: Weighed(evidence=(), answerable=0.0))
    retrieve_ms: float = 0.0


class AnswerChain:
    """Answers questions; ``runnable`` is the LCEL chain from :class:`Asked` to events."""

    def __init__(
        self,
        *,
        search: Callable[[str, SearchFilter], Sequence[Hit]],
        weigh: Scorer,
        writer: Callable[[], Writer | None],
        model_name: str,
        settings: Settings,
        verify: Verifier | None = None,
    ) -> None:
        self._verify = verify
        self._search = search
        self._weigh = weigh
        self._writer = writer
        self._model_name = model_name
        self._settings = settings
        self.runnable: Runnable[Asked, Event] = (
            RunnableLambda(self._condensed).with_config(run_name="condense")
            | RunnableLambda(self._retrieved).with_config(run_name="retrieve")
            | RunnableGenerator(self._answered).with_config(run_name="answer")
        )

    def stream(self, question: str, *, history: tuple[Message, ...], filter: SearchFilter) -> Iterator[Event]:
        """Yield the events of one answer; closing the iterator stops the model."""
        asked = Asked(question=question, history=history, filter=filter, started=time.perf_counter())
        yield from self.runnable.stream(asked)

    def _condensed(self, asked: Asked) -> _Searched:
        return _Searched(asked=asked, standalone=condense(asked.question, asked.history))

    def _retrieved(self, searched: _Searched) -> _Searched:
        hits = tuple(self._search(searched.standalone, searched.asked.filter))
        return replace(searched, hits=hits, retrieve_ms=_since(searched.asked.started))

    def _answered(self, inputs: Iterator[_Searched]) -> Iterator[Event]:
        for searched in inputs:
            searched = self._weighed(searched)
            if self._refuses(searched):
                searched = self._behind(searched)
            yield Retrieved(hits=searched.hits)
            yield from self._told(searched)

    def _weighed(self, searched: _Searched) -> _Searched:
        if not searched.hits:
            return searched
        weighed = self._weigh(searched.standalone, searched.hits, turn=searched.asked.question)
        return replace(searched, weighed=weighed, hits=weighed.hits or searched.hits)

    def _refuses(self, searched: _Searched) -> bool:
        """Return whether nothing answers; passages without a letter or digit give no evidence to answer from."""
        weighed = searched.weighed
        return not weighed.evidence or weighed.answerable < self._settings.answer.refuse_below

    def _behind(self, searched: _Searched) -> _Searched:
        """Return the question as read behind the one before it, where so something answers; else as it was.

        What an earlier turn was told answers that turn and not this one.
        """
        asked = searched.asked
        standalone = behind(asked.question, asked.history)
        if standalone == searched.standalone or not searched.hits:
            return searched
        again = self._weighed(self._retrieved(replace(searched, standalone=standalone)))
        return searched if self._refuses(again) or _was_said(again.weighed.evidence[0], asked.history) else again

    def _told(self, searched: _Searched) -> Iterator[Event]:
        language = detect_language(searched.asked.question)
        clock = _Clock(searched)
        if self._refuses(searched):
            answer = self._refusal(searched, language)
            yield from clock.finished(answer, whole=True)
            return
        if (found := self._found(searched, language)) is not None:
            yield from clock.finished(found, whole=True)
            return
        writer = self._writer_of(language)
        if writer is None:
            yield from clock.finished(self._quoted(searched, language), whole=True)
            return
        written = ""
        for piece in self._written(writer, searched, language):
            written += piece
            yield from clock.token(piece) if piece else iter((Token(text=""),))
        yield from clock.finished(self._checked(written, searched, language), whole=not written)

    def _writer_of(self, language: Language) -> Writer | None:
        if self._settings.answer.words not in ("auto", "generator"):
            return None
        return self._writer() if language in self._settings.generator.languages else None

    def _found(self, searched: _Searched, language: Language) -> Answer | None:
        """Return the reader's answer, where it is to word it and is sure enough of it."""
        best = searched.weighed.evidence[0]
        words = self._settings.answer.words
        if words not in ("auto", "reader") or (words == "auto" and best.span_score < SURE[language]):
            return None
        told = span_answer(best, searched.hits)
        if told is None:
            return None
        text, sentences, citations = told
        answer = self._answer(searched, language, text=text, sentences=sentences, citations=citations)
        return replace(answer, model=READER_MODEL)

    def _written(self, writer: Writer, searched: _Searched, language: Language) -> Iterator[str]:
        generator = self._settings.generator
        messages = grounded_messages(
            searched.standalone,
            searched.hits,
            searched.weighed.evidence,
            language=language,
            count_tokens=writer.count_tokens,
            budget_tokens=min(writer.n_ctx - generator.max_tokens, generator.prompt_tokens),
            max_passages=generator.prompt_passages,
        )
        stream = writer.stream([_to_langchain(message) for message in messages])
        try:
            for chunk in stream:
                yield str(getattr(chunk, "content", ""))
        finally:
            close = getattr(stream, "close", None)
            if close:
                close()

    def _checked(self, written: str, searched: _Searched, language: Language) -> Answer:
        grounder = Grounder(
            searched.standalone,
            searched.hits,
            support=self._settings.answer.support,
            evidence=searched.weighed.evidence,
        )
        text = written.strip()
        sentences, citations = ground(text, searched.hits, grounder)
        sentences, citations = self._verified(searched, text, sentences, citations)
        if not citations:  # nothing the model said is in the passages: let them speak
            return self._quoted(searched, language)
        return self._answer(searched, language, text=text, sentences=sentences, citations=citations)

    def _verified(
        self, searched: _Searched, text: str, sentences: tuple[Sentence, ...], citations: tuple[Citation, ...]
    ) -> tuple[tuple[Sentence, ...], tuple[Citation, ...]]:
        """Take the citations from sentences that the reader finds their passages do not bear out."""
        if self._verify is None or not citations:
            return sentences, citations
        hit_of = {c.number: next(h for h in searched.hits if h.chunk.id == c.chunk_id) for c in citations}
        cited = [s for s in sentences if s.citations]
        odds = self._verify(searched.standalone, [(text[s.start : s.end], hit_of[s.citations[0]]) for s in cited])
        doubted = {s.start for s, each in zip(cited, odds, strict=True) if each < self._settings.answer.verify_above}
        kept = tuple(replace(s, citations=()) if s.start in doubted else s for s in sentences)
        still = {number for s in kept for number in s.citations}
        return kept, tuple(c for c in citations if c.number in still)

    def _quoted(self, searched: _Searched, language: Language) -> Answer:
        text, sentences, citations = quote_answer(
            _best(searched.weighed.evidence, searched.hits), searched.hits, separator=_SEPARATOR[language]
        )
        answer = self._answer(searched, language, text=text, sentences=sentences, citations=citations)
        return replace(answer, model=QUOTES_MODEL)

    def _refusal(self, searched: _Searched, language: Language) -> Answer:
        text = REFUSAL[language] if searched.hits else _EMPTY[language]
        return replace(self._answer(searched, language, text=text), abstained=True, model="")

    def _answer(
        self,
        searched: _Searched,
        language: Language,
        *,
        text: str,
        sentences: tuple[Sentence, ...] = (),
        citations: tuple[Citation, ...] = (),
    ) -> Answer:
        return Answer(
            question=searched.asked.question,
            text=text,
            sentences=sentences,
            citations=citations,
            hits=searched.hits,
            model=self._model_name,
            language=language,
            confidence=searched.weighed.answerable if searched.hits else None,
        )


def nothing_to_search(question: str) -> Answer:
    """Return the answer to a question where there are no documents to look at."""
    language = detect_language(question)
    return Answer(question=question, text=_EMPTY[language], abstained=True, language=language)


@dataclass(slots=True)
class _Clock:
    """Stamps the first text and the end."""

    searched: _Searched
    first_ms: float | None = None

    def token(self, piece: str) -> Iterator[Event]:
        if self.first_ms is None:
            self.first_ms = _since(self.searched.asked.started)
        yield Token(text=piece)

    def finished(self, answer: Answer, *, whole: bool) -> Iterator[Event]:
        """Yield the answer's text as one token when none was streamed, then the end."""
        if whole:
            yield from self.token(answer.text)
        timings = Timings(
            retrieve_ms=self.searched.retrieve_ms,
            first_token_ms=self.first_ms or 0.0,
            total_ms=_since(self.searched.asked.started),
        )
        yield Finished(answer=replace(answer, timings=timings))


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000


def _was_said(evidence: Evidence, history: Sequence[Message]) -> bool:
    """Return whether an answer of ``history`` says what a piece of evidence says."""
    sure = evidence.span is not None and evidence.span_score >= SURE[detect_language(evidence.text)]
    start, end = evidence.span if evidence.span and sure else (evidence.start, evidence.end)
    words = evidence.text[start - evidence.start : end - evidence.start]
    return any(holds(message.content, words) for message in history if message.role == "assistant")


def _best(evidence: Sequence[Evidence], hits: Sequence[Hit]) -> list[Evidence]:
    """Return the best sentence, and a second that is nearly as good, in reading order."""
    chosen = [extended(evidence[0], hits[evidence[0].hit])]
    for item in evidence[1:2]:
        apart = item.hit != chosen[0].hit or item.end <= chosen[0].start or item.start >= chosen[0].end
        if apart and item.score >= evidence[0].score - _SECOND_WITHIN:
            chosen.append(item)
    return chosen


def _to_langchain(message: Message) -> BaseMessage:
    kinds: dict[str, type[BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
    return kinds[message.role](content=message.content)
