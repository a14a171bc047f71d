"""Attack texts wherever a page shows a text of others: each is there to be read, and none does anything in Chromium."""

from __future__ import annotations

import json
import re
import string
import time
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import httpx
import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Route, expect

from app.admission import Admission
from app.background import Background
from app.cases import Case
from app.evaluation import outcome
from app.evaluations import Evaluations
from app.knowledge_base import KnowledgeBase
from app.people.attached import MAX_ATTACHMENTS
from app.people.audit import Audit
from app.people.database import People
from app.people.feedback import Ratings
from app.people.groups import Groups
from app.people.history import History
from app.people.own_knowledge_base import OwnKnowledgeBase
from app.people.records import Person
from app.people.sessions import Sessions
from app.reports.writing import write_report
from app.security import SESSION_COOKIE
from app.trials import Side, Trials
from app.ui.render import file_name
from app.uploads import MAX_COLLECTION_CHARS, safe_name
from benchmarks.serving import STREAM_ENDED, served, sign_in
from core.errors import printable
from core.interfaces import Ingestible, StoredFailure
from core.records import Answer, Citation, Event, Finished, Hit, Message, Retrieved, SearchFilter, Sentence, Token
from core.settings import AnswerSettings, ServeSettings
from tests.attack_texts import ATTACK_TEXTS
from tests.small_app import SmallServices, small_settings
from tests.small_browser import chromium
from tests.small_header import go_to
from tests.small_people import add
from tests.small_store import ingestible, open_writer

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parent.parent
SHELF = "texts"
PATIENCE_MS = 120_000
SEEN_CHARS = 40  # of the beginning of a text, without white space: what pages cut is longer
PIECE_CHARS, PIECE_SECONDS = 131, 0.05
NAME_BYTES = 180
RATED = 5
LEAVING = re.compile("AbortError: signal is aborted|Connection errored out")
# What names of others become parts of, at addresses of ours.
OWN_ADDRESSES = re.compile(r"/(?:collections|admin|api|trials|account|en|zh)(?:/|$)")
CANARY = re.compile(r"/canary-\d+")
# What of ours is fetched with a name of others in its address; pictures, styles and scripts never are.
NAMED_BY_OTHERS = ("fetch", "xhr")
READ = """
(n) => document.querySelectorAll(".attachment:is([data-state=ready], [data-state=failed])").length === n
"""
LOOK = """
(addresses) => {
  const found = [], roots = [document], addressed = new RegExp(addresses);
  if (window.__ran !== undefined) found.push(`ran ${window.__ran}`);
  const words = new Set(["title", "alt", "placeholder", "download", "value", "id", "for", "aria-label"]);
  const foreign = "iframe, frame, object, embed, base:not([href='./']), math, marquee, applet, x-canary, foreignObject";
  for (const root of roots) {
    for (const element of root.querySelectorAll(foreign)) found.push(element.outerHTML.slice(0, 200));
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) roots.push(element.shadowRoot);
      for (const { name, value } of element.attributes) {
        if (name.startsWith("on")) found.push(`${name}=${value}`);
        if (!/(^|[^-\\w])canary|__ran/.test(value) || words.has(name) || name.startsWith("data-")) continue;
        const address = ["href", "action"].includes(name) ? new URL(value, location.href) : null;
        const ours = address && address.origin === location.origin && addressed.test(address.pathname);
        if (!ours) found.push(`<${element.tagName} ${name}=${value}>`);
      }
    }
  }
  return found;
}
"""
ONLY_THESE = """
(words) => {
  const rows = [...document.querySelectorAll("#listing tbody tr")];
  return rows.length > 0 && rows.every((row) => row.innerText.includes(words));
}
"""
OPEN_EVERY_SOURCE = """
async () => {
  const body = document.querySelector("#source-pane .pane-body"), shown = [];
  for (const chip of document.querySelectorAll(".chip")) {
    body.replaceChildren();
    chip.click();
    for (let i = 0; i < 2000 && (body.hasAttribute("aria-busy") || !body.firstChild); i++)
      await new Promise((resolve) => setTimeout(resolve, 5));
    shown.push(body.innerText);
  }
  return shown;
}
"""


