"""Reading in the chain: the reader's order, its sentence and span as evidence, its words as the answer, refusal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from app.chain import QUOTES_MODEL, READER_MODEL, AnswerChain
from app.evidence import Evidence, EvidenceScorer, Weighed
from app.grounding import span_answer
from app.reading import ReadingScorer, codes_nowhere
from app.searching import Searcher
from core.records import Answer, Chunk, Finished, Hit, Locator, SearchFilter
from core.settings import load_settings
from llm.backends.scripted import ScriptedChatModel
from llm.reader import PassageReading
from llm.reader.serving import WindowReading
from tests.small_store import HashingEmbedder

HILL = (
    "The mast stands on the hill. It was raised in 1931 by the harbour board and the guild of pilots. Gulls nest on it."
)
YARD = "The crane stands in the yard. It was bought in 1954 from a mill."
LEAVE = "新员工每年享有十五天年假。工作满五年后，年假增加到二十天。"
WEAK = -8.0


class ScriptedReader:
    """Reads as it is told: what a text contains gives the span's words and the log-odds that it answers."""

    def __init__(self, script: dict[str, tuple[str, float]]) -> None:
        self._script = script
        self.read_texts: list[str] = []

    def read(self, question: str, passages: Sequence[tuple[str, str]]) -> list[PassageReading]:
        self.read_texts += [text for _, text in passages]
        return [self._reading(text) for _, text in passages]

    def _reading(self, text: str) -> PassageReading:
        span, odds = next((said for part, said in self._script.items() if part in text), ("", WEAK))
        offsets = tuple((i, i + 1) for i in range(len(text)))
        start, end = np.full(len(text), WEAK, np.float32), np.full(len(text), WEAK, np.float32)
        if span:
            at = text.index(span)
            start[at] = end[at + len(span) - 1] = odds
        window = WindowReading(
            offsets=offsets, start=start, end=end, nowhere=(0.0, 0.0), relevant=odds, holds=odds, supports=0.0
        )
        return PassageReading(windows=(window,))


def hit(text: str, source: str, *, score: float = 0.9, at: int = 0) -> Hit:
    locator = Locator(start=at, end=at + len(text), page=1)
    chunk = Chunk(id=source, source_id=source, text=text, locator=locator, n_tokens=1)
    return Hit(
        chunk=chunk,
        source=source,
        title="",
        collection="c",
        media_type="text/plain",
        score=score,
        scores={"dense": score},
    )


HITS = (hit(YARD, "yard.txt"), hit(HILL, "hill.txt", at=100))
SURE = {"hill": ("1931", 9.0), "yard": ("1954", -3.0)}


def weigh(script: dict[str, tuple[str, float]], *, k: int = 5, hits: Sequence[Hit] = HITS) -> Weighed:
    scorer = EvidenceScorer(HashingEmbedder())
    return ReadingScorer(ScriptedReader(script), scorer, k=k).weigh("When was the mast raised?", hits)


def test_passages_come_in_the_readers_order_and_the_best_are_kept() -> None:
    assert [h.source for h in weigh(SURE).hits] == ["hill.txt", "yard.txt"]
    assert [h.source for h in weigh(SURE, k=1).hits] == ["hill.txt"]


def test_the_first_evidence_is_the_sentence_of_the_span_in_the_documents_characters() -> None:
    weighed = weigh(SURE)
    best = weighed.evidence[0]
    assert weighed.hits[best.hit].source == "hill.txt"
    assert best.text == "It was raised in 1931 by the harbour board and the guild of pilots."
    assert best.span is not None
    text = weighed.hits[best.hit].chunk.text
    assert text[best.span[0] - 100 : best.span[1] - 100] == "1931"
    assert best.start <= best.span[0] < best.span[1] <= best.end
    assert best.span_score == pytest.approx(16.0)  # 18, bounded


def test_what_the_reader_finds_nowhere_is_less_likely_answered() -> None:
    assert weigh({}).answerable < 0.3 < 0.5 < weigh(SURE).answerable


def test_a_model_or_year_that_no_passage_names_makes_an_answer_unlikely() -> None:
    assert codes_nowhere("When was the mast of 1931 raised?", HITS) == 0.0
    assert codes_nowhere("How heavy is the X400?", HITS) == 1.0
    assert codes_nowhere("How heavy is the mast?", HITS) == 0.0
    reader = ScriptedReader({"hill": ("1931", 0.5)})
    scorer = ReadingScorer(reader, EvidenceScorer(HashingEmbedder()), k=5)
    known, unknown = (scorer.weigh(f"When was the mast {code} raised?", HITS).answerable for code in ("1931", "X400"))
    assert unknown < known / 2


def test_nothing_readable_is_no_evidence() -> None:
    weighed = weigh({}, hits=(hit("—— …", "dots.txt"),))
    assert (weighed.evidence, weighed.answerable) == ((), 0.0)


def answer(weighed: Weighed, question: str = "When was the mast raised?", **settings: str) -> Answer:
    overrides = [f"{name.replace('__', '.')}={value}" for name, value in settings.items()]
    chain = AnswerChain(
        search=lambda query, filter: HITS,
        weigh=lambda question, hits, turn="": weighed,
        writer=lambda: None,
        model_name="none",
        settings=load_settings(overrides=overrides).settings,
    )
    *_, last = chain.stream(question, history=(), filter=SearchFilter())
    assert isinstance(last, Finished)
    return last.answer


