/* What the chat and the documents do by themselves: their header, language and theme, names for what Gradio leaves
   unnamed, the newest text in view, and asking before a delete. */
(() => {
  "use strict";
  const texts = window.citadelTexts;
  const root = document.documentElement;
  const AGAIN_MS = 2000, SOON_MS = 150;
  root.lang = texts.language;

  // --- a session that has ended leads to where one signs in, and back here -------------------------------------------
  let leaving = false; // whoever signs out does not want to come back to this page, nor would the next one
  document.addEventListener("submit", (event) => {
    leaving ||= "leaves" in event.target.dataset;
  });
  const fetched = window.fetch.bind(window);
  window.fetch = async (...asked) => {
    const answered = await fetched(...asked);
    if (answered.status === 401 && !leaving) {
      const here = location.pathname + location.search + location.hash;
      location.assign(`/sign-in?next=${encodeURIComponent(here)}`);
    }
    return answered;
  };

  // --- the theme, as Gradio's own parts need it ---------------------------------------------------------------------
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  function applyTheme() {
    const isDark = root.style.colorScheme ? root.style.colorScheme === "dark" : system.matches;
    if (document.body.classList.contains("dark") !== isDark) document.body.classList.toggle("dark", isDark);
  }
  system.addEventListener("change", applyTheme);
  document.addEventListener("citadel-theme", applyTheme);

  // --- the header, which knows the person ---------------------------------------------------------------------------
  async function addHeader() {
    let html;
    try {
      const answered = await fetch(`/header?lang=${texts.language.slice(0, 2)}`);
      if (answered.status >= 500) throw new Error(String(answered.status));
      html = answered.ok ? await answered.text() : "";
    } catch {
      setTimeout(addHeader, AGAIN_MS); // that the server is away is said elsewhere
      return;
    }
    document.body.insertAdjacentHTML("afterbegin", html); // made by this server, the person's name escaped
    for (const button of document.querySelectorAll(".top [data-theme]")) button.hidden = false;
    showSection();
  }
  addHeader();

  // --- the chat and the documents: two sections of one page, each with an address -------------------------------------
  const DOCUMENTS = "#documents";
  const tabOf = (section) => document.getElementById(`tab-${section}-button`);
  const wanted = () => (location.hash === DOCUMENTS ? "documents" : "chat");
  const shown = () => (tabOf("documents")?.getAttribute("aria-selected") === "true" ? "documents" : "chat");

  function turnTo(section) {
    if (wanted() !== section) {
      const address = new URL(location);
      address.hash = section === "documents" ? DOCUMENTS : "";
      history.pushState(null, "", address);
    }
    show();
  }

  function show() {
    citadel.closeSource?.();
    press();
  }

  /* A tab takes no click before Gradio has bound it, so it is clicked until it is shown. */
  let pressing = 0;
  function press() {
    clearTimeout(pressing);
    if (shown() === wanted()) return;
    tabOf(wanted())?.click();
    pressing = setTimeout(press, SOON_MS);
  }
  window.addEventListener("popstate", show);
  window.addEventListener("hashchange", show);
  press();

  function showSection() {
    const section = shown();
    for (const link of document.querySelectorAll(".top [data-section='chat'], .top [data-section='documents']")) {
      if (link.dataset.section !== section) link.removeAttribute("aria-current");
      else if (!link.hasAttribute("aria-current")) {
        link.setAttribute("aria-current", "page");
        document.querySelector(".where span").textContent = link.textContent;
      }
    }
  }

  function skip() {
    const question = document.querySelector("#question textarea");
    if (shown() === "chat" && question) question.focus();
    else document.querySelector("#tab-documents h1").focus();
  }

  // --- asking before a delete ----------------------------------------------------------------------------------------
  function confirm(question, { more, yes } = {}) {
    const dialog = document.getElementById("confirm");
    const [said, button] = [document.getElementById("confirm-more"), dialog.querySelector("[value='yes']")];
    document.getElementById("confirm-sure").textContent = question;
    said.textContent = more ?? said.dataset.usual;
    button.textContent = yes ?? button.dataset.usual;
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    });
  }

  function notice(words) {
    document.getElementById("notice")?.remove();
    const said = document.createElement("p");
    said.id = "notice";
    said.setAttribute("role", "alert");
    said.textContent = words;
    document.body.append(said);
    setTimeout(() => said.remove(), 5000);
  }
  // What the other scripts and the server's parts of the page use; `tendings` are called when the page has changed.
  // Gradio runs the scripts of a page in no certain order.
  const citadel = Object.assign((window.citadel ??= {}), { confirm, notice, turnTo });
  citadel.tendings ??= [];

  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest(selector);
    const isPlain = !(event.ctrlKey || event.metaKey || event.shiftKey);
    let hit;
    if ((hit = at("[data-section='chat'], [data-section='documents']")) && isPlain) {
      event.preventDefault();
      hit.closest("[popover]")?.hidePopover();
      turnTo(hit.dataset.section);
    } else if (at(".skip")) {
      event.preventDefault();
      skip();
    } else if ((hit = at("[data-language]"))) {
      document.cookie = `citadel_language=${hit.dataset.language}; Path=/; Max-Age=31536000; SameSite=Lax`;
      [hit.search, hit.hash] = [location.search, location.hash]; // the same conversation
    }
  });

  // --- names for what Gradio leaves unnamed, and the newest text in view ---------------------------------------------
  function label(selector, name) {
    const element = document.querySelector(selector);
    if (element && element.getAttribute("aria-label") !== name) element.setAttribute("aria-label", name);
  }

  let pinned = true;
  function follow(scroller) {
    if (scroller.dataset.followed) return;
    scroller.dataset.followed = "yes";
    scroller.addEventListener("scroll", () => {
      pinned = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 80;
    });
  }
  let focused = false;
  function focusQuestion() {
    const question = document.querySelector("#question textarea");
    if (focused || !question) return;
    focused = true;
    if (window.matchMedia("(pointer: fine)").matches) question.focus(); // a phone would cover the page with its keyboard
  }

  function tend() {
    const main = document.querySelector(".gradio-container main");
    if (main && !main.id) main.id = "main"; // where the skip link leads
    applyTheme();
    showSection();
    focusQuestion();
    label("#question .submit-button", texts.send);
    label("#question .stop-button", texts.stop);
    const scope = document.querySelector("#scope input");
    if (scope) {
      const some = document.querySelector("#scope .token");
      scope.placeholder = some ? "" : texts.scope;
      scope.size = some ? 4 : Math.max(12, texts.scope.length);
    }
    const log = document.getElementById("chat-scroll");
    if (log && !log.getAttribute("role")) {
      log.setAttribute("role", "log");
      log.setAttribute("aria-label", texts.log);
      log.tabIndex = 0;
    }
    if (log) {
      follow(log);
      const n = log.querySelectorAll(".turn").length;
      if (n !== Number(log.dataset.turns || 0)) pinned = true;
      log.dataset.turns = n;
      if (pinned && n) log.scrollTop = log.scrollHeight;
    }
    for (const tending of citadel.tendings) tending();
  }

  let due = false;
  new MutationObserver(() => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      tend();
    });
  }).observe(root, { childList: true, subtree: true, attributes: true, attributeFilter: ["class"] });
})();
