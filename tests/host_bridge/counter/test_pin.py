"""Changing a PIN in a visit, default PINs, and the reader's own pad, through the counter's public doors."""

from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from host_bridge.counter.visit import NotNow
from host_bridge.readers.reader import CardRemoved
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.sscard.commands import CHANGE_PIN
from tests.host_bridge.counter.till import D2_LINES, Till

FRESH = {"pin": "000000"}
"""The simulated city's default PIN; Beijing's is the last six of the citizen number (003-2.23)."""


def digits(*pins: str) -> list[bytearray]:
    return [bytearray(pin.encode()) for pin in pins]


def change(till: Till, old: str, new: str, repeat: str | None = None) -> list[bytearray]:
    """Change the PIN; what is left of the digits."""
    entered = digits(old, new, new if repeat is None else repeat)
    till.counter.change_pin(*entered)
    return entered


def number(till: Till) -> str:
    assert till.view.refusal is not None
    return till.view.refusal.number


def tries(till: Till) -> tuple[int | None, bool]:
    assert till.view.pin is not None
    return till.view.pin.tries, till.view.pin.wrong


def test_a_default_pin_leads_to_the_change_and_the_new_one_pays(pharmacy: Till) -> None:
    pharmacy.person("pharmacy", card=FRESH)
    pharmacy.pin("000000")
    assert (pharmacy.stage(), number(pharmacy)) == ("refused", "-35")
    assert pharmacy.view.refusal is not None
    assert "本柜台" in pharmacy.view.refusal.zh.holder
    assert {"begin_change", "full_cash", "print_guide"} <= set(pharmacy.view.actions)
    pharmacy.counter.begin_change()
    assert (pharmacy.stage(), pharmacy.view.step, tries(pharmacy)) == ("change", "pin", (3, False))
    assert pharmacy.view.pin is not None
    assert (pharmacy.view.pin.min_digits, pharmacy.view.pin.pad) == (6, "none")
    assert change(pharmacy, "000000", "314159") == digits("\0" * 6, "\0" * 6, "\0" * 6)
    assert (pharmacy.stage(), tries(pharmacy)) == ("pin", (3, False))
    assert pharmacy.view.person is not None
    assert [each.number for each in pharmacy.view.person.notices] == ["S-130"]
    pharmacy.pin("000000")
    assert (pharmacy.stage(), tries(pharmacy)) == ("pin", (2, True))
    pharmacy.pin("314159")
    pharmacy.counter.enter_bill("41", D2_LINES)
    pharmacy.counter.settle()
    (settled,) = pharmacy.settlements()
    assert (settled.mode, settled.pin) == ("online", "verified")
    pharmacy.take()
    assert pharmacy.refusals() == []
    (changed,) = pharmacy.pin_services()
    assert (changed.service, changed.state, changed.opter, changed.number) == ("change", "done", "05", None)


def test_the_centre_is_told_of_a_new_pin_only(pharmacy: Till) -> None:
    person = pharmacy.person("pharmacy")
    pharmacy.counter.begin_change()
    change(pharmacy, "271829", "314159")
    assert pharmacy.pin_services() == []
    woken = pharmacy.centre.woken
    change(pharmacy, "271828", "314159")
    (stored,) = pharmacy.stored()
    assert stored.person is not None
    assert (stored.event.type, stored.person.certno) == ("ssc.pin", person.certno)
    assert pharmacy.centre.woken == woken + 1
    assert not any(secret in stored.data.decode() for secret in (person.certno, person.card.card_no, "314159"))
    pharmacy.counter.cancel()
    assert len(pharmacy.stored()) == 1


def test_where_the_chip_says_the_holder_is_insured_elsewhere_no_change_is_offered(pharmacy: Till) -> None:
    """Until the PIN opens the insurance file, the card's issuer is all that is known."""
    pharmacy.centre.up = False
    pharmacy.person("pharmacy", known=False, insurance={"insuplc_admdvs": "110102"})
    assert "begin_change" in pharmacy.view.actions
    pharmacy.pin("271828")
    assert pharmacy.view.stage == "bill"
    assert "begin_change" not in pharmacy.view.actions
    with pytest.raises(NotNow):
        pharmacy.counter.begin_change()