def plain(text: str) -> str:
    """Return what two ways to show a text have in common: no white space, no accents, no case, no borders of cells."""
    apart = unicodedata.normalize("NFD", text)
    return "".join(c for c in apart if c.isalnum() or (c in string.punctuation and c != "|")).casefold()


def unseen(shown: str, texts: Sequence[str]) -> list[str]:
    """Return which texts cannot be read in what is shown."""
    there = plain(shown)
    return [text for text in texts if plain(text)[:SEEN_CHARS] not in there]


def as_file(text: str) -> str:
    """Return a text as far as it can be the name of a file."""
    name = text.replace("/", "\u2215").replace("\0", "").encode("utf-8", "ignore")[:NAME_BYTES]
    return name.decode("utf-8", "ignore").strip()


def as_label(text: str) -> str:
    """Return a text as far as it can be the label of a collection or the name of a group."""
    return "".join(c for c in text if c.isprintable())[:MAX_COLLECTION_CHARS].strip()


NAMES = tuple(dict.fromkeys(as_file(text) for text in ATTACK_TEXTS))
LABELS = tuple(dict.fromkeys(as_label(text) for text in ATTACK_TEXTS))
WHOLE = "\n\n".join(ATTACK_TEXTS)
# What is asked in trials, some texts in each.
TRIALS = tuple("\n".join(ATTACK_TEXTS[start : start + 40]) for start in range(0, len(ATTACK_TEXTS), 40))


class Echo(KnowledgeBase):
    """Answers with the words of the question, piece by piece."""

    def stream(
        self, question: str, *, history: Sequence[Message] = (), filter: SearchFilter | None = None
    ) -> Iterator[Event]:
        yield Retrieved(hits=())
        for start in range(0, len(question), PIECE_CHARS):
            yield Token(text=question[start : start + PIECE_CHARS])
            time.sleep(PIECE_SECONDS)
        yield Finished(answer=Answer(question=question, text=question, sentences=_lines(question), model="<b>model"))


def _lines(text: str) -> tuple[Sentence, ...]:
    """Return every line as a sentence without support."""
    return tuple(Sentence(start=found.start(), end=found.end()) for found in re.finditer(r"[^\n]+", text))


def documents() -> list[Ingestible]:
    """Return a document for every text: it is in its name, its title and all that it says."""
    made = [
        ingestible(f"{number:03} {name}", text, collection=SHELF, context=text)
        for number, (name, text) in enumerate(zip(map(as_file, ATTACK_TEXTS), ATTACK_TEXTS, strict=True))
    ]
    return [
        replace(each, document=replace(each.document, title=text))
        for each, text in zip(made, ATTACK_TEXTS, strict=True)
    ]


def answered(text: str, of: Ingestible) -> Answer:
    """Return an answer that says the text, with a citation of its document."""
    chunk, path = of.chunks[0], of.document.source.path
    hit = Hit(chunk=chunk, source=path, title=text, collection=SHELF, media_type="text/plain", score=1.0)
    cited = Citation(
        number=1, chunk_id=chunk.id, source=path, collection=SHELF, locator=chunk.locator, quote=chunk.text
    )
    said = f"{text}\n{text}"
    return Answer(
        question=text,
        text=said,
        citations=(cited,),
        sentences=(
            Sentence(start=0, end=len(text), citations=(1,)),
            Sentence(start=len(text) + 1, end=len(said)),
        ),
        hits=(hit,),
        model=text,
    )


