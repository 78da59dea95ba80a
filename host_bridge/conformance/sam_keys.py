"""The keys that a tester has in a security module (PSAM), in a reader of its own."""

from host_bridge.card.sam_module import SamModule
from host_bridge.card.security_module import AlgorithmMissing, KeyRefused, KeyVersionMissing, RootKeyMissing, Wanted
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard.commands import mac_message
from protocols.sscard.files import CardFiles

NOTHING = bytes(8)
"""A challenge or source for a look at what the module has."""


class SamKeys:
    """`Keys` of one card. A key that the module has not got, or refuses, is not there.

    A module has one version of a key; it counts as the one that the card takes unasked. `NoSecurityModule` where
    module or reader goes away.
    """

    def __init__(self, module: SamModule, tables: CardFiles, region: str, historical: bytes) -> None:
        self._module, self._tables, self._region, self._historical = module, tables, region, historical
        self._versions: dict[str, tuple[int, ...]] = {}

    def versions(self, name: str) -> tuple[int, ...]:
        if name not in self._versions:
            self._versions[name] = self._found(name)
        return self._versions[name]

    def authentication_data(self, name: str, challenge: bytes, source: bytes, version: int | None = None) -> bytes:
        return self._module.authentication_data(self._wanted(name, version), challenge, source)

    def command_mac(self, name: str, challenge: bytes, command: CommandApdu) -> bytes:
        return self._module.command_mac(self._wanted(name), challenge, mac_message(command))

    def encrypted(self, name: str, challenge: bytes, data: bytes) -> bytes:
        return self._module.encrypted(self._wanted(name), challenge, data)

    def _found(self, name: str) -> tuple[int, ...]:
        for version in self._tables.keys.versions:
            wanted = self._wanted(name, version)
            try:
                if wanted.key.purpose == "MAC":
                    self._module.command_mac(wanted, NOTHING, b"")
                else:
                    self._module.authentication_data(wanted, NOTHING, NOTHING)
            except KeyVersionMissing:
                continue
            except (RootKeyMissing, AlgorithmMissing, KeyRefused):
                return ()
            return (version,)
        return ()

    def _wanted(self, name: str, version: int | None = None) -> Wanted:
        key, algorithm = self._tables.keys.key(name), self._tables.algorithm
        used = self.versions(name)[0] if version is None else version
        return Wanted(key, used, "read", algorithm, self._region, self._historical)
