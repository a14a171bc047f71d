/* What the pages do by themselves: language and theme, opening citations, copying, scrolling, asking before a delete. */
(() => {
  "use strict";
  const texts = window.citadelTexts;
  const root = document.documentElement;
  root.lang = texts.language;

  // --- theme: the system's, until one is chosen ------------------------------------------------------------------
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const wantsDark = () => {
    const chosen = localStorage.getItem("citadel-theme");
    return chosen ? chosen === "dark" : system.matches;
  };
  const applyTheme = () => {
    if (document.body && document.body.classList.contains("dark") !== wantsDark()) {
      document.body.classList.toggle("dark", wantsDark());
    }
    root.style.colorScheme = wantsDark() ? "dark" : "light";
  };
  system.addEventListener("change", applyTheme);

  // --- the source pane ---------------------------------------------------------------------------------------------
  const pane = () => document.getElementById("source-pane");
  let opened = { addresses: [], index: 0, from: null };
  let asked = 0;

  function openSource(button) {
    const turn = button.closest(".turn");
    const cards = [...turn.querySelectorAll(".card[data-open]")].map((card) => card.dataset.open);
    const addresses = cards.length ? cards : [button.dataset.open];
    opened = { addresses, index: Math.max(0, addresses.indexOf(button.dataset.open)), from: button };
    document.getElementById("chat").classList.add("beside-source");
    pane().hidden = false;
    showSource();
    pane().focus({ preventScroll: true });
  }

  async function showSource() {
    const { addresses, index } = opened;
    const address = addresses[index];
    const body = pane().querySelector(".pane-body");
    pane().querySelector(".pane-count").textContent = addresses.length > 1 ? `${index + 1} / ${addresses.length}` : "";
    for (const button of pane().querySelectorAll("[data-step]")) button.hidden = addresses.length < 2;
    pane().querySelector('[data-step="-1"]').disabled = index === 0;
    pane().querySelector('[data-step="1"]').disabled = index === addresses.length - 1;
    for (const marked of document.querySelectorAll("[data-open].is-open")) marked.classList.remove("is-open");
    for (const button of document.querySelectorAll(`[data-open="${CSS.escape(address)}"]`)) button.classList.add("is-open");
    const mine = ++asked;
    body.setAttribute("aria-busy", "true");
    let html;
    try {
      const path = address.split("/").map(encodeURIComponent).join("/");
      const answered = await fetch(`/api/passages/${path}?lang=${texts.language.slice(0, 2)}`);
      html = await answered.text();
    } catch {
      html = null;
    }
    if (mine !== asked) return;
    body.removeAttribute("aria-busy");
    if (html === null) {
      body.textContent = pane().dataset.unreachable;
      return;
    }
    body.innerHTML = html; // made by this server, every text of a document escaped
    body.scrollTop = 0;
    const mark = body.querySelector("mark, tr.marked");
    if (mark) body.scrollTop = mark.offsetTop - body.clientHeight / 3;
    for (const picture of body.querySelectorAll("img")) watchPicture(picture, body);
  }

  function watchPicture(picture, body) {
    picture.addEventListener("error", () => {
      const said = document.createElement("p");
      said.className = "pane-message";
      said.textContent = picture.dataset.failed;
      picture.parentElement.replaceWith(said);
    });
    picture.addEventListener("load", () => {
      const page = picture.parentElement;
      const mark = page.offsetTop + Number(page.dataset.top) * page.clientHeight;
      const hidden = mark > body.clientHeight * 0.85;
      if (hidden && page === body.querySelector(".page")) body.scrollTop = mark - body.clientHeight / 3;
    });
  }

  function step(by) {
    const index = opened.index + by;
    if (index < 0 || index >= opened.addresses.length) return;
    opened.index = index;
    showSource();
  }

  function closeSource() {
    if (!pane() || pane().hidden) return;
    pane().hidden = true;
    document.getElementById("chat").classList.remove("beside-source");
    for (const marked of document.querySelectorAll("[data-open].is-open")) marked.classList.remove("is-open");
    if (opened.from && opened.from.isConnected) opened.from.focus();
  }

  // --- asking before a delete ----------------------------------------------------------------------------------------
  function confirm(question) {
    const dialog = document.getElementById("confirm");
    document.getElementById("confirm-sure").textContent = question;
    dialog.returnValue = "";
    dialog.showModal();
    return new Promise((resolve) => {
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    });
  }
  window.citadel = { confirm };

  async function copyAnswer(button) {
    const answer = button.closest(".told").querySelector(".answer").cloneNode(true);
    for (const extra of answer.querySelectorAll(".chip, .sr-only")) extra.remove();
    await navigator.clipboard.writeText(answer.textContent);
    const label = button.querySelector("span");
    const before = label.textContent;
    label.textContent = button.dataset.copied;
    setTimeout(() => (label.textContent = before), 1600);
  }

  // --- one listener for every click and key ----------------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest(selector);
    let button;
    if ((button = at("[data-open]"))) openSource(button);
    else if ((button = at("#source-pane [data-step]"))) step(Number(button.dataset.step));
    else if (at("#source-pane [data-close]")) closeSource();
    else if ((button = at("[data-copy]"))) copyAnswer(button);
    else if (at("[data-tab='documents']")) document.querySelector("#tab-documents-button")?.click();
    else if (at("[role='tab']") || at("#new-chat")) closeSource();
    else if (at("[data-theme]")) {
      localStorage.setItem("citadel-theme", wantsDark() ? "light" : "dark");
      applyTheme();
    } else if ((button = at("[data-language]"))) {
      document.cookie = `citadel_language=${button.dataset.language}; Path=/; Max-Age=31536000; SameSite=Lax`;
    }
  });
  document.addEventListener("keydown", (event) => {
    if (!pane() || pane().hidden || event.target.closest("textarea, input, dialog")) return;
    if (event.key === "Escape") closeSource();
    if (event.key === "ArrowLeft") step(-1);
    if (event.key === "ArrowRight") step(1);
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
    applyTheme();
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
