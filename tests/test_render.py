"""What is shown is what the records say, and no text of anyone's becomes markup."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from app.jobs import JobState
from app.people.records import CollectionRights, GivenRating, Right
from app.turns import TurnState
from app.ui.feedback import given_html, rating_form_html
from app.ui.render import (
    Beside,
    answer_html,
    closest_html,
    model_name,
    place,
    snippet,
    sources_html,
    turn_html,
    turns_html,
)
from app.ui.reports import documents_html, job_html, kind_of
from app.ui.source_pane import Passage, passage_html, picture_address
from core.errors import EmptyQuestion, EncryptedDocument
from core.interfaces import StoredSource
from core.records import Answer, Box, Chunk, Citation, Hit, Language, Locator, Sentence, Timings
from ingest.reports import FileReport, Progress

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)> [x](javascript:alert(1)) $x^2$ \"'`${1+1}{{1}} &amp;"
ALLOWED_TAGS = {
    "article", "aside", "blockquote", "br", "button", "circle", "details", "div", "figure", "footer", "h2", "h3", "h4",
    "header", "i", "img", "li", "mark", "ol", "p", "path", "progress", "rect", "section", "small", "span", "strong",
    "summary", "svg", "table", "caption", "tbody", "td", "th", "thead", "tr",
}  # fmt: skip


class Reader(HTMLParser):
    """Reads markup as a browser does: its tags, its attributes and its text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def assert_harmless(html: str, *, links: Collection[str] = (), more_tags: Collection[str] = ()) -> Reader:
    """Assert that the markup is of our own tags, runs nothing and leads nowhere but to the ``links`` named."""
    reader = Reader(html)
    assert set(reader.tags) <= {*ALLOWED_TAGS, *more_tags}
    for name, value in reader.attributes:
        assert not name.startswith("on")
        assert name != "href" or value in links
        assert name != "src" or str(value).startswith("/api/pages/")
    return reader


def _hit(text: str = "Leave is 25 days.", source: str = "hr/handbook.pdf", **where: object) -> Hit:
    locator = Locator(start=0, end=len(text), **where)  # type: ignore[arg-type]
    chunk = Chunk(id="c" * 32, source_id="s" * 32, text=text, locator=locator, n_tokens=5)
    return Hit(
        chunk=chunk, source=source, title="Handbook", collection="default", media_type="application/pdf", score=1
    )


def _citation(number: int = 1, quote: str = "Leave is 25 days.", source: str = "hr/handbook.pdf") -> Citation:
    locator = Locator(start=0, end=len(quote), page=3)
    return Citation(number=number, chunk_id="c" * 32, source=source, collection="default", locator=locator, quote=quote)


def _answer(text: str, sentences: tuple[Sentence, ...], citations: tuple[Citation, ...], **fields: object) -> Answer:
    return Answer(question="q", text=text, sentences=sentences, citations=citations, **fields)  # type: ignore[arg-type]


def _turn(**fields: object) -> TurnState:
    return TurnState(**{"id": "turn-1", "question": "How long?", **fields})  # type: ignore[arg-type]


def test_each_sentence_is_followed_by_its_citations() -> None:
    text = "Leave is 25 days. It lapses in June."
    sentences = (Sentence(start=0, end=17, citations=(1,)), Sentence(start=18, end=len(text), citations=(1, 2)))
    html = answer_html(_answer(text, sentences, (_citation(1), _citation(2))), turn_id="t", language="en")
    assert re.sub(r"\s+", " ", Reader(html).text) == "Leave is 25 days.1 It lapses in June.12"
    assert re.findall(r'data-open="(.*?)"', html) == ["t/1", "t/1", "t/2"]
    assert "No passage supports this" not in html


@pytest.mark.parametrize(("language", "said"), [("en", "No passage supports this"), ("zh", "没有原文支持这句话")])
def test_a_sentence_without_support_says_so_and_has_no_citation(language: Language, said: str) -> None:
    html = answer_html(_answer("Everyone likes it.", (Sentence(start=0, end=18),), ()), turn_id="t", language=language)
    assert f'title="{said}"' in html
    assert 'class="unsupported"' in html
    assert "data-open" not in html


