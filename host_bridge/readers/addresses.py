"""Reader addresses, and the readers of this machine."""

import os
from typing import NamedTuple

from serial.tools import list_ports

from host_bridge.readers.pcsc_service import PcscService
from host_bridge.readers.port_lock import Holder, holder_of, holders
from host_bridge.readers.reader import Reader

PCSC, SERIAL, VIRTUAL = "pcsc", "serial", "virtual"
FORMS = "serial:PATH[#SLOT], pcsc:NAME or virtual:FILE"
MAX_SLOT = 15


class AddressError(ValueError):
    """No reader address: `serial:PATH[#SLOT]`, `pcsc:NAME` or `virtual:FILE`."""


class FoundReader(NamedTuple):
    """A serial port that may be a reader, or a reader of PC/SC; `holder` is the process that has it for itself.

    `card_present` is None where only opening could tell.
    """

    address: str
    description: str
    holder: Holder | None
    card_present: bool | None = None


def open_reader(address: str) -> Reader:
    """The reader at an address, not yet opened; `AddressError` where it names none.

    Readers at the slots of one `serial:` path share its port; a command of one waits for that of another.
    `ReaderUnavailable` where this installation lacks what the scheme needs.
    """
    scheme, colon, rest = address.partition(":")
    if not colon or not rest:
        raise AddressError(f"{address!r} is no reader address: {FORMS}")
    if (port := serial_path(address)) is not None:
        from host_bridge.readers.serial import SerialReader  # noqa: PLC0415 - one scheme's parts only
        from host_bridge.readers.serial_link import shared_link  # noqa: PLC0415

        path, slot = port
        return SerialReader(path, slot, link=shared_link(path))
    if scheme == PCSC:
        from host_bridge.readers.pcsc import PcscReader  # noqa: PLC0415

        return PcscReader(rest)
    if scheme == VIRTUAL:
        from host_bridge.readers.virtual import VirtualReader  # noqa: PLC0415

        return VirtualReader(rest)
    raise AddressError(f"{address!r}: unknown scheme {scheme!r}, known are {FORMS}")


def serial_path(address: str) -> tuple[str, int] | None:
    """Port and slot of a `serial:` address, None for another scheme; `AddressError`."""
    scheme, _, rest = address.partition(":")
    if scheme != SERIAL:
        return None
    path, _, slot = rest.partition("#")
    return path, _slot(slot, address)


def list_serial_readers() -> tuple[FoundReader, ...]:
    """The machine's serial ports, and others that are held; none is opened."""
    ports = {port.device: port.description for port in list_ports.comports()}
    devices = {os.path.realpath(path) for path in ports}
    held = {holder.port: "" for holder in holders() if holder.port and os.path.realpath(holder.port) not in devices}
    return tuple(
        FoundReader(f"{SERIAL}:{path}", "" if description == "n/a" else description, holder_of(path))
        for path, description in sorted((held | ports).items())
    )


def list_pcsc_readers() -> tuple[FoundReader, ...]:
    """The readers of PC/SC; no card is touched. `ReaderUnavailable` where PC/SC cannot be asked."""
    service = PcscService()
    try:
        return tuple(
            FoundReader(
                f"{PCSC}:{reader.name}",
                "PC/SC",
                Holder(reader.name, None, "") if reader.exclusive else None,
                reader.card_present,
            )
            for reader in service.readers()
        )
    finally:
        service.close()


def _slot(text: str, address: str) -> int:
    if not text:
        return 0
    if not text.isdecimal() or int(text) > MAX_SLOT:
        raise AddressError(f"{address!r}: {text!r} is no slot number")
    return int(text)
