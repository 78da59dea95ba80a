"""Both forms of SELECT EF, and connections that already give whole answers."""

from collections.abc import Callable
from datetime import date

import pytest

from hardware.virtual.card import VirtualCard
from host_bridge.card import errors
from host_bridge.card.session import CardSession
from host_bridge.card.t0_follow_up import T0FollowUp
from host_bridge.readers.virtual import VirtualConnection
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr

Make = Callable[..., VirtualCard]
Connect = Callable[[VirtualCard], VirtualConnection]

SELECT, READ_RECORD, GET_RESPONSE = 0xA4, 0xB2, 0xC0
EF_BELOW_DF, BY_FID = 0x02, 0x00
TO_LAST = 0b101


class Between:
    """Notes what the session sends; gives no ranges, and answers SELECT EF with P1 = 02 or 00 by `refused`."""

    def __init__(self, connection: VirtualConnection | T0FollowUp, refused: dict[int, int] | None = None) -> None:
        self._connection, self._refused = connection, refused or {}
        self.seen: list[CommandApdu] = []

    @property
    def atr(self) -> Atr:
        return self._connection.atr

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        self.seen.append(command)
        if command.ins == SELECT and command.data[:1] == b"\xef" and command.p1 in self._refused:
            return ResponseApdu(b"", self._refused[command.p1])
        if command.ins == READ_RECORD and command.p2 & 7 == TO_LAST:
            return ResponseApdu(b"", 0x6A81)
        return self._connection.transmit(command)

    def reset(self) -> Atr:
        return self._connection.reset()

    def disconnect(self) -> None:
        self._connection.disconnect()

    def ef_selections(self) -> list[int]:
        """P1 of every SELECT EF."""
        return [each.p1 for each in self.seen if each.ins == SELECT and each.data[:1] == b"\xef"]


def test_an_ef_is_selected_with_p1_02(make: Make, connect: Connect) -> None:
    card = Between(connect(make()))
    session = CardSession(card)
    session.read_issuer()
    session.read_holder()
    assert card.ef_selections() == [EF_BELOW_DF, EF_BELOW_DF]


@pytest.mark.parametrize("sw", [0x6A86, 0x6A81, 0x6700])
def test_a_card_that_refuses_p1_02_is_asked_with_00_from_then_on(make: Make, connect: Connect, sw: int) -> None:
    card = Between(connect(make()), {EF_BELOW_DF: sw})
    session = CardSession(card)
    assert session.read_issuer().card_no == "A12345674"
    assert session.read_holder().name == "李建华"
    assert card.ef_selections() == [EF_BELOW_DF, BY_FID, BY_FID]


def test_a_card_that_refuses_both_forms_is_refused_by_its_own_word(make: Make, connect: Connect) -> None:
    card = Between(connect(make()), {EF_BELOW_DF: 0x6A86, BY_FID: 0x6A86})
    with pytest.raises(errors.UnexpectedStatus) as caught:
        CardSession(card).read_issuer()
    assert (caught.value.sw, caught.value.key) == (0x6A86, "card_wrong_parameters")


def test_a_missing_file_is_no_reason_for_the_other_form(make: Make, connect: Connect) -> None:
    card = Between(connect(make()), {EF_BELOW_DF: 0x6A82})
    with pytest.raises(errors.FileMissing):
        CardSession(card).read_issuer()
    assert card.ef_selections() == [EF_BELOW_DF]


def test_a_connection_that_gives_whole_answers_needs_no_follow_up(make: Make, connect: Connect) -> None:
    """As a PC/SC stack that fetches by itself: the session neither needs nor sends GET RESPONSE."""
    whole = Between(T0FollowUp(connect(make())))
    session = CardSession(whole)
    assert session.read_issuer().version == "2.00"
    assert session.read_holder().name == "李建华"
    session.verify_pin(bytearray(b"135790"))
    assert session.read_insurance(date(2026, 11, 21)).insutype == "310"
    assert session.read_file("DF04", "EF05")
    assert {each.ins for each in whole.seen}.isdisjoint({GET_RESPONSE})
