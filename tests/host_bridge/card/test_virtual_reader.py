"""The in-process card behind the door of every reader."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hardware.virtual.card import CardFileError, VirtualCard
from hardware.virtual.card_store import CardStore
from host_bridge.card.errors import PinWrong
from host_bridge.card.session import CardSession
from host_bridge.readers.addresses import open_reader
from host_bridge.readers.reader import CardMute, CardRemoved, NoCard, ReaderUnavailable
from host_bridge.readers.virtual import VirtualConnection, VirtualReader
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard.commands import verify_status

Make = Callable[..., VirtualCard]


def test_a_version_is_a_new_card_that_goes_with_the_reader() -> None:
    first, second = open_reader("virtual:2.00"), VirtualReader("2.00")
    assert first.address == second.address == "virtual:2.00"
    assert first.card_present()
    session = CardSession(first.connect())
    with pytest.raises(Exception, match="63C2"):
        session.verify_pin(bytearray(b"000000"))
    assert CardSession(second.connect()).pin_tries() == 3
    first.close()
    assert not first.card_present()
    second.close()


@pytest.mark.parametrize("version", ["9.00", "1.23"])
def test_a_version_without_table(version: str) -> None:
    with pytest.raises(ReaderUnavailable):
        VirtualReader(version)


def test_a_file_is_the_card_and_no_file_an_empty_slot(make: Make, tmp_path: Path) -> None:
    card = make()
    reader = VirtualReader(str(card.path))
    assert reader.connect().atr.to_bytes() == card.reset()
    away = tmp_path / "away"
    card.path.rename(away)
    assert not reader.card_present()
    with pytest.raises(NoCard):
        reader.connect()
    away.rename(card.path)
    assert CardSession(reader.connect()).pin_tries() == 3
    reader.close()


def test_taking_the_file_pulls_the_card_for_good(make: Make) -> None:
    card = make()
    connection = VirtualReader(str(card.path)).connect()
    content = card.path.read_bytes()
    card.path.unlink()
    with pytest.raises(CardRemoved):
        connection.transmit(verify_status())
    card.path.write_bytes(content)
    for step in (lambda: connection.transmit(verify_status()), connection.reset):
        with pytest.raises(CardRemoved):
            step()


@pytest.mark.parametrize("content", [b"\xff", b'{"version": "\xff"}', b"[" * 100_000], ids=["byte", "text", "deep"])
def test_a_file_of_anything_is_a_mute_card(make: Make, content: bytes) -> None:
    card = make()
    card.path.write_bytes(content)
    with pytest.raises(CardMute):
        VirtualReader(str(card.path)).connect()


def test_reset_and_power_off_forget_the_pin(make: Make) -> None:
    card = make()
    reader = VirtualReader(str(card.path))
    connection = reader.connect()
    session = CardSession(connection)
    session.verify_pin(bytearray(b"135790"))
    connection.reset()
    connection.transmit(CommandApdu(0x00, 0xA4, 0x04, 0x00, bytes.fromhex("D15600000503")))
    assert connection.transmit(CommandApdu(0x00, 0xB2, 0x8C, 0x28, le=3)).sw == 0x6982
    connection.disconnect()
    connection.disconnect()
    with pytest.raises(CardMute):
        connection.transmit(verify_status())
    reader.close()
    reader.close()


def test_two_readers_of_one_file_give_no_try_back(make: Make) -> None:
    card = make()
    first, second = (CardSession(VirtualReader(str(card.path)).connect()) for _ in range(2))
    with pytest.raises(PinWrong):
        first.verify_pin(bytearray(b"271829"))
    with pytest.raises(CardRemoved):
        second.verify_pin(bytearray(b"135790"))
    assert CardSession(VirtualReader(str(card.path)).connect()).pin_tries() == 2
    with pytest.raises(PinWrong):
        first.verify_pin(bytearray(b"271829"))
    assert CardSession(VirtualReader(str(card.path)).connect()).pin_tries() == 1


def test_a_file_put_in_place_of_a_card_is_not_overwritten_by_it(make: Make) -> None:
    card, other = make(), make("pharmacy")
    content = other.path.read_bytes()
    session = CardSession(VirtualReader(str(card.path)).connect())
    other.path.replace(card.path)
    with pytest.raises(CardRemoved):
        session.verify_pin(bytearray(b"135790"))
    assert card.path.read_bytes() == content


def test_a_file_that_makes_no_card_is_a_mute_card(tmp_path: Path) -> None:
    path = tmp_path / "bad.card"
    path.write_text('{"pin": "135790"}')
    with pytest.raises(CardMute, match=r"bad\.card") as caught:
        VirtualReader(str(path)).connect()
    assert "135790" not in str(caught.value)


def test_a_card_that_cannot_be_written_falls_silent(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    card = make()
    session = CardSession(VirtualReader(str(card.path)).connect())
    session.read_issuer()

    def fails(store: CardStore, image: object) -> None:
        raise CardFileError(store.path, "No space left on device")

    monkeypatch.setattr(CardStore, "write", fails)
    with pytest.raises(CardMute):
        session.verify_pin(bytearray(b"135790"))


def test_a_torn_card_is_mute_until_it_is_reset(make: Make) -> None:
    card = make()
    connection = VirtualConnection(card, card.path)
    card.tear_after(100)
    session = CardSession(connection)
    session.read_issuer()
    with pytest.raises(CardMute):
        session.verify_pin(bytearray(b"135790"))
    with pytest.raises(CardMute):
        session.pin_tries()
    connection.reset()
    session = CardSession(connection)
    assert session.pin_tries() == 3
    session.verify_pin(bytearray(b"135790"))
