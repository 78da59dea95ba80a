"""One reader, a permanent line per slot: what the bridge says on each (`reader.md A`).

Pure: bytes and times in, bytes out. Each host is a pcscd that sees one reader with one slot.
"""

from collections import deque
from collections.abc import Iterator

from protocols.ccid.messages import (
    CLOCK_STOPPED_LOW,
    COMMAND_DONE,
    COMMAND_FAILED,
    ERROR_BAD_SLOT,
    ERROR_MUTE,
    ERROR_NOT_SUPPORTED,
    ESCAPE,
    ESCAPE_ANSWER,
    ESCAPE_FIRMWARE_NAME,
    ESCAPE_PROMPTS,
    ESCAPE_TELL_SLOT_CHANGES,
    GET_SLOT_STATUS,
    ICC_ABSENT,
    ICC_ACTIVE,
    ICC_POWER_OFF,
    OUR_FIRMWARE,
    SECURE,
    SLOT_STATUS,
    XFR_BLOCK,
    Answer,
    Command,
    is_answer,
)
from protocols.ccid.secure import ESCAPE_FEATURES
from protocols.ccid.serial_frame import (
    BAD_MESSAGE,
    MESSAGE,
    MORE_TIME,
    NAK_FRAME,
    QUIET_MS,
    REFUSED,
    TIME_BYTE,
    FrameParser,
    frame,
)

READER = -1
"""Where bytes go that are for no slot's host."""

TIME_EVERY_S = 0.3  # how often a host hears that its command takes time
STATUS_WITHIN_S = 0.05  # the driver waits 0.1 s for a slot's status while it opens
SILENCE_S = 2.0  # a working reader sends something every 0.3 s
TOTAL_S = 75.0  # our firmware gives a card 60 s
ENTRY_S = TOTAL_S + 255  # bTimeOut of a PIN entry is one byte, in seconds
TRIES = 3
EMPTY_S = 1.5
"""pcscd looks every 0.4 s, and where a command of its own sees the removal first, its next look must see it too."""

OWN_NAME = OUR_FIRMWARE + b" bridge"
ESCAPE_VERSION = b"\x06"
ASKED_AT_OPENING = ESCAPE_FIRMWARE_NAME, ESCAPE_VERSION, ESCAPE_FEATURES
"""Escapes whose answers are remembered, for hosts that open their line while the reader is away."""
ICC_BITS = 0x03  # of bStatus


class _Host:
    """One slot's line: what its host waits for, and what it knows of the card."""

    def __init__(self) -> None:
        self.parser = FrameParser(from_reader=False)
        self.heard = 0.0
        self.waiting: Command | None = None
        self.since = 0.0
        self.told = 0.0
        self.here = False
        """The reader is, and has this slot."""
        self.icc = ICC_ABSENT
        """As the reader last said."""
        self.empty_until = 0.0
        """The card left with the reader, and the host is to notice that."""

    def slot_status(self, command: Command) -> Answer:
        last = 0 if self.icc == ICC_ACTIVE else CLOCK_STOPPED_LOW
        return Answer(SLOT_STATUS, 0, command.seq, COMMAND_DONE | self.icc, 0, b"", last)


class _Task:
    """The one command that the reader works on, as it went out; `slot` is `READER` for the bridge's own.

    `asked` is the host's command; None once the host has given it up.
    """

    def __init__(self, slot: int, command: Command, asked: Command | None, now: float) -> None:
        self.slot, self.command, self.asked = slot, command, asked
        self.alive = now
        self.deadline = now + (ENTRY_S if command.kind == SECURE else TOTAL_S)
        self.tries = TRIES


