"""The first two days of a newcomer in a real browser, with the models that come with it, at a desk and on a phone.

``CITADEL_SCREENSHOTS=DIR`` keeps a picture of each step.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from app.knowledge_base import KnowledgeBase
from app.people.database import People
from app.people.records import Person
from app.server import create_app
from app.texts import say
from app.web.visitors import Visitors
from benchmarks.serving import running
from core.records import Language
from core.settings import load_settings
from tests.small_browser import MARKED, chromium
from tests.small_people import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.flaky(reruns=1)]

SCREENSHOTS = os.environ.get("CITADEL_SCREENSHOTS", "")
SAMPLE = Path(__file__).resolve().parent.parent / "examples" / "knowledge_base"
# Each kind that people have, in both languages: twenty.
FILES = (
    "handbook/staff-handbook-2025.pdf", "handbook/travel-and-expenses.docx", "handbook/remote-work-policy.md",
    "contracts/maintenance-agreement-zandwijk.odt", "contracts/office-lease-wijnhaven.rtf",
    "mail/2025-06-05-orchard-complaint.eml", "minutes/2025-03-18-management.txt", "prices/price-list-2025-eur.xlsx",
    "prices/stock-count-2025-06.ods", "products/halm-loggers-overview.pptx", "products/serra-s3-quick-start.html",
    "products/spare-parts.csv", "products/weerlog-user-guide.epub", "scans/calibration-certificate-0417.png",
    "中文/价格表-2025-人民币.csv", "中文/售后服务常见问题.md", "中文/安全生产规程.docx", "中文/清风360用户手册.pdf",
    "中文/代理商通知-2025-08.eml", "中文/出厂检验记录-2025-06.xlsx",
)  # fmt: skip
ENGLISH, CHINESE = "How many days of paid annual leave do full-time employees have?", "超过八年的机器还维修吗？"
DAY_SECONDS = 86_400
PATIENCE_MS = 120_000

DROP = """([selector, files]) => {
  const carried = new DataTransfer();
  for (const [name, content] of files) {
    carried.items.add(new File([Uint8Array.from(atob(content), (byte) => byte.charCodeAt(0))], name));
  }
  const zone = document.querySelector(selector);
  for (const kind of ['dragenter', 'dragover', 'drop'])
    zone.dispatchEvent(new DragEvent(kind, { dataTransfer: carried, bubbles: true, cancelable: true }));
}"""
# Where the marker is on the screen, as [top, bottom] of what is marked and of the pane that shows it.
IN_VIEW = """() => {
  const pane = document.querySelector('.pane-body').getBoundingClientRect();
  const mark = document.querySelector('#source-pane mark, #source-pane tr.marked');
  if (mark) return [mark.getBoundingClientRect().top, pane.top, pane.bottom];
  const page = document.querySelector('#source-pane .page');
  const box = page.getBoundingClientRect();
  return [box.top + Number(page.dataset.top) * box.height, pane.top, pane.bottom];
}"""


@dataclass(frozen=True)
class Server:
    """A server that starts on an empty data directory."""

    address: str
    people: People
    visitors: Visitors

    def person(self, name: str) -> Person:
        return next(person for person in self.visitors.accounts.all() if person.name == name)

    def said_of(self, person: Person) -> list[str]:
        """Return what a person's ratings say."""
        with self.people.reading() as connection:
            rows = connection.execute("SELECT reason FROM feedback WHERE person = ?", (person.id,))
            return [str(reason) for (reason,) in rows]

    def invitation(self) -> str:
        """Return the token of an invitation for an editor, made once there is an administrator."""
        self.visitors.accounts.create_first_admin("Root", PASSWORD)
        return self.visitors.invitations.invite(role="editor")[1]

    def let_a_day_pass(self, person: Person) -> None:
        """Make all that a person has said a day older."""
        with self.people.writing() as connection:
            ids = "(SELECT id FROM conversations WHERE person = ?)"
            connection.execute(
                "UPDATE conversations SET created = created - ?, updated = updated - ? WHERE person = ?",
                (DAY_SECONDS, DAY_SECONDS, person.id),
            )
            connection.execute(
                f"UPDATE turns SET started = started - ?, ended = ended - ? WHERE conversation IN {ids}",
                (DAY_SECONDS, DAY_SECONDS, person.id),
            )


