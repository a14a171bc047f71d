/* Asking: an example, a question again, one that is edited in its place; and an answer that is copied. */
(() => {
  "use strict";
  const texts = window.citadelTexts;
  const citadel = (window.citadel ??= {});

  async function askAgain(turn, question) {
    if (document.querySelector("#current .turn")) return;
    const follows = turn.nextElementSibling !== null;
    if (follows && !(await citadel.confirm(texts.replace_sure, { more: texts.replace_more, yes: texts.replace }))) return;
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

  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest(selector);
    let button;
    if ((button = at("[data-copy]"))) copyAnswer(button);
    else if ((button = at("[data-ask]"))) citadel.ask(button.dataset.ask);
    else if ((button = at("[data-again]"))) askAgain(button.closest(".turn"));
    else if ((button = at("[data-edit]"))) editQuestion(button);
  });
})();
