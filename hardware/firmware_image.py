"""`make firmware`: one UF2 of MicroPython and our files, for a board in BOOTSEL mode.

The files lie in a littlefs where the base looks for it, as MicroPython's rp2 port makes one.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from hardware.firmware_files import (
    SOURCES,
    Base,
    FirmwareError,
    application_files,
    bases_of,
    board_image,
    version_in,
)
from hardware.uf2 import SECTOR, Uf2, Uf2Error, pages, read_uf2, whole_sectors, write_uf2
from protocols.release.bundle import BundleError, manifest_of
from protocols.texts.catalogue import sentence

PROGRAM, READ = 256, 32
"""Of `VfsLfs2.mkfs(flash, progsize=256)`."""
MISSING = 3
"""Exit code where something has to be supplied."""
VERIFIED, UNVERIFIED = "verified", "unverified"


class BaseMissing(FirmwareError):
    """No MicroPython for the board, or nothing that tells it is the right one."""


def checked_base(data: bytes, base: Base, sha256: str) -> str:
    """`VERIFIED` by our pin, or `UNVERIFIED` but as announced; `FirmwareError` otherwise."""
    found = hashlib.sha256(data).hexdigest()
    wanted = base.sha256 or sha256.lower()
    if not wanted:
        raise BaseMissing(f"no SHA-256 of MicroPython {base.name} is known here: give it with SHA256=")
    if found != wanted or (sha256 and found != sha256.lower()):
        raise FirmwareError(f"the base has SHA-256 {found}, wanted is {wanted}")
    return VERIFIED if base.sha256 else UNVERIFIED


def base_for(family: int, bases: tuple[Base, ...]) -> Base:
    """The one for this chip; `FirmwareError` where there is none."""
    for base in bases:
        if base.family == family:
            return base
    raise FirmwareError(f"the base is for family {family:08X}, the board takes {_named(bases)}")


def combined(found: Uf2, base: Base, files: dict[str, bytes]) -> bytes:
    """The UF2 of a base with a file system of `files` behind it; `FirmwareError`."""
    outside = [address for address in found.content if not base.flash <= address < base.files]
    if outside:
        raise FirmwareError(f"the base reaches {outside[-1]:08X}, where the files go")
    content = whole_sectors(found.content)
    for block, sector in file_system(files, (base.end - base.files) // SECTOR).items():
        content |= pages(base.files + block * SECTOR, sector)
    return write_uf2(Uf2(base.family, content))


def file_system(files: dict[str, bytes], blocks: int) -> dict[int, bytes]:
    """The blocks of a littlefs that reading all of it touches.

    Blocks it refers to without use are among them: what an older file system left there must not count.
    """
    try:
        from littlefs import LittleFS, UserContext  # noqa: PLC0415 - to build firmware only
    except ImportError:
        raise BaseMissing("no littlefs-python, which `make test` installs") from None
    touched: set[int] = set()

    class Flash(UserContext):  # type: ignore[misc, unused-ignore]
        def read(self, cfg: Any, block: int, off: int, size: int) -> bytearray:  # noqa: ARG002
            touched.add(block)
            start = block * SECTOR + off
            return self.buffer[start : start + size]

    flash = Flash(blocks * SECTOR)
    layout = {"block_size": SECTOR, "block_count": blocks, "prog_size": PROGRAM, "read_size": READ}
    sizes: dict[str, Any] = {**layout, "cache_size": PROGRAM, "lookahead_size": READ}
    made = LittleFS(flash, **sizes)
    for path, data in files.items():
        for folder in reversed(Path(path).parents[:-1]):
            made.makedirs(str(folder), exist_ok=True)
        with made.open(path, "wb") as file:
            file.write(data)
    made.unmount()
    touched.clear()
    again = LittleFS(flash, mount=False, **sizes)
    again.mount()
    for path in files:
        with again.open(path, "rb") as file:
            file.read()
    return {block: bytes(flash.buffer[block * SECTOR : (block + 1) * SECTOR]) for block in sorted(touched | {0, 1})}


def build(board: str, base_path: Path | None, sha256: str, output: Path, sources: Path = SOURCES) -> dict[str, str]:
    """Write the UF2; what it is made of. `FirmwareError`, `BaseMissing` among them, and `Uf2Error`."""
    bases = bases_of(board)
    if base_path is None:
        raise BaseMissing(f"give MicroPython {_named(bases)} or newer as a UF2, BASE=FILE; make micropython makes one")
    data = base_path.read_bytes()
    found = read_uf2(data)
    base = base_for(found.family, bases)
    trust = checked_base(data, base, sha256)
    files, version = application_files(board, sources), version_in(sources)
    manifest = manifest_of(files, board, version, version)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(combined(found, base, board_image(files, manifest, sources)))
    return {
        "output": str(output),
        "board": board,
        "version": version,
        "digest": manifest.digest.hex(),
        "base": trust,
        "sha256": hashlib.sha256(output.read_bytes()).hexdigest(),
    }


def _named(bases: tuple[Base, ...]) -> str:
    return " or ".join(f"{base.name} {base.version}" for base in bases)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make firmware")
    parser.add_argument("--board", default="pico")
    parser.add_argument("--base", type=lambda text: Path(text) if text else None)
    parser.add_argument("--sha256", default="")
    parser.add_argument("--output", type=Path, default=Path("var/firmware/reader.uf2"))
    parser.add_argument("--source", type=Path, default=SOURCES)
    asked = parser.parse_args(arguments)
    try:
        print(json.dumps(build(asked.board, asked.base, asked.sha256, asked.output, asked.source)))
    except BaseMissing as error:
        print(sentence("firmware_base_missing", reason=str(error)), file=sys.stderr)
        return MISSING
    except (FirmwareError, Uf2Error, BundleError, OSError) as error:
        print(sentence("firmware_not_made", reason=str(error)), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
