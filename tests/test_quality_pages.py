"""Usage, feedback, evaluations and trials in the browser's words: who sees them, and what their forms do."""

from __future__ import annotations

import html
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app import KnowledgeBase
from app.admission import Admission
from app.case_files import SAMPLE_CASES, parse_cases
from app.cases import read_cases
from app.evaluation import read_outcomes
from app.people.audit import Audit
from app.people.database import People
from app.people.feedback import Ratings, Review
from app.people.history import History
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.records import Reason, ReviewState, Verdict
from app.people.sessions import Sessions
from app.security import SESSION_COOKIE, Guard, error_json
from app.texts import TEXTS, say
from app.trial_rating import TrialRating
from app.web.forms import form_token
from app.web.quality import day_plots
from app.web.quality.day_plots import Frame, Line
from app.web.quality.evaluation_told import MAIN_SCORES
from app.web.quality.rooms import Rooms
from app.web.quality.routes import add_quality_pages
from app.web.visitors import Visitors
from core.errors import CitadelError, MalformedInput
from core.settings import load_settings
from indexes.store import Store
from llm.training.readers import feedback as feedback_reader
from tests.small_people import Clock, add, answer
from tests.small_store import HashingEmbedder, ingestible, open_writer

SETTINGS = ["generator.backend=none", "reader.model=none", "answer.refuse_below=0"]
HOSTILE = "<script>alert(1)</script> & 'x' \"y\""
PAGES = ("/admin/usage", "/admin/feedback", "/admin/evaluation", "/admin/trials")
CASES = (
    {"id": "1", "question": "How high is the rent?", "answers": ["84,000 EUR"], "sources": ["open.txt"]},
    {"id": "2", "question": "Who is the landlord?", "answers": ["Mr Vault"], "sources": ["open.txt"]},
    {"id": "3", "question": "How deep is the sea?", "answerable": False},
)


class Site:
    """The pages over a small knowledge base; each person is signed in with a browser of their own."""

    def __init__(self, kb: KnowledgeBase, people: People, clock: Clock) -> None:
        self.kb, self.people, self.clock = kb, people, clock
        self.visitors = Visitors(kb, people)
        self.rooms = Rooms(self.visitors, kb.settings.data_dir, Admission())
        app = FastAPI()
        add_quality_pages(app, self.rooms)
        app.add_exception_handler(CitadelError, lambda _, error: error_json(error))  # type: ignore[arg-type]
        app.add_middleware(Guard, host="127.0.0.1", visitors=self.visitors)
        self.app = app
        self.persons = {
            "root": add(people, "root", "admin"),
            "ann": add(people, "ann", "editor"),
            "cem": add(people, "cem"),
        }
        self.tokens = {
            name: Sessions(people, kb.settings.serve).create(person.id) for name, person in self.persons.items()
        }

    def as_(self, name: str, language: str = "en") -> TestClient:
        cookies = {"citadel_language": language}
        if name in self.tokens:
            cookies[SESSION_COOKIE] = self.tokens[name]
        return TestClient(self.app, base_url="http://127.0.0.1", cookies=cookies, follow_redirects=False)

    def get(self, path: str, name: str = "root", language: str = "en") -> str:
        response = self.as_(name, language).get(path)
        assert response.status_code == 200, (path, response.status_code, response.text[:300])
        return response.text

    def post(self, path: str, who: str = "root", /, files: object = None, **fields: object) -> httpx.Response:
        """Send a form as the page makes it; ``form_token=""`` sends a forged one."""
        sent = {"form_token": form_token(self.tokens[who]), **fields}
        parts: list = [(key, (None, str(each))) for key, value in sent.items() for each in _several(value)]
        parts += [("upload", files)] if files else []
        return self.as_(who).post(path, files=parts)

    def actions(self) -> list[tuple[str, str]]:
        """Return what was done, oldest first."""
        entries = Audit(self.people).newest(self.persons["root"], n=200).items
        return [(entry.action, entry.target) for entry in reversed(entries)]

    def asked(self, name: str, question: str = "How long is the leave?", **changes: object) -> str:
        history = History(self.people, self.persons[name])
        turn = history.begin(question)
        history.finish(turn.id, answer(question, **changes))  # type: ignore[arg-type]
        return turn.id

    def rated(
        self, verdict: Verdict = "down", reason: Reason | None = None, corrected: str = "", **changes: object
    ) -> str:
        self.clock.now += 1  # so that it is the newest
        Ratings(self.people, self.persons["cem"]).give(
            self.asked("cem", **changes), verdict, reason=reason, corrected=corrected
        )
        return Review(self.people, self.persons["root"]).queue().items[0].id

    def wait(self, kind: str = "evaluation") -> None:
        chore = self.rooms.background.newest(kind)  # type: ignore[arg-type]
        assert chore is not None
        list(chore.live.watch())


