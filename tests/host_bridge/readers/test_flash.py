"""`ssc reader flash`: the image goes to the drive of a board in BOOTSEL mode, and only there."""

import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hardware.uf2 import Uf2, pages, write_uf2
from host_bridge.readers.commands import app
from host_bridge.readers.flash_command import INFO, FlashError, chip_of, find_drive, write_image

RP2040, RP2350 = 0xE48BFF56, 0xE48BFF59
IMAGE = write_uf2(Uf2(RP2040, pages(0x10000000, bytes(range(256)) * 900)))
INFO_RP2040 = "UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n"
INFO_RP2350 = "UF2 Bootloader v1.0\nModel: Raspberry Pi RP2350\nBoard-ID: RP2350\n"


def said(*arguments: str, code: int = 0) -> Any:
    done = CliRunner().invoke(app, ["flash", *arguments, "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.output)


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    """A drive with a space in its name, as desktops mount them."""
    folder = tmp_path / "media" / "读卡器 RP2"
    folder.mkdir(parents=True)
    (folder / INFO).write_text(INFO_RP2040)
    return folder


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "reader.uf2"
    path.write_bytes(IMAGE)
    return path


@pytest.fixture
def board(drive: Path) -> Iterator[list[bytes]]:
    """A boot ROM: takes every block, then its drive is gone. What it took."""
    taken: list[bytes] = []
    ended = threading.Event()

    def serve() -> None:
        while not ended.wait(0.01):
            found = [path for path in drive.glob("*.uf2") if path.stat().st_size == len(IMAGE)]
            if found:
                taken.append(found[0].read_bytes())
                (drive / INFO).unlink()
                return

    thread = threading.Thread(target=serve)
    thread.start()
    yield taken
    ended.set()
    thread.join()


def test_the_board_gets_every_byte(image: Path, drive: Path, board: list[bytes]) -> None:
    assert said(str(image), "--drive", str(drive)) == {"image": str(image), "drive": str(drive), "chip": "RP2040"}
    assert board == [IMAGE]


def test_the_one_drive_there_is_is_found(drive: Path, tmp_path: Path) -> None:
    other = tmp_path / "usb"
    other.mkdir()
    escaped = str(drive).replace(" ", "\\040")
    mounts = f"/dev/sda1 {escaped} vfat rw 0 0\n/dev/sdb1 {other} vfat rw 0 0\nproc /proc proc rw 0 0\n"
    assert find_drive(mounts) == drive
    (other / INFO).write_text(INFO_RP2350)
    assert chip_of(other) == "RP2350"
    with pytest.raises(FlashError) as caught:
        find_drive(mounts)
    assert caught.value.facts == {"count": "2"}
    with pytest.raises(FlashError):
        find_drive("")


@pytest.mark.parametrize(
    ("info", "family", "key"),
    [
        (INFO_RP2350, RP2040, "reader_flash_wrong_chip"),
        (INFO_RP2040, RP2350, "reader_flash_wrong_chip"),
        (INFO_RP2040, 1, "reader_flash_wrong_chip"),
        ("Board-ID: SAMD21\n", RP2040, "reader_flash_no_drive"),
        ("", RP2040, "reader_flash_no_drive"),
    ],
)
def test_nothing_is_written_where_it_does_not_belong(
    tmp_path: Path, drive: Path, info: str, family: int, key: str
) -> None:
    (drive / INFO).write_text(info)
    image = tmp_path / "other.uf2"
    image.write_bytes(write_uf2(Uf2(family, pages(0x10000000, bytes(256)))))
    assert said(str(image), "--drive", str(drive), code=1)["error"]["key"] == key
    assert [path.name for path in drive.iterdir()] == [INFO]


@pytest.mark.parametrize("data", [b"", IMAGE[:-512], IMAGE[:700], b"\x7fELF" * 128])
def test_an_image_that_is_not_whole_is_not_written(image: Path, drive: Path, data: bytes) -> None:
    image.write_bytes(data)
    assert said(str(image), "--drive", str(drive), code=1)["error"]["key"] == "reader_flash_unfit"
    assert [path.name for path in drive.iterdir()] == [INFO]


def test_a_drive_that_stays_took_nothing(drive: Path) -> None:
    clock = itertools.count()
    with pytest.raises(FlashError) as caught:
        write_image(IMAGE, RP2040, drive, monotonic=lambda: next(clock) * 10.0, sleep=lambda _: None)
    assert caught.value.key == "reader_flash_not_taken"


def test_an_image_for_ram_is_refused(drive: Path, tmp_path: Path) -> None:
    image = tmp_path / "ram.uf2"
    image.write_bytes(write_uf2(Uf2(RP2040, pages(0x20000000, bytes(256)))))
    assert said(str(image), "--drive", str(drive), code=1)["error"]["key"] == "reader_flash_unfit"
    assert [path.name for path in drive.iterdir()] == [INFO]


def test_a_drive_that_is_full_has_not_taken_it(drive: Path, image: Path) -> None:
    """The board may have written some of it: nothing else may be said."""
    (drive / "firmware.uf2").symlink_to("/dev/full")
    assert said(str(image), "--drive", str(drive), code=1)["error"]["key"] == "reader_flash_not_taken"
