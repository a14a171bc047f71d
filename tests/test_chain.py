"""The chain: what flows out, when no model is called, what is kept of what a model says, and that closing stops it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import pytest

from app.chain import QUOTES_MODEL, AnswerChain, _was_said
from app.evidence import Evidence, EvidenceScorer, Weighed
from core.records import (
    Answer,
    Chunk,
    Event,
    Finished,
    Hit,
    Locator,
    Message,
    Retrieved,
    SearchFilter,
    Token,
)
from core.settings import load_settings
from core.text import sentence_spans
from llm.backends.base import Request
from llm.backends.scripted import ScriptedChatModel
from tests.small_store import HashingEmbedder

MANUAL = "The Brisa 300 weighs 2.6 kg. Its battery lasts 26 months in the dark. The housing is made of steel."
LEAVE = "新员工每年享有十五天年假。工作满五年后，年假增加到二十天。"


def hit(text: str, source: str) -> Hit:
    locator = Locator(start=0, end=len(text), page=1)
    chunk = Chunk(id=source, source_id=source, text=text, locator=locator, n_tokens=1)
    return Hit(chunk=chunk, source=source, title="", collection="c", media_type="text/plain", score=1.0)


HITS = (hit(MANUAL, "manual.pdf"), hit(LEAVE, "年假.docx"))


def certain(question: str, hits: Sequence[Hit], *, turn: str = "") -> Weighed:
    """Weigh as the scorer does, and find every question answerable."""
    weighed = EvidenceScorer(HashingEmbedder()).weigh(question, hits, turn=turn)
    return Weighed(evidence=weighed.evidence, answerable=1.0)


def hopeless(question: str, hits: Sequence[Hit], *, turn: str = "") -> Weighed:
    return Weighed(evidence=certain(question, hits).evidence, answerable=0.01)


def chain(
    model: ScriptedChatModel | None, *, hits: Sequence[Hit] = HITS, weigh: object = certain, **settings: str
) -> AnswerChain:
    overrides = [f"{name.replace('__', '.')}={value}" for name, value in settings.items()]
    return AnswerChain(
        search=lambda query, filter: hits,
        weigh=weigh,  # type: ignore[arg-type]
        writer=lambda: model,
        model_name="scripted",
        settings=load_settings(overrides=overrides).settings,
    )


def events(chain: AnswerChain, question: str, history: tuple[Message, ...] = ()) -> list[Event]:
    return list(chain.stream(question, history=history, filter=SearchFilter()))


def answer(chain: AnswerChain, question: str) -> Answer:
    last = events(chain, question)[-1]
    assert isinstance(last, Finished)
    return last.answer


def test_events_come_in_order_and_the_tokens_make_the_text() -> None:
    model = ScriptedChatModel(replies=("The battery lasts 26 months.",))
    found = events(chain(model), "How long does the battery of the Brisa 300 last?")
    assert isinstance(found[0], Retrieved)
    assert found[0].hits == HITS
    assert all(isinstance(event, Token) for event in found[1:-1])
    assert len(found) > 4
    assert isinstance(found[-1], Finished)
    said = "".join(event.text for event in found if isinstance(event, Token))
    assert said == found[-1].answer.text == "The battery lasts 26 months."


def test_a_supported_sentence_is_cited_with_its_page() -> None:
    model = ScriptedChatModel(replies=("The battery lasts 26 months.",))
    told = answer(chain(model), "How long does the battery of the Brisa 300 last?")
    assert told.model == "scripted"
    assert [sentence.supported for sentence in told.sentences] == [True]
    assert "battery lasts 26 months" in told.citations[0].quote
    assert told.citations[0].page == 1
    assert told.timings.total_ms >= told.timings.first_token_ms >= told.timings.retrieve_ms > 0


def test_an_unsupported_sentence_stays_and_is_marked() -> None:
    model = ScriptedChatModel(replies=("The battery lasts 26 months. It was designed in Norway by Astrid Holm.",))
    told = answer(chain(model), "How long does the battery of the Brisa 300 last?")
    assert [sentence.supported for sentence in told.sentences] == [True, False]


def test_an_answer_without_any_support_gives_way_to_the_passage() -> None:
    model = ScriptedChatModel(replies=("The battery lasts 99 years.",))
    told = answer(chain(model), "How long does the battery of the Brisa 300 last?")
    assert told.model == QUOTES_MODEL
    assert "99" not in told.text
    assert told.citations
    assert all(sentence.supported for sentence in told.sentences)


def test_where_the_passages_hold_no_answer_no_model_is_called() -> None:
    model = ScriptedChatModel(replies=("Paris.",))
    told = answer(chain(model, weigh=hopeless), "What is the capital of France?")
    assert told.abstained
    assert told.text == "This is not in your documents."
    assert told.hits == HITS
    assert not told.citations
    assert not model.asked


def test_an_empty_knowledge_base_says_so_and_calls_no_model() -> None:
    model = ScriptedChatModel(replies=("Paris.",))
    told = answer(chain(model, hits=()), "What is the capital of France?")
    assert told.abstained
    assert "no documents" in told.text
    assert not model.asked


def test_a_chinese_question_is_answered_by_the_passage_where_the_model_writes_english_only() -> None:
    model = ScriptedChatModel(replies=("Fifteen days.",))
    told = answer(chain(model), "新员工每年有多少天年假？")
    assert "新员工每年享有十五天年假。" in told.text
    assert told.language == "zh"
    assert not model.asked


def test_a_bilingual_model_is_asked_in_chinese() -> None:
    model = ScriptedChatModel(replies=("新员工每年有15天年假。",))
    told = answer(chain(model, generator__languages="en,zh"), "新员工每年有多少天年假？")
    assert told.text == "新员工每年有15天年假。"
    assert told.citations[0].quote == "新员工每年享有十五天年假。"
    assert model.asked[0][0].content.startswith("你")


def test_a_refusal_is_in_the_language_of_the_question() -> None:
    assert answer(chain(None, weigh=hopeless), "公司有游泳池吗？").text.startswith("您的文档中没有")


def test_every_quote_is_verbatim_at_its_place() -> None:
    texts = {h.source: h.chunk.text for h in HITS}
    for model in (ScriptedChatModel(replies=("It weighs 2.6 kg. Its battery lasts 26 months.",)), None):
        told = answer(chain(model), "What does the Brisa 300 weigh?")
        assert told.citations
        for citation in told.citations:
            assert texts[citation.source][citation.locator.start : citation.locator.end] == citation.quote


def test_closing_the_stream_stops_the_model() -> None:
    model = ScriptedChatModel(replies=("word " * 90,))
    stream = chain(model).stream("How long does the battery last?", history=(), filter=SearchFilter())
    assert len(list(islice(stream, 4))) == 4
    stream.close()  # type: ignore[attr-defined]
    assert model.n_written < 10


def test_a_model_can_be_stopped_while_it_reads_its_prompt_which_is_no_text_yet() -> None:
    class Reading(ScriptedChatModel):
        def _write(self, request: Request) -> Iterator[str]:
            yield from ("", "")
            yield from super()._write(request)

    model = Reading(replies=("The battery lasts 26 months.",))
    question = "How long does the battery of the Brisa 300 last?"
    stream = chain(model).stream(question, history=(), filter=SearchFilter())
    assert list(islice(stream, 3))[1:] == [Token(text="")] * 2
    stream.close()  # type: ignore[attr-defined]
    assert model.n_written == 0
    told = answer(chain(model), question)
    assert told.text == "The battery lasts 26 months."


def test_a_follow_up_is_searched_with_what_it_refers_to() -> None:
    searched: list[str] = []

    def search(query: str, filter: SearchFilter) -> Sequence[Hit]:
        searched.append(query)
        return HITS

    asked = AnswerChain(
        search=search, weigh=certain, writer=lambda: None, model_name="", settings=load_settings().settings
    )
    history = (Message(role="user", content="What does the Brisa 300 weigh?"),)
    told = events(asked, "And its battery?", history)[-1]
    assert "Brisa 300" in searched[0]
    assert isinstance(told, Finished)
    assert told.answer.question == "And its battery?"


WEIGHT = (
    Message(role="user", content="What does the Brisa 300 weigh?"),
    Message(role="assistant", content="The Brisa 300 weighs 2.6 kg."),
)


def only_behind(question: str, hits: Sequence[Hit], *, turn: str = "") -> Weighed:
    """Find a question answerable only where the one about the Brisa stands before it."""
    return (certain if question.startswith("What does the Brisa") else hopeless)(question, hits, turn=turn)


REFUSED = (
    Message(role="user", content="And its price?"),
    Message(role="assistant", content="This is not in your documents."),
)


@pytest.mark.parametrize("between", [(), REFUSED])
@pytest.mark.parametrize(
    ("turn", "abstained"),
    [
        ("How long does the battery last in the dark?", False),
        ("Which weight in kg holds for the Brisa?", True),  # finds what an earlier turn was told
    ],
)
def test_a_question_that_finds_nothing_is_read_once_more_behind_the_one_before(
    turn: str, abstained: bool, between: tuple[Message, ...]
) -> None:
    last = events(chain(None, weigh=only_behind), turn, (*WEIGHT, *between))[-1]
    assert isinstance(last, Finished)
    assert last.answer.abstained is abstained
    assert ("26 months" in last.answer.text) is not abstained


@pytest.mark.parametrize(
    ("said", "span", "told_before"),
    [
        ("The lever costs 7.90 euros.", (0, 1), False),  # "9" is not what "7.90" says
        ("There are 9 levers.", (0, 1), True),
        ("There are 9 levers.", None, False),  # the whole sentence is not
    ],
)
def test_what_was_said_before_is_told_by_whole_words(
    said: str, span: tuple[int, int] | None, told_before: bool
) -> None:
    evidence = Evidence(hit=0, start=0, end=14, text="9 wheels, all.", score=0.0, span=span, span_score=2.0)
    history = (*WEIGHT, Message(role="user", content="q"), Message(role="assistant", content=said))
    assert _was_said(evidence, history) is told_before


def test_a_question_that_nothing_answers_either_way_is_refused_over_what_it_found_itself() -> None:
    searched: list[str] = []

    def search(query: str, filter: SearchFilter) -> Sequence[Hit]:
        searched.append(query)
        return HITS[len(searched) - 1 : len(searched)]

    asked = AnswerChain(
        search=search, weigh=hopeless, writer=lambda: None, model_name="", settings=load_settings().settings
    )
    last = events(asked, "How long does the battery last in the dark?", WEIGHT)[-1]
    assert isinstance(last, Finished)
    assert last.answer.abstained
    assert [len(searched), *(hit.source for hit in last.answer.hits)] == [2, HITS[0].source]


def test_evidence_ranks_the_sentence_that_answers_first() -> None:
    weighed = EvidenceScorer(HashingEmbedder()).weigh("How long does the battery last in the dark?", HITS)
    assert weighed.evidence[0].text == "Its battery lasts 26 months in the dark."
    assert {type(item) for item in weighed.evidence} == {Evidence}
    n_sentences = sum(len(list(sentence_spans(h.chunk.text))) for h in HITS)
    assert len(weighed.evidence) == n_sentences


@pytest.mark.parametrize("question", ["weather station in the dark", "年假"])
def test_probabilities_are_probabilities(question: str) -> None:
    assert 0 <= EvidenceScorer(HashingEmbedder()).weigh(question, HITS).answerable <= 1