def _several(value: object) -> list[object]:
    return list(value) if isinstance(value, list) else [value]


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 3, 12, 12, 0).timestamp())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Iterator[Site]:
    monkeypatch.setattr("llm.embedders.open_embedder", lambda *_, **__: HashingEmbedder())
    data = tmp_path / "data"
    open_writer(data).close()
    with Store.open(data, writer=True) as writer:
        text = "The rent is 84,000 EUR. The landlord is Mr Vault."
        writer.put([ingestible("open.txt", text, collection="open")], collection="open")
    settings = load_settings(overrides=SETTINGS, data_dir=data).settings
    with KnowledgeBase.open(settings=settings) as kb, People.open(data, clock=clock) as people:
        made = Site(kb, people, clock)
        OwnKnowledgeBase(kb, people, made.persons["root"]).sharing.publish("open", True)
        yield made
        made.rooms.background.close()


def visible(page: str) -> str:
    """Return the words of a page."""
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


# --- who may come in --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        *PAGES,
        "/admin/feedback/training.jsonl",
        "/admin/feedback/cases.jsonl",
        "/admin/evaluation/progress",
        "/admin/evaluation/1",
        "/admin/evaluation/1/results.jsonl",
        "/admin/trials/x",
        "/admin/trials/x/progress",
    ],
)
def test_to_others_these_pages_are_not_there(site: Site, path: str) -> None:
    for name in ("ann", "cem"):
        response = site.as_(name).get(path)
        assert response.status_code == 404
        assert say("missing.title", "en") in response.text
        assert site.post(path, name).status_code in (404, 405)
    nobody = site.as_("nobody").get(path)
    assert (nobody.status_code, nobody.headers["location"].partition("?")[0]) == (303, "/sign-in")
    assert site.as_("nobody").post(path).status_code == 401


def test_readers_find_nothing_to_rate_and_no_page_of_it(site: Site) -> None:
    assert site.as_("cem").get("/trials").status_code == 404
    assert site.as_("cem").get("/trials/x").status_code == 404
    assert site.as_("nobody").get("/trials").status_code == 303
    assert say("rating.none", "en") in site.get("/trials", "ann")


def test_a_form_that_was_not_made_for_this_session_changes_nothing(site: Site) -> None:
    rating = site.rated("up")
    forged = form_token(site.tokens["ann"])
    for given in ("", forged):
        posts = [
            site.post("/admin/feedback", form_token=given, rating=rating, decision="dismissed"),
            site.post("/admin/evaluation", form_token=given, form="start", cases="file:"),
            site.post("/admin/trials", form_token=given, name="x"),
        ]
        assert [response.status_code for response in posts] == [403] * 3
    assert Review(site.people, site.persons["root"]).get(rating).state == "open"
    assert site.actions() == []


def test_a_form_of_another_kind_or_too_large_is_refused(site: Site) -> None:
    plain = site.as_("root").post("/admin/feedback", data={"decision": "open"})
    assert (plain.status_code, "this is no form" in plain.text) == (400, True)
    large = site.post("/admin/evaluation", files=("x.jsonl", b" " * (9 << 20)), form="start")
    assert (large.status_code, "larger than 8 MiB" in large.text) == (400, True)
    broken = site.as_("root").post("/admin/feedback", content=b"--x", headers={"content-type": "multipart/form-data"})
    assert (broken.status_code, "cannot be read" in broken.text) == (400, True)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("path", PAGES)
