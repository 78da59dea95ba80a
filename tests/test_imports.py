"""Imports point down, never sideways or up (design 2)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {"protocols", "hardware", "host_bridge", "server", "firmware", "ssc", "tests"}
MAY = {
    "protocols": {"protocols"},
    "hardware": {"hardware", "protocols"},
    "host_bridge": {"host_bridge", "hardware", "protocols"},
    "server": {"server", "protocols"},
    "firmware": {"firmware", "protocols.iso7816", "protocols.ccid"},
    "ssc": set(),
}
GLUE = {"serial", "smartcard", "paho", "gpiozero", "starlette", "uvicorn", "escpos", "socket", "luma"}
CORE = ["protocols", "host_bridge/card", "host_bridge/counter", "host_bridge/journal"]
MICROPYTHON = ["protocols/iso7816", "protocols/ccid", "firmware"]


def modules(folder: str) -> list[Path]:
    path = ROOT / folder
    return [path.with_suffix(".py")] if not path.is_dir() else sorted(path.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """Full names of all modules a file imports, late imports included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def within(name: str, allowed: set[str]) -> bool:
    return any(name == each or name.startswith(f"{each}.") for each in allowed)


@pytest.mark.parametrize("room", MAY)
def test_a_room_imports_only_what_lies_below(room: str) -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules(room)
        for name in imported(path)
        if name.split(".")[0] in ROOMS and not within(name, MAY[room])
    }
    assert wrong == set()


def test_protocols_use_two_libraries_only() -> None:
    allowed = set(sys.stdlib_module_names) | {"msgspec", "cryptography", "protocols"}
    wrong = {
        f"{path}: {name}"
        for path in modules("protocols")
        for name in imported(path)
        if name.split(".")[0] not in allowed
    }
    assert wrong == set()


@pytest.mark.parametrize("folder", CORE)
def test_core_has_no_glue(folder: str) -> None:
    wrong = {f"{path}: {name}" for path in modules(folder) for name in imported(path) if name.split(".")[0] in GLUE}
    assert wrong == set()


def test_the_site_starts_rooms_but_imports_none() -> None:
    for name in ("site", "processes", "demo"):
        wrong = {
            each
            for each in imported(ROOT / f"hardware/virtual/{name}.py")
            if each.split(".")[0] in ROOMS - {"hardware"}
        }
        assert wrong == set()


def test_the_checker_uses_the_standard_library_only() -> None:
    checker = ROOT / "hardware/virtual/checker.py"
    assert {name.split(".")[0] for name in imported(checker)} <= set(sys.stdlib_module_names)
    helped = subprocess.run([sys.executable, "-I", checker, "--help"], capture_output=True, text=True, check=False)
    assert helped.returncode == 0, helped.stderr


@pytest.mark.parametrize("folder", MICROPYTHON)
def test_micropython_rooms_import_what_micropython_has(folder: str) -> None:
    forbidden = {"typing", "dataclasses", "enum", "abc", "pathlib", "msgspec", "cryptography", "__future__"}
    for path in modules(folder):
        tree = ast.parse(path.read_text())
        guarded = {
            id(node)
            for branch in ast.walk(tree)
            if isinstance(branch, ast.If) and isinstance(branch.test, ast.Name) and branch.test.id == "TYPE_CHECKING"
            for node in ast.walk(branch)
        }
        for node in ast.walk(tree):
            if id(node) in guarded:
                continue
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & forbidden, path
            assert not isinstance(node, ast.Match), path
