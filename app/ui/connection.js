/* A server that went away: said quietly, and the page is loaded anew once it is back, with what was being typed. */
(() => {
  "use strict";
  const texts = window.citadelTexts;
  const root = document.documentElement;
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

  let restored = false;
  ((window.citadel ??= {}).tendings ??= []).push(() => {
    const question = document.querySelector("#question textarea");
    if (restored || !question) return;
    restored = true;
    restoreQuestion(question);
  });
})();
