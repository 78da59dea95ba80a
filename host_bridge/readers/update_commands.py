"""`ssc reader manifest` and `ssc reader update`: make a release of the firmware, bring it to a reader."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from rich.console import Console
from rich.progress import Progress

from hardware.firmware_files import SOURCES, FirmwareError, application_files, version_in
from host_bridge.readers.addresses import SERIAL
from host_bridge.readers.command_line import Json, fail, print_json, reason_of, reported
from host_bridge.readers.service import open_service
from host_bridge.readers.update import UpdateError, Updater
from protocols.release.bundle import BundleError, manifest_of, read_bundle, write_bundle

Address = Annotated[str, typer.Argument(help="读卡器地址 · serial:PATH")]
Release = Annotated[
    Path, typer.Argument(help="固件发布包 · release of the firmware, as `ssc reader manifest` makes it")
]
PublicKey = Annotated[Path, typer.Option("--key", help="发布者公钥 · the maker's Ed25519 public key (PEM)")]
PrivateKey = Annotated[Path, typer.Option("--key", help="发布者私钥 · Ed25519 private key (PEM)")]
Board = Annotated[str, typer.Option("--board", help="板 · board, as in hardware/firmware.toml")]
Floor = Annotated[str, typer.Option("--floor", help="装上后不可低于此版本 · lowest version that may follow this one")]
Output = Annotated[Path, typer.Option("--output", help="发布包 · file to write")]
Source = Annotated[Path, typer.Option("--source", help="固件源目录 · folder with firmware/ and protocols/")]


class _KeyUnreadable(ValueError):
    pass


def manifest(  # noqa: PLR0917
    board: Board, floor: Floor, key: PrivateKey, output: Output, source: Source = SOURCES, as_json: Json = False
) -> None:
    """制作签名的固件发布包 · Make a signed release of the firmware: its files and the manifest that lists them."""
    try:
        files = application_files(board, source)
        made = manifest_of(files, board, version_in(source), floor)
        output.write_bytes(write_bundle(made, files, _private_key(key)))
    except (FirmwareError, BundleError, _KeyUnreadable, OSError) as error:
        fail("reader_release_not_made", {"reason": reason_of(error)}, as_json)
    if as_json:
        print_json({"output": str(output), "board": board, "version": made.version, "digest": made.digest.hex()})
    else:
        typer.echo(f"{output}: {board} {made.version}, {len(files)} 个文件 · files, SHA-256 {made.digest.hex()}")


def update(address: Address, release: Release, key: PublicKey, as_json: Json = False) -> None:
    """更新读卡器固件；中断后再运行即继续 · Update a reader's firmware; run it again to go on after a break."""
    try:
        bundle = read_bundle(release.read_bytes(), _public_key(key))
    except (BundleError, _KeyUnreadable, OSError) as error:
        fail("reader_release_unfit", {"reason": reason_of(error)}, as_json)
    with reported(address, as_json):
        if not address.startswith(f"{SERIAL}:"):
            raise UpdateError("reader_update_by_serial")
        with closing(open_service(address)) as service, Progress(console=Console(stderr=True), disable=as_json) as bar:
            task = bar.add_task("写入 · sending", total=None)
            updater = Updater(service, bundle, lambda done, total: bar.update(task, completed=done, total=total))
            hello = updater.update()
    if as_json:
        print_json({"version": hello.version, "file_slot": hello.file_slot, "digest": hello.digest.hex()})
    else:
        typer.echo(f"已更新并确认 · updated and confirmed: {hello.version}, 文件槽 · file slot {hello.file_slot}")


def _private_key(path: Path) -> Ed25519PrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError):
        raise _KeyUnreadable(f"{path}: no private key in PEM without password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _KeyUnreadable(f"{path}: no Ed25519 key")
    return key


def _public_key(path: Path) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(path.read_bytes())
    except ValueError:
        raise _KeyUnreadable(f"{path}: no public key in PEM") from None
    if not isinstance(key, Ed25519PublicKey):
        raise _KeyUnreadable(f"{path}: no Ed25519 key")
    return key
