// Keys in the queue of ratings, and the progress of what runs; every page works without this.
"use strict";

// --- the queue -------------------------------------------------------------------------------------------------------
const ratings = [...document.querySelectorAll(".rating")];
const keys = document.getElementById("keys");
const PLACE = "citadel-rating", KEYS = "citadel-keys";

function kept(store, name) {
  try { return store.getItem(name); } catch { return null; } // a browser that keeps nothing begins at the top
}

function keep(store, name, value) {
  try { store.setItem(name, value); } catch { /* nor does it mind */ }
}

function present() {
  return ratings.findIndex((rating) => rating.contains(document.activeElement));
}

function go(to) {
  const rating = ratings[Math.max(0, Math.min(ratings.length - 1, to))];
  if (!rating) return;
  rating.focus({ preventScroll: true });
  rating.scrollIntoView({ block: "start" });
}

function decide(decision) {
  const at = present();
  const button = ratings[at]?.querySelector(`button[value="${decision}"]`);
  if (button) button.click();
}

const DEEDS = {
  j: () => go(present() + 1),
  k: () => go(present() - 1),
  t: () => decide("example"),
  e: () => decide("case"),
  d: () => decide("dismissed"),
  c: () => ratings[present()]?.querySelector("textarea").focus(),
};

if (keys) {
  const label = keys.closest("label"), more = document.querySelector(".keys-more");
  const show = () => { label.hidden = false; more.hidden = !keys.checked; };
  keys.checked = kept(localStorage, KEYS) !== "off";
  keys.addEventListener("change", () => { keep(localStorage, KEYS, keys.checked ? "on" : "off"); show(); });
  show();
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest?.("input, textarea, select");
    if (event.key === "Escape" && typing) go(present());
    if (typing || !keys.checked || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const deed = DEEDS[event.key];
    if (!deed) return;
    event.preventDefault();
    deed();
  });
  document.addEventListener("submit", (event) => {
    const at = ratings.findIndex((rating) => rating.contains(event.target));
    if (at >= 0) keep(sessionStorage, PLACE, String(at));
  });
  const at = kept(sessionStorage, PLACE); // after a decision, the one that took its place
  if (at !== null) {
    sessionStorage.removeItem(PLACE);
    go(Number(at));
  }
}

// A citation leads to its passage, which may be folded away.
document.addEventListener("click", (event) => {
  const chip = event.target.closest?.("a.chip");
  const details = chip && document.getElementById(chip.hash.slice(1))?.closest("details");
  if (details) details.open = true;
});

// --- what runs -------------------------------------------------------------------------------------------------------
async function watch(place) {
  const bar = place.querySelector("progress"), said = place.querySelector("[role=status]");
  for (;;) {
    await new Promise((wake) => setTimeout(wake, 1500));
    if (document.hidden) continue;
    try {
      const now = await (await fetch(place.dataset.watch)).json();
      if (now.ended) break;
      bar.max = now.total || 1;
      bar.value = now.done;
      if (said.textContent !== now.said) said.textContent = now.said;
    } catch { // the server is away for a moment: ask again
    }
  }
  location.reload();
}

for (const place of document.querySelectorAll("[data-watch]")) watch(place);
