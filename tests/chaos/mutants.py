"""Break a rule in a copy of the tree and see that the suite fails, and why: `python -m tests.chaos.mutants [--json]`.

Every mutant of `mutants.toml` gets a fresh copy. The chosen tests must pass in an unchanged copy, fail in the mutant's,
and say what the mutant broke. Exit 1 where one survives, or does not fit the tree any more.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
MUTANTS = Path(__file__).with_name("mutants.toml")
ROOMS = ("protocols", "hardware", "host_bridge", "server", "firmware", "tests.chaos.mutants")
PYTEST = ("-vv", "--tb=short", "--timeout=90", "-p", "no:randomly", "-p", "no:cacheprovider")
TESTS_FAILED = 1
"""pytest's exit code; an import error or a missing test is another."""
WITHIN_S = 240


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`find`, which stands once in `file`, becomes `replace`."""

    file: str
    find: str
    replace: str


class Mutant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule (`breaks`) broken on purpose; `because` is a pattern for what the failing `tests` print."""

    name: str
    breaks: str
    tests: tuple[str, ...]
    because: str
    change: tuple[Change, ...]


class Outcome(msgspec.Struct, frozen=True):
    """`trouble` says why a mutant is not killed; None where it is."""

    mutant: Mutant
    seconds: float
    trouble: str | None
    output: str = ""


class Misfit(Exception):
    """The tree is not as the mutants expect it."""


def load_mutants() -> tuple[Mutant, ...]:
    """All of `mutants.toml`."""
    return msgspec.toml.decode(MUTANTS.read_bytes(), type=dict[str, tuple[Mutant, ...]])["mutant"]


def apply(mutant: Mutant, tree: Path) -> None:
    """Change the files of a tree; `Misfit` where a `find` does not stand there exactly once."""
    for change in mutant.change:
        path = tree / change.file
        source = path.read_text(encoding="utf-8")
        if (found := source.count(change.find)) != 1:
            raise Misfit(f"{change.file}: stands there {found} times: {change.find.strip()!r}")
        path.write_text(source.replace(change.find, change.replace), encoding="utf-8")


def copy_tree(target: Path) -> None:
    """Every file that git tracks or would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True
    )
    for name in listed.stdout.decode().split("\0"):
        source = ROOT / name
        if name and source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_bytes(source.read_bytes())


def run(tree: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """A Python command in a tree; exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def check_unchanged(tests: Iterable[str]) -> None:
    """An unchanged copy imports itself, and its tests pass; `Misfit` otherwise."""
    with tempfile.TemporaryDirectory(prefix="ssc-mutant-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        where = f"import {', '.join(ROOMS)}; print(*[m.__file__ for m in ({', '.join(ROOMS)})], sep='\\n')"
        code, output = run(tree, ["-c", where])
        if code or not all(line.startswith(f"{tree}/") for line in output.split()):
            raise Misfit(f"the copy in {tree} imports from elsewhere: {output}")
        code, output = run(tree, ["-m", "pytest", *PYTEST, *sorted(set(tests))])
        if code:
            raise Misfit(f"the tests fail without any mutant:\n{output}")


def hunt(mutant: Mutant) -> Outcome:
    """One mutant in its copy."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ssc-mutant-") as folder:
        copy_tree(Path(folder))
        output = ""
        try:
            apply(mutant, Path(folder))
            code, output = run(Path(folder), ["-m", "pytest", *PYTEST, *mutant.tests])
            trouble = judge(mutant, code, output)
        except Misfit as misfit:
            trouble = str(misfit)
        except subprocess.TimeoutExpired:
            trouble = f"its tests did not end within {WITHIN_S} s"
    return Outcome(mutant, time.monotonic() - began, trouble, output)


def judge(mutant: Mutant, code: int, output: str) -> str | None:
    """Why it is not killed by this run of its tests."""
    if code == 0:
        return "survived: its tests pass"
    if code != TESTS_FAILED:
        return f"its tests did not run (pytest ended with {code})"
    if re.search(mutant.because, output, re.MULTILINE) is None:
        return "its tests fail for another reason"
    return None


def report(outcomes: Sequence[Outcome], console: Console) -> None:
    """A table, and what was printed where a mutant is not killed."""
    table = Table("mutant", "breaks", "s", "")
    for outcome in outcomes:
        verdict = "killed" if outcome.trouble is None else f"[red]{outcome.trouble}[/red]"
        table.add_row(outcome.mutant.name, outcome.mutant.breaks, f"{outcome.seconds:.1f}", verdict)
    console.print(table)
    for outcome in outcomes:
        if outcome.trouble is not None:
            said = "\n".join(
                line for line in outcome.output.splitlines() if line.startswith(("E  ", "FAILED", "ERROR"))
            )
            console.print(f"{outcome.mutant.name}: {outcome.trouble}\n{said}", markup=False, highlight=False)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Break a rule at a time and see that the suite notices.")
    parser.add_argument("--json", action="store_true", help="the table goes to standard error")
    parser.add_argument("--only", metavar="NAME", help="one mutant by its name")
    given = parser.parse_args()
    console = Console(stderr=given.json, width=160)
    mutants = [mutant for mutant in load_mutants() if given.only in (None, mutant.name)]
    if not mutants:
        parser.error(f"no mutant is called {given.only!r}")
    try:
        check_unchanged(test for mutant in mutants for test in mutant.tests)
    except Misfit as misfit:
        console.print(str(misfit), markup=False, highlight=False)
        return 1
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        outcomes = list(pool.map(hunt, mutants))
    report(outcomes, console)
    survived = [outcome.mutant.name for outcome in outcomes if outcome.trouble is not None]
    print(json.dumps({"mutants": len(mutants), "killed": len(mutants) - len(survived), "survived": survived}))
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
