"""Scores are what they say, cases and results are read with care, and reports are safe to open."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from app import evaluation
from app.cases import Case, read_cases
from app.comparison import compare, comparison_lines
from app.evaluation import Outcome, comparable, outcome, read_outcomes
from app.model_commands import main
from app.reports.blocks import Heading, Plot, Table, to_html, to_markdown
from app.reports.content import report
from app.reports.writing import write_report
from app.results import failure_lines, judged, results_to_json, summaries
from core.errors import MalformedInput, MissingPath, UsageError
from core.records import Answer, Chunk, Citation, Hit, Locator, SearchFilter, Timings

TEXT = "The fee is 1,250 EUR. It is due in May."
HOSTILE = '<script>alert("x")</script> | `a` [b](c) *d*'


def hit(source: str = "a/fees.pdf", *, page: int = 3, page_end: int | None = None) -> Hit:
    locator = Locator(start=0, end=len(TEXT), page=page, page_end=page_end)
    chunk = Chunk(id=f"{source}{page}", source_id="s", text=TEXT, locator=locator, n_tokens=1)
    return Hit(chunk=chunk, source=source, title="", collection="c", media_type="application/pdf", score=1.0)


def citation(source: str = "a/fees.pdf", *, quote: str = TEXT[:21], page: int = 3) -> Citation:
    place = Locator(start=0, end=len(quote), page=page, page_end=page)
    return Citation(number=1, chunk_id="c", source=source, collection="c", locator=place, quote=quote)


def answer(
    text: str = "The fee is 1250 EUR.",
    *,
    hits: tuple[Hit, ...] = (),
    citations: tuple[Citation, ...] = (citation(),),
    confidence: float | None = 0.8,
) -> Answer:
    timings = Timings(first_token_ms=120, total_ms=300)
    return Answer(question="q", text=text, citations=citations, hits=hits, confidence=confidence, timings=timings)


def refusal(confidence: float | None = 0.1) -> Answer:
    return Answer(question="q", text="Not in your documents.", abstained=True, hits=(hit(),), confidence=confidence)


def case(**changed: object) -> Case:
    fields = {"id": "1", "question": "What is the fee?", "answers": ("1,250 EUR",), "sources": (("a/fees.pdf", 3),)}
    return Case(**(fields | changed))  # type: ignore[arg-type]


def unanswerable(**changed: object) -> Case:
    return case(**({"answerable": False, "answers": (), "sources": ()} | changed))


def judge(one: Case, given: Answer) -> Outcome:
    return outcome(one, given, lambda _: TEXT)


def test_a_right_answer_is_right_in_every_figure() -> None:
    scores = judge(case(), answer(hits=(hit(),))).scores
    assert scores[evaluation.FALSE_REFUSAL] == 0
    graded = {"exact match", "F1", "ROUGE-L", "BLEU", "METEOR"}
    for name in scores.keys() - graded - {evaluation.FALSE_REFUSAL}:
        assert scores[name] == 1, name
    assert 0 < scores["F1"] < 1


def test_a_page_is_right_anywhere_in_a_passage_that_crosses_pages() -> None:
    assert judge(case(), answer(hits=(hit(page=2, page_end=4),))).scores[evaluation.PAGE_FOUND]
    assert not judge(case(), answer(hits=(hit(page=4),))).scores[evaluation.PAGE_FOUND]


def test_another_source_is_wrong() -> None:
    scores = judge(case(), answer(hits=(hit("b.pdf"),), citations=(citation("b.pdf"),))).scores
    assert scores[evaluation.SOURCE_FOUND] == 0
    assert scores[evaluation.RIGHT_CITED] == 0
    assert scores["citation recall"] == 0


def test_only_the_first_five_passages_count() -> None:
    hits = (*(hit(f"{i}.pdf") for i in range(5)), hit())
    scores = judge(case(), answer(hits=hits)).scores
    assert scores[evaluation.SOURCE_FOUND] == 0
    assert scores["reciprocal rank"] == pytest.approx(1 / 6)


def test_citations_are_scored_by_how_many_are_right_and_which_comes_first() -> None:
    scores = judge(case(), answer(citations=(citation("b.pdf"), citation()))).scores
    assert scores[evaluation.RIGHT_CITED] == 1
    assert scores[evaluation.FIRST_RIGHT] == 0
    assert scores["citation precision"] == 0.5
    assert scores["citation recall"] == 1


def test_an_answer_that_cites_nothing_cites_nothing_right() -> None:
    scores = judge(case(), answer(citations=())).scores
    assert scores[evaluation.RIGHT_CITED] == 0
    assert "citation precision" not in scores


def test_a_quote_that_differs_from_its_source_is_told() -> None:
    given = answer(citations=(citation(quote="The fee is 1,250 USD."),))
    assert judge(case(), given).scores[evaluation.VERBATIM] == 0


def test_what_only_a_quote_says_is_right_but_not_in_the_answer() -> None:
    scores = judge(case(), answer("It is stated there.")).scores
    assert scores[evaluation.RIGHT] == 1
    assert scores[evaluation.CONTAINED] == 0


def test_a_right_refusal_has_no_wrong_page() -> None:
    scores = judge(unanswerable(), refusal()).scores
    assert scores[evaluation.REFUSED] == scores[evaluation.REFUSAL_RIGHT] == scores[evaluation.RIGHTLY] == 1
    assert evaluation.RIGHT_CITED not in scores
    assert evaluation.RIGHT not in scores


def test_a_false_refusal_is_no_answer() -> None:
    scores = judge(case(), refusal()).scores
    assert scores[evaluation.FALSE_REFUSAL] == 1
    assert scores[evaluation.RIGHT] == scores["F1"] == scores[evaluation.RIGHTLY] == 0
    assert scores[evaluation.REFUSAL_RIGHT] == 0


def test_an_answer_where_there_is_none_is_wrong_whatever_it_says() -> None:
    assert judge(unanswerable(), answer()).scores[evaluation.RIGHTLY] == 0


def test_a_text_to_come_near_to_need_not_be_contained() -> None:
    scores = judge(case(free_form=True, answers=("The fee is 1250 EUR, due in May.",)), answer()).scores
    assert evaluation.CONTAINED not in scores
    assert evaluation.RIGHTLY not in scores
    assert scores["F1"] > 0.5


def test_an_empty_accepted_answer_is_found_nowhere() -> None:
    assert judge(case(answers=("", "1,250 EUR")), refusal()).scores["right answer"] == 0


def test_expected_strings_are_compared_without_width_case_white_space_and_thousands_separators() -> None:
    assert comparable("１，２５０ Eur") == comparable("1250\neur")
    assert comparable("1,2") != comparable("12")


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "{",
        '{"answers": []}',
        '["a"]',
        '{"question": ""}',
        '{"question": "q", "answers": "a"}',
        '{"question": "q", "answers": [["a"]]}',
        '{"question": "q", "history": [{"role": "user"}]}',
        '{"question": "q", "history": [{"role": "boss", "content": "x"}]}',
    ],
)
def test_a_malformed_case_is_named_by_file_and_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps({"question": "fine?"}) + "\n" + line + "\n", "utf-8")
    with pytest.raises(MalformedInput, match=r"cases\.jsonl:2"):
        read_cases(file)


def test_a_file_of_cases_that_is_missing_empty_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingPath, match=r"none\.jsonl"):
        read_cases(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(MalformedInput, match="no cases"):
        read_cases(tmp_path / "empty.jsonl")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MalformedInput, match=r"bytes\.jsonl.*UTF-8"):
        read_cases(tmp_path / "bytes.jsonl")


def test_an_answer_may_be_a_number(tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text('{"question": "How many?", "answers": [27, 2.5]}')
    assert read_cases(tmp_path / "cases.jsonl")[0].answers == ("27", "2.5")


def test_a_case_reads_its_places_and_where_to_look(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    sources = ["a.pdf#page=12", "b.pptx#slide=3", "c d.txt"]
    plain = {"question": "q?", "sources": sources, "answers": ["x"], "without": ["a.pdf"], "collections": ["c"]}
    file.write_text(json.dumps(plain), "utf-8")
    (read,) = read_cases(file)
    assert read.sources == (("a.pdf", 12), ("b.pptx", 3), ("c d.txt", None))
    assert read.filter == SearchFilter(collections=("c",), without=("a.pdf",))


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    odd = "a line\u2028that a reader of lines may cut\x85here"
    written = [judge(case(question=odd), answer(hits=(hit(),))), judge(unanswerable(id="2"), refusal())]
    file.write_text("".join(json.dumps(o.to_json(), ensure_ascii=False) + "\n" for o in written), "utf-8")
    read = read_outcomes(file)
    assert [o.to_json() for o in read] == [o.to_json() for o in written]
    assert [o.confidence for o in read] == [0.8, 0.1]


@pytest.mark.parametrize("line", ['{"question": "q?"}', '{"question": "q?", "scores": {"F1": "x"}, "answer": {}}'])
def test_a_line_that_is_no_result_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "r.jsonl").write_text(line)
    with pytest.raises(MalformedInput, match=r"r\.jsonl:1.*no result"):
        read_outcomes(tmp_path / "r.jsonl")


# --- figures and reports ---------------------------------------------------------------------------------------------


def some_outcomes() -> list[Outcome]:
    return [
        judge(case(id="1", set_name="one"), answer(hits=(hit(),))),
        judge(case(id="2", set_name="one"), refusal(0.3)),
        judge(unanswerable(id="3", set_name="two"), refusal()),
        judge(unanswerable(id="4", set_name="two", question=HOSTILE), answer(HOSTILE, confidence=0.5)),
    ]


def test_figures_are_grouped_by_set_and_count_only_where_they_apply() -> None:
    by_group = {one.group: one for one in summaries(some_outcomes())}
    assert list(by_group) == ["all", "one", "two"]
    assert by_group["all"].figures[evaluation.RIGHTLY].value == 0.5
    assert by_group["all"].figures[evaluation.REFUSED].n == 2
    assert by_group["all"].figures[evaluation.REFUSAL_RIGHT].value == 0.5
    assert evaluation.REFUSED not in by_group["one"].figures
    assert set(results_to_json(some_outcomes())["figures"]) == set(by_group)


def test_failures_say_what_went_wrong() -> None:
    said = "\n".join(failure_lines(some_outcomes()))
    assert "one 2: refused" in said
    assert "two 4: should have refused" in said
    assert "one 1" not in said
    assert "two 3" not in said


def test_only_outcomes_with_a_confidence_are_drawn() -> None:
    sure = judged([*some_outcomes(), judge(case(id="5"), answer(confidence=None))])
    assert [(j.confidence, j.answerable, j.right) for j in sure] == [
        (0.8, True, True),
        (0.3, True, None),
        (0.1, False, None),
        (0.5, False, False),
    ]


def test_a_report_stands_alone_and_runs_nothing_of_what_was_asked_or_said(tmp_path: Path) -> None:
    page = write_report(tmp_path / "deep" / "report", {"small <model>": some_outcomes()}).read_text("utf-8")
    assert "<script" not in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    assert "small &lt;model&gt;" in page
    assert page.count("<svg") == 5  # figures of three groups, the curve, the times


def test_a_report_in_markdown_links_its_plots_and_shows_text_as_it_is(tmp_path: Path) -> None:
    write_report(tmp_path, {"m": some_outcomes()})
    text = (tmp_path / "report.md").read_text("utf-8")
    plots = [block for block in report({"m": some_outcomes()}) if isinstance(block, Plot)]
    for plot in plots:
        assert f"({plot.name}.svg)" in text
        ElementTree.fromstring((tmp_path / f"{plot.name}.svg").read_text("utf-8"))
    assert len({plot.name for plot in plots}) == len(plots)
    assert "\\<script\\>" in text
    assert "\\`a\\` \\[b\\]" in text
    tables = [line for line in text.splitlines() if line.startswith("|") and "script" in line]
    assert tables
    assert all(line.replace("\\|", "").count("|") == 6 for line in tables)  # five cells, whatever they hold


def test_a_report_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here already")
    with pytest.raises(UsageError, match="cannot be written"):
        write_report(tmp_path / "file", {"m": some_outcomes()})


def test_an_empty_table_and_heading_are_still_sound() -> None:
    blocks = [Heading(text="A & B", level=1), Table(header=("a", "b"), rows=())]
    assert to_markdown(blocks) == "# A & B\n\n| a | b |\n| --- | --- |\n"
    assert "<title>A &amp; B</title>" in to_html(blocks)


# --- side by side ----------------------------------------------------------------------------------------------------


def test_two_systems_are_paired_by_case_whatever_their_order() -> None:
    first = some_outcomes()
    better = [replace(o, scores={**o.scores, evaluation.RIGHTLY: 1.0}) for o in reversed(first)]
    found = compare(first, [*better, judge(case(id="9", set_name="one"), answer())])
    assert {pair.first.case.id for pair in found.wins} == {"2", "4"}
    assert found.losses == ()
    assert (found.n, found.first_only, found.second_only) == (4, 0, 1)
    one = found.differences["all"][evaluation.RIGHTLY]
    assert (one.first, one.second, one.wins, one.losses) == (0.5, 1.0, 2, 0)
    assert set(found.differences) == {"all", "one", "two"}
    assert any("won 2, lost 0" in line for line in comparison_lines(found, ["old", "new"]))


def test_systems_that_share_no_case_cannot_be_compared() -> None:
    with pytest.raises(MalformedInput, match="no case in common"):
        compare(some_outcomes()[:2], some_outcomes()[2:])


def test_results_are_laid_side_by_side_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, outcomes in (("old", some_outcomes()), ("new", some_outcomes()[:3])):
        lines = "".join(json.dumps(o.to_json()) + "\n" for o in outcomes)
        (tmp_path / f"{name}.jsonl").write_text(lines, "utf-8")
    files = [str(tmp_path / "old.jsonl"), str(tmp_path / "new.jsonl")]
    assert main(["evaluate", "--results", *files, "--report", str(tmp_path / "report")]) == 0
    assert "new against old: n=3, won 0, lost 0" in capsys.readouterr().out
    page = (tmp_path / "report" / "report.html").read_text("utf-8")
    assert "Evaluation of old against new" in page
    assert "Side by side" in page
    assert main(["evaluate", "--results", *files, "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert set(shown["systems"]) == {"old", "new"}
    assert shown["comparison"]["n"] == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to evaluate"),
        (["no.jsonl"], "no.jsonl"),
        (["--results", "no.jsonl"], "no.jsonl"),
        (["--results", "a", "b", "c"], "two files"),
        (["--results", "a", "a"], "twice"),
        (["no.jsonl", "--results", "a"], "not asked again"),
        (["--perplexity", "no.txt"], "no.txt"),
        (["--against-set", "retrieval.kk=2", "no.jsonl"], "retrieval.k"),
        (["--model", "no.toml", "no.jsonl"], "no.toml"),
    ],
)
def test_a_wrong_command_is_told_in_one_line(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", str(tmp_path), "evaluate", *arguments]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told


def test_what_cannot_be_read_or_written_is_told_before_anything_is_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.model_commands.evaluate.ask_all", lambda *_, **__: pytest.fail("it was asked"))
    (tmp_path / "cases.jsonl").write_text('{"question": "What is the fee?"}', "utf-8")
    (tmp_path / "texts.txt").write_bytes(b"\xff\xfe\xfa")
    evaluate = ["--data", str(tmp_path), "evaluate", str(tmp_path / "cases.jsonl")]
    assert main([*evaluate, "--perplexity", str(tmp_path / "texts.txt")]) == 2
    assert "texts.txt: is not text in UTF-8" in capsys.readouterr().err
    assert main([*evaluate, "--report", str(tmp_path / "cases.jsonl")]) == 2
    assert "cases.jsonl: cannot be made" in capsys.readouterr().err
