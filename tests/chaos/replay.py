"""What may be on the disk after a power cut, given what was written and synced before it.

The model, as weak as a disk may be for a database that promises durability:

- What a returned sync of a file covers is certain: every write and truncation of that file that had returned when the
  sync began. It says nothing of other files.
- Every other write is kept, dropped or torn, each by itself: their order means nothing. Torn: of the 512-byte sectors
  it touches only some are new; a sector is never half old, half new. A gap below something kept reads as zeros. A
  truncation is kept or dropped.
- A file that was made or unlinked is so for certain once the folder was synced; until then its name stands for what it
  stood for at the last sync of the folder, or at any moment since, each name by itself. Whether that sync returned an
  error does not matter: SQLite ignores it, for Linux file systems sync a new file's name with the file.
- A failed sync makes nothing certain, and no later sync helps what it covered: the kernel counts those pages as
  written (Rebello et al., USENIX ATC 2020). Only writing over them and syncing that does. Until the power cut every
  process reads them as if nothing had happened.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from tests.chaos.trace import Marked, Open, Operation, Sync, Truncate, Unlink, Write

SECTOR = 512
KEPT = (0.1, 0.5, 0.9)
"""How likely a write is kept whole, by image; of the others every second one is torn."""

Image = dict[str, bytes]
"""Files of the folder by name."""


@dataclass
class _Change:
    """`doubtful`: a sync of it has failed."""

    what: Write | Truncate
    state: Literal["open", "doubtful", "certain"] = "open"


@dataclass
class _File:
    """`base` is on the disk; `changes` came later, in order, the first of them not certain."""

    base: bytearray = field(default_factory=bytearray)
    changes: list[_Change] = field(default_factory=list)

    def sync(self, sync: Sync) -> None:
        for change in self.changes:
            if change.state == "open" and change.what.ended < sync.begun:
                change.state = "certain" if sync.done else "doubtful"
        if any(change.state == "doubtful" for change in self.changes):
            self.changes = [change for at, change in enumerate(self.changes) if not self._written_over(at)]
        while self.changes and self.changes[0].state == "certain":
            _apply(self.base, self.changes.pop(0).what)

    def content(self, rng: random.Random | None, kept: float) -> bytes:
        """One possible content; without `rng` everything uncertain is kept, or with `kept` 0 dropped."""
        data = bytearray(self.base)
        for change in self.changes:
            if change.state == "certain" or (rng.random() if rng else 0.5) < kept:
                _apply(data, change.what)
            elif rng is not None and isinstance(change.what, Write) and rng.random() < 0.5:
                _tear(data, change.what, rng)
        return bytes(data)

    def _written_over(self, at: int) -> bool:
        change = self.changes[at]
        return change.state == "doubtful" and any(
            later.state == "certain" and _covers(later.what, change.what) for later in self.changes[at + 1 :]
        )


class Disk:
    """A folder while a trace is played; `images` are what a power cut now may leave."""

    def __init__(self, files: Image) -> None:
        self._names: dict[str, list[_File | None]] = {name: [_File(bytearray(data))] for name, data in files.items()}

    def apply(self, operation: Operation) -> None:
        """The next operation of the trace."""
        match operation:
            case Open():
                names = self._names.setdefault(operation.name, [None])
                if names[-1] is None and operation.creates:
                    names.append(_File())
                elif operation.empties:
                    self._now(operation.name).changes.append(
                        _Change(Truncate(operation.begun, operation.ended, operation.name, 0))
                    )
            case Unlink():
                self._names[operation.name].append(None)
            case Write() | Truncate():
                self._now(operation.name).changes.append(_Change(operation))
            case Sync(name=""):
                self._names = {name: stood_for[-1:] for name, stood_for in self._names.items()}
            case Sync():
                self._now(operation.name).sync(operation)
            case Marked():
                pass

    def images(self, rng: random.Random, variants: int) -> Iterator[Image]:
        """Everything uncertain dropped, everything kept, and `variants` others by chance."""

        def by_chance(stood_for: list[_File | None]) -> _File | None:
            return rng.choice(stood_for)

        yield self._image(None, 0, lambda stood_for: stood_for[0])
        yield self._image(None, 1, lambda stood_for: stood_for[-1])
        for _ in range(variants):
            yield self._image(rng, rng.choice(KEPT), by_chance)

    def _image(
        self, rng: random.Random | None, kept: float, choose: Callable[[list[_File | None]], _File | None]
    ) -> Image:
        chosen = {name: choose(stood_for) for name, stood_for in self._names.items()}
        return {name: file.content(rng, kept) for name, file in chosen.items() if file is not None}

    def _now(self, name: str) -> _File:
        file = self._names[name][-1]
        if file is None:
            raise ValueError(f"{name} is not there")
        return file


def _apply(data: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        del data[change.size :]
        data.extend(bytes(change.size - len(data)))
    else:
        _put(data, change.offset, change.data)


def _put(data: bytearray, offset: int, new: bytes) -> None:
    data.extend(bytes(max(0, offset - len(data))))
    data[offset : offset + len(new)] = new


def _tear(data: bytearray, write: Write, rng: random.Random) -> None:
    """Only some of the sectors."""
    first, last = write.offset // SECTOR, (write.offset + len(write.data) - 1) // SECTOR
    sectors = range(first, last + 1)
    for sector in rng.sample(sectors, rng.randrange(len(sectors))):
        begin = max(sector * SECTOR, write.offset)
        end = min((sector + 1) * SECTOR, write.offset + len(write.data))
        _put(data, begin, write.data[begin - write.offset : end - write.offset])


def _covers(later: Write | Truncate, earlier: Write | Truncate) -> bool:
    """Whether nothing of the earlier change is left where the later one was made."""
    if isinstance(earlier, Truncate):
        return False
    if isinstance(later, Truncate):
        return later.size <= earlier.offset
    return later.offset <= earlier.offset and earlier.offset + len(earlier.data) <= later.offset + len(later.data)
