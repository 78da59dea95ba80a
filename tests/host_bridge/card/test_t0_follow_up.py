"""T=0 follow-up as a layer: fetch, repeat, and an end to endless announcements."""

from collections.abc import Callable

from hardware.virtual.card import VirtualCard
from host_bridge.card.t0_follow_up import MAX_FOLLOW_UPS, T0FollowUp
from host_bridge.readers.virtual import VirtualConnection
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr


class Endless:
    """Announces the same for ever."""

    def __init__(self, sw: int, data: bytes = b"") -> None:
        self.atr, self.asked, self._answer = Atr.from_bytes(b"\x3b\x00"), 0, ResponseApdu(data, sw)

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        self.asked += 1
        return self._answer

    def reset(self) -> Atr:
        return self.atr

    def disconnect(self) -> None:
        return


def send(connection: T0FollowUp, apdu: str) -> str:
    return connection.transmit(CommandApdu.from_bytes(bytes.fromhex(apdu))).to_bytes().hex().upper()


def test_fetches_and_repeats(
    make: Callable[..., VirtualCard], connect: Callable[[VirtualCard], VirtualConnection]
) -> None:
    connection = T0FollowUp(connect(make()))
    fci = "6F1C840F7378312E73682EC9E7BBE1B1A3D5CFA50988011E9F0C03860101"
    assert send(connection, "00A404000F7378312E73682EC9E7BBE1B1A3D5CF") == fci + "9000"
    assert send(connection, "00B2022C00") == "020133" + "9000"
    assert send(connection, "00B2092C00") == "6A83"
    assert connection.reset() == connection.atr
    connection.disconnect()


def test_an_endless_card_comes_to_an_end() -> None:
    for sw, data in ((0x61FF, b"x" * 256), (0x6C10, b"")):
        card = Endless(sw, data)
        answer = T0FollowUp(card).transmit(CommandApdu(0, 0xB2, 1, 0x2C, le=3))
        assert answer.sw == sw
        assert card.asked == 1 + MAX_FOLLOW_UPS
