// The bill while it is entered and after pre-settlement.

import { both, el, lineFen, say, yuan } from "./dom.js";
import {
  action, actionBar, button, chip, classChip, deductibleTrack, may, notices, personHead, splitBar, splitParts, splitRows,
} from "./parts.js";
import { W } from "./words.js";

// Named here, done by the page script: they depend on what is being typed.
const searchKeys = [action("Enter", W.addItem, ""), action("↑↓", W.choose, ""), action("Esc", W.clear, "")];
const lineKeys = [action("↑↓", W.choose, ""), action("+ −", W.count, ""), action("Del", W.remove, "")];

export function billEntry(view, local) {
  const total = local.lines.reduce((sum, line) => sum + (lineFen(line.pric, line.cnt) ?? 0), 0);
  const actions = [
    action("Enter", W.presettle, "presettle", { primary: true, off: local.busy || local.lines.length === 0, amount: yuan(total) }),
    may(view, "full_cash") && action("F6", W.fullCash, "full-cash", { off: local.busy }),
    may(view, "begin_change") && local.lines.length === 0 && action("F8", W.changePin, "begin-change", { off: local.busy }),
    local.editing ? action("Esc", W.back, "back") : action("Esc", W.giveUp, "cancel", { off: local.busy }),
  ].filter(Boolean);
  const kinds = Object.entries(local.medTypes).map(([code, [zh, en]]) => button(
    { label: { zh, en }, run: "kind", arg: code, pressed: String(code === local.medType) }));
  return {
    name: "bill",
    heading: W.billTotal,
    keys: local.query !== "" ? searchKeys : [...actions, action("F7", W.nextKind, "next-kind"), ...(local.lines.length > 0 ? lineKeys : [])],
    durable: W.durable,
    main: el("div", { class: "desk" },
      el("section", { class: "panel bill-panel" },
        personHead(view.person), notices(view.person),
        el("div", { class: "bill-lines" }, lineTable(local.lines.map((line) => ({ ...line, amount_fen: lineFen(line.pric, line.cnt) })), local)),
        searchBox(local)),
      el("section", { class: "panel split-panel entry" },
        amountHead(W.billTotal, total),
        el("div", { class: "kinds", role: "group", "aria-label": say(W.careKind) }, kinds),
        actionBar(actions))),
  };
}

export function preSettled(view, local) {
  const { bill, split: shown } = view;
  const { split } = shown;
  const parts = splitParts(shown);
  const storing = view.stage === "settling" || local.busy;
  const rebuildable = bill.lines.every((line) => line.code !== null);
  const actions = [
    action("Enter", storing ? W.settling : W.settle, "settle",
      { primary: true, off: storing || !may(view, "settle"), wait: local.fresh, amount: yuan(split.psn_part_amt) }),
    may(view, "bill") && rebuildable && action("F3", W.addItem, "edit", { off: storing }),
    may(view, "full_cash") && shown.mode !== "full_cash" && action("F6", W.fullCash, "full-cash", { off: storing }),
    may(view, "cancel") && action("Esc", W.giveUp, "cancel", { off: storing }),
  ].filter(Boolean);
  return {
    name: "presettled",
    heading: { zh: `${W.patientPays.zh} ${yuan(split.psn_part_amt)}`, en: `${W.patientPays.en} ${yuan(split.psn_part_amt)}` },
    keys: actions,
    durable: W.durable,
    main: el("div", { class: "desk" },
      el("section", { class: "panel bill-panel" },
        personHead(view.person), notices(view.person), el("div", { class: "bill-lines" }, lineTable(bill.lines, null))),
      el("section", { class: "panel split-panel" },
        amountHead(W.patientPays, split.psn_part_amt, `${say(W.total)} ${yuan(split.medfee_sumamt)}`, shown.simulated),
        modeNotice(shown.mode),
        splitBar(parts), splitRows(parts), payment(split), deductibleTrack(shown),
        actionBar(actions))),
  };
}

function amountHead(label, fen, under, simulated) {
  return el("div", { class: "amount-head" },
    el("h1", { class: "amount-label" }, both(label),
      el("span", { class: "small" }, under, " ", simulated && chip(say(W.simulated), "amber"))),
    el("p", { class: "hero money" }, yuan(fen)));
}

const MODE_NOTICES = { provisional: [W.provisional, W.provisionalWhy], full_cash: [W.fullCashMode, W.fullCashWhy] };

export function modeNotice(mode) {
  if (!MODE_NOTICES[mode]) return null;
  const [title, why] = MODE_NOTICES[mode];
  return el("p", { class: "notice", "data-tone": "amber" }, el("strong", {}, say(title)), both(why));
}

export function payment(split) {
  if (split.acct_pay === 0) return null;
  return el("ul", { class: "split-rows payment" },
    el("li", { "data-part": "account" }, el("span", {}, say(W.account),
      split.balc !== undefined && split.balc !== null && el("span", { class: "small" }, `${say(W.balance)} ${yuan(split.balc)}`)),
    el("span", { class: "money" }, yuan(split.acct_pay))),
    el("li", { "data-part": "cash" }, el("span", {}, say(W.cashPart)), el("span", { class: "money" }, yuan(split.psn_cash_pay))));
}

// `local` only while the bill can be changed.
function lineTable(lines, local) {
  const head = [["item"], ["price", "number"], ["count", "number"], ["amount", "money"]];
  const rows = lines.map((line, at) => {
    const chosen = local !== null && at === local.chosen;
    return [
      el("tr", { "data-do": local && "choose-line", "data-arg": at, "aria-selected": local && String(chosen) },
        el("td", {}, el("span", { class: "line-name" }, line.name, classChip(line.lv))),
        el("td", { class: "number" }, line.pric), el("td", { class: "number" }, line.cnt),
        el("td", { class: "money" }, line.amount_fen === null ? "—" : yuan(line.amount_fen))),
      chosen && el("tr", { class: "line-tools" }, el("td", { colspan: 4 }, el("div", { class: "actions" },
        button({ key: "-", label: W.less, run: "less" }), button({ key: "+", label: W.more, run: "more" }),
        button({ key: "Delete", label: W.remove, run: "remove" })))),
    ];
  });
  return [
    el("table", { class: "table" },
      el("thead", {}, el("tr", {}, head.map(([word, kind]) => el("th", { class: kind, scope: "col" }, say(W[word]))))),
      el("tbody", {}, rows)),
    lines.length === 0 && el("p", { class: "small nothing" }, both(W.emptyBill)),
  ];
}

function searchBox(local) {
  const open = local.query !== "";
  const options = local.found.map((item, at) => el("li", {
    id: `item-${at}`, role: "option", "data-do": "add", "data-arg": at, "aria-selected": String(at === local.at),
  }, el("span", { class: "line-name" }, item.name, classChip(item.lv)), el("span", { class: "small" }, item.code),
  el("span", { class: "money" }, `${item.pric} / ${item.unit}`)));
  return el("div", { class: "search" },
    el("input", {
      class: "field", id: "search", type: "text", autocomplete: "off", spellcheck: "false", role: "combobox",
      placeholder: say(W.search), "aria-label": say(W.search), "aria-controls": "found", "aria-expanded": String(open),
      "aria-activedescendant": open && options.length > 0 && `item-${local.at}`,
    }),
    open && el("ul", { class: "panel search-list", id: "found", role: "listbox", "aria-label": say(W.found) },
      options.length > 0 ? options : el("li", { class: "small" }, both(local.searching ? W.search : W.nothingFound))));
}
