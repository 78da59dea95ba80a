// Live parts of the operator pages: the overview takes what the stream sends, other pages ask for themselves again.

import { follow } from "/style/events.js";
import { draw } from "/static/chart.js";

const STREAM_LINES = 40;
const REFRESH_MS = 1_500;

const overview = document.querySelector(".overview");
const parse = (html) => Object.assign(document.createElement("template"), { innerHTML: html }).content;

function clock() {
  const time = document.getElementById("clock");
  const ahead = Date.parse(time.dateTime) - Date.now();
  const format = new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", timeStyle: "medium", hour12: false });
  setInterval(() => { time.lastElementChild.textContent = format.format(Date.now() + ahead); }, 1_000);
}

function swap(element, html) {
  if (element.dataset.drawn === html) return;
  const focus = document.activeElement?.closest(`#${element.id} a`)?.getAttribute("href");
  element.replaceChildren(parse(html));
  element.dataset.drawn = html;
  if (focus) element.querySelector(`a[href="${CSS.escape(focus)}"]`)?.focus();
}

function addLines({ html }) {
  const stream = document.getElementById("stream");
  const lines = parse(html);
  for (const line of lines.children) line.classList.add("fresh");
  stream.prepend(lines);
  while (stream.children.length > STREAM_LINES) stream.lastElementChild.remove();
}

function redraw({ parts, minutes, notes }) {
  for (const [id, html] of Object.entries(parts)) swap(document.getElementById(id), html);
  draw({ minutes, notes });
}

let due = 0;
function refresh() {
  due ||= setTimeout(async () => {
    due = 0;
    const answer = await fetch(location.href).catch(() => null);
    if (!answer?.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-live]");
    const shown = document.querySelector("[data-live]");
    if (fresh && fresh.innerHTML !== shown.innerHTML && !shown.contains(document.activeElement)) shown.innerHTML = fresh.innerHTML;
  }, REFRESH_MS);
}

clock();
if (overview) {
  addEventListener("choice", () => draw());
  draw(JSON.parse(document.getElementById("minutes").textContent));
  follow(`/events?after=${overview.dataset.after}`, { lines: addLines, overview: redraw });
} else {
  follow("/events", { lines: refresh, overview: refresh });
}
