"""`ssc reader info` and `ssc reader log`: what our firmware tells of itself."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, NoReturn

import typer

from host_bridge.card.errors import text_key
from host_bridge.readers.addresses import PCSC, AddressError
from host_bridge.readers.pcsc_service import PcscService
from host_bridge.readers.reader import ReaderError
from host_bridge.readers.service import NotOurs, ReaderInfo, ServiceRefused, open_service
from host_bridge.readers.update import UpdateError
from protocols.ccid import messages
from protocols.ccid.service import CARD_IN, CARD_OUT, COMMAND_REFUSED, STARTED, Counters, Event, Hello
from protocols.texts.catalogue import texts

Address = Annotated[str, typer.Argument(help="读卡器地址 · serial:PATH or pcsc:NAME")]
Json = Annotated[bool, typer.Option("--json", help="JSON 输出 · JSON output")]
Files = Annotated[bool, typer.Option("--files", help="列出每个文件 · list every file")]

ERRORS = {
    messages.ERROR_NOT_SUPPORTED: "不支持 · not supported",
    messages.ERROR_BAD_LENGTH: "长度不对 · wrong length",
    messages.ERROR_BAD_SLOT: "无此卡槽 · no such slot",
    messages.ERROR_PIN_CANCELLED: "密码输入已取消 · PIN entry cancelled",
    messages.ERROR_PIN_TIMEOUT: "密码输入超时 · PIN entry timed out",
    messages.ERROR_DEACTIVATED: "未上电 · not powered",
    messages.ERROR_PROCEDURE_BYTE: "过程字节不对 · wrong procedure byte",
    messages.ERROR_CLASS: "无此电压 · voltage not supported",
    messages.ERROR_PROTOCOL: "协议不对 · wrong protocol",
    messages.ERROR_BAD_TCK: "ATR 校验不对 · wrong TCK",
    messages.ERROR_BAD_TS: "ATR 首字符不对 · wrong TS",
    messages.ERROR_HARDWARE: "电流过大 · overcurrent",
    messages.ERROR_OVERRUN: "字符过多 · overrun",
    messages.ERROR_PARITY: "奇偶校验错 · parity",
    messages.ERROR_MUTE: "卡不回应 · mute card",
    messages.ERROR_ABORTED: "已中止 · aborted",
}
COMMANDS = {
    messages.ICC_POWER_ON: "IccPowerOn",
    messages.ICC_POWER_OFF: "IccPowerOff",
    messages.GET_SLOT_STATUS: "GetSlotStatus",
    messages.XFR_BLOCK: "XfrBlock",
    messages.GET_PARAMETERS: "GetParameters",
    messages.RESET_PARAMETERS: "ResetParameters",
    messages.SET_PARAMETERS: "SetParameters",
    messages.ICC_CLOCK: "IccClock",
    messages.SECURE: "Secure",
    messages.T0_APDU: "T0APDU",
    messages.MECHANICAL: "Mechanical",
    messages.ABORT: "Abort",
    messages.SET_DATA_RATE_AND_CLOCK: "SetDataRateAndClock",
}
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


@contextmanager
def reported(address: str, as_json: bool) -> Iterator[None]:
    """What goes wrong becomes its catalogue text, and exit code 1."""
    try:
        yield
    except AddressError:
        key, facts = "reader_address_wrong", {}
    except UpdateError as error:
        key, facts = error.key, error.facts
    except ServiceRefused as error:
        key, facts = error.key, {"error": f"{error.error:02X}"}
    except NotOurs as error:
        key, facts = error.key, {}
    except ReaderError as error:
        key, facts = text_key(error)
    else:
        return
    fail(key, {"address": address, **facts}, as_json)


def fail(key: str, facts: dict[str, str], as_json: bool, code: int = 1) -> NoReturn:
    """Say a catalogue text and exit."""
    text = texts()[key]
    zh, en = text.zh.fill(facts), text.en.fill(facts)
    if as_json:
        print_json({"error": key, "number": text.number, "zh": zh.what, "en": en.what})
    else:
        typer.echo(f"{text.number} {zh.what} · {en.what}", err=True)
    raise typer.Exit(code)


def print_json(found: object) -> None:
    typer.echo(json.dumps(found, ensure_ascii=False))


def state_of(hello: Hello) -> str:
    if hello.file_slot == "-":
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
        "file_slot": None if hello.file_slot == "-" else hello.file_slot,
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
