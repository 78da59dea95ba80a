"""The PC/SC driver in front of a real pcscd, with virtual cards in vpcd's readers."""

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hardware.virtual.card import VirtualCard
from hardware.virtual.people import GALLERY, load_person, make_card
from hardware.virtual.processes import SSC, wait_until
from hardware.virtual.vpcd import VpcdSlot
from host_bridge.card.commands import app as card_app
from host_bridge.card.errors import AccessRefused, text_key
from host_bridge.card.session import CardSession
from host_bridge.card.t0_follow_up import T0FollowUp
from host_bridge.readers.addresses import list_pcsc_readers, open_reader
from host_bridge.readers.commands import app
from host_bridge.readers.reader import CardMute, CardRemoved, NoCard, Reader, ReaderInUse, ReaderUnavailable
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.sscard.pin import pin_block
from tests.host_bridge.readers.conftest import READ_VERSION, VERSION, pin_of
from tests.pcscd import READERS, CardInReader, Pcscd, card_present, demand

FIRST, SECOND = READERS
SELECT_SSSE = CommandApdu.from_bytes(bytes.fromhex("00A404000F7378312E73682EC9E7BBE1B1A3D5CF"))
TRIES = CommandApdu(0x00, 0x20, 0, 0)
OPENS_TO_PIN = "DF04", "EF05"
"""Of version 2.00 (ssc-card.md 3)."""

Insert = Callable[..., CardInReader]


@pytest.fixture
def pcscd(tmp_path: Path) -> Iterator[Pcscd]:
    demand()
    with Pcscd(tmp_path) as daemon:
        daemon.start()
        yield daemon


@pytest.fixture
def cards(tmp_path: Path) -> dict[str, Path]:
    """Card files of two people."""
    found = {name: tmp_path / f"{name}.card" for name in ("employee", "retired")}
    for name, path in found.items():
        make_card(load_person(GALLERY / f"{name}.toml"), path)
    return found


@pytest.fixture
def insert(pcscd: Pcscd, cards: dict[str, Path]) -> Iterator[Insert]:
    """Put a person's card into a reader; PC/SC sees it when this returns."""
    inserted: list[CardInReader] = []

    def put(person: str = "employee", reader: str = FIRST) -> CardInReader:
        inserted.append(CardInReader(cards[person], pcscd.ports[READERS.index(reader)]))
        wait_until("the card", lambda: card_present(reader))
        return inserted[-1]

    yield put
    for each in inserted:
        each.pull()


@pytest.fixture
def reader() -> Iterator[Reader]:
    demand()
    opened = open_reader(f"pcsc:{FIRST}")
    yield opened
    opened.close()


def pin_open(session: CardSession) -> bool:
    """Whether the chip counts the PIN as verified."""
    try:
        session.read_file(*OPENS_TO_PIN)
    except AccessRefused:
        return False
    return True


def test_a_card_is_read_and_its_pin_verified(insert: Insert, reader: Reader, cards: dict[str, Path]) -> None:
    assert not reader.card_present()
    with pytest.raises(NoCard):
        reader.connect()
    insert()
    assert reader.card_present()
    connection = reader.connect()
    assert connection.atr.to_bytes() == VirtualCard.open(cards["employee"]).reset()
    session = CardSession(connection)
    assert session.read_issuer().version == "2.00"
    assert session.pin_tries() == 3
    assert not pin_open(session)
    session.verify_pin(bytearray(pin_of(cards["employee"]).digits, "ascii"))
    assert pin_open(session)


def test_the_answers_of_t0_come_as_the_card_gives_them(insert: Insert, reader: Reader) -> None:
    insert()
    connection = reader.connect()
    assert connection.transmit(SELECT_SSSE) == ResponseApdu(b"", 0x611E)
    assert len(connection.transmit(CommandApdu(0x00, 0xC0, 0, 0, le=0x1E)).data) == 0x1E
    too_long = CommandApdu(0x00, 0xB2, 0x03, 0x2C, le=256)
    assert connection.transmit(too_long) == ResponseApdu(b"", 0x6C06)
    assert connection.transmit(READ_VERSION) == VERSION
    assert T0FollowUp(connection).transmit(too_long) == VERSION
    assert connection.transmit(TRIES) == ResponseApdu(b"", 0x63C3)


