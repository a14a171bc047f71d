/* What the pages do by themselves: language and theme, opening citations, copying, scrolling, asking before a delete. */
(() => {
  "use strict";
  const texts = window.citadelTexts;
  const root = document.documentElement;
  root.lang = texts.language;

  // --- a session that has ended leads to where one signs in, and back here -------------------------------------------
  const fetched = window.fetch.bind(window);
  window.fetch = async (...asked) => {
    const answered = await fetched(...asked);
    if (answered.status === 401) {
      const here = location.pathname + location.search + location.hash;
      location.assign(`/sign-in?next=${encodeURIComponent(here)}`);
    }
    return answered;
  };

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
  let opened = { addresses: [], index: 0, from: null, also: [] };
  let asked = 0;

  function openSource(button) {
    const turn = button.closest(".turn");
    const cards = [...turn.querySelectorAll(".card[data-open]")].map((card) => card.dataset.open);
    const also = (turn.querySelector("[data-also]")?.dataset.also ?? "").split(" ").filter(Boolean);
    const addresses = cards.length ? [...cards, ...also] : [button.dataset.open];
    opened = { addresses, index: Math.max(0, addresses.indexOf(button.dataset.open)), from: button, also };
    document.getElementById("chat").classList.add("beside-source");
    pane().hidden = false;
    showSource();
    pane().focus({ preventScroll: true });
  }

  async function showSource() {
    const { addresses, index } = opened;
    const address = addresses[index];
    const body = pane().querySelector(".pane-body");
    const position = pane().dataset.position.replace("{n}", index + 1).replace("{total}", addresses.length);
    pane().querySelector(".pane-count").textContent = addresses.length > 1 ? position : "";
    pane().querySelector(".pane-also").textContent = opened.also.includes(address) ? pane().dataset.also : "";
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
  const citadel = Object.assign((window.citadel ??= {}), { confirm, notice, closeSource });
  citadel.tendings ??= [];

  // --- asking again, and a question that is edited in its place --------------------------------------------------------
  async function askAgain(turn, question) {
    if (document.querySelector("#current .turn")) return;
    const follows = turn.nextElementSibling !== null;
    if (follows && !(await confirm(texts.replace_sure, { more: texts.replace_more, yes: texts.replace }))) return;
    citadel.again(turn.dataset.turn, question ?? "");
  }

  function editQuestion(button) {
    const turn = button.closest(".turn");
    const asking = turn.querySelector(".asking");
    if (asking.querySelector("form")) return;
    const form = document.createElement("form");
    form.className = "edit-form";
    const typed = document.createElement("textarea");
    typed.rows = 1;
    typed.value = asking.querySelector(".asked").textContent;
    typed.setAttribute("aria-label", button.getAttribute("aria-label"));
    const [go, cancel] = [document.createElement("button"), document.createElement("button")];
    [go.textContent, cancel.textContent] = [button.dataset.go, button.dataset.cancel];
    [go.className, cancel.className, cancel.type] = ["go", "quiet", "button"];
    const foot = document.createElement("div");
    foot.className = "form-foot";
    foot.append(cancel, go);
    form.append(typed, foot);
    const end = () => {
      form.remove();
      asking.classList.remove("is-edited");
      button.focus();
    };
    const fit = () => {
      typed.style.height = "auto";
      typed.style.height = `${typed.scrollHeight + 2}px`;
    };
    cancel.addEventListener("click", end);
    typed.addEventListener("input", fit);
    typed.addEventListener("keydown", (event) => {
      if (event.key === "Escape") end();
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) form.requestSubmit();
      if (event.key === "Enter" && !event.shiftKey) event.preventDefault();
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (typed.value.trim()) askAgain(turn, typed.value.trim());
    });
    asking.classList.add("is-edited");
    asking.append(form);
    fit();
    typed.focus();
    typed.setSelectionRange(typed.value.length, typed.value.length);
  }

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
    else if ((button = at("[data-ask]"))) citadel.ask(button.dataset.ask);
    else if ((button = at("[data-again]"))) askAgain(button.closest(".turn"));
    else if ((button = at("[data-edit]"))) editQuestion(button);
    else if (at("[data-tab='documents']")) document.querySelector("#tab-documents-button")?.click();
    else if (at("[role='tab']") || at("#new-chat")) closeSource();
    else if (at("[data-theme]")) {
      localStorage.setItem("citadel-theme", wantsDark() ? "light" : "dark");
      applyTheme();
    } else if ((button = at("[data-language]"))) {
      document.cookie = `citadel_language=${button.dataset.language}; Path=/; Max-Age=31536000; SameSite=Lax`;
      button.search = location.search; // the same conversation
    }
  });
  document.addEventListener("keydown", (event) => {
    const elsewhere = event.target.closest?.("textarea, input, dialog, #history-pane, #history-menu");
    if (!pane() || pane().hidden || elsewhere || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") closeSource();
    if (event.key === "ArrowLeft" || event.key === "p") step(-1);
    if (event.key === "ArrowRight" || event.key === "n") step(1);
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

  // --- a server that went away: said quietly, and the page is loaded anew once it is back -----------------------------
  // Gradio notices only what breaks off while it listens, and would leave an answer busy that ended with its server.
  const ALIVE = `/${texts.language.slice(0, 2)}/gradio_api/app_id`;
  const LOOK_MS = 5000, LOST_LOOK_MS = 1000, PATIENCE_MS = 10000;
  let lost = false, looking = 0;

  async function look() {
    clearTimeout(looking);
    if (!document.hidden) {
      const mine = String(window.gradio_config?.app_id);
      const running = await runningServer(mine);
      const broken = lost && document.querySelector(".turn[aria-busy]");
      if (running && (running !== mine || broken)) return location.reload();
      if (lost === Boolean(running)) sayLost(!running);
    }
    looking = setTimeout(look, lost ? LOST_LOOK_MS : LOOK_MS);
  }

  async function runningServer(mine) {
    try {
      const answered = await fetch(ALIVE, { cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
      if (answered.ok) return String((await answered.json()).app_id);
      return answered.status < 500 ? mine : null;
    } catch {
      return null;
    }
  }

  function sayLost(isLost) {
    lost = isLost;
    root.classList.toggle("is-lost", lost);
    document.getElementById("lost")?.remove();
    if (!lost) return;
    const said = document.createElement("p");
    said.id = "lost";
    said.setAttribute("role", "status");
    said.textContent = texts.lost;
    document.body.append(said);
  }

  for (const at of ["online", "offline", "focus"]) window.addEventListener(at, look);
  document.addEventListener("visibilitychange", look);
  looking = setTimeout(look, LOOK_MS);

  // --- a question that was typed and not sent outlives a reload --------------------------------------------------------
  const KEPT = "citadel-question";
  window.addEventListener("pagehide", () => {
    const typed = document.querySelector("#question textarea")?.value;
    if (typed) sessionStorage.setItem(KEPT, typed);
  });

  function restoreQuestion(question) {
    const typed = sessionStorage.getItem(KEPT);
    sessionStorage.removeItem(KEPT);
    if (!typed || question.value) return;
    question.value = typed;
    question.dispatchEvent(new Event("input", { bubbles: true }));
  }

  let focused = false;
  function focusQuestion() {
    const question = document.querySelector("#question textarea");
    if (focused || !question) return;
    focused = true;
    restoreQuestion(question);
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
