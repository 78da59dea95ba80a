"""A broker that acknowledges everything and then forgets it (messaging.md 0-1)."""

from tests.host_bridge.journal.samples import PERSON, settlement
from tests.host_bridge.link.broker import wait_for
from tests.host_bridge.link.conftest import Site


def test_what_only_the_broker_has_acknowledged_is_still_owed(site: Site) -> None:
    _, journal = site.add_desk()
    for number in range(100):
        journal.append(settlement(str(number)), PERSON)
    steps: list[str] = []
    link = site.add_link(journal, steps.append)
    wait_for(lambda: steps.count("terminal.frame_sent") >= 4)
    site.broker.kill()
    wait_for(lambda: not link.centre.connected)
    assert journal.mark.seq == 0, "the PUBACK was trusted"
    assert journal.backlog().count == 100
    site.broker.start()
    centre = site.add_centre()
    wait_for(lambda: journal.mark.seq == 100)
    assert centre.mark == 100
