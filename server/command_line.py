"""What every command of the centre does: read the configuration, open the store, say errors in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from sqlalchemy.exc import SQLAlchemyError

from protocols.texts.catalogue import texts
from server.config import Config, load_config
from server.errors import CentreError, StoreUnusable
from server.run import open_store
from server.store.store import Store, reason_of

ConfigFile = Annotated[Path, typer.Option("--config", help="Configuration (TOML)", metavar="F")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object")]


@contextmanager
def edge(*, as_json: bool = False) -> Iterator[None]:
    """Turn an error into words from the catalogue and exit status 2."""
    try:
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreUnusable("store_unusable", reason=reason_of(error)) from error
        except OSError as error:
            facts = {"path": str(error.filename or ""), "reason": error.strerror or ""}
            raise CentreError("file_unusable", **facts) from error
    except CentreError as error:
        text = texts()[error.key]
        zh, en = text.zh.fill(error.facts), text.en.fill(error.facts)
        if as_json:
            print_json({"error": {"number": text.number, "zh": zh, "en": en}})
        else:
            typer.echo(f"{text.number} {zh.title}：{zh.what}\n{en.title}: {en.what}", err=True)
        raise typer.Exit(2) from error


@contextmanager
def opened(path: Path, *, as_json: bool = False) -> Iterator[tuple[Config, Store]]:
    """The configuration and its store, within `edge`."""
    with edge(as_json=as_json):
        config = load_config(path)
        store = open_store(config)
        try:
            yield config, store
        finally:
            store.close()


def print_json(value: object) -> None:
    """One line of JSON."""
    typer.echo(msgspec.json.encode(value).decode())