def test_where_the_reader_is_sure_its_words_are_the_answer_and_the_sentence_is_the_quote() -> None:
    told = answer(weigh(SURE))
    assert (told.text, told.model, told.abstained) == ("1931", READER_MODEL, False)
    assert [c.quote for c in told.citations] == ["It was raised in 1931 by the harbour board and the guild of pilots."]
    assert told.citations[0].source == "hill.txt"
    assert told.sentences[0].citations == (1,)
    assert [h.source for h in told.hits] == ["hill.txt", "yard.txt"]
    assert told.confidence is not None
    assert told.confidence > 0.5


@pytest.mark.parametrize(("odds", "cited"), [(3.0, True), (-5.0, False)])
def test_a_written_sentence_that_its_passage_does_not_bear_out_loses_its_citation(odds: float, cited: bool) -> None:
    model = ScriptedChatModel(replies=("It was raised in 1931 by the harbour board and the guild of pilots.",))
    asked: list[tuple[str, str]] = []

    def verify(question: str, said: Sequence[tuple[str, Hit]]) -> list[float]:
        asked.extend((sentence, hit.source) for sentence, hit in said)
        return [odds] * len(said)

    chain = AnswerChain(
        search=lambda query, filter: HITS,
        weigh=lambda question, hits, turn="": weigh(SURE),
        writer=lambda: model,
        model_name="scripted",
        settings=load_settings(overrides=["answer.words=generator"]).settings,
        verify=verify,
    )
    *_, last = chain.stream("When was the mast raised?", history=(), filter=SearchFilter())
    assert isinstance(last, Finished)
    assert asked == [("It was raised in 1931 by the harbour board and the guild of pilots.", "hill.txt")]
    assert (last.answer.model == "scripted") is cited  # without any citation left, the documents speak for themselves


def test_where_it_is_not_sure_the_sentence_speaks() -> None:
    told = answer(weigh({"hill": ("1931", -5.0)}), answer__refuse_below="0")
    assert told.model == QUOTES_MODEL
    assert told.text.endswith(".")


def test_where_nothing_is_to_be_refused_passages_without_a_word_are_still_no_answer() -> None:
    told = answer(weigh({}, hits=(hit("—— …", "dots.txt"),)), answer__refuse_below="0")
    assert told.abstained


def test_the_setting_says_who_words_the_answer() -> None:
    unsure = answer(weigh({"hill": ("1931", -5.0)}), answer__words="reader", answer__refuse_below="0")
    assert unsure.model == READER_MODEL
    assert not unsure.text.endswith(".")
    told = answer(weigh(SURE), answer__words="quotes")
    assert told.text.startswith("It was raised in 1931 by the harbour board and the guild of pilots.")
    assert told.model == QUOTES_MODEL


def test_where_the_reader_finds_nothing_the_documents_are_said_not_to_hold_it() -> None:
    told = answer(weigh({}))
    assert told.abstained
    assert told.citations == ()
    assert told.confidence is not None
    assert told.confidence < 0.3


@pytest.mark.parametrize(
    ("text", "span", "said"),
    [
        ("It was (in 1931) raised.", "(in 1931", "in 1931"),
        ("Opened by J. F. Kennedy Jr.", "J. F. Kennedy Jr.", "J. F. Kennedy Jr."),
        ("It stands in the yard.", "the yard.", "the yard"),
        ("年假增加到二十天，病假另计。", "二十天，", "二十天"),
        ("写于《红楼梦》之后", "《红楼梦", "红楼梦"),
        ("Built\nby   Ada", "by   Ada", "by Ada"),
    ],
)
def test_a_spans_words_are_said_without_stray_punctuation(text: str, span: str, said: str) -> None:
    at = text.index(span)
    item = Evidence(hit=0, start=0, end=len(text), text=text, score=1.0, span=(at, at + len(span)))
    told = span_answer(item, [hit(text, "a.txt")])
    assert told is not None
    assert told[0] == said
    assert told[2][0].quote == text


def test_a_span_of_punctuation_is_no_answer() -> None:
    item = Evidence(hit=0, start=0, end=5, text="a ...", score=1.0, span=(2, 5))
    assert span_answer(item, [hit("a ...", "a.txt")]) is None
    assert span_answer(Evidence(hit=0, start=0, end=1, text="a", score=1.0), [hit("a", "a.txt")]) is None


class _Index:
    def search(self, query: str, *, k: int | None = None, filter: SearchFilter | None = None) -> list[Hit]:
        assert k is not None
        return [*HITS, hit(LEAVE, "年假.docx")][:k]


def test_search_reads_the_first_passages_and_leaves_the_rest_in_their_order() -> None:
    reader = ScriptedReader({**SURE, "年假": ("二十天", 9.0)})
    settings = load_settings(overrides=["reader.passages=2"]).settings
    found = Searcher(_Index(), reader, settings).search("when", k=3)  # type: ignore[arg-type]
    assert [h.source for h in found] == ["hill.txt", "yard.txt", "年假.docx"]
    assert reader.read_texts == [YARD, HILL]
    assert found[0].scores["reader"] == 9.0
    assert "reader" not in found[2].scores


def test_without_a_reader_search_is_the_indexs_own() -> None:
    found = Searcher(_Index(), None, load_settings().settings).search("when", k=2)  # type: ignore[arg-type]
    assert [h.source for h in found] == ["yard.txt", "hill.txt"]
