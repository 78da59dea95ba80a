"""What a power cut may leave: certain is certain, everything else in every way it can be."""

import random
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.replay import SECTOR, Disk, Image
from tests.chaos.trace import Open, Operation, Sync, Truncate, Unlink, Write

OLD, NEW = b"o" * 2 * SECTOR, b"n" * 2 * SECTOR


class Trace:
    """Operations one after the other."""

    def __init__(self) -> None:
        self._at = count(1)
        self.operations: list[Operation] = []

    def write(self, data: bytes, offset: int = 0, name: str = "a") -> "Trace":
        at = next(self._at)
        return self._add(Write(at, at, name, offset, data))

    def truncate(self, size: int) -> "Trace":
        at = next(self._at)
        return self._add(Truncate(at, at, "a", size))

    def sync(self, name: str = "a", *, done: bool = True) -> "Trace":
        at = next(self._at)
        return self._add(Sync(at, at, name, done))

    def make(self, name: str) -> "Trace":
        at = next(self._at)
        return self._add(Open(at, at, name, creates=True, empties=False))

    def unlink(self, name: str) -> "Trace":
        at = next(self._at)
        return self._add(Unlink(at, at, name))

    def _add(self, operation: Operation) -> "Trace":
        self.operations.append(operation)
        return self

    def images(self, before: Image, variants: int = 200) -> list[Image]:
        disk = Disk(before)
        for operation in self.operations:
            disk.apply(operation)
        return list(disk.images(random.Random(1), variants))


def contents(images: list[Image], name: str = "a") -> set[bytes | None]:
    return {image.get(name) for image in images}


def test_what_was_synced_is_there() -> None:
    assert contents(Trace().write(NEW).sync().images({"a": OLD})) == {NEW}


def test_what_was_not_synced_is_kept_dropped_or_torn_at_sectors() -> None:
    images = Trace().write(NEW).images({"a": OLD})
    half = OLD[:SECTOR], NEW[:SECTOR]
    assert contents(images) == {OLD, NEW, half[0] + half[1], half[1] + half[0]}
    assert (images[0]["a"], images[1]["a"]) == (OLD, NEW)


def test_a_sector_is_never_half_new() -> None:
    images = Trace().write(b"new", SECTOR - 1).images({"a": OLD})
    assert contents(images) == {
        OLD,
        OLD[: SECTOR - 1] + b"new" + OLD[SECTOR + 2 :],
        OLD[: SECTOR - 1] + b"n" + OLD[SECTOR:],
        OLD[:SECTOR] + b"ew" + OLD[SECTOR + 2 :],
    }


def test_order_means_nothing() -> None:
    images = Trace().write(b"1" * SECTOR).write(b"2" * SECTOR, SECTOR).images({"a": b""})
    assert contents(images) == {b"", b"1" * SECTOR, bytes(SECTOR) + b"2" * SECTOR, b"1" * SECTOR + b"2" * SECTOR}


def test_a_truncation_is_kept_or_dropped() -> None:
    assert contents(Trace().truncate(SECTOR).images({"a": OLD})) == {OLD, OLD[:SECTOR]}
    assert contents(Trace().truncate(SECTOR).sync().images({"a": OLD})) == {OLD[:SECTOR]}


def test_a_sync_covers_only_what_had_returned_and_only_its_file() -> None:
    late = Trace()
    late.operations = [Write(1, 3, "a", 0, b"x"), Sync(2, 4, "a", done=True)]
    assert contents(late.images({"a": b"-"})) == {b"-", b"x"}
    other = Trace().write(b"x").sync("b").images({"a": b"-", "b": b""})
    assert contents(other) == {b"-", b"x"}


def test_a_name_is_certain_once_the_folder_was_synced() -> None:
    made = Trace().make("a").write(b"x").sync()
    assert contents(made.images({})) == {None, b"x"}
    assert contents(made.sync("").images({})) == {b"x"}
    gone = Trace().unlink("a")
    assert contents(gone.images({"a": b"x"})) == {None, b"x"}
    assert contents(gone.sync("").images({"a": b"x"})) == {None}


def test_a_name_may_stand_for_what_it_ever_stood_for() -> None:
    again = Trace().write(b"1").sync().unlink("a").make("a").write(b"2").sync()
    assert contents(again.images({"a": b"0"})) == {b"1", b"2", None}


def test_after_a_failed_sync_only_writing_again_helps() -> None:
    failed = Trace().write(b"x").sync(done=False)
    assert contents(failed.images({"a": b"-"})) == {b"-", b"x"}
    assert contents(failed.sync().images({"a": b"-"})) == {b"-", b"x"}
    later = failed.write(b"y", 1).sync()
    assert contents(later.images({"a": b"-"})) == {b"-y", b"xy"}
    assert contents(later.write(b"x").sync().images({"a": b"-"})) == {b"xy"}


def test_a_file_that_is_not_there_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="not there"):
        Trace().unlink("a").write(b"x").images({"a": b""})


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 6), st.integers(1, 4)),
            st.tuples(st.just("truncate"), st.integers(0, 6), st.just(0)),
            st.tuples(st.just("sync"), st.just(0), st.just(0)),
        ),
        max_size=12,
    )
)
def test_kept_is_what_a_file_would_be_and_a_last_sync_leaves_nothing_open(steps: list[tuple[str, int, int]]) -> None:
    trace, file = Trace(), bytearray(b"begin")
    for number, (step, place, sectors) in enumerate(steps):
        if step == "write":
            data = bytes([number]) * (sectors * SECTOR - 100)
            trace.write(data, place * SECTOR // 2)
            file.extend(bytes(max(0, place * SECTOR // 2 - len(file))))
            file[place * SECTOR // 2 : place * SECTOR // 2 + len(data)] = data
        elif step == "truncate":
            trace.truncate(place * SECTOR // 2)
            file = bytearray(file[: place * SECTOR // 2].ljust(place * SECTOR // 2, b"\0"))
        else:
            trace.sync()
    before = {"a": b"begin"}
    assert trace.images(before, 0)[1]["a"] == file
    assert contents(trace.sync().images(before, 5)) == {bytes(file)}
