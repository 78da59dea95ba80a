"""The simulated printer, as a stream of pieces and as a process."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardware.virtual.printer import PAPER_OUT, Paper, Piece, Stream
from hardware.virtual.processes import wait_until

STATUS = b"\x10\x04\x04"
CUT = b"\x1dV\x42\x00"
SENSOR = b"\x1dr\x01"


@given(st.binary(max_size=300), st.lists(st.integers(1, 20), max_size=30))
def test_any_bytes_in_any_portions_make_the_same_pieces(data: bytes, portions: list[int]) -> None:
    whole = list(Stream().feed(data))
    assert data.startswith(b"".join(piece.data for piece in whole))
    stream, rest, pieces = Stream(), data, list[Piece]()
    for size in portions:
        pieces += stream.feed(rest[:size])
        rest = rest[size:]
    pieces += stream.feed(rest)
    one, other = Paper(), Paper()
    for paper, found in ((one, whole), (other, pieces)):
        for piece in found:
            paper.put(piece)
    assert one.tear_off() == other.tear_off()


def test_commands_and_text() -> None:
    data = b"\x1b@\x1c&\xc0\xee\x1d!\x01A\x1c.B" + STATUS + b"\x1dv0\x00\x01\x00\x02\x00\x10\x1b" + SENSOR + CUT
    assert [piece.kind for piece in Stream().feed(data)] == [
        *("reset", "kanji", "text", "other", "text", "kanji", "text", "status", "image", "sensor", "cut")
    ]


def test_two_byte_characters_need_kanji_mode() -> None:
    plain, kanji = Paper(), Paper()
    plain.put(Piece("text", "李".encode("gbk")))
    kanji.put(Piece("kanji", b"\x1c&"))
    for half in (b"\xc0", b"\xee"):
        kanji.put(Piece("text", half))
    assert (plain.text == "李", kanji.text) == (False, "李")


class Process:
    """`ssc virtual printer run` and a connection to it."""

    def __init__(self, out: Path, *more: str) -> None:
        ssc = str(Path(sys.executable).with_name("ssc"))
        command = [ssc, "virtual", "printer", "run", "--out", str(out), *more]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.ready = json.loads(self.process.stdout.readline())
        self.out = out

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.ready["port"]), 10)

    def texts(self) -> list[str]:
        return [path.read_text() for path in sorted(self.out.glob("*.txt"))]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def printer(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path / "paper")
    yield process
    assert process.stop() == 0


def test_each_cut_is_a_file_and_numbers_go_on_after_a_restart(printer: Process) -> None:
    with printer.connect() as link:
        link.sendall(b"one" + CUT + b"two" + CUT + SENSOR)
        assert link.recv(1) == b"\x00"
    assert printer.texts() == ["one", "two"]
    again = Process(printer.out)
    with again.connect() as link:
        link.sendall(b"three" + CUT + SENSOR)
        assert link.recv(1) == b"\x00"
    assert again.stop() == 0
    assert sorted(path.name for path in printer.out.iterdir())[-2:] == ["receipt-0003.bin", "receipt-0003.txt"]
    assert printer.texts() == ["one", "two", "three"]


def test_without_paper_nothing_prints_and_status_says_so(printer: Process) -> None:
    switch = printer.out / PAPER_OUT
    switch.touch()
    with printer.connect() as link:
        link.sendall(STATUS)
        assert link.recv(1) == b"\x72"
        link.sendall(b"late" + CUT + SENSOR + STATUS)
        assert link.recv(1) == b"\x72"
        assert printer.texts() == []
        switch.unlink()
        assert link.recv(1) == b"\x00"
    assert printer.texts() == ["late"]


def test_what_waits_for_paper_is_lost_with_its_connection(printer: Process) -> None:
    switch = printer.out / PAPER_OUT
    switch.touch()
    with printer.connect() as link:
        link.sendall(b"lost" + CUT + STATUS)
        assert link.recv(1) == b"\x72"
        link.shutdown(socket.SHUT_WR)
        assert link.recv(1) == b""
    switch.unlink()
    with printer.connect() as link:
        link.sendall(b"kept" + CUT)
    wait_until("the text", printer.texts)
    assert printer.texts() == ["kept"]