@pytest.mark.parametrize(
    ("pins", "key", "facts"),
    [
        (("000000", "314159", "314158"), "pin_mismatch", {}),
        (("000000", "31415", "31415"), "pin_format", {"min": "6"}),
        (("000000", "3141x9", "3141x9"), "pin_format", {"min": "4"}),
        (("000000", "000000", "000000"), "pin_forbidden", {}),
    ],
)
def test_a_new_pin_that_may_not_be_costs_no_try(
    pharmacy: Till, pins: tuple[str, ...], key: str, facts: dict[str, str]
) -> None:
    pharmacy.person("pharmacy", card=FRESH)
    pharmacy.counter.begin_change()
    entered = digits(*pins)
    with pytest.raises(NotNow) as caught:
        pharmacy.counter.change_pin(*entered)
    assert (caught.value.action, caught.value.key, caught.value.facts) == ("change_pin", key, facts)
    assert not any(map(any, entered))
    assert (pharmacy.stage(), tries(pharmacy)) == ("change", (3, False))


def test_wrong_old_pins_count_and_lock(pharmacy: Till) -> None:
    pharmacy.person("pharmacy")
    pharmacy.counter.begin_change()
    change(pharmacy, "271829", "314159")
    assert (pharmacy.stage(), tries(pharmacy)) == ("change", (2, True))
    change(pharmacy, "271829", "314159")
    change(pharmacy, "271829", "314159")
    assert (pharmacy.stage(), number(pharmacy)) == ("refused", "-52")
    assert "begin_change" not in pharmacy.view.actions
    pharmacy.counter.finish()
    (refusal,) = pharmacy.refusals()
    assert (refusal.number, refusal.sw, refusal.step) == ("-52", "63C0", "pin")


def test_an_entry_made_before_another_was_answered_costs_no_try(pharmacy: Till) -> None:
    pharmacy.person("pharmacy")
    pharmacy.counter.begin_change()
    pharmacy.counter.change_pin(*digits("271829", "314159", "314159"), tries=3)
    late = digits("271829", "314159", "314159")
    with pytest.raises(NotNow) as caught:
        pharmacy.counter.change_pin(*late, tries=3)
    assert (caught.value.action, tries(pharmacy)) == ("change_pin", (2, True))
    assert not any(map(any, late))
    pharmacy.counter.keep_pin()
    pharmacy.counter.enter_pin(bytearray(b"271829"), tries=2)
    with pytest.raises(NotNow):
        pharmacy.counter.enter_pin(bytearray(b"271829"), tries=2)
    assert tries(pharmacy) == (1, True)
    pharmacy.counter.enter_pin(bytearray(b"271828"), tries=1)
    assert pharmacy.stage() == "bill"


def test_keeping_the_pin_goes_on_where_the_visit_stood(pharmacy: Till) -> None:
    pharmacy.person("pharmacy")
    pharmacy.counter.begin_change()
    with pytest.raises(NotNow):
        pharmacy.counter.enter_bill("41", D2_LINES)
    pharmacy.counter.keep_pin()
    assert (pharmacy.stage(), tries(pharmacy)) == ("pin", (3, False))
    pharmacy.pin("271828")
    pharmacy.counter.enter_bill("41", D2_LINES)
    pharmacy.counter.begin_change()
    pharmacy.counter.keep_pin()
    assert pharmacy.stage() == "presettled"
    assert pharmacy.view.person is not None
    assert pharmacy.view.person.pin == "verified"


def test_a_pin_changed_over_a_bill_is_asked_for_again(pharmacy: Till) -> None:
    pharmacy.person("pharmacy")
    pharmacy.pin("271828")
    pharmacy.counter.enter_bill("41", D2_LINES)
    pharmacy.counter.begin_change()
    change(pharmacy, "271828", "314159")
    assert pharmacy.stage() == "pin"
    pharmacy.pin("314159")
    assert pharmacy.stage() == "presettled"
    pharmacy.counter.settle()
    assert len(pharmacy.settlements()) == 1


class Leaving:
    """A reader whose card is pulled after it has taken a new PIN, before it says so."""

    def __init__(self, reader: Any, card: Path) -> None:
        self._reader, self._card = reader, card

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def connect(self) -> Any:
        connection = self._reader.connect()
        transmit = connection.transmit

        def leaving(command: CommandApdu) -> ResponseApdu:
            answer: ResponseApdu = transmit(command)
            if command.ins == CHANGE_PIN:
                self._card.unlink()
                raise CardRemoved("pulled")
            return answer

        connection.transmit = leaving
        return connection


def test_a_card_pulled_out_of_a_change_does_not_pass_for_unchanged(pharmacy: Till) -> None:
    pharmacy.reader = Leaving(pharmacy.reader, pharmacy.slot)
    pharmacy.person("pharmacy")
    pharmacy.counter.begin_change()
    change(pharmacy, "271828", "314159")
    pharmacy.counter.poll()
    assert (pharmacy.stage(), number(pharmacy), pharmacy.view.person) == ("refused", "-37", None)
    pharmacy.counter.finish()
    assert pharmacy.stage() == "idle"
    assert [refusal.number for refusal in pharmacy.refusals()] == ["-37"]


