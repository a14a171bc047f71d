"""The web app in a real browser, over a real store of a few of the sample's documents; answers are quotes."""

from __future__ import annotations

import re
import secrets
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, TimeoutError, expect

from app.knowledge_base import KnowledgeBase
from app.people.database import People
from app.people.history import History
from app.people.sessions import Sessions
from app.security import SESSION_COOKIE
from app.web.gradio_doors import EventPace
from benchmarks.serving import STREAM_ENDED, served, sign_in
from core.records import Event, Message, SearchFilter, Token
from core.settings import ServeSettings
from tests.small_app import SmallServices, small_settings
from tests.small_browser import MARKED
from tests.small_header import go_to
from tests.small_people import add

SAMPLE = Path(__file__).resolve().parent.parent / "examples" / "knowledge_base"
FILES = ("handbook/staff-handbook-2025.pdf", "prices/price-list-2025-eur.xlsx", "中文/售后服务常见问题.md")
# A real browser on a machine that does other things now and then misses an event; a fault of ours fails every time.
pytestmark = [pytest.mark.browser, pytest.mark.flaky(reruns=2)]

QUESTION = "How many days of paid annual leave do full-time employees have?"
QUOTE = "Full-time employees have 27 days of paid annual leave in a calendar year"
# What Gradio's own script says of its open connection when a page is left.
LEAVING = re.compile("AbortError: signal is aborted|Connection errored out")


class PacedKnowledgeBase(KnowledgeBase):
    """Gives an answer away word by word while ``gate`` is set, so that a test can look at half of one."""

    gate = threading.Event()
    closed = threading.Event()

    def stream(
        self, question: str, *, history: Sequence[Message] = (), filter: SearchFilter | None = None
    ) -> Iterator[Event]:
        return self._paced(super().stream(question, history=history, filter=filter))

    def _paced(self, events: Iterator[Event]) -> Iterator[Event]:
        try:
            for event in events:
                for piece in re.findall(r"\s*\S+", event.text) if isinstance(event, Token) else ():
                    yield Token(text=piece)
                    assert self.gate.wait(60)
                if not isinstance(event, Token):
                    yield event
        finally:
            self.closed.set()


@pytest.fixture(scope="module")
def kb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PacedKnowledgeBase]:
    folder = tmp_path_factory.mktemp("files")
    for name in FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(SAMPLE / name, folder / name)
    settings = small_settings(tmp_path_factory.mktemp("data"))
    PacedKnowledgeBase.gate.set()
    with PacedKnowledgeBase(SmallServices(settings)) as opened:
        report = opened.ingest(folder)
        assert [file.status for file in report.files] == ["added"] * len(FILES)
        yield opened


@pytest.fixture(scope="module")
def people(kb: KnowledgeBase) -> Iterator[People]:
    with People.open(kb.settings.data_dir) as opened:
        add(opened, "Root", "admin")
        yield opened


@pytest.fixture
def token(people: People) -> str:
    """The session of a new administrator, who has said nothing yet."""
    return Sessions(people, ServeSettings()).create(add(people, f"Ann {secrets.token_hex(4)}", "admin").id)


@pytest.fixture
def client(address: str, token: str) -> Iterator[httpx.Client]:
    """A program that is signed in as the page is."""
    with httpx.Client(base_url=address, cookies={SESSION_COOKIE: token}) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(kb: KnowledgeBase, people: People) -> Iterator[str]:
    with served(kb, people) as found:
        yield found


@pytest.fixture
def excused() -> list[str]:
    """What the browser may say in the console in this test, where errors are what is tested."""
    return []


