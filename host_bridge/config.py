"""The terminal's configuration file (TOML)."""

from pathlib import Path
from typing import Annotated

import msgspec

from host_bridge.clock import Trusted


class ConfigError(ValueError):
    """The configuration cannot be read; the text names the file and the place."""


class TerminalConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`state` holds journal and key; `reader` and `printer` are addresses; `clerk` is the `opter` of events.

    `simulated` allows the simulated overlay of city profiles. `security` says where the keys of cards are: `centre`, or
    `sam:` and the address of a reader with a security module; empty: nowhere.
    """

    state: Path
    reader: str
    printer: str
    clerk: str
    simulated: bool = False
    security: Annotated[str, msgspec.Meta(pattern=r"^(centre|sam:.+)?$")] = ""


class ClockConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the wall clock may be believed: once the system has synchronised it, or always."""

    trusted: Trusted = "system"


class WebConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the clerk page listens; port 0 is a free one."""

    host: str = "127.0.0.1"
    port: int = 0


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    terminal: TerminalConfig
    clock: ClockConfig = ClockConfig()
    web: WebConfig = WebConfig()


def load_config(path: Path) -> Config:
    """Read a configuration file; a relative `state` is relative to the file. `ConfigError` otherwise."""
    try:
        config = msgspec.toml.decode(path.read_bytes(), type=Config, dec_hook=_path)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    state = path.parent / config.terminal.state
    return msgspec.structs.replace(config, terminal=msgspec.structs.replace(config.terminal, state=state))


def _path(kind: type, value: object) -> Path:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError(kind.__name__)
