// Requests to the server: its data, and actions.

import { toast } from "./view.js";

const wait = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));
let mark = "";
let request = new AbortController();

/** Load the data again at once, after a change that the server does not report, such as an expiry. */
export function lookAgain() {
  mark = "";
  request.abort();
}

/** Load the data whenever it changes, for ever, and call `show` with it, or `fail` with the reason. */
export async function look(show, fail) {
  let failures = 0;
  for (;;) {
    request = new AbortController();
    try {
      const response = await fetch(`look?seen=${encodeURIComponent(mark)}`, { signal: request.signal });
      const data = await response.json();
      if (response.status === 403) fail(data.error);
      if (!response.ok) throw new Error(data.error);
      failures = 0;
      if (data.broken && data.mark === mark) await wait(700);
      mark = data.mark;
      show(data);
    } catch (error) {
      if (error.name === "AbortError") continue;
      // A reload takes a moment: only a longer failure is shown.
      if (++failures > 3 && error instanceof TypeError) fail("");
      await wait(Math.min(200 * failures, 2000));
    }
  }
}

/** Send an action. Returns the response, or null if it was refused; then `refuse` gets the reason. */
export async function act(action, values = {}, refuse = toast) {
  try {
    const response = await fetch(`do/${action}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(values),
    });
    const data = await response.json();
    if (response.ok) return data;
    refuse(data.error);
  } catch {
    refuse("The phone's server does not answer. Is it still running?");
  }
  return null;
}
