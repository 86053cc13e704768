// What every page needs: words when the network fails, unfolded parts that stay unfolded, forms that are sent once.
// Pages work without this file.

const root = document.documentElement;

/** Show a message in the page's message area, in the words that base.html brought along. */
function say(template) {
  const area = document.getElementById("messages");
  const words = document.getElementById(template);
  if (area && words) area.replaceChildren(words.content.cloneNode(true));
}

document.addEventListener("htmx:sendError", () => say("words-offline"));
document.addEventListener("htmx:timeout", () => say("words-offline"));
document.addEventListener("htmx:swapError", () => say("words-broken"));

// A fragment that is swapped under an unfolded <details id=...> comes back folded: unfold it again.
const unfolded = new Set();
document.addEventListener("htmx:beforeSwap", (event) => {
  for (const part of event.detail.target?.querySelectorAll?.("details[id][open]") ?? []) unfolded.add(part.id);
});
document.addEventListener("htmx:load", () => {
  for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
  unfolded.clear();
});

// A form that was sent is not sent again while it waits: the server would notice (submission id), people need not.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.hasAttribute("hx-post") || form.hasAttribute("data-hx-post") || form.method === "get") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// Menus close on Escape and on a click elsewhere.
document.addEventListener("keydown", (event) => {
  const open = event.key === "Escape" && document.querySelector("details.menu[open]");
  if (!open) return;
  open.removeAttribute("open");
  open.querySelector("summary").focus();
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.removeAttribute("open");
  }
  event.target.closest?.("[data-dismiss]")?.closest(".message")?.remove();
});

root.classList.add("has-script");
