"""Reading an strace log: calls put together, failures told apart, nothing unknown overlooked."""

from pathlib import Path

import pytest

from tests.chaos.trace import Marked, Open, Operation, Sync, TraceError, Truncate, Unlink, Write, operations

FOLDER = Path("/w/store")


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


DB, WAL, MARKS = (hexed(f"/w/{name}") for name in ("store/a.db", "store/a.db-wal", "marks"))
OTHER = hexed("/w/other/a.db")


def read(tmp_path: Path, *lines: str) -> list[Operation]:
    log = tmp_path / "log"
    log.write_text("".join(f"{line}\n" for line in lines))
    return operations([log], FOLDER)


def test_everything_that_changes_a_file(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        f'7 openat(AT_FDCWD<{hexed("/")}>, "{WAL}", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 5<{WAL}>',
        f'7 pwrite64(5<{WAL}>, "{hexed("ab")}", 2, 32) = 2',
        f"7 ftruncate(5<{WAL}>, 10)               = 0",
        f"7 fdatasync(5<{WAL}>)                   = 0",
        f"7 fdatasync(9<{hexed('/w/store')}>)     = 0",
        f'7 write(6<{MARKS}>, "{hexed("EVENT 1" + chr(10))}", 8) = 8',
        f'7 unlink("{WAL}")                       = 0',
        "7 +++ exited with 0 +++",
    )
    name = "a.db-wal"
    assert found == [
        Open(1, 1, name, creates=True, empties=False),
        Write(2, 2, name, 32, b"ab"),
        Truncate(3, 3, name, 10),
        Sync(4, 4, name, done=True),
        Sync(5, 5, "", done=True),
        Marked(6, 6, "EVENT 1"),
        Unlink(7, 7, name),
    ]


def test_calls_that_interrupt_each_other(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        f"7 fdatasync(5<{DB}> <unfinished ...>",
        f'8 pwrite64(5<{DB}>, "{hexed("x")}", 1, 0 <unfinished ...>',
        f'9 write(6<{MARKS}>, "{hexed("A")}", 1) = 1',
        "7 <... fdatasync resumed>)               = 0",
        "8 <... pwrite64 resumed>)                = 1",
    )
    assert found == [
        Write(2, 5, "a.db", 0, b"x"),
        Marked(3, 3, "A"),
        Sync(1, 4, "a.db", done=True),
    ]


def test_calls_that_failed(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        f'7 pwrite64(5<{DB}>, "{hexed("x")}", 1, 0) = -1 ENOSPC (No space left on device) (INJECTED)',
        f'7 pwrite64(5<{DB}>, "{hexed("xy")}", 2, 0) = 1',
        f"7 fdatasync(5<{DB}>) = -1 EIO (Input/output error) (INJECTED)",
        f'7 unlink("{DB}") = -1 ENOENT (No such file or directory)',
        f"7 fdatasync(5<{DB}> <unfinished ...>",
        "7 <... fdatasync resumed>) = ?",
    )
    assert found == [Write(2, 2, "a.db", 0, b"x"), Sync(3, 3, "a.db", done=False)]


def test_what_is_not_watched(tmp_path: Path) -> None:
    assert not read(
        tmp_path,
        f'7 pwrite64(5<{OTHER}>, "{hexed("x")}", 1, 0) = 1',
        f'7 pwrite64(5<{hexed("/w/store/a.db-shm")}>, "{hexed("x")}", 1, 0) = 1',
        f"7 mmap(NULL, 32768, PROT_READ|PROT_WRITE, MAP_SHARED, 5<{hexed('/w/store/a.db-shm')}>, 0) = 0x7f00",
        f"7 mmap(NULL, 32768, PROT_READ, MAP_SHARED, 5<{DB}>, 0) = 0x7f00",
        f"7 fdatasync(5<{WAL}>(deleted)) = 0",
        f'7 openat(AT_FDCWD<{hexed("/")}>, "{DB}", O_RDONLY|O_CLOEXEC) = 5<{DB}>',
        '7 write(1<pipe:[12]>, "\\x61", 1) = 1',
    )


@pytest.mark.parametrize(
    "line",
    [
        f"7 mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 5<{DB}>, 0) = 0x7f00",
        f'7 rename("{hexed("/w/x")}", "{DB}") = 0',
        f"7 fallocate(5<{DB}>, 0, 0, 4096) = 0",
        f'7 write(5<{DB}>, "{hexed("x")}", 1) = 1',
        f'7 pwrite64(5<{DB}>, "{hexed("x")}"..., 9, 0) = 9',
        f'7 unlink("{hexed("a.db-wal")}") = 0',
        f"7 fdatasync(5<{DB}>)",
    ],
)
def test_a_call_that_cannot_be_replayed_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(TraceError):
        read(tmp_path, line)


def test_several_runs_follow_each_other(tmp_path: Path) -> None:
    logs = []
    for number in (1, 2):
        logs.append(tmp_path / f"log-{number}")
        logs[-1].write_text(f'7 write(6<{MARKS}>, "{hexed(str(number))}", 1) = 1\n')
    assert operations(logs, FOLDER) == [Marked(1, 1, "1"), Marked(2, 2, "2")]