@dataclass(frozen=True, slots=True)
class House:
    """A server whose every record holds attack texts, and the administrator who looks at them."""

    address: str
    folder: Path
    person: Person
    token: str
    conversation: str
    person_ids: Sequence[str]
    trial_ids: Sequence[str]
    own: OwnKnowledgeBase

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.address, cookies={SESSION_COOKIE: self.token}, timeout=60)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data, made = tmp_path_factory.mktemp("data"), documents()
    settings = small_settings(data).model_copy(
        update={"answer": AnswerSettings(refuse_below=0.0, max_question_chars=100_000)}
    )
    folder = _files(tmp_path_factory.mktemp("files"))
    with open_writer(data) as writer:
        writer.put(made, collection=SHELF)
        writer.note_failures(
            [StoredFailure(path=name, location="", code="document", error=f"{name}: {name}", at=1.0) for name in NAMES],
            collection=SHELF,
        )
    with Echo(SmallServices(settings)) as kb, People.open(data) as people:
        person = add(people, "Root", "admin")
        own = OwnKnowledgeBase(kb, people, person)
        with people.writing():
            conversation = _asked(people, person, made)
            person_ids = [add(people, label).id for label in LABELS]
            _named(people, person, own)
            trial_ids = _trials(own)
            token = Sessions(people, ServeSettings()).create(person.id, user_agent="Chromium")
        _evaluated(kb, data)
        with served(kb, people) as address:
            yield House(address, folder, person, token, conversation, person_ids, trial_ids, own)


def _files(folder: Path) -> Path:
    """Write files that are named by every third text and hold it; some of them cannot be read."""
    for number, name in enumerate(NAMES[::3]):
        ending = ".pdf" if number % 10 == 0 else ".html" if number % 10 == 1 else ".md"
        (folder / f"{name}{ending}").write_bytes(f"# {name}\n\n{name}\n".encode())
    return folder


def _asked(people: People, person: Person, made: Sequence[Ingestible]) -> str:
    """Keep a conversation in which every text was asked and answered, and one more named by each, rated with it."""
    history, ratings, conversation = History(people, person), Ratings(people, person), ""
    for number, (text, of) in enumerate(zip(ATTACK_TEXTS, made, strict=True)):
        for named in (conversation, ""):
            turn = history.begin(text, conversation=named)
            conversation = conversation or turn.conversation
            history.finish(turn.id, answered(text, of))
            if not named or number == RATED:
                ratings.give(turn.id, "down", reason="wrong", corrected=text)
    history.stop(history.begin("half").id, text=WHOLE)
    return conversation


def _named(people: People, person: Person, own: OwnKnowledgeBase) -> None:
    """Name collections, groups, sessions and entries of the log by every text."""
    groups, sessions, audit = Groups(people), Sessions(people, ServeSettings()), Audit(people)
    for label in LABELS:
        own.create_collection(label)
        groups.add(label)
    for text in ATTACK_TEXTS:
        sessions.create(person.id, user_agent=text, address=text)
        audit.note("document_deleted", person=person, target=text, address="127.0.0.1")


def _trials(own: OwnKnowledgeBase) -> list[str]:
    """Make trials whose questions and answers are the texts, some to a trial."""
    trials, ids = Trials(own.access), []
    for text in TRIALS:
        sides = [Side(changes=(text,), settings=(side, text)) for side in ("1", "2")]
        trial = trials.create(text.partition("\n")[0], [text], first=sides[0], second=sides[1], scope=[SHELF])
        for side in ("first", "second"):
            trials.keep(trial.id, 0, side, Answer(question=text, text=text, sentences=_lines(text)))  # type: ignore[arg-type]
        ids.append(trial.id)
    return ids


def _evaluated(kb: KnowledgeBase, data: Path) -> None:
    """Run an evaluation whose cases are the texts."""
    background = Background()
    cases = [
        Case(id=text, question=text, answers=(text,), sources=((text, None),), kind=text, set_name=text)
        for text in ATTACK_TEXTS[::12]
    ]
    Evaluations(data, background, Admission()).start(kb, cases, names=ATTACK_TEXTS[:9], collections=(SHELF,))
    chore = background.newest("evaluation")
    assert chore is not None
    assert list(chore.live.watch())[-1].stage == "finished"
    background.close()


