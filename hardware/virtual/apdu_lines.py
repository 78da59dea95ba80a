"""APDUs typed by hand: one in hexadecimal per line in, one answer per line out."""

import json
from collections.abc import Callable, Iterable
from typing import NoReturn

import typer

from hardware.virtual.card_file import CardFileError
from hardware.virtual.card_side import Chip
from protocols.iso7816.apdu import ApduError, CommandApdu
from protocols.iso7816.status import meaning


def answer_lines(chip: Chip, lines: Iterable[str], fail: Callable[[str, bool], NoReturn], *, as_json: bool) -> None:
    """Power the chip on and print its answers; `fail` is told in words what ends it."""
    chip.reset()
    for line in lines:
        try:
            answer = chip.command(CommandApdu.from_bytes(bytes.fromhex(line)))
        except ApduError as error:
            fail(f"不是一条 APDU · not an APDU: {error}", as_json)
        except ValueError:
            fail("不是十六进制 · not hexadecimal", as_json)
        except CardFileError as error:
            fail(str(error), as_json)
        data, sw = answer.data.hex().upper(), f"{answer.sw:04X}"
        shown = {"data": data, "sw": sw, "meaning": meaning(answer.sw)}
        typer.echo(json.dumps(shown) if as_json else data + sw)
