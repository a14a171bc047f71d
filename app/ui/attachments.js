/* Files of the conversation that is shown: chosen, dropped or pasted, uploaded one by one, and shown above the composer.
   The server says how each stands; this adds how far each upload is, and files that were refused at once. */
(() => {
  "use strict";
  const citadel = (window.citadel ??= {});
  const language = window.citadelTexts.language.slice(0, 2);
  const LOOK_MS = 600, AWAY_MS = 3000, AT_ONCE = 3, RETRY_MS = [1000, 3000, 9000];

  const place = () => document.getElementById("attachments");
  const shown = () => place().querySelector(".attachments-shown");
  const words = (name, values = {}) =>
    Object.entries(values).reduce((said, [key, value]) => said.replaceAll(`{${key}}`, value), place().dataset[name]);
  const addressOf = (conversation, more = "") =>
    `/api/conversations/${encodeURIComponent(conversation)}/attachments${more}?lang=${language}`;

  let conversation = ""; // the one that is shown
  let applied = ""; // which of the server's words about it were taken
  let html = "", states = new Map(), looking = 0;
  const uploads = new Map(); // id -> {conversation, file, share, request}
  const refused = []; // {conversation, name, message}: files that the server never had
  let numbers = 0;

  // --- what is shown -----------------------------------------------------------------------------------------------------
  function show(told) {
    if (told.html !== undefined) html = told.html;
    paint();
    clearTimeout(looking);
    if (told.busy) looking = setTimeout(look, LOOK_MS);
  }

  function paint() {
    const focused = document.activeElement?.closest?.("#attachments [data-attachment]")?.dataset.attachment;
    const onSwitch = document.activeElement?.matches?.("#attachments [data-only-files]");
    const holder = document.createElement("div");
    holder.innerHTML = html; // made by this server, every name of a person's escaped
    const own = refused.filter((one) => one.conversation === conversation);
    if (own.length) {
      if (!holder.querySelector("ul")) holder.insertAdjacentHTML("afterbegin", '<ul class="attachment-list"></ul>');
      holder.querySelector("ul").append(...own.map(refusedChip));
    }
    for (const [id, upload] of uploads) drawShare(holder, id, upload.share);
    shown().replaceChildren(...holder.childNodes);
    place().hidden = !shown().querySelector("li");
    if (focused) focusChip(focused);
    else if (onSwitch) shown().querySelector("[data-only-files]")?.focus();
    tell();
  }

  function drawShare(within, id, share) {
    const chip = within.querySelector(`[data-attachment="${CSS.escape(id)}"][data-state="uploading"]`);
    if (!chip) return;
    chip.querySelector(".attachment-said").textContent = words("uploading", { n: Math.floor(share * 100) });
    chip.style.setProperty("--share", share);
    let bar = chip.querySelector("progress");
    if (!bar) {
      bar = document.createElement("progress");
      bar.max = 100;
      bar.setAttribute("aria-label", chip.querySelector(".attachment-name").textContent);
      chip.append(bar);
    }
    bar.value = Math.floor(share * 100);
  }

  function refusedChip({ id, name, message }) {
    const chip = document.createElement("li");
    chip.className = "attachment is-failed";
    Object.assign(chip.dataset, { attachment: id, state: "failed", refused: "yes" });
    const text = document.createElement("span");
    text.className = "attachment-text";
    const sheet = place().querySelector("template.attachment-sheet").content.cloneNode(true);
    const [named, said] = [document.createElement("span"), document.createElement("span")];
    [named.className, said.className] = ["attachment-name", "attachment-state"];
    [named.textContent, said.textContent] = [name, message];
    text.append(named, said);
    const button = document.createElement("button");
    button.type = "button";
    button.className = "attachment-remove";
    button.dataset.removeFile = "";
    button.append(place().querySelector("template.attachment-cross").content.cloneNode(true));
    button.setAttribute("aria-label", words("remove", { name }));
    chip.append(sheet, text, button);
    return chip;
  }

  function focusChip(id) {
    const chips = [...shown().querySelectorAll("li")];
    const chip = chips.find((each) => each.dataset.attachment === id);
    (chip?.querySelector("button") ?? document.getElementById("attach-button")).focus();
  }

  /* Say what has become of files since, to those who do not see it. */
  function tell() {
    const now = new Map([...shown().querySelectorAll("li")].map((chip) => [chip.dataset.attachment, chip]));
    for (const [id, chip] of now) {
      const before = states.get(id), state = chip.dataset.state;
      if (before === state || (before === undefined && !chip.dataset.refused)) continue;
      const name = chip.querySelector(".attachment-name").textContent;
      const why = chip.querySelector(".attachment-state").textContent.trim();
      if (state === "ready") announce(words("ready", { name }));
      if (state !== "failed") continue;
      announce(words("failed", { name, why }));
      chip.scrollIntoView({ block: "nearest", inline: "nearest" });
    }
    states = new Map([...now].map(([id, chip]) => [id, chip.dataset.state]));
  }

  function announce(said) {
    document.getElementById("attachments-said").textContent = said;
  }

  async function look() {
    const mine = conversation;
    try {
      const sends = [...uploads.values()].some((upload) => upload.conversation === mine);
      const answered = await fetch(addressOf(mine) + (sends ? "&sending=true" : ""), { cache: "no-store" });
      if (mine !== conversation) return;
      if (answered.ok) show(await answered.json());
      else if (answered.status >= 500) throw new Error(String(answered.status));
    } catch {
      if (mine === conversation) looking = setTimeout(look, AWAY_MS); // that the server is away is said elsewhere
    }
  }

  /* Follow the page to another conversation, and take what the server says about this one with each answer. */
  function tend() {
    revealWaiting();
    const now = document.querySelector("#transcript .attached-now");
    if (!now || now.className === applied || !place()) return;
    applied = now.className;
    if (now.dataset.conversation !== conversation) {
      conversation = now.dataset.conversation;
      states = new Map();
      announce("");
    }
    show({ html: now.dataset.html, busy: now.dataset.busy !== undefined });
  }

  /* A question that waits for files says so below what is shown, which may be long. */
  function revealWaiting() {
    const said = document.querySelector("#current .is-waiting:not([data-seen])");
    if (!said) return;
    said.dataset.seen = "yes";
    said.scrollIntoView({ block: "nearest" });
  }

  // --- uploads -----------------------------------------------------------------------------------------------------------
  async function attach(files) {
    if (!conversation || !files.length) return;
    const mine = conversation;
    const body = JSON.stringify({ files: files.map(({ name, size }) => ({ name: name || "file", size })) });
    let told;
    try {
      const headers = { "Content-Type": "application/json" };
      const answered = await fetch(addressOf(mine), { method: "POST", headers, body });
      told = await answered.json();
      if (!told.files) throw new Error(told.error?.message ?? "");
    } catch (error) {
      citadel.notice(error.message && !(error instanceof TypeError) ? error.message : words("fault"));
      return;
    }
    told.files.forEach((one, i) => {
      if (one.id) uploads.set(one.id, { conversation: mine, file: files[i], share: 0, tries: 0, request: null });
      else refused.push({ id: `refused-${++numbers}`, conversation: mine, name: one.name, message: one.error.why });
    });
    if (mine === conversation) {
      nameConversation(mine);
      show(told);
    }
    next();
  }

  /* A conversation that was empty is kept from its first file on, and has an address. */
  function nameConversation(id) {
    const welcome = document.querySelector("#transcript .welcome");
    if (uploads.size && welcome && !welcome.closest(".conversation")) welcome.dataset.conversation = id;
  }

  function next() {
    const running = [...uploads.values()].filter((upload) => upload.request).length;
    const waiting = [...uploads].filter(([, upload]) => !upload.request && !upload.due);
    for (const [id, upload] of waiting.slice(0, Math.max(0, AT_ONCE - running))) send(id, upload);
  }

  function send(id, upload) {
    const request = (upload.request = new XMLHttpRequest());
    request.open("PUT", addressOf(upload.conversation, `/${encodeURIComponent(id)}/content`));
    request.upload.addEventListener("progress", (event) => {
      upload.share = event.total ? event.loaded / event.total : 0;
      if (upload.conversation === conversation) drawShare(shown(), id, upload.share);
    });
    request.addEventListener("load", () => sent(id, upload, request));
    request.addEventListener("error", () => broken(id, upload));
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.send(upload.file);
  }

  function sent(id, upload, request) {
    if (request.status >= 500 && request.status !== 507) return broken(id, upload);
    uploads.delete(id);
    const told = parsed(request.responseText);
    if (request.status === 200 && upload.conversation === conversation) show(told);
    else if (request.status !== 200 && request.status !== 404) refuse(id, upload, told.error?.why);
    next();
  }

  function parsed(text) {
    try {
      return JSON.parse(text);
    } catch {
      return {};
    }
  }

  /* The line broke: the file is sent again a few times, from its beginning. */
  function broken(id, upload) {
    upload.request = null;
    if (upload.tries >= RETRY_MS.length) {
      uploads.delete(id);
      refuse(id, upload);
    } else {
      upload.due = setTimeout(() => {
        upload.due = 0;
        next();
      }, RETRY_MS[upload.tries++]);
    }
    next();
  }

  async function refuse(id, { conversation: of, file }, message) {
    refused.push({ id: `refused-${++numbers}`, conversation: of, name: file.name, message: message ?? words("broken") });
    await forget(of, id);
  }

  async function forget(of, id) {
    try {
      const answered = await fetch(addressOf(of, `/${encodeURIComponent(id)}`), { method: "DELETE" });
      const told = await answered.json();
      if (!answered.ok && answered.status !== 404) throw new Error(told.error?.message);
      if (of === conversation) await look();
      return true;
    } catch (error) {
      citadel.notice(error instanceof TypeError ? words("fault") : error.message || words("fault"));
      paint();
      return false;
    }
  }

  async function remove(chip) {
    const { attachment: id } = chip.dataset;
    const name = chip.querySelector(".attachment-name").textContent;
    const beside = (chip.nextElementSibling ?? chip.previousElementSibling)?.dataset.attachment ?? "";
    uploads.get(id)?.request?.abort();
    uploads.delete(id);
    const at = refused.findIndex((one) => one.id === id);
    if (at >= 0) refused.splice(at, 1);
    if (at >= 0) paint();
    else if (!(await forget(conversation, id))) return;
    announce(words("removed", { name }));
    focusChip(beside);
    next();
  }

  async function askOnly(box) {
    try {
      const body = JSON.stringify({ only: box.checked });
      const headers = { "Content-Type": "application/json" };
      const answered = await fetch(addressOf(conversation, "/only"), { method: "PUT", headers, body });
      if (!answered.ok) throw new Error(String(answered.status));
      show(await answered.json());
    } catch {
      box.checked = !box.checked;
      citadel.notice(words("fault"));
    }
  }

  // --- chosen, dropped, pasted -------------------------------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest(selector);
    if (at("#attach-button")) document.getElementById("attach-input").click();
    else if (at("#attachments [data-remove-file]")) remove(at("[data-attachment]"));
  });
  document.addEventListener("change", (event) => {
    if (event.target.id === "attach-input") {
      attach([...event.target.files]);
      event.target.value = ""; // the same file can be chosen again
      document.querySelector("#question textarea")?.focus();
    } else if (event.target.matches?.("#attachments [data-only-files]")) askOnly(event.target);
  });

  const chat = () => document.getElementById("chat");
  const bringsFiles = (event) =>
    event.dataTransfer?.types.includes("Files") && chat()?.offsetParent !== null && chat()?.contains(event.target);
  let leaving = 0;
  function mark(isOver) {
    clearTimeout(leaving);
    if (isOver) chat().dataset.drop = words("drop");
    chat().classList.toggle("is-dropped-on", isOver);
  }
  document.addEventListener("dragover", (event) => {
    if (!bringsFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    mark(true);
  });
  document.addEventListener("dragleave", () => {
    if (chat()?.classList.contains("is-dropped-on")) leaving = setTimeout(() => mark(false), 120);
  });
  document.addEventListener("drop", (event) => {
    if (!bringsFiles(event)) return;
    event.preventDefault();
    mark(false);
    attach([...event.dataTransfer.files]);
  });
  /* What is copied from a sheet or a page is text as well as a picture: it is pasted as text. */
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || event.clipboardData.types.includes("text/plain") || !chat()?.contains(event.target)) return;
    event.preventDefault();
    attach(files);
  });

  window.addEventListener("beforeunload", (event) => {
    if (uploads.size) event.preventDefault(); // what is half uploaded would be lost
  });
  (citadel.tendings ??= []).push(tend);
})();
