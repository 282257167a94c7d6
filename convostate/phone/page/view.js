// Elements, and the format of times and numbers. Text is always set as text, never as HTML.

export const $ = (id) => document.getElementById(id);

/** Create an element: attributes by name, `class`, `text`, and listeners as `onclick` functions. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name === "class") element.className = value;
    else if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
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

/** A phone number in groups: +1 555 010 0001. */
export function sayPhone(number) {
  const parts = /^((?:[a-z]+:)?)\+1(\d{3})(\d{3})(\d{4})$/.exec(number);
  return parts ? `${parts[1]}+1 ${parts[2]} ${parts[3]} ${parts[4]}` : number;
}

let timer;
/** Show a message for a while, and have it read out. */
export function toast(text) {
  const element = $("toast");
  element.textContent = text;
  element.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => (element.hidden = true), 6000);
}