class Watch:
    """Sees what pages do that they should not."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context, self.address = context, address
        self.found: list[str] = []
        self.visited: set[str] = set()
        context.on("page", self._on_page)
        context.on("request", self._on_request)
        context.on("console", self._on_console)

    def go(self, page: Page, path: str) -> None:
        """Open an address of the app."""
        self.visited.add(f"{self.address}{path}")
        page.goto(f"{self.address}{path}")

    def look(self, page: Page) -> list[str]:
        """Return what was found since the last look, and what stands in the page that nobody of ours put there."""
        found, self.found = [*self.found, *page.evaluate(LOOK, OWN_ADDRESSES.pattern)], []
        return found

    def _on_page(self, page: Page) -> None:
        page.on("dialog", lambda dialog: (self.found.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("download", lambda download: self.found.append(f"download {download.url}"))
        page.on("pageerror", lambda error: self.found.append(f"error {error}"))

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("data", "blob"):
            return
        elsewhere = f"{parts.scheme}://{parts.netloc}" != self.address
        by_name = request.resource_type in NAMED_BY_OTHERS and OWN_ADDRESSES.match(parts.path)
        if elsewhere or (CANARY.search(parts.path) and not by_name and request.url not in self.visited):
            self.found.append(f"{request.resource_type} {request.url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if re.search("Content Security Policy|Refused to|Uncaught", message.text) and not LEAVING.search(message.text):
            self.found.append(f"console {message.text}")


@pytest.fixture(scope="module")
def browser(chromium_path: str | None) -> Iterator[Browser]:
    """A Chromium that finds no other address."""
    with chromium(chromium_path, "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1") as launched:
        expect.set_options(timeout=PATIENCE_MS)
        yield launched
        expect.set_options(timeout=5_000)  # Playwright's own


@pytest.fixture
def watch(browser: Browser, house: House) -> Iterator[Watch]:
    """A browser in which the administrator is signed in; nothing may be found in it at the end."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    sign_in(context, house.token, house.address)
    context.set_default_timeout(PATIENCE_MS)
    watching = Watch(context, house.address)
    yield watching
    context.close()
    assert watching.found == []


@pytest.fixture
def page(watch: Watch) -> Page:
    return watch.context.new_page()


def test_the_watch_sees_what_texts_do_that_are_taken_for_markup(browser: Browser, house: House) -> None:
    context = browser.new_context()
    watch = Watch(context, house.address)
    page = context.new_page()
    harmful = [text for text in ATTACK_TEXTS if re.match("<(?:img|svg|body|input|video|details|p|iframe)", text)]
    body = "".join(f"<div>{text}</div>" for text in harmful)
    page.route("**/raw", lambda route: route.fulfill(body=body.encode("utf-8", "replace"), content_type="text/html"))
    page.goto(f"{house.address}/raw", wait_until="domcontentloaded")
    page.wait_for_function("() => window.__ran !== undefined")
    page.wait_for_timeout(300)
    found = "\n".join(watch.look(page))
    context.close()
    assert re.search("^ran ", found, re.MULTILINE)
    assert f"image {house.address}/canary-" in found
    assert "image http://canary.invalid/" in found
    assert "onerror=" in found
    assert "<iframe" in found


def test_questions_answers_and_sources_at_rest(house: House, watch: Watch, page: Page) -> None:
    watch.go(page, f"/en/?c={house.conversation}")
    expect(page.locator(".turn")).to_have_count(len(ATTACK_TEXTS), timeout=PATIENCE_MS)
    assert watch.look(page) == []
    for part in (".asked", ".answer", ".card-quote"):
        shown = page.locator(part).all_inner_texts()
        assert len(shown) == len(ATTACK_TEXTS)
        assert [text for text, said in zip(ATTACK_TEXTS, shown, strict=True) if unseen(said, [text])] == []
    sources = page.evaluate(OPEN_EVERY_SOURCE)
    assert len(sources) == len(ATTACK_TEXTS)
    assert [text for text, said in zip(ATTACK_TEXTS, sources, strict=True) if unseen(said, [text])] == []
    assert watch.look(page) == []
    # A thumb's form comes as HTML beside what was written into it.
    page.locator(".turn").nth(RATED).get_by_role("button", name="Say more").click()
    expect(page.get_by_label("What would be right?")).to_have_value(ATTACK_TEXTS[RATED])
    page.locator(".turn").nth(6).get_by_role("button", name="Edit the question").click()
    expect(page.locator(".edit-form textarea")).to_have_value(ATTACK_TEXTS[6])
    assert watch.look(page) == []