def test_every_page_speaks_both_languages_and_loads_nothing_from_elsewhere(
    site: Site, path: str, language: str
) -> None:
    site.rated("down", "wrong")
    response = site.as_("root", language).get(path)
    assert f'lang="{"zh-CN" if language == "zh" else "en"}"' in response.text
    assert "'unsafe-inline'" not in response.headers["content-security-policy"]
    assert not re.search(r'(?:src|href|action)="(?!/|#|\?)', response.text)
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", response.text)
    if language == "zh":
        title = re.search(r"<h1>(.*?)</h1>", response.text)
        assert title
        assert re.search("[\u4e00-\u9fff]", title[1])


# --- usage ------------------------------------------------------------------------------------------------------------


def test_without_questions_the_page_says_what_will_be_there(site: Site) -> None:
    page = visible(site.get("/admin/usage?days=7"))
    assert say("usage.empty_more", "en") in page
    assert "<svg class=" not in site.get("/admin/usage?days=7")


def test_usage_counts_every_day_those_without_a_question_too(site: Site, clock: Clock) -> None:
    site.asked("cem", total_ms=900)
    site.asked("ann", abstained=True, total_ms=4000)
    clock.now -= 3 * 86_400
    site.rated("up")
    clock.now += 3 * 86_400
    page = site.get("/admin/usage?days=7")
    body = re.search(r"<tbody>(.*?)</tbody>", page, re.DOTALL)
    assert body
    rows = re.findall(r"<tr>(.*?)</tr>", body[1], re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    assert [row[0] for row in cells] == [f"2026-03-{day:02}" for day in range(12, 5, -1)]
    assert cells[0][1:4] == ["2", "1", "50%"]
    assert cells[3][1:6] == ["1", "0", "50%", "1", "0"]
    assert cells[1][1:] == ["0", "0", "–", "0", "0", "–", "–", "–", "–"]


def test_a_question_before_the_period_does_not_count_and_a_year_is_shown_by_weeks(site: Site, clock: Clock) -> None:
    clock.now -= 40 * 86_400
    site.asked("cem")
    clock.now += 40 * 86_400
    assert say("usage.empty", "en") in visible(site.get("/admin/usage?days=30"))
    year = site.get("/admin/usage?days=365")
    assert say("usage.week", "en") in year
    assert year.count('<th scope="row">') == 53
    assert "2026-01-26" in year, "31 January 2026 is counted under its Monday"


def test_each_plot_is_well_formed_and_says_what_it_shows(site: Site) -> None:
    site.rated("down", "wrong")
    page = site.get("/admin/usage")
    plots = re.findall(r"<svg class=\"plot\".*?</svg>", page, re.DOTALL)
    assert len(plots) == 5
    ids = []
    for plot in plots:
        root = ElementTree.fromstring(plot)
        title, description = root.find("title"), root.find("desc")
        assert title is not None
        assert description is not None
        assert title.text
        assert description.text
        assert root.attrib["aria-labelledby"] == f"{title.attrib['id']} {description.attrib['id']}"
        ids.append(title.attrib["id"])
    assert len(set(ids)) == 5


def test_a_line_is_broken_where_a_day_has_no_value_and_days_are_never_markup() -> None:
    days = (HOSTILE, "2", "3", "4")
    frame = Frame(id="p", title=HOSTILE, description="d", days=days, write=lambda v: f"{v:.0f}")
    drawn = str(day_plots.lines(frame, [Line(name="n", values=(1.0, 2.0, None, 4.0))]))
    (path,) = re.findall(r'class="a line" d="([^"]+)"', drawn)
    assert [step[0] for step in path.split() if step[0].isalpha()] == ["M", "L", "M"]
    assert drawn.count("<circle") == 3
    assert "<script>" not in drawn
    ElementTree.fromstring(drawn)


def test_bars_stand_on_one_another_and_below_the_middle() -> None:
    frame = Frame(id="p", title="t", description="d", days=("1", "2"), write=lambda v: f"{v:.0f}")
    drawn = ElementTree.fromstring(
        day_plots.stacked(frame, Line(name="a", values=(3, 0)), Line(name="b", values=(1, 0)))
    )
    lower, upper = drawn.findall(".//rect")
    assert float(upper.attrib["y"]) + float(upper.attrib["height"]) == pytest.approx(float(lower.attrib["y"]))
    assert float(lower.attrib["height"]) == pytest.approx(3 * float(upper.attrib["height"]), abs=0.2)
    drawn = ElementTree.fromstring(
        day_plots.up_and_down(frame, Line(name="a", values=(1, 2)), Line(name="b", values=(2, 0)))
    )
    above, below, _ = drawn.findall(".//rect")
    assert float(above.attrib["y"]) + float(above.attrib["height"]) == pytest.approx(float(below.attrib["y"]))


# --- feedback ---------------------------------------------------------------------------------------------------------


def test_a_rating_shows_what_was_asked_found_said_and_thought_and_nothing_of_it_is_markup(site: Site) -> None:
    site.rated(
        "down",
        "wrong",
        f"No. {HOSTILE}",
        question=f"Why? {HOSTILE}",
        text=f"Because. {HOSTILE}",
        quote="A quoted line.",
    )
    page = site.get("/admin/feedback")
    assert "<script>alert" not in page
    assert "<mark>A quoted line.</mark>" in page
    words = visible(page)
    assert f"Why? {HOSTILE}" in words
    assert f"No. {HOSTILE}" in words
    assert "handbook.pdf" in words
    assert "pages 3 to 4" in words
    assert 'class="unsupported"' in page
    chip = re.search(r'<a class="chip" href="#(p-[^"]+)">1</a>', page)
    assert chip
    assert f'id="{chip[1]}"' in page


@pytest.mark.parametrize("state", ["example", "case", "dismissed"])
def test_a_decision_is_kept_noted_and_can_be_undone(site: Site, state: ReviewState) -> None:
    rating = site.rated("down", "wrong")
    response = site.post("/admin/feedback", rating=rating, decision=state, corrected="It is 30 days.")
    assert response.status_code == 303
    review = Review(site.people, site.persons["root"])
    assert (review.get(rating).state, review.get(rating).corrected) == (state, "It is 30 days.")
    assert site.actions() == [("rating_decided", rating)]
    page = site.get(response.headers["location"])
    assert say(f"feedback.done_{state}", "en") in page
    undo = re.search(r'name="rating" value="([^"]+)".*?name="decision" value="([^"]+)"', page, re.DOTALL)
    assert undo
    assert undo.groups() == (rating, "open")
    site.post("/admin/feedback", rating=rating, decision="open")
    assert (review.get(rating).state, review.get(rating).corrected) == ("open", "It is 30 days.")


def test_what_says_nothing_of_what_is_right_teaches_nothing_and_keeps_what_was_typed(site: Site) -> None:
    rating = site.rated("down", "wrong")
    response = site.post("/admin/feedback", rating=rating, decision="example", corrected="  ")
    assert response.status_code == 400
    assert "Write the right answer" in response.text
    long = "x" * 10_001
    response = site.post("/admin/feedback", rating=rating, decision="case", corrected=long)
    assert response.status_code == 400
    assert long in response.text
    assert site.actions() == []
    gone = site.post("/admin/feedback", rating="none", decision="dismissed", corrected="")
    assert gone.status_code == 404


def test_the_queue_is_filtered_by_state_and_reason_and_counts_both(site: Site) -> None:
    site.rated("up", question="Thanks?")
    site.rated("down", "wrong", question="Wrong?")
    dismissed = site.rated("down", "incomplete", question="Half?")
    site.post("/admin/feedback", rating=dismissed, decision="dismissed")
    page = visible(site.get("/admin/feedback"))
    assert "Thanks?" in page
    assert "Half?" not in page
    wrong = visible(site.get("/admin/feedback?verdict=down&reason=wrong"))
    assert "Wrong?" in wrong
    assert "Thanks?" not in wrong
    assert "Half?" in visible(site.get("/admin/feedback?state=dismissed"))
    assert re.search(r"To review\s+2", page)
    assert re.search(r"Dismissed\s+1", page)
    assert re.search(r"Wrong\s+1", page)
    assert site.as_("root").get("/admin/feedback?after=nonsense").status_code == 400


def test_a_long_queue_is_read_in_parts(site: Site) -> None:
    for i in range(21):
        site.rated("up", question=f"Question {i}?")
    first = site.get("/admin/feedback")
    assert "Question 20?" in first
    assert "Question 0?" not in first
    older = re.search(r'href="([^"]+after=[^"]+)"', first)
    assert older
    assert "Question 0?" in site.get(html.unescape(older[1]))


def test_what_is_exported_is_what_training_and_evaluation_read(site: Site, tmp_path: Path) -> None:
    for state, question in (("example", "Taught?"), ("case", "Tested?")):
        site.post("/admin/feedback", rating=site.rated("up", question=question), decision=state)
    examples = site.get("/admin/feedback/training.jsonl").splitlines()
    assert [next(iter(feedback_reader.read(json.loads(line), "here"))).question for line in examples] == ["Taught?"]  # type: ignore[union-attr]
    kept = tmp_path / "cases.jsonl"
    kept.write_text(site.get("/admin/feedback/cases.jsonl"), "utf-8")
    assert [case.question for case in read_cases(kept)] == ["Tested?"]
    assert site.actions()[-2:] == [("data_exported", "feedback/example"), ("data_exported", "feedback/case")]


# --- evaluation -------------------------------------------------------------------------------------------------------


def case_file(*cases: dict, name: str = "rent.jsonl") -> tuple[str, bytes]:
    return name, "".join(f"{json.dumps(case)}\n" for case in cases or CASES).encode()


def test_an_uploaded_file_is_asked_kept_and_compared_with_the_run_before(site: Site) -> None:
    assert site.post("/admin/evaluation", files=case_file(), form="start").status_code == 303
    site.wait()
    page = visible(site.get("/admin/evaluation"))
    assert say("score.rightly", "en") in page
    assert say("evaluation.no_before", "en") in page
    # The same questions, where the second is not answered rightly any more.
    changed = [dict(CASES[0]), {**CASES[1], "answers": ["Mrs Vault"]}, dict(CASES[2])]
    assert site.post("/admin/evaluation", files=case_file(*changed), form="start").status_code == 303
    site.wait()
    page = site.get("/admin/evaluation")
    fell = re.search(rf'{say("evaluation.fell", "en")} <span class="n">1</span>(.*?)</details>', page, re.DOTALL)
    assert fell
    assert "Who is the landlord?" in fell[1]
    assert "Mrs Vault" in visible(fell[1]) or "Mr Vault" in visible(fell[1])
    runs = site.rooms.evaluations.all()
    assert [(run.n, run.stage, run.n_done, run.cases) for run in runs] == [
        (2, "finished", 3, ("rent",)),
        (1, "finished", 3, ("rent",)),
    ]
    assert ("evaluation_started", "2") in site.actions()
    assert len(read_outcomes(site.rooms.evaluations.results_file(1))) == 3
    assert site.get("/admin/evaluation/1/results.jsonl").count("\n") == 3
    assert say("evaluation.against", "en", n=1) in site.get("/admin/evaluation/2?against=1")
    assert site.as_("root").get("/admin/evaluation/9").status_code == 404


def test_cases_of_feedback_and_of_the_sample_can_be_asked(site: Site) -> None:
    rating = site.rated("up", question="How high is the rent?")
    site.post("/admin/feedback", rating=rating, decision="case")
    site.post("/admin/evaluation", form="start", cases=["feedback"], collections=["open"])
    site.wait()
    run = site.rooms.evaluations.get(1)
    assert (run.n_cases, run.cases, run.collections) == (1, (say("evaluation.from_feedback", "en"),), ("open",))
    assert 'value="file:"' in site.get("/admin/evaluation")
    assert len(site.rooms.case_files.read("")) == len(read_cases(SAMPLE_CASES))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b"{}\n", "a.jsonl:1: Is no case"),
        ("a.jsonl", b'{"question": "x"}\noops\n', "a.jsonl:2: Is no JSON"),
        ("a.jsonl", b"\n\n", "Holds no cases"),
        ("a.jsonl", b"\xff\xfe", "Is not text in UTF-8"),
        ("a.jsonl", b"[1]\n3\n", "Is no case"),
    ],
)
def test_a_file_that_holds_no_cases_is_named_and_not_kept(site: Site, name: str, content: bytes, said: str) -> None:
    response = site.post("/admin/evaluation", files=(name, content), form="start")
    assert response.status_code == 400
    assert said in visible(response.text)
    assert site.rooms.case_files.names() == [""]
    assert site.rooms.evaluations.all() == []


