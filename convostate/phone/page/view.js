// Making elements, and saying times and sizes. Text is always set as text, never as HTML.

export const $ = (id) => document.getElementById(id);

/** Make an element: attributes by name, `class`, `text`, and listeners as `onclick` functions. */
export function el(tag, facts = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(facts)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name === "class") made.className = value;
    else if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hour12: false });
const exact = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false,
});
const day = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric", month: "short" });

const at = (format) => (seconds) => format.format(new Date(seconds * 1000));
export const sayTime = at(time);
export const sayExact = at(exact);
export const sayDay = at(day);
export const sayNumber = (number) => number.toLocaleString("en-US");

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

/** A span of time in its two largest units: 3 h 59 min. */
export function saySpan(seconds) {
  let left = Math.max(0, Math.round(seconds));
  const words = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count || words.length) words.push(`${count} ${unit}`);
    if (words.length === 2) break;
  }
  return words.filter((word) => !word.startsWith("0 ")).join(" ") || "0 s";
}

/** A number as people read it: +1 555 010 0001. */
export function sayPhone(number) {
  const parts = /^((?:[a-z]+:)?)\+1(\d{3})(\d{3})(\d{4})$/.exec(number);
  return parts ? `${parts[1]}+1 ${parts[2]} ${parts[3]} ${parts[4]}` : number;
}

let quiet;
/** Say something for a while, to ears as well. */
export function toast(text) {
  const shown = $("toast");
  shown.textContent = text;
  shown.hidden = false;
  clearTimeout(quiet);
  quiet = setTimeout(() => (shown.hidden = true), 6000);
}
