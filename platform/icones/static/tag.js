// Keyboard shortcuts: a key presses the button that carries it (data-key="n"). The list of keys (dialog#keys) tells them
// and can turn them off (WCAG 2.1.4); the choice stays in this browser. Modified keys and typing are never touched.

const OFF = "icones-keys-off";

const isOff = () => localStorage.getItem(OFF) === "yes";
const isTyping = (target) => target.closest?.("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]");
const visible = (element) => element.getClientRects().length > 0 && !element.disabled;

function press(key) {
  const matches = [...document.querySelectorAll(`[data-key="${CSS.escape(key)}"]`)].filter(visible);
  if (matches.length === 0) return false;
  const element = matches[0];
  if (element.matches("input:not([type=radio], [type=checkbox]), textarea")) element.focus();
  else element.click();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (isOff() || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  if (press(event.key.toLowerCase())) event.preventDefault();
});

/** Fill the list of keys from what the page offers now. */
function list(dialog) {
  const rows = dialog.querySelector("dl");
  rows.replaceChildren();
  for (const element of document.querySelectorAll("[data-key]")) {
    if (!visible(element)) continue;
    const term = document.createElement("dt");
    const key = document.createElement("kbd");
    key.textContent = element.dataset.key;
    term.append(key);
    const what = document.createElement("dd");
    what.textContent = element.dataset.keyLabel ?? element.getAttribute("aria-label") ?? element.textContent.trim();
    rows.append(term, what);
  }
}

document.addEventListener("click", (event) => {
  if (!event.target.closest?.("[data-opens-keys]")) return;
  const dialog = document.getElementById("keys");
  if (!dialog) return;
  list(dialog);
  dialog.querySelector("[data-keys-on]").checked = !isOff();
  dialog.showModal();
});
document.addEventListener("change", (event) => {
  if (!event.target.matches?.("[data-keys-on]")) return;
  if (event.target.checked) localStorage.removeItem(OFF);
  else localStorage.setItem(OFF, "yes");
});

// The second click of a double click may come down when the next figure stands there already: it must not name that one.
document.addEventListener("click", (event) => {
  if (event.detail < 2 || !event.target.closest?.("#tag button[type=submit], #review button[type=submit]")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, { capture: true });
