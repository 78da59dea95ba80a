"""What the commands about readers have in common: options, and how they end in an error."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import msgspec
import typer

from host_bridge.card.errors import text_key
from host_bridge.readers.addresses import AddressError
from host_bridge.readers.reader import ReaderError
from protocols.texts.catalogue import sentence, texts

Address = Annotated[str, typer.Argument(help="读卡器地址 · serial:PATH or pcsc:NAME")]
Json = Annotated[bool, typer.Option("--json", help="JSON 输出 · JSON output")]


@contextmanager
def reported(address: str, as_json: bool) -> Iterator[None]:
    """What goes wrong becomes its catalogue text, and exit code 1."""
    try:
        yield
    except AddressError:
        fail("reader_address_wrong", {"address": address}, as_json)
    except ReaderError as error:
        key, facts = text_key(error)
        fail(key, {"address": address, **facts}, as_json)


def fail(key: str, facts: dict[str, str], as_json: bool) -> NoReturn:
    """Say a catalogue text; exit code 1."""
    if as_json:
        text = texts()[key]
        words = {"zh": text.zh.fill(facts), "en": text.en.fill(facts)}
        print_json({"error": {"number": text.number, "key": key, **msgspec.to_builtins(words)}})
    else:
        say(key, facts)
    raise typer.Exit(1)


def say(key: str, facts: dict[str, str]) -> None:
    """A catalogue text, for people."""
    typer.echo(sentence(key, **facts), err=True)


def print_json(found: object) -> None:
    typer.echo(json.dumps(found, ensure_ascii=False))


def reason_of(error: Exception) -> str:
    """What an error says; of the system's with the file instead of the number."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
