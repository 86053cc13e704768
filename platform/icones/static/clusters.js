// Groups of look-alikes: the number on the button follows the ticks, the magnifier shows a picture large, arrows move
// between pictures, and a letter goes to the search box. Without this file all of it works by links and the form alone.

const OFF = "icones-keys-off"; // as in tag.js

const grid = () => document.querySelector(".cluster-grid");
const ticks = () => [...(grid()?.querySelectorAll("input[type=checkbox]") ?? [])];

function count() {
  const number = document.querySelector("[data-ticked]");
  if (!number) return;
  const n = ticks().filter((tick) => tick.checked).length;
  number.textContent = n;
  number.closest("button").disabled = n === 0;
}
document.addEventListener("change", (event) => event.target.matches?.(".cluster-grid input") && count());
addEventListener("pageshow", count); // browsers bring ticks back on the way back

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-zoom]");
  const dialog = document.getElementById("close-look");
  if (!link || !dialog || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const title = link.closest("li").querySelector("input").getAttribute("aria-label");
  const picture = dialog.querySelector("img");
  picture.src = link.dataset.zoom;
  picture.alt = title;
  dialog.querySelector("p").textContent = title;
  dialog.querySelector("a").href = link.href;
  dialog.showModal();
});

/** The tick left, right, above or below this one. */
function neighbour(tick, key) {
  const all = ticks();
  const at = all.indexOf(tick);
  if (key === "ArrowRight") return all[at + 1];
  if (key === "ArrowLeft") return all[at - 1];
  const own = tick.getBoundingClientRect();
  const column = all.filter((one) => Math.abs(one.getBoundingClientRect().left - own.left) < 2);
  return column[column.indexOf(tick) + (key === "ArrowDown" ? 1 : -1)];
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (document.querySelector("dialog[open]")) return;
  const target = event.target;
  if (target.matches?.(".cluster-grid input") && event.key.startsWith("Arrow")) {
    event.preventDefault();
    return neighbour(target, event.key)?.focus();
  }
  if (target.closest?.("input:not([type=radio], [type=checkbox]), textarea, select")) return;
  if (localStorage.getItem(OFF) !== "yes" && /^\p{L}$/u.test(event.key)) {
    document.getElementById("taxon-search")?.focus(); // the letter itself lands there
  }
});

// The second click of a double click may come down when the next group stands there already: it must not name that one.
document.addEventListener("click", (event) => {
  if (event.detail < 2 || !event.target.closest?.("#clusters button[type=submit]")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
}, { capture: true });
