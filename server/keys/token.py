"""The home of the root keys: a PKCS#11 token. Root keys are used inside it; what they give is the card's.

A 3DES root is a key object that cannot be read. Tokens have no SM4: such a root is kept wrapped by a key of the token
and is unwrapped for one use.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.exceptions import NoSuchKey, PinIncorrect, PKCS11Error

from protocols.sscard.security import SM4, TRIPLE_DES, AlgorithmMissing, diversify
from server.config import KeysPart
from server.errors import CentreError
from server.keys.roots import Root

NAMES = {TRIPLE_DES: "3DES", SM4: "SM4"}
WRAPPING = "ssc wrapping key"
WRAPPING_BITS = 256

FIRST_VERSION = 1
"""A root of this version has a label without it."""

_HIDDEN = {
    Attribute.CLASS: ObjectClass.SECRET_KEY,
    Attribute.KEY_TYPE: KeyType.DES3,
    Attribute.TOKEN: True,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.ENCRYPT: True,
    Attribute.DECRYPT: False,
}
"""A 3DES root; its ID says how many bytes the key has, for single DES is kept as 3DES with one key."""
_READABLE = {
    Attribute.CLASS: ObjectClass.SECRET_KEY,
    Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
    Attribute.TOKEN: False,
    Attribute.SENSITIVE: False,
    Attribute.EXTRACTABLE: True,
}
"""An SM4 root while it is used."""
_WRAPPED = {Attribute.CLASS: ObjectClass.DATA, Attribute.TOKEN: True, Attribute.PRIVATE: True}


class TokenUnusable(CentreError):
    """The PKCS#11 module, its token or the PIN file does not do its part."""

    def __init__(self, reason: str) -> None:
        super().__init__("key_token_unusable", reason=reason)


class RootMissing(CentreError):
    """The token has no root key of this name for this algorithm."""

    def __init__(self, name: str) -> None:
        super().__init__("security_key_missing", name=name)


class VersionMissing(CentreError):
    """The token has the root key, but not in this version."""

    def __init__(self, root: Root) -> None:
        super().__init__("security_key_version_missing", name=root.key, version=str(root.version))


def _label(root: Root) -> str:
    if root.algorithm not in NAMES:
        raise AlgorithmMissing(root.algorithm)
    suffix = "" if root.version == FIRST_VERSION else f" {root.version}"
    return f"{NAMES[root.algorithm]} {root.key}{suffix}"


def _pin(path: Path) -> str:
    """The user PIN; `TokenUnusable` where others than its owner have any right to the file."""
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise TokenUnusable(f"{path}: mode {mode:04o}, chmod 600")
    return path.read_text(encoding="utf-8").strip()


