"""Runs `tests/vectors/iso7816` and `ccid` through `protocols`; plain enough for MicroPython.

Arguments: the vector folder, then the names of the checks. Prints how many vectors held; an assertion names the
first that did not.
"""

import json
import sys

from protocols.ccid.messages import Answer, Command, MessageError
from protocols.ccid.parameters import ParameterError
from protocols.ccid.pin_format import PinFormat
from protocols.ccid.secure import ASK_CURRENT, BY_KEY, Change, PinRequest, Prompts, features, forbid, forbidden
from protocols.ccid.serial_frame import (
    EMPTIED,
    FILLED,
    MESSAGE,
    NAK_FRAME,
    REFUSED,
    SLOT_EMPTY,
    SLOT_FILLED,
    FrameParser,
    frame,
)
from protocols.iso7816 import status
from protocols.iso7816.apdu import ApduError, CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr, AtrError, atr_size
from protocols.iso7816.pps import (
    PpsError,
    agreed_speed,
    bits_per_s,
    f_and_d,
    is_pps,
    is_speed,
    pps_request,
    pps_size,
    slower,
)
from protocols.iso7816.t0 import T0Error, T0Exchange
from protocols.iso7816.t1 import Block, BlockError, block_size
from protocols.iso7816.tlv import Tlv, TlvError, parse_tlvs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


def refused(what: str, error: "Any", call: "Any", *arguments: object) -> "Any":
    """The error that the call raises."""
    try:
        call(*arguments)
    except error as raised:
        return raised
    raise AssertionError("accepted: " + what)


def check_atr(vectors: "dict[str, Any]") -> int:
    for vector in vectors["good"]:
        data, name = unhex(vector["bytes"]), vector["name"]
        atr = Atr.from_bytes(data)
        assert atr.to_bytes() == data, name
        assert list(atr.protocols) == vector["protocols"], name
        assert atr.historical_bytes == unhex(vector["historical"]), name
        for field in ("ta1", "tb1", "tc1", "tc2", "waiting_integer"):
            assert getattr(atr, field) == vector[field], name + " " + field
        assert atr.classes == vector.get("classes"), name
        assert (atr.ifsc, atr.bwi_cwi, atr.has_crc) == tuple(vector.get("t1", (32, 0x4D, False))), name
        for count in range(len(data)):
            assert count < atr_size(data[:count]) <= len(data), name
    for vector in vectors["bad"]:
        error = refused(vector["name"], AtrError, Atr.from_bytes, unhex(vector["bytes"]))
        assert error.part == vector["part"], vector["name"]
    return len(vectors["good"]) + len(vectors["bad"])


def check_apdu(vectors: "dict[str, Any]") -> int:
    for vector in vectors["commands"]:
        cla, ins, p1, p2, data, le = vector["fields"]
        command = CommandApdu(cla, ins, p1, p2, unhex(data), le)
        assert command.to_bytes() == unhex(vector["bytes"]), vector["name"]
        assert command.to_tpdu() == unhex(vector["tpdu"]), vector["name"]
        assert CommandApdu.from_bytes(unhex(vector["bytes"])) == command, vector["name"]
    for text in vectors["bad_commands"]:
        refused(text, ApduError, CommandApdu.from_bytes, unhex(text))
    for vector in vectors["responses"]:
        response = ResponseApdu.from_bytes(unhex(vector["bytes"]))
        assert response == ResponseApdu(unhex(vector["data"]), vector["sw"]), vector["bytes"]
        assert response.to_bytes() == unhex(vector["bytes"]), vector["bytes"]
    for text in vectors["bad_responses"]:
        refused(text, ApduError, ResponseApdu.from_bytes, unhex(text))
    return len(vectors["commands"]) + len(vectors["bad_commands"]) + len(vectors["responses"])


def check_tlv(vectors: "dict[str, Any]") -> int:
    for vector in vectors["good"]:
        elements = tuple(Tlv(tag, unhex(value)) for tag, value in vector["elements"])
        assert parse_tlvs(unhex(vector["bytes"])) == elements, vector["bytes"]
        assert b"".join([element.to_bytes() for element in elements]) == unhex(vector["bytes"]), vector["bytes"]
    for text in vectors["bad"]:
        refused(text, TlvError, parse_tlvs, unhex(text))
    return len(vectors["good"]) + len(vectors["bad"])


