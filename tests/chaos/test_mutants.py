"""The mutants still fit the tree, and a kill is told from a failure of another kind. `make mutants` runs them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.mutants import ROOT, Misfit, Mutant, apply, judge, load_mutants

MUTANTS = load_mutants()
NAMES = [mutant.name for mutant in MUTANTS]


def test_names_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_a_mutant_fits_the_tree(mutant: Mutant, tmp_path: Path) -> None:
    for name in {change.file for change in mutant.change}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    apply(mutant, tmp_path)
    for name in {change.file for change in mutant.change}:
        source = (tmp_path / name).read_text(encoding="utf-8")
        compile(source, name, "exec")
        assert source != (ROOT / name).read_text(encoding="utf-8")
    with pytest.raises(Misfit):
        apply(mutant, tmp_path)


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_a_mutant_names_tests_that_are_there_and_a_reason(mutant: Mutant) -> None:
    re.compile(mutant.because)
    assert mutant.tests
    for test in mutant.tests:
        file, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("code", "output", "killed"),
    [
        (0, "broken", False),
        (1, "E   assert broken", True),
        (1, "E   something else", False),
        (2, "ImportError while importing: broken", False),
        (4, "broken: not found", False),
    ],
)
def test_a_kill_is_a_failed_test_that_says_why(code: int, output: str, killed: bool) -> None:
    mutant = Mutant("m", "a rule", ("tests",), "broken", ())
    assert (judge(mutant, code, output) is None) == killed


@pytest.mark.skipif(os.environ.get("CI") != "true", reason="make mutants runs them; in CI they are part of the suite")
@pytest.mark.timeout(900)
def test_every_mutant_is_killed() -> None:
    command = [sys.executable, "-m", "tests.chaos.mutants", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
