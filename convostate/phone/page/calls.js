// Calls: place one, press keys, speak, hang up.

import { act } from "./server.js";
import { $, el } from "./view.js";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
const WAITS = {
  Gather: "The app waits for keys or speech.",
  Record: "The app records your words.",
};

export function startCalls(page) {
  const send = (action, values = {}) => act(action, { phone: page.phone, ...values });
  $("keypad").replaceChildren(
    ...KEYS.map((key) =>
      el("button", { type: "button", class: "key", text: key, onclick: () => send("press", { keys: key }) }),
    ),
  );
  $("call").addEventListener("click", () => send("call"));
  $("hang-up").addEventListener("click", () => send("hang-up"));
  $("keep-silent").addEventListener("click", () => send("wait"));
  $("speech").addEventListener("submit", (event) => {
    event.preventDefault();
    const words = $("words").value.trim();
    $("words").value = "";
    if (words) send("say", { words });
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
  const hint = WAITS[call.waits] ?? `The call is in <${call.waits}>, which is not simulated.`;
  if ($("on-call-waits").textContent !== hint) $("on-call-waits").textContent = hint;
}
