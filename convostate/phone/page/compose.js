// Writing texts, and simulating faults.

import { ask } from "./dialog.js";
import { act } from "./server.js";
import { $, sayPhone } from "./view.js";

export function startCompose(page) {
  const message = $("message");
  const media = $("media");

  const send = (extra = {}) => {
    const values = {
      phone: page.phone,
      body: message.value,
      media: media.value.trim() ? [media.value.trim()] : [],
    };
    message.focus();
    if (!values.body && !values.media.length) return;
    message.value = media.value = "";
    attach(false);
    grow();
    act("text", { ...values, ...extra });
  };
  const grow = () => {
    message.style.height = "auto";
    message.style.height = `${Math.min(message.scrollHeight, 140)}px`;
  };
  const attach = (open) => {
    $("attached").hidden = !open;
    $("attach").setAttribute("aria-expanded", String(open));
    if (open) media.focus();
  };

  $("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    send();
  });
  message.addEventListener("input", grow);
  message.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
  });
  $("attach").addEventListener("click", () => attach($("attached").hidden));
  $("start").addEventListener("click", () => act("start", { phone: page.phone }));
  $("send-twice").addEventListener("click", () => {
    message.value ||= "hello";
    send({ twice: true });
  });
  for (const button of document.querySelectorAll("[data-word]")) {
    button.addEventListener("click", () =>
      act("text", { phone: page.phone, body: button.dataset.word }),
    );
  }
  for (const button of document.querySelectorAll("[data-action]")) {
    button.addEventListener("click", () => act(button.dataset.action, { phone: page.phone }));
  }
  $("overlap").addEventListener("click", () => overlap(page));
  $("swap").addEventListener("click", () => swap(page));
}

function overlap(page) {
  const numbers = page.seen.phones.map((phone) => [phone.id, sayPhone(phone.number)]);
  const mine = numbers.filter(([id]) => id === page.phone);
  const others = numbers.filter(([id]) => id !== page.phone);
  return ask({
    title: "Overlap two texts",
    text: "Both are on their way before the app answers either.",
    fields: [
      { name: "first", label: "First text", value: $("message").value || "first" },
      { name: "second", label: "Second text", value: "second" },
      { name: "phone", label: "The second comes from", options: [...mine, ...others] },
    ],
    ok: "Send both",
    act: (values, refuse) => {
      $("message").value = "";
      const texts = [
        { phone: page.phone, body: values.first },
        { phone: Number(values.phone), body: values.second },
      ];
      return act("overlap", { texts }, refuse);
    },
  });
}

function swap(page) {
  const others = page.seen.phones.filter((phone) => phone.id !== page.phone);
  return ask({
    title: "Swap cookies",
    text: "Twilio will send each phone's cookie with the other one's texts.",
    fields: [
      {
        name: "other",
        label: "Swap with",
        options: others.map((phone) => [phone.id, sayPhone(phone.number)]),
      },
    ],
    ok: "Swap",
    act: (values, refuse) =>
      act("swap-cookie", { phone: page.phone, other: Number(values.other) }, refuse),
  });
}
