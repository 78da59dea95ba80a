"""The virtual card under streams of commands that were right once: an allowed answer, and a file that is a card."""

from typing import NamedTuple

from hypothesis import strategies as st

from hardware.virtual.card import CardImage, VirtualCard
from protocols.iso7816.apdu import ApduError, CommandApdu
from protocols.sscard import commands
from protocols.sscard.files import versions
from tests.fuzz.cards import new_card
from tests.fuzz.mutations import Mutation, Target, mutated, mutations
from tests.hardware.virtual.error_sets import allowed
from tests.hardware.virtual.key_terminal import PIN, KeyTerminal, image_of
from tests.hardware.virtual.tearing import WRITES

IMAGES: dict[str, CardImage] = {version: image_of(version) for version in versions()}
PLAIN = (
    "00A404000F7378312E73682EC9E7BBE1B1A3D5CF",
    "00A4040006D15600000503",
    "00A4020002EF05",
    "00B2012D40",
    "00B2842800",
    "00B0870010",
    "00C000001E",
    "0084000008",
    "008800001001020304050607081122334455667788",
    "805E010007135790FF654321",
    PIN,
    "00200000",
)
BLOCKING = (commands.APPLICATION_BLOCK, commands.CARD_BLOCK)
COUNTED = (commands.VERIFY, commands.CHANGE_PIN)


class Move(NamedTuple):
    """One of `WRITES`, with all that comes before it, or an APDU in hexadecimal; then changed."""

    what: str
    changes: tuple[Mutation, ...]


def check(case: tuple[str, list[Move]]) -> None:
    version, moves = case
    with new_card(IMAGES[version]) as card:
        terminal = KeyTerminal(card)
        for move in moves:
            try:
                right = made(terminal, move.what)
                sent = CommandApdu.from_bytes(mutated(right.to_bytes(), move.changes))
            except (ApduError, Refused):
                continue
            judge(card, right, sent)
        assert VirtualCard.open(card.path).image == card.image


class Refused(Exception):
    """What comes before the command is not possible on this card any more."""


def made(terminal: KeyTerminal, what: str) -> CommandApdu:
    if what not in WRITES:
        return CommandApdu.from_bytes(bytes.fromhex(what))
    try:
        return WRITES[what].prepare(terminal)
    except AssertionError:  # the card has lost its key or its life
        raise Refused from None


def judge(card: VirtualCard, right: CommandApdu, sent: CommandApdu) -> None:
    before = card.image
    answer = card.command(sent)
    after = card.image
    assert answer.sw == 0x6A81 if before.card_blocked else allowed(sent.ins, answer.sw), f"{sent!r} {answer.sw:04X}"
    assert not answer.data or answer.sw == 0x9000 or answer.sw >> 8 == 0x61
    if answer.sw >> 8 not in (0x90, 0x63):
        assert after == before
    if (before.blocked, before.card_blocked) != (after.blocked, after.card_blocked):
        assert sent.ins in BLOCKING
        assert answer.sw == 0x9000
    if sent.cla & 0x04 and (sent.cla, sent.ins) == (right.cla, right.ins):
        whole = (sent.p1, sent.p2, sent.data) == (right.p1, right.p2, right.data)
        assert whole or after == before, "a MAC over something else was taken"
    if before.pin is not None and after.pin is not None and answer.sw != 0x9000:
        lost = before.pin.tries - after.pin.tries
        assert lost in ((0, 1) if sent.ins in COUNTED else (0,))


TARGETS = (
    Target(
        "card",
        st.tuples(
            st.sampled_from(versions()),
            st.lists(st.builds(Move, st.sampled_from((*WRITES, *PLAIN)), mutations), max_size=12),
        ),
        check,
    ),
)
