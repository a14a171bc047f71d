// What every page does: the theme that was chosen, before anything is painted, and a way out that leaves nothing behind.
(() => {
  "use strict";
  const THEME = "citadel-theme";
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  function chosen() {
    try {
      return localStorage.getItem(THEME);
    } catch {
      return null; // a browser that keeps nothing has the system's theme
    }
  }

  function apply(theme) {
    root.style.colorScheme = theme === "dark" || theme === "light" ? theme : "";
    document.dispatchEvent(new Event(THEME));
  }

  function turn() {
    const isDark = root.style.colorScheme ? root.style.colorScheme === "dark" : system.matches;
    const theme = isDark ? "light" : "dark";
    try {
      localStorage.setItem(THEME, theme);
    } catch {
      // for this page, then
    }
    apply(theme);
  }
  apply(chosen());
  window.addEventListener("storage", (event) => {
    if (event.key === THEME) apply(event.newValue);
  });

  // The switch of the theme is of no use without a script, so it is hidden until there is one.
  const show = () => document.querySelectorAll("[data-theme][hidden]").forEach((button) => (button.hidden = false));
  document.addEventListener("DOMContentLoaded", show);

  document.addEventListener("click", (event) => {
    if (event.target.closest?.("[data-theme]")) turn();
  });
  // Whoever signs out leaves nothing in this browser that they had begun to type.
  document.addEventListener("submit", (event) => {
    if ("leaves" in event.target.dataset) sessionStorage.clear();
  });
})();