def test_a_citation_number_without_a_citation_is_not_shown() -> None:
    html = answer_html(_answer("A.", (Sentence(start=0, end=2, citations=(7,)),), ()), turn_id="t", language="en")
    assert "data-open" not in html


def test_text_between_sentences_and_overlapping_sentences_lose_and_repeat_nothing() -> None:
    text = "One.\n\nTwo. Three"
    sentences = (Sentence(start=6, end=10, citations=(1,)), Sentence(start=0, end=8, citations=(1,)))
    html = answer_html(_answer(text, sentences, (_citation(),)), turn_id="t", language="en")
    assert re.sub("1", "", Reader(html).text) == text


def test_nothing_of_a_document_a_question_or_a_model_becomes_markup() -> None:
    hit = _hit(HOSTILE, source=f"{HOSTILE}/x.pdf", sheet=HOSTILE, headings=(HOSTILE,))
    answer = _answer(
        HOSTILE,
        (Sentence(start=0, end=len(HOSTILE), citations=(1,)),),
        (_citation(quote=HOSTILE, source=f"a/{HOSTILE}"),),
        hits=(hit,),
        model=HOSTILE,
        timings=Timings(total_ms=10),
    )
    turns = [
        _turn(question=HOSTILE, stage="finished", text=HOSTILE, answer=answer),
        _turn(question=HOSTILE, stage="writing", text=HOSTILE),
        _turn(question=HOSTILE, stage="stopped", text=HOSTILE),
        _turn(question=HOSTILE, stage="failed", error=EmptyQuestion(HOSTILE, where=HOSTILE)),
        _turn(stage="finished", text="no", answer=_answer(HOSTILE, (), (), hits=(hit,), abstained=True)),
    ]
    for language in ("en", "zh"):
        reader = assert_harmless(turns_html(turns, language))
        assert HOSTILE in reader.text
        assert_harmless(sources_html(answer.citations, turn_id=HOSTILE, language=language))
        assert_harmless(closest_html(answer.hits, turn_id=HOSTILE, language=language))


def test_half_a_character_is_shown_as_a_missing_one_and_can_be_sent() -> None:
    html = turn_html(_turn(question="a\ud83db", stage="writing", text="\udc80"), "en")
    assert "a\ufffdb" in html
    assert html.encode().decode() == html


def test_what_was_written_before_a_failure_stays_and_can_be_copied() -> None:
    html = turn_html(_turn(stage="failed", text="It is", error=EmptyQuestion("no words")), "en")
    assert '<div class="answer">It is</div>' in html
    assert "data-copy" in html
    assert "data-copy" not in turn_html(_turn(stage="failed", error=EmptyQuestion("no words")), "en")


def test_nothing_of_a_file_name_or_a_report_becomes_markup() -> None:
    source = StoredSource(
        source_id="s" * 32, path=f"{HOSTILE}/{HOSTILE}.pdf", collection=HOSTILE, location="/x", sha256="0",
        media_type=HOSTILE, size_bytes=1, modified=0, ingested=0, title=HOSTILE, n_chunks=1, n_pages=None,
        language=HOSTILE, recipe="",
    )  # fmt: skip
    shelf = CollectionRights(name=HOSTILE, label=HOSTILE, right="own", owner_name=HOSTILE)
    reports = (
        FileReport(path=HOSTILE, status="added", n_chunks=1, notes=(HOSTILE,)),
        FileReport.failure(HOSTILE, EncryptedDocument(HOSTILE, where=HOSTILE, remedy=HOSTILE)),
    )
    job = JobState(id=HOSTILE, collection=HOSTILE, stage="failed", reports=reports, error=EncryptedDocument(HOSTILE))
    for language in ("en", "zh"):
        assert HOSTILE in assert_harmless(documents_html([source], language, shelves={HOSTILE: shelf})).text
        assert_harmless(job_html(job, language))


