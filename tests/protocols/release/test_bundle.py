"""A release is taken whole and from its maker, or not at all."""

import io
import json
import zipfile

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.release.bundle import BundleError, manifest_of, read_bundle, write_bundle

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
FILES = {"firmware/main.py": b"abc", "protocols/__init__.py": b""}
ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"""FIPS 180-2, appendix B.1, and SHA-256 of no bytes."""
MANIFEST = manifest_of(FILES, "pico", "0.3.0", "0.2.0")
BUNDLE = write_bundle(MANIFEST, FILES, KEY)


def rezipped(changes: dict[str, bytes | None], bundle: bytes = BUNDLE) -> bytes:
    """The same with other files; None leaves one out."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        content: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for name, data in (content | changes).items():
            if data is not None:
                archive.writestr(name, data)
    return zipped.getvalue()


def test_the_manifest_is_canonical() -> None:
    assert MANIFEST.to_bytes().decode() == (
        '{"board":"pico","files":['
        f'{{"path":"firmware/main.py","sha256":"{ABC}","size":3}},'
        f'{{"path":"protocols/__init__.py","sha256":"{NOTHING}","size":0}}'
        '],"floor":"0.2.0","version":"0.3.0"}'
    )


def test_a_release_comes_out_as_it_went_in() -> None:
    bundle = read_bundle(BUNDLE, KEY.public_key())
    assert (bundle.manifest, bundle.signed, bundle.files) == (MANIFEST, MANIFEST.to_bytes(), FILES)
    assert write_bundle(MANIFEST, FILES, KEY) == BUNDLE


def signed_anew(**changes: object) -> dict[str, bytes | None]:
    manifest = json.dumps(json.loads(MANIFEST.to_bytes()) | changes, separators=(",", ":"), sort_keys=True).encode()
    return {"manifest.json": manifest, "manifest.sig": KEY.sign(b"ssc-firmware-1" + manifest)}


UNFIT: dict[str, dict[str, bytes | None]] = {
    "another file": {"firmware/main.py": b"abd"},
    "a file more": {"firmware/more.py": b""},
    "a file less": {"protocols/__init__.py": None},
    "no manifest": {"manifest.json": None},
    "no signature": {"manifest.sig": None},
    "another manifest": {"manifest.json": MANIFEST.to_bytes().replace(b"0.3.0", b"0.9.0")},
    "signed by another": {"manifest.sig": OTHER.sign(b"ssc-firmware-1" + MANIFEST.to_bytes())},
    "signed as something else": {"manifest.sig": KEY.sign(MANIFEST.to_bytes())},
    "an unknown field": signed_anew(more=1),
    "a strange version": signed_anew(version="0.3"),
    "a version and a line": signed_anew(version="0.3.0\n"),
    "a path outside": signed_anew(files=[{"path": "firmware/../main.py", "size": 3, "sha256": ABC}]),
    "a file twice": signed_anew(files=[{"path": "firmware/main.py", "sha256": ABC, "size": 3}] * 2),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_release_that_was_touched_is_refused(name: str) -> None:
    with pytest.raises(BundleError):
        read_bundle(rezipped(UNFIT[name]), KEY.public_key())


def zipped(files: list[tuple[str, bytes]], method: int) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", method) as archive:
        for name, data in files:
            archive.writestr(name, data)
    return found.getvalue()


MAIN = ("firmware/main.py", b"abc")
NO_RELEASES = {
    "too large": ([(f"firmware/{number}.py", bytes(1 << 20)) for number in range(5)], zipfile.ZIP_DEFLATED),
    "twice": ([MAIN, MAIN], zipfile.ZIP_DEFLATED),
    "compressed": ([MAIN], zipfile.ZIP_LZMA),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("why", NO_RELEASES)
def test_what_no_release_is_is_refused_before_it_is_unpacked(why: str) -> None:
    files, method = NO_RELEASES[why]
    with pytest.raises(BundleError, match=why):
        read_bundle(zipped(files, method), KEY.public_key())


def test_a_release_has_no_more_files_than_a_reader_takes() -> None:
    with pytest.raises(BundleError, match="longer"):
        manifest_of({f"firmware/{number:04}.py": b"" for number in range(200)}, "pico", "0.3.0", "0.2.0")


def test_signed_but_not_canonical_is_refused() -> None:
    manifest = MANIFEST.to_bytes() + b"\n"
    changes: dict[str, bytes | None] = {
        "manifest.json": manifest,
        "manifest.sig": KEY.sign(b"ssc-firmware-1" + manifest),
    }
    with pytest.raises(BundleError, match="canonical"):
        read_bundle(rezipped(changes), KEY.public_key())


@settings(max_examples=200)
@given(st.integers(0, len(BUNDLE) - 1), st.integers(1, 255))
def test_a_byte_changed_anywhere_gives_the_same_files_or_none(at: int, flip: int) -> None:
    data = bytearray(BUNDLE)
    data[at] ^= flip
    try:
        found = read_bundle(bytes(data), KEY.public_key())
    except BundleError:
        return
    assert found.files == FILES


@given(st.binary(max_size=200))
def test_any_bytes_are_no_release(data: bytes) -> None:
    with pytest.raises(BundleError):
        read_bundle(data, KEY.public_key())


@pytest.mark.parametrize(("version", "floor"), [("0.2.0", "0.2.1"), ("0.9.0", "0.10.0"), ("1.0", "0.0.0"), ("x", "y")])
def test_no_manifest_forbids_its_own_version(version: str, floor: str) -> None:
    with pytest.raises(BundleError):
        manifest_of(FILES, "pico", version, floor)