class Token:
    """One logged-in session, opened when needed and again after an error; for one thread.

    A wrong PIN is tried once, so that it does not lock the token.

    Every call may raise `TokenUnusable`, those with an algorithm `security.AlgorithmMissing`.
    """

    def __init__(self, part: KeysPart) -> None:
        self._part = part
        self._session: Any = None
        self._pin_refused = False

    def card_key(self, root: Root, *factors: bytes) -> bytes:
        """The key of a card, from the root below the first factor on; `RootMissing`, `VersionMissing`."""
        label = _label(root)
        try:
            if root.algorithm == SM4:
                return diversify(SM4, self._unwrapped(label), *factors)
            first, complement = factors[0], bytes(byte ^ 0xFF for byte in factors[0])
            key = self._open().get_key(object_class=ObjectClass.SECRET_KEY, key_type=KeyType.DES3, label=label)
            (length,) = key[Attribute.ID]
            child = key.encrypt(first + complement, mechanism=Mechanism.DES3_ECB)
            return diversify(TRIPLE_DES, bytes(child)[:length], *factors[1:])
        except NoSuchKey:
            raise self._missing(root) from None
        except PKCS11Error as error:
            raise self._broken(error) from None

    def load(self, roots: Mapping[Root, bytes]) -> int:
        """Put root keys into the token, for good; how many, without those that it holds."""
        labelled = {_label(root): value for root, value in roots.items()}
        try:
            held = self._labels()
            missing = labelled.keys() - held
            for label in missing:
                self._store(label, labelled[label])
        except PKCS11Error as error:
            raise self._broken(error) from None
        return len(missing)

    def _missing(self, root: Root) -> CentreError:
        """Why there is no such root: none of its name, or none of its version."""
        first = _label(root._replace(version=FIRST_VERSION))
        try:
            there = any(label == first or label.startswith(f"{first} ") for label in self._labels())
        except PKCS11Error as error:
            return self._broken(error)
        return VersionMissing(root) if there else RootMissing(root.key)

    def _labels(self) -> set[str]:
        return {each[Attribute.LABEL] for each in self._open().get_objects({Attribute.TOKEN: True})}

    def close(self) -> None:
        """Log out; harmless when not open."""
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def _open(self) -> Any:
        if self._pin_refused:
            raise TokenUnusable(PinIncorrect.__name__)
        if self._session is None:
            try:
                pin = _pin(Path(self._part.pin_file))
                token = pkcs11.lib(self._part.module).get_token(token_label=self._part.token)
                self._session = token.open(rw=True, user_pin=pin)
            except OSError as error:
                raise TokenUnusable(f"{error.filename}: {error.strerror}") from None
            except PinIncorrect as error:
                self._pin_refused = True
                raise TokenUnusable(type(error).__name__) from None
            except RuntimeError as error:  # what the library raises where the module cannot be loaded, PKCS11Error too
                raise TokenUnusable(type(error).__name__) from None
        return self._session

    def _unwrapped(self, label: str) -> bytes:
        session = self._open()
        wrapped = next(iter(session.get_objects({Attribute.CLASS: ObjectClass.DATA, Attribute.LABEL: label})), None)
        if wrapped is None:
            raise NoSuchKey
        wrapping = session.get_key(object_class=ObjectClass.SECRET_KEY, label=WRAPPING)
        root = wrapping.unwrap_key(
            ObjectClass.SECRET_KEY,
            KeyType.GENERIC_SECRET,
            wrapped[Attribute.VALUE],
            mechanism=Mechanism.AES_KEY_WRAP,
            template={name: _READABLE[name] for name in (Attribute.TOKEN, Attribute.SENSITIVE, Attribute.EXTRACTABLE)},
        )
        try:
            return bytes(root[Attribute.VALUE])
        finally:
            root.destroy()

    def _store(self, label: str, root: bytes) -> None:
        if label.startswith(NAMES[SM4]):
            plain = self._open().create_object({**_READABLE, Attribute.VALUE: root})
            wrapped = self._wrapping_key().wrap_key(plain, mechanism=Mechanism.AES_KEY_WRAP)
            plain.destroy()
            self._open().create_object({**_WRAPPED, Attribute.LABEL: label, Attribute.VALUE: wrapped})
        else:
            length = bytes((len(root),))
            key = {Attribute.LABEL: label, Attribute.ID: length, Attribute.VALUE: (root * 3)[:24]}
            self._open().create_object({**_HIDDEN, **key})

    def _wrapping_key(self) -> Any:
        try:
            return self._open().get_key(object_class=ObjectClass.SECRET_KEY, label=WRAPPING)
        except NoSuchKey:
            return self._open().generate_key(
                KeyType.AES,
                WRAPPING_BITS,
                label=WRAPPING,
                store=True,
                capabilities=MechanismFlag.WRAP | MechanismFlag.UNWRAP,
                template={Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False},
            )

    def _broken(self, error: PKCS11Error) -> TokenUnusable:
        """The session is thrown away: the next call opens another."""
        with suppress(PKCS11Error):
            self.close()
        return TokenUnusable(type(error).__name__)
