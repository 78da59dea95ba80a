"""The server's configuration file (TOML); paths are relative to the file."""

import ipaddress
from pathlib import Path

import msgspec

from protocols.events.frames import Broker
from protocols.events.topics import CENTRE
from server.errors import UNREADABLE, ConfigWrong


class ServerPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`store` is an SQLAlchemy URL; `key` the file of the receipt key (32 bytes, hex), made when missing."""

    store: str
    key: str


class BrokerPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The broker this server relays through.

    `user` is `centre`; its password lies in `password_file`, made when missing. `passwords` and `acl` are the
    files the broker reads, `pid_file` the one it writes. `offered` is what terminals are told, this one if empty.
    """

    host: str
    port: int
    user: str
    password_file: str
    passwords: str
    acl: str
    pid_file: str
    offered: tuple[Broker, ...] = ()


class Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Port 0 is a free one; `certificate` and `private_key` are PEM files and make it TLS."""

    host: str = "127.0.0.1"
    port: int = 0
    certificate: str | None = None
    private_key: str | None = None

    @property
    def tls(self) -> bool:
        return self.certificate is not None and self.private_key is not None


class KeysPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where root keys live: a PKCS#11 `module`, the label of a `token`, a `pin_file` with its user PIN."""

    module: str
    token: str
    pin_file: str


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A checked configuration with absolute paths; no `keys`, no key service."""

    server: ServerPart
    broker: BrokerPart
    web: Listener = Listener()
    enrol: Listener = Listener()
    keys: KeysPart | None = None

    def brokers(self) -> tuple[Broker, ...]:
        """What enrolling terminals are told."""
        return self.broker.offered or (Broker(self.broker.host, self.broker.port),)


def load_config(path: Path) -> Config:
    """Read and check a configuration; `ConfigWrong` where it cannot be used."""
    try:
        config = msgspec.toml.decode(path.read_bytes(), type=Config)
    except OSError as error:
        raise ConfigWrong("config_unreadable", path=str(path), field=error.strerror or "") from error
    except UNREADABLE as error:
        raise ConfigWrong("config_unreadable", path=str(path), field=str(error)) from error
    if config.broker.user != CENTRE:
        raise ConfigWrong("config_unreadable", path=str(path), field=f"broker.user = {CENTRE}")
    if not _loopback(config.web.host):
        raise ConfigWrong("web_not_loopback", host=config.web.host)
    if not _loopback(config.enrol.host) and not config.enrol.tls:
        raise ConfigWrong("listener_needs_tls", host=config.enrol.host)
    return _absolute(config, path.absolute().parent)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _absolute(config: Config, base: Path) -> Config:
    def at(path: str) -> str:
        return str(base / path)

    def listener(part: Listener) -> Listener:
        if not part.tls:
            return part
        return Listener(part.host, part.port, at(part.certificate or ""), at(part.private_key or ""))

    store = config.server.store
    prefix = "sqlite:///"
    if store.startswith(prefix):
        store = prefix + at(store.removeprefix(prefix))
    broker = msgspec.structs.replace(
        config.broker,
        password_file=at(config.broker.password_file),
        passwords=at(config.broker.passwords),
        acl=at(config.broker.acl),
        pid_file=at(config.broker.pid_file),
    )
    keys = config.keys and KeysPart(at(config.keys.module), config.keys.token, at(config.keys.pin_file))
    return Config(ServerPart(store, at(config.server.key)), broker, listener(config.web), listener(config.enrol), keys)
