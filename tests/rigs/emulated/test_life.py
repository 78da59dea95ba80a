"""A reader's life in the field where flash, file system, memory and reset are the chip's."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from hardware.firmware_files import application_files, version_in
from host_bridge.readers.serial_link import SerialLink
from host_bridge.readers.service import ReaderService, SerialEscapes
from host_bridge.readers.update import Updater
from protocols.release.bundle import Bundle, manifest_of, read_bundle, write_bundle
from tests.rigs.emulated.host_port import HostPort
from tests.rigs.emulated.image import BOARD, copy_sources, make_image
from tests.rigs.emulated.pico import EmulatedPico
from tests.rigs.emulated.rungs import BASE, Emu
from tests.rigs.report import rungs_of
from tests.rigs.rungs import Options

NEWER = "9.0.0"


class Flashed(NamedTuple):
    """A Pico that runs what is here; `digest` is what its image was made with."""

    pico: EmulatedPico
    service: ReaderService
    digest: str


@pytest.fixture(scope="module")
def flashed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flashed]:
    trouble = Emu.trouble(Options()) if Emu.rung in rungs_of(request.config) else "no --rig emu"
    if trouble:
        pytest.skip(trouble)
    base, image = Path(os.environ[BASE]), tmp_path_factory.mktemp("pico") / "reader.uf2"
    made = make_image(base, image)
    pico = EmulatedPico(image.read_bytes())
    link = SerialLink(BOARD, open_port=lambda _: HostPort(pico), monotonic=lambda: pico.seconds)
    pico.boot()
    yield Flashed(pico, ReaderService(SerialEscapes(link)), made["digest"])
    link.close()


def release(folder: Path, version: str) -> Bundle:
    """Of what is here, but for its version."""
    copy_sources(folder, "firmware/version.py", f'"{version_in()}"', f'"{version}"')
    files, key = application_files(BOARD, folder), Ed25519PrivateKey.generate()
    return read_bundle(write_bundle(manifest_of(files, BOARD, version, version_in()), files, key), key.public_key())


@pytest.mark.timeout(3600)
def test_a_release_is_sent_tried_and_kept(flashed: Flashed, tmp_path: Path) -> None:
    pico, service, digest = flashed
    before = service.hello()
    assert (before.board, before.version, before.digest.hex()) == (BOARD, version_in(), digest)
    assert (before.slots, before.file_slot, before.reason) == (2, "a", "power")

    def sleep(seconds: float) -> None:
        until = pico.seconds + seconds
        while pico.seconds < until:
            pico.run()

    bundle = release(tmp_path, NEWER)
    kept = Updater(service, bundle, monotonic=lambda: pico.seconds, sleep=sleep).update()
    assert (kept.version, kept.file_slot, kept.reason, kept.on_trial) == (NEWER, "b", "update", False)
    assert kept.digest == bundle.manifest.digest
    assert kept.starts == before.starts + 1
