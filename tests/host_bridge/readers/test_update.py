"""`ssc reader manifest` and `ssc reader update` with the firmware running from its own files."""

import json
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from typer.testing import CliRunner

from hardware.firmware_files import application_files, board_image, compiled
from hardware.virtual.processes import wait_until
from hardware.virtual.reader import MICROPYTHON, ReaderProcess, install_files
from hardware.virtual.slot import VirtualSlot
from host_bridge.readers.commands import app
from host_bridge.readers.reader import ReaderUnavailable
from host_bridge.readers.serial_link import SerialLink
from host_bridge.readers.service import NotOurs, ReaderService, SerialEscapes
from host_bridge.readers.update import Updater
from protocols.ccid.service import HELLO, PROTOCOL_VERSION, Hello, request
from protocols.release.bundle import manifest_of, read_bundle, write_bundle
from tests.firmware.rig import demand

ROOT = Path(__file__).parents[3]
KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
FIRST, FLOOR = "0.1.0", "0.0.9"
LOOK_EVERY_S = 0.02


def said(*arguments: str, code: int = 0) -> Any:
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.output)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Folder with the maker's key, its public half, and that of somebody else."""
    private = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "maker.pem").write_bytes(private)
    for name, key in (("public", KEY), ("other", OTHER)):
        pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / f"{name}.pem").write_bytes(pem)
    return tmp_path


class Releases:
    """Made of the sources as they are, but for the version and what `changes` puts in place of files."""

    def __init__(self, folder: Path, keys: Path) -> None:
        self._folder, self._keys = folder, keys

    def make(self, version: str, changes: dict[str, str] | None = None, floor: str = FLOOR) -> str:
        sources = self._folder / f"sources-{version}"
        for name in ("firmware", "protocols/ccid", "protocols/iso7816"):
            shutil.copytree(ROOT / name, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "protocols/__init__.py", sources / "protocols")
        for path, text in ({"firmware/version.py": f'VERSION = "{version}"\n'} | (changes or {})).items():
            (sources / path).write_text(text)
        output = self._folder / f"{version}.zip"
        arguments = ["--board", "unix", "--floor", floor, "--key", str(self._keys / "maker.pem")]
        made = said("manifest", *arguments, "--output", str(output), "--source", str(sources))
        assert (made["version"], made["board"]) == (version, "unix")
        return str(output)


@pytest.fixture
def releases(tmp_path: Path, keys: Path) -> Releases:
    return Releases(tmp_path, keys)


@pytest.fixture
def reader(interpreter: str, slot_folder: Path, link: Path, tmp_path: Path) -> Iterator[ReaderProcess]:
    """With files of its own, as flashed, and restarted whenever it wants to be."""
    files = application_files("unix")
    image = board_image(files, manifest_of(files, "unix", FIRST, FLOOR))
    assert b"PAUSE_S = 1 " in image["main.py"]
    image["main.py"] = image["main.py"].replace(b"PAUSE_S = 1 ", b"PAUSE_S = 0 ")
    install_files(tmp_path / "files", image)
    process = ReaderProcess(VirtualSlot(slot_folder), link=link, interpreter=interpreter, files=tmp_path / "files")
    process.start()
    ended = threading.Event()

    def keep() -> None:
        while not ended.wait(LOOK_EVERY_S):
            process.keep_running()

    keeper = threading.Thread(target=keep)
    keeper.start()
    yield process
    ended.set()
    keeper.join()
    process.stop()


@pytest.fixture
def address(reader: ReaderProcess, link: Path) -> str:
    return f"serial:{link}"


