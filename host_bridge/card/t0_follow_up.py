"""T=0 follow-up as a layer: fetches what `61xx` announces, repeats with `6Cxx`'s length (ssc-card.md 2)."""

from host_bridge.readers.reader import CardConnection
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr
from protocols.iso7816.status import exact_le, more_data
from protocols.sscard.commands import get_response

MAX_FOLLOW_UPS = 8
MAX_DATA = 256


class T0FollowUp:
    """A `CardConnection` over another that gives whole answers.

    A card that keeps announcing more ends in its last answer, with `61xx` or `6Cxx` as it came.
    """

    def __init__(self, connection: CardConnection) -> None:
        self._connection = connection

    @property
    def atr(self) -> Atr:
        return self._connection.atr

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        answer = self._connection.transmit(command)
        data = answer.data
        for _ in range(MAX_FOLLOW_UPS):
            if (length := exact_le(answer.sw)) is not None:
                command = CommandApdu(command.cla, command.ins, command.p1, command.p2, command.data, length)
            elif (length := more_data(answer.sw)) is not None:
                command = get_response(length)
            else:
                break
            answer = self._connection.transmit(command)
            data += answer.data
        return ResponseApdu(data[:MAX_DATA], answer.sw)

    def reset(self) -> Atr:
        return self._connection.reset()

    def disconnect(self) -> None:
        self._connection.disconnect()
