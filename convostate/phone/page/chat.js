// The selected phone's conversation as bubbles. Existing bubbles stay, so that only new ones are read out.

import { colour, initials } from "./phones.js";
import { $, el, sayExact, sayPhone, sayTime } from "./view.js";

let shown = null; // the phone whose bubbles are drawn
let drawn = new Map(); // entry number → [its JSON, its element]
let open = () => {};
let atEnd = true;

export function startChat(openTurn) {
  open = openTurn;
  const scroll = $("timeline-scroll");
  scroll.addEventListener("scroll", () => (atEnd = isAtEnd(scroll)));
  // The panel below may open or grow: the last bubble stays visible.
  new ResizeObserver(() => atEnd && (scroll.scrollTop = scroll.scrollHeight)).observe(scroll);
}

const isAtEnd = (scroll) => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;

export function showChat(page) {
  const phone = page.seen.phones[page.phone];
  const list = $("timeline");
  // Entries are only added, unless the server was restarted and has lost them.
  const isAnother = (phone.entries.at(-1)?.n ?? -1) < Math.max(-1, ...drawn.keys());
  if (shown !== phone.id || isAnother) {
    shown = phone.id;
    atEnd = true;
    drawn = new Map();
    // A whole conversation that appears at once is not read out.
    $("log").setAttribute("aria-live", "off");
    list.replaceChildren();
    requestAnimationFrame(() => $("log").setAttribute("aria-live", "polite"));
    $("chat-number").textContent = sayPhone(phone.number);
    $("chat-texting").textContent = sayPhone(phone.texting);
    $("chat-avatar").textContent = initials(phone);
    $("chat-avatar").className = `avatar ${colour(phone)}`;
    document.title = `${sayPhone(phone.number)} · convostate phone`;
  }
  $("opted-out").hidden = !page.seen.stored[page.phone]?.opted_out;
  $("cookie-faults").disabled = page.seen.server_side || !page.seen.store;
  $("empty").hidden = phone.entries.length > 0;
  drawEntries(list, phone);
  const looked = String(page.turn ?? phone.turns.at(-1)?.number ?? "");
  for (const bubble of list.querySelectorAll("[data-turn]")) {
    bubble.classList.toggle("looked-at", bubble.dataset.turn === looked);
  }
}

function drawEntries(list, phone) {
  const scroll = $("timeline-scroll");
  let added = false;
  for (const entry of phone.entries) {
    const json = JSON.stringify(entry);
    const before = drawn.get(entry.n);
    if (before?.[0] === json) continue;
    const element = entry.kind === "note" ? note(entry) : bubble(entry);
    if (before) before[1].replaceWith(element);
    else list.append(element);
    added ||= !before;
    drawn.set(entry.n, [json, element]);
  }
  if (added && atEnd) scroll.scrollTop = scroll.scrollHeight;
}

function note(entry) {
  const text = entry.clock ? `${entry.text} · ${sayTime(entry.at)}` : entry.text;
  return el("li", { class: entry.clock ? "note note-clock" : "note" }, el("span", { text }));
}

const VIA = { app: "Sent by the app · ", call: "By phone · ", twilio: "Answered by Twilio · " };

function bubble(entry) {
  const mine = entry.kind === "sent";
  const parts = [el("span", { class: "hidden", text: mine ? "You: " : "The app: " })];
  if (entry.body) parts.push(words(entry));
  parts.push(...entry.media.map(attachment));
  const via = VIA[entry.via] ?? "";
  const meta = el(
    "p",
    { class: `meta ${entry.delivery}` },
    el("time", { class: "numbers", text: sayTime(entry.at), title: sayExact(entry.at) }),
    el("span", { text: `${via}${entry.label}` }),
    mine && entry.delivery === "failed" && entry.turn
      ? el("button", { type: "button", class: "why", text: "Why?", onclick: () => open(entry.turn) })
      : null,
  );
  return el("li", { class: `said ${mine ? "mine" : "theirs"} ${entry.delivery}` }, ...parts, meta);
}

/** The text of a bubble; a button if there is a turn to show. */
function words(entry) {
  if (!entry.turn) return el("div", { class: "bubble", text: entry.body });
  return el("button", {
    class: "bubble",
    type: "button",
    "data-turn": entry.turn,
    title: `Look at turn ${entry.turn}`,
    text: entry.body,
    onclick: () => open(entry.turn),
  });
}

/** Media are linked, not loaded: this page loads nothing from other servers. */
function attachment(url) {
  let name = url;
  let host = "";
  let safe = false;
  try {
    const parts = new URL(url);
    safe = parts.protocol === "https:" || parts.protocol === "http:";
    name = decodeURIComponent(parts.pathname.split("/").pop()) || parts.hostname;
    host = parts.hostname;
  } catch {
    // An invalid URL is shown as text.
  }
  const parts = [
    el("span", { class: "media-icon", "aria-hidden": "true", text: "▣" }),
    el("span", { class: "media-words" }, el("span", { text: name }), el("small", { text: host })),
  ];
  return safe
    ? el("a", { class: "media", href: url, target: "_blank", rel: "noopener noreferrer" }, ...parts)
    : el("span", { class: "media" }, ...parts);
}