@pytest.fixture
def page(browser: Browser, address: str, token: str, excused: list[str]) -> Iterator[Page]:
    """A browser on the chat in which a new person is signed in.

    At the end it must have said no error and asked no other server.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 800}, locale="en-GB")
    sign_in(context, token, address)
    opened, errors, elsewhere = context.new_page(), [], []

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error" and not LEAVING.search(message.text):
            errors.append(message.text)

    def on_request(request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and f"{parts.scheme}://{parts.netloc}" != address:
            elsewhere.append(request.url)

    opened.on("console", on_console)
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("request", on_request)
    opened.goto(address)
    expect(opened.locator(".welcome")).to_be_visible(timeout=30_000)
    # Gradio closes its stream of events when the page's first ones have ended, and may lose one that is asked for in
    # that moment; a person is never so quick.
    opened.wait_for_function(STREAM_ENDED, timeout=30_000)
    yield opened
    context.close()
    assert [error for error in errors if not any(words in error for words in excused)] == []
    assert elsewhere == []


def ask(page: Page, question: str) -> None:
    """Type a question, send it and wait for its answer."""
    n_answers = page.locator(".foot").count()
    page.locator("#question textarea").fill(question)
    page.keyboard.press("Enter")
    expect(page.locator(".foot")).to_have_count(n_answers + 1, timeout=30_000)


def open_documents(page: Page) -> None:
    go_to(page, "documents")
    expect(page.locator("#listing .list")).to_be_visible()


def choose_collection(page: Page, name: str) -> None:
    """Pick a collection to ask; the list closes when the names arrive while it is open, so it is opened again."""
    option = page.get_by_role("option", name=name)
    for _ in range(3):
        page.locator("#scope input").click()
        try:
            option.click(timeout=5_000)
        except TimeoutError:
            page.keyboard.press("Escape")
            continue
        page.keyboard.press("Escape")
        return
    raise AssertionError(f"{name} could not be picked")


def rows(page: Page) -> list[str]:
    return page.locator("#listing tbody th > span").all_inner_texts()


def test_a_question_is_answered_with_a_quote_whose_page_opens_with_the_passage_marked(page: Page) -> None:
    ask(page, QUESTION)
    expect(page.locator(".asked")).to_have_text(QUESTION)
    expect(page.locator(".answer")).to_contain_text(QUOTE)
    page.locator(".chip").first.click()
    picture = page.locator("#source-pane img")
    expect(picture).to_be_visible()
    expect(page.locator(".pane-head h2")).to_contain_text("Staff Handbook 2025")
    expect(page.locator(".pane-quote")).to_contain_text(QUOTE)
    page.wait_for_function("() => document.querySelector('#source-pane img').naturalWidth > 900")
    assert 0.001 < page.evaluate(MARKED) < 0.2


def test_who_is_too_fast_is_told_so_and_keeps_what_was_typed(
    page: Page, excused: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    excused.append("status of 429")
    with monkeypatch.context() as hurried:
        hurried.setattr(EventPace, "wait", lambda self, person_id: 4.0)
        page.locator("#question textarea").fill(QUESTION)
        page.keyboard.press("Enter")
        expect(page.locator(".toast-body")).to_contain_text("Too many requests at once. Wait a moment.")
        expect(page.locator("#question textarea")).to_have_value(QUESTION)
    page.locator("#question textarea").press("Enter")
    expect(page.locator(".answer")).to_contain_text(QUOTE, timeout=30_000)


def test_an_answer_is_seen_as_it_is_written_and_can_be_stopped(page: Page, kb: PacedKnowledgeBase) -> None:
    kb.gate.clear()
    kb.closed.clear()
    try:
        page.locator("#question textarea").fill(QUESTION)
        page.keyboard.press("Enter")
        expect(page.locator(".turn[aria-busy] .answer")).to_have_text("Full-time", timeout=30_000)
        page.get_by_role("button", name="Stop").click()
        expect(page.locator(".told .note")).to_contain_text("Stopped")
        expect(page.locator(".answer")).to_have_text("Full-time")
        expect(page.get_by_role("button", name="Send")).to_be_visible()
        assert not kb.closed.is_set()
    finally:
        kb.gate.set()
    assert kb.closed.wait(10), "the stream was not closed, so a model would go on writing"


def test_an_answer_that_is_being_written_is_found_again_after_a_reload(page: Page, kb: PacedKnowledgeBase) -> None:
    kb.gate.clear()
    try:
        page.locator("#question textarea").fill(QUESTION)
        page.keyboard.press("Enter")
        expect(page.locator(".turn[aria-busy] .answer")).to_have_text("Full-time", timeout=30_000)
        page.reload()  # soon enough and it goes on; later it was stopped, and is written anew
        expect(page.locator(".turn[aria-busy]")).to_be_visible(timeout=30_000)
    finally:
        kb.gate.set()
    expect(page.locator(".answer")).to_contain_text(QUOTE, timeout=30_000)
    expect(page.locator(".chip").first).to_be_visible()


def test_an_answer_stops_when_its_tab_is_closed_and_what_was_written_is_kept(
    page: Page, kb: PacedKnowledgeBase, people: People, token: str
) -> None:
    kb.gate.clear()
    kb.closed.clear()
    try:
        page.locator("#question textarea").fill(QUESTION)
        page.keyboard.press("Enter")
        expect(page.locator(".turn[aria-busy] .answer")).to_have_text("Full-time", timeout=30_000)
        turn_id = page.locator(".turn").get_attribute("data-turn") or ""
        person = Sessions(people, ServeSettings()).resolve(token)
        assert person is not None
        page.close()
        until = time.monotonic() + 20
        while (kept := History(people, person).turn(turn_id)).stage != "stopped" and time.monotonic() < until:
            time.sleep(0.05)
        assert (kept.stage, kept.text) == ("stopped", "Full-time")
    finally:
        kb.gate.set()
    assert kb.closed.wait(10), "the stream was not closed, so a model would go on writing"


def test_a_server_that_went_away_is_said_and_the_page_loads_anew_with_what_was_typed(
    browser: Browser, address: str, token: str
) -> None:
    context = browser.new_context(locale="zh-CN")
    sign_in(context, token, address)
    page = context.new_page()
    page.goto(address)
    expect(page.locator(".welcome")).to_be_visible(timeout=30_000)
    page.locator("#question textarea").fill("half a quest")
    page.route("**/app_id", lambda route: route.abort())
    page.evaluate("window.dispatchEvent(new Event('online'))")
    expect(page.locator("#lost")).to_have_text("服务器没有响应，正在重试……")
    page.unroute("**/app_id")
    expect(page.locator("#lost")).to_have_count(0, timeout=20_000)
    assert page.locator("#question textarea").input_value() == "half a quest"

    page.evaluate("window.before = true")
    page.route("**/app_id", lambda route: route.fulfill(json={"app_id": 1}))  # what another start of the server says
    page.evaluate("window.dispatchEvent(new Event('online'))")
    page.wait_for_function("() => window.before === undefined", timeout=30_000)
    page.unroute("**/app_id")
    expect(page.locator("#question textarea")).to_have_value("half a quest", timeout=30_000)
    context.close()


def test_the_keyboard_walks_through_the_sources_and_closes_them(page: Page) -> None:
    ask(page, QUESTION)
    chip = page.locator(".chip").first
    chip.focus()
    page.keyboard.press("Enter")
    pane = page.get_by_role("complementary", name="Source")
    expect(pane).to_be_focused()
    also = (page.locator(".sources").get_attribute("data-also") or "").split()
    n_passages = page.locator(".sources .card").count() + len(also)
    assert also
    for number, key in [(2, "ArrowRight"), (1, "p"), *((n, "n") for n in range(2, n_passages + 1)), (n_passages, "n")]:
        page.keyboard.press(key)
        expect(page.locator(".pane-count")).to_have_text(f"{number} of {n_passages}")
    expect(page.locator(".pane-also")).to_have_text("Found, not cited")
    page.keyboard.press("Escape")
    expect(pane).to_be_hidden()
    expect(chip).to_be_focused()


def test_a_row_of_a_sheet_opens_as_a_table(page: Page) -> None:
    ask(page, "What is the price in EUR of the Brisa 300X?")
    page.locator(".card", has_text="price-list").first.click()
    expect(page.locator(".pane-table tr.marked").first).to_be_visible()
    expect(page.locator(".pane-place")).to_contain_text("row")


def test_a_conversation_survives_a_reload_and_a_change_of_language(page: Page, address: str) -> None:
    ask(page, QUESTION)
    page.reload()
    expect(page.locator(".asked")).to_have_text(QUESTION)
    page.get_by_role("link", name="中文").click()
    page.wait_for_url(re.compile(re.escape(f"{address}/zh/")))
    expect(page.locator(".asked")).to_have_text(QUESTION)
    expect(page.get_by_role("button", name="新对话")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.goto(address)
    page.wait_for_url(re.compile(re.escape(f"{address}/zh/")))
    page.get_by_role("button", name="新对话").click()
    expect(page.locator(".welcome h2")).to_have_text("您想了解什么？")
    expect(page.locator(".asked")).to_have_count(0)


def test_a_chinese_question_is_answered_in_chinese_and_its_text_opens_marked(page: Page) -> None:
    ask(page, "超过八年的机器还维修吗？")
    expect(page.locator(".answer")).to_contain_text("超过八年的机器不再维修")
    page.locator(".card", has_text="售后服务").first.click()
    expect(page.locator(".pane-text mark")).to_contain_text("超过八年")


def test_an_example_is_asked_with_one_click(page: Page) -> None:
    example = page.locator(".example").first
    question = example.inner_text()
    example.click()
    expect(page.locator(".asked")).to_have_text(question)
    expect(page.locator(".foot")).to_be_visible(timeout=30_000)


def test_a_question_can_be_asked_again_and_its_answer_replaces_the_first(page: Page) -> None:
    ask(page, QUESTION)
    first = page.locator(".turn").get_attribute("data-turn")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(f".turn[data-turn='{first}']")).to_have_count(0)
    expect(page.locator(".foot")).to_have_count(1)
    expect(page.locator(".asked")).to_have_text(QUESTION)


def test_a_question_without_words_is_explained_in_the_readers_language(page: Page, address: str) -> None:
    ask(page, "?!")
    expect(page.get_by_role("alert")).to_have_text("The question has no words. Type what you want to know.")
    page.get_by_role("link", name="中文").click()
    expect(page.locator(".failure")).to_have_text("问题没有内容。请输入您想了解的内容。")


def test_a_conversation_is_found_by_a_word_opened_renamed_and_deleted(page: Page) -> None:
    ask(page, QUESTION)
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".welcome")).to_be_visible()
    expect(page).not_to_have_url(re.compile(r"\?c="))
    ask(page, "What is the price in EUR of the Brisa 300X?")
    listed = page.locator("#history-pane li")
    expect(listed).to_have_count(2)
    expect(listed.first.locator("[aria-current]")).to_contain_text("Brisa 300X")

    page.keyboard.press("Control+k")
    page.keyboard.type("calendar YEAR")
    expect(page.locator("#history-pane mark")).to_have_text(["calendar", "year"])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator(".asked")).to_have_text(QUESTION)
    expect(page.locator(".turn.is-found")).to_be_visible()
    page.go_back()
    expect(page.locator(".asked")).to_contain_text("Brisa 300X")

    page.locator("#history-search").fill("")
    expect(listed).to_have_count(2)
    oldest = listed.last
    oldest.get_by_role("button").click()
    page.get_by_role("menuitem", name="Rename").click()
    page.keyboard.type("Leave of the staff")
    page.keyboard.press("Enter")
    expect(oldest.locator("[data-go]")).to_have_text("Leave of the staff")
    oldest.get_by_role("button").click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.locator("#confirm-sure")).to_have_text("Delete “Leave of the staff”?")
    page.locator("#confirm").get_by_role("button", name="Delete").click()
    expect(listed).to_have_count(1)
    expect(page.locator(".asked")).to_contain_text("Brisa 300X")
    page.get_by_role("button", name="Delete all conversations").click()
    page.locator("#confirm").get_by_role("button", name="Delete").click()
    expect(page.locator(".history-none")).to_be_visible()
    expect(page.locator(".welcome")).to_be_visible()


def test_a_conversation_can_be_taken_away_as_a_file(page: Page) -> None:
    ask(page, QUESTION)
    page.locator("#history-pane li").get_by_role("button").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Export as Markdown").click()
    assert download.value.suggested_filename.endswith(".md")
    assert QUOTE in Path(download.value.path()).read_text("utf-8")


def test_a_thumb_its_reason_and_what_would_be_right_are_there_again_after_a_reload(page: Page) -> None:
    ask(page, QUESTION)
    page.get_by_role("button", name="Bad answer").click()
    page.get_by_text("Incomplete", exact=True).click()
    page.get_by_label("What would be right?").fill("27 days, and more after five years.")
    page.locator(".rating-form").get_by_role("button", name="Send").click()
    expect(page.locator(".rating")).to_contain_text("Rated as bad: incomplete.")
    page.reload()
    expect(page.locator(".rating")).to_contain_text("Rated as bad: incomplete.")
    expect(page.get_by_role("button", name="Bad answer")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Say more").click()
    expect(page.get_by_label("What would be right?")).to_have_value("27 days, and more after five years.")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Good answer").click()
    expect(page.locator(".rating")).to_contain_text("Rated as good.")
    page.get_by_role("button", name="Take back").click()
    expect(page.locator(".rating")).to_be_empty()
    expect(page.get_by_role("button", name="Good answer")).to_have_attribute("aria-pressed", "false")


def test_what_is_typed_about_an_answer_outlives_the_next_one(page: Page) -> None:
    ask(page, QUESTION)
    page.get_by_role("button", name="Bad answer").click()
    page.get_by_text("Wrong source", exact=True).click()
    page.get_by_label("What would be right?").fill("Half a sent")
    ask(page, "What is the price in EUR of the Brisa 300X?")
    expect(page.get_by_label("What would be right?")).to_have_value("Half a sent")
    expect(page.locator(".rating-form input:checked")).to_have_value("wrong_source")


def test_a_question_is_edited_and_what_followed_it_is_replaced(page: Page) -> None:
    ask(page, "What is the price in EUR of the Brisa 300X?")
    ask(page, "And of the Brisa 200?")
    page.locator(".turn").first.hover()
    page.locator(".turn").first.get_by_role("button", name="Edit the question").click()
    page.keyboard.press("Control+a")
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    expect(page.locator("#confirm-sure")).to_have_text("Replace what follows?")
    page.locator("#confirm").get_by_role("button", name="Replace").click()
    expect(page.locator(".asked")).to_have_text([QUESTION], timeout=30_000)
    expect(page.locator(".answer")).to_contain_text(QUOTE)
    page.reload()
    expect(page.locator(".asked")).to_have_text([QUESTION])


def test_the_panel_stays_folded_and_nothing_moves_while_an_answer_is_written(
    page: Page, kb: PacedKnowledgeBase
) -> None:
    pane, composer = page.locator("#history-pane"), page.locator("#composer")
    page.get_by_role("button", name="Hide conversations").click()
    expect(pane).to_be_hidden()
    page.reload()
    expect(page.locator(".welcome")).to_be_visible()
    expect(pane).to_be_hidden()
    page.get_by_role("button", name="Show conversations").click()
    expect(pane).to_be_visible()
    before = composer.bounding_box()
    kb.gate.clear()
    try:
        page.locator("#question textarea").fill(QUESTION)
        page.keyboard.press("Enter")
        expect(page.locator(".turn[aria-busy] .answer")).to_have_text("Full-time", timeout=30_000)
        expect(page.locator("#history-pane [aria-current]")).to_be_visible()
        assert composer.bounding_box() == before
    finally:
        kb.gate.set()
    expect(page.locator(".foot")).to_be_visible()
    assert composer.bounding_box() == before


def test_on_a_phone_the_panel_is_a_drawer(browser: Browser, address: str, token: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844}, locale="en-GB")
    sign_in(page.context, token, address)
    page.goto(address)
    expect(page.locator(".welcome")).to_be_visible(timeout=30_000)
    ask(page, QUESTION)
    pane, show = page.locator("#history-pane"), page.get_by_role("button", name="Show conversations")
    expect(pane).to_be_hidden()
    show.click()
    expect(pane).to_be_visible()
    page.keyboard.press("Escape")
    expect(pane).to_be_hidden()
    expect(show).to_be_focused()
    show.click()
    page.mouse.click(380, 500)  # beside it
    expect(pane).to_be_hidden()
    show.click()
    page.locator(".history-new").click()
    expect(pane).to_be_hidden()
    expect(page.locator(".welcome")).to_be_visible()
    show.click()
    page.locator("#history-pane [data-go]").click()
    expect(pane).to_be_hidden()
    expect(page.locator(".asked")).to_have_text(QUESTION)
    page.close()


def test_shift_and_enter_starts_a_new_line_and_sends_nothing(page: Page) -> None:
    page.locator("#question textarea").fill("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    expect(page.locator("#question textarea")).to_have_value("one\ntwo")
    expect(page.locator(".turn")).to_have_count(0)


def test_a_file_is_uploaded_found_asked_about_and_deleted(
    page: Page, client: httpx.Client, kb: KnowledgeBase, tmp_path: Path
) -> None:
    note = tmp_path / "canteen <b>note.txt"
    note.write_text("The canteen of the Rotterdam office serves pancakes on every second Thursday.\n", "utf-8")
    open_documents(page)
    page.locator("#upload input[type=file]").set_input_files([note, _broken(tmp_path)])
    expect(page.locator(".job[data-stage=finished]")).to_be_visible(timeout=60_000)
    expect(page.locator(".report tr.is-added th")).to_contain_text("canteen")
    expect(page.locator(".report tr.is-failed")).to_contain_text("broken.pdf")
    page.locator("#filter input").press_sequentially("canteen")
    expect(page.locator("#listing tbody tr")).to_have_count(1)
    name = rows(page)[0]
    kept = Path(kb.document(name).location)
    assert kept.is_file()
    assert kept.is_relative_to(kb.settings.data_dir.resolve() / "uploads")

    go_to(page, "chat")
    ask(page, "When does the canteen serve pancakes?")
    expect(page.locator(".answer")).to_contain_text("pancakes on every second Thursday")
    opens = page.locator(".chip").first.get_attribute("data-open")
    assert client.get(f"/api/passages/{opens}").status_code == 200

    open_documents(page)
    page.get_by_role("button", name=f"Delete {name}").click()
    page.locator("#confirm").get_by_role("button", name="Cancel").click()
    expect(page.locator("#listing tbody tr")).to_have_count(1)
    page.get_by_role("button", name=f"Delete {name}").click()
    page.locator("#confirm").get_by_role("button", name="Delete").click()
    expect(page.locator("#listing .empty")).to_have_text("No document matches")
    assert not kept.exists()
    gone = client.get(f"/api/passages/{opens}")
    assert gone.status_code == 404
    assert "This document has been deleted." in gone.text


def _broken(folder: Path) -> Path:
    path = folder / "broken.pdf"
    path.write_bytes(b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\n")
    return path


def test_a_folder_of_this_machine_is_read_into_a_new_collection(page: Page, kb: KnowledgeBase, tmp_path: Path) -> None:
    (tmp_path / "minutes").mkdir()
    (tmp_path / "minutes" / "march.md").write_text("# March\n\nThe board chose the blue paint.\n", "utf-8")
    open_documents(page)
    page.locator("#into input").fill("board")
    page.locator("#into input").press("Enter")
    page.locator("#folder input").fill(str(tmp_path / "minutes"))
    page.get_by_role("button", name="Read folder").click()
    expect(page.locator(".job[data-stage=finished]")).to_contain_text("into board", timeout=60_000)
    expect(page.locator("#listing")).to_contain_text("march.md")
    assert "board" in kb.collections()
    go_to(page, "chat")
    choose_collection(page, "board")
    ask(page, "What did the board choose?")
    expect(page.locator(".answer")).to_contain_text("blue paint")
    assert {name.split()[0] for name in page.locator(".card-name").all_inner_texts()} == {"march.md"}
    kb.delete(next(source.path for source in kb.documents(collection="board")))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(
    browser: Browser, address: str, token: str, theme: str
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=theme, locale="zh-CN")
    sign_in(page.context, token, address)
    page.goto(address)
    expect(page.locator(".welcome")).to_be_visible(timeout=30_000)
    ask(page, QUESTION)
    page.locator(".chip").first.click()
    expect(page.locator("#source-pane img")).to_be_visible()
    page.locator("#source-pane [data-close]").click()
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    open_documents(page)
    assert page.evaluate("document.querySelector('#documents').scrollWidth") <= 390
    assert page.evaluate("document.body.classList.contains('dark')") is (theme == "dark")
    page.close()


def test_the_theme_that_is_chosen_is_remembered(page: Page) -> None:
    switch = page.get_by_role("button", name="Switch between light and dark")
    switch.click()
    chosen = page.evaluate("document.body.classList.contains('dark')")
    assert chosen
    page.reload()
    expect(page.locator(".welcome")).to_be_visible()
    assert page.evaluate("document.body.classList.contains('dark')") is chosen


def test_health_says_that_the_server_is_up_and_with_which_model(address: str) -> None:
    assert httpx.get(f"{address}/healthz").json() == {"status": "ok", "model": "quotes"}


def test_pages_are_pictures_of_stored_sources_and_nothing_else(client: httpx.Client, kb: KnowledgeBase) -> None:
    handbook = next(source for source in kb.documents() if source.path.endswith("staff-handbook-2025.pdf"))
    there = f"/api/pages/{handbook.source_id}"
    good = client.get(f"{there}/1.png?boxes=0.1,0.1,0.5,0.2")
    assert (good.status_code, good.headers["content-type"]) == (200, "image/png")
    assert "no-cache" in good.headers["cache-control"]
    again = client.get(f"{there}/1.png?boxes=0.1,0.1,0.5,0.2", headers={"If-None-Match": good.headers["etag"]})
    assert again.status_code == 304
    assert client.get(f"{there}/1.png?boxes=0.1,0.1").status_code == 400
    assert client.get(f"{there}/99.png").status_code == 404
    assert client.get(f"{there}/x.png").status_code == 422
    assert client.get(f"/api/pages/{'0' * 32}/1.png").status_code == 404
    assert client.get("/api/pages/..%2F..%2Fetc%2Fpasswd/1.png").status_code == 404


def test_a_page_of_a_file_that_changed_is_not_shown(client: httpx.Client, kb: KnowledgeBase) -> None:
    source = next(source for source in kb.documents() if source.path.endswith("staff-handbook-2025.pdf"))
    location = Path(source.location)
    kept = location.read_bytes()
    try:
        location.write_bytes(kept[:-1] + b" ")
        answered = client.get(f"/api/pages/{source.source_id}/1.png")
    finally:
        location.write_bytes(kept)
    assert answered.status_code == 410
    assert str(location) not in answered.text
    assert client.get(f"/api/pages/{source.source_id}/1.png").status_code == 200


def test_passages_are_shown_to_who_asked_and_to_nobody_else(page: Page, address: str, client: httpx.Client) -> None:
    ask(page, QUESTION)
    opens = page.locator(".chip").first.get_attribute("data-open")
    assert client.get(f"/api/passages/{opens}").status_code == 200
    assert httpx.get(f"{address}/api/passages/{opens}").status_code == 401


def test_files_of_the_server_cannot_be_had_through_the_page(client: httpx.Client, kb: KnowledgeBase) -> None:
    database = next(kb.settings.data_dir.glob("*.sqlite*"), kb.settings.data_dir)
    for path in ("/etc/passwd", str(database), str(Path(__file__))):
        for language in ("en", "zh"):
            assert client.get(f"/{language}/gradio_api/file={path}").status_code == 404


def test_every_answer_carries_the_policy_that_keeps_the_page_on_its_own_origin(client: httpx.Client) -> None:
    for path in ("/en/", "/healthz", "/en/config", "/api/pages/x/1.png"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers
