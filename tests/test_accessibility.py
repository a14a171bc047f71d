"""Every page by axe, at two widths and in both themes, and what the keyboard reaches of the pages used most."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from app.people.records import Person
from app.web.administration.routes import DESKS
from benchmarks.serving import served, sign_in
from tests.furnished_house import COLLECTION, House, furnished_house
from tests.small_app import small_house

# A real browser on a machine that does other things now and then misses an event; a fault of ours fails every time.
pytestmark = [pytest.mark.browser, pytest.mark.flaky(reruns=2)]

PATIENCE_MS = 30_000
WIDE, NARROW = ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844)
GRAVE = ("critical", "serious", "moderate")
# With another theme nothing but colours changes, so nothing else is looked at again.
RULES: dict[Literal["light", "dark"], dict[str, Any]] = {
    "light": {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}},
    "dark": {"resultTypes": ["violations"], "runOnly": ["color-contrast"]},
}


@dataclass(frozen=True)
class Place:
    """A page: who looks at it, where it is, and what is done there before it is looked at."""

    path: str
    who: str = "root"
    language: str = "en"
    ready: str = "main"
    steps: tuple[str, ...] = field(default=())


ANSWER = ".turn:nth-child(3) .foot"
PLACES: dict[str, Place] = {
    "sign-in": Place("/sign-in", who=""),
    "sign-in-refused": Place("/sign-in", who="", steps=("sign in wrongly",)),
    "sign-in-too-often": Place("/sign-in", who="", language="zh", steps=("guess until one has to wait",)),
    "join": Place("{join}", who=""),
    "reset": Place("{reset}", who="", language="zh"),
    "invitation-spent": Place("/join/" + "x" * 43, who=""),
    "account": Place("/account", steps=("open the account menu",)),
    "account-wrong": Place("/account", language="zh", steps=("give a wrong password",)),
    "chat": Place("/en/", who="bob", ready=".welcome"),
    "chat-menus": Place("/zh/", language="zh", ready=".history-list li", steps=("open the menus",)),
    "answers": Place("/en/?c={conversation}", ready=ANSWER),
    "answer-source": Place("/en/?c={conversation}", ready=ANSWER, steps=("open a source",)),
    "answer-forms": Place("/zh/?c={conversation}", language="zh", ready=ANSWER, steps=("rate and edit",)),
    "documents": Place("/en/#documents", ready="#listing .list"),
    "documents-reader": Place("/zh/#documents", who="bob", language="zh", ready="#listing .list"),
    "documents-dialog": Place("/en/#documents", ready="#listing .list", steps=("ask before a delete",)),
    "collections": Place("/collections/"),
    "collection": Place("/collections/{collection}"),
    "collection-failures": Place("/collections/{collection}?failed"),
    "sharing": Place("/collections/{collection}/sharing"),
    "document": Place("/collections/{collection}/documents/{document}"),
    "people": Place("/admin/people"),
    "person": Place("/admin/people/{bob}"),
    "groups": Place("/admin/groups"),
    "storage": Place("/admin/storage"),
    "folders": Place("/admin/folders", language="zh"),
    "audit": Place("/admin/audit"),
    "settings": Place("/admin/settings"),
    "models": Place("/admin/models"),
    "usage": Place("/admin/usage?days=90"),
    "feedback": Place("/admin/feedback", steps=("open all details",)),
    "evaluations": Place("/admin/evaluation", steps=("open all details",)),
    "evaluation": Place("/admin/evaluation/2?against=1", language="zh", steps=("open all details",)),
    "trials": Place("/admin/trials", steps=("open all details",)),
    "trial-ended": Place("/admin/trials/{ended_trial}"),
    "trial-open": Place("/admin/trials/{open_trial}"),
    "to-rate": Place("/trials", who="ann"),
    "rating": Place("/trials/{open_trial}", who="ann", steps=("open all details",)),
    "nothing-here": Place("/admin/people", who="bob"),
    "nowhere": Place("/nowhere", language="zh"),
    "no-such-trial": Place("/trials/none", language="zh"),
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with furnished_house(tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("files")) as furnished:
        yield furnished


@pytest.fixture(scope="module")
def pages(browser: Browser, house: House) -> Iterator[dict[str, Page]]:
    """A page for each person, and one in which nobody is signed in."""
    persons: dict[str, Person | None] = {"root": house.root, "ann": house.ann, "bob": house.bob, "": None}
    opened = {name: _context(browser, house, person).new_page() for name, person in persons.items()}
    yield opened
    for page in opened.values():
        page.context.close()


def _context(browser: Browser, house: House, person: Person | None) -> BrowserContext:
    context = browser.new_context(viewport=WIDE, color_scheme="light", reduced_motion="reduce", locale="en-GB")
    context.set_default_timeout(PATIENCE_MS)
    if person:
        token = house.token(person)
        sign_in(context, token, house.address)
    return context


def visit(page: Page, house: House, place: Place) -> None:
    """Go to a page in its language and wait until it is whole."""
    page.set_viewport_size(WIDE)
    page.emulate_media(color_scheme="light")
    page.context.add_cookies([{"name": "citadel_language", "value": place.language, "url": house.address}])
    parts = {name: getattr(house, name) for name in ("conversation", "document", "ended_trial", "open_trial", "join")}
    named = {**parts, "reset": house.reset, "bob": house.bob.id, "collection": COLLECTION}
    page.goto("about:blank")  # so that an address with another mark is another page
    page.goto(house.address + place.path.format(**named))
    expect(page.locator(place.ready).first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".top")).to_be_visible(timeout=PATIENCE_MS)
    for step in place.steps:
        STEPS[step](page)


# --- what is done on a page before it is looked at --------------------------------------------------------------------


def _sign_in_wrongly(page: Page) -> None:
    page.locator("#in-name").fill("Nobody")
    page.locator("#in-password").fill("correct horse")
    page.locator("button.primary").click()
    expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE_MS)


def _guess_until_one_has_to_wait(page: Page) -> None:
    for _ in range(20):
        page.locator("#in-name").fill("Nobody")
        page.locator("#in-password").fill("correct horse")
        with page.expect_response("**/sign-in") as answered:
            page.locator("button.primary").click()
        expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE_MS)
        if answered.value.status == 429:
            return
    raise AssertionError("one may guess for ever")


def _give_a_wrong_password(page: Page) -> None:
    for name in ("old", "password", "again"):
        page.locator(f"#password-{name}").fill(f"no such word {name}")
    page.locator("form:has(#password-old) button").click()
    expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE_MS)


def _open_the_account_menu(page: Page) -> None:
    page.locator("[popovertarget='account-menu']").click()
    expect(page.locator("#account-menu")).to_be_visible(timeout=PATIENCE_MS)


def _open_the_menus(page: Page) -> None:
    page.locator(".history-more").first.click(force=True)
    expect(page.locator("#history-menu")).to_be_visible(timeout=PATIENCE_MS)


def _open_a_source(page: Page) -> None:
    page.locator(".chip").first.click()
    expect(page.locator("#source-pane img").first).to_be_visible(timeout=PATIENCE_MS)


def _rate_and_edit(page: Page) -> None:
    thumb = page.locator("[data-rate='down']").first
    if thumb.get_attribute("aria-pressed") == "true":  # by a look at the page before this one
        thumb.click()
        expect(page.locator("[data-rate='down'][aria-pressed='true']")).to_have_count(0)
    thumb.click()
    expect(page.locator(".rating-form")).to_be_visible(timeout=PATIENCE_MS)
    page.locator("[data-edit]").nth(1).click(force=True)
    expect(page.locator(".edit-form")).to_be_visible(timeout=PATIENCE_MS)


def _ask_before_a_delete(page: Page) -> None:
    page.locator("#listing [data-delete]").first.click()
    expect(page.locator("#confirm")).to_be_visible(timeout=PATIENCE_MS)


def _open_all_details(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")


STEPS: dict[str, Callable[[Page], None]] = {
    "sign in wrongly": _sign_in_wrongly,
    "guess until one has to wait": _guess_until_one_has_to_wait,
    "give a wrong password": _give_a_wrong_password,
    "open the account menu": _open_the_account_menu,
    "open the menus": _open_the_menus,
    "open a source": _open_a_source,
    "rate and edit": _rate_and_edit,
    "ask before a delete": _ask_before_a_delete,
    "open all details": _open_all_details,
}


# The page notices the theme by itself; what fades from one colour to the other is not waited for.
SETTLE = """async () => {
  for (let frame = 0; frame < 2; frame++) await new Promise(requestAnimationFrame);
  for (const each of document.getAnimations()) if (each instanceof CSSTransition) each.finish();
}"""


# --- axe --------------------------------------------------------------------------------------------------------------


def findings(page: Page, name: str) -> list[str]:
    """Return what axe finds on a page at both widths in both themes, one line for each place.

    The script goes in by the debugging protocol, which the pages' Content-Security-Policy does not bind.
    """
    page.evaluate(AXE_SCRIPT)
    found = []
    for size in (WIDE, NARROW):
        page.set_viewport_size(size)
        for theme, options in RULES.items():
            page.emulate_media(color_scheme=theme)
            page.evaluate(SETTLE)
            told = page.evaluate("(options) => axe.run(document, options)", options)
            found += [
                f"{name} at {size['width']} px, {theme}: {line}" for each in told["violations"] for line in _lines(each)
            ]
    return found


def _lines(violation: dict[str, Any]) -> Iterator[str]:
    for node in violation["nodes"]:
        selector = " ".join(str(part) for part in node["target"])
        if node["impact"] in GRAVE:
            yield f"{violation['id']} ({node['impact']}) at {selector}: {violation['help']}\n    {node['html'][:200]}"


@pytest.mark.parametrize("name", PLACES)
def test_axe_finds_nothing_on_any_page(pages: dict[str, Page], house: House, name: str) -> None:
    place = PLACES[name]
    page = pages[place.who]
    visit(page, house, place)
    assert findings(page, name) == []
    assert page.evaluate("document.scrollingElement.scrollWidth") <= NARROW["width"], "it scrolls sideways"


def test_axe_does_find_what_is_wrong(pages: dict[str, Page], house: House) -> None:
    page = pages[""]
    visit(page, house, PLACES["sign-in"])
    page.evaluate("document.querySelector('label[for=in-name]').remove()")
    page.evaluate("document.querySelector('.lead').style.color = 'color-mix(in srgb, currentColor 30%, transparent)'")
    told = "\n".join(findings(page, "sign-in"))
    assert "label (critical) at #in-name" in told
    assert "color-contrast (serious) at .lead" in told


def test_every_page_of_administration_is_among_those_that_are_looked_at() -> None:
    looked_at = {place.path.partition("?")[0] for place in PLACES.values()}
    names = {"{name}": "{collection}", "{source_id}": "{document}", "{person_id}": "{bob}"}
    for path, _ in DESKS:
        for parameter, value in names.items():
            path = path.replace(parameter, value)
        assert path in looked_at or path.endswith("/original"), f"{path} is not looked at"


def test_axe_finds_nothing_at_the_first_start(browser: Browser, tmp_path: Path) -> None:
    """The page that makes the administrator, as it is seen from this machine and from another."""
    with small_house(tmp_path) as (kb, people), served(kb, people) as address:
        context = browser.new_context(viewport=WIDE, color_scheme="light")
        page = context.new_page()
        page.goto(address)
        assert page.url == f"{address}/welcome"
        found = findings(page, "welcome")
        page.set_extra_http_headers({"X-Forwarded-For": "192.0.2.1"})
        page.goto(f"{address}/welcome")
        expect(page.locator("#in-code")).to_be_visible(timeout=PATIENCE_MS)
        found += findings(page, "welcome from another machine")
        context.close()
    assert found == []


# --- the keyboard -----------------------------------------------------------------------------------------------------

# Everything that one can use, of a group of radio buttons only one, gets a number.
NUMBER_STOPS = """() => {
  const usable = (each) => each.tabIndex >= 0 && !each.disabled && each.checkVisibility({ visibilityProperty: true });
  const groups = new Map();
  let n = 0;
  for (const each of document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")) {
    if (!usable(each)) continue;
    const group = each.type === "radio" ? each.name : "";
    if (!groups.has(group) || !group) groups.set(group, n++);
    each.dataset.stop = groups.get(group);
  }
  document.body.tabIndex = -1;
  document.body.focus(); // the next stop is the page's first
  document.body.removeAttribute("tabindex");
  return n;
}"""
# Where the focus is, how it is called, and whether it can be seen: a ring, on it or on the box that stands for it.
STOP = """() => {
  const at = document.activeElement;
  const ring = (each) => each && parseFloat(getComputedStyle(each).outlineWidth) >= 1
    && getComputedStyle(each).outlineStyle !== "none";
  const around = ["#asking", ".input-container", ".wrap"].map((each) => at.closest(each));
  const stands = [at, ...around, at.matches("input[type=radio]") && at.nextElementSibling];
  const box = at.getBoundingClientRect();
  const inView = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
  const named = at.getAttribute("aria-label") || at.innerText || at.id || at.className || at.tagName;
  return { stop: at.dataset.stop ?? "", named: String(named).trim().slice(0, 60), seen: inView && stands.some(ring) };
}"""


@dataclass(frozen=True)
class Walk:
    """What the Tab key led to, in order, and what it never reached."""

    named: list[str]
    unseen: list[str]
    unreached: list[str]


def walk(page: Page) -> Walk:
    """Press Tab until it has been around the page."""
    n_stops = page.evaluate(NUMBER_STOPS)
    stops: dict[str, dict[str, Any]] = {}
    for _ in range(n_stops + 10):
        page.keyboard.press("Tab")
        at = page.evaluate(STOP)
        if at["stop"] in stops:
            break
        if at["stop"]:
            stops[at["stop"]] = at
    missing = [f"[data-stop='{n}']" for n in range(n_stops) if str(n) not in stops]
    unreached = [page.locator(each).first.evaluate("(each) => each.outerHTML.slice(0, 160)") for each in missing]
    return Walk(
        [at["named"] for at in stops.values()], [at["named"] for at in stops.values() if not at["seen"]], unreached
    )


KEYBOARD = ("sign-in", "account", "answers", "answer-forms", "documents", "collection", "people", "feedback", "rating")


@pytest.mark.parametrize("name", KEYBOARD)
def test_the_tab_key_reaches_everything_and_shows_where_it_is(pages: dict[str, Page], house: House, name: str) -> None:
    place = PLACES[name]
    page = pages[place.who]
    visit(page, house, place)
    page.keyboard.press("Escape")
    walked = walk(page)
    assert walked.unreached == []
    assert walked.unseen == []
    assert walked.named[0] in ("Skip to the content", "跳到内容")


def test_the_chat_by_keyboard_alone(pages: dict[str, Page], house: House) -> None:
    page = pages["root"]
    visit(page, house, PLACES["answers"])
    page.evaluate(NUMBER_STOPS)
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused(timeout=PATIENCE_MS)
    page.keyboard.press("Enter")
    expect(page.locator("#question textarea")).to_be_focused(timeout=PATIENCE_MS)

    chip = page.locator(".chip").last
    _tab_to(page, ".chip", back=True)
    page.keyboard.press("Enter")
    pane = page.get_by_role("complementary", name="Source")
    expect(pane).to_be_focused(timeout=PATIENCE_MS)
    _tab_to(page, "#source-pane [data-close]")
    page.keyboard.press("Enter")
    expect(pane).to_be_hidden(timeout=PATIENCE_MS)
    expect(chip).to_be_focused(timeout=PATIENCE_MS)

    _tab_to(page, "[popovertarget='account-menu']", back=True)
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Your account")).to_be_focused(timeout=PATIENCE_MS)
    page.keyboard.press("Escape")
    expect(page.locator("#account-menu")).to_be_hidden(timeout=PATIENCE_MS)
    expect(page.locator("[popovertarget='account-menu']")).to_be_focused(timeout=PATIENCE_MS)

    _tab_to(page, "[data-section='documents']", back=True)
    page.keyboard.press("Enter")
    expect(page.locator("#listing .list")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("[data-section='documents']")).to_have_attribute("aria-current", "page", timeout=PATIENCE_MS)
    page.go_back()
    expect(page.locator(".turn").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("[data-section='chat']")).to_have_attribute("aria-current", "page", timeout=PATIENCE_MS)


def _tab_to(page: Page, selector: str, *, back: bool = False) -> None:
    for _ in range(120):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the Tab key does not lead to {selector}")


# --- the header -------------------------------------------------------------------------------------------------------

SECTIONS = {
    "root": ["Chat", "Documents", "Collections", "To rate, 1", "Administration"],
    "ann": ["Chat", "Documents", "Collections", "To rate, 1"],
    "bob": ["Chat", "Documents", "Collections"],
}


@pytest.mark.parametrize("who", SECTIONS)
def test_every_page_has_the_same_header_for_a_person(pages: dict[str, Page], house: House, who: str) -> None:
    page = pages[who]
    for path in ("/en/", "/collections/", "/account", "/en/#documents"):
        visit(page, house, Place(path, who=who))
        assert (
            page.locator(".bar a").evaluate_all("(all) => all.map((each) => each.textContent.trim())") == SECTIONS[who]
        )
        assert page.locator(".bar [aria-current]").count() == (path != "/account")
    page.set_viewport_size(NARROW)
    expect(page.locator(".bar")).to_be_hidden(timeout=PATIENCE_MS)
    page.locator(".where").click()
    page.locator(".bar").get_by_text("Collections").click()
    expect(page.locator("h1")).to_have_text("Collections", timeout=PATIENCE_MS)
    expect(page.locator(".where")).to_contain_text("Collections")


def test_signing_out_is_in_the_header_of_the_chat(browser: Browser, house: House) -> None:
    context = _context(browser, house, house.bob)
    page = context.new_page()
    visit(page, house, PLACES["chat"])
    page.locator("[popovertarget='account-menu']").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#in-password")).to_be_visible(timeout=PATIENCE_MS)
    page.goto(f"{house.address}/en/")
    expect(page.locator("#in-password")).to_be_visible(timeout=PATIENCE_MS)
    context.close()