def check_status(vectors: "dict[str, Any]") -> int:
    for vector in vectors["words"]:
        sw = int(vector["sw"], 16)
        assert vector["says"] in status.meaning(sw), vector["sw"]
        assert status.tries_left(sw) == vector["tries"], vector["sw"]
        assert status.more_data(sw) == vector["more"], vector["sw"]
        assert status.exact_le(sw) == vector["le"], vector["sw"]
    for text in vectors["listed"]:
        assert status.meaning(int(text, 16)) != status.meaning(0x6300), text
    return len(vectors["words"]) + len(vectors["listed"])


def exchange_in_steps(vector: "dict[str, Any]") -> None:
    exchange = T0Exchange(unhex(vector["command"]))
    assert exchange.outgoing == unhex(vector["header"]), vector["name"]
    for card, out in vector["steps"]:
        sent = b""
        for byte in unhex(card):
            assert not exchange.done, vector["name"]
            exchange.take(bytes([byte]))
            sent += exchange.outgoing
        assert sent == unhex(out), vector["name"]
    assert exchange.done, vector["name"]
    assert bytes(exchange.response) == unhex(vector["response"]), vector["name"]


def check_t0(vectors: "dict[str, Any]") -> int:
    for vector in vectors["exchanges"]:
        exchange_in_steps(vector)
    long = T0Exchange(unhex(vectors["long"]["command"]))
    long.take(b"\xb0")
    assert long.wanted == vectors["long"]["count"]
    long.take(bytes(long.wanted))
    assert long.wanted == 1
    for vector in vectors["wrong_characters"]:
        exchange = T0Exchange(unhex(vector["command"]))
        card = unhex(vector["card"])
        for byte in card[:-1]:
            exchange.take(bytes([byte]))
        refused(vector["name"], T0Error, exchange.take, card[-1:])
    for text in vectors["unsendable"]:
        refused(text, T0Error, T0Exchange, unhex(text))
    return len(vectors["exchanges"]) + len(vectors["wrong_characters"]) + len(vectors["unsendable"])


def check_t1(vectors: "dict[str, Any]") -> int:
    for vector in vectors["blocks"]:
        nad, pcb, inf = vector["fields"]
        block, data = Block(nad, pcb, unhex(inf)), unhex(vector["bytes"])
        assert block.to_bytes(vector["crc"]) == data, vector["name"]
        assert Block.from_bytes(data, vector["crc"]) == block, vector["name"]
        assert block.kind == vector["kind"], vector["name"]
    for vector in vectors["bad"]:
        refused(vector["name"], BlockError, Block.from_bytes, unhex(vector["bytes"]), vector["crc"])
    for vector in vectors["sizes"]:
        assert block_size(unhex(vector["bytes"]), False) == vector["lrc"], vector["bytes"]
        assert block_size(unhex(vector["bytes"]), True) == vector["crc"], vector["bytes"]
    refused("255 bytes", BlockError, Block, 0, 0, bytes(255))
    return len(vectors["blocks"]) + len(vectors["bad"]) + len(vectors["sizes"])


def check_pps(vectors: "dict[str, Any]") -> int:
    for vector in vectors["speeds"]:
        fi_di = vector["fi_di"]
        assert is_speed(fi_di), fi_di
        assert f_and_d(fi_di) == (vector["f"], vector["d"]), fi_di
        assert bits_per_s(fi_di, 4000) == vector["bits_at_4000_khz"], fi_di
        assert slower(fi_di) == vector["slower"], fi_di
    for fi_di in vectors["reserved"]:
        assert not is_speed(fi_di), fi_di
    for vector in vectors["requests"]:
        request = unhex(vector["bytes"])
        assert pps_request(vector["protocol"], vector["fi_di"]) == request
        assert is_pps(request)
        assert [pps_size(request[:count]) for count in range(5)] == [2, 2, 4, 4, 4]
    for vector in vectors["agreed"]:
        assert agreed_speed(unhex(vector["request"]), unhex(vector["answer"])) == vector["fi_di"], vector["name"]
    for vector in vectors["not_agreed"]:
        refused(vector["name"], PpsError, agreed_speed, unhex(vector["request"]), unhex(vector["answer"]))
    return len(vectors["speeds"]) + len(vectors["reserved"]) + len(vectors["agreed"]) + len(vectors["not_agreed"])


