// The clock, which ticks and can be moved.

import { act } from "./server.js";
import { $, sayDay, sayExact, saySpan } from "./view.js";

let ahead = 0; // how many seconds the simulated time is ahead of this machine's
let drawnAt = "";

export const now = () => Date.now() / 1000 + ahead;

export function startClock(page) {
  for (const button of document.querySelectorAll("[data-seconds]")) {
    button.addEventListener("click", () =>
      act("move-clock", { seconds: Number(button.dataset.seconds) }),
    );
  }
  for (const button of document.querySelectorAll("[data-edge]")) {
    button.addEventListener("click", () =>
      act("move-clock-to", { phone: page.phone, edge: button.dataset.edge }),
    );
  }
  $("clock-now").addEventListener("click", () => act("move-clock-to", { edge: "now" }));
  setInterval(() => page.seen && draw(), 1000);
}

export function showClock(page) {
  ahead = page.seen.now - Date.now() / 1000;
  const stored = page.seen.stored[page.phone];
  for (const button of document.querySelectorAll("[data-edge]")) {
    button.disabled = !stored?.in_progress;
  }
  draw();
}

function draw() {
  const time = now();
  const moved = Math.abs(ahead) > 5;
  const shown = sayExact(time);
  if (shown !== drawnAt) $("clock-time").textContent = drawnAt = shown;
  $("clock-now").hidden = !moved;
  const direction = ahead > 0 ? "ahead of" : "behind";
  $("clock-offset").textContent = moved
    ? `${sayDay(time)} · ${saySpan(Math.abs(ahead))} ${direction} the real time`
    : `${sayDay(time)} · the real time`;
}