@pytest.mark.parametrize("name", ["../../up.jsonl", "C:\\up.jsonl", "con.jsonl", ".jsonl", "报告.jsonl"])
def test_an_uploaded_file_never_leaves_its_folder(site: Site, name: str) -> None:
    kept = site.rooms.case_files.keep(name, case_file()[1])
    folder = site.kb.settings.data_dir / "evaluations" / "cases"
    assert [path.name for path in folder.iterdir()] == [f"{kept}.jsonl"]
    assert len(site.rooms.case_files.read(kept)) == 3


def test_an_uploaded_file_is_deleted_once_that_was_confirmed(site: Site) -> None:
    site.rooms.case_files.keep("rent <b>.jsonl", case_file()[1])
    site.rooms.case_files.keep("miete.jsonl", case_file()[1])
    rent, miete = "rent _b_", "miete"
    kept = next(name for name in site.rooms.case_files.uploaded() if name != miete)
    assert kept.startswith(rent)
    assert f'name="file" value="{kept}"' in site.get("/admin/evaluation")

    asked = site.post("/admin/evaluation", form="delete_cases", file=kept)
    assert asked.status_code == 200
    assert say("evaluation.files_sure", "en", name=kept) in visible(asked.text)
    assert len(site.rooms.case_files.uploaded()) == 2, "nothing is gone before it was confirmed"
    for path in (f"../cases/{kept}", "", "questions", "..", f"{kept}.jsonl"):
        refused = site.post("/admin/evaluation", form="delete_cases", file=path, sure="yes")
        assert refused.status_code == 400
        assert "There is no such file of cases" in visible(refused.text)
    assert site.post("/admin/evaluation", form="delete_cases", file=kept, sure="yes", form_token="").status_code == 403
    assert len(site.rooms.case_files.uploaded()) == 2

    assert site.post("/admin/evaluation", form="delete_cases", file=kept, sure="yes").status_code == 303
    assert site.rooms.case_files.names() == ["", miete]
    assert site.actions()[-1] == ("cases_deleted", kept)
    page = site.get("/admin/evaluation", language="zh")
    assert kept not in page
    assert say("evaluation.files", "zh") in page


