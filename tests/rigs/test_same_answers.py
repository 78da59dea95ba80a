"""One conversation with one card: in process, and on whatever rung."""

from pathlib import Path

import pytest

from hardware.virtual.card import VirtualCard
from host_bridge.card.t0_follow_up import T0FollowUp
from host_bridge.readers.reader import CardConnection
from host_bridge.readers.virtual import VirtualConnection
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard import commands, security
from tests.hardware.virtual.key_terminal import PIN, SOURCE, KeyTerminal, image_of
from tests.rigs.conftest import StartRig
from tests.rigs.rungs import CARD, CHALLENGES, Wanted

Step = tuple[str, CommandApdu, int]


def challenges(length: int) -> bytes:
    """The card's randomness, the same everywhere: ssc-card.md 6.6."""
    return bytes(range(1, length + 1))


def conversation(folder: Path, version: str) -> list[Step]:
    """(what, command, status word): ssc-card.md 9.1, 9.3, 9.6 with the keys of this card, and what is refused."""
    terminal = KeyTerminal(VirtualCard.create(folder / "terminal.card", image_of(version)))

    def proof(name: str) -> CommandApdu:
        session = security.session_key(terminal.algorithm, terminal.key(name), challenges(8))
        data = security.authentication_data(terminal.algorithm, session, SOURCE)
        return commands.external_authentication(terminal.files.keys.key(name).id or 0, data, SOURCE)

    def apdu(text: str) -> CommandApdu:
        return CommandApdu.from_bytes(bytes.fromhex(text))

    free, longer_than_an_answer = version != "3.00", version == "1.00"
    return [
        ("select SSSE", apdu("00A404000F7378312E73682EC9E7BBE1B1A3D5CF"), 0x9000),
        ("identify", apdu("00B2012D40"), 0x9000),
        ("wrong Le", apdu("00B2012C00"), 0x9000),
        ("holder", apdu("00B2083014"), 0x9000 if free else 0x6982),
        ("tries", apdu("00200000"), 0x63C3),
        ("wrong PIN", apdu("0020000003998877"), 0x63C2),
        ("PIN", apdu(PIN), 0x9000),
        ("own proof", commands.internal_authentication(challenges(8), SOURCE), 0x9000),
        ("select DF04", apdu("00A4040006D15600000503"), 0x9000),
        ("insurance", apdu("00B2012D00"), 0x6A81 if longer_than_an_answer else 0x9000),
        ("region", apdu("00B2842800"), 0x9000),
        ("no key yet", apdu("00B2903000"), 0x6982),
        ("no challenge yet", proof("RK1DF04"), 0x6984),
        ("challenge", commands.get_challenge(8), 0x9000),
        ("wrong proof", commands.external_authentication(0x84, bytes(8), SOURCE), 0x63C2),
        ("challenge again", commands.get_challenge(8), 0x9000),
        ("right proof", proof("RK1DF04"), 0x9000),
        ("with key", apdu("00B2903000"), 0x9000),
        ("no record", apdu("00B2FE2C00"), 0x6A83),
        ("no file", apdu("00A4020002EFEE"), 0x6A82),
        ("no instruction", apdu("00FE000000"), 0x6D00),
        ("no class", apdu("B0B2012C00"), 0x6E00),
    ]


def said(connection: CardConnection, steps: list[Step]) -> list[tuple[str, str]]:
    whole = T0FollowUp(connection)
    return [(what, whole.transmit(command).to_bytes().hex().upper()) for what, command, _ in steps]


@pytest.mark.needs(CARD, CHALLENGES)
@pytest.mark.parametrize("version", ["1.00", "2.00", "3.00"])
def test_the_same_answers(start_rig: StartRig, version: str, tmp_path: Path) -> None:
    steps = conversation(tmp_path, version)
    card = VirtualCard.create(tmp_path / "here.card", image_of(version), challenges)
    here = VirtualConnection(card, card.path)
    expected = said(here, steps)
    assert [answer[-4:] for _, answer in expected] == [f"{sw:04X}" for _, _, sw in steps]
    there = VirtualCard.create(tmp_path / "there.card", image_of(version))
    rig = start_rig(Wanted(randomness=challenges), there.path)
    assert said(rig.open().connect(), steps) == expected
    assert VirtualCard.open(rig.card).image == VirtualCard.open(tmp_path / "here.card").image