class Bridge:
    """Times are seconds of any clock that only goes on. What is to be sent is fetched by `outgoing`.

    The reader works on one command at a time, so the hosts take turns, one command each. Who waits hears a time
    byte every 0.3 s; a slot's status is answered from what the reader last said where its turn does not come at
    once. So a slow card delays another slot by one command, and its host never gives up.

    While the reader is away every slot is empty, and so is one that had a card for 1.5 s at least: that card has been
    removed, however soon it is back. At opening the reader's cards are powered off.

    An answer that was lost is asked for again where that does nothing twice; else the reader is `hung`.
    """

    def __init__(self, slots: int) -> None:
        self._hosts = [_Host() for _ in range(slots)]
        self._parser = FrameParser(from_reader=True)
        self._heard = 0.0
        self._own: deque[Command] = deque()
        self._task: _Task | None = None
        self._seq = 0
        self._turn = 0
        self._escapes: dict[bytes, Answer] = {}
        self._outgoing: list[tuple[int, bytes]] = []
        self.hung = False
        """The port is to be closed: `reader_left`."""

    @property
    def here(self) -> bool:
        """The reader is there and serves."""
        return any(host.here for host in self._hosts)

    @property
    def busy(self) -> bool:
        """`tick` is to be called every few hundredths of a second."""
        waits = any(host.waiting or host.parser.partial for host in self._hosts)
        return self._task is not None or waits or self._parser.partial

    @property
    def reader_name(self) -> str:
        """What the reader called itself at its last opening."""
        found = self._escapes.get(ESCAPE_FIRMWARE_NAME)
        return "" if found is None else found.data.decode("ascii", errors="replace")

    def outgoing(self) -> list[tuple[int, bytes]]:
        """(slot or `READER`, bytes), in order; each is given out once."""
        taken, self._outgoing = self._outgoing, []
        return taken

    # The reader

    def reader_came(self, now: float) -> None:
        """Its port is open."""
        self._parser = FrameParser(from_reader=True)
        self._own = deque(Command(ESCAPE, 0, 0, data) for data in ASKED_AT_OPENING)
        self._own.extend(Command(ICC_POWER_OFF, slot, 0) for slot in range(len(self._hosts)))
        self._next(now)

    def reader_left(self, now: float) -> None:
        """Its port is closed; harmless when it was."""
        task, self._task = self._task, None
        self._own.clear()
        self.hung = False
        for slot, host in enumerate(self._hosts):
            if host.icc != ICC_ABSENT:
                self.empty(slot, now)
            host.here, host.icc = False, ICC_ABSENT
        if task is not None and task.asked is not None:
            self._say(task.slot, self._without_reader(task.slot, task.asked))
        self._next(now)

    def empty(self, slot: int, now: float) -> None:
        """For 1.5 s, so that its host sees the card removed that it may know of."""
        self._hosts[slot].empty_until = now + EMPTY_S

    def power_off(self, now: float) -> None:
        """Every card, as the last thing; no longer `busy` when it is done."""
        for slot, host in enumerate(self._hosts):
            if host.icc == ICC_ACTIVE:
                self._own.append(Command(ICC_POWER_OFF, slot, 0))
        self._next(now)

    def from_reader(self, data: bytes, now: float) -> None:
        """Bytes that came from the reader."""
        self._heard = now
        self._take(self._parser.feed(data), now)

    def _take(self, found: "list[tuple[int, bytes]]", now: float) -> None:
        for kind, message in found:
            task = self._task
            if task is None:
                continue
            if kind == MESSAGE:
                task.alive = now
                answer = Answer.from_bytes(message) if is_answer(message) else None
                if answer is not None and answer.is_to(task.command):
                    self._task = None
                    self._answered(task, answer)
                    self._next(now)
            elif kind == MORE_TIME:
                task.alive = now
            elif kind == REFUSED:
                self._again(task, now)
            elif kind == BAD_MESSAGE:
                self._lost(task, now)

    def _answered(self, task: _Task, answer: Answer) -> None:
        host = self._hosts[task.command.slot]
        if task.slot != READER:
            host.icc = answer.icc
            if task.asked is not None:
                seq = task.asked.seq
                self._say(task.slot, Answer(answer.kind, 0, seq, answer.status, answer.error, answer.data, answer.last))
        elif task.command.kind == ESCAPE:
            self._escapes[task.command.data] = answer
        else:
            host.here = not (answer.failed and answer.error == ERROR_BAD_SLOT)
            host.icc = answer.icc if host.here else ICC_ABSENT

    def _lost(self, task: _Task, now: float) -> None:
        """Its answer is."""
        ours = self._escapes.get(ESCAPE_FIRMWARE_NAME)
        repeats = ours is not None and ours.data.startswith(OUR_FIRMWARE)
        if task.command.kind == SECURE or (task.command.kind == XFR_BLOCK and not repeats):
            self.hung = True
        else:
            self._again(task, now)

    def _again(self, task: _Task, now: float) -> None:
        task.tries -= 1
        if task.tries <= 0:
            self.hung = True
        else:
            task.alive = now
            self._outgoing.append((READER, frame(task.command.to_bytes())))

    # The hosts

    def from_host(self, slot: int, data: bytes, now: float) -> None:
        """Bytes that came on a slot's line."""
        self._hosts[slot].heard = now
        self._take_commands(slot, self._hosts[slot].parser.feed(data), now)

    def _take_commands(self, slot: int, found: "list[tuple[int, bytes]]", now: float) -> None:
        """As the firmware: a command makes the one before it late, and its answer is not sent."""
        host = self._hosts[slot]
        for kind, message in found:
            if kind == MESSAGE and not is_answer(message):
                command = Command.from_bytes(message)
                self._outgoing.append((slot, frame(command.echo())))
                host.waiting, host.since, host.told = command, now, now
                if self._task is not None and self._task.slot == slot:
                    self._task.asked = None
            elif kind == BAD_MESSAGE and host.waiting is None:
                self._outgoing.append((slot, NAK_FRAME))
        self._next(now)

    def _without_reader(self, slot: int, command: Command) -> Answer:
        """What the reader would say, were the slot empty."""
        kind = command.answer_kind
        failed = COMMAND_FAILED | ICC_ABSENT
        if command.slot:
            return Answer(kind, command.slot, command.seq, failed, ERROR_BAD_SLOT)
        if command.kind == ESCAPE:
            return self._escape(command, self._hosts[slot].icc)
        if command.kind in (GET_SLOT_STATUS, ICC_POWER_OFF):
            return Answer(kind, 0, command.seq, COMMAND_DONE | ICC_ABSENT, 0, b"", CLOCK_STOPPED_LOW)
        return Answer(kind, 0, command.seq, failed, ERROR_MUTE)

    def _escape(self, command: Command, icc: int) -> Answer:
        known = self._escapes.get(command.data)
        if known is not None:
            return Answer(ESCAPE_ANSWER, 0, command.seq, known.status & ~ICC_BITS | icc, known.error, known.data)
        if command.data in (ESCAPE_FIRMWARE_NAME, ESCAPE_VERSION):
            return Answer(ESCAPE_ANSWER, 0, command.seq, COMMAND_DONE | icc, 0, OWN_NAME)
        if command.data == ESCAPE_TELL_SLOT_CHANGES or command.data[:1] == bytes([ESCAPE_PROMPTS]):
            return Answer(ESCAPE_ANSWER, 0, command.seq, COMMAND_DONE | icc)
        return Answer(ESCAPE_ANSWER, 0, command.seq, COMMAND_FAILED | icc, ERROR_NOT_SUPPORTED)

    def _say(self, slot: int, answer: Answer) -> None:
        self._outgoing.append((slot, frame(answer.to_bytes())))

    # Turns

    def tick(self, now: float) -> None:
        """Time has passed."""
        if self._parser.partial and now - self._heard > QUIET_MS / 1000:
            self._take(self._parser.give_up(), now)
        for slot, host in enumerate(self._hosts):
            if host.parser.partial and now - host.heard > QUIET_MS / 1000:
                self._take_commands(slot, host.parser.give_up(), now)
        task = self._task
        if task is not None and now > task.deadline:
            self.hung = True
        elif task is not None and now - task.alive > SILENCE_S:
            self._lost(task, now)
        for slot, host in self._who_waits():
            command = host.waiting
            if command is not None and command.kind == GET_SLOT_STATUS and now - host.since > STATUS_WITHIN_S:
                host.waiting = None
                self._say(slot, host.slot_status(command))
            elif now - host.told > TIME_EVERY_S:
                host.told = now
                self._outgoing.append((slot, TIME_BYTE))

    def _who_waits(self) -> "Iterator[tuple[int, _Host]]":
        task = self._task
        for slot, host in enumerate(self._hosts):
            if host.waiting is not None or (task is not None and task.slot == slot and task.asked is not None):
                yield slot, host

    def _next(self, now: float) -> None:
        """Answer what needs no reader; give the reader something to do."""
        for slot, host in enumerate(self._hosts):
            command = host.waiting
            if command is not None and self._is_for_bridge(host, command, now):
                host.waiting = None
                self._say(slot, self._without_reader(slot, command))
        if self._task is not None:
            return
        if self._own:
            own = self._own.popleft()
            self._begin(READER, own, None, now)
            return
        for turn in range(1, len(self._hosts) + 1):
            slot = (self._turn + turn) % len(self._hosts)
            command = self._hosts[slot].waiting
            if command is not None:
                self._turn = slot
                self._hosts[slot].waiting = None
                self._begin(slot, Command(command.kind, slot, 0, command.data, command.special), command, now)
                return

    @staticmethod
    def _is_for_bridge(host: _Host, command: Command, now: float) -> bool:
        """Slot changes are polled for: the reader is not asked to tell them."""
        if command.kind == ESCAPE and command.slot == 0:
            return not host.here or command.data == ESCAPE_TELL_SLOT_CHANGES
        return not host.here or now < host.empty_until or command.slot != 0

    def _begin(self, slot: int, command: Command, asked: Command | None, now: float) -> None:
        """Numbers on the reader's line are the bridge's own, so that an answer too late for one fits no other."""
        self._seq = self._seq + 1 & 0xFF
        numbered = Command(command.kind, command.slot, self._seq, command.data, command.special)
        self._task = _Task(slot, numbered, asked, now)
        self._outgoing.append((READER, frame(numbered.to_bytes())))
