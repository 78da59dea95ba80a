"""`ssc virtual sam`: make, show and run simulated security modules."""

import json
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from hardware.virtual.apdu_lines import answer_lines
from hardware.virtual.card_file import CardFileError
from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_file import SAM_SUFFIX, Role, sam_image
from hardware.virtual.vpcd_command import Vpcd, run_in_pcscd

REGION_DIGITS = 6

app = typer.Typer(no_args_is_help=True)
SamFile = Annotated[Path, typer.Argument(help="安全模块文件 · security module's file")]
Output = Annotated[Path, typer.Option("-o", "--output", help="写入的文件（.sam）· file to write (.sam)")]
Region = Annotated[str, typer.Option(help="发卡地区六位代码 · issuer's region, six digits")]
Level = Annotated[int, typer.Option(min=1, max=3, help="还需分散的级数 · levels its keys are above the cards'")]
KeyVersion = Annotated[int, typer.Option("--key-version", min=1, max=3, help="密钥版本 · version of its keys")]
ForRole = Annotated[Role, typer.Option(help="用于柜台或经办机构 · for a counter or an agency")]
Json = Annotated[bool, typer.Option("--json", help="以 JSON 输出 · JSON output")]


@app.command()
def make(  # noqa: PLR0917 - each is an option of the command
    output: Output,
    region: Region,
    level: Level = 3,
    role: ForRole = "counter",
    key_version: KeyVersion = 1,
    as_json: Json = False,
) -> None:
    """制作 · Make a security module with simulated keys; a file of that name is replaced."""
    if len(region) != REGION_DIGITS or not region.isdecimal() or not region.isascii():
        _fail("地区代码须为六位数字 · a region has six digits", as_json)
    if output.suffix != SAM_SUFFIX:
        _fail(f"文件名须以 {SAM_SUFFIX} 结尾 · the name must end in {SAM_SUFFIX}", as_json)
    try:
        module = VirtualSam.create(output, sam_image(region, level, role, key_version))
    except CardFileError as error:
        _fail(str(error), as_json)
    keys = sum(len(each.keys) for each in module.image.environments)
    shown = {"sam": str(output), "keys": keys, "level": level, "key_version": key_version, "simulated": True}
    typer.echo(json.dumps(shown) if as_json else f"{output}: {keys} 个仿真密钥 · {keys} simulated keys")


@app.command()
def show(file: SamFile, as_json: Json = False) -> None:
    """查看 · Show what a security module has; its keys are hidden."""
    image = _open(file, as_json).image
    environments = {
        str(each.algorithm): [f"{key.usage:02X}/{key.id:02X}" for key in each.keys] for each in image.environments
    }
    if as_json:
        document = {"atr": image.atr, "terminal_number": image.terminal_number, "key_version": image.key_version}
        typer.echo(json.dumps({**document, "environments": environments, "simulated": image.simulated}))
        return
    typer.echo(f"ATR: {image.atr}\n终端编号 Terminal number: {image.terminal_number}")
    typer.echo(f"仿真密钥，版本 {image.key_version} · Simulated keys, version {image.key_version}")
    for algorithm, keys in environments.items():
        typer.echo(f"算法 Algorithm {algorithm}: {' '.join(keys)}")


@app.command()
def run(file: SamFile, vpcd: Vpcd = None, as_json: Json = False) -> None:
    """运行 · Power the module on and answer APDUs: one in hexadecimal per line in, one answer per line out.

    With --vpcd the module is in a PC/SC reader instead; prints one JSON line when it is: {"ready": true, "vpcd": …}.
    """
    module = _open(file, as_json)
    if vpcd is not None:
        run_in_pcscd(module, vpcd, _fail, as_json=as_json)
    answer_lines(module, sys.stdin, _fail, as_json=as_json)


def _open(path: Path, as_json: bool) -> VirtualSam:
    try:
        return VirtualSam.open(path)
    except CardFileError as error:
        _fail(str(error), as_json)


def _fail(reason: str, as_json: bool) -> NoReturn:
    """Bad input ends with exit code 2."""
    typer.echo(json.dumps({"error": reason}, ensure_ascii=False) if as_json else reason, err=not as_json)
    raise typer.Exit(2)
