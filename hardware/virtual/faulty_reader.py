"""A layer between a host and a virtual reader that breaks one rule and leaves everything else as it is."""

import os
import pty
import select
import threading
import time
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from hardware.virtual.reader import ReaderProcess, make_link, remove_link
from protocols.ccid.messages import (
    GET_SLOT_STATUS,
    HEADER_SIZE,
    ICC_POWER_OFF,
    ICC_POWER_ON,
    SET_PARAMETERS,
    XFR_BLOCK,
    Answer,
    Command,
    MessageError,
    is_answer,
)
from protocols.ccid.serial_frame import (
    ACK,
    EMPTIED,
    FILLED,
    MESSAGE,
    MORE_TIME,
    NAK_FRAME,
    OVERHEAD,
    REFUSED,
    SLOT_EMPTY,
    SLOT_FILLED,
    SYNC,
    TIME_BYTE,
    FrameParser,
    frame,
    lrc,
)
from protocols.iso7816.apdu import ApduError, CommandApdu
from protocols.iso7816.pps import DEFAULT_FI_DI
from protocols.iso7816.test_card import ARM, CLA, Arming, LanguageError

CHUNK = 4096
BEGIN = bytes((SYNC, ACK))
QUIET_S = 0.02
"""A frame that pauses this long is passed on as it is."""
LOOK_EVERY_S = 0.05
ANSWERS_S = 10.0
SINGLES = {MORE_TIME: TIME_BYTE, REFUSED: NAK_FRAME, FILLED: SLOT_FILLED, EMPTIED: SLOT_EMPTY}


class ReaderFault(NamedTuple):
    """`fails` is the check of `ssc reader conformance` that it makes fail.

    `command`: what the reader is given instead, or the answer that it gives without being asked, or None for none.
    `answer`: what is answered instead. `strange`: what becomes of bytes that are no good frame. `echo`: whether it is
    sent.
    """

    name: str
    zh: str
    en: str
    fails: str
    command: "Callable[[FaultyReader, Command], Command | Answer | None] | None" = None
    answer: "Callable[[FaultyReader, Command, Answer], Answer] | None" = None
    strange: "Callable[[FaultyReader, bytes], bytes] | None" = None
    echo: "Callable[[FaultyReader], bool] | None" = None


