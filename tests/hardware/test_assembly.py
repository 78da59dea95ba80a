"""The assembly can be followed: numbered steps, a check after each, and commands that there are."""

import re
from pathlib import Path

import pytest

from tests.test_docs import commands

FOLDER = Path(__file__).parents[2] / "hardware/assembly"
STEPS = sorted(FOLDER.glob("*.md"))


def test_the_steps_are_numbered() -> None:
    assert [path.name.split("-")[0] for path in STEPS] == [str(number) for number in range(1, len(STEPS) + 1)]
    for path in STEPS:
        assert path.read_text("utf-8").startswith(f"# {path.name[0]}. ")


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.name)
def test_every_piece_of_work_ends_in_a_check(path: Path) -> None:
    work = re.split(r"^\d\. ", path.read_text("utf-8"), flags=re.MULTILINE)[1:]
    assert work
    assert "| check" in work[-1] or "Five minutes" in work[-1]
    assert sum("wanted |\n" in each for each in work) >= 1


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.name)
def test_every_command_exists(path: Path) -> None:
    known = commands()
    for line in re.findall(r"`(ssc [^`]+)`", path.read_text("utf-8")):
        words = line.split()
        command = " ".join(words[:3])
        assert command in known
        assert {word for word in words if word.startswith("--")} <= known[command]


@pytest.mark.parametrize("path", STEPS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text("utf-8")):
        assert (path.parent / target).exists(), target
