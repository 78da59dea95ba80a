"""Where this terminal's configuration says the keys of cards are."""

from host_bridge.card.sam_module import SamModule
from host_bridge.card.security_module import AskCentre, CentreModule, SecurityModule
from host_bridge.readers.addresses import open_reader

CENTRE, SAM = "centre", "sam:"


def open_security_module(where: str, ask: AskCentre) -> SecurityModule | None:
    """`centre`, `sam:` and a reader's address, or empty; nothing is asked yet. `AddressError` of a SAM's reader."""
    if where.startswith(SAM):
        return SamModule(open_reader(where.removeprefix(SAM)))
    return CentreModule(ask) if where == CENTRE else None