def test_a_command_takes_no_time(insert: Insert, reader: Reader) -> None:
    """Forty milliseconds each where the card leaves the acknowledgement to its kernel (reader.md C.4)."""
    insert()
    connection = reader.connect()
    started = time.monotonic()
    for _ in range(200):
        connection.transmit(READ_VERSION)
    assert time.monotonic() - started < 4


def test_reset_forgets_the_pin(insert: Insert, reader: Reader, cards: dict[str, Path]) -> None:
    insert()
    connection = reader.connect()
    session = CardSession(connection)
    session.verify_pin(bytearray(pin_of(cards["employee"]).digits, "ascii"))
    assert pin_open(session)
    assert connection.reset() == connection.atr
    assert not pin_open(CardSession(connection))


def test_disconnect_powers_off_so_that_the_next_program_finds_the_pin_forgotten(
    insert: Insert, reader: Reader, cards: dict[str, Path]
) -> None:
    insert()
    connection = reader.connect()
    session = CardSession(connection)
    session.verify_pin(bytearray(pin_of(cards["employee"]).digits, "ascii"))
    assert pin_open(session)
    for _ in range(2):
        connection.disconnect()
    with pytest.raises(CardMute):
        connection.transmit(SELECT_SSSE)
    with stranger_connected("SHARED", leave="LEAVE") as transmit:
        assert transmit("00A4000002DF04")[-2:-1] == b"\x61"
        assert transmit("00B2012C00") == bytes.fromhex("6982")


def test_a_connection_starts_cold_whatever_another_program_left(
    insert: Insert, reader: Reader, cards: dict[str, Path]
) -> None:
    insert()
    pin = pin_block(bytearray(pin_of(cards["employee"]).digits, "ascii"))
    with stranger_connected("SHARED", leave="LEAVE") as transmit:
        assert transmit(f"00200000{len(pin):02X}{pin.hex()}") == bytes.fromhex("9000")
        assert transmit("00A4000002DF04")[-2:-1] == b"\x61"
        assert transmit("00B2012C00")[:1] == b"\x6c"
    assert not pin_open(CardSession(reader.connect()))


