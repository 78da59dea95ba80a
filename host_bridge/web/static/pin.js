// The PIN: asked for, and changed. Typed here, or at the reader's pad, which then takes it alone.

import { both, el, say } from "./dom.js";
import { action, actionBar, button, may, notice, notices, personHead, triesLeft } from "./parts.js";
import { W } from "./words.js";

const PIN_SLOTS = 6;
const CARD_MIN = 4;
const NO_PIN = { tries: null, wrong: false, pad: "none", min_digits: CARD_MIN, trouble: null };
const CHANGE_TITLES = [W.oldPin, W.newPin, W.repeatPin];
const CHANGE_STEPS = [W.stepOld, W.stepNew, W.stepRepeat];
const PAD_KEYS = [..."123456789", "", "0", ""];

export function pin(view, local) {
  const asked = view.pin ?? NO_PIN;
  const typed = asked.pad === "none";
  const title = asked.wrong ? W.pinAgain : typed ? W.pinTitle : W.padTitle;
  const enter = action("Enter", W.confirm, "pin", { primary: true, off: local.busy || local.digits.length < CARD_MIN });
  const actions = [
    may(view, "full_cash") && action("F6", W.fullCash, "full-cash", { off: local.busy }),
    may(view, "begin_change") && action("F8", W.changePin, "begin-change", { off: local.busy }),
    may(view, "cancel") && action("Esc", W.giveUp, "cancel", { off: local.busy }),
  ].filter(Boolean);
  return desk(view, local, { name: "pin", asked, title, hint: typed ? W.pinPad : W.padSafe, enter, actions });
}

export function change(view, local) {
  const asked = view.pin ?? NO_PIN;
  const typed = asked.pad === "none";
  const at = local.entries.length;
  const title = !typed ? W.padChange : at === 0 && asked.wrong ? W.oldAgain : CHANGE_TITLES[at];
  const least = at === 0 ? CARD_MIN : asked.min_digits;
  const enter = action("Enter", W.confirm, "next-pin", { primary: true, off: local.busy || local.digits.length < least });
  const actions = [action("Esc", W.keepPin, "keep-pin", { off: local.busy })];
  const where = (step) => (!typed || step > at ? "ahead" : step < at ? "past" : "now");
  const steps = el("ol", { class: "pin-steps" }, CHANGE_STEPS.map((label, step) =>
    el("li", { "data-at": where(step), "aria-current": where(step) === "now" && "step" }, `${step + 1} ${say(label)}`)));
  const size = (at > 0 || !typed) && el("p", { class: "small" },
    both({ zh: `新密码至少 ${asked.min_digits} 位`, en: `The new PIN has at least ${asked.min_digits} digits` }));
  return desk(view, local, { name: "change", asked, title, hint: typed ? W.pinPad : W.padSafe, enter, actions, more: el("div", { class: "pin-more" }, steps, size) });
}

function desk(view, local, { name, asked, title, hint, enter, actions, more }) {
  const typed = asked.pad === "none";
  const again = may(view, "ask_pad") && action("Enter", W.padAgain, "ask-pad", { primary: true, off: local.busy });
  const shown = [again, ...actions].filter(Boolean);
  return {
    name,
    typing: typed,
    heading: title,
    keys: typed ? [enter, action("⌫", W.erase, "erase"), ...actions] : shown,
    main: el("div", { class: "desk pin-desk" },
      el("section", { class: "panel pin-words" },
        personHead(view.person), notices(view.person),
        el("div", { class: "pin-ask" },
          el("div", { class: "pin-title" }, el("h1", { class: "title" }, both(title)), asked.tries !== null && triesLeft(asked.tries)),
          more,
          asked.trouble && notice(asked.trouble),
          el("p", { class: "lead" }, both(hint)),
          actionBar(shown))),
      el("section", { class: "panel pin-pad" }, typed ? keypad(local, enter) : padState(asked))),
  };
}

function keypad(local, enter) {
  const digit = (name) => button({ label: { zh: name }, run: "digit", arg: name, off: local.busy });
  const slots = Math.max(PIN_SLOTS, local.digits.length);
  return [
    el("p", { class: "pin-dots", role: "img", "aria-label": `${say(W.digitsIn)} ${local.digits.length}` },
      Array.from({ length: slots }, (_, at) => el("i", { "data-given": at < local.digits.length }))),
    el("div", { class: "keypad", role: "group", "aria-label": say(W.keypad) },
      [..."123456789"].map(digit),
      button({ key: "Backspace", label: W.erase, run: "erase", off: local.busy }), digit("0"), button(enter)),
  ];
}

function padState(asked) {
  const waits = asked.pad !== "idle";
  return [
    el("div", { class: "pad-art", "data-waits": waits, "aria-hidden": true }, PAD_KEYS.map((key) => el("i", {}, key))),
    el("p", { class: "lead" }, both(waits ? W.padWaits : W.padIdle)),
  ];
}
