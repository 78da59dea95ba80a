// Pieces that several screens share. Pure: state in, elements out.

import { both, clockText, el, say, yuan } from "./dom.js";
import { CLASSES, STEPS, W } from "./words.js";

export const may = (view, action) => view.actions.includes(action);

// One action: what its key is called, what it does, and whether it may be done now.
export const action = (key, label, run, more = {}) => ({ key, label, run, ...more });

export function button({ key, label, run, arg, amount, off, wait, primary, pressed, named }) {
  return el("button", {
    type: "button", class: primary ? "button primary" : "button", "data-do": run, "data-arg": arg,
    disabled: off, "aria-disabled": wait && "true", "aria-pressed": pressed, "aria-keyshortcuts": key === "Esc" ? "Escape" : key,
  }, named && el("kbd", {}, key), el("span", {}, both(label)), amount !== undefined && el("span", { class: "money" }, amount));
}

export const actionBar = (actions) => el("div", { class: "actions stay" }, actions.map(button));

export const chip = (text, tone, square) => el("span", { class: "chip", "data-tone": tone, "data-square": square }, text);

const CLASS_TONES = { "01": "teal", "02": "amber" };
export const classChip = (lv) => chip(say(CLASSES[lv] ?? { zh: lv }), CLASS_TONES[lv], true);

export function stepBar(view) {
  const names = Object.keys(STEPS);
  const now = names.indexOf(view.step);
  const stopped = view.stage === "refused" || view.stage === "stopped";
  return names.map((name, at) => {
    const where = at < now ? "past" : at > now ? "ahead" : stopped ? "stopped" : "now";
    const dot = { past: "✓", stopped: "!" }[where] ?? String(at + 1);
    return el("li", { class: "step", "data-at": where, "aria-current": at === now && "step" },
      el("span", { class: "step-dot", "aria-hidden": true }, dot), say(STEPS[name]));
  });
}

// A calm pill gives way first where there is little room.
const pill = (state, text, calm) => el("span", { class: "pill", "data-state": state, "data-calm": calm }, el("i", { class: "dot", "aria-hidden": true }), text);

// The counter goes on without any of them, so none is red.
const part = ({ state, text }) => pill(state === "ready" ? "ready" : "attention", say(text));

export function topParts(view) {
  const { backlog, through } = view.upload;
  const upload = backlog > 0
    ? pill("attention", `${say(W.waiting)} ${backlog} ${say(W.items)}`)
    : through && pill("ready", `${say(W.uploaded)} ${clockText(through, true)}`, true);
  return [
    view.terminal.simulated && chip(say(W.simulated), "amber"),
    part(view.reader),
    part(view.centre),
    view.printer.state !== "ready" && part(view.printer),
    upload,
  ].filter(Boolean);
}

const PIN_CHIPS = { verified: ["verified", "teal"], not_asked: ["notAsked", null], wanted: ["wanted", "amber"] };

export function personHead(person) {
  if (!person) {
    return el("div", { class: "person" }, el("span", { class: "avatar", "aria-hidden": true }, "—"),
      el("div", {}, el("p", { class: "person-name" }, both(W.anonymous))));
  }
  const [word, tone] = PIN_CHIPS[person.pin];
  return el("div", { class: "person" },
    el("span", { class: "avatar", "aria-hidden": true }, [...person.name][0] ?? ""),
    el("div", {},
      el("p", { class: "person-name" }, person.name, " ", chip(say(person.psn_type), "blue"), " ", chip(say(W[word]), tone)),
      el("p", { class: "small" }, [person.certno, say(person.insutype), say(person.insuplc)].join(" · "))));
}

export const notice = ({ number, zh, en }) => el("p", { class: "notice", "data-tone": "amber" },
  el("strong", {}, `${number} ${say({ zh: zh.title, en: en.title })}`), both({ zh: zh.what, en: en.what }));

export const notices = (person) => el("div", { class: "notices" }, (person?.notices ?? []).map(notice));

// Where the money comes from, in the citizen's words; the parts sum to the bill.
export function splitParts({ split, fund_name: fund, ratio, deductible_fen: deductible }) {
  const percent = (part) => `${Math.round(part * 10_000) / 100} %`;
  return [
    ["fund", W.fund, split.big, ratio && `${say(fund)} ${percent(Number(ratio))}`],
    split.supp !== 0 && ["supplement", W.supplementPart, split.supp],
    (deductible !== null || split.act_pay_dedc !== 0) && ["deductible", W.deductiblePart, split.act_pay_dedc, say(W.deductibleNow)],
    ["share", W.sharePart, split.self1_ratio, ratio && split.supp === 0 && percent(1 - Number(ratio))],
    split.self1_above_cap !== 0 && ["above", W.abovePart, split.self1_above_cap],
    ["class-b", W.classBPart, split.self2, say(W.classBWhy)],
    ["self", W.selfPart, split.self_out],
  ].filter(Boolean);
}

export const splitBar = (parts) => el("div", { class: "split-bar", "aria-hidden": true },
  parts.filter(([, , fen]) => fen !== 0).map(([part, , fen]) => el("i", { "data-part": part, share: Math.abs(fen) })));

export const splitRows = (parts) => el("ul", { class: "split-rows" }, parts.map(([part, label, fen, why]) =>
  el("li", { "data-part": part, "data-none": fen === 0 },
    el("span", {}, say(label), why && fen !== 0 && el("span", { class: "small" }, why)), el("span", { class: "money" }, yuan(fen)))));

// The deductible as a track: what was there before, what this bill adds.
export function deductibleTrack({ split, before, deductible_fen: whole }) {
  if (!whole || split.act_pay_dedc < 0) return null;
  const now = split.act_pay_dedc;
  const start = Math.min(before.inscope, whole - now);
  const left = whole - start - now;
  const after = left > 0 ? `${say(W.missing)} ${yuan(left)}` : say(now > 0 ? W.reached : W.already);
  const words = `${say(W.deductible)} ${yuan(whole)}　${say(W.soFar)} ${yuan(start)} → ${after}`;
  return el("div", { class: "deductible" }, el("p", { class: "small" }, words),
    el("div", { class: "track", "aria-hidden": true },
      el("i", { class: "track-before", share: `${(100 * start) / whole}%` }),
      el("i", { class: "track-now", share: `${(100 * now) / whole}%` })));
}

const PIPS = 3;

export function triesLeft(tries) {
  const pips = tries <= PIPS ? Array.from({ length: PIPS }, (_, at) => el("i", { "data-left": at < tries, "aria-hidden": true })) : [];
  return el("p", { class: "tries" }, pips, el("span", {}, `${say(W.triesLeft)} ${tries}`));
}