def test_too_many_cases_are_refused() -> None:
    with pytest.raises(MalformedInput, match="5,001 cases"):
        parse_cases('{"question": "x"}\n' * 5001, name="many")


def test_one_evaluation_runs_at_a_time_and_can_be_cancelled(site: Site) -> None:
    held = _Held(site)
    assert site.post("/admin/evaluation", files=case_file(), form="start").status_code == 303
    held.begun.wait(5)
    again = site.post("/admin/evaluation", form="start", cases="file:")
    assert again.status_code == 409
    progress = site.as_("root").get("/admin/evaluation/progress").json()
    assert (progress["total"], progress["ended"]) == (3, False)
    page = site.get("/admin/evaluation")
    assert "<progress" in page
    assert site.post("/admin/evaluation", form="delete", n="1").status_code == 409
    site.post("/admin/evaluation", form="cancel")
    held.go_on.set()
    site.wait()
    run = site.rooms.evaluations.get(1)
    assert (run.stage, run.n_done) == ("cancelled", 0)
    assert site.as_("root").get("/admin/evaluation/progress").json()["ended"]
    site.post("/admin/evaluation", form="delete", n="1")
    assert site.rooms.evaluations.all() == []
    assert site.actions()[-2:] == [("evaluation_cancelled", "1"), ("evaluation_deleted", "1")]


