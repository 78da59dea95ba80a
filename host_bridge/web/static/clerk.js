// The clerk page: draws the counter's state, sends what the clerk does. The counter decides; nothing is kept here but
// what is being typed.

import { follow } from "/style/events.js";
import { el, language, morph, say, swapLanguage } from "./dom.js";
import { notice, stepBar, topParts } from "./parts.js";
import { screen } from "./screens.js";
import { W } from "./words.js";

const SEARCH_WAIT_MS = 120;
const KEY_NAMES = { Escape: "Esc", Backspace: "⌫" };
const PIN_DIGITS = 16;
const CHOSEN = [".search-list [aria-selected=true]", ".line-tools", ".bill-lines [aria-selected=true]"];
const OWN_KEYS = new Set(["F2", "F3", "F4", "F6", "F7", "F8", "F12"]);
const REPEATING = new Set(["ArrowUp", "ArrowDown", "Backspace", "+", "-"]);
const LOOK_MS = 400; // what moves money waits until its screen has been seen: a double Enter must not confirm it
const COUNT_SUFFIX = /\*(\d{1,6}(?:\.\d{1,4})?)$/;

const TIME = new Intl.DateTimeFormat("zh-CN", { timeZone: "Asia/Shanghai", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

const byId = (id) => document.getElementById(id);
const tables = JSON.parse(byId("tables").textContent);

let view = null;
let viewAt = 0;
let shown = null;
let error = null;
let chosen = "";
let stateNumber = 0;
let asked = 0;
let freshTimer = 0;
const local = {
  medTypes: tables.med_type, medType: Object.keys(tables.med_type)[0], busy: false, fresh: false, digits: [], entries: [],
  lines: [], chosen: 0, query: "", found: [], at: 0, searching: false, editing: false, list: null, asking: false,
};

const usual = localStorage.getItem("medType");
if (usual in tables.med_type) local.medType = usual;

// -- drawing ---------------------------------------------------------------

function draw() {
  if (!view) return;
  const before = shown?.name;
  shown = screen(view, local);
  if (before !== shown.name) {
    local.fresh = true;
    clearTimeout(freshTimer);
    freshTimer = setTimeout(() => { local.fresh = false; draw(); }, LOOK_MS);
    shown = screen(view, local);
  }
  fill(byId("notice"), [error && notice(error)]);
  fill(byId("screen"), [shown.main]);
  fill(byId("steps"), stepBar(view));
  fill(byId("parts"), topParts(view));
  fill(byId("keys"), (shown.named ?? shown.keys).map(({ key, label }) => el("li", {}, el("kbd", {}, key), say(label))));
  fill(byId("durable"), [shown.durable && say(shown.durable)]);
  fill(byId("language"), [el("kbd", {}, "F12"), language() === "zh" ? "English" : "中文"]);
  const heading = say(shown.heading);
  if (byId("announce").textContent !== heading) byId("announce").textContent = heading;
  document.documentElement.dataset.screen = shown.name;
  if (before !== shown.name) {
    byId("main").scrollTop = 0;
    (byId("search") ?? byId("main")).focus({ preventScroll: true });
  }
  const choice = [shown.name, local.query, local.at, local.chosen, local.lines.length, local.list?.at].join();
  if (before === shown.name && choice !== chosen) {
    CHOSEN.map((each) => document.querySelector(each)).find(Boolean)?.scrollIntoView({ block: "nearest" });
  }
  chosen = choice;
}

function fill(element, children) {
  const made = element.cloneNode(false);
  made.append(...children.filter(Boolean));
  morph(element, made);
}

function tick() {
  if (!view) return;
  const now = new Date(Date.parse(view.time) + performance.now() - viewAt);
  byId("time").textContent = TIME.format(now);
}

function arrived(next) {
  if (next.stage !== view?.stage) leaveStage(next);
  else if (next.pin?.tries !== view.pin?.tries) local.busy = false;  // a wrong PIN is answered, and the next one may come
  view = next;
  viewAt = performance.now();
  draw();
  tick();
}

function leaveStage(next) {
  error = null;
  wipePin();
  Object.assign(local, { busy: false, editing: false, asking: false, list: null });
  if (next.bill && next.bill.med_type in local.medTypes) local.medType = next.bill.med_type;
  takeLines(next.bill);
  search("");
}

// What the counter has as the bill is where changing it starts, also after a reload.
function takeLines(bill) {
  local.lines = (bill?.lines ?? []).filter(({ code }) => code !== null)
    .map(({ code, name, lv, pric, cnt }) => ({ code, name, lv, pric, cnt }));
  local.chosen = Math.max(0, local.lines.length - 1);
}

// -- asking the counter ----------------------------------------------------

async function ask(path, body) {
  const response = await fetch(`/api/1/${path}`, body === undefined ? {} : {
    method: "POST", headers: { "Content-Type": "application/json" }, body,
  });
  const answer = await response.json();
  if (!response.ok) throw answer.error;
  return { answer, number: Number(response.headers.get("State-Number")) };
}

async function act(path, body = {}) {
  if (local.busy) return;
  const { list } = local;
  const mine = ++asked;
  const free = () => { if (asked === mine) local.busy = false; };
  local.busy = true;
  error = null;
  draw();
  try {
    const { answer, number } = await ask(path, typeof body === "string" ? body : JSON.stringify(body));
    free();
    // The stream may have been faster, and a list opened since: only what was open at the press is closed.
    Object.assign(local, { editing: false, asking: false, list: local.list === list ? null : local.list });
    if (number >= stateNumber) arrived(answer);
    else draw();
  } catch (refused) {
    free();
    if (refused.number) error = refused;
    draw();
  }
}

// -- what can be done ------------------------------------------------------

const RUN = {
  language: () => { swapLanguage(); document.documentElement.lang = language() === "zh" ? "zh-CN" : "en"; draw(); },
  digit: (digit) => { if (local.digits.length < PIN_DIGITS) local.digits.push(digit); draw(); },
  erase: () => { local.digits.pop(); draw(); },
  pin: () => { const body = JSON.stringify({ pin: local.digits.join(""), tries: view.pin.tries }); wipePin(); act("pin", body); },
  "ask-pad": () => act("ask_pad"),
  "begin-change": () => act("begin_change"),
  "keep-pin": () => act("keep_pin"),
  "next-pin": () => {
    local.entries.push(local.digits);
    local.digits = [];
    if (local.entries.length < 3) { draw(); return; }
    const [old, fresh, repeat] = local.entries.map((digits) => digits.join(""));
    const body = JSON.stringify({ old, new: fresh, repeat, tries: view.pin.tries });
    wipePin();
    act("change_pin", body);
  },
  presettle: () => act("bill", { med_type: local.medType, lines: local.lines.map(({ code, cnt }) => ({ code, cnt })) }),
  settle: () => act("settle", { quote: view.split.quote }),
  cancel: () => act("cancel"),
  finish: () => act("finish"),
  guide: () => act("print_guide"),
  reprint: (id) => act("reprint", { event_id: id }),
  refund: () => act("refund", { event_id: local.list.past[local.list.at].event_id }),
  reason: (key) => act("full_cash", { reason: key }),
  "full-cash": () => {
    if (view.refusal) act("full_cash", { reason: view.reasons[0].key });
    else { local.asking = true; draw(); }
  },
  refunds: async () => { local.list = { past: (await ask("past")).answer, at: 0, sure: false }; draw(); },
  "refund-sure": () => { local.list.sure = true; draw(); },
  "choose-past": (at) => { Object.assign(local.list, { at: Number(at), sure: false }); draw(); },
  back: () => {
    if (local.list?.sure) local.list.sure = false;
    else Object.assign(local, { list: null, asking: false, editing: false });
    draw();
  },
  kind: (code) => { local.medType = code; localStorage.setItem("medType", code); draw(); },
  "next-kind": () => { const kinds = Object.keys(local.medTypes); RUN.kind(kinds[(kinds.indexOf(local.medType) + 1) % kinds.length]); },
  edit: () => { takeLines(view.bill); local.editing = true; draw(); },
  add: (at) => {
    const item = local.found[Number(at)];
    if (!item) return;
    const cnt = COUNT_SUFFIX.exec(local.query)?.[1] ?? "1";
    local.lines.push({ code: item.code, name: item.name, lv: item.lv, pric: item.pric, cnt });
    local.chosen = local.lines.length - 1;
    search("");
    draw();
  },
  "choose-line": (at) => { local.chosen = Number(at); draw(); },
  less: () => changeCount(-1),
  more: () => changeCount(1),
  remove: () => {
    local.lines.splice(local.chosen, 1);
    local.chosen = Math.max(0, Math.min(local.chosen, local.lines.length - 1));
    draw();
  },
};

function changeCount(by) {
  const line = local.lines[local.chosen];
  const count = Number(line?.cnt) + by;
  if (line && Number.isInteger(count) && count >= 1) line.cnt = String(count);
  draw();
}

function wipePin() {
  for (const digits of [local.digits, ...local.entries]) digits.fill("").length = 0;
  local.entries.length = 0;
}

// -- looking for items -----------------------------------------------------

let searchTimer = 0;

function search(query) {
  clearTimeout(searchTimer);
  Object.assign(local, { query, at: 0, searching: query !== "" });
  if (query === "") {
    local.found = [];
    if (byId("search")) byId("search").value = "";
  } else searchTimer = setTimeout(look, SEARCH_WAIT_MS);
}

async function look() {
  clearTimeout(searchTimer);
  const { query } = local;
  const { answer } = await ask(`items?q=${encodeURIComponent(query.replace(COUNT_SUFFIX, ""))}`).catch(() => ({ answer: [] }));
  if (query !== local.query) return;
  Object.assign(local, { found: answer, searching: false, at: 0 });
  draw();
}

// A scanner types the code and Enter faster than the list comes: wait for it, then take the first.
async function addFound() {
  if (local.searching) await look();
  RUN.add(local.at);
}

// -- keys and touch --------------------------------------------------------

function billKey(key) {
  const rows = local.query === "" ? local.lines.length : local.found.length;
  const place = local.query === "" ? "chosen" : "at";
  if (key === "ArrowDown" || key === "ArrowUp") {
    local[place] = Math.max(0, Math.min(rows - 1, local[place] + (key === "ArrowDown" ? 1 : -1)));
    draw();
    return true;
  }
  if (local.query !== "") {
    if (key === "Enter") addFound();
    else if (key === "Escape") { search(""); draw(); }
    return key === "Enter" || key === "Escape";
  }
  const run = { "+": "more", "-": "less", Delete: "remove" }[key];
  if (run) RUN[run]();
  return Boolean(run);
}

function keyDown(event) {
  if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey || !view) return;
  if (document.documentElement.dataset.link === "lost") return;
  const { key } = event;
  const typing = document.activeElement?.id === "search";
  if (event.repeat && (key === "Enter" || !(typing || REPEATING.has(key)))) {
    event.preventDefault();
    return;
  }
  if (key === "Enter" && document.activeElement?.matches("button")) return;
  if (key === "F12") RUN.language();
  else if (shown.name === "bill" && billKey(key)) { /* done */ }
  else if (shown.typing && /^\d$/.test(key)) RUN.digit(key);
  else if (local.list && (key === "ArrowDown" || key === "ArrowUp")) {
    const { list } = local;
    RUN["choose-past"](Math.max(0, Math.min(list.past.length - 1, list.at + (key === "ArrowDown" ? 1 : -1))));
  } else {
    const name = KEY_NAMES[key] ?? (key.length === 1 ? key.toUpperCase() : key);
    const found = shown.keys.find((each) => each.key === name);
    if (!found && !OWN_KEYS.has(key)) {
      if (shown.name === "bill" && key.length === 1) byId("search").focus();
      return;
    }
    if (found && !found.off && !found.wait && !local.busy) RUN[found.run]?.(found.arg);
  }
  event.preventDefault();
}

document.addEventListener("keydown", keyDown);
document.addEventListener("click", (event) => {
  const target = event.target.closest("[data-do]");
  if (!target || target.disabled || target.ariaDisabled === "true") return;
  if (event.detail > 0) byId("main").focus({ preventScroll: true }); // pressed by hand: Enter stays the main action
  RUN[target.dataset.do](target.dataset.arg);
});
document.addEventListener("input", (event) => {
  if (event.target.id !== "search") return;
  search(event.target.value.trim());
  draw();
});
document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
setInterval(tick, 1_000);
follow("/api/1/events", { state: (next, id) => { stateNumber = Number(id); arrived(next); } }, (link) => { byId("screen").inert = link === "lost"; wipePin(); });