def test_a_release_is_sent_tried_and_kept(address: str, releases: Releases, keys: Path) -> None:
    release, key = releases.make("0.2.0", floor="0.2.0"), str(keys / "public.pem")
    before = said("info", address)
    assert (before["version"], before["file_slot"], before["starts"]) == (FIRST, "a", 1)
    done = said("update", address, release, "--key", key)
    after = said("info", address)
    assert (after["version"], after["file_slot"], after["on_trial"]) == ("0.2.0", "b", False)
    assert (after["starts"], after["reason"], after["digest"]) == (2, "update", done["digest"])
    again = said("update", address, release, "--key", key)
    assert again == done
    assert said("info", address)["starts"] == 2
    older = said("update", address, releases.make("0.1.9"), "--key", key, code=1)
    assert older["error"]["key"] == "reader_update_below_floor"


def test_bytecode_runs_from_a_file_slot(slot_folder: Path, link: Path, tmp_path: Path) -> None:
    """As on a board: it is the same for every chip, and for the unix port."""
    demand(MICROPYTHON)
    files = compiled(application_files("unix"))
    install_files(tmp_path / "files", board_image(files, manifest_of(files, "unix", FIRST, FLOOR)))
    slot = VirtualSlot(slot_folder)
    process = ReaderProcess(slot, link=link, interpreter=MICROPYTHON, files=tmp_path / "files")
    process.start()
    try:
        found = said("info", f"serial:{link}")
        assert found["digest"] == manifest_of(files, "unix", FIRST, FLOOR).digest.hex()
        assert {Path(each["path"]).suffix for each in found["files"]} == {".mpy"}
    finally:
        process.stop()


UNFIT = ["another's key", "no key", "touched", "not there", "no release"]


