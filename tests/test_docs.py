"""The documents say what the product does: every command, option, setting, call and number is there, and works."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import typer
from starlette.routing import Route
from typer.main import get_command

from hardware.commands import demo, virtual
from host_bridge.commands import card, reader, split, terminal
from host_bridge.config import Config as TerminalConfig
from host_bridge.config import load_config as load_terminal
from host_bridge.counter.reasons import REASONS
from host_bridge.web.app import create_app
from protocols.texts.catalogue import texts
from server.commands import server
from server.config import Config as CentreConfig
from server.config import load_config as load_centre

ROOT = Path(__file__).parent.parent
DOCS = {path.name: path.read_text() for path in sorted((ROOT / "docs").glob("*.md"))}
ALL = "\n".join(DOCS.values())
GROUPS = {"card": card, "reader": reader, "server": server, "terminal": terminal, "virtual": virtual}
FUNCTIONS: dict[str, Callable[..., object]] = {"demo": demo, "split": split}


def leaves(name: str, command: object) -> Iterator[tuple[str, set[str]]]:
    """(full name, long options) of every command below."""
    inner = getattr(command, "commands", None)
    if inner is not None:
        for each, below in inner.items():
            yield from leaves(f"{name} {each}", below)
        return
    options = {opt for parameter in command.params for opt in parameter.opts if opt.startswith("--")}  # type: ignore[attr-defined]
    yield name, options - {"--help"}


def commands() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, group in GROUPS.items():
        found |= dict(leaves(f"ssc {name}", get_command(group)))
    for name, function in FUNCTIONS.items():
        app = typer.Typer(add_completion=False)
        app.command(name)(function)
        found |= dict(leaves(f"ssc {name}", get_command(app)))
    return found


@pytest.mark.parametrize(("command", "options"), commands().items(), ids=commands())
def test_every_command_and_option_is_described(command: str, options: set[str]) -> None:
    assert command in ALL
    without = {option for option in options if option not in ALL}
    assert without == set()


def toml_of(document: str) -> str:
    (block,) = re.findall(r"```toml\n(.*?)```", DOCS[document], re.DOTALL)
    return str(block)


def fields(kind: type) -> set[str]:
    names: set[str] = set()
    for field in msgspec.structs.fields(kind):
        names.add(field.name)
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            names |= fields(field.type)
    return names


def test_the_terminals_example_is_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "terminal.toml"
    path.write_text(toml_of("terminal.md"))
    assert load_terminal(path).web.port == 8080
    assert all(name in path.read_text() for name in fields(TerminalConfig))


def test_the_centres_example_is_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "centre.toml"
    path.write_text(toml_of("centre.md"))
    assert load_centre(path).broker.offered[0].tls
    assert all(name in DOCS["centre.md"] for name in fields(CentreConfig))


def test_every_call_of_the_api_is_described() -> None:
    class Idle:
        def __getattr__(self, name: str) -> object:
            return lambda *_: None

    app = create_app(Idle())  # type: ignore[arg-type]
    routes = {route.path for route in app.routes if isinstance(route, Route)}
    assert {path for path in routes if path != "/" and path not in DOCS["api.md"]} == set()
    assert {reason.key for reason in REASONS if f"`{reason.key}`" not in DOCS["api.md"]} == set()


def test_every_number_is_in_the_table() -> None:
    assert {text.number for text in texts().values() if f"| {text.number} |" not in DOCS["texts.md"]} == set()


def test_the_example_of_the_split_runs() -> None:
    (example,) = re.findall(r"echo '(\{.*?\})' \| ssc split", DOCS["api.md"], re.DOTALL)
    ssc = Path(sys.executable).with_name("ssc")
    done = subprocess.run([ssc, "split"], input=example, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert (found["fund_pay_sumamt"], found["psn_part_amt"]) == ("175.25", "241.42")  # settlement.md C.4, D2


def test_links_lead_somewhere() -> None:
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_readme_names_every_make_target_it_uses() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`?make ([a-z-]+)", (ROOT / "README.md").read_text())) <= targets | {"git"}
