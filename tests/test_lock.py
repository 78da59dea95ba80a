"""The lock serves every supported platform and names no package host."""

import re
import subprocess
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).parent.parent
LOCKS = sorted((ROOT / ".ci").glob("requirements-*.txt"))
COMPILED = [line.split() for line in (ROOT / ".ci/compiled.txt").read_text().splitlines() if line[0] != "#"]
GLIBC = {"3.11": 36, "3.13": 41}  # Debian 12 and 13

Pinned = tuple[str, str | None, set[str]]


def pinned(lock: Path) -> list[Pinned]:
    """(name, marker, hashes) of every requirement."""
    found: list[Pinned] = []
    for block in re.split(r"\n(?=[a-z0-9-]+==)", lock.read_text()):
        head = re.match(r"([a-z0-9-]+)==\S+(?: ; (.*?))? \\?$", block, re.MULTILINE)
        assert head is not None, block[:60]
        found.append((head[1], head[2], set(re.findall(r"sha256:([0-9a-f]{64})", block))))
    return found


def tags(python: str, machine: str) -> set[Tag]:
    version = tuple(int(part) for part in python.split("."))
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in range(5, GLIBC[python] + 1)]
    platforms += [f"{name}_{machine}" for name in ("manylinux1", "manylinux2010", "manylinux2014")]
    return set(cpython_tags(version, platforms=platforms)) | set(
        compatible_tags(version, interpreter=f"cp{version[0]}{version[1]}", platforms=platforms)
    )


@pytest.mark.parametrize("machine", ["aarch64", "x86_64"])
@pytest.mark.parametrize("python", ["3.11", "3.13"])
@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_package_has_a_wheel_but_those_that_are_compiled(lock: Path, python: str, machine: str) -> None:
    names = dict(line.split() for line in (ROOT / ".ci/wheels.txt").read_text().splitlines())
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "platform_machine": machine,
        "sys_platform": "linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "platform_system": "Linux",
        "os_name": "posix",
    }
    fitting = tags(python, machine)
    without, compiled = [], []
    for name, marker, hashes in pinned(lock):
        if marker and not Marker(marker).evaluate(environment):
            continue
        wheels = [names[digest] for digest in hashes if names[digest].endswith(".whl")]
        assert all(parse_wheel_filename(wheel)[0] == canonicalize_name(name) for wheel in wheels)
        if not any(parse_wheel_filename(wheel)[3] & fitting for wheel in wheels):
            without.append(name)
            compiled += [name for digest in hashes if names[digest].endswith(".tar.gz")]
    assert without == compiled == [name for purpose, name in COMPILED if lock.name == f"requirements-{purpose}.txt"]


def test_the_demo_is_a_part_of_the_test_lock() -> None:
    demo, test = (
        LOCKS[[lock.name for lock in LOCKS].index(f"requirements-{kind}.txt")].read_text() for kind in ("demo", "test")
    )
    assert set(re.findall(r"^\S+==\S+", demo, re.MULTILINE)) <= set(re.findall(r"^\S+==\S+", test, re.MULTILINE))


def test_no_file_names_a_package_host() -> None:
    hosts = re.compile(r"pypi[.]org|python[h]osted|deb[.]debian|registry[.]npmjs|index[-]url h")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listed.stdout.splitlines():
        path = ROOT / name
        assert not path.is_file() or not hosts.search(path.read_text(errors="ignore")), path
