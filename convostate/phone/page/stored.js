// The stored state of the selected phone's conversation: where, how large, for how long.

import { now } from "./clock.js";
import { showLater } from "./later.js";
import { $, el, sayDay, sayNumber, saySpan, sayTime } from "./view.js";

const PLACES = { cookie: "Twilio's cookie", memory: "in memory", redis: "Redis" };
const LOST = {
  expired: "has expired.",
  forged: "does not open here: it was sealed for another pair of numbers, or changed on the way.",
  malformed: "is not a sealed state.",
  "unknown-key": "was sealed with a key that the app does not have.",
  version: "is of a version that the app does not know.",
};

/** Why the stored state does not open, and the consequence. */
function lost(stored) {
  const what = stored.where === "cookie" ? "Twilio's cookie" : "The state in the store";
  const after = `The next text begins a new conversation, and state.lost says “${stored.lost}”.`;
  return `${what} ${LOST[stored.lost] ?? "does not open."} ${after}`;
}

let drawn = "";
let wasAlive = false;

export function showStored(page) {
  const stored = page.seen.stored[page.phone];
  const what = JSON.stringify([page.phone, stored, page.seen.store]);
  if (what === drawn) return;
  drawn = what;
  const place = PLACES[page.seen.store] ?? page.seen.store;
  $("store-tag").textContent = place || "not wrapped";
  $("stored").replaceChildren(...(place ? facts(stored) : [unwrapped(page.seen.app)]));
  wasAlive = Boolean(stored.in_progress);
  tickStored(page);
}

/** Update the remaining time, and return whether it has just run out. */
export function tickStored(page) {
  const stored = page.seen.stored[page.phone];
  const left = $("stored-left");
  if (!stored?.in_progress || !left) return false;
  const seconds = stored.expires_at - now();
  left.textContent = seconds > 0 ? `${saySpan(seconds)} left` : "expired";
  const gone = seconds <= 0 && wasAlive;
  if (gone) wasAlive = false;
  return gone;
}

function facts(stored) {
  const shown = [];
  if (stored.error) shown.push(el("p", { class: "alarm", text: stored.error }));
  if (stored.lost) shown.push(el("p", { class: "alarm", text: lost(stored) }));
  if (!stored.in_progress && !stored.error && !stored.lost) {
    shown.push(el("p", { class: "nothing quiet", text: "Nothing. The next text begins a conversation." }));
  }
  if (stored.in_progress) shown.push(lifetime(stored));
  if (stored.size_bytes) shown.push(size(stored));
  if (stored.waiting !== null) shown.push(queue(stored));
  if (stored.later) shown.push(showLater(stored.later));
  return shown;
}

function lifetime(stored) {
  return el(
    "div",
    { class: "fact" },
    el("div", { class: "fact-big", id: "stored-left" }),
    el("p", {
      class: "quiet",
      text: `began ${sayTime(stored.started_at)} · ends ${sayDay(stored.expires_at)}, ${sayTime(stored.expires_at)}`,
    }),
  );
}

function size(stored) {
  const of = stored.limit_bytes ? ` of ${sayNumber(stored.limit_bytes)} bytes` : " bytes, sealed";
  const words = el(
    "p",
    { class: "fact-line" },
    el("span", { text: stored.limit_bytes ? "Cookie" : "State" }),
    el("span", { class: "numbers", id: "stored-size", text: `${sayNumber(stored.size_bytes)}${of}` }),
  );
  if (!stored.limit_bytes) return el("div", { class: "fact" }, words);
  const meter = el("meter", {
    min: 0,
    max: stored.limit_bytes,
    low: stored.limit_bytes * 0.6,
    high: stored.limit_bytes * 0.85,
    optimum: 0,
    value: stored.size_bytes,
    "aria-label": "Size of the cookie",
  });
  return el("div", { class: "fact" }, words, meter);
}

function queue(stored) {
  const lease = stored.lease_s === null ? "free" : `held, ${Math.ceil(stored.lease_s)} s left`;
  const waiting = stored.waiting === 1 ? "1 text waits" : `${stored.waiting} texts wait`;
  return el(
    "div",
    { class: "fact" },
    el(
      "p",
      { class: "fact-line" },
      el("span", { text: "Lease" }),
      el("span", { class: "numbers", id: "stored-lease", text: stored.waiting ? `${lease} · ${waiting}` : lease }),
    ),
  );
}

function unwrapped(app) {
  return el(
    "div",
    { class: "nothing" },
    el("p", { text: "This app is not wrapped, so it has no state and accepts any signature." }),
    el("p", { class: "quiet" }, "To try it wrapped: ", el("code", { text: `convostate phone --wrap ${app}` })),
  );
}
