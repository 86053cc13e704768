// The taxon search box as a combobox (WAI-ARIA pattern, list with manual selection). htmx fetches the list
// (role=listbox with role=option, data-value, data-label); here are the keys, the choice, and what screen readers hear.
// Without this file the form's own button looks the typed name up.

const list = (input) => document.getElementById(input.getAttribute("aria-controls"));
const optionsOf = (input) => [...list(input).querySelectorAll("[role=option]:not([aria-disabled])")];
const activeOf = (input) => document.getElementById(input.getAttribute("aria-activedescendant") ?? "");

function activate(input, option) {
  for (const each of optionsOf(input)) each.setAttribute("aria-selected", String(each === option));
  if (option) {
    input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  } else {
    input.removeAttribute("aria-activedescendant");
  }
}

function close(input) {
  list(input).hidden = true;
  input.setAttribute("aria-expanded", "false");
  activate(input, null);
}

function open(input) {
  if (!list(input).firstElementChild) return;
  list(input).hidden = false;
  input.setAttribute("aria-expanded", "true");
}

/** Take the option: its label into the box, its value into the hidden field, and send the form if it asks for that. */
function choose(input, option) {
  const form = input.form;
  form.elements[input.dataset.value].value = option.dataset.value;
  input.value = option.dataset.label;
  close(input);
  input.dispatchEvent(new CustomEvent("taxon-chosen", { bubbles: true, detail: { ...option.dataset } }));
  if (input.hasAttribute("data-submit")) form.requestSubmit();
}

const KEYS = {
  ArrowDown: (input, all, at) => { open(input); activate(input, all[(at + 1) % all.length]); },
  ArrowUp: (input, all, at) => { open(input); activate(input, all[(at <= 0 ? all.length : at) - 1]); },
  Enter: (input, all, at) => choose(input, all[at]),
};

document.addEventListener("keydown", (event) => {
  const input = event.target;
  if (!input.matches?.("[role=combobox]")) return;
  const all = optionsOf(input);
  const at = all.indexOf(activeOf(input));
  if (event.key === "Escape") {
    if (list(input).hidden) input.value = "";
    close(input);
    event.preventDefault();
  } else if (KEYS[event.key] && all.length && !(event.key === "Enter" && at < 0)) {
    KEYS[event.key](input, all, at);
    event.preventDefault();
  }
});

// Typing makes an earlier choice void: what is sent is what was chosen, or the typed words.
document.addEventListener("input", (event) => {
  const input = event.target;
  if (!input.matches?.("[role=combobox]")) return;
  input.form.elements[input.dataset.value].value = "";
  if (input.value.trim() === "") close(input);
});

document.addEventListener("htmx:afterSwap", (event) => {
  const id = event.detail.target?.id;
  const input = id && document.querySelector(`[role=combobox][aria-controls="${CSS.escape(id)}"]`);
  if (!input || document.activeElement !== input || input.value.trim() === "") return;
  open(input);
});

document.addEventListener("mousedown", (event) => {
  if (event.target.closest?.("[role=listbox]")) event.preventDefault(); // keeps the focus in the box
});
document.addEventListener("click", (event) => {
  const option = event.target.closest?.("[role=option]:not([aria-disabled])");
  const input = option && document.querySelector(`[role=combobox][aria-controls="${CSS.escape(option.closest(".combobox-list").id)}"]`);
  if (input) choose(input, option);
});
document.addEventListener("focusout", (event) => {
  if (event.target.matches?.("[role=combobox]")) close(event.target);
});
