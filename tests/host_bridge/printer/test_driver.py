"""Printers behind addresses, against the simulated printer and against sockets that misbehave."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hardware.virtual.printer import PAPER_OUT, VirtualPrinter
from host_bridge.printer import driver
from host_bridge.printer.driver import open_printer
from host_bridge.printer.escpos import escpos_bytes
from host_bridge.printer.layout import Line
from host_bridge.printer.printer import PaperOut, PrinterAway
from host_bridge.printer.receipt import Bearer, receipt_lines
from tests.host_bridge.printer.slips import event_of, settlement


@pytest.fixture
def twin(tmp_path: Path) -> Iterator[VirtualPrinter]:
    printer = VirtualPrinter(tmp_path / "paper")
    thread = threading.Thread(target=printer.serve)
    thread.start()
    yield printer
    printer.stop()
    thread.join()


def test_a_receipt_comes_out_as_it_was_laid_out(twin: VirtualPrinter) -> None:
    event, digest = event_of(settlement())
    lines = receipt_lines(event, digest, "示范社区卫生服务中心", bearer=Bearer("李＊华", "1", "990101********0036"))
    open_printer(f"tcp:127.0.0.1:{twin.port}").print(escpos_bytes(lines))
    assert (twin.out / "receipt-0001.txt").read_text().splitlines() == [line.text for line in lines]
    assert (twin.out / "receipt-0001.bin").read_bytes().startswith(b"\x1b@\x1c&")


def test_out_of_paper_is_known_before_anything_is_sent(twin: VirtualPrinter) -> None:
    printer = open_printer(f"tcp:127.0.0.1:{twin.port}")
    (twin.out / PAPER_OUT).touch()
    assert printer.state() == "paper_out"
    with pytest.raises(PaperOut) as caught:
        printer.print(escpos_bytes((Line("一"),)))
    assert not caught.value.sent
    (twin.out / PAPER_OUT).unlink()
    assert printer.state() == "ready"
    printer.print(escpos_bytes((Line("二"),)))
    assert (twin.out / "receipt-0001.txt").read_text() == "二\n"


class Peer:
    """A listening socket that says what it is told to each connection, then waits or closes."""

    def __init__(self, answers: list[bytes], *, close: bool) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp:127.0.0.1:{self._listener.getsockname()[1]}"
        self._answers, self._close = answers, close
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        link, _ = self._listener.accept()
        with link, contextlib.suppress(ConnectionError):
            for answer in self._answers:
                link.recv(65536)
                link.sendall(answer)
            while not self._close and link.recv(65536):
                pass

    def stop(self) -> None:
        self._listener.close()
        self._thread.join(5)


@pytest.mark.parametrize(("answers", "close"), [([], True), ([], False), ([b"HTTP"], False)])
def test_what_is_no_printer_is_away(answers: list[bytes], close: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "STATUS_S", 0.2)
    peer = Peer(answers, close=close)
    assert open_printer(peer.address).state() == "away"
    peer.stop()


@pytest.mark.parametrize("close", [True, False])
def test_a_receipt_that_is_not_confirmed_may_be_on_paper(close: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "PRINT_S", 0.2)
    peer = Peer([b"\x12"], close=close)
    with pytest.raises(PrinterAway) as caught:
        open_printer(peer.address).print(escpos_bytes((Line("一"),)))
    assert caught.value.sent
    peer.stop()


def test_near_end_of_paper() -> None:
    peer = Peer([b"\x1e"], close=True)
    assert open_printer(peer.address).state() == "near_end"
    peer.stop()


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    printer = open_printer(f"tcp:127.0.0.1:{port}")
    assert printer.state() == "away"
    with pytest.raises(PrinterAway) as caught:
        printer.print(b"x")
    assert not caught.value.sent


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "lp0"
    printer = open_printer(f"file:{path}")
    assert printer.state() == "ready"
    printer.print(b"one")
    printer.print(b"two")
    assert path.read_bytes() == b"onetwo"
    assert open_printer(f"file:{tmp_path}/none/lp0").state() == "away"
    with pytest.raises(PrinterAway):
        open_printer(f"file:{tmp_path}/none/lp0").print(b"x")


def test_a_device_that_takes_nothing_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(driver, "PRINT_S", 0.2)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(PrinterAway):
        open_printer(f"file:{path}").print(b"x")
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with pytest.raises(PrinterAway) as caught:
        open_printer(f"file:{path}").print(bytes(1 << 20))
    assert caught.value.sent
    os.close(reader)


@pytest.mark.parametrize(
    "address", ["", "tcp:", "tcp:host", "tcp:host:0", "tcp:host:99999", "tcp:host:x", "file:", "usb:1"]
)
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="printer address"):
        open_printer(address)