class _Held:
    """Has the next answers of a knowledge base wait until they are let go on."""

    def __init__(self, site: Site) -> None:
        from threading import Event

        self.begun, self.go_on = Event(), Event()
        stream = site.kb.stream

        def waiting(*arguments: object, **named: object) -> object:
            self.begun.set()
            self.go_on.wait(10)
            return stream(*arguments, **named)  # type: ignore[arg-type]

        site.kb.stream = waiting  # type: ignore[assignment,method-assign]


def test_a_run_that_a_restart_cut_off_says_so_and_one_that_fails_says_why(site: Site) -> None:
    unknown = {**CASES[0], "collections": ["nowhere"]}
    site.post("/admin/evaluation", files=case_file(CASES[0], unknown), form="start")
    site.wait()
    run = site.rooms.evaluations.get(1)
    assert (run.stage, run.n_done) == ("failed", 1)
    assert "nowhere" in visible(site.get("/admin/evaluation/1"))
    file = site.kb.settings.data_dir / "evaluations" / "1" / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"stage": "running"}))
    assert site.rooms.evaluations.get(1).stage == "interrupted"
    assert say("stage.run_interrupted", "en") in site.get("/admin/evaluation")


# --- trials -----------------------------------------------------------------------------------------------------------


def start_trial(site: Site, **changes: object) -> httpx.Response:
    fields = {
        "name": "Refusing",
        "questions": "How high is the rent?\n\nWho is the landlord?\n",
        "first_words": "quotes",
        "second_more": "answer.refuse_below = 1\nretrieval.k = 3",
        "collections": ["open"],
    }
    return site.post("/admin/trials", **(fields | changes))  # type: ignore[arg-type]


