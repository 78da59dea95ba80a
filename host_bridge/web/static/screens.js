// Every screen of a visit but the bill. A screen is { name, heading, keys, main } and reads only its arguments.

import { both, clockText, el, say, yuan } from "./dom.js";
import { billEntry, modeNotice, payment, preSettled } from "./bill.js";
import { action, actionBar, button, deductibleTrack, may, splitBar, splitParts, splitRows, triesLeft } from "./parts.js";
import { change, pin } from "./pin.js";
import { MODES, W } from "./words.js";

export function screen(view, local) {
  if (local.list) return refundList(view, local);
  if (local.asking) return reasonList(view, local);
  if (local.editing && may(view, "bill")) return billEntry(view, local);
  return SCREENS[view.stage](view, local);
}

const SCREENS = {
  idle, reading: idle, pin, change, bill: billEntry, presettled: preSettled, settling: preSettled, done, refused, stopped: refused,
};

function idle(view, local) {
  const reading = view.stage === "reading";
  const actions = [
    !reading && may(view, "full_cash") && action("F2", W.noCard, "full-cash", { off: local.busy }),
    !reading && may(view, "refund") && action("F4", W.refund, "refunds", { off: local.busy }),
    may(view, "cancel") && action("Esc", W.giveUp, "cancel", { off: local.busy }),
  ].filter(Boolean);
  const { today, upload } = view;
  const figures = [[W.today, today.settled], [W.fund, yuan(today.fund_fen)], [W.cash, yuan(today.cash_fen)], [W.backlog, upload.backlog]];
  const title = reading ? W.reading : W.insert;
  return {
    name: view.stage,
    heading: title,
    keys: actions,
    main: el("div", { class: "idle", "data-card": reading ? "in" : "out", "data-state": view.reader.state },
      el("div", { class: "reader-art", "aria-hidden": true },
        el("div", { class: "card-art" }, el("b", {}, "社会保障卡"), el("i", {})), el("div", { class: "slot-art" }, el("i", {}))),
      el("div", { class: "idle-words" },
        el("h1", { class: "hero" }, both(title)),
        view.reader.state !== "ready" && el("p", { class: "notice", "data-tone": "amber" }, both(view.reader.text)),
        reading ? el("p", { class: "lead" }, both(W.readingWait)) : actionBar(actions),
        !reading && el("dl", { class: "figures" }, figures.map(([label, figure]) =>
          el("div", { class: "figure" }, el("dt", {}, both(label)), el("dd", {}, String(figure))))))),
  };
}

function done(view, local) {
  const { result, split: shown } = view;
  const refund = result.kind === "refund";
  const cash = Math.abs(shown?.split.psn_cash_pay ?? 0);
  const actions = [
    may(view, "finish") && action("Enter", W.finish, "finish", { primary: true, off: local.busy, wait: local.fresh }),
    may(view, "reprint") && action("R", W.reprint, "reprint", { off: local.busy, arg: result.event_id }),
    may(view, "print_guide") && action("P", W.guide, "guide", { off: local.busy }),
  ].filter(Boolean);
  const mark = (is, yes, no) => el("li", { "data-is": is }, el("i", { "aria-hidden": true }, is ? "✓" : "○"), el("span", {}, both(is ? yes : no)));
  const parts = shown && splitParts(shown);
  const heading = view.person ? W.takeCard : refund ? W.refunded : W.settled;
  return {
    name: "done",
    heading,
    keys: actions,
    main: el("div", { class: "desk done-desk" },
      el("section", { class: "panel split-panel" },
        el("div", { class: "amount-head" },
          el("h1", { class: "amount-label" }, both(refund ? W.giveBack : W.collect),
            el("span", { class: "small" }, shown && `${say(W.total)} ${yuan(shown.split.medfee_sumamt)}`)),
          el("p", { class: "hero money" }, yuan(cash))),
        shown && [modeNotice(shown.mode), splitBar(parts), splitRows(parts), payment(shown.split), deductibleTrack(shown)]),
      el("section", { class: "panel done-words" },
        el("p", { class: "chip", "data-tone": "teal" }, say(refund ? W.refunded : W.settled)),
        el("h2", { class: "title" }, both(heading)),
        el("ul", { class: "marks" },
          mark(true, W.storedHere), mark(result.received, W.received, W.notReceived), mark(result.printed, W.printed, W.notPrinted)),
        el("p", { class: "small" }, `${say(W.visit)} ${result.mdtrt_id}`),
        actionBar(actions))),
  };
}

