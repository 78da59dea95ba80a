"""`make bench-reader` measures what it says, and invents no ratio."""

import json

import pytest

from hardware.virtual.reader import MICROPYTHON
from tests.bench import line_rate, pio_timing, reader
from tests.firmware.pio.lines import VECTORS
from tests.firmware.rig import demand


def test_without_the_emulated_chip_there_is_no_ratio(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    demand(MICROPYTHON)
    monkeypatch.delenv(reader.BASE, raising=False)
    for name in ("ROUNDS", "APDUS"):
        monkeypatch.setattr(reader, name, 2)
    monkeypatch.setattr(reader, "FIRMWARE_APDUS", 4)
    monkeypatch.setattr(reader, "missing_parts", lambda: ["pcscd"])
    assert reader.main(["--json"]) == reader.NO_RATIOS == 3
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert "ratios" not in found
    assert err == reader.WITHOUT_RATIOS + "\n"
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


def test_with_a_base_the_ratios_are_those_of_the_emulated_chip(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("measure_firmware", "measure_host", "measure_recovery"):
        monkeypatch.setattr(reader, part, lambda *_: {})
    monkeypatch.setattr(line_rate, "measure", lambda base: {"ratios": {"11@4": base.name}})
    monkeypatch.setenv(reader.BASE, "RPI_PICO.uf2")
    assert reader.main(["--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["ratios"] == {"11@4": "RPI_PICO.uf2"}
    assert not err


def test_the_limit_is_that_of_the_sheet() -> None:
    """reader.md E.1: 12 etu a character, 4 more at each change of direction, two of these between the commands."""
    etu = line_rate.BETWEEN_ETU
    for apdu, answer in line_rate.COMMANDS.values():
        header, procedure_byte, data = 5, 1, len(bytes.fromhex(apdu)) - 5
        turns = 3 if data else 1
        etu += (header + procedure_byte + data + len(bytes.fromhex(answer))) * 12 + turns * 4
    assert etu == line_rate.LIMIT_ETU == 888


def test_steps_need_no_micropython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "find_micropython", lambda: None)
    found = reader.measure_firmware(2)
    assert all("cpython_bytecodes" in facts and "us" not in facts for facts in found.values())
