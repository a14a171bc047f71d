/* The pane beside the chat: it opens at the passage behind a citation, and walks through an answer's sources. */
(() => {
  "use strict";
  const texts = window.citadelTexts;
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

  (window.citadel ??= {}).closeSource = closeSource;

  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest(selector);
    let button;
    if ((button = at("[data-open]"))) openSource(button);
    else if ((button = at("#source-pane [data-step]"))) step(Number(button.dataset.step));
    else if (at("#source-pane [data-close]") || at("#new-chat")) closeSource();
  });
  document.addEventListener("keydown", (event) => {
    const elsewhere = event.target.closest?.("textarea, input, dialog, #history-pane, #history-menu, .top");
    if (!pane() || pane().hidden || elsewhere || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") closeSource();
    if (event.key === "ArrowLeft" || event.key === "p") step(-1);
    if (event.key === "ArrowRight" || event.key === "n") step(1);
  });
})();
