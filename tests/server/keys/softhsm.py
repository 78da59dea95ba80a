"""A SoftHSM token in a directory of its own."""

import os
import shutil
import subprocess
from pathlib import Path

import pkcs11
import pytest

from server.config import KeysPart
from tests.needs import need

MODULES = ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so")
TOKEN, PIN, SO_PIN = "ssc", "87654321", "12345678"


def installed() -> str:
    """The module."""
    found = next((module for module in MODULES if Path(module).exists()), "")
    need(None if found and shutil.which("softhsm2-util") else "softhsm2 is not installed")
    return found


def new_token(directory: Path) -> KeysPart:
    """An empty token; `SOFTHSM2_CONF` must name `directory`'s configuration from now on."""
    module = installed()
    (directory / "tokens").mkdir(parents=True)
    configuration = directory / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {directory}/tokens\nobjectstore.backend = file\n")
    (directory / "token.pin").write_text(f"{PIN}\n")
    (directory / "token.pin").chmod(0o600)
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", TOKEN, "--so-pin", SO_PIN, "--pin", PIN],
        env={**os.environ, "SOFTHSM2_CONF": str(configuration)},
        check=True,
        capture_output=True,
    )
    return KeysPart(module, TOKEN, str(directory / "token.pin"))


def use_in_this_process(part: KeysPart, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module reads its configuration when it is initialised, once."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(Path(part.pin_file).parent / "softhsm2.conf"))
    pkcs11.lib(part.module).reinitialize()