def test_an_answer_while_it_is_written_and_the_question_that_was_typed(watch: Watch, page: Page) -> None:
    typed = "".join(c for c in WHOLE if not "\ud800" <= c <= "\udfff")
    watch.go(page, "/en/")
    expect(page.locator(".welcome")).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_function(STREAM_ENDED)
    page.locator("#question textarea").fill(typed)
    page.keyboard.press("Enter")
    written = page.locator(".turn[aria-busy] .answer")
    expect(written).to_be_visible(timeout=PATIENCE_MS)
    whole, halves = plain(typed), set()
    while page.locator(".turn[aria-busy]").count():
        halves.add(plain(page.evaluate("document.querySelector('.turn[aria-busy] .answer')?.innerText ?? ''")))
        assert watch.look(page) == []
    assert len(halves) > 5
    assert all(whole.startswith(half) for half in halves)
    expect(page.locator(".foot")).to_have_count(1, timeout=PATIENCE_MS)
    assert unseen(page.locator(".asked").inner_text(), [typed]) == []
    assert unseen(page.locator(".answer").inner_text(), WHOLE.splitlines()) == []
    assert watch.look(page) == []


def test_the_history_panel_its_search_and_a_half_answer(watch: Watch, page: Page) -> None:
    watch.go(page, "/en/")
    items = page.locator("#history-pane li")
    expect(items.first).to_be_visible(timeout=PATIENCE_MS)
    while (more := page.locator(".history-after")).count():
        n_before = items.count()
        more.click()
        page.wait_for_function("n => document.querySelectorAll('#history-pane li').length > n", arg=n_before)
    assert unseen(page.locator("#history-pane").inner_text(), ATTACK_TEXTS) == []
    assert watch.look(page) == []
    page.locator("#history-search").fill("canary")
    expect(page.locator("#history-pane mark").first).to_be_visible()
    assert watch.look(page) == []
    page.locator("#history-search").fill("half")
    page.locator("#history-pane [data-go]", has_text=re.compile("^half$")).click()
    expect(page.locator(".turn .note")).to_contain_text("Stopped")
    assert unseen(page.locator(".answer").inner_text(), ATTACK_TEXTS) == []
    page.locator(".history-more").first.click()
    page.get_by_role("menuitem", name="Delete").click()
    expect(page.locator("#confirm")).to_be_visible()
    assert watch.look(page) == []


