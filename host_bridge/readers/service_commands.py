"""`ssc reader info` and `ssc reader log`: what our firmware tells of itself."""

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from host_bridge.readers.addresses import PCSC
from host_bridge.readers.ccid_names import COMMANDS, ERRORS
from host_bridge.readers.command_line import Address, Json, print_json, reported
from host_bridge.readers.pcsc_service import PcscService
from host_bridge.readers.service import NotOurs, ReaderInfo, open_service
from protocols.ccid.service import CARD_IN, CARD_OUT, COMMAND_REFUSED, NO_FILE_SLOT, STARTED, Counters, Event, Hello

Files = Annotated[bool, typer.Option("--files", help="列出每个文件 · list every file")]

KINDS = {
    STARTED: ("started", "启动 · started"),
    CARD_IN: ("card_in", "卡插入 · card in"),
    CARD_OUT: ("card_out", "卡拔出 · card out"),
    COMMAND_REFUSED: ("command_refused", "命令未成 · refused"),
}


def info(address: Address, files: Files = False, as_json: Json = False) -> None:
    """固件版本、文件校验值、计数 · Firmware version, file hashes, counters; of other readers what PC/SC tells."""
    with reported(address, as_json):
        try:
            with closing(open_service(address)) as service:
                found = service.info()
        except NotOurs:
            if not address.startswith(f"{PCSC}:"):
                raise
            _print_foreign(_attributes(address), as_json)
            return
    if as_json:
        print_json(_info_facts(found))
    else:
        _print_info(found, files)


def log(address: Address, as_json: Json = False) -> None:
    """读卡器自己的事件记录 · The events that the reader remembers, without any data of cards."""
    with reported(address, as_json), closing(open_service(address)) as service:
        hello, events = service.hello(), service.events()
    started = datetime.now(UTC).astimezone() - timedelta(milliseconds=hello.now_ms)
    if as_json:
        print_json([_event_facts(event, started) for event in events])
        return
    for event in events:
        at = started + timedelta(milliseconds=event.time_ms)
        typer.echo(f"{at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + f"  {_sentence(event, hello)}")


def state_of(hello: Hello) -> str:
    if hello.file_slot == NO_FILE_SLOT:
        return "不可更新 · not updatable"
    return "试用 · on trial" if hello.on_trial else "已确认 · confirmed"


def _attributes(address: str) -> dict[str, str]:
    name = address.removeprefix(f"{PCSC}:")
    with closing(PcscService()) as service:
        return {"address": address, **service.attributes(name)}


def _print_foreign(facts: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json({"ours": False, **facts})
        return
    typer.echo("不是本系统的固件，PC/SC 提供 · not our firmware, PC/SC tells:")
    names = {"vendor": "厂商 · vendor", "type": "型号 · type", "version": "版本 · version"}
    for key, label in names.items():
        typer.echo(f"{label}: {facts.get(key, '—')}")


def _info_facts(found: ReaderInfo) -> dict[str, object]:
    hello = found.hello
    return {
        "ours": True,
        "version": hello.version,
        "board": hello.board,
        "protocol": hello.protocol,
        "digest": hello.digest.hex(),
        "file_slot": None if hello.file_slot == NO_FILE_SLOT else hello.file_slot,
        "on_trial": hello.on_trial,
        "starts_left": hello.starts_left,
        "starts": hello.starts,
        "reason": hello.reason,
        "up_ms": hello.now_ms,
        "files": [{"path": each.path, "size": each.size, "sha256": each.sha256.hex()} for each in found.files],
        "slots": [_counter_facts(each) for each in found.counters],
    }


def _counter_facts(counters: Counters) -> dict[str, object]:
    names = ("received", "sent", "refused", "resent")
    characters = {name: getattr(counters, name) for name in names} if counters.counted else None
    errors = {f"{error:02X}": count for error, count in counters.errors}
    restarts = {"restarts": counters.restarts, "revived": counters.revived}
    return {"exchanges": counters.exchanges, "characters": characters, **restarts, "errors": errors}


def _print_info(found: ReaderInfo, files: bool) -> None:
    hello = found.hello
    typer.echo(f"固件 · firmware: {hello.version}, 板 · board {hello.board}")
    typer.echo(f"文件 · files: {len(found.files)}, SHA-256 {hello.digest.hex()}")
    typer.echo(f"文件槽 · file slot: {hello.file_slot}, {state_of(hello)}")
    typer.echo(f"启动 · starts: {hello.starts}, {hello.now_ms / 1000:.0f} s, 原因 · reason {hello.reason}")
    for slot, counters in enumerate(found.counters):
        typer.echo(f"卡槽 · slot {slot}: {counters.exchanges} 次交换 · exchanges")
        if counters.counted:
            typer.echo(
                f"  字符 · characters: 收 · received {counters.received}, 发 · sent {counters.sent},"
                f" 拒收 · refused {counters.refused}, 重发 · sent again {counters.resent}"
            )
        if counters.restarts:
            typer.echo(f"  断电重启 · restarts of a stuck card {counters.restarts}, 恢复 · revived {counters.revived}")
        for error, count in counters.errors:
            typer.echo(f"  {error:02X} ×{count} {ERRORS.get(error, '')}".rstrip())
    if files:
        for each in found.files:
            typer.echo(f"{each.sha256.hex()}  {each.path}")


def _event_facts(event: Event, started: datetime) -> dict[str, object]:
    refused = event.kind == COMMAND_REFUSED
    return {
        "number": event.number,
        "time": (started + timedelta(milliseconds=event.time_ms)).isoformat(timespec="milliseconds"),
        "up_ms": event.time_ms,
        "event": KINDS[event.kind][0],
        "slot": event.slot,
        "command": COMMANDS.get(event.command, f"{event.command:02X}") if refused else None,
        "error": f"{event.error:02X}" if refused else None,
    }


def _sentence(event: Event, hello: Hello) -> str:
    what = KINDS[event.kind][1]
    if event.kind == STARTED:
        return f"{what}, 原因 · reason {hello.reason}"
    if event.kind == COMMAND_REFUSED:
        command = COMMANDS.get(event.command, f"{event.command:02X}")
        return f"{event.slot}: {what} {command} {event.error:02X} {ERRORS.get(event.error, '')}".rstrip()
    return f"{event.slot}: {what}"