def test_who_may_only_read_a_collection_is_shown_no_way_to_delete_from_it() -> None:
    source = StoredSource(
        source_id="s" * 32, path="a.pdf", collection="hr~x", location="/x", sha256="0", media_type="application/pdf",
        size_bytes=1, modified=0, ingested=0, title="", n_chunks=1, n_pages=None, language="en", recipe="",
    )  # fmt: skip
    rights: tuple[Right, ...] = ("read", "write", "own")
    for right in rights:
        shelf = CollectionRights(name="hr~x", label="HR", right=right)
        shown = Reader(documents_html([source], "en", shelves={"hr~x": shelf}))
        assert ("button" in shown.tags) is (right != "read")
        assert "HR" in shown.text
        assert "hr~x" not in shown.text


def test_nothing_of_a_passage_becomes_markup_however_it_is_shown() -> None:
    table = f"Model | {HOSTILE}\nA | {HOSTILE}\n"
    shown = [
        (HOSTILE, Locator(start=3, end=40), ()),
        (table, Locator(start=table.index("A |"), end=len(table) - 1, row_start=2), ()),
        (HOSTILE, Locator(start=0, end=5, page=1, headings=(HOSTILE,)), (1,)),
    ]
    for text, locator, pages in shown:
        passage = Passage(
            source_id="s" * 32, source=HOSTILE, title=HOSTILE, collection="c", text=text, locator=locator, pages=pages
        )
        for language in ("en", "zh"):
            assert_harmless(passage_html(passage, language))


def test_a_turn_says_what_it_is_doing() -> None:
    assert "Searching your documents" in turn_html(_turn(), "en")
    assert "正在阅读 2 段原文" in turn_html(_turn(stage="reading", hits=(_hit(), _hit())), "zh")
    assert 'aria-busy="true"' in turn_html(_turn(stage="writing", text="Le"), "en")
    assert "Stopped before anything was written" in turn_html(_turn(stage="stopped"), "en")


def test_an_answer_that_is_not_in_the_documents_shows_the_closest_passages() -> None:
    answer = _answer("This is not in your documents.", (), (), abstained=True, hits=tuple(_hit() for _ in range(5)))
    html = turn_html(_turn(stage="finished", text=answer.text, answer=answer), "en")
    assert "Closest passages" in html
    assert re.findall(r'data-open="(.*?)"', html) == ["turn-1/h1", "turn-1/h2", "turn-1/h3"]
    assert "unsupported" not in html


def test_an_answer_to_a_question_about_everything_says_that_it_covers_what_was_found() -> None:
    answer = _answer("Two.", (Sentence(start=0, end=4, citations=(1,)),), (_citation(),), hits=(_hit(), _hit("More.")))
    turn = _turn(stage="finished", text="Two.", answer=answer)
    for kind, said in (
        ("count", "Counted only in the 2 passages"),
        ("list", "Only what the 2"),
        ("extreme", "Compared"),
    ):
        assert said in Reader(turn_html(turn, "en", beside=Beside(uncovered=kind))).text  # type: ignore[arg-type]
    assert "2 段原文" in Reader(turn_html(turn, "zh", beside=Beside(uncovered="count"))).text
    assert "passages found" not in turn_html(turn, "en")


def test_the_pane_goes_on_to_what_was_found_and_not_cited() -> None:
    other = replace(_hit("More."), chunk=replace(_hit("More.").chunk, id="d" * 32))
    answer = _answer("Yes.", (Sentence(start=0, end=4, citations=(1,)),), (_citation(),), hits=(_hit(), other))
    assert 'data-also="turn-1/h2"' in turn_html(_turn(stage="finished", text="Yes.", answer=answer), "en")
    cited = replace(answer, hits=(_hit(),))
    assert "data-also" not in turn_html(_turn(stage="finished", text="Yes.", answer=cited), "en")


def test_a_question_can_be_edited_once_its_answer_has_ended() -> None:
    assert "data-edit" in turn_html(_turn(stage="stopped"), "en")
    assert "data-edit" not in turn_html(_turn(stage="writing", text="It"), "en")


def test_what_a_person_wrote_about_an_answer_never_becomes_markup() -> None:
    given = GivenRating(verdict="down", reason="wrong", corrected=f"</textarea>{HOSTILE}")
    form = assert_harmless(
        rating_form_html(given, "en", refused=False),
        more_tags={"form", "fieldset", "legend", "label", "input", "textarea"},
    )
    assert HOSTILE in form.text
    assert_harmless(given_html(given, "zh"))


