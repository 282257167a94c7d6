// Asking a person for something, in the page's one dialog.

import { $, el } from "./view.js";

/**
 * Ask for some fields and do something with them; the dialog stays while that is refused.
 * A field is {name, label, value} or, to choose from, {name, label, options: [[value, label]]}.
 * Gives what `act` gave, or null where the person changed their mind.
 */
export function ask({ title, text, fields, ok, act }) {
  const dialog = $("dialog");
  const form = $("dialog-form");
  $("dialog-title").textContent = title;
  $("dialog-text").textContent = text;
  $("dialog-ok").textContent = ok;
  $("dialog-trouble").textContent = "";
  $("dialog-fields").replaceChildren(...fields.map(field));
  return new Promise((answer) => {
    let given = null;
    const refuse = (trouble) => ($("dialog-trouble").textContent = trouble);
    form.onsubmit = async (event) => {
      event.preventDefault();
      const told = Object.fromEntries(new FormData(form));
      $("dialog-ok").disabled = true;
      given = await act(told, refuse);
      $("dialog-ok").disabled = false;
      if (given) dialog.close();
    };
    $("dialog-cancel").onclick = () => dialog.close();
    dialog.onclose = () => answer(given);
    dialog.showModal();
    form.querySelector("input, select")?.select?.();
  });
}

function field({ name, label, value, options }) {
  const id = `field-${name}`;
  const input = options
    ? el(
        "select",
        { id, name },
        ...options.map(([chosen, shown]) => el("option", { value: chosen, text: shown })),
      )
    : el("input", { id, name, value, autocomplete: "off", spellcheck: "false" });
  return el("div", { class: "field" }, el("label", { for: id, text: label }), input);
}
