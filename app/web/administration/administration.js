// What these pages do more where scripts run: copy a link, choose all rows, and keep what is going on up to date.
// Every page works without.
const COPIED_SHOWN_MS = 2000;
const LOOK_EVERY_MS = 2000;

for (const button of document.querySelectorAll("[data-copy]")) {
  const said = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copy);
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      return; // no clipboard without https: what is selected can be copied by hand
    }
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = said; }, COPIED_SHOWN_MS);
  });
}

for (const all of document.querySelectorAll("[data-all]")) {
  const boxes = [...document.getElementsByName(all.dataset.all)];
  const look = () => {
    const n = boxes.filter((box) => box.checked).length;
    all.checked = n === boxes.length;
    all.indeterminate = n > 0 && n < boxes.length;
  };
  all.hidden = false;
  all.addEventListener("change", () => { for (const box of boxes) box.checked = all.checked; });
  for (const box of boxes) box.addEventListener("change", look);
  look();
}

async function follow(part) {
  let page;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!response.ok || response.redirected) return;
    page = new DOMParser().parseFromString(await response.text(), "text/html");
  } catch {
    setTimeout(follow, LOOK_EVERY_MS, part); // the server may be starting again
    return;
  }
  const newer = page.getElementById(part.id);
  if (newer === null || !("live" in newer.dataset)) {
    location.replace(location.pathname + (location.search.includes("failed") ? "?failed" : ""));
    return;
  }
  if (!part.contains(document.activeElement)) {
    part.replaceWith(newer);
    part = newer;
  }
  setTimeout(follow, LOOK_EVERY_MS, part);
}

// On a phone the row of sections scrolls sideways: begin where one is.
for (const here of document.querySelectorAll(".sections [aria-current]")) {
  here.parentElement.scrollLeft = here.offsetLeft - here.parentElement.offsetLeft - here.parentElement.clientWidth / 3;
}

for (const part of document.querySelectorAll("[data-live]")) setTimeout(follow, LOOK_EVERY_MS, part);