@pytest.mark.parametrize("case", UNFIT)
def test_of_what_cannot_be_trusted_no_byte_is_sent(case: str, releases: Releases, keys: Path, tmp_path: Path) -> None:
    release, key = Path(releases.make("0.2.0")), keys / "public.pem"
    if case == "another's key":
        key = keys / "other.pem"
    elif case == "no key":
        key = release
    elif case == "touched":
        with zipfile.ZipFile(release) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        files["firmware/main.py"] += b"#"
        with zipfile.ZipFile(release, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    elif case == "not there":
        release = tmp_path / "none.zip"
    else:
        release = key
    shown = said("update", "serial:/dev/none", str(release), "--key", str(key), code=1)
    assert shown["error"]["key"] == "reader_release_unfit"
    if case == "not there":
        assert f"{release}: No such file or directory" in shown["error"]["en"]["what"]


def test_an_update_goes_through_a_serial_port_only(releases: Releases, keys: Path) -> None:
    release = releases.make("0.2.0")
    shown = said("update", "pcsc:SSC card 00 00", release, "--key", str(keys / "public.pem"), code=1)
    assert shown["error"]["key"] == "reader_update_by_serial"


def test_a_release_for_another_board_is_refused(address: str, releases: Releases, keys: Path) -> None:
    bundle = read_bundle(Path(releases.make("0.2.0")).read_bytes(), KEY.public_key())
    manifest = manifest_of(bundle.files, "pico", "0.2.0", FLOOR)
    release = keys / "pico.zip"
    release.write_bytes(write_bundle(manifest, bundle.files, KEY))
    shown = said("update", address, str(release), "--key", str(keys / "public.pem"), code=1)
    assert shown["error"]["key"] == "reader_update_wrong_board"


def test_firmware_that_does_not_start_makes_way_for_the_old(address: str, releases: Releases, keys: Path) -> None:
    fails = {"firmware/main.py": "def main(arguments, root):\n    raise ValueError('no')\n"}
    release = releases.make("0.2.0", fails)
    shown = said("update", address, release, "--key", str(keys / "public.pem"), code=1)
    assert shown["error"]["key"] == "reader_update_reverted"
    after = said("info", address)
    assert (after["version"], after["file_slot"], after["on_trial"]) == (FIRST, "a", False)
    assert (after["reason"], after["starts"]) == ("reverted", 5)


def test_a_trial_nobody_confirms_ends_by_itself(
    reader: ReaderProcess, address: str, link: Path, releases: Releases, keys: Path
) -> None:
    bundle = read_bundle(Path(releases.make("0.2.0")).read_bytes(), KEY.public_key())
    service = ReaderService(SerialEscapes(SerialLink(str(link))))
    updater = Updater(service, bundle)
    hello = service.hello()
    updater.send()
    assert updater.restart(hello).on_trial
    service.close()
    for version, left in (("0.2.0", 1), ("0.2.0", 0), (FIRST, 0)):
        reader.restart()
        found = wait_until("the reader", lambda: answered(address))
        assert (found["version"], found["on_trial"], found["starts_left"]) == (version, version != FIRST, left)


def hello_of(service: ReaderService) -> Hello | None:
    try:
        return service.hello()
    except ReaderUnavailable:
        return None


def answered(address: str) -> Any:
    done = CliRunner().invoke(app, ["info", address, "--json"])
    return json.loads(done.output) if done.exit_code == 0 else None


def test_an_update_goes_on_where_it_was_cut(
    reader: ReaderProcess, address: str, link: Path, releases: Releases, keys: Path
) -> None:
    release = releases.make("0.2.0")
    bundle = read_bundle(Path(release).read_bytes(), KEY.public_key())
    service = ReaderService(SerialEscapes(SerialLink(str(link), silence_s=0.3)))
    heard: list[int] = []

    def half(done: int, total: int) -> None:
        heard.append(done)
        if done > total // 2:
            reader.restart()
            raise ReaderUnavailable("the power went")

    with pytest.raises(ReaderUnavailable):
        Updater(service, bundle, half).update()
    assert wait_until("the reader", lambda: hello_of(service)).version == FIRST
    rest: list[int] = []
    hello = Updater(service, bundle, lambda done, _: rest.append(done)).update()
    service.close()
    assert (hello.version, hello.on_trial) == ("0.2.0", False)
    assert len(rest) < 0.6 * (len(heard) + len(rest))


def test_a_virtual_reader_with_files_of_its_own_is_updated(
    slot_folder: Path, link: Path, tmp_path: Path, releases: Releases, keys: Path
) -> None:
    files = ["--slot", str(slot_folder), "--files", str(tmp_path / "own"), "--link", str(link)]
    process = subprocess.Popen(
        [sys.executable, "-m", "ssc", "virtual", "reader", "run", *files], stdout=subprocess.PIPE, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        assert b'"ready": true' in process.stdout.readline()
        done = said("update", f"serial:{link}", releases.make("0.2.0"), "--key", str(keys / "public.pem"))
        assert (done["version"], done["file_slot"]) == ("0.2.0", "b")
        assert (tmp_path / "own/state").read_text().startswith("b - 0 2 update")
    finally:
        process.terminate()
        process.communicate()


def test_a_reader_without_file_slots_says_so(
    start_reader: Any, interpreter: str, link: Path, releases: Releases, keys: Path
) -> None:
    start_reader()
    shown = said("update", f"serial:{link}", releases.make("0.2.0"), "--key", str(keys / "public.pem"), code=1)
    assert shown["error"]["key"] == "reader_not_updatable"


class Says:
    """A reader that answers everything with this."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def escape(self, data: bytes) -> bytes:
        assert data == request(HELLO), "nothing is sent to it"
        return self._answer

    def close(self) -> None:
        """Nothing is open."""


def test_a_reader_whose_floor_is_no_version_is_not_ours() -> None:
    key, files = Ed25519PrivateKey.generate(), {"firmware/main.py": b""}
    release = write_bundle(manifest_of(files, "unix", "0.2.0", FLOOR), files, key)
    hello = Hello(PROTOCOL_VERSION, 1, False, 0, 1, 0, bytes(32), "0.1.0", "unix", "a", "power", "none")
    with pytest.raises(NotOurs):
        Updater(ReaderService(Says(hello.to_bytes())), read_bundle(release, key.public_key())).update()
