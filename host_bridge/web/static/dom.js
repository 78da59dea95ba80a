// Elements, text in two languages, amounts. Data only ever becomes text nodes.

export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "share") element.style.setProperty("--share", value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

let first = localStorage.getItem("first") === "en" ? "en" : "zh";
const LANGUAGES = { zh: "zh-CN", en: "en" };

export const language = () => first;

export function swapLanguage() {
  first = first === "zh" ? "en" : "zh";
  localStorage.setItem("first", first);
}

// A label is { zh, en }. `say` gives the first language, `both` adds the other one below, smaller.
export const say = (label) => label[first] || label.zh;
export function both(label) {
  const second = first === "zh" ? "en" : "zh";
  const under = label[second] && label[second] !== say(label);
  return [say(label), under && el("span", { class: "second", lang: LANGUAGES[second] }, label[second])];
}

// Fen as yuan: 841230 is "8,412.30".
export function yuan(fen) {
  const digits = String(Math.abs(fen)).padStart(3, "0");
  const whole = digits.slice(0, -2).replace(/\B(?=(\d{3})+$)/g, ",");
  return `${fen < 0 ? "−" : ""}${whole}.${digits.slice(-2)}`;
}

// Decimal text as an integer of 1/10^places; null where it is none.
function scaled(text, places) {
  const found = /^(\d+)(?:\.(\d+))?$/.exec(text);
  if (!found || (found[2] ?? "").length > places) return null;
  return BigInt(found[1] + (found[2] ?? "").padEnd(places, "0"));
}

// What a line comes to before it is split, in fen, halves up; null where a figure is missing.
export function lineFen(pric, cnt) {
  const [price, count] = [scaled(pric, 6), scaled(cnt, 4)];
  return price === null || count === null ? null : Number((price * count * 2n + 10n ** 8n) / (2n * 10n ** 8n));
}

// `12:41` or, with seconds, `12:41:07` of a time such as 2026-11-21T12:41:07.120+08:00.
export const clockText = (time, seconds) => /T(\d\d:\d\d)(:\d\d)?/.exec(time)?.slice(1, seconds ? 3 : 2).join("") ?? time;

// Make `old` look like `made`, touching only what differs: focus, caret and transitions survive.
export function morph(old, made) {
  for (const { name } of [...old.attributes]) if (!made.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of made.attributes) {
    if (name === "style") old.style.cssText = made.style.cssText; // the attribute itself is refused by the page's policy
    else if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
  const before = [...old.childNodes];
  const after = [...made.childNodes];
  after.forEach((node, at) => {
    const there = before[at];
    if (!there) old.append(node);
    else if (there.nodeType !== node.nodeType || there.nodeName !== node.nodeName || there.id !== node.id) there.replaceWith(node);
    else if (node.nodeType === Node.ELEMENT_NODE) morph(there, node);
    else if (there.data !== node.data) there.data = node.data;
  });
  before.slice(after.length).forEach((node) => node.remove());
}