def test_an_original_can_be_saved_where_it_is_still_there() -> None:
    passage = _passage("quotation", Locator(start=0, end=9))
    assert "href" not in passage_html(passage, "en")
    shown = replace(passage, original=True, source_id="../x")
    assert_harmless(passage_html(shown, "en"), links={"/api/sources/..%2Fx/original"}, more_tags={"a"})


def test_model_and_times_stand_under_an_answer() -> None:
    answer = _answer("Yes.", (), (), model="tiny-llama", timings=Timings(first_token_ms=420, total_ms=2900))
    html = turn_html(_turn(stage="finished", text="Yes.", answer=answer), "en")
    assert "tiny-llama · first text 0.4 s, done 2.9 s" in html


@pytest.mark.parametrize(
    ("model", "english", "chinese"),
    [
        ("quotes", "quoted from your documents", "引自您的文档"),
        ("reader", "found in your documents", "摘自您的文档"),
    ],
)
def test_what_no_model_wrote_is_said_to_be_from_the_documents(model: str, english: str, chinese: str) -> None:
    turn = _turn(stage="finished", text="1931", answer=_answer("1931", (), (), model=model))
    assert english in turn_html(turn, "en")
    assert chinese in turn_html(turn, "zh")


def test_a_model_is_named_without_its_folder() -> None:
    assert model_name("/srv/models/tiny.gguf") == model_name("C:\\models\\tiny.gguf") == "tiny.gguf"
    assert model_name("smollm2-135m-instruct") == "smollm2-135m-instruct"
    answer = _answer("Yes.", (), (), model="/srv/models/tiny.gguf")
    assert "/srv" not in turn_html(_turn(stage="finished", text="Yes.", answer=answer), "en")


@pytest.mark.parametrize(
    ("where", "english", "chinese"),
    [
        ({"page": 3, "page_end": 3}, "page 3", "第 3 页"),
        ({"page": 3, "page_end": 4}, "pages 3 to 4", "第 3 至 4 页"),
        ({"slide": 2}, "slide 2", "第 2 张幻灯片"),
        ({"sheet": "Prices", "row_start": 2, "row_end": 5}, "sheet Prices, rows 2 to 5", "工作表 Prices，第 2 至 5 行"),
        ({"row_start": 7, "row_end": 7}, "row 7", "第 7 行"),
        ({}, "", ""),
    ],
)
def test_a_place_is_said_in_words(where: dict[str, int], english: str, chinese: str) -> None:
    locator = Locator(start=0, end=1, **where)  # type: ignore[arg-type]
    assert place(locator, "en") == english
    assert place(locator, "zh") == chinese


def test_a_snippet_is_one_line_of_bounded_length() -> None:
    assert snippet("a\n b\t c") == "a b c"
    assert len(snippet("word " * 200)) <= 220


def _passage(text: str, locator: Locator, pages: tuple[int, ...] = ()) -> Passage:
    return Passage(
        source_id="s" * 32, source="a/b.txt", title="B", collection="default", text=text, locator=locator, pages=pages
    )


def test_the_words_of_a_passage_are_marked_in_the_text_around_it() -> None:
    text = "before\n" * 400 + "the very words" + "\nafter" * 400
    start = text.index("the very")
    html = passage_html(_passage(text, Locator(start=start, end=start + 14)), "en")
    assert "<mark>the very words</mark>" in html
    assert "before" in html
    assert "after" in html
    assert len(html) < 4000


def test_a_row_is_shown_marked_under_the_head_of_its_table() -> None:
    rows = [f"NW-{n} | {n} EUR" for n in range(100, 140)]
    text = "Prices\n\nModel | Price\n" + "\n".join(rows) + "\n\nThe end"
    start = text.index("NW-120")
    html = passage_html(_passage(text, Locator(start=start, end=start + len(rows[20]), row_start=22)), "en")
    assert '<th scope="col">Model</th>' in html
    assert re.findall(r'<tr class="marked"><td>(.*?)</td>', html) == ["NW-120"]
    assert "NW-119" in html
    assert "NW-100" not in html
    assert "The end" not in html