def test_another_citys_holder_is_sent_to_the_insured_place(pharmacy: Till) -> None:
    """Beijing names a default PIN and other places to change it (003-2.23, 003-2.24), not this counter."""
    pharmacy.person("employee", card={"pin": "290036"})
    pharmacy.pin("290036")
    assert number(pharmacy) == "-35"
    assert pharmacy.view.refusal is not None
    assert "自助机" in pharmacy.view.refusal.zh.holder
    assert "begin_change" not in pharmacy.view.actions
    with pytest.raises(NotNow):
        pharmacy.counter.begin_change()
    pharmacy.counter.full_cash("pin_default")
    pharmacy.counter.enter_bill("41", D2_LINES)
    pharmacy.counter.settle()
    assert pharmacy.settlements()[0].reason == "-35"


def test_a_city_without_the_rule_offers_no_change(till: Till) -> None:
    till.person("employee")
    assert "begin_change" not in till.view.actions


def test_a_card_without_pin_has_none_to_change(pharmacy: Till) -> None:
    pharmacy.person("pharmacy", card={"pin": None})
    assert pharmacy.stage() == "bill"
    assert "begin_change" not in pharmacy.view.actions


def test_what_was_compared_counts_more_than_the_centres_flag(pharmacy: Till) -> None:
    """The flag may be older than a change of the PIN."""
    pharmacy.person("pharmacy", default_pin=True)
    pharmacy.pin("271828")
    assert pharmacy.stage() == "bill"


# At the pad


class Pressed:
    """Keys of a pad: a test presses them; `waiting` is set while none is left."""

    def __init__(self) -> None:
        self.keys: list[str] = []
        self.waiting = Event()

    def press(self, *pins: str) -> None:
        """Each a PIN with OK after it, or the name of one key."""
        for pin in pins:
            self.keys += [*pin, "ok"] if pin.isdecimal() else [pin]

    def __call__(self) -> str | None:
        if self.keys:
            return self.keys.pop(0)
        self.waiting.set()
        return None


@pytest.fixture
def pressed() -> Pressed:
    return Pressed()


@pytest.fixture
def make_padded(tmp_path: Path, pressed: Pressed) -> Iterator[Callable[..., Till]]:
    """A pharmacy of the simulated city whose reader has a PIN pad."""
    made: list[Till] = []

    def make(**more: Any) -> Till:
        made.append(Till(tmp_path, "990101", "P99010100007", pressed, **more))
        return made[-1]

    yield make
    for till in made:
        till.close()


def test_with_a_pad_no_digits_come_through_the_computer(make_padded: Callable[..., Till], pressed: Pressed) -> None:
    till = make_padded()
    till.person("pharmacy")
    assert till.view.pin is not None
    assert (till.view.pin.pad, "pin" in till.view.actions) == ("wanted", False)
    with pytest.raises(NotNow):
        till.pin("271828")
    pressed.press("271829")
    till.counter.serve_pad()
    assert (tries(till), till.view.pin.pad) == ((2, True), "wanted")
    pressed.press("271828")
    till.counter.serve_pad()
    assert till.stage() == "bill"
    till.counter.serve_pad()
    till.counter.enter_bill("41", D2_LINES)
    till.counter.settle()
    assert till.settlements()[0].pin == "verified"


def test_the_pad_finds_a_default_pin_and_changes_it(make_padded: Callable[..., Till], pressed: Pressed) -> None:
    till = make_padded()
    till.person("pharmacy", card=FRESH)
    pressed.press("000000")
    till.counter.serve_pad()
    assert number(till) == "-35"
    till.counter.begin_change()
    for new, repeat, trouble in (("000000", "000000", "-36"), ("314159", "314158", "-34"), ("31415", "", "-33")):
        pressed.press("000000", new, *([repeat] if repeat else []))
        till.counter.serve_pad()
        pin = till.view.pin
        assert pin is not None
        assert pin.trouble is not None
        assert (pin.trouble.number, pin.tries, pin.pad) == (trouble, 3, "idle")
        assert "{" not in pin.trouble.zh.what
        till.counter.ask_pad()
    pressed.press("000000", "314159", "314159")
    till.counter.serve_pad()
    assert till.stage() == "pin"
    pressed.press("314159")
    till.counter.serve_pad()
    assert till.stage() == "bill"