def check_frames(vectors: "dict[str, Any]") -> int:
    for vector in vectors["commands"]:
        kind, slot, seq, data = vector["fields"]
        command = Command(kind, slot, seq, unhex(data), unhex(vector["special"]))
        assert frame(command.to_bytes()) == unhex(vector["frame"]), vector["name"]
        assert FrameParser(False).feed(unhex(vector["frame"])) == [(MESSAGE, command.to_bytes())], vector["name"]
        assert Command.from_bytes(command.to_bytes()) == command, vector["name"]
        refused(vector["name"], MessageError, Answer.from_bytes, command.to_bytes())
    kind, slot, seq, data = vectors["echo"]["command"]
    assert frame(Command(kind, slot, seq, unhex(data)).echo()) == unhex(vectors["echo"]["frame"])
    for vector in vectors["answers"]:
        kind, slot, seq, state, error, data, last = vector["fields"]
        answer = Answer(kind, slot, seq, state, error, unhex(data), last)
        assert frame(answer.to_bytes()) == unhex(vector["frame"]), vector["name"]
        assert Answer.from_bytes(answer.to_bytes()) == answer, vector["name"]
        assert (answer.icc, answer.failed) == (vector["icc"], vector["failed"]), vector["name"]
        refused(vector["name"], MessageError, Command.from_bytes, answer.to_bytes())
    assert unhex(vectors["error_frame"]) == NAK_FRAME
    assert unhex(vectors["slot_emptied"]) == SLOT_EMPTY
    assert unhex(vectors["slot_filled"]) == SLOT_FILLED
    assert FrameParser(True).feed(NAK_FRAME) == [(REFUSED, b"")]
    assert FrameParser(True).feed(SLOT_EMPTY + SLOT_FILLED) == [(EMPTIED, b""), (FILLED, b"")]
    for text in vectors["bad_messages"]:
        refused(text, MessageError, Command.from_bytes, unhex(text))
    return len(vectors["commands"]) + len(vectors["answers"]) + len(vectors["bad_messages"])


def check_secure(vectors: "dict[str, Any]") -> int:
    for vector in vectors["requests"]:
        data, name = unhex(vector["bytes"]), vector["name"]
        request = PinRequest.from_bytes(data)
        assert request.to_bytes() == data, name
        assert request.timeout_s == vector["timeout"], name
        assert [request.min_digits, request.max_digits] == vector["digits"], name
        assert (request.most_digits, request.validation) == (vector["most"], vector["validation"]), name
        number, language, indexes = vector["prompts"]
        assert request.prompts == Prompts(number, language, unhex(indexes)), name
        assert (request.prologue, request.apdu) == (unhex(vector["prologue"]), unhex(vector["apdu"])), name
        assert request.change == (vector["change"] and Change(*vector["change"])), name
    for vector in vectors["refused"]:
        error = refused(vector["name"], ParameterError, PinRequest.from_bytes, unhex(vector["bytes"]))
        assert error.offset == vector["offset"], vector["name"]
    for vector in vectors["filled"]:
        fill_in(vector)
    told = vectors["features"]
    assert features(told["validation"], *told["digits"]) == unhex(told["bytes"])
    pins = [unhex(pin) for pin in vectors["forbid"]["pins"]]
    assert forbid(tuple(pins)) == unhex(vectors["forbid"]["bytes"])
    assert [bytes(pin) for pin in forbidden(unhex(vectors["forbid"]["bytes"]))] == pins
    for text in vectors["bad_forbid"]:
        refused(text, ParameterError, forbidden, unhex(text))
    return len(vectors["requests"]) + len(vectors["refused"]) + len(vectors["filled"])


def fill_in(vector: "dict[str, Any]") -> None:
    offsets = vector["offsets"]
    change = Change(offsets[0], offsets[1], ASK_CURRENT) if len(offsets) == 2 else None
    layout = PinFormat(*unhex(vector["format"]))
    request = PinRequest(0, layout, 4, 16, BY_KEY, Prompts(0, 0, b"\x00"), unhex(vector["apdu"]), change)
    assert PinRequest.from_bytes(request.to_bytes()) == request, vector["name"]
    apdu = bytearray(b"\xa5" * 300)
    size = request.fill(apdu, [memoryview(bytearray([int(digit) for digit in pin])) for pin in vector["pins"]])
    assert bytes(apdu[:size]) == unhex(vector["sent"]), vector["name"]


CHECKS = {
    "iso7816/atr": check_atr,
    "iso7816/apdu": check_apdu,
    "iso7816/tlv": check_tlv,
    "iso7816/status": check_status,
    "iso7816/t0": check_t0,
    "iso7816/t1": check_t1,
    "iso7816/pps": check_pps,
    "ccid/frames": check_frames,
    "ccid/secure": check_secure,
}


def main(folder: str, names: "list[str]") -> None:
    for name in names:
        with open(folder + "/" + name + ".json") as file:  # noqa: PTH123
            print(name, CHECKS[name](json.load(file)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
