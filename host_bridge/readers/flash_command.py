"""`ssc reader flash`: the whole firmware onto a board in BOOTSEL mode, through the drive that its boot ROM offers."""

import errno
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from hardware.uf2 import FAMILIES, Uf2Error, read_uf2
from host_bridge.readers.command_line import Json, fail, print_json, reason_of

INFO = "INFO_UF2.TXT"
BOARD_IDS = {"RPI-RP2": "RP2040", "RP2350": "RP2350"}
"""Board-ID in INFO_UF2.TXT (RP2040 datasheet 2.8.4.1; RP2350 datasheet 5.5)."""
FLASH = range(0x10000000, 0x12000000)
"""Addresses of it on either chip (RP2040 datasheet 2.2, RP2350 datasheet 2.2); the boot ROM runs what is for RAM."""
MOUNTS = Path("/proc/mounts")
ESCAPED = re.compile(r"\\([0-7]{3})")
"""How that file writes blanks in paths."""
TAKEN_WITHIN_S = 60.0
LOOK_EVERY_S = 0.1
CHUNK = 1 << 16

Image = Annotated[Path, typer.Argument(help="完整镜像 · UF2 that `make firmware` made")]
Drive = Annotated[Path | None, typer.Option("--drive", help="BOOTSEL 盘挂载点 · where the BOOTSEL drive is mounted")]


class FlashError(Exception):
    """The image did not get onto a board; `key` and `facts` are of the catalogue text."""

    def __init__(self, key: str, **facts: str) -> None:
        self.key, self.facts = key, facts
        super().__init__(key)


def flash(image: Image, drive: Drive = None, as_json: Json = False) -> None:
    """把完整镜像写入 BOOTSEL 模式的读卡器板 · Write the whole image to a board in BOOTSEL mode."""
    try:
        data = image.read_bytes()
        family, content = read_uf2(data)
        for address in content:
            if address not in FLASH:
                raise Uf2Error(f"{address:08X} is not in flash")
        found = drive or find_drive(MOUNTS.read_text())
        write_image(data, family, found)
    except FlashError as error:
        fail(error.key, error.facts, as_json)
    except (Uf2Error, OSError) as error:
        fail("reader_flash_unfit", {"reason": reason_of(error)}, as_json)
    if as_json:
        print_json({"image": str(image), "drive": str(found), "chip": FAMILIES[family]})
    else:
        typer.echo(f"板已收下镜像并重启 · the board took the image and restarted: {FAMILIES[family]}, {found}")


def find_drive(mounts: str) -> Path:
    """The one BOOTSEL drive in a text like `/proc/mounts`; `FlashError` for none or several."""
    paths = [Path(ESCAPED.sub(_character, line.split()[1])) for line in mounts.splitlines() if line]
    found = sorted({path for path in paths if chip_of(path)})
    if len(found) != 1:
        raise FlashError("reader_flash_no_drive", count=str(len(found)))
    return found[0]


def _character(found: re.Match[str]) -> str:
    return chr(int(found[1], 8))


def chip_of(drive: Path) -> str:
    """Which chip's boot ROM offers this drive, "" where none does."""
    try:
        lines = (drive / INFO).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    board_id = next((line.partition(":")[2].strip() for line in lines if line.startswith("Board-ID:")), "")
    return BOARD_IDS.get(board_id, "")


def write_image(
    data: bytes,
    family: int,
    drive: Path,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Returns when the drive has gone, as it does once the boot ROM has every block. `FlashError`."""
    chip = chip_of(drive)
    if not chip:
        raise FlashError("reader_flash_no_drive", count="0")
    if FAMILIES.get(family) != chip:
        raise FlashError("reader_flash_wrong_chip", chip=chip, family=FAMILIES.get(family, f"{family:08X}"))
    _copy(data, drive / "firmware.uf2")
    deadline = monotonic() + TAKEN_WITHIN_S
    while chip_of(drive):
        if monotonic() > deadline:
            raise FlashError("reader_flash_not_taken", drive=str(drive))
        sleep(LOOK_EVERY_S)


def _copy(data: bytes, path: Path) -> None:
    """The board restarts with the last block: the drive may be gone before the file is closed. `FlashError`."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        left = memoryview(data)
        while left:
            left = left[os.write(file, left[:CHUNK]) :]
        os.fsync(file)
    except OSError as error:
        if error.errno not in {errno.EIO, errno.ENODEV, errno.ENXIO}:
            raise FlashError("reader_flash_not_taken", drive=str(path.parent)) from None
    finally:
        os.close(file)