def test_the_documents_tab_its_jobs_and_what_it_tells_in_passing(house: House, watch: Watch, page: Page) -> None:
    watch.go(page, "/en/")
    go_to(page, "documents")
    expect(page.locator("#listing .list")).to_be_visible(timeout=PATIENCE_MS)
    names = [file_name(f"{number:03} {as_file(text)}") for number, text in enumerate(ATTACK_TEXTS)]
    assert len(set(names) & set(page.locator("#listing th > span").all_inner_texts())) > 100
    page.locator("#in-collection input").click()
    expect(page.get_by_role("option").first).to_be_visible()
    assert watch.look(page) == []
    page.keyboard.press("Escape")

    page.locator("#into input").fill("<img src=canary-0>")
    page.locator("#into input").press("Enter")
    page.locator("#folder input").fill(str(house.folder))
    page.get_by_role("button", name="Read folder").click()
    expect(page.locator(".job[data-stage=finished]")).to_be_visible(timeout=PATIENCE_MS)
    shown = page.locator(".job").inner_text()
    assert unseen(shown, [printable(path.name, limit=100) for path in house.folder.iterdir()]) == []
    assert page.locator(".report .is-failed").count() >= len(NAMES) // 30
    assert watch.look(page) == []
    page.locator("#upload input[type=file]").set_input_files(sorted(house.folder.iterdir())[:30])
    page.wait_for_function("() => document.querySelectorAll('.report tr').length === 30")
    expect(page.locator(".job[data-stage=finished]")).to_be_visible(timeout=PATIENCE_MS)
    assert watch.look(page) == []

    for words in ("<img src=canary-", "<button data-ask=", "<a href=javascript"):
        page.locator("#filter input").fill("")
        page.locator("#filter input").press_sequentially(words)
        page.wait_for_function(ONLY_THESE, arg=words)
        row = page.locator("#listing tbody tr").first
        name = row.locator("th > span").inner_text()
        row.locator("[data-delete]").click()
        expect(page.locator("#confirm-sure")).to_contain_text(name)
        page.locator("#confirm").get_by_role("button", name="Delete").click()
        expect(page.get_by_test_id("toast-body").filter(has_text=name[:40])).to_be_visible()
        assert watch.look(page) == []


def test_every_page_of_administration_and_quality(house: House, watch: Watch, page: Page) -> None:
    shelf = f"/collections/{SHELF}"
    sources = house.own.documents(collection=SHELF)  # but for those that another test deleted
    assert len(sources) > len(ATTACK_TEXTS) - 9
    seen = {
        "/collections/": LABELS,
        shelf: [file_name(source.path) for source in sources],
        f"{shelf}?failed": NAMES,
        f"{shelf}/sharing": LABELS,
        "/admin/people": LABELS,
        "/admin/groups": LABELS,
        "/admin/audit": ATTACK_TEXTS,
        "/admin/feedback": ATTACK_TEXTS,
        "/admin/trials": [text.partition("\n")[0] for text in TRIALS],
        "/trials": [text.partition("\n")[0] for text in TRIALS],
        "/admin/evaluation": [],
        "/admin/evaluation/1": [],
        "/admin/usage": [],
        "/admin/storage": [],
        "/admin/models": [],
        "/admin/settings": [],
        "/admin/folders": [],
        "/account": [],
    }
    for path, texts in seen.items():
        shown = "\n".join(_whole_list(watch, page, path))
        assert unseen(shown, texts) == [], path
    for source in sources[::20]:
        shown = _shown(watch, page, f"{shelf}/documents/{source.source_id}")
        assert unseen(shown, [file_name(source.path), ATTACK_TEXTS[int(source.path[:3])]]) == []
    for trial_id, text in zip(house.trial_ids, TRIALS, strict=True):
        _shown(watch, page, f"/admin/trials/{trial_id}")
        assert unseen(_shown(watch, page, f"/trials/{trial_id}"), text.splitlines()) == []
    for person_id in house.person_ids[::40]:
        _shown(watch, page, f"/admin/people/{person_id}")


def _whole_list(watch: Watch, page: Page, path: str) -> Iterator[str]:
    """Yield what the pages of a list show, one after another."""
    been = [path]
    yield _shown(watch, page, path)
    while (after := page.locator("a[rel=next]")).count():
        been.append(urljoin(page.url, after.get_attribute("href")).removeprefix(watch.address))
        assert len(been) == len(set(been)), been
        yield _shown(watch, page, been[-1])


def _shown(watch: Watch, page: Page, path: str) -> str:
    watch.go(page, path)
    assert watch.look(page) == [], path
    return page.inner_text("body")


