"""What a counter asks of a card takes less of the line than record by record (reader.md E.1), in virtual time."""

from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from tests.bench.card import LIMIT, LineMeter, measure


def test_the_meter_counts_as_the_sheet() -> None:
    """SELECT of 7 bytes 192 etu, READ of 32 bytes 484, VERIFY of 8 bytes 204, two turns between: 888."""

    class Card:
        def transmit(self, command: CommandApdu) -> ResponseApdu:
            return ResponseApdu(bytes(command.le or 0), 0x9000)

    meter = LineMeter(Card(), ranges=True)  # type: ignore[arg-type]
    for apdu in ("00A4040007" + "11" * 7, "00B2010420", "0020000008" + "12" * 8):
        meter.transmit(CommandApdu.from_bytes(bytes.fromhex(apdu)))
    assert (meter.cost.apdus, meter.cost.etu) == (3, 888)


def test_identify_pin_and_insurance_stay_below_the_limit() -> None:
    found = measure()["identify_pin_insurance"]
    assert found["ratio"] <= LIMIT


def test_a_card_that_refuses_ranges_still_costs_less() -> None:
    for facts in measure().values():
        assert facts["no_ranges"]["etu"] < facts["record_by_record"]["etu"]
