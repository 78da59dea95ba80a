"""A 3.00 card at the counter: read where the terminal has keys, refused with the next step where it has not."""

from pathlib import Path

import pytest

from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_file import sam_image
from host_bridge.card.sam_module import SamModule
from host_bridge.card.security_module import CentreModule, SecurityModule
from host_bridge.readers.virtual import VirtualReader
from protocols.texts.catalogue import texts
from tests.host_bridge.counter.till import D2_LINES, Till


def with_keys(till: Till, module: SecurityModule | None) -> Till:
    till.counter.stop()
    till.security = module
    till.counter = till.make_counter("110000")
    return till


def test_a_3_00_card_is_settled_through_a_sam(till: Till, tmp_path: Path) -> None:
    path = tmp_path / "module.sam"
    VirtualSam.create(path, sam_image("110102", 3, "counter"))
    module = SamModule(VirtualReader(str(path)))
    with_keys(till, module).person("employee", card={"version": "3.00"})
    assert till.stage() == "bill"
    assert till.view.person is not None
    assert till.view.person.name == "李＊华"
    till.counter.enter_bill("11", D2_LINES)
    till.counter.settle()
    assert till.stage() == "done"
    module.close()


@pytest.mark.parametrize(
    ("module", "key"),
    [(None, "card_key_missing"), (CentreModule(lambda *_: None), "security_module_silent")],
    ids=["no keys", "centre away"],
)
def test_without_keys_the_visit_stops_and_can_go_on_in_cash(
    till: Till, module: SecurityModule | None, key: str
) -> None:
    with_keys(till, module).person("employee", card={"version": "3.00"})
    assert till.stage() == "refused"
    assert till.view.refusal is not None
    assert till.view.refusal.number == texts()[key].number