def test_a_trial_goes_from_two_settings_to_a_winner(site: Site) -> None:
    begun = start_trial(site)
    assert begun.status_code == 303
    address = begun.headers["location"]
    trial = address.rpartition("/")[2]
    site.wait("trial")
    assert site.as_("root").get(f"{address}/progress").json()["ended"]
    assert say("trials.stage_open", "en") in site.get(address)
    for name in ("ann", "root"):
        for _ in range(2):
            page = site.get(f"/trials/{trial}", name)
            for secret in ("quotes", "refuse_below", "retrieval.k", say("trials.first", "en")):
                assert secret not in visible(page), "raters are told nothing of the sides"
            place = re.search(r'name="place" value="(\d+)"', page)
            assert place
            left, right = re.findall(r'<p class="words" lang="en">(.*?)</p>', page)
            assert ("not in your documents" in left) != ("not in your documents" in right)
            choice = "right" if "not in your documents" in left else "left"
            assert site.post(f"/trials/{trial}", name, place=place[1], choice=choice).status_code == 303
        assert say("rating.done", "en") in site.get(f"/trials/{trial}", name)
    before = visible(site.get(address))
    assert say("trials.hidden", "en", votes=4, raters=2) in before
    assert say("trials.win_rate", "en") not in before
    site.post(address, form="end")
    after = visible(site.get(address))
    assert "100%" in after
    assert say("trials.counted", "en", votes=4, raters=2, questions=2, decided=4) in after
    assert site.as_("ann").get(f"/trials/{trial}").status_code == 404
    site.post(address, form="delete")
    assert site.as_("root").get(address).status_code == 404
    done = [action for action, _ in site.actions()]
    assert done == ["trial_started", *["trial_rated"] * 4, "trial_ended", "trial_deleted"]


