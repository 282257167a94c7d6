// The page's dialog.

import { $, el } from "./view.js";

/**
 * Ask for some fields and call `act` with their values; the dialog stays open while `act` refuses them.
 * A field is {name, label, value}, or {name, label, options: [[value, label]]} for a choice.
 * Returns the result of `act`, or null if the dialog was cancelled.
 */
export function ask({ title, text, fields, ok, act }) {
  const dialog = $("dialog");
  const form = $("dialog-form");
  $("dialog-title").textContent = title;
  $("dialog-text").textContent = text;
  $("dialog-ok").textContent = ok;
  $("dialog-error").textContent = "";
  $("dialog-fields").replaceChildren(...fields.map(field));
  return new Promise((resolve) => {
    let result = null;
    const refuse = (reason) => ($("dialog-error").textContent = reason);
    form.onsubmit = async (event) => {
      event.preventDefault();
      const values = Object.fromEntries(new FormData(form));
      $("dialog-ok").disabled = true;
      result = await act(values, refuse);
      $("dialog-ok").disabled = false;
      if (result) dialog.close();
    };
    $("dialog-cancel").onclick = () => dialog.close();
    dialog.onclose = () => resolve(result);
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
