/* Thumbs below an answer: each is sent when it is given; a thumb down opens a small form in which one may say more. */
(() => {
  "use strict";
  const citadel = (window.citadel ??= {});
  const language = window.citadelTexts.language.slice(0, 2);

  function partsOf(element) {
    const turn = element.closest(".turn");
    return { id: turn.dataset.turn, thumbs: turn.querySelector(".thumbs"), below: turn.querySelector(".rating") };
  }

  async function change(element, method, { content, form = false, quietly = false } = {}) {
    const { id, thumbs, below } = partsOf(element);
    if (!quietly) drafts.delete(id);
    const headers = content ? { "Content-Type": "application/json" } : {};
    const path = `/api/turns/${encodeURIComponent(id)}/rating?lang=${language}&form=${form}`;
    try {
      const answered = await fetch(path, { method, headers, body: content && JSON.stringify(content) });
      if (!answered.ok) throw new Error(String(answered.status));
      const told = await answered.json();
      const focused = thumbs.contains(document.activeElement) && document.activeElement.dataset.rate;
      thumbs.outerHTML = told.thumbs; // made by this server, every text of a person escaped
      below.innerHTML = told.below;
      const turn = below.closest(".turn");
      if (focused) turn.querySelector(`[data-rate="${focused}"]`)?.focus();
      if (quietly) return;
      if (form) below.querySelector("input")?.focus({ preventScroll: true });
      below.scrollIntoView({ block: "nearest" });
    } catch {
      citadel.notice(window.citadelTexts.failed);
    }
  }

  // --- what is being typed outlives the answers that come meanwhile -------------------------------------------------------
  const drafts = new Map(); // turn -> {reason, corrected}

  function keepDraft(form) {
    const said = new FormData(form);
    drafts.set(partsOf(form).id, { reason: said.get("reason"), corrected: said.get("corrected") });
  }

  async function restoreDrafts() {
    for (const [id, { reason, corrected }] of drafts) {
      const below = document.querySelector(`.turn[data-turn="${CSS.escape(id)}"] .rating`);
      if (!below || below.querySelector("form") || below.dataset.restored) continue;
      below.dataset.restored = "yes"; // asked for once
      await change(below, "GET", { form: true, quietly: true });
      const form = below.querySelector("form");
      if (!form) continue;
      form.elements.corrected.value = corrected;
      if (reason) form.querySelector(`[value="${CSS.escape(reason)}"]`).checked = true;
    }
  }
  (citadel.tendings ??= []).push(() => {
    if (drafts.size) restoreDrafts();
  });

  document.addEventListener("input", (event) => {
    const form = event.target.closest(".rating-form");
    if (form) keepDraft(form);
  });

  document.addEventListener("click", (event) => {
    const thumb = event.target.closest("[data-rate]");
    if (thumb) {
      const verdict = thumb.dataset.rate;
      if (thumb.getAttribute("aria-pressed") === "true") change(thumb, "DELETE");
      else change(thumb, "PUT", { content: { verdict }, form: verdict === "down" });
      return;
    }
    const button = event.target.closest("[data-rating]");
    if (!button) return;
    if (button.dataset.rating === "undo") change(button, "DELETE");
    else change(button, "GET", { form: button.dataset.rating === "form" });
  });

  document.addEventListener("submit", (event) => {
    const form = event.target.closest(".rating-form");
    if (!form) return;
    event.preventDefault();
    const said = new FormData(form);
    const content = { verdict: "down", reason: said.get("reason"), corrected: said.get("corrected") };
    change(form, "PUT", { content });
  });

  document.addEventListener("keydown", (event) => {
    const form = event.target.closest?.(".rating-form");
    if (!form) return;
    if (event.key === "Escape") change(form, "GET");
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
})();
