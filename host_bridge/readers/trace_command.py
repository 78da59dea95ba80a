"""`ssc reader trace`: the characters on the contact lines, as the firmware kept and masked them."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import groupby
from typing import Annotated, NamedTuple

import typer

from host_bridge.readers.command_line import Address, Json, print_json, reported
from host_bridge.readers.service import open_service
from protocols.ccid.trace import (
    ATR,
    BLOCK,
    CONTACTS,
    DAMAGED,
    DATA,
    HEADER,
    MAX_SECONDS,
    NO_ROLE,
    PPS,
    PROCEDURE,
    RECEIVED,
    SENT,
    SPEED,
    STATUS,
    TraceEntry,
)
from protocols.iso7816.line import CLK, RST, VCC

Start = Annotated[
    int | None,
    typer.Option("--start", min=1, max=MAX_SECONDS, help="开始记录，秒后自动停止 · record for so many seconds"),
]
Stop = Annotated[bool, typer.Option("--stop", help="停止记录 · stop recording")]

ARROWS = {SENT: "→", RECEIVED: "←", DAMAGED: "←", CONTACTS: "•", SPEED: "•"}
KINDS = {SENT: "sent", RECEIVED: "received", DAMAGED: "damaged", CONTACTS: "contacts", SPEED: "speed"}
ROLES = {
    NO_ROLE: None,
    ATR: "atr",
    PPS: "pps",
    HEADER: "header",
    PROCEDURE: "procedure",
    DATA: "data",
    STATUS: "status",
    BLOCK: "block",
}
LINES = ((VCC, "VCC"), (CLK, "CLK"), (RST, "RST"))


class Exchange(NamedTuple):
    """One T=0 command with its answer, as far as both were seen; masked data only by their number.

    `header` is as it is shown, `has_pin`: of data sent not even the number is known.
    """

    slot: int
    time_us: int
    took_us: int
    header: str
    has_pin: bool
    data_sent: bytes
    data_received: bytes
    masked: bool
    sw: bytes


def trace(address: Address, start: Start = None, stop: Stop = False, as_json: Json = False) -> None:
    """显示读卡器记录的字符，个人数据已遮盖 · Show the characters that the reader recorded, masked on its board."""
    if start is not None and stop:
        raise typer.BadParameter("--start 和 --stop 只能用一个 · one of --start and --stop", param_hint="--stop")
    with reported(address, as_json), closing(open_service(address)) as service:
        if start is not None:
            service.start_trace(start)
        if stop:
            service.stop_trace()
        lost, entries = service.trace()
    if start is not None:
        if as_json:
            print_json({"recording_s": start})
        else:
            typer.echo(f"记录 {start} 秒，再运行本命令查看 · recording for {start} s; run this again to see it")
        return
    if as_json:
        exchanges = [_exchange_facts(each) for each in exchanges_in(entries)]
        print_json({"lost": lost, "characters": [_facts(each) for each in entries], "exchanges": exchanges})
        return
    if lost:
        typer.echo(f"较早的 {lost} 个字符已被覆盖 · {lost} older characters are gone")
    for line in _lines(entries):
        typer.echo(line)
    if not entries:
        typer.echo("没有记录 · nothing was recorded", err=True)


def exchanges_in(entries: Iterable[TraceEntry]) -> list[Exchange]:
    """The T=0 commands that have their status word, in the order of their end."""
    found: list[Exchange] = []
    open_ones: dict[int, list[TraceEntry]] = {}
    for entry in entries:
        seen = open_ones.setdefault(entry.slot, [])
        if entry.kind == CONTACTS or (entry.role == HEADER and seen and seen[-1].role != HEADER):
            seen.clear()
        if entry.role in {HEADER, PROCEDURE, DATA, STATUS}:
            seen.append(entry)
        if _has_status(seen):
            if seen[0].role == HEADER:
                found.append(_exchange(seen))
            seen.clear()
    return found


def _has_status(seen: list[TraceEntry]) -> bool:
    return [each.role for each in seen[-2:]] == [STATUS, STATUS]


def _exchange(seen: list[TraceEntry]) -> Exchange:
    def values(role: int, kind: int) -> bytes:
        return bytes(each.value for each in seen if each.role == role and each.kind == kind)

    masked = any(each.masked for each in seen)
    took_us = seen[-1].time_us - seen[0].time_us
    header = [each for each in seen if each.role == HEADER]
    return Exchange(
        seen[0].slot,
        seen[0].time_us,
        took_us,
        " ".join(map(_shown, header)),
        any(each.masked for each in header),
        values(DATA, SENT),
        values(DATA, RECEIVED),
        masked,
        values(STATUS, RECEIVED),
    )


def _lines(entries: list[TraceEntry]) -> Iterator[str]:
    """A line per run of one direction, one under each exchange."""
    ends = {(each.slot, each.time_us + each.took_us): each for each in exchanges_in(entries)}
    for (slot, kind), run in groupby(entries, key=lambda each: (each.slot, each.kind)):
        found = list(run)
        shown = (", " if kind in {CONTACTS, SPEED} else " ").join(map(_shown, found))
        yield f"{found[0].time_us / 1e6:12.6f}  {slot} {ARROWS[kind]} {shown}"
        exchange = ends.get((slot, found[-1].time_us))
        if exchange is not None and found[-1].role == STATUS:
            yield f"{'':12}  {slot} = {_sentence(exchange)}"


def _shown(entry: TraceEntry) -> str:
    if entry.kind == DAMAGED:
        return "!!"
    if entry.kind == CONTACTS:
        return " ".join(name for bit, name in LINES if entry.value & bit) or "off"
    if entry.kind == SPEED:
        return f"Fi/Di {entry.value:02X}"
    return "**" if entry.masked else f"{entry.value:02X}"


def _data_shown(data: bytes, masked: bool) -> str:
    if not data:
        return ""
    return f" [{len(data)}]" if masked else f" {data.hex(' ').upper()}"


def _sentence(exchange: Exchange) -> str:
    sent, received = (_data_shown(data, exchange.masked) for data in (exchange.data_sent, exchange.data_received))
    if exchange.has_pin:
        sent = " [**]"
    sw = exchange.sw.hex().upper()
    return f"{exchange.header}{sent} →{received} {sw}, {exchange.took_us / 1000:.1f} ms"


def _facts(entry: TraceEntry) -> dict[str, object]:
    value = None if entry.masked or entry.kind == DAMAGED else f"{entry.value:02X}"
    where = {"time_us": entry.time_us, "slot": entry.slot}
    return {**where, "kind": KINDS[entry.kind], "role": ROLES[entry.role], "value": value}


def _exchange_facts(exchange: Exchange) -> dict[str, object]:
    return {
        "slot": exchange.slot,
        "time_us": exchange.time_us,
        "took_us": exchange.took_us,
        "header": exchange.header.replace(" ", ""),
        "sent": None if exchange.has_pin else len(exchange.data_sent),
        "received": len(exchange.data_received),
        "sw": exchange.sw.hex().upper(),
    }
