"""Card security: diversification, session keys, authentication, MAC and encryption (ssc-card.md 6.2, 6.3).

An algorithm is the number from the FCI. 3DES has blocks of 8 bytes and keys of 16, or of 8 for single DES; SM4 has 16
and 16. `ValueError` where a key, factor, challenge or source has another length.
"""

from functools import reduce

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

TRIPLE_DES, SSF33, SM4 = 1, 2, 3
"""Algorithm ids (ssc-card.md 1)."""
FACTOR_BYTES = 8
SOURCE_BYTES = 8
AUTHENTICATION_BYTES = 8
MAC_BYTES = 4
_BLOCK_BYTES = {TRIPLE_DES: 8, SM4: 16}
_KEY_BYTES = {TRIPLE_DES: (8, 16), SM4: (16,)}
_PROVINCE_LABEL, _CITY_LABEL = b"0000sh", b"sx"


class AlgorithmMissing(ValueError):
    """A cipher that is not here; SSF33 is not public."""

    def __init__(self, algorithm: int) -> None:
        self.algorithm = algorithm
        super().__init__(f"no cipher with algorithm id {algorithm:02X}")


class CipherTextError(ValueError):
    """Encrypted data that do not decrypt to length, data and padding."""

    def __init__(self) -> None:
        super().__init__("not encrypted data of this session")


def province_factor(region: str) -> bytes:
    """Factor of level 1 from a region code of six digits."""
    return region[:2].encode("ascii") + _PROVINCE_LABEL


def city_factor(region: str) -> bytes:
    """Factor of level 2 from a region code of six digits."""
    return region.encode("ascii") + _CITY_LABEL


def card_factor(historical_bytes: bytes) -> bytes:
    """Factor of level 3: historical bytes 6 to 13."""
    return historical_bytes[5:13]


def factors(region: str, historical_bytes: bytes) -> tuple[bytes, bytes, bytes]:
    """Factors of levels 1 to 3: province, city, card."""
    return province_factor(region), city_factor(region), card_factor(historical_bytes)


def block_bytes(algorithm: int) -> int:
    """Block length of the cipher; `AlgorithmMissing` where it is not here."""
    try:
        return _BLOCK_BYTES[algorithm]
    except KeyError:
        raise AlgorithmMissing(algorithm) from None


def diversify(algorithm: int, key: bytes, *factors: bytes) -> bytes:
    """The key below `key`, a level for each factor; as long as `key`."""
    for factor in factors:
        if len(factor) != FACTOR_BYTES:
            raise ValueError(f"a factor has {FACTOR_BYTES} bytes")
        complement = bytes(byte ^ 0xFF for byte in factor)
        key = _encrypt(algorithm, key, (factor + complement)[: len(key)])
    return key


def session_key(algorithm: int, key: bytes, challenge: bytes) -> bytes:
    """One block from a key of the card and a challenge of at most a block, filled up with 00."""
    size = block_bytes(algorithm)
    if not 0 < len(challenge) <= size:
        raise ValueError(f"a challenge has 1 to {size} bytes")
    return _encrypt(algorithm, key, challenge.ljust(size, b"\0"))


def authentication_data(algorithm: int, session: bytes, source: bytes) -> bytes:
    """The 8 bytes that prove a session key, from a source of 8 bytes."""
    if len(source) != SOURCE_BYTES:
        raise ValueError(f"a source has {SOURCE_BYTES} bytes")
    return folded(_encrypt(algorithm, session, source.ljust(block_bytes(algorithm), b"\0")), AUTHENTICATION_BYTES)


def command_mac(algorithm: int, session: bytes, message: bytes) -> bytes:
    """The 4 bytes over CLA INS P1 P2 Lc and the data before them; Lc counts the MAC too."""
    size = block_bytes(algorithm)
    return mac_of(algorithm, _encrypt(algorithm, session, padded(algorithm, message), modes.CBC(bytes(size)))[-size:])


def encrypt_data(algorithm: int, session: bytes, data: bytes) -> bytes:
    """Length byte and data, padded where they end inside a block; how PIN blocks travel."""
    return _encrypt(algorithm, session, length_and_data(algorithm, data))


def decrypt_data(algorithm: int, session: bytes, encrypted: bytes) -> bytes:
    """The data of `encrypt_data`; `CipherTextError` where it cannot be its result."""
    if not encrypted or len(encrypted) % block_bytes(algorithm):
        raise CipherTextError
    decryptor = _cipher(algorithm, session, modes.ECB()).decryptor()
    text = decryptor.update(encrypted) + decryptor.finalize()
    data = text[1 : 1 + text[0]]
    if length_and_data(algorithm, data) != text:
        raise CipherTextError
    return data


def padded(algorithm: int, message: bytes) -> bytes:
    """80 and 00 up to a whole block, always."""
    size = block_bytes(algorithm)
    return (message + b"\x80").ljust((len(message) // size + 1) * size, b"\0")


def length_and_data(algorithm: int, data: bytes) -> bytes:
    """What `encrypt_data` encrypts: padded only where it ends inside a block."""
    text = bytes((len(data),)) + data
    return padded(algorithm, text) if len(text) % block_bytes(algorithm) else text


def mac_of(algorithm: int, block: bytes) -> bytes:
    """The MAC from the last block of its chain: the left word, or all four folded."""
    return block[:MAC_BYTES] if algorithm == TRIPLE_DES else folded(block, MAC_BYTES)


def folded(block: bytes, size: int) -> bytes:
    """XOR of the parts of this size."""
    return reduce(xor, (block[at : at + size] for at in range(0, len(block), size)))


def xor(left: bytes, right: bytes) -> bytes:
    """Byte by byte, of equal length."""
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def _encrypt(algorithm: int, key: bytes, text: bytes, mode: modes.ECB | modes.CBC | None = None) -> bytes:
    encryptor = _cipher(algorithm, key, mode or modes.ECB()).encryptor()
    return encryptor.update(text) + encryptor.finalize()


def _cipher(algorithm: int, key: bytes, mode: modes.ECB | modes.CBC) -> Cipher[modes.ECB | modes.CBC]:
    block_bytes(algorithm)
    if len(key) not in _KEY_BYTES[algorithm]:
        raise ValueError("wrong key length")
    if algorithm == SM4:
        return Cipher(algorithms.SM4(key), mode)
    return Cipher(TripleDES((key * 3)[:24]), mode)