@pytest.mark.parametrize("changing", [False, True])
def test_a_card_pulled_while_the_pad_waits_ends_the_entry(
    make_padded: Callable[..., Till], pressed: Pressed, *, changing: bool
) -> None:
    till = make_padded()
    till.person("pharmacy")
    if changing:
        till.counter.begin_change()
    entry = Thread(target=till.counter.serve_pad)
    entry.start()
    assert pressed.waiting.wait(10)
    till.counter.poll()
    assert till.view.pin is not None
    assert till.view.pin.pad == "waiting"
    till.take()
    entry.join(10)
    assert not entry.is_alive()
    till.counter.poll()
    assert till.stage() == "idle"
    assert till.refusals() == []


@pytest.mark.parametrize(("flag", "stage"), [(True, "refused"), (False, "bill")])
def test_where_the_pad_does_not_compare_the_centre_decides(
    make_padded: Callable[..., Till], pressed: Pressed, *, flag: bool, stage: str
) -> None:
    till = make_padded(compares=False)
    till.person("pharmacy", default_pin=flag)
    pressed.press("271828")
    till.counter.serve_pad()
    assert till.stage() == stage
    if flag:
        till.counter.begin_change()
        pressed.press("271828", "314159", "314159", "314159")
        till.counter.serve_pad()
        till.counter.serve_pad()
        assert till.stage() == "bill"  # changed in this visit: the flag is older


@pytest.mark.parametrize("up", [True, False], ids=["the centre has not heard yet", "the centre is away"])
def test_a_changed_pin_is_no_default_one_at_the_next_visit(
    make_padded: Callable[..., Till], pressed: Pressed, *, up: bool
) -> None:
    till = make_padded(compares=False)
    till.person("pharmacy", default_pin=True)
    till.counter.begin_change()
    pressed.press("271828", "314159", "314159")
    till.counter.serve_pad()
    till.counter.cancel()
    till.take()
    till.centre.up = up
    till.person("pharmacy", card={"pin": "314159"}, default_pin=True)
    pressed.press("314159")
    till.counter.serve_pad()
    assert till.stage() == "bill"
    till.counter.cancel()
    till.take()
    till.receipt()
    if up:
        till.person("pharmacy", card={"pin": "314159"}, default_pin=True)
        pressed.press("314159")
        till.counter.serve_pad()
        assert number(till) == "-35"  # the centre has heard of it, and says it of another PIN


def test_a_holder_who_cancels_is_asked_again_only_when_the_clerk_says_so(
    make_padded: Callable[..., Till], pressed: Pressed
) -> None:
    till = make_padded()
    till.person("pharmacy")
    pressed.press("cancel")
    till.counter.serve_pad()
    pin = till.view.pin
    assert pin is not None
    assert pin.trouble is not None
    assert (pin.trouble.number, pin.pad, pin.tries) == ("-31", "idle", 3)
    pressed.press("271828")
    till.counter.serve_pad()
    assert till.stage() == "pin"
    till.counter.ask_pad()
    assert till.view.pin is not None
    assert (till.view.pin.pad, till.view.pin.trouble) == ("wanted", None)
    till.counter.serve_pad()
    assert till.stage() == "bill"


@pytest.mark.parametrize(
    ("press", "stage"),
    [
        (lambda till: till.counter.cancel(), "idle"),
        (lambda till: till.counter.full_cash("arrears"), "bill"),
        (lambda till: till.counter.begin_change(), "change"),
    ],
)
def test_the_clerk_ends_an_entry_that_goes_on(
    make_padded: Callable[..., Till], pressed: Pressed, press: Callable[[Till], None], stage: str
) -> None:
    till = make_padded()
    till.person("pharmacy")
    entering = Thread(target=till.counter.serve_pad)
    entering.start()
    assert pressed.waiting.wait(10)
    assert till.view.pin is not None
    assert till.view.pin.pad == "waiting"
    till.counter.poll()
    press(till)
    entering.join(10)
    assert not entering.is_alive()
    assert till.stage() == stage
    assert till.settlements() == []


def test_a_card_pulled_during_the_entry_ends_the_visit(make_padded: Callable[..., Till], pressed: Pressed) -> None:
    till = make_padded()
    till.person("pharmacy")
    till.slot.unlink()
    pressed.press("271828")
    till.counter.serve_pad()
    assert till.stage() == "idle"


def test_a_running_counter_serves_the_pad_and_stops(make_padded: Callable[..., Till], pressed: Pressed) -> None:
    till = make_padded()
    reached, shown = Event(), till.shown
    till.counter.subscribe(lambda view: reached.set() if view.stage == "bill" else None)
    till.counter.start()
    till.person("pharmacy", poll=False)
    pressed.press("271828")
    assert reached.wait(20)
    assert "waiting" in {view.pin.pad for view in shown if view.pin is not None}
    till.take()
    till.person("pharmacy", poll=False)
    pressed.waiting.clear()
    assert pressed.waiting.wait(20)
    till.counter.stop()  # while the pad waits for a holder
