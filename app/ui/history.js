/* The panel of conversations: its list, its search, its menu, and the address that names the conversation shown. */
(() => {
  "use strict";
  const citadel = (window.citadel ??= {});
  const language = window.citadelTexts.language.slice(0, 2);
  const root = document.documentElement;
  const FOLDED = "citadel-history-folded";
  const narrow = window.matchMedia("(max-width: 820px)");
  const TYPING_MS = 180, STALE_MS = 60_000, WRITTEN_MS = 400, TAB_MS = 80;
  root.classList.toggle("history-folded", localStorage.getItem(FOLDED) === "yes");

  const pane = () => document.getElementById("history-pane");
  const list = () => pane().querySelector(".history-list");
  const search = () => document.getElementById("history-search");
  const menu = () => document.getElementById("history-menu");
  const inUrl = () => new URL(location).searchParams.get("c") ?? "";

  // --- the list --------------------------------------------------------------------------------------------------------
  let asked = 0, loadedAt = 0, due = 0;

  async function fetched(after) {
    const east = -new Date().getTimezoneOffset();
    const query = new URLSearchParams({ lang: language, east, q: search().value.trim(), after });
    const answered = await fetch(`/api/conversations?${query}`);
    if (!answered.ok) throw new Error(String(answered.status));
    return answered.text();
  }

  async function load() {
    const mine = ++asked;
    let html;
    try {
      html = await fetched("");
    } catch {
      return; // that the server is away is said elsewhere
    }
    if (mine !== asked || list().querySelector("form")) return;
    loadedAt = Date.now();
    list().removeAttribute("aria-busy");
    if (list().dataset.html === html) return;
    const focused = document.activeElement?.closest?.("#history-pane [data-go]")?.dataset.go;
    list().dataset.html = html;
    list().innerHTML = html; // made by this server, every text of a person escaped
    mark();
    if (focused) list().querySelector(`[data-go="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  async function loadMore(button) {
    button.disabled = true;
    const mine = ++asked;
    try {
      const html = await fetched(button.dataset.after);
      if (mine !== asked) return;
      const part = document.createElement("template");
      part.innerHTML = html;
      join(part.content);
      const next = button.previousElementSibling;
      button.replaceWith(part.content);
      next?.querySelector("li:last-child a")?.focus({ preventScroll: true });
      mark();
    } catch {
      button.disabled = false;
    }
  }

  /* Put what is of the same day as the end of the list there. */
  function join(part) {
    const first = part.querySelector("section"), last = [...list().querySelectorAll("section")].pop();
    if (!first || !last || first.dataset.day !== last.dataset.day) return;
    last.querySelector("ul").append(...first.querySelectorAll("li"));
    first.remove();
  }

  function mark(id = shown) {
    for (const link of list().querySelectorAll("[data-go]")) {
      if (link.dataset.go === id) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  // --- the conversation that is shown --------------------------------------------------------------------------------
  let shown = null, nTurns = 0, wanted = "";

  function open(id, turn = "") {
    wanted = turn;
    if (id === shown && id) return reveal();
    mark(id);
    citadel.closeSource();
    citadel.open(id);
  }

  function reveal() {
    const turn = wanted && document.querySelector(`.turn[data-turn="${CSS.escape(wanted)}"]`);
    wanted = "";
    if (!turn) return;
    turn.scrollIntoView({ block: "start" });
    turn.classList.add("is-found");
    setTimeout(() => turn.classList.remove("is-found"), 2500);
  }

  function tend() {
    if (!pane()) return;
    const expanded = String(isShown() && !isCovered());
    const button = document.getElementById("history-show");
    if (button.getAttribute("aria-expanded") !== expanded) button.setAttribute("aria-expanded", expanded);
    if (!loadedAt && !due) due = setTimeout(load, 0);
    const said = document.querySelector("#transcript .conversation, #transcript .welcome");
    if (!said) return;
    const id = said.dataset.conversation ?? "";
    const n = document.querySelectorAll("#chat-scroll .turn").length;
    if (id !== shown) {
      name(id);
      shown = id;
      mark();
    } else if (n === nTurns) return;
    nTurns = n;
    if (id) {
      clearTimeout(due);
      due = setTimeout(load, WRITTEN_MS);
    }
    if (wanted) reveal();
  }

  function name(id) {
    if (inUrl() === id) return;
    const address = new URL(location);
    if (id) address.searchParams.set("c", id);
    else address.searchParams.delete("c");
    if (shown) history.pushState(null, "", address);
    else history.replaceState(null, "", address); // an empty conversation has become this one
  }
  window.addEventListener("popstate", () => {
    if (inUrl() !== shown) open(inUrl());
  });

  // --- shown and hidden ------------------------------------------------------------------------------------------------
  let from = null;
  const isShown = () => (narrow.matches ? root.classList.contains("history-shown") : !root.classList.contains("history-folded"));

  /* Beside a source there may be no room for the panel; it takes the source's place when it is asked for. */
  const isCovered = () => !narrow.matches && isShown() && getComputedStyle(pane()).display === "none";

  function show() {
    if (isCovered()) citadel.closeSource();
    if (isShown()) return;
    from = document.activeElement;
    if (narrow.matches) root.classList.add("history-shown");
    else fold(false);
    load();
    if (narrow.matches) pane().querySelector(".history-new").focus();
  }

  function hide() {
    if (narrow.matches) {
      if (!root.classList.contains("history-shown")) return;
      root.classList.remove("history-shown");
      if (from?.isConnected) from.focus();
    } else {
      fold(true);
      document.getElementById("history-show").focus();
    }
  }

  function fold(folded) {
    root.classList.toggle("history-folded", folded);
    localStorage.setItem(FOLDED, folded ? "yes" : "no");
  }

  // --- one conversation's menu -------------------------------------------------------------------------------------------
  let subject = null; // the list's item whose menu is open

  function openMenu(button) {
    subject = button.closest("li");
    const id = subject.querySelector("[data-go]").dataset.go;
    for (const link of menu().querySelectorAll("[data-export]")) {
      link.href = `/api/conversations/${encodeURIComponent(id)}.${link.dataset.export}`;
    }
    menu().showPopover();
    const at = button.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = menu();
    menu().style.left = `${Math.max(8, Math.min(at.left, innerWidth - width - 8))}px`;
    menu().style.top = `${at.bottom + height + 8 > innerHeight ? at.top - height - 4 : at.bottom + 4}px`;
    menu().querySelector("[role='menuitem']").focus();
  }

  async function send(method, path, content) {
    const headers = content ? { "Content-Type": "application/json" } : {};
    try {
      const answered = await fetch(path, { method, headers, body: content && JSON.stringify(content) });
      if (answered.ok || answered.status === 404) return answered; // gone already: the list will show it
    } catch {
      // said below
    }
    citadel.notice(pane().dataset.failed);
    return null;
  }

  function rename(item) {
    const link = item.querySelector("[data-go]");
    const form = document.createElement("form");
    const typed = document.createElement("input");
    typed.value = link.querySelector("span").textContent;
    typed.maxLength = 200;
    typed.setAttribute("aria-label", pane().dataset.renameNamed);
    form.append(typed);
    link.hidden = true;
    item.prepend(form);
    typed.focus();
    typed.select();
    let ended = false;
    const end = async (save) => {
      if (ended) return;
      ended = true;
      const title = typed.value.trim();
      const changed = save && title && title !== link.querySelector("span").textContent;
      if (changed) await send("PATCH", `/api/conversations/${encodeURIComponent(link.dataset.go)}`, { title });
      form.remove();
      link.hidden = false;
      link.focus();
      if (changed) load();
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      end(true);
    });
    typed.addEventListener("blur", () => end(true));
    typed.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Escape") end(false);
    });
  }

  async function forget(question, more, path, isCurrent) {
    if (!(await citadel.confirm(question, { more }))) return;
    if (!(await send("DELETE", path))) return;
    if (isCurrent) open("");
    await load();
    search().focus({ preventScroll: true });
  }

  function forgetOne(item) {
    const id = item.querySelector("[data-go]").dataset.go;
    const question = item.querySelector(".history-more").dataset.sure;
    forget(question, pane().dataset.deleteMore, `/api/conversations/${encodeURIComponent(id)}`, id === shown);
  }

  // --- clicks and keys -----------------------------------------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest(selector);
    let hit;
    if ((hit = at("#history-pane [data-go]"))) {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab, as of any link
      event.preventDefault();
      open(hit.dataset.go, hit.dataset.turnFound);
      if (narrow.matches) hide();
    } else if ((hit = at(".history-more"))) openMenu(hit);
    else if ((hit = at(".history-after"))) loadMore(hit);
    else if ((hit = at("#history-menu [data-menu]"))) {
      const item = subject;
      menu().hidePopover();
      if (hit.dataset.menu === "rename") rename(item);
      else forgetOne(item);
    } else if (at("#history-menu [data-export]")) menu().hidePopover();
    else if ((hit = at("[data-history]"))) act(hit.dataset.history);
  });

  function act(what) {
    if (what === "show") show();
    else if (what === "hide") hide();
    else if (what === "new") {
      if (narrow.matches) hide();
      document.getElementById("new-chat").click();
      if (!narrow.matches) document.querySelector("#question textarea").focus();
    } else {
      const { deleteAllSure, deleteAllMore } = pane().dataset;
      forget(deleteAllSure, deleteAllMore, "/api/conversations", true);
    }
  }

  let typing = 0;
  document.addEventListener("input", (event) => {
    if (event.target !== search()) return;
    clearTimeout(typing);
    typing = setTimeout(load, TYPING_MS);
  });

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && pane()) {
      event.preventDefault();
      if (pane().checkVisibility()) seek();
      else {
        citadel.turnTo("chat");
        setTimeout(seek, TAB_MS); // what is hidden takes no focus
      }
    } else if (event.target.closest?.("dialog")) return;
    else if (event.target.closest?.("#history-menu")) walk(event, [...menu().querySelectorAll("[role='menuitem']")]);
    else if (event.target.closest?.("#history-pane") || root.classList.contains("history-shown")) {
      if (event.key === "Escape") leave(event);
      else walk(event, [search(), ...list().querySelectorAll("[data-go], .history-after")]);
    }
  });

  function seek() {
    show();
    search().focus();
    search().select();
  }

  function walk(event, stops) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const at = stops.indexOf(event.target.closest("[data-go], button, input, [role='menuitem']"));
    stops[Math.max(0, Math.min(stops.length - 1, at + by))].focus();
  }

  function leave(event) {
    if (event.target === search() && search().value) {
      search().value = "";
      load();
    } else if (narrow.matches) hide();
    else document.querySelector("#question textarea").focus();
    event.preventDefault();
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && pane() && Date.now() - loadedAt > STALE_MS) load();
  });
  (citadel.tendings ??= []).push(tend);
})();
