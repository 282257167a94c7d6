// Talking to the server: what there is to see, and what is to be done.

import { toast } from "./view.js";

const wait = (milliseconds) => new Promise((resume) => setTimeout(resume, milliseconds));
let mark = "";
let looking = new AbortController();

/** Have the next look answered at once: something has changed that nobody tells of, such as the time. */
export function lookAgain() {
  mark = "";
  looking.abort();
}

/** Look for ever: `show` gets everything there is, each time that it has changed; `lose` why not. */
export async function look(show, lose) {
  let misses = 0;
  for (;;) {
    looking = new AbortController();
    try {
      const answer = await fetch(`look?seen=${encodeURIComponent(mark)}`, { signal: looking.signal });
      const seen = await answer.json();
      if (answer.status === 403) lose(seen.trouble);
      if (!answer.ok) throw new Error(seen.trouble);
      misses = 0;
      if (seen.broken && seen.mark === mark) await wait(700);
      mark = seen.mark;
      show(seen);
    } catch (error) {
      if (error.name === "AbortError") continue;
      // A reload takes a moment; only a longer silence is worth a word.
      if (++misses > 3 && error instanceof TypeError) lose("");
      await wait(Math.min(200 * misses, 2000));
    }
  }
}

/** Do something; its answer, or null where it was refused, which is then said. */
export async function act(action, told = {}, refuse = toast) {
  try {
    const answer = await fetch(`do/${action}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(told),
    });
    const said = await answer.json();
    if (answer.ok) return said;
    refuse(said.trouble);
  } catch {
    refuse("The phone's server does not answer. Is it still running?");
  }
  return null;
}
