"""Commands that the hardware room adds to `ssc`: the simulated twins and the demo."""

import typer

from hardware.virtual.card_commands import app as card
from hardware.virtual.demo import demo as demo  # noqa: PLC0414 - offered to the door
from hardware.virtual.printer_commands import app as printer
from hardware.virtual.reader_commands import app as reader
from hardware.virtual.sam_commands import app as sam

virtual = typer.Typer(no_args_is_help=True, help="仿真 · Simulated cards, readers and printers")
virtual.add_typer(card, name="card", help="虚拟卡 · Make, show and run simulated cards")
virtual.add_typer(sam, name="sam", help="虚拟安全模块 · Make, show and run simulated security modules")
virtual.add_typer(reader, name="reader", help="虚拟读卡器 · The reader firmware behind a pty, with a card slot")
virtual.add_typer(printer, name="printer", help="虚拟打印机 · A receipt printer that writes files")
