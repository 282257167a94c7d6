// What is kept of the chosen phone's conversation at this moment, and for how long.

import { now } from "./clock.js";
import { $, el, sayDay, sayNumber, saySpan, sayTime } from "./view.js";

const PLACES = { cookie: "Twilio's cookie", memory: "in memory", redis: "Redis" };
const LOST = {
  expired: "has expired.",
  forged: "does not open here: it was sealed for another pair of numbers, or changed on the way.",
  malformed: "is no sealed state.",
  "unknown-key": "was sealed with a key that the app does not have.",
  version: "is of a version that the app does not know.",
};

/** Why what is held does not open, and what comes of it. */
function lost(kept) {
  const holder = kept.where === "cookie" ? "Twilio" : "the store";
  const after = `The next text begins a new conversation, and state.lost says “${kept.lost}”.`;
  return `What ${holder} holds ${LOST[kept.lost] ?? "does not open."} ${after}`;
}

let drawn = "";
let wasAlive = false;

export function showKept(page) {
  const kept = page.seen.kept[page.phone];
  const what = JSON.stringify([page.phone, kept, page.seen.store]);
  if (what === drawn) return;
  drawn = what;
  const place = PLACES[page.seen.store] ?? page.seen.store;
  $("store-tag").textContent = place || "not wrapped";
  $("kept").replaceChildren(...(place ? facts(kept) : [unwrapped(page.seen.app)]));
  wasAlive = Boolean(kept.goes_on);
  tickKept(page);
}

/** Let the remaining time run down; whether it has just come to its end. */
export function tickKept(page) {
  const kept = page.seen.kept[page.phone];
  const left = $("kept-left");
  if (!kept?.goes_on || !left) return false;
  const seconds = kept.expires_at - now();
  left.textContent = seconds > 0 ? `${saySpan(seconds)} left` : "expired";
  const gone = seconds <= 0 && wasAlive;
  if (gone) wasAlive = false;
  return gone;
}

function facts(kept) {
  const shown = [];
  if (kept.trouble) shown.push(el("p", { class: "alarm", text: kept.trouble }));
  if (kept.lost) shown.push(el("p", { class: "alarm", text: lost(kept) }));
  if (!kept.goes_on && !kept.trouble && !kept.lost) {
    shown.push(el("p", { class: "nothing quiet", text: "Nothing. The next text begins a conversation." }));
  }
  if (kept.goes_on) shown.push(lifetime(kept));
  if (kept.size_bytes) shown.push(size(kept));
  if (kept.waiting !== null) shown.push(queue(kept));
  return shown;
}

function lifetime(kept) {
  return el(
    "div",
    { class: "fact" },
    el("div", { class: "fact-big", id: "kept-left" }),
    el("p", {
      class: "quiet",
      text: `began ${sayTime(kept.started_at)} · ends ${sayDay(kept.expires_at)}, ${sayTime(kept.expires_at)}`,
    }),
  );
}

function size(kept) {
  const of = kept.limit_bytes ? ` of ${sayNumber(kept.limit_bytes)} bytes` : " bytes, sealed";
  const words = el(
    "p",
    { class: "fact-line" },
    el("span", { text: kept.limit_bytes ? "Cookie" : "State" }),
    el("span", { class: "numbers", id: "kept-size", text: `${sayNumber(kept.size_bytes)}${of}` }),
  );
  if (!kept.limit_bytes) return el("div", { class: "fact" }, words);
  const meter = el("meter", {
    min: 0,
    max: kept.limit_bytes,
    low: kept.limit_bytes * 0.6,
    high: kept.limit_bytes * 0.85,
    optimum: 0,
    value: kept.size_bytes,
    "aria-label": "Size of the cookie",
  });
  return el("div", { class: "fact" }, words, meter);
}

function queue(kept) {
  const lease = kept.lease_s === null ? "free" : `held, ${Math.ceil(kept.lease_s)} s left`;
  const waiting = kept.waiting === 1 ? "1 text waits" : `${kept.waiting} texts wait`;
  return el(
    "div",
    { class: "fact" },
    el(
      "p",
      { class: "fact-line" },
      el("span", { text: "Lease" }),
      el("span", { class: "numbers", id: "kept-lease", text: kept.waiting ? `${lease} · ${waiting}` : lease }),
    ),
  );
}

function unwrapped(app) {
  return el(
    "div",
    { class: "nothing" },
    el("p", { text: "This app is not wrapped, so it has no state and takes any signature." }),
    el("p", { class: "quiet" }, "To try it wrapped: ", el("code", { text: `convostate phone --wrap ${app}` })),
  );
}
