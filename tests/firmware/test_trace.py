"""What a trace keeps of a contact line, and what it never keeps (ISO/IEC 7816-3, `reader.md B.3` to `B.5`)."""

import pytest

from firmware.contact_line import CharacterDamaged, ContactLine
from firmware.trace import KEPT_ENTRIES, Roles, Trace
from protocols.ccid.trace import MASKED, MAX_ENTRIES, TraceEntry, entries_from_bytes

# name: what goes over the line, `>` to the card and `<` from it, and what a trace shows of it
T0 = {
    "SELECT shows its file": (
        "> 00 A4 04 00 03 < A4 > 53 53 53 < 61 0A > 00 C0 00 00 02 < C0 41 42 90 00",
        "> 00 A4 04 00 03 < A4 > 53 53 53 < 61 0A > 00 C0 00 00 02 < C0 ** ** 90 00",
    ),
    "VERIFY": ("> 00 20 00 00 03 < 20 > 12 34 56 < 63 C2", "> 00 20 00 00 ** < 20 > ** < 63 C2"),
    "VERIFY of a longer PIN": ("> 00 20 00 00 04 < 20 > 12 34 56 78 < 63 C2", "> 00 20 00 00 ** < 20 > ** < 63 C2"),
    "VERIFY byte by byte": (
        "> 00 20 00 00 03 < DF > 12 < DF > 34 < 20 > 56 < 90 00",
        "> 00 20 00 00 ** < DF > ** < > < > < 90 00",
    ),
    "CHANGE with NULL bytes": (
        "> 80 5E 01 00 04 < 60 60 5E > 11 11 22 22 < 60 90 00",
        "> 80 5E 01 00 ** < 60 60 5E > ** < 60 90 00",
    ),
    "READ, data like status words": (
        "> 00 B2 03 04 04 < B2 90 00 63 C2 90 00",
        "> 00 B2 03 04 04 < B2 ** ** ** ** 90 00",
    ),
    "READ one at a time": ("> 00 B2 03 04 02 < 4D 41 4D 42 90 00", "> 00 B2 03 04 02 < 4D ** 4D ** 90 00"),
    "refused at once": ("> 00 B2 03 04 06 < 6A 82", "> 00 B2 03 04 06 < 6A 82"),
    "data nobody asked for": ("> 00 20 00 00 00 < 12 34 63 C3", "> 00 20 00 00 00 < ** ** 63 C3"),
    "more than was asked for": ("> 00 B2 03 04 01 < B2 41 90 00 42", "> 00 B2 03 04 01 < B2 ** 90 00 **"),
    "PPS": (
        "> FF 10 96 79 < FF 10 96 79 > 00 20 00 00 01 < 20 > 12",
        "> FF 10 96 79 < FF 10 96 79 > 00 20 00 00 ** < 20 > **",
    ),
    "no PPS at all": ("> " + "FF " * 13, "> " + "FF " * 12 + "**"),
}
T1 = {
    "an APDU": (
        "> 00 00 08 00 20 00 00 03 12 34 56 5B < 00 00 02 90 00 92",
        "> 00 00 08 ** ** ** ** ** ** ** ** ** < 00 00 02 ** ** **",
    ),
    "IFSD": ("> 00 C1 01 FE 3E < 00 E1 01 FE 1E", "> 00 C1 01 FE 3E < 00 E1 01 FE 1E"),
    "R-block": ("> 00 90 00 90 < 00 40 01 41 00", "> 00 90 00 90 < 00 40 01 ** **"),
    "the same block twice": (
        "> 00 00 02 12 34 24 > 00 00 02 12 34 24",
        "> 00 00 02 ** ** ** > ** ** ** ** ** **",
    ),
}


def shown(roles: Roles, line: str) -> str:
    """What `roles` lets through of it."""
    found, heard = [], roles.sent
    for part in line.split():
        if part in "<>":
            heard = roles.sent if part == ">" else roles.received
            found.append(part)
        else:
            role = heard(int(part, 16))
            if role is not None:
                found.append("**" if role & MASKED else part)
    return " ".join(found)


