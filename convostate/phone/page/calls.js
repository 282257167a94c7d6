// Calls: placing one, the keypad, speaking, and hanging up.

import { act } from "./server.js";
import { $, el } from "./view.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const WAITS = {
  Gather: "The app waits for keys or speech.",
  Record: "The app records what is said.",
};

export function startCalls(page) {
  const doing = (action, told = {}) => act(action, { phone: page.phone, ...told });
  $("keypad").replaceChildren(
    ...KEYS.map((key) =>
      el("button", { type: "button", class: "key", text: key, onclick: () => doing("press", { keys: key }) }),
    ),
  );
  $("call").addEventListener("click", () => doing("call"));
  $("hang-up").addEventListener("click", () => doing("hang-up"));
  $("keep-silent").addEventListener("click", () => doing("wait"));
  $("speech").addEventListener("submit", (event) => {
    event.preventDefault();
    const words = $("words").value.trim();
    $("words").value = "";
    if (words) doing("say", { words });
    else $("words").focus();
  });
}

export function showCalls(page) {
  const call = page.seen.calls[page.phone] ?? { waits: "", rings: false };
  $("on-call").hidden = !call.waits;
  $("call").hidden = Boolean(call.waits);
  $("call").textContent = call.rings ? "Answer the call" : "Call";
  $("call").classList.toggle("primary", call.rings);
  $("keypad").hidden = call.waits !== "Gather";
  const said = WAITS[call.waits] ?? `The call is in <${call.waits}>, which is not simulated.`;
  if ($("on-call-waits").textContent !== said) $("on-call-waits").textContent = said;
}
