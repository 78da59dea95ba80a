"""`make bench-reader` measures what it says, and invents no ratio."""

import json

import pytest

from hardware.virtual.reader import MICROPYTHON
from tests.bench import pio_timing, reader
from tests.firmware.pio.lines import VECTORS
from tests.firmware.rig import demand


@pytest.mark.parametrize(("base", "reason"), [("", "needs a MicroPython UF2"), ("base.uf2", "nothing here boots")])
def test_a_base_that_nothing_boots_is_told_from_none(monkeypatch: pytest.MonkeyPatch, base: str, reason: str) -> None:
    monkeypatch.setenv("SSC_UF2", base)
    assert reason in reader.why_no_ratios()


def test_without_the_emulated_chip_there_is_no_ratio(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demand(MICROPYTHON)
    for name in ("ROUNDS", "APDUS"):
        monkeypatch.setattr(reader, name, 2)
    monkeypatch.setattr(reader, "FIRMWARE_APDUS", 4)
    monkeypatch.setattr(reader, "missing_parts", lambda: ["pcscd"])
    assert reader.main(["--json"]) == reader.NO_RATIOS == 3
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert "ratios" not in found
    assert err == reader.why_no_ratios() + "\n"
    for command in ("select", "read_record", "verify"):
        facts = found["firmware"][command]
        assert facts["us_range"][0] <= facts["us"] <= facts["us_range"][1]
        assert facts["allocated"] > 0
        assert facts["cpython_bytecodes"] > facts["cpython_lines"] > 0
    host = found["host"]
    assert host["without"] == ["pcscd"]
    assert host["raw_ms"] > 0
    assert host["serial_ms"] > 0
    assert found["recovery"]["host_ms"] > 0


def test_the_timing_of_the_state_machine_keeps_the_standard() -> None:
    found = pio_timing.measure()
    signal = VECTORS["error_signal"]
    assert signal["from"] <= found["error_signal_from_etu"] <= signal["to"]
    assert signal["shortest"] <= found["error_signal_etu"] <= signal["longest"]
    assert found["turnaround_etu"] >= VECTORS["turnaround"]["t0"]
    assert found["sent_every_etu"] == 12  # reader.md B.2, N = 0
    assert found["etu_error_ppm"].keys() == {"11@4", "13@4", "95@4", "96@4", "97@5"}
    assert all(abs(error) < 500 for error in found["etu_error_ppm"].values())


def test_steps_need_no_micropython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "find_micropython", lambda: None)
    found = reader.measure_firmware(2)
    assert all("cpython_bytecodes" in facts and "us" not in facts for facts in found.values())