def test_what_is_wrong_with_a_trial_is_said_and_what_was_typed_stays(site: Site) -> None:
    wrong: list[tuple[dict[str, object], str]] = [
        ({"second_more": "", "first_words": ""}, "The two sides are the same"),
        ({"second_more": "answer.wrods = quotes"}, "There is no such setting"),
        ({"second_more": "generator.base_url = http://elsewhere"}, "A trial cannot change this"),
        ({"questions": ""}, "A trial has 1 to 200 questions"),
        ({"questions": "???"}, "The question has no words"),
        ({"collections": []}, "No collection is chosen"),
        ({"name": " "}, "The trial has no name"),
    ]
    for changes, said in wrong:
        response = start_trial(site, **changes)
        assert response.status_code == 400, said
        assert said in visible(response.text)
        assert f'value="{changes.get("name", "Refusing")}"' in response.text
    assert site.actions() == []


def test_questions_are_typed_uploaded_or_the_administrators_own(site: Site) -> None:
    site.asked("root", "What did I ask?")
    site.asked("ann", "What did ann ask?")
    page = site.get("/admin/trials")
    assert "What did I ask?" in page
    assert "What did ann ask?" not in page
    uploaded = ("q.txt", "Uploaded one?\nUploaded two?\n".encode("utf-8-sig"))
    start_trial(site, questions="Typed?", recent=["What did I ask?"], files=uploaded)
    site.wait("trial")
    rating = TrialRating(OwnKnowledgeBase(site.kb, site.people, site.persons["ann"]).access)
    (found,) = rating.to_rate()
    assert found[0].n_questions == 4


def test_an_editor_without_the_right_to_a_collection_is_not_told_of_its_trial(site: Site) -> None:
    trial = start_trial(site).headers["location"].rpartition("/")[2]
    site.wait("trial")
    assert trial in site.get("/trials", "ann")
    OwnKnowledgeBase(site.kb, site.people, site.persons["root"]).sharing.publish("open", False)
    assert trial not in site.get("/trials", "ann")
    assert site.as_("ann").get(f"/trials/{trial}").status_code == 404
    assert site.post(f"/trials/{trial}", "ann", place="0", choice="left").status_code == 404


def test_the_last_choice_can_be_undone_and_a_wrong_one_changes_nothing(site: Site) -> None:
    trial = start_trial(site).headers["location"].rpartition("/")[2]
    site.wait("trial")
    place = re.search(r'name="place" value="(\d+)"', site.get(f"/trials/{trial}", "ann"))
    assert place
    site.post(f"/trials/{trial}", "ann", place=place[1], choice="everything")
    site.post(f"/trials/{trial}", "ann", place="9" * 30, choice="left")
    assert 'value="back"' not in site.get(f"/trials/{trial}", "ann")
    site.post(f"/trials/{trial}", "ann", place=place[1], choice="same")
    assert 'value="back"' in site.get(f"/trials/{trial}", "ann")
    site.post(f"/trials/{trial}", "ann", choice="back")
    assert f'name="place" value="{place[1]}"' in site.get(f"/trials/{trial}", "ann")


# --- texts ------------------------------------------------------------------------------------------------------------


def test_every_text_that_is_named_in_code_or_page_is_there() -> None:
    from app.web.quality import rooms

    folder = rooms.FOLDER
    for path in [*folder.glob("*.py"), *folder.glob("templates/*.html")]:
        for key in re.findall(r"""say\(["']([a-z_]+\.[a-z0-9_]+)["'][,)]""", path.read_text("utf-8")):
            assert key in TEXTS, f"{path.name} says {key}"
    assert set(MAIN_SCORES.values()) <= TEXTS.keys()
