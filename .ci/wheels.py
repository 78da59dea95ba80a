"""Name the file behind every hash of the lock, so that a test can tell which platforms are served without a network.

Asks the package index that pip is configured with; writes `hash filename` lines to `.ci/wheels.txt`.
"""

import re
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pip._internal.models.index import PyPI

HERE = Path(__file__).parent


def index_url() -> str:
    """The index of pip's configuration, or pip's own default."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
    )
    return asked.stdout.strip() or PyPI.simple_url


def files_of(package: str) -> dict[str, str]:
    """File names of a package by SHA-256."""
    with urllib.request.urlopen(f"{index_url().rstrip('/')}/{package}/", timeout=60) as answer:  # noqa: S310 - pip's own index
        links = re.findall(r'href="[^"#]*/([^"#/]+)#sha256=([0-9a-f]{64})"', answer.read().decode())
    return {digest: name for name, digest in links}


def main() -> None:
    """Write `.ci/wheels.txt`."""
    lock = "\n".join(path.read_text() for path in HERE.glob("requirements-*.txt"))
    packages = sorted(set(re.findall(r"^([a-z0-9-]+)==", lock, re.MULTILINE)))
    known: dict[str, str] = {}
    with ThreadPoolExecutor(8) as pool:
        for files in pool.map(files_of, packages):
            known.update(files)
    hashes = sorted(set(re.findall(r"sha256:([0-9a-f]{64})", lock)), key=lambda digest: known[digest])
    (HERE / "wheels.txt").write_text("".join(f"{digest} {known[digest]}\n" for digest in hashes))


if __name__ == "__main__":
    main()
