"""Broker rights from day one (design 7): every terminal × topic, reading and writing, on a real mosquitto."""

from typing import NamedTuple

import pytest

from hardware.virtual.processes import wait_until
from protocols.events.topics import CENTRE_GONE, ROOT, bucket, centre_topic, topic
from server.run import renew_broker_files
from server.terminals.broker_files import centre_password
from tests.server.chains import Chain
from tests.server.conftest import Bench, Mosquitto
from tests.server.mqtt import Party

SUCCESS, NO_SUBSCRIBERS, NOT_AUTHORISED = 0x00, 0x10, 0x87
MAY_WRITE = {"event", "presence", "query", "key"}
MAY_READ = {"receipt", "answer", "desired"}
TERMINALS = ("T-1", "t-2", "3")


class Site(NamedTuple):
    mosquitto: Mosquitto
    chains: dict[str, Chain]

    def terminal(self, name: str) -> Party:
        return Party(self.mosquitto.port, name, self.chains[name].record.mqtt_password, name)

    def centre(self) -> Party:
        return Party(self.mosquitto.port, "centre", centre_password(self.mosquitto.config.broker), "c")


@pytest.fixture
def site(mosquitto: Mosquitto) -> Site:
    bench = Bench(mosquitto.config.server.store)
    chains = {name: bench.enrol(name) for name in TERMINALS}
    renew_broker_files(mosquitto.config, bench.store)
    bench.close()
    site = Site(mosquitto, chains)

    def all_in() -> bool:
        parties = [site.terminal(name) for name in TERMINALS]
        for party in parties:
            party.close()
        return all(party.reason == SUCCESS for party in parties)

    wait_until("the broker has read the new passwords", all_in)
    return site


def every_topic() -> dict[str, tuple[str, str]]:
    """Full topic to (owner, name); the centre's and outsiders' topics have owner ''."""
    topics = {topic(owner, name): (owner, name) for owner in TERMINALS for name in sorted(MAY_WRITE | MAY_READ)}
    topics |= {topic(owner, "secret"): ("", "secret") for owner in TERMINALS}
    topics |= {f"{ROOT}/{bucket(owner)}/{owner}": ("", "bare") for owner in TERMINALS}
    topics |= {centre_topic(bucket(owner)): ("", "centre") for owner in TERMINALS}
    return topics | {CENTRE_GONE: ("", "centre"), "elsewhere/1": ("", "elsewhere"), "ssc/2/x": ("", "other")}


@pytest.mark.parametrize("name", TERMINALS)
def test_terminal_writes_its_own_up_topics_and_nothing_else(site: Site, name: str) -> None:
    party = site.terminal(name)
    for full, (owner, kind) in every_topic().items():
        allowed = owner == name and kind in MAY_WRITE
        wanted = {SUCCESS, NO_SUBSCRIBERS} if allowed else {NOT_AUTHORISED}
        assert party.publish(full) in wanted, full
    party.close()


@pytest.mark.parametrize("name", TERMINALS)
def test_terminal_reads_its_own_down_topics_and_the_centre_and_nothing_else(site: Site, name: str) -> None:
    party, centre = site.terminal(name), site.centre()
    party.subscribe("#")
    for full in every_topic():
        party.subscribe(full)
        reason = centre.publish(full)
        assert reason == (NOT_AUTHORISED if not full.startswith(f"{ROOT}/") else SUCCESS), full
    last = topic(name, "receipt")
    centre.publish(last, b"last")
    wait_until("the last message", lambda: b"last" in party.wait(last))
    assert party.topics() == {
        full
        for full, (owner, kind) in every_topic().items()
        if (owner == name and kind in MAY_READ) or kind == "centre"
    }
    party.close()
    centre.close()


def test_retained_topics_of_others_are_not_read_either(site: Site) -> None:
    centre = site.centre()
    for name in TERMINALS:
        centre.publish(topic(name, "desired"), name.encode(), retain=True)
        centre.publish(topic(name, "presence"), name.encode(), retain=True)
    party = site.terminal("T-1")
    party.subscribe("#")
    party.wait(topic("T-1", "desired"))
    centre.publish(topic("T-1", "receipt"))
    party.wait(topic("T-1", "receipt"))
    assert party.topics() == {topic("T-1", "desired"), topic("T-1", "receipt")}
    party.close()
    centre.close()


def test_nobody_without_the_right_password_comes_in(site: Site) -> None:
    port = site.mosquitto.port
    good = site.chains["T-1"].record.mqtt_password
    for user, password in ((None, None), ("T-1", "wrong"), ("T-1", None), ("t-2", good), ("T-9", good)):
        party = Party(port, user, password, "intruder")
        assert party.reason in {0x86, NOT_AUTHORISED}
        party.close()


def test_new_enrolment_shuts_the_old_password_out(site: Site) -> None:
    bench = Bench(site.mosquitto.config.server.store)
    renewed = bench.enrol("T-1")
    renew_broker_files(site.mosquitto.config, bench.store)
    bench.close()

    def reason(password: str) -> int:
        party = Party(site.mosquitto.port, "T-1", password, "T-1")
        party.close()
        return party.reason

    wait_until("the new password counts", lambda: reason(renewed.record.mqtt_password) == SUCCESS)
    assert reason(site.chains["T-1"].record.mqtt_password) != SUCCESS
