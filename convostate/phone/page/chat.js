// The conversation of the chosen phone, as bubbles. What is there stays, so that only news is read out.

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
  // What is below may open or grow: the last words stay in sight.
  new ResizeObserver(() => atEnd && (scroll.scrollTop = scroll.scrollHeight)).observe(scroll);
}

const isAtEnd = (scroll) => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < 40;

export function showChat(page) {
  const phone = page.seen.phones[page.phone];
  const list = $("timeline");
  // Entries are only added, unless the server was started anew and knows nothing of them.
  const isAnother = (phone.entries.at(-1)?.n ?? -1) < Math.max(-1, ...drawn.keys());
  if (shown !== phone.id || isAnother) {
    shown = phone.id;
    atEnd = true;
    drawn = new Map();
    // A whole conversation that comes up at once is not news.
    $("log").setAttribute("aria-live", "off");
    list.replaceChildren();
    requestAnimationFrame(() => $("log").setAttribute("aria-live", "polite"));
    $("chat-number").textContent = sayPhone(phone.number);
    $("chat-texting").textContent = sayPhone(phone.texting);
    $("chat-avatar").textContent = initials(phone);
    $("chat-avatar").className = `avatar ${colour(phone)}`;
    document.title = `${sayPhone(phone.number)} · convostate phone`;
  }
  $("opted-out").hidden = !page.seen.kept[page.phone]?.opted_out;
  $("cookie-trouble").disabled = page.seen.server_side || !page.seen.store;
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
    const what = JSON.stringify(entry);
    const known = drawn.get(entry.n);
    if (known?.[0] === what) continue;
    const made = entry.kind === "note" ? note(entry) : bubble(entry);
    if (known) known[1].replaceWith(made);
    else list.append(made);
    added ||= !known;
    drawn.set(entry.n, [what, made]);
  }
  if (added && atEnd) scroll.scrollTop = scroll.scrollHeight;
}

function note(entry) {
  const what = entry.clock ? `${entry.text} · ${sayTime(entry.at)}` : entry.text;
  return el("li", { class: entry.clock ? "note note-clock" : "note" }, el("span", { text: what }));
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

/** What was said; where a turn came of it, a way to that. */
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

/** Media are linked, not loaded: this page fetches nothing from elsewhere. */
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
    // It is shown as it is written.
  }
  const words = [
    el("span", { class: "media-icon", "aria-hidden": "true", text: "▣" }),
    el("span", { class: "media-words" }, el("span", { text: name }), el("small", { text: host })),
  ];
  return safe
    ? el("a", { class: "media", href: url, target: "_blank", rel: "noopener noreferrer" }, ...words)
    : el("span", { class: "media" }, ...words);
}
