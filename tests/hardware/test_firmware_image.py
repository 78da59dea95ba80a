"""`make firmware`: MicroPython and our files in one UF2, which a board boots whatever its flash held before."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from littlefs import LittleFS, UserContext

from hardware.firmware_files import FirmwareError, application_files, bases_of, board_firmware, compiled, version_in
from hardware.firmware_image import BaseMissing, build, checked_base
from hardware.uf2 import Uf2, pages, read_uf2, write_uf2
from hardware.virtual.reader import MICROPYTHON, firmware_command
from protocols.release.bundle import Manifest
from tests.firmware.rig import demand

ROOT = Path(__file__).parents[2]
RP2040, FLASH, FILES, END = 0xE48BFF56, 0x10000000, 0x100A0000, 0x10200000
"""ecosystem.md 3.1: the standard build has a drive of 1408 kB at 100A0000."""
RP2350, FILES_2, END_2 = 0xE48BFF59, 0x10100000, 0x10400000
"""MicroPython's `boards/RPI_PICO2/mpconfigboard.h`: all but 1 MB of the Pico 2's 4 MB."""
SECTOR = 4096


def base_uf2(size: int = 8192, family: int = RP2040, at: int = FLASH) -> bytes:
    return write_uf2(Uf2(family, pages(at, bytes(range(256)) * (size // 256))))


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A tree with a board for Picos and one that is not to go onto them."""
    folder = tmp_path / "sources"
    files = {
        "firmware/__init__.py": "",
        "firmware/boot.py": "import sys\n",
        "firmware/main.py": "def main(arguments, root):\n    return None\n" + "# long\n" * 2000,
        "firmware/version.py": 'VERSION = "0.4.2"\n',
        "firmware/boards/__init__.py": "",
        "firmware/boards/pico/board.py": "BOARD = 1\n",
        "firmware/boards/unix/board.py": "BOARD = 2\n",
        "protocols/__init__.py": "",
        "protocols/ccid/messages.py": "X = 3\n",
        "protocols/iso7816/atr.py": "Y = 4\n",
        "protocols/sscard/pin.py": "Z = 5\n",
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def mounted(content: dict[int, bytes], before: bytes = b"\xff" * (END - FILES), files: int = FILES) -> LittleFS:
    """What a board finds when the boot ROM has written these pages."""
    return mount(flashed(content, bytes(files - FLASH) + before)[files - FLASH :])


def flashed(content: dict[int, bytes], before: bytes) -> bytearray:
    """As `_write_uf2_page` of pico-bootrom-rp2040 does it: 16 blocks by number are taken for a sector, which is erased
    where the first of them goes. Programming only clears bits.
    """
    flash = bytearray(before)
    for number, (address, data) in enumerate(sorted(content.items())):
        if number % 16 == 0:
            sector = (address - FLASH) // SECTOR * SECTOR
            flash[sector : sector + SECTOR] = b"\xff" * SECTOR
        at = address - FLASH
        left = int.from_bytes(flash[at : at + 256]) & int.from_bytes(data)
        flash[at : at + 256] = left.to_bytes(256)
    return flash


def mount(flash: bytearray) -> LittleFS:
    layout: dict[str, Any] = {"block_size": SECTOR, "block_count": len(flash) // SECTOR}
    sizes: dict[str, Any] = {"prog_size": 256, "read_size": 32, "cache_size": 256, "lookahead_size": 32}
    found = LittleFS(UserContext(buffer=flash), mount=False, **layout, **sizes)
    found.mount()
    return found


def held(files: LittleFS) -> dict[str, bytes]:
    found = {}
    for folder, _, names in files.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with files.open(path, "rb") as file:
                found[path.lstrip("/")] = file.read()
    return found


def built(sources: Path, tmp_path: Path, board: str = "pico", base: bytes | None = None) -> tuple[dict[str, str], Uf2]:
    base = base or base_uf2()
    (tmp_path / "base.uf2").write_bytes(base)
    sha256 = hashlib.sha256(base).hexdigest()
    facts = build(board, tmp_path / "base.uf2", sha256, tmp_path / "out" / "reader.uf2", sources)
    return facts, read_uf2(Path(facts["output"]).read_bytes())


def test_the_image_holds_the_base_and_the_files(sources: Path, tmp_path: Path) -> None:
    facts, image = built(sources, tmp_path)
    assert image.family == RP2040
    base = read_uf2(base_uf2()).content
    assert {address: data for address, data in image.content.items() if address < FILES} == base
    assert max(image.content) < END
    files = held(mounted(image.content))
    assert set(files) == {
        "main.py",
        "a/manifest.json",
        "a/firmware/__init__.mpy",
        "a/firmware/boot.mpy",
        "a/firmware/main.mpy",
        "a/firmware/version.mpy",
        "a/firmware/boards/__init__.mpy",
        "a/firmware/boards/pico/board.mpy",
        "a/protocols/__init__.mpy",
        "a/protocols/ccid/messages.mpy",
        "a/protocols/iso7816/atr.mpy",
    }
    assert files["main.py"] == (sources / "firmware/boot.py").read_bytes()
    manifest = msgspec.json.decode(files["a/manifest.json"], type=Manifest)
    assert (manifest.board, manifest.version, manifest.digest.hex()) == ("pico", "0.4.2", facts["digest"])
    for each in manifest.files:
        content = files[f"a/{each.path}"]
        assert (len(content), hashlib.sha256(content).hexdigest()) == (each.size, each.sha256)
    assert files["a/firmware/boards/pico/board.mpy"][:3] == b"M\x06\0", "bytecode of version 6, for any chip"


def test_a_pico_2_has_its_files_where_its_micropython_looks(sources: Path, tmp_path: Path) -> None:
    _, pico = built(sources, tmp_path)
    facts, image = built(sources, tmp_path, base=base_uf2(family=RP2350))
    assert image.family == RP2350
    assert min(address for address in image.content if address >= FLASH + 8192) >= FILES_2
    assert max(image.content) < END_2
    files = held(mounted(image.content, b"\xff" * (END_2 - FILES_2), FILES_2))
    assert files == held(mounted(pico.content))
    assert msgspec.json.decode(files["a/manifest.json"], type=Manifest).digest.hex() == facts["digest"]


def test_machine_code_of_one_chip_is_refused() -> None:
    with pytest.raises(FirmwareError, match="fast"):
        compiled({"fast.py": b"@micropython.native\ndef fast():\n    return 1\n"})


def test_what_the_flash_held_before_does_not_count(sources: Path, tmp_path: Path) -> None:
    """A worn file system with folders of the same names, whose metadata have counted far up."""
    worn = mount_new()
    for folder in ("a", "a/firmware", "a/protocols", "b", "b/firmware"):
        worn.mkdir(folder)
    for number in range(300):
        for path in ("state", "a/firmware/x.py", "b/firmware/y.py", f"a/protocols/{number % 40}.py"):
            with worn.open(path, "wb") as file:
                file.write(bytes([number & 0xFF]) * 700)
    before = bytes(worn.context.buffer)
    assert "state" in held(worn)
    _, image = built(sources, tmp_path)
    files = mounted(image.content, before)
    assert held(files) == held(mounted(image.content))
    with files.open("state", "wb") as file:
        file.write(b"a - 0 1 power power\n")
    assert len(held(files)) == len(held(mounted(image.content))) + 1


@pytest.mark.parametrize("size", [256, 5 * SECTOR + 3 * 256])
def test_a_base_that_ends_within_a_sector_leaves_the_files_whole(sources: Path, tmp_path: Path, size: int) -> None:
    base = base_uf2(size)
    _, image = built(sources, tmp_path, base=base)
    before = bytes(range(256)) * ((END - FLASH) // 256)
    flash = flashed(image.content, before)
    assert held(mount(flash[FILES - FLASH :])) == held(mounted(image.content))
    for address, data in read_uf2(base).content.items():
        assert flash[address - FLASH : address - FLASH + 256] == data


def mount_new() -> LittleFS:
    layout: dict[str, Any] = {"block_size": SECTOR, "block_count": (END - FILES) // SECTOR}
    sizes: dict[str, Any] = {"prog_size": 256, "read_size": 32, "cache_size": 256, "lookahead_size": 32}
    return LittleFS(UserContext(END - FILES), **layout, **sizes)


def test_a_board_that_needs_arguments_has_them(sources: Path, tmp_path: Path) -> None:
    (sources / "firmware/boards/pico_front_end").mkdir()
    (sources / "firmware/boards/pico_front_end/pins.py").write_text("PINS = 1\n")
    _, image = built(sources, tmp_path, "pico_front_end")
    files = held(mounted(image.content))
    assert files["arguments"] == b"pico_front_end"
    assert {"a/firmware/boards/pico/board.mpy", "a/firmware/boards/pico_front_end/pins.mpy"} <= set(files)


def test_without_a_base_it_says_what_is_missing(sources: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hardware.firmware_image", "--source", str(sources), "--base", ""]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 3
    assert "RPI_PICO 1.25.0 or RPI_PICO2 1.25.0" in done.stderr
    (tmp_path / "base.uf2").write_bytes(base_uf2())
    with pytest.raises(BaseMissing, match="SHA256="):
        build("pico", tmp_path / "base.uf2", "", tmp_path / "reader.uf2", sources)
    assert not (tmp_path / "reader.uf2").exists()


def test_a_base_is_taken_by_its_hash_only() -> None:
    base = bases_of("pico")[0]
    data = base_uf2()
    right, wrong = hashlib.sha256(data).hexdigest(), "0" * 64
    assert checked_base(data, base, right.upper()) == "unverified"
    pinned = msgspec.structs.replace(base, sha256=right)
    assert checked_base(data, pinned, "") == checked_base(data, pinned, right) == "verified"
    for known, given in ((base, wrong), (pinned, wrong), (msgspec.structs.replace(base, sha256=wrong), right)):
        with pytest.raises(FirmwareError):
            checked_base(data, known, given)


@pytest.mark.parametrize(
    "data",
    [base_uf2(family=0xE48BFF5A), base_uf2(at=FILES - 4096), base_uf2(at=0x20000000)],
    ids=["another chip", "where the files go", "not in flash"],
)
def test_a_base_that_does_not_fit_is_refused(sources: Path, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "base.uf2").write_bytes(data)
    with pytest.raises(FirmwareError):
        build("pico", tmp_path / "base.uf2", hashlib.sha256(data).hexdigest(), tmp_path / "reader.uf2", sources)
    assert not (tmp_path / "reader.uf2").exists()


def test_files_are_those_of_the_board(sources: Path) -> None:
    unix = application_files("unix", sources)
    assert unix["firmware/boards/unix/board.py"] == b"BOARD = 2\n"
    assert not [path for path in unix if "pico" in path or "sscard" in path]
    assert version_in(sources) == "0.4.2"
    for board in ("pico_front_end", "none"):
        with pytest.raises(FirmwareError):
            application_files(board, sources)
    (sources / "firmware/main.py").write_text("def main(:\n")
    with pytest.raises(FirmwareError, match=r"firmware/main\.py"):
        application_files("pico", sources)
    (sources / "firmware/version.py").unlink()
    with pytest.raises(FirmwareError):
        version_in(sources)


@pytest.mark.parametrize("board", ["pico", "pico_front_end"])
def test_a_board_with_a_pico_takes_either(board: str) -> None:
    assert [(base.family, base.files, base.end) for base in bases_of(board)] == [
        (RP2040, FILES, END),
        (RP2350, FILES_2, END_2),
    ]


def test_a_board_without_base_is_not_flashed(sources: Path, tmp_path: Path) -> None:
    assert not board_firmware("unix").bases
    with pytest.raises(FirmwareError, match="unix"):
        build("unix", None, "", tmp_path / "reader.uf2", sources)


def test_the_command_says_what_it_made(sources: Path, tmp_path: Path) -> None:
    (tmp_path / "base.uf2").write_bytes(base_uf2())
    sha256 = hashlib.sha256(base_uf2()).hexdigest()
    arguments = ["--base", str(tmp_path / "base.uf2"), "--sha256", sha256, "--output", str(tmp_path / "reader.uf2")]
    command = [sys.executable, "-m", "hardware.firmware_image", "--source", str(sources), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    facts = json.loads(done.stdout)
    assert (facts["board"], facts["version"], facts["base"]) == ("pico", "0.4.2", "unverified")
    assert facts["sha256"] == hashlib.sha256((tmp_path / "reader.uf2").read_bytes()).hexdigest()


LIST = """
import hashlib, os, sys, vfs

class Flash:
    def __init__(self, data):
        self.data = data

    def readblocks(self, block, buffer, offset=0):
        at = block * 4096 + offset
        buffer[:] = self.data[at : at + len(buffer)]

    def writeblocks(self, block, buffer, offset=None):
        at = block * 4096 + (offset or 0)
        if offset is None:
            self.ioctl(6, block)
        self.data[at : at + len(buffer)] = buffer

    def ioctl(self, what, block):
        if what == 4:
            return len(self.data) // 4096
        if what == 5:
            return 4096
        if what == 6:
            self.data[block * 4096 : (block + 1) * 4096] = b"\\xff" * 4096
        return 0

with open(sys.argv[1], "rb") as file:
    flash = Flash(bytearray(file.read()))
vfs.mount(vfs.VfsLfs2(flash, progsize=256), "/flash")

def show(folder):
    for name, kind, *_ in os.ilistdir(folder):
        path = folder + "/" + name
        if kind == 0x4000:
            show(path)
        else:
            with open(path, "rb") as file:
                print(path[7:], hashlib.sha256(file.read()).digest().hex())

show("/flash")
with open("/flash/state", "w") as file:
    file.write("a - 0 1 power power")
os.rename("/flash/state", "/flash/a/state")
print(os.stat("/flash/a/state")[6])
"""


def test_micropython_itself_mounts_the_files(sources: Path, tmp_path: Path) -> None:
    demand(MICROPYTHON)
    _, image = built(sources, tmp_path)
    files = mounted(image.content)
    (tmp_path / "flash").write_bytes(files.context.buffer)
    (tmp_path / "list.py").write_text(LIST)
    command = [
        firmware_command(MICROPYTHON)[1][0],
        "-X",
        "heapsize=8M",
        str(tmp_path / "list.py"),
        str(tmp_path / "flash"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    *listed, size = done.stdout.splitlines()
    wanted = {f"{path} {hashlib.sha256(data).hexdigest()}" for path, data in held(files).items()}
    assert (set(listed), size) == (wanted, "19")
