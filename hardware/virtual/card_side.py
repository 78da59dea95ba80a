"""The card's side of the contact line, character by character: answer to reset, PPS, T=0; T=1 is `block_side`."""

from collections.abc import Callable
from typing import Protocol

from hardware.virtual.block_side import BlockSide, Work
from hardware.virtual.line_faults import Faults, Sent
from protocols.iso7816.apdu import MAX_LE, ApduError, CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr, AtrError
from protocols.iso7816.pps import DEFAULT_FI_DI, HAS_PPS1, PPSS, f_and_d, is_pps, is_speed, pps_size
from protocols.iso7816.status import SW_WRONG_LENGTH
from protocols.iso7816.t0 import HEADER_SIZE

T0, T1 = 0, 1


class Chip(Protocol):
    """What is powered: `hardware.virtual.card.VirtualCard`."""

    def reset(self) -> bytes: ...

    def takes_data(self, ins: int) -> bool: ...

    def command(self, command: CommandApdu) -> ResponseApdu: ...


def t0_command_of(apdu: bytes) -> CommandApdu:
    """What a chip that knows T=0 is asked by an APDU: Le beside data is not passed on. `ApduError`."""
    command = CommandApdu.from_bytes(apdu)
    if not command.data:
        return command
    return CommandApdu(command.cla, command.ins, command.p1, command.p2, command.data)


class CardSide:
    """A chip. It hears nothing before its reset, nor characters at another speed than its own."""

    def __init__(self, chip: Chip, faults: Faults, perform: Callable[[CommandApdu], ResponseApdu | None]) -> None:
        """`perform` has the chip do a command; None where it gives no answer."""
        self._chip, self._faults, self._perform = chip, faults, perform
        self._atr: Atr | None = None
        self._received = bytearray()
        self._awake = False
        self._fresh = False
        self._single = False
        self._speed = DEFAULT_FI_DI
        self._blocks: BlockSide | None = None

    @property
    def speed(self) -> int:
        """Fi and Di at which the card listens."""
        return self._speed

    @property
    def has_error_signal(self) -> bool:
        """Whether characters with wrong parity are refused, as in T=0; in T=1 they spoil their block."""
        return self._blocks is None

    def power_on(self) -> None:
        """VCC rises."""
        self._faults.power_on()

    def reset(self, icc_class: int) -> list[Sent]:
        """The answer to reset, at 372/1; a card in specific mode then goes on at the speed of its TA1."""
        raw = self._chip.reset()
        self._faults.icc_class = icc_class
        self._received.clear()
        self._awake, self._fresh, self._single, self._speed = True, True, False, DEFAULT_FI_DI
        try:
            self._atr = Atr.from_bytes(raw)
        except AtrError:
            self._atr = None
        self._faults.begin("atr", self._speed)
        sent = list(self._faults.apply(raw, self._speed))
        protocol = T0 if self._atr is None else self._atr.protocols[0]
        if self._atr is not None and self._atr.ta2 is not None:
            self._fresh, self._speed = False, self._atr.ta1 or DEFAULT_FI_DI
            protocol = self._atr.ta2 & 0x0F
        self._speak(protocol)
        return sent

    def _speak(self, protocol: int) -> None:
        self._blocks = None
        if protocol == T1 and self._atr is not None:
            self._blocks = BlockSide(self._atr.has_crc, self._atr.ifsc, self._perform_apdu)

    def take(self, value: int, speed: int) -> list[Sent]:
        """What the card sends after this character."""
        if not self._awake or speed != self._speed:
            return []
        self._received.append(value)
        if self._fresh and self._received[0] == PPSS:
            return self._take_pps()
        if self._blocks is not None:
            self._received.clear()
            self._fresh = False
            block = self._blocks.take(value)
            if block:
                self._faults.begin("block", self._speed)
            return self._send(block)
        if len(self._received) < HEADER_SIZE:
            return []
        self._fresh = False
        return self._take_command()

    def _take_pps(self) -> list[Sent]:
        if len(self._received) < pps_size(self._received):
            return []
        request = bytes(self._received)
        self._received.clear()
        self._fresh = False
        if not is_pps(request):
            return []
        offered = self._atr.protocols if self._atr is not None else ()
        protocol = request[1] & 0x0F
        if protocol not in offered:
            protocol = offered[0] if offered else T0
        before = self._speed
        self._speak(protocol)
        self._faults.begin("pps", before)
        refused = bytes([PPSS, protocol, PPSS ^ protocol])
        answer = request if self._agrees(request) and not self._faults.refuses else refused
        self._speed = answer[2] if answer[1] & HAS_PPS1 else DEFAULT_FI_DI
        return list(self._faults.apply(answer, before))

    def _agrees(self, request: bytes) -> bool:
        """No protocol but those of the ATR, and no speed but its TA1, a lower D with the same F, or 372/1."""
        if self._atr is None or request[1] & ~HAS_PPS1 not in self._atr.protocols:
            return False
        if not request[1] & HAS_PPS1 or request[2] == DEFAULT_FI_DI:
            return True
        offered, asked = self._atr.ta1 or DEFAULT_FI_DI, request[2]
        (f, d), (own_f, own_d) = f_and_d(asked), f_and_d(offered)
        return is_speed(asked) and f == own_f and d <= own_d

    def _take_command(self) -> list[Sent]:
        ins, p3 = self._received[1], self._received[4]
        begins = len(self._received) == HEADER_SIZE
        if begins:
            self._faults.begin("command", self._speed)
            self._single = self._faults.single
        incoming = p3 if self._chip.takes_data(ins) else 0
        if len(self._received) == HEADER_SIZE + incoming:
            return self._answer()
        if begins or self._single:
            return self._send(bytes([ins ^ 0xFF if self._single else ins]))
        return []

    def _answer(self) -> list[Sent]:
        cla, ins, p1, p2, p3 = self._received[:HEADER_SIZE]
        data = bytes(self._received[HEADER_SIZE:])
        self._received.clear()
        # T=0 has no P3 of "nothing": 00 is 256 expected, or case 1
        le = None if self._chip.takes_data(ins) else p3 or MAX_LE
        response = self._perform(CommandApdu(cla, ins, p1, p2, data, le))
        if response is None:
            return []
        if self._single:
            body = b"".join(bytes([ins ^ 0xFF, value]) for value in response.data)
        else:
            body = bytes([ins]) + response.data if response.data else b""
        return self._send(body + response.to_bytes()[-2:])

    def _perform_apdu(self, apdu: bytes) -> Work | None:
        """As a T=1 card with the manners of T=0: `61xx` and `6Cxx` are for the program to follow."""
        self._faults.begin("command", self._speed)
        extension = self._faults.extension
        try:
            response = self._perform(t0_command_of(apdu))
        except ApduError:
            response = ResponseApdu(b"", SW_WRONG_LENGTH)
        return None if response is None else Work(response.to_bytes(), extension)

    def _send(self, characters: bytes) -> list[Sent]:
        return list(self._faults.apply(characters, self._speed))
