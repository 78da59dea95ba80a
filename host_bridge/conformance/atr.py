"""ATR: the answer to reset (ssc-card.md 2)."""

from host_bridge.conformance.card import Card
from host_bridge.conformance.case import Case, Unexpected
from protocols.iso7816.atr import DIRECT
from protocols.sscard import commands

BASIC_FORM, CLOCK_STOP_FORM = (0x6, 0x2, 0x7, 0x3), (0x9, 0xD, 0xC, 0x8)
"""High nibbles of T0."""
CLOCK_STOP_TD = (0x80, 0x1F)
"""TD1 and TD2 where clock stop and class are told."""
HISTORICAL_BYTES = 13
REGION = slice(7, 9)
"""Historical bytes T8 and T9: the first four digits of the region."""
CARD_ID, CARD_ID_BYTES = 0x01, 0x12


def form(card: Card) -> None:
    raw, interface = card.atr.to_bytes(), card.atr.interface
    _same("TS", f"{DIRECT:02X}", f"{raw[0]:02X}")
    high = raw[1] >> 4
    if high in BASIC_FORM:
        _same("TB1", "00", f"{interface[0][1] or 0:02X}")
    elif high in CLOCK_STOP_FORM:
        found = [f"{group[3]:02X}" for group in interface if group[3] is not None]
        _same("TD1 TD2", " ".join(f"{td:02X}" for td in CLOCK_STOP_TD), " ".join(found))
    else:
        raise Unexpected("ATR T0", "6K 2K 7K 3K 9K DK CK 8K", f"{raw[1]:02X}")


def historical_bytes(card: Card) -> None:
    _same("K", str(HISTORICAL_BYTES), str(len(card.atr.historical_bytes)))


def region(card: Card) -> None:
    card.enter("SSSE")
    card.select("SSSE", "EF05")
    value = card.require(commands.read_tag(CARD_ID, CARD_ID_BYTES)).data[2:]
    _same("T8 T9", value[:2].hex(), card.atr.historical_bytes[REGION].hex())


def _same(part: str, expected: str, found: str) -> None:
    if expected != found:
        raise Unexpected(f"ATR {part}", expected, found)


CASES = (
    Case("ATR.form", "正向约定，基本格式之一", "Direct convention and one of the basic forms", "2", form),
    Case("ATR.historical_bytes", "13 个历史字节", "13 historical bytes", "2", historical_bytes),
    Case("ATR.region", "历史字节的地区与卡识别码一致", "Region as in the card identification code", "2, 8", region),
)
