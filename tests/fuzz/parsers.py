"""Whatever parses bytes of a card: a result or its own error, and nothing is lost or made up."""

import contextlib

from hypothesis import strategies as st

from hardware.virtual.card import file_key
from hardware.virtual.people import card_image, gallery
from host_bridge.card.errors import CardError
from host_bridge.card.session import CardSession
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr, AtrError
from protocols.iso7816.pps import DEFAULT_FI_DI, PpsError, agreed_speed, pps_request
from protocols.iso7816.t0 import T0Error, T0Exchange, t0_command
from protocols.iso7816.t1 import Block, BlockError, block_size
from protocols.iso7816.tlv import TlvError, parse_tlvs
from protocols.sscard.content import FileDecoder
from protocols.sscard.files import Directory, File, card_files, versions
from protocols.sscard.items import Item, ItemError
from tests.fuzz.mutations import Target, like
from tests.hardware.virtual.key_terminal import image_of

IMAGES = {version: image_of(version) for version in versions()} | {
    name: card_image(person) for name, person in gallery().items()
}
RECORDS = tuple(
    sorted({bytes.fromhex(record) for image in IMAGES.values() for file in image.files.values() for record in file})
)
ATRS = (
    *sorted({bytes.fromhex(image.atr) for image in IMAGES.values()}),
    bytes.fromhex("3B9F95801FC78031E073FE211B63E203819000FF"),
    bytes.fromhex("3BD18080810531C080"),
)
FCI = bytes.fromhex("6F1C840F7378312E73682EC9E7BBE1B1A3D5CFA50988011E9F0C03860101")
FILES: list[tuple[str, Directory, File]] = [
    (version, directory, file) for version in versions() for directory, file in card_files(version).all_files()
]
ITEMS: list[Item] = [item for _, _, file in FILES for item in file.items]
WITH_PARTS = [item for item in ITEMS if item.parts]
ISSUER_RECORDS = tuple(bytes.fromhex(record) for record in IMAGES["2.00"].files["SSSE EF05"])


class Answering:
    """A card that gives one answer to SELECT and another to everything else."""

    def __init__(self, selected: bytes, read: bytes) -> None:
        self.selected, self.read = selected, read

    atr = Atr.from_bytes(ATRS[0])

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        return ResponseApdu((self.selected if command.ins == 0xA4 else self.read)[:256], 0x9000)

    def reset(self) -> Atr:
        return self.atr

    def disconnect(self) -> None:
        pass


def tlvs(data: bytes) -> None:
    try:
        found = parse_tlvs(data)
    except TlvError:
        return
    assert b"".join(each.to_bytes() for each in found) == data


def answer_to_reset(data: bytes) -> None:
    try:
        atr = Atr.from_bytes(data)
    except AtrError:
        return
    assert atr.to_bytes() == data
    assert data.endswith(atr.historical_bytes) or data[:-1].endswith(atr.historical_bytes)


def selected(case: tuple[bytes, bytes]) -> None:
    """FCI, and what is read after it."""
    with contextlib.suppress(CardError):
        CardSession(Answering(*case)).read_issuer()


def an_item(case: tuple[Item, bytes]) -> None:
    """What can be decoded and encoded again says the same."""
    item, value = case
    try:
        text = item.decode(value)
        again = item.encode(text)
    except ItemError:
        return
    assert len(again) <= item.length
    assert item.decode(again) == text


def content(case: tuple[tuple[str, Directory, File], tuple[bytes, ...]]) -> None:
    """Every record is there, what is not known as it came; whether it is text can be shown."""
    (version, directory, file), given = case
    decoder = FileDecoder(card_files(version), directory, file)
    found = decoder.binary(b"".join(given)) if file.structure == "transparent" else decoder.records(given)
    assert len(found) == (1 if file.structure == "transparent" else len(given))
    for each, record in zip(found, given, strict=False):
        assert each.known or each.text == record.hex().upper()
        assert each.text.isprintable()


def contact_line(case: tuple[bytes, bytes]) -> None:
    """T=0 takes what it wants or says what is wrong; an answer is no longer than P3 said."""
    sent, heard = case
    try:
        tpdu = t0_command(sent)
    except T0Error:
        return
    exchange, at = T0Exchange(sent), 0
    with contextlib.suppress(T0Error):
        while not exchange.done and at < len(heard):
            wanted = exchange.wanted
            exchange.take(heard[at : at + wanted])
            at += wanted
    assert len(exchange.response) <= (tpdu[4] or 256) + 2


def answer_to_pps(case: tuple[int, bytes]) -> None:
    """A card only ever agrees to what it was asked, or to the default speed."""
    fi_di, answer = case
    for protocol in (0, 1):
        with contextlib.suppress(PpsError):
            assert agreed_speed(pps_request(protocol, fi_di), answer) in (fi_di, DEFAULT_FI_DI)


def a_block(case: tuple[bytes, bool]) -> None:
    """A block of T=1 that is taken is taken whole, and says the same again."""
    data, has_crc = case
    try:
        block = Block.from_bytes(data, has_crc)
    except BlockError:
        return
    assert block.to_bytes(has_crc) == data
    assert block_size(data[:3], has_crc) == len(data)


@st.composite
def item_and_value(draw: st.DrawFn) -> tuple[Item, bytes]:
    item = draw(st.one_of(st.sampled_from(ITEMS), st.sampled_from(WITH_PARTS)))
    values = tuple(record[2:] for record in RECORDS if record[0] == item.tag) or (bytes(item.length),)
    return item, draw(st.one_of(like(*values), st.binary(min_size=item.length, max_size=item.length)))


@st.composite
def file_and_records(draw: st.DrawFn) -> tuple[tuple[str, Directory, File], tuple[bytes, ...]]:
    version, directory, file = draw(st.sampled_from(FILES))
    own = tuple(map(bytes.fromhex, IMAGES[version].files.get(file_key(directory, file), ()))) or RECORDS
    return (version, directory, file), tuple(draw(st.lists(st.one_of(like(*own), like(*RECORDS)), max_size=8)))


SENT = tuple(map(bytes.fromhex, ("00A40000023F00", "00B2030406", "0084000008", "00200000", "0020000003000000")))
HEARD = (*map(bytes.fromhex, ("B20304332E30309000", "A49000", "60DB9000", "845BA5609000")), b"\xb2" + bytes(300))
PPS_ANSWERS = tuple(map(bytes.fromhex, ("FF1011FE", "FF109679", "FF00FF", "FF119679", "FF309600CF")))
BLOCKS = tuple(
    Block(0x00, pcb, inf).to_bytes(has_crc)
    for pcb, inf in ((0x00, b"\x90\x00"), (0x20, bytes(254)), (0x81, b""), (0xC1, b"\xfe"), (0xE3, b"\x01"))
    for has_crc in (False, True)
)

TARGETS = (
    Target("TLV", like(*RECORDS, FCI), tlvs),
    Target("ATR", like(*ATRS), answer_to_reset),
    Target("FCI", st.tuples(like(FCI), like(*ISSUER_RECORDS)), selected),
    Target("item", item_and_value(), an_item),
    Target("content", file_and_records(), content),
    Target("T=0", st.tuples(like(*SENT), like(*HEARD)), contact_line),
    Target("PPS", st.tuples(st.sampled_from((0x11, 0x13, 0x95, 0x96, 0x97)), like(*PPS_ANSWERS)), answer_to_pps),
    Target("T=1", st.tuples(like(*BLOCKS), st.booleans()), a_block),
)