@pytest.mark.parametrize("name", T0)
def test_of_t0_everything_is_kept_but_data(name: str) -> None:
    line, wanted = T0[name]
    roles = Roles(has_t1=False)
    assert shown(roles, "< 3B 02 14 50") == "< ** ** ** **", "nothing is known of this line yet"
    roles.reset()
    assert shown(roles, "< 3B 02 14 50") == "< 3B 02 14 50"
    roles.begin()
    assert shown(roles, line) == " ".join(wanted.split())


@pytest.mark.parametrize("name", T1)
def test_of_t1_no_block_with_data_is_kept(name: str) -> None:
    line, wanted = T1[name]
    roles = Roles(has_t1=False)
    roles.reset()
    roles.set_protocol(t1=True)
    roles.begin()
    assert shown(roles, line) == wanted


def test_a_trace_that_begins_in_a_session_takes_no_block_for_a_command() -> None:
    line, wanted = T1["an APDU"]
    roles = Roles(has_t1=True)
    roles.begin()
    assert shown(roles, line) == wanted


def test_a_command_that_was_broken_off_does_not_show_the_next_ones_data() -> None:
    roles = Roles(has_t1=False)
    roles.reset()
    shown(roles, "> 00 A4 04 00 03 < A4 > 53")
    roles.begin()
    assert shown(roles, "> 00 20 00 00 03 < 20 > 12 34 56") == "> 00 20 00 00 ** < 20 > **"


class Line(ContactLine):
    """Gives what it is told to; a None is a damaged character."""

    def __init__(self) -> None:
        self.gives: list[int | None] = []
        self.taken = b""

    def send(self, data: "bytes | bytearray | memoryview") -> None:
        self.taken += data

    def receive(self, count: int, limit_ms: int) -> bytes:
        value = self.gives.pop(0)
        if value is None:
            raise CharacterDamaged
        return bytes([value])

    def drop_received(self) -> None:
        pass

    def set_contacts(self, contacts: int) -> None:
        pass

    def set_speed(self, fi_di: int, extra_guard: int) -> None:
        pass


def entries(trace: Trace) -> list[TraceEntry]:
    found: list[TraceEntry] = []
    while True:
        first, more = entries_from_bytes(trace.read(len(found)))
        assert first == len(found)
        if not more:
            return found
        assert len(more) <= MAX_ENTRIES
        found += more


def test_a_trace_is_off_until_it_is_switched_on_and_leaves_nothing_behind() -> None:
    line = Line()
    trace = Trace((line,))
    before = dict(vars(line))
    line.send(b"ab")
    assert entries(trace) == []
    trace.start(5, [False])
    line.send(b"ab")
    trace.stop()
    line.send(b"ab")
    assert len(entries(trace)) == 2
    assert vars(line).keys() == before.keys()
    assert line.taken == b"ababab"
    trace.start(5, [False])
    assert entries(trace) == []


def test_a_damaged_character_is_seen_and_still_raised() -> None:
    line = Line()
    trace = Trace((line,))
    trace.start(5, [False])
    line.gives = [0x3B, None]
    line.set_contacts(7)
    assert line.receive(1, 1) == b"\x3b"
    with pytest.raises(CharacterDamaged):
        line.receive(1, 1)
    contacts, first, damaged = entries(trace)
    assert [(each.kind, each.value) for each in (contacts, first)] == [(3, 7), (1, 0x3B)]
    assert (damaged.kind, damaged.masked) == (2, True)
    assert contacts.time_us <= first.time_us <= damaged.time_us


def test_only_the_newest_are_kept() -> None:
    line = Line()
    trace = Trace((line, line))
    trace.start(5, [False, False])
    line.set_contacts(7)
    for _ in range(KEPT_ENTRIES):
        line.send(b"\x00")
    first, found = entries_from_bytes(trace.read(0))
    assert first > 0
    assert len(found) == MAX_ENTRIES


def test_the_digits_of_a_pin_are_nowhere_in_the_board() -> None:
    line = Line()
    trace = Trace((line,))
    trace.start(5, [False])
    line.set_contacts(7)
    line.drop_received()
    line.send(bytes.fromhex("0020000003"))
    line.gives = [0x20]
    line.receive(1, 1)
    line.send(bytes.fromhex("123456"))
    kept = b"".join(each.to_bytes() for each in entries(trace))
    assert bytes.fromhex("20") in kept
    assert not any(value in bytes(each.value for each in entries(trace)) for value in (0x12, 0x34, 0x56))