class FaultyReader:
    """A running reader with a fault: `path` is what a host opens.

    What has passed can be asked: `powered`; `fast`, at an agreed speed; `parameters_set` since the reset; `holding`,
    what the test card was told for the command, reset or PPS that is going on; `equal` XfrBlocks and `statuses` in a
    row. `out_of_step` is the faults' own.
    """

    def __init__(self, reader: ReaderProcess, fault: ReaderFault, link: Path | None = None) -> None:
        """`reader`, which has no link of its own, is started and stopped with it; `link` will point to the pty."""
        self._reader, self._fault, self._link = reader, fault, link
        self.path = ""
        self.powered = self.fast = self.parameters_set = False
        self.holding: list[Arming] = []
        self.equal = self.statuses = 0
        self.out_of_step = False
        self._armed: list[Arming] = []
        self._outstanding: Command | None = None
        self._asking = False
        self._last = b""
        self._host = self._slave = self._inner = -1
        self._parser = FrameParser(from_reader=True)
        self._partial = b""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="faulty reader", daemon=True)

    @property
    def interpreter(self) -> str:
        return self._reader.interpreter

    def start(self) -> None:
        """As the reader's."""
        self._reader.start()
        try:
            self._host, self._slave = pty.openpty()
            tty.setraw(self._slave)
            self.path = os.ttyname(self._slave)
            self._inner = os.open(self._reader.path, os.O_RDWR | os.O_NOCTTY)
            self._thread.start()
            if self._link is not None:
                make_link(self._link, self.path)
        except BaseException:
            self.stop()
            raise

    def keep_running(self) -> bool:
        """As the reader's."""
        return self._reader.keep_running() and self._thread.is_alive()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._link is not None:
            remove_link(self._link, self.path)
        for file in (self._host, self._slave, self._inner):
            if file >= 0:
                os.close(file)
        self._host = self._slave = self._inner = -1
        self._reader.stop()

    # What faults do

    def ask(self, kind: int, data: bytes = b"") -> Answer | None:
        """A command of the fault's own; the host hears nothing of it."""
        self.finish()
        own = Command(kind, 0, 0xA5, data)
        self._asking = True
        os.write(self._inner, frame(own.to_bytes()))
        answer = self._until_answer(own)
        self._asking = False
        return answer

    def finish(self) -> None:
        """Wait for the answer to the command that is being worked on; the host gets it."""
        if self._outstanding is not None:
            self._until_answer(self._outstanding)

    # The thread

    def _serve(self) -> None:
        with suppress(OSError):
            while not self._stopping.is_set():
                patience = QUIET_S if self._partial else LOOK_EVERY_S
                ready = select.select([self._host, self._inner], [], [], patience)[0]
                if self._inner in ready:
                    self._hear_reader()
                if self._host in ready:
                    self._partial += os.read(self._host, CHUNK)
                    self._hear_host()
                elif self._partial:
                    self._pass_strange(len(self._partial))

    def _hear_host(self) -> None:
        while (size := frame_size(self._partial)) and len(self._partial) >= size:
            whole, self._partial = self._partial[:size], self._partial[size:]
            if lrc(whole) == 0:
                self._take_command(Command.from_bytes(whole[2:-1]))
            else:
                self._pass(whole)
        if self._partial and not size:
            at = self._partial.find(SYNC, 1)
            self._pass_strange(len(self._partial) if at < 0 else at)
            self._hear_host()

    def _pass_strange(self, size: int) -> None:
        strange, self._partial = self._partial[:size], self._partial[size:]
        self._pass(strange)

    def _pass(self, strange: bytes) -> None:
        passed = strange if self._fault.strange is None else self._fault.strange(self, strange)
        if frame_size(passed) == len(passed) and lrc(passed) == 0:
            self._take_command(Command.from_bytes(passed[2:-1]))
        else:
            os.write(self._inner, passed)

    def _take_command(self, command: Command) -> None:
        self._note_command(command)
        done = command if self._fault.command is None else self._fault.command(self, command)
        if isinstance(done, Answer):
            os.write(self._host, frame(command.echo()) + frame(done.to_bytes()))
        elif done is not None:
            self._outstanding = command
            os.write(self._inner, frame(done.to_bytes()))

    def _note_command(self, command: Command) -> None:
        self.statuses = self.statuses + 1 if command.kind == GET_SLOT_STATUS else 0
        phase = {ICC_POWER_ON: "atr", SET_PARAMETERS: "pps", XFR_BLOCK: "command"}.get(command.kind)
        if command.kind == XFR_BLOCK:
            self.equal = self.equal + 1 if command.data == self._last else 1
            self._last = command.data
            arming = _arming(command.data)
            if arming is not None:
                self._armed.append(arming)
                return
        if phase is not None:
            self.holding = [rule for rule in self._armed if rule.phase == phase]
            self._armed = [rule for rule in self._armed if rule.phase != phase]

    def _hear_reader(self) -> Answer | None:
        """Passes on what the reader says; the last answer among it."""
        found = None
        for kind, message in self._parser.feed(os.read(self._inner, CHUNK)):
            if kind != MESSAGE:
                os.write(self._host, SINGLES.get(kind, b""))
            elif not is_answer(message):
                if not self._asking and (self._fault.echo is None or self._fault.echo(self)):
                    os.write(self._host, frame(message))
            else:
                with suppress(MessageError):
                    found = Answer.from_bytes(message)
                    self._take_answer(found)
        return found

    def _take_answer(self, answer: Answer) -> None:
        if self._asking:
            return
        command, self._outstanding = self._outstanding, None
        if command is None:
            os.write(self._host, frame(answer.to_bytes()))
            return
        changed = answer if self._fault.answer is None else self._fault.answer(self, command, answer)
        os.write(self._host, frame(changed.to_bytes()))
        self._note_answer(command, answer)

    def _note_answer(self, command: Command, answer: Answer) -> None:
        if command.slot:
            return
        if command.kind == ICC_POWER_ON:
            self.powered, self.fast, self.parameters_set = not answer.failed, False, False
        elif command.kind == ICC_POWER_OFF:
            self.powered = False
        elif command.kind == SET_PARAMETERS and not answer.failed:
            self.parameters_set = True
            self.fast = answer.data[0] != DEFAULT_FI_DI

    def _until_answer(self, command: Command) -> Answer | None:
        deadline = time.monotonic() + ANSWERS_S
        while time.monotonic() < deadline:
            if select.select([self._inner], [], [], LOOK_EVERY_S)[0]:
                answer = self._hear_reader()
                if answer is not None and answer.seq == command.seq:
                    return answer
        return None


def frame_size(data: bytes) -> int:
    """How long the frame is that begins here; 0 for none."""
    if data[:2] != BEGIN[: len(data)]:
        return 0
    return OVERHEAD + HEADER_SIZE + (data[3] | data[4] << 8) if len(data) >= 7 else OVERHEAD + HEADER_SIZE


def _arming(tpdu: bytes) -> Arming | None:
    """What the test card is told to do wrong."""
    if tpdu[:2] != bytes((CLA, ARM)):
        return None
    with suppress(ApduError, LanguageError):
        return Arming.from_command(CommandApdu.from_bytes(tpdu))
    return None