@dataclass
class Recorder:
    """A page of which each step is kept as a picture."""

    page: Page
    folder: Path
    name: str
    language: Language
    n: int = 0

    def step(self, told: str) -> None:
        self.n += 1
        self.page.evaluate("document.fonts.ready.then(() => true)")
        self.page.screenshot(path=self.folder / f"{self.name}-{self.n:02}-{told}.png", animations="disabled")

    def fits(self) -> None:
        width = self.page.viewport_size["width"] if self.page.viewport_size else 0
        assert self.page.evaluate("document.scrollingElement.scrollWidth") <= width, "it scrolls sideways"


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("data")
    (data / "models").symlink_to(models_dir)
    settings = load_settings(data_dir=data).settings
    with KnowledgeBase.open(settings=settings) as kb, People.open(data) as people:
        app = create_app(kb, people, host="127.0.0.1")
        with running(app) as address:
            yield Server(address=address, people=people, visitors=app.state.visitors)


@pytest.fixture(scope="module")
def browser(chromium_path: str | None) -> Iterator[Browser]:
    with chromium(chromium_path) as launched:
        expect.set_options(timeout=PATIENCE_MS)
        yield launched
        expect.set_options(timeout=5_000)  # Playwright's own


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the pictures go."""
    found = Path(SCREENSHOTS) if SCREENSHOTS else tmp_path
    found.mkdir(parents=True, exist_ok=True)
    return found


def test_at_a_desk_the_first_to_come_administers_and_drops_files(
    browser: Browser, server: Server, folder: Path
) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB", timezone_id="UTC")
    context.set_default_timeout(PATIENCE_MS)
    recorder = Recorder(context.new_page(), folder, "desk", "en")
    page = recorder.page
    page.goto(server.address)
    expect(page.get_by_role("heading", level=1)).to_have_text(say("welcome.title", "en"))
    recorder.step("first-start")
    join(recorder, "Noor Haddad", do=say("welcome.do", "en"))
    add_files(recorder, "Noor's papers", by_dropping=True)
    ask_rate_and_leave(recorder, server, "Noor Haddad")
    come_back(recorder, server, "Noor Haddad")
    context.close()


def test_on_a_phone_an_invited_editor_chooses_files_and_reads_the_pages_in_chinese(
    browser: Browser, server: Server, folder: Path
) -> None:
    token = server.invitation()
    context = browser.new_context(
        viewport={"width": 390, "height": 844},
        locale="zh-CN",
        timezone_id="UTC",
        has_touch=True,
        is_mobile=True,
        device_scale_factor=2,
    )
    context.set_default_timeout(PATIENCE_MS)
    recorder = Recorder(context.new_page(), folder, "phone", "zh")
    page = recorder.page
    page.goto(f"{server.address}/invitation/{token}")
    expect(page.get_by_role("heading", level=1)).to_have_text(say("join.title", "zh"))
    recorder.step("invitation")
    recorder.fits()
    join(recorder, "林梅", do=say("join.do", "zh"))
    add_files(recorder, "林梅的资料", by_dropping=False)
    ask_rate_and_leave(recorder, server, "林梅")
    come_back(recorder, server, "林梅")
    context.close()


def join(recorder: Recorder, name: str, *, do: str) -> None:
    """Make an account, on whichever page offers one."""
    page, language = recorder.page, recorder.language
    page.get_by_label(say("entrance.name", language), exact=True).fill(name)
    page.get_by_label(say("entrance.password", language), exact=True).fill(PASSWORD)
    page.get_by_label(say("entrance.again", language), exact=True).fill(PASSWORD)
    page.get_by_role("button", name=do).click()
    expect(page.get_by_role("heading", name=say("chat.hello_empty", language))).to_be_visible()


def add_files(recorder: Recorder, collection: str, *, by_dropping: bool) -> None:
    """Go where the empty chat leads, name a new collection, give it the files and watch each of them being read."""
    page, language = recorder.page, recorder.language
    recorder.step("empty-chat")
    recorder.fits()
    page.get_by_role("button", name=say("chat.go_documents", language)).click()
    into = page.get_by_label(say("docs.into", language))
    expect(into).to_be_visible()
    recorder.step("documents-empty")
    recorder.fits()
    into.fill(collection)
    into.press("Enter")
    paths = [SAMPLE / name for name in FILES]
    if by_dropping:
        carried = [[path.name, base64.b64encode(path.read_bytes()).decode()] for path in paths]
        page.evaluate(DROP, ["#upload button", carried])
    else:
        with page.expect_file_chooser() as choosing:
            page.locator("#upload").get_by_role("button").first.click()
        choosing.value.set_files(paths)
    job = page.locator(".job")
    expect(job).to_contain_text(say("job.into", language, collection=collection))
    files = page.locator(".report tr")
    expect(files).to_have_count(len(FILES))
    expect(files.filter(has_text=say("report.added", language)).first).to_be_visible()
    expect(files.filter(has_text=say("report.waiting", language)).first).to_be_visible()
    recorder.step("files-being-read")
    recorder.fits()
    expect(page.locator(".job[data-stage=finished]")).to_be_visible(timeout=3 * PATIENCE_MS)
    expect(page.locator(".job")).to_contain_text(say("report.summary", language, good=len(FILES), total=len(FILES)))
    expect(page.locator("#listing tbody tr")).to_have_count(len(FILES))
    recorder.step("files-read")
    recorder.fits()
    sought = page.get_by_label(say("docs.filter", language), exact=True)
    sought.focus()
    page.keyboard.insert_text("用户手册")  # as it comes from a keyboard for Chinese, or is pasted: no key tells of it
    expect(page.locator("#listing tbody tr")).to_have_count(1)
    expect(page.locator("#listing tbody tr")).to_contain_text("清风360用户手册.pdf")
    recorder.step("documents-filtered")
    sought.fill("")
    expect(page.locator("#listing tbody tr")).to_have_count(len(FILES))


def ask_rate_and_leave(recorder: Recorder, server: Server, name: str) -> None:
    """Ask in both languages, look at what the answers stand on, say what is wrong with one, and sign out."""
    page, language = recorder.page, recorder.language
    page.get_by_role("button", name=say("job.ask", language)).click()
    expect(page.get_by_role("heading", name=say("chat.hello", language))).to_be_visible()
    recorder.step("chat")
    recorder.fits()
    ask(recorder, ENGLISH, "27 days")
    recorder.step("answer-english")
    recorder.fits()
    open_source(recorder, "staff-handbook-2025.pdf")
    page.wait_for_function("() => document.querySelector('#source-pane img')?.naturalWidth > 900")
    assert 0.001 < page.evaluate(MARKED) < 0.2
    expect_mark_in_view(page)
    recorder.step("source-english")
    recorder.fits()
    page.get_by_role("button", name=say("source.close", language)).click()

    ask(recorder, CHINESE, "不再维修")
    recorder.step("answer-chinese")
    open_source(recorder, "售后服务常见问题.md")
    expect(page.locator("#source-pane mark").first).to_contain_text("超过八年")
    expect_mark_in_view(page)
    recorder.step("source-chinese")
    recorder.fits()
    page.get_by_role("button", name=say("source.close", language)).click()

    rate(recorder, page.locator(".turn").last)
    expect(page.locator("#history-pane [data-go]")).to_have_count(1)
    sign_out(recorder)
    assert server.said_of(server.person(name)) == ["incomplete"]


def ask(recorder: Recorder, question: str, answered: str) -> None:
    """Type a question, send it and wait for its answer."""
    page, language = recorder.page, recorder.language
    n_answers = page.locator(".foot").count()
    page.get_by_label(say("chat.question", language), exact=True).fill(question)
    page.get_by_role("button", name=say("chat.send", language), exact=True).click()
    expect(page.locator(".foot")).to_have_count(n_answers + 1)
    expect(page.locator(".answer").last).to_contain_text(answered)


def open_source(recorder: Recorder, name: str) -> None:
    """Open the first citation of the newest answer."""
    page, language = recorder.page, recorder.language
    page.locator(".turn").last.locator(".chip").first.click()
    pane = page.get_by_role("complementary", name=say("source.pane", language))
    expect(pane).to_be_visible()
    expect(pane).to_contain_text(name)


def expect_mark_in_view(page: Page) -> None:
    """See that nobody has to scroll to the marked passage."""
    page.wait_for_function(
        f"() => {{ const [mark, top, bottom] = ({IN_VIEW})(); return top <= mark && mark < bottom; }}"
    )


def rate(recorder: Recorder, turn: Locator) -> None:
    """Give an answer a thumb down and say why."""
    language = recorder.language
    turn.get_by_role("button", name=say("rate.down", language)).click()
    turn.get_by_label(say("rate.incomplete", language)).check()
    turn.get_by_label(say("rate.corrected", language)).fill("The exceptions are missing.")
    recorder.step("thumb-with-reason")
    recorder.fits()
    turn.get_by_role("button", name=say("rate.send", language), exact=True).click()
    reason = say("rate.incomplete", language).lower()
    expect(turn).to_contain_text(say("rate.thanks_reason", language, reason=reason))
    recorder.step("thumb-given")


def sign_out(recorder: Recorder) -> None:
    """Find the way out, in the menu of one's account."""
    page, language = recorder.page, recorder.language
    page.get_by_role("button", name=say("account.link", language)).click()
    leave = page.get_by_role("button", name=say("sign_out.do", language))
    expect(leave).to_be_visible()
    recorder.step("account-menu")
    leave.click()
    expect(page.get_by_role("heading", name=say("sign_in.title", language))).to_be_visible()


