// Deferred texts: how many wait, are answered, were answered, or became dead letters.

import { el } from "./view.js";

const count = (number, one, many) => (number === 1 ? `1 ${one}` : `${number} ${many}`);

export function showLater(later) {
  const parts = [];
  if (later.texts) parts.push(count(later.texts, "text waits", "texts wait"));
  if (later.answering) parts.push("answer in progress");
  if (later.replies) parts.push(`${count(later.replies, "reply", "replies")} to send`);
  if (later.sent || !parts.length) parts.push(`${later.sent} sent`);
  const dead = later.dead.map(({ what, body, reason }) => el("li", { text: `${what} “${body}”: ${reason}` }));
  return el(
    "div",
    { class: "fact" },
    el(
      "p",
      { class: "fact-line" },
      el("span", { text: "Answered later" }),
      el("span", { class: "numbers", id: "stored-later", text: parts.join(" · ") }),
    ),
    dead.length
      ? el("div", { class: "alarm" }, el("strong", { text: "Dead letters" }), el("ul", { class: "log", id: "dead" }, ...dead))
      : null,
  );
}
