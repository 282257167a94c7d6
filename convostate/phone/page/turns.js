// The turns of the selected phone: the state after each, its changes, and the reply.

import { $, el, sayExact } from "./view.js";

let drawn = "";

export function startTurns(page, choose) {
  $("turn-list").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) choose(Number(button.dataset.number));
  });
  const step = (by) => () => {
    const turns = page.seen.phones[page.phone].turns;
    const index = turns.findIndex((turn) => turn.number === chosen(page)?.number) + by;
    if (turns[index]) choose(index === turns.length - 1 ? null : turns[index].number);
  };
  $("turn-back").addEventListener("click", step(-1));
  $("turn-on").addEventListener("click", step(1));
}

function chosen(page) {
  const turns = page.seen.phones[page.phone].turns;
  return turns.find((turn) => turn.number === page.turn) ?? turns.at(-1);
}

export function showTurns(page) {
  const turns = page.seen.phones[page.phone].turns;
  const turn = chosen(page);
  const what = JSON.stringify([page.phone, turns.length, turn]);
  if (what === drawn) return;
  drawn = what;
  $("turn-back").disabled = !turn || turn === turns[0];
  $("turn-on").disabled = !turn || turn === turns.at(-1);
  $("turn-list").replaceChildren(...turns.map((each) => pill(each, each === turn)));
  const list = $("turn-list");
  const current = list.querySelector("[aria-current]");
  if (current) list.scrollLeft = current.offsetLeft - list.clientWidth / 2;
  const opened = $("turn").querySelector("details.reply")?.open ?? false;
  $("turn").replaceChildren(...(turn ? details(turn, page.seen.store, opened) : [nothing()]));
}

function pill(turn, current) {
  const failed = turn.errors.length > 0;
  return el(
    "li",
    {},
    el("button", {
      type: "button",
      class: failed ? "pill failed" : "pill",
      "data-number": turn.number,
      "aria-current": current ? "true" : null,
      "aria-label": `Turn ${turn.number}${failed ? ", failed" : ""}`,
      text: String(turn.number),
    }),
  );
}

function nothing() {
  return el("p", {
    class: "nothing quiet",
    text: "Each text is a turn. After it, this shows the state of your app and marks its changes.",
  });
}

function details(turn, store, opened) {
  const failed = turn.errors.map((error) => `Twilio ${error.code} ${error.text}`.trim());
  return [
    el(
      "div",
      { class: "turn-head" },
      el("h3", { class: "turn-said", text: turn.body || "(media)" }),
      el(
        "p",
        { class: "quiet fine" },
        el("span", { class: "numbers", text: `Turn ${turn.number} · ${sayExact(turn.at)}` }),
        ...turn.how.map((how) => el("span", { class: "tag", text: how })),
        ...failed.map((text) => el("span", { class: "tag tag-alarm", text })),
      ),
    ),
    turn.explanation ? explanation(turn.explanation) : null,
    turn.traceback ? traceback(turn) : null,
    store ? state(turn) : null,
    turn.log.length ? log(turn.log) : null,
    statuses(turn.statuses),
    turn.exchanges.length ? reply(turn, opened) : null,
  ].filter(Boolean);
}

function explanation(text) {
  return el(
    "div",
    { class: "alarm", id: "explanation" },
    el("strong", { text: "The signature was refused" }),
    el("p", { text: `${text[0].toUpperCase()}${text.slice(1)}.` }),
    el("p", {
      class: "fine",
      text: "The app's log has the same message, at most once a minute. The sender gets an empty 403.",
    }),
  );
}

function traceback(turn) {
  return el(
    "div",
    { class: "alarm", id: "traceback" },
    el("strong", { text: turn.raised }),
    el("pre", { tabindex: "0", "aria-label": "Traceback", text: turn.traceback }),
  );
}

function state(turn) {
  const rows = turn.rows.map(row);
  return el(
    "div",
    { class: "state-box" },
    turn.verdict ? el("p", { class: "verdict", text: turn.verdict }) : null,
    rows.length
      ? el("ul", { class: "rows", id: "rows", "aria-label": "State after this turn" }, ...rows)
      : el("p", { class: "nothing quiet", text: "The state is empty." }),
  );
}

const MARKS = { added: "new", changed: "changed", removed: "gone" };

function row(fact) {
  const mark = MARKS[fact.mark];
  const value = el(
    "span",
    { class: "row-value" },
    fact.mark === "changed" && fact.was ? el("del", { text: fact.was }) : null,
    el(fact.mark === "removed" ? "del" : "span", { class: "value", text: fact.text }),
    el("small", { class: "type", text: fact.type }),
  );
  return el(
    "li",
    { class: `row ${fact.mark} depth-${Math.min(fact.depth, 6)}` },
    el("span", { class: "row-key", text: fact.key }),
    value,
    mark ? el("span", { class: "mark", text: mark }) : null,
  );
}

function log(lines) {
  return el(
    "div",
    { class: "log-box" },
    el("h3", { text: "Log" }),
    el("ul", { class: "log" }, ...lines.map((text) => el("li", { text }))),
  );
}

function statuses(list) {
  if (!list.length) return null;
  return el(
    "div",
    { class: "log-box" },
    el("h3", { text: "Message statuses" }),
    el(
      "ul",
      { class: "log" },
      ...list.map((each) => el("li", { text: `${each.status}: the app answered ${each.answered}` })),
    ),
  );
}

function reply(turn, opened) {
  return el(
    "details",
    { class: "reply", open: opened },
    el("summary", { text: "TwiML and headers" }),
    ...turn.exchanges.map((exchange) =>
      el(
        "div",
        { class: "exchange" },
        el(
          "p",
          { class: "exchange-line" },
          el("span", { class: exchange.status >= 400 || !exchange.status ? "code bad" : "code", text: exchange.status ? String(exchange.status) : "none" }),
          el("span", { class: "mono", text: `${exchange.method} ${exchange.url}` }),
        ),
        exchange.body ? el("pre", { class: "twiml", tabindex: "0", "aria-label": "TwiML", text: exchange.body }) : null,
        el(
          "dl",
          { class: "headers" },
          ...exchange.headers.flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { text: value })]),
        ),
      ),
    ),
  );
}
