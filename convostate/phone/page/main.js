// The page: one phone is selected, and one of its turns is shown.

import { startCalls, showCalls } from "./calls.js";
import { startChat, showChat } from "./chat.js";
import { startClock, showClock } from "./clock.js";
import { startCompose } from "./compose.js";
import { showPhones, startPhones } from "./phones.js";
import { look, lookAgain } from "./server.js";
import { showStored, tickStored } from "./stored.js";
import { showTurns, startTurns } from "./turns.js";
import { $ } from "./view.js";

/** The state of the page: the server's latest data, and what is selected. */
const page = { seen: null, wanted: 0, phone: 0, turn: null, read: {} };

function show(seen) {
  if (seen.broken) {
    complain(`${seen.app} does not load`, seen.broken);
    $("app-name").textContent = seen.app;
    return;
  }
  complain("", "");
  page.seen = seen;
  findPhone();
  $("app-name").textContent = seen.app + (seen.wrapped ? " (wrapped for now)" : "");
  $("start").hidden = !seen.starts;
  redraw();
}

/** The data may not contain a phone that has just been added: until then the last one is selected. */
function findPhone() {
  page.phone = Math.min(page.wanted, page.seen.phones.length - 1);
}

function redraw() {
  if (!page.seen) return;
  showChat(page);
  showCalls(page);
  showPhones(page);
  showStored(page);
  showTurns(page);
  showClock(page);
}

function complain(title, text) {
  $("banner").hidden = !title;
  $("banner-title").textContent = title;
  if ($("banner-text").textContent !== text) $("banner-text").textContent = text;
}

function choosePane(pane) {
  document.body.dataset.pane = pane;
  for (const tab of document.querySelectorAll(".tabs button")) {
    if (tab.dataset.pane === pane) tab.setAttribute("aria-current", "true");
    else tab.removeAttribute("aria-current");
  }
}

function choosePhone(phone) {
  page.wanted = phone;
  page.turn = null;
  findPhone();
  choosePane("chat");
  redraw();
}

function chooseTurn(turn) {
  page.turn = turn;
  redraw();
}

/** Show a turn and, on a small screen, its pane. */
function openTurn(turn) {
  chooseTurn(turn);
  choosePane("state");
}

for (const tab of document.querySelectorAll(".tabs button")) {
  tab.addEventListener("click", () => choosePane(tab.dataset.pane));
}
startCalls(page);
startChat(openTurn);
startClock(page);
startCompose(page);
startPhones(page, choosePhone);
startTurns(page, chooseTurn);
setInterval(() => {
  if (page.seen && tickStored(page)) lookAgain();
}, 1000);
look(show, (refused) => {
  if (refused) complain("This page is no longer open", refused);
  else complain("The phone's server does not answer", "Is it still running? This page goes on when it does.");
});