def test_a_card_pulled_in_mid_session(insert: Insert, reader: Reader) -> None:
    card = insert()
    connection = reader.connect()
    connection.transmit(SELECT_SSSE)
    card.pull(signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(CardRemoved):
            connection.transmit(READ_VERSION)
    wait_until("an empty reader", lambda: not reader.card_present())
    with pytest.raises(NoCard):
        reader.connect()
    insert()
    with pytest.raises(CardRemoved):
        connection.transmit(READ_VERSION)
    assert reader.connect().transmit(READ_VERSION) == VERSION


class Stone:
    """A chip with this answer to reset and no other."""

    def __init__(self, atr: str) -> None:
        self._atr = bytes.fromhex(atr)

    def reset(self) -> bytes:
        return self._atr

    def takes_data(self, ins: int) -> bool:
        return False

    def command(self, command: CommandApdu) -> ResponseApdu:
        raise AssertionError


@pytest.mark.parametrize("atr", ["3B80018081", "3B"], ids=["offers T=1 only", "no ATR"])
def test_a_chip_that_is_no_use_is_mute(pcscd: Pcscd, reader: Reader, atr: str) -> None:
    with VpcdSlot(Stone(atr), "127.0.0.1", pcscd.ports[0]) as slot:
        thread = threading.Thread(target=slot.run)
        thread.start()
        wait_until("the card", reader.card_present)
        with pytest.raises(CardMute):
            reader.connect()
        slot.close()
        thread.join()


def test_pcscd_comes_late_dies_and_comes_back(pcscd: Pcscd, insert: Insert, reader: Reader) -> None:
    pcscd.stop()
    for call in (reader.card_present, reader.connect):
        with pytest.raises(ReaderUnavailable) as caught:
            call()
        assert text_key(caught.value)[0] == "pcsc_away"
    pcscd.start()
    assert not reader.card_present()
    insert()
    connection = reader.connect()
    assert connection.transmit(READ_VERSION) == VERSION
    pcscd.stop(signal.SIGKILL)
    with pytest.raises(ReaderUnavailable):
        connection.transmit(READ_VERSION)
    with pytest.raises(ReaderUnavailable):
        reader.card_present()
    pcscd.start()
    insert()
    with pytest.raises(ReaderUnavailable):
        connection.transmit(READ_VERSION)
    assert reader.connect().transmit(READ_VERSION) == VERSION


def test_a_reader_that_is_not_there_yet(pcscd: Pcscd, reader: Reader) -> None:
    pcscd.stop()
    pcscd.start("Another device")
    for call in (reader.card_present, reader.connect):
        with pytest.raises(ReaderUnavailable) as caught:
            call()
        assert text_key(caught.value)[0] == "card_reader_away"
    pcscd.stop()
    pcscd.start()
    wait_until("the reader", lambda: not available_card(reader))


def available_card(reader: Reader) -> bool:
    """Whether the reader is away or has a card."""
    try:
        return reader.card_present()
    except ReaderUnavailable:
        return True


def test_two_readers_at_once(insert: Insert) -> None:
    readers = {"employee": open_reader(f"pcsc:{FIRST}"), "retired": open_reader(f"pcsc:{SECOND}")}
    insert("employee", FIRST)
    assert not readers["retired"].card_present()
    insert("retired", SECOND)
    sessions = {name: CardSession(reader.connect()) for name, reader in readers.items()}
    found: dict[str, list[str]] = {name: [] for name in readers}

    def read(name: str) -> None:
        for _ in range(20):
            found[name].append(sessions[name].read_holder().certno)

    threads = [threading.Thread(target=read, args=(name,)) for name in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, certnos in found.items():
        assert certnos == [load_person(GALLERY / f"{name}.toml").certno] * 20
    for reader in readers.values():
        reader.close()


def test_a_connection_is_for_nobody_else(insert: Insert, reader: Reader) -> None:
    insert()
    connection = reader.connect()
    send = ["opensc-tool", "--reader", "0", "--send-apdu", "00A40000023F00"]
    refused = subprocess.run(send, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "in use by another application" in refused.stderr
    other = open_reader(f"pcsc:{FIRST}")
    for call in (other.card_present, other.connect):
        with pytest.raises(ReaderInUse) as caught:
            call()
        assert caught.value.port == FIRST
    other.close()
    assert reader.card_present()
    assert connection.transmit(READ_VERSION) == VERSION
    connection.disconnect()
    done = subprocess.run(send, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("share", ["SHARED", "EXCLUSIVE"])
def test_a_card_that_another_program_uses_is_not_disturbed(insert: Insert, reader: Reader, share: str) -> None:
    insert()
    with stranger_connected(share, leave="UNPOWER") as transmit:
        transmit(SELECT_SSSE.to_bytes().hex())
        transmit(READ_VERSION.to_bytes().hex())
        with pytest.raises(ReaderInUse):
            reader.connect()
        assert transmit("00B2030406") == VERSION.to_bytes()
    assert reader.connect().transmit(READ_VERSION) == VERSION


@contextlib.contextmanager
def stranger_connected(share: str, *, leave: str) -> Iterator[Callable[[str], bytes]]:
    """Another client of PC/SC with the first reader's card; takes APDUs in hexadecimal."""
    from smartcard import scard

    code, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    assert code == scard.SCARD_S_SUCCESS
    mode = getattr(scard, f"SCARD_SHARE_{share}")
    code, handle, protocol = scard.SCardConnect(context, FIRST, mode, scard.SCARD_PROTOCOL_T0)
    assert (code, protocol) == (scard.SCARD_S_SUCCESS, scard.SCARD_PROTOCOL_T0)

    def transmit(apdu: str) -> bytes:
        code, answer = scard.SCardTransmit(handle, scard.SCARD_PCI_T0, list(bytes.fromhex(apdu)))
        assert code == scard.SCARD_S_SUCCESS
        return bytes(answer)

    try:
        yield transmit
    finally:
        scard.SCardDisconnect(handle, getattr(scard, f"SCARD_{leave}_CARD"))
        scard.SCardReleaseContext(context)


@pytest.mark.parametrize("program", [["opensc-tool", "--reader", "0", "--atr"], ["pcsc_scan", "-c", "-n", "-t", "1"]])
def test_a_foreign_program_sees_the_card(insert: Insert, cards: dict[str, Path], program: list[str]) -> None:
    insert()
    seen = subprocess.run(program, capture_output=True, text=True, check=False).stdout
    atr = VirtualCard.open(cards["employee"]).reset().hex()
    assert atr in seen.lower().translate({ord(":"): None, ord(" "): None})


def test_the_list_shows_readers_cards_and_users(insert: Insert, reader: Reader) -> None:
    insert("employee", SECOND)
    asked = [each.card_present for each in list_pcsc_readers()]
    assert asked == [False, True]
    insert()
    connection = reader.connect()
    connection.transmit(READ_VERSION)
    shown = CliRunner().invoke(app, ["list", "--json"])
    found = {each["address"]: each for each in json.loads(shown.stdout) if each["address"].startswith("pcsc:")}
    assert set(found) == {f"pcsc:{FIRST}", f"pcsc:{SECOND}"}
    assert all(each["card_present"] for each in found.values())
    assert found[f"pcsc:{FIRST}"]["in_use_by"] == {"pid": None, "command": ""}
    assert found[f"pcsc:{SECOND}"]["in_use_by"] is None
    assert connection.transmit(CommandApdu(0x00, 0xB2, 0x03, 0x04, le=6)) == VERSION
    table = CliRunner().invoke(app, ["list"]).stdout
    rows = {line.split("│")[1].strip(): line for line in table.splitlines() if "pcsc:" in line}
    assert "有 · in" in rows[f"pcsc:{FIRST}"]
    assert "是 · yes" in rows[f"pcsc:{FIRST}"]
    assert "是 · yes" not in rows[f"pcsc:{SECOND}"]


def test_the_list_without_pcscd_says_so_and_goes_on() -> None:
    demand()
    shown = CliRunner().invoke(app, ["list", "--json"])
    assert shown.exit_code == 0
    assert isinstance(json.loads(shown.stdout), list)
    assert "R-008" in shown.stderr


def test_without_pyscard_pcsc_is_explained_and_nothing_else_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard", None)
    shown = CliRunner().invoke(card_app, ["read", "--reader", f"pcsc:{FIRST}"])
    assert shown.exit_code == 1
    assert "R-007" in shown.stderr
    assert "pyscard" in shown.stderr
    assert CliRunner().invoke(card_app, ["read", "--reader", "virtual:2.00"]).exit_code == 0
    listed = CliRunner().invoke(app, ["list", "--json"])
    assert "R-007" in listed.stderr
    assert isinstance(json.loads(listed.stdout), list)


def test_the_commands_take_the_address(insert: Insert, cards: dict[str, Path]) -> None:
    insert()
    address = ["--reader", f"pcsc:{FIRST}", "--json"]
    read = subprocess.run([SSC, "card", "read", *address], capture_output=True, text=True, check=True)
    assert json.loads(read.stdout)["pin_tries"] == 3
    absent = subprocess.run(
        [SSC, "card", "read", "--reader", f"pcsc:{SECOND}", "--json"], capture_output=True, text=True, check=False
    )
    assert (absent.returncode, json.loads(absent.stdout)["error"]["key"]) == (1, "card_absent")