function refused(view, local) {
  const { refusal } = view;
  const stopped = view.stage === "stopped";
  const words = (part) => refusal && { zh: refusal.zh[part], en: refusal.en[part] };
  const title = words("title") ?? W.stopped;
  const cash = may(view, "full_cash");
  const end = { off: local.busy };
  const change = may(view, "begin_change");
  const actions = [
    change && action("Enter", W.changePin, "begin-change", { primary: true, ...end }),
    cash && action(change ? "F6" : "Enter", W.fullCash, "full-cash", { primary: !change, ...end }),
    may(view, "print_guide") && action("P", W.guide, "guide", end),
    may(view, "finish") ? action("Esc", W.takeAndEnd, "finish", end) : may(view, "cancel") && action("Esc", W.takeAndEnd, "cancel", end),
  ].filter(Boolean);
  const box = (label, part) => refusal?.zh[part] && el("div", { class: "box" }, el("h3", {}, say(label)), el("p", {}, both(words(part))));
  const number = refusal && [`${say(W.error)} ${refusal.number.replace("-", "−")}`, refusal.sw && `SW ${refusal.sw}`].filter(Boolean).join(" · ");
  return {
    name: stopped ? "stopped" : "refused",
    heading: title,
    keys: actions,
    main: el("section", { class: "panel refusal", role: "region", "aria-label": say(title) },
      number && el("p", { class: "refusal-number" }, number),
      el("h1", { class: "title" }, say(title)),
      el("p", { class: "lead" }, both(words("what") ?? W.stoppedWhy)),
      refusal && refusal.tries !== null && triesLeft(refusal.tries),
      el("div", { class: "refusal-boxes" }, box(W.holder, "holder"), box(W.thisBill, "bill")),
      actionBar(actions)),
  };
}

const REASON_KEYS = "123456789ABCDEFG";

function reasonList(view, local) {
  const choices = view.reasons.map((reason, at) =>
    action(REASON_KEYS[at], { zh: reason.zh.title, en: reason.en.title }, "reason", { arg: reason.key, off: local.busy }));
  const back = action("Esc", W.back, "back");
  return {
    name: "reasons",
    heading: W.reasonTitle,
    keys: [...choices, back],
    named: [action(`1–${REASON_KEYS[choices.length - 1]}`, W.choose, ""), back],
    main: el("section", { class: "panel reasons", "aria-label": say(W.reasonTitle) },
      el("h1", { class: "title" }, both(W.reasonTitle)),
      el("p", { class: "lead" }, both(W.fullCashWhy)),
      el("div", { class: "reason-list" }, choices.map((choice) => button({ ...choice, named: true }))),
      actionBar([back])),
  };
}

function refundList(view, local) {
  const { past, at, sure } = local.list;
  const chosen = past[at];
  const open = chosen && chosen.kind === "settlement" && !chosen.refunded;
  const actions = [
    open && action("Enter", sure ? W.refundSure : W.refund, sure ? "refund" : "refund-sure",
      { primary: true, off: local.busy, wait: local.fresh, amount: yuan(chosen.psn_part_fen) }),
    chosen && action("R", W.reprint, "reprint", { off: local.busy, arg: chosen.event_id }),
    action("Esc", W.back, "back"),
  ].filter(Boolean);
  const rows = past.map((each, row) => el("tr", { "data-do": "choose-past", "data-arg": row, "aria-selected": String(row === at) },
    el("td", {}, clockText(each.time, true)), el("td", { class: "visit" }, each.mdtrt_id),
    el("td", {}, each.kind === "refund" || each.refunded ? say(each.refunded ? W.wasRefunded : W.refund) : say(MODES[each.mode] ?? { zh: each.mode })),
    el("td", { class: "money" }, yuan(each.medfee_fen)), el("td", { class: "money" }, yuan(each.psn_part_fen))));
  return {
    name: sure ? "refund-sure" : "refunds",
    heading: sure ? W.refundSure : W.refundTitle,
    keys: [...actions, action("↑↓", W.choose, "")],
    main: el("div", { class: "desk refund-desk" },
      el("section", { class: "panel bill-panel" },
        el("div", { class: "panel-head" }, el("h1", { class: "lead" }, both(W.refundTitle))),
        el("div", { class: "bill-lines" }, past.length === 0 ? el("p", { class: "small nothing" }, both(W.refundNone)) : el("table", { class: "table" },
          el("thead", {}, el("tr", {}, [["time"], ["visit"], ["state"], ["total", "money"], ["patientPays", "money"]].map(
            ([word, kind]) => el("th", { class: kind, scope: "col" }, say(W[word]))))), el("tbody", {}, rows)))),
      el("section", { class: "panel split-panel" },
        chosen && el("div", { class: "amount-head" },
          el("h2", { class: "amount-label" }, both(sure ? W.refundSure : W.patientPays), el("span", { class: "small" }, `${say(W.total)} ${yuan(chosen.medfee_fen)}`)),
          el("p", { class: "hero money" }, yuan(chosen.psn_part_fen))),
        sure && el("p", { class: "notice", "data-tone": "amber" }, both(W.refundWhole)),
        actionBar(actions))),
  };
}
