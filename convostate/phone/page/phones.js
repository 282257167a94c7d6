// The list of phones, and adding one.

import { ask } from "./dialog.js";
import { act } from "./server.js";
import { $, el, sayPhone, sayTime } from "./view.js";

export const colour = (phone) => `hue-${phone.id % 6}`;
export const initials = (phone) => phone.number.slice(-2);

let drawn = "";

export function startPhones(page, choose) {
  $("phones").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) choose(Number(button.dataset.phone));
  });
  $("add-phone").addEventListener("click", async () => {
    const phones = page.seen.phones;
    const last = phones[phones.length - 1];
    const done = await ask({
      title: "Add a phone",
      text: "A person, and the app's number that they write to.",
      fields: [
        { name: "number", label: "Their number", value: next(phones) },
        { name: "texting", label: "The app's number", value: last.texting },
      ],
      ok: "Add",
      act: (values, refuse) => act("add-phone", values, refuse),
    });
    if (done) choose(done.done);
  });
}

/** A number that no phone has yet. */
function next(phones) {
  const taken = new Set(phones.map((phone) => phone.number));
  for (let index = 1; ; index += 1) {
    const number = `+1555010${String(index).padStart(4, "0")}`;
    if (!taken.has(number)) return number;
  }
}

export function showPhones(page) {
  const phones = page.seen.phones;
  for (const phone of phones) {
    if (phone.id === page.phone || page.read[phone.id] === undefined) {
      page.read[phone.id] = lastHeard(phone);
    }
  }
  const what = JSON.stringify([
    page.phone,
    page.read,
    phones.map((phone) => [phone.number, phone.texting, lastSaid(phone)?.n]),
  ]);
  if (what === drawn) return;
  drawn = what;
  const focused = document.activeElement?.dataset?.phone;
  $("phones").replaceChildren(...phones.map((phone) => item(phone, page)));
  if (focused !== undefined) $("phones").querySelector(`[data-phone="${focused}"]`)?.focus();
}

const lastSaid = (phone) => phone.entries.filter((entry) => entry.kind !== "note").at(-1);
const lastHeard = (phone) =>
  phone.entries.filter((entry) => entry.kind === "received").at(-1)?.n ?? -1;

function item(phone, page) {
  const last = lastSaid(phone);
  const news = phone.entries.filter(
    (entry) => entry.kind === "received" && entry.n > page.read[phone.id],
  ).length;
  const body = last ? last.body || "Media" : "No texts yet";
  return el(
    "li",
    {},
    el(
      "button",
      {
        type: "button",
        class: "phone",
        "data-phone": phone.id,
        "aria-current": phone.id === page.phone ? "true" : null,
      },
      el("span", { class: `avatar ${colour(phone)}`, "aria-hidden": "true", text: initials(phone) }),
      el(
        "span",
        { class: "phone-words" },
        el("span", { class: "phone-number numbers", text: sayPhone(phone.number) }),
        el("span", { class: "phone-last quiet", text: last?.kind === "sent" ? `You: ${body}` : body }),
      ),
      el(
        "span",
        { class: "phone-side quiet" },
        last ? el("span", { class: "numbers", text: sayTime(last.at) }) : null,
        news
          ? el("span", { class: "news", "aria-label": `${news} new`, text: String(news) })
          : null,
      ),
    ),
  );
}
