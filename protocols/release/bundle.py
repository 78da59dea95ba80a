"""A release of the reader's firmware: one zip of the files, the manifest that lists them, and who vouches for it."""

import hashlib
import io
import zipfile
import zlib
from typing import Annotated, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from protocols.ccid.service import MANIFEST_FILE, MAX_MANIFEST, FileFact, digest_of, version_of

SIGNATURE_FILE = "manifest.sig"
SIGNED = b"ssc-firmware-1"
"""Before the manifest's bytes in what is signed (Ed25519, RFC 8032)."""
MAX_FILE = 1 << 20
MAX_FILES = 1 << 22
"""Bytes of all files together."""
METHODS = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
EARLIEST = 1980, 1, 1, 0, 0, 0
"""The time of every file, so that the same release is the same bytes."""

Version = Annotated[str, msgspec.Meta(pattern=r"^\d{1,4}\.\d{1,4}\.\d{1,4}\Z")]
Path = Annotated[str, msgspec.Meta(pattern=r"^(firmware|protocols)(/[A-Za-z0-9_]+)+\.m?py\Z")]


class BundleError(ValueError):
    """It cannot be trusted or not be read; the text says why."""


class ManifestFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`sha256` in hex."""

    path: Path
    size: Annotated[int, msgspec.Meta(ge=0, le=MAX_FILE)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a release is: for which board, and below which version nobody goes back once it is installed."""

    board: str
    files: tuple[ManifestFile, ...]
    floor: Version
    version: Version

    @property
    def digest(self) -> bytes:
        """As the firmware computes it over its running files."""
        return digest_of([FileFact(each.path, each.size, bytes.fromhex(each.sha256)) for each in self.files])

    def to_bytes(self) -> bytes:
        """Canonical: keys in alphabetical order, files in that of their paths, no spaces."""
        files = tuple(sorted(self.files, key=lambda file: file.path))
        return msgspec.json.encode(msgspec.structs.replace(self, files=files), order="sorted")


class Bundle(NamedTuple):
    """A release whose signature and files were checked; `signed` are the manifest's bytes."""

    manifest: Manifest
    signed: bytes
    files: dict[str, bytes]


def manifest_of(files: dict[str, bytes], board: str, version: str, floor: str) -> Manifest:
    """`BundleError` where a version is none, the floor is above it, or the files are too many for a reader."""
    try:
        if version_of(floor) > version_of(version):
            raise BundleError(f"the floor {floor} is above version {version}")
    except ValueError as error:
        raise BundleError(str(error)) from None
    listed = [ManifestFile(path, len(data), hashlib.sha256(data).hexdigest()) for path, data in sorted(files.items())]
    manifest = Manifest(board, tuple(listed), floor, version)
    _check_size(manifest.to_bytes())
    return manifest


def _check_size(signed: bytes) -> None:
    if len(signed) > MAX_MANIFEST:
        raise BundleError(f"{MANIFEST_FILE} is longer than a reader takes")


def write_bundle(manifest: Manifest, files: dict[str, bytes], key: Ed25519PrivateKey) -> bytes:
    """The zip."""
    signed = manifest.to_bytes()
    content = {MANIFEST_FILE: signed, SIGNATURE_FILE: key.sign(SIGNED + signed), **files}
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            archive.writestr(zipfile.ZipInfo(path, EARLIEST), data, zipfile.ZIP_DEFLATED)
    return zipped.getvalue()


def read_bundle(data: bytes, key: Ed25519PublicKey) -> Bundle:
    """`BundleError` unless `key` vouches for the manifest and every file is what it says."""
    content = _unzipped(data)
    signed, signature = content.pop(MANIFEST_FILE, b""), content.pop(SIGNATURE_FILE, b"")
    try:
        key.verify(signature, SIGNED + signed)
    except InvalidSignature:
        raise BundleError("the signature is not by this key") from None
    try:
        manifest = msgspec.json.decode(signed, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BundleError(f"{MANIFEST_FILE}: {error}") from None
    _check_size(signed)
    if manifest.to_bytes() != signed:
        raise BundleError(f"{MANIFEST_FILE} is not canonical")
    if content.keys() != {each.path for each in manifest.files} or len(content) != len(manifest.files):
        raise BundleError("other files than in the manifest")
    for each in manifest.files:
        found = content[each.path]
        if (len(found), hashlib.sha256(found).hexdigest()) != (each.size, each.sha256):
            raise BundleError(f"{each.path} is not what the manifest says")
    return Bundle(manifest, signed, content)


def _unzipped(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = archive.infolist()
            if sum(each.file_size for each in found) > MAX_FILES:
                raise BundleError("it is too large")
            if any(each.compress_type not in METHODS for each in found):
                raise BundleError("it is compressed in another way than releases are")
            if len({each.filename for each in found}) != len(found):
                raise BundleError("a file is in it twice")
            return {each.filename: archive.read(each) for each in found}
    except BundleError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise BundleError(f"no zip: {type(error).__name__}") from None