def come_back(recorder: Recorder, server: Server, name: str) -> None:
    """Sign in a day later and find the conversation under yesterday."""
    page, language = recorder.page, recorder.language
    server.let_a_day_pass(server.person(name))
    page.get_by_label(say("entrance.name", language), exact=True).fill(name)
    page.get_by_label(say("entrance.password", language), exact=True).fill(PASSWORD)
    recorder.step("next-day-sign-in")
    recorder.fits()
    page.get_by_role("button", name=say("sign_in.do", language)).click()
    expect(page.get_by_role("heading", name=say("chat.hello", language))).to_be_visible()
    show = page.get_by_role("button", name=say("history.show", language))
    if show.is_visible():  # on a phone the panel is folded away
        show.click()
    yesterday = page.locator(
        "#history-pane section", has=page.get_by_role("heading", name=say("history.yesterday", language))
    )
    kept = yesterday.get_by_role("link", name=ENGLISH)
    expect(kept).to_be_visible()
    recorder.step("yesterday")
    recorder.fits()
    kept.click()
    expect(page.locator(".asked")).to_have_text([ENGLISH, CHINESE])
    expect(page.locator(".turn").last.get_by_role("button", name=say("rate.down", language))).to_have_attribute(
        "aria-pressed", "true"
    )
    recorder.step("yesterdays-conversation")
    recorder.fits()
    page.locator(".turn").last.locator(".chip").first.click()
    expect(page.locator("#source-pane mark").first).to_contain_text("超过八年")
