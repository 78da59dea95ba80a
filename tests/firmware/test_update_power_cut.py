"""A power cut at any byte of an update leaves a reader that starts, with all of the old or all of the new files."""

import os
import subprocess
from pathlib import Path

import pytest

from firmware.boot import load
from firmware.files import FileSystem
from hardware.virtual.reader import firmware_command
from tests.firmware.flash import Flash, FlashFiles, PowerCut
from tests.firmware.releases import bring, digest_in, install, release, start

ROOT = Path(__file__).parents[2]
OLD, NEW = release("0.1.0", floor="0.1.0"), release("0.2.0")


def flashed() -> tuple[bytes, bytes, bytes]:
    """A chip with the old release, the digests of both."""
    chip = FlashFiles(Flash())
    chip.format()
    install(chip, "", *NEW)
    new = digest_in(chip, "b/")
    chip = FlashFiles(Flash())
    chip.format()
    install(chip, "", *OLD)
    return bytes(chip.flash.buffer), digest_in(chip, "b/"), new


def remounted(content: bytes, cut_at: int | None = None) -> FlashFiles:
    files = FlashFiles(Flash(content, cut_at))
    files.mount()
    return files


def test_the_flash_may_lose_power_at_every_write_and_erase() -> None:
    content, old, new = flashed()
    whole = remounted(content)
    bring(whole, "", *NEW, new)
    assert whole.flash.done > 60
    seen = set()
    for cut_at in range(whole.flash.done):
        files = remounted(content, cut_at)
        with pytest.raises(PowerCut):
            bring(files, "", *NEW, new)
        after = remounted(bytes(files.flash.buffer))
        slot, digest = start(after, "")
        assert (slot, digest) in {("b", old), ("a", new)}, cut_at
        seen.add(slot)
        bring(after, "", *NEW, new)
        state = load(after.open, "")
        assert (state.confirmed, state.trial) == ("a", "-"), cut_at
        assert digest_in(after, "a/") == new
        assert digest_in(after, "b/") == old, "the way back is still there"
    assert seen == {"a", "b"}


def test_going_back_may_lose_power_at_every_write_and_erase() -> None:
    """A trial that nobody confirms, from its first start to the one after it is over."""
    content, old, new = flashed()
    tried = remounted(content)
    with pytest.raises(PowerCut):
        bring(_Stopped(tried), "", *NEW, new)
    content = bytes(tried.flash.buffer)
    whole = remounted(content)
    assert [start(whole, "") for _ in range(5)] == [("a", new)] * 3 + [("b", old)] * 2
    assert load(whole.open, "").reason == "power"
    for cut_at in range(whole.flash.done):
        files = remounted(content, cut_at)
        with pytest.raises(PowerCut):
            [start(files, "") for _ in range(5)]
        after = remounted(bytes(files.flash.buffer))
        starts = [start(after, "") for _ in range(5)]
        assert set(starts) <= {("b", old), ("a", new)}, cut_at
        assert starts[-1] == ("b", old), cut_at
        assert starts == sorted(starts), "once back, it stays"


class _Stopped:
    """The power goes when the new files are to start for the first time."""

    def __init__(self, files: FlashFiles) -> None:
        self._files, self._stores = files, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._files, name)

    def rename(self, old: str, new: str) -> None:
        """Once for the old files' start, once for their floor, once for the trial."""
        self._stores += 1
        if self._stores > 3:
            raise PowerCut
        self._files.rename(old, new)


def test_the_firmware_may_be_killed_at_every_file_operation(interpreter: str, tmp_path: Path) -> None:
    program = [firmware_command(interpreter)[1][0], str(Path(__file__).with_name("update_steps.py"))]
    environment = {**os.environ, "MICROPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)}
    folder, files = f"{tmp_path}/", FileSystem()
    install(files, folder, *NEW)
    new = digest_in(files, f"{folder}b/")
    install(files, folder, *OLD)
    old = digest_in(files, f"{folder}b/")
    done = subprocess.run([*program, folder], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = [line.split() for line in done.stdout.splitlines()]
    assert len(steps) > 30
    for _, slot, digest in steps:
        assert (slot, digest) in {("b", old.hex()), ("a", new.hex())}
    assert steps[-1][1] == "a"
    assert load(files.open, folder).confirmed == "a"
    assert (digest_in(files, f"{folder}b/"), digest_in(files, f"{folder}a/")) == (old, new)
