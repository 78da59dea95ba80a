"""Whatever a host sends and a card answers: one echo, one answer that fits, and the reader goes on."""

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from firmware.ccid_device import CcidDevice
from firmware.contact_line import CharacterDamaged, ContactLine, HostLine
from firmware.limits import standard_limits
from protocols.ccid.messages import ANSWER_TO, ICC_ABSENT, SLOT_STATUS, Answer, Command
from protocols.ccid.serial_frame import MESSAGE, FrameParser, frame
from protocols.iso7816.line import CLK, RST, VCC

OFFERS = ("3B00", "3B1096", "3B90961000", "3B90961010", "3B800181", "3B808131FE458B", "3B1F", "3F00", "")
ATRS = [bytes.fromhex(atr) for atr in OFFERS]
BLOCK = bytes.fromhex("00C101FE3E")
PPS_96 = bytes.fromhex("FF109679")


class RandomCard(ContactLine):
    """Answers to reset with one of `ATRS`, then with whatever was drawn; None is a damaged character.

    Waiting takes time by its own clock.
    """

    def __init__(self, atrs: list[bytes], answers: list[int | None]) -> None:
        self.present = True
        self._atrs, self._answers = atrs, answers
        self._held: list[int | None] = []
        self._now_ms = 0

    def monotonic(self) -> float:
        return self._now_ms / 1000

    def poll(self) -> None:
        """Nothing happens by itself."""

    def set_class(self, icc_class: int) -> None:
        assert icc_class == self.classes == 2

    def set_contacts(self, contacts: int) -> None:
        self._held = []
        if contacts == VCC | CLK | RST and self._atrs:
            self._held = list(self._atrs.pop(0))

    def set_speed(self, fi_di: int, extra_guard: int) -> None:
        assert 0 <= fi_di <= 255
        assert 0 <= extra_guard <= 255

    def set_error_signal(self, on: bool) -> None:
        assert on in {False, True}

    def wait_clocks(self, count: int) -> None:
        assert count > 0

    def send(self, data: bytes | bytearray | memoryview) -> None:
        assert data
        taken, self._answers = self._answers[:9], self._answers[9:]
        self._held += taken

    def receive(self, count: int, limit_ms: int) -> bytes:
        assert count > 0
        if not self._held:
            self._now_ms += limit_ms + 1
            return b""
        first = self._held.pop(0)
        if first is None:
            raise CharacterDamaged()
        return bytes([first])

    def drop_received(self) -> None:
        self._held = []


class Wire(HostLine):
    """What the host wrote, and what it hears."""

    def __init__(self) -> None:
        self.coming, self.heard = b"", b""

    def read(self) -> bytes:
        taken, self.coming = self.coming, b""
        return taken

    def write(self, data: bytes) -> None:
        self.heard += data


kinds = st.one_of(st.sampled_from(sorted(ANSWER_TO)), st.integers(0, 0x7F))
datas = st.one_of(
    st.binary(max_size=20),
    st.sampled_from(
        [PPS_96, bytes.fromhex("9600000A00"), bytes.fromhex("00B2030406"), BLOCK, b"\x01\x01\x01", b"\x02"]
    ),
)
commands = st.lists(
    st.tuples(kinds, st.sampled_from([0, 0, 0, 1, 255]), datas, st.binary(min_size=3, max_size=3)), max_size=12
)
characters = st.lists(st.one_of(st.sampled_from([0x60, 0xB2, 0x4D, 0x90, 0x00, 0xFF]), st.none(), st.integers(0, 255)))


@given(commands, st.lists(st.sampled_from(ATRS), max_size=12), characters)
def test_every_command_has_its_answer(
    sent: list[tuple[int, int, bytes, bytes]], atrs: list[bytes], answers: list[int | None]
) -> None:
    wire = Wire()
    card = RandomCard(atrs, answers)
    with patch("firmware.ticks.time", card):
        _check(CcidDevice(wire, (card,), standard_limits(0)), wire, sent)


def _check(device: CcidDevice, wire: Wire, sent: list[tuple[int, int, bytes, bytes]]) -> None:
    for number, (kind, slot, data, special) in enumerate(sent):
        command = Command(kind, slot, number, data, special)
        wire.coming, wire.heard = frame(command.to_bytes()), b""
        device.serve()
        found = [message for what, message in FrameParser(from_reader=True).feed(wire.heard) if what == MESSAGE]
        echo, last = found
        assert echo == command.echo()
        answer = Answer.from_bytes(last)
        assert (answer.kind, answer.slot, answer.seq) == (ANSWER_TO.get(kind, SLOT_STATUS), slot, number)
        assert (answer.icc == ICC_ABSENT) == (slot > 0)
        assert not (answer.failed and answer.data)