def test_a_page_is_shown_as_a_picture_with_its_boxes_and_the_words_below() -> None:
    boxes = (
        Box(page=2, x0=0.1, y0=0.2, x1=0.9, y1=0.25, start=0, end=4),
        Box(page=3, x0=0.1, y0=0.1, x1=0.5, y1=0.2, start=4, end=8),
    )
    html = passage_html(_passage("quotation", Locator(start=0, end=8, page=2, page_end=3, boxes=boxes), (2, 3)), "en")
    assert re.findall(r'src="(.*?)"', html) == [
        f"/api/pages/{'s' * 32}/2.png?boxes=0.1000%2C0.2000%2C0.9000%2C0.2500",
        f"/api/pages/{'s' * 32}/3.png?boxes=0.1000%2C0.1000%2C0.5000%2C0.2000",
    ]
    assert '<blockquote class="pane-quote">quotatio</blockquote>' in html


def test_the_address_of_a_picture_cannot_leave_its_folder() -> None:
    assert picture_address("../../x?y", 1, []) == "/api/pages/..%2F..%2Fx%3Fy/1.png"


def test_a_job_shows_its_figures_while_it_runs_and_failures_first_when_done() -> None:
    progress = Progress(
        files_done=1, files_total=3, bytes_done=10, bytes_total=40, chunks_done=12, scanned=False, seconds_elapsed=2,
        chunks_per_second=6.0, seconds_left=4.2,
    )  # fmt: skip
    running = Reader(job_html(JobState(id="j", collection="hr", stage="running", progress=progress), "en"))
    assert ("value", "10") in running.attributes
    assert ("data-cancel", "j") in running.attributes
    for said in ("1 of 3+ files", "12 passages", "6 passages/s", "4 s left", "into hr"):
        assert said in running.text
    reports = (
        FileReport(path="good.txt", status="added", n_chunks=1),
        FileReport.failure("bad.pdf", EncryptedDocument("the document asks for a password", where="bad.pdf")),
    )
    done = Reader(job_html(JobState(id="j", collection="hr", stage="finished", reports=reports), "zh"))
    assert done.text.index("bad.pdf") < done.text.index("good.txt")
    assert "文档有密码保护。请另存一份无密码的副本。" in done.text
    assert "data-cancel" not in dict(done.attributes)


def test_each_file_that_was_given_has_a_line_from_the_beginning_in_its_place() -> None:
    job = JobState(id="j", collection="hr", stage="running", names=("a<b>.txt", "b.pdf", "c.md"))
    waiting = Reader(job_html(job, "en"))
    assert waiting.text.count("Waiting") == 3
    assert waiting.text.index("a<b>.txt") < waiting.text.index("b.pdf") < waiting.text.index("c.md")
    assert ("open", None) in waiting.attributes
    reports = (
        FileReport(path="b.pdf", status="added", n_chunks=2),
        FileReport(path="b.pdf/inside.txt", status="added", n_chunks=1),
    )
    half = Reader(job_html(replace(job, reports=reports), "zh"))
    assert half.text.count("等待中") == 2
    assert half.text.index("a<b>.txt") < half.text.index("b.pdf") < half.text.index("c.md")
    assert half.text.index("c.md") < half.text.index("inside.txt")
    assert "开始提问" not in half.text
    done = Reader(job_html(replace(job, stage="finished", reports=reports), "zh"))
    assert "等待中" not in done.text
    assert ("data-section", "chat") in done.attributes
    failed = FileReport.failure("b.pdf", EncryptedDocument("the document asks for a password", where="b.pdf"))
    nothing = Reader(job_html(replace(job, stage="finished", reports=(failed,)), "en"))
    assert ("data-section", "chat") not in nothing.attributes


def test_a_type_is_named_by_its_ending_or_its_media_type() -> None:
    assert kind_of("a/b.docx", "application/x") == "DOCX"
    assert kind_of("a/README", "text/plain") == "PLAIN"