def test_addresses_that_are_not_there(house: House, watch: Watch, page: Page) -> None:
    whole = quote(WHOLE.encode("utf-8", "replace"), safe="")[:12_000]
    for path in (
        f"/en/?c={whole}",
        f"/collections/{whole}",
        f"/collections/{SHELF}?find={whole}",
        f"/admin/people/{whole}",
        f"/admin/people?find={whole}",
        f"/admin/trials/{whole}",
        f"/admin/feedback?state={whole}&after={whole}",
        f"/trials/{whole}",
        f"/account?lang={whole}",
        f"/api/passages/{whole}/1",
        f"/api/conversations?q={whole[:100]}",
        f"/api/pages/{whole}/1.png",
        f"/api/sources/{whole}/original",
        f"/join/{whole}",
        f"/sign-in?next={whole}",
        f"/{whole}",
    ):
        _shown(watch, page, path)
    with house.client() as client:
        for text in ATTACK_TEXTS[::4]:
            file = client.get(f"/en/gradio_api/file={quote(text.encode('utf-8', 'replace'), safe='')}")
            assert file.status_code in (400, 404)


def _fulfil(body: str, route: Route) -> None:
    route.fulfill(body=body.encode(), content_type="text/html; charset=utf-8")


def test_what_is_taken_away_and_shown_as_a_page(house: House, watch: Watch, page: Page, tmp_path: Path) -> None:
    with house.client() as client:
        exported = client.get(f"/api/conversations/{house.conversation}.md")
        assert "attachment" in exported.headers["content-disposition"]
        assert len(json.loads(client.get(f"/api/conversations/{house.conversation}.json").text)["turns"]) == len(
            ATTACK_TEXTS
        )
    cases = [Case(id=text, question=text, answers=(text,), set_name=text, kind=text) for text in ATTACK_TEXTS[::5]]
    outcomes = [outcome(case, Answer(question=case.question, text=case.question), lambda _: "") for case in cases]
    report = write_report(tmp_path, dict.fromkeys(ATTACK_TEXTS[:2], outcomes))
    readers = {
        "conversation.md": MarkdownIt("gfm-like", {"linkify": False}).enable("html_block").render(exported.text),
        "report.html": report.read_text("utf-8"),
        "report.md": MarkdownIt("commonmark").render((tmp_path / "report.md").read_text("utf-8")),
    }
    for name, body in readers.items():
        page.route(f"**/{name}", partial(_fulfil, body))
        shown = _shown(watch, page, f"/{name}")
        if name == "conversation.md":
            assert unseen(shown, ATTACK_TEXTS) == []


def test_what_is_said_in_passing_goes_through_the_one_door_that_escapes_it() -> None:
    parts = ROOT / "app" / "ui" / "parts.py"
    says = re.compile(r"gr\.(?:Info|Warning|Error)\(")
    assert [path for path in (ROOT / "app").rglob("*.py") if says.search(path.read_text("utf-8"))] == [parts]


def test_files_that_are_attached_to_a_conversation(watch: Watch, page: Page, tmp_path: Path) -> None:
    names = [f"{name}.md" for name in NAMES[:: len(NAMES) // (MAX_ATTACHMENTS - 2)]][: MAX_ATTACHMENTS - 1]
    for name in names:
        (tmp_path / name).write_text(name, "utf-8")
    (tmp_path / "<img src=canary-0>.pdf").write_bytes(b"%PDF-1.7 broken")
    watch.go(page, "/en/")
    expect(page.locator(".welcome")).to_be_visible(timeout=PATIENCE_MS)
    page.wait_for_function(STREAM_ENDED)
    page.locator("#attach-input").set_input_files(sorted(tmp_path.iterdir()))
    page.wait_for_function(READ, arg=len(names) + 1)
    expect(page.locator(".attachment[data-state=failed]").filter(has_text="_img src=canary-0_")).to_have_count(1)
    shown = page.locator("#attachments").inner_text()
    assert [name for name in names if plain(safe_name(name))[:12] not in plain(shown)] == []
    assert watch.look(page) == []
    page.locator(".attachment button").first.click()
    expect(page.locator(".attachment")).to_have_count(len(names))
    assert watch.look(page) == []
