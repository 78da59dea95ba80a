"""A terminal with the simulated root keys: what it sends is computed from ATR, region and tables, not from the card."""

import msgspec

from hardware.virtual.card import CardImage, VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, card_image, load_person
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard import commands, security
from protocols.sscard.files import card_files
from protocols.sscard.simulated import simulated_root

PERSON = load_person(DEFAULT_PERSON)
PIN = "0020000003135790"
SOURCE = bytes.fromhex("1122334455667788")


def image_of(version: str, **choices: str) -> CardImage:
    """The employee's card in a version, with these answers to open questions."""
    card = msgspec.structs.replace(PERSON.card, version=version, choices=choices)
    return card_image(msgspec.structs.replace(PERSON, card=card))


class KeyTerminal:
    """At work with one card; answers are hexadecimal."""

    def __init__(self, card: VirtualCard) -> None:
        self.card = card
        self.files = card_files(card.image.version).answered(card.image.choices)
        self.algorithm = self.files.algorithm
        self._factors = security.factors(PERSON.card.region, card.reset()[4:])

    def send(self, apdu: str | CommandApdu) -> str:
        command = CommandApdu.from_bytes(bytes.fromhex(apdu)) if isinstance(apdu, str) else apdu
        return self.card.command(command).to_bytes().hex().upper()

    def enter(self, name: str) -> str:
        directory = self.files.directory(name)
        if directory.df_name:
            return self.send(commands.select_name(bytes.fromhex(directory.df_name)))
        return self.send(commands.select_fid(bytes.fromhex(directory.fid)))

    def key(self, name: str, version: int = 1) -> bytes:
        """The key of this card."""
        root = simulated_root(self.algorithm, self.files.keys.key(name), version)
        return security.diversify(self.algorithm, root, *self._factors)

    def challenge(self, length: int = 8) -> bytes:
        answer = self.card.command(commands.get_challenge(length))
        assert answer.sw == 0x9000
        return answer.data

    def session(self, key: bytes, length: int = 8) -> bytes:
        """The session key over a fresh challenge."""
        return security.session_key(self.algorithm, key, self.challenge(length))

    def authenticate(self, name: str, version: int | None = None, *, wrong: bool = False, length: int = 8) -> str:
        """EXTERNAL AUTHENTICATION with a key of the table."""
        key_id = self.files.keys.key(name).id
        assert key_id is not None
        session = self.session(self.key(name, version or 1), length)
        proof = security.authentication_data(self.algorithm, session, SOURCE)
        if wrong:
            proof = bytes((proof[0] ^ 1,)) + proof[1:]
        return self.send(commands.external_authentication(key_id, proof, SOURCE, version))

    def maced(self, command: CommandApdu, name: str, *, wrong: bool = False) -> str:
        """A command with its MAC over a fresh challenge."""
        session = self.session(self.key(name))
        mac = security.command_mac(self.algorithm, session, commands.mac_message(command))
        if wrong:
            mac = mac[:-1] + bytes((mac[-1] ^ 1,))
        return self.send(commands.with_mac(command, mac))

    def reset_pin(self, block: bytes, name: str = "STK") -> str:
        """PIN CHANGE/UNBLOCK with a new PIN."""
        session = self.session(self.key(name))
        command = commands.reset_pin(security.encrypt_data(self.algorithm, session, block) if block else b"")
        mac = security.command_mac(self.algorithm, session, commands.mac_message(command))
        return self.send(commands.with_mac(command, mac))
