// The theme that was chosen in the chat, before anything is painted; without one, the system's.
try {
  const chosen = localStorage.getItem("citadel-theme");
  if (chosen) document.documentElement.style.colorScheme = chosen;
} catch {
  // a browser that keeps nothing has the system's theme
}
// Whoever signs out leaves nothing in this browser that they had begun to type.
document.addEventListener("submit", (event) => {
  if ("leaves" in event.target.dataset) sessionStorage.clear();
});
