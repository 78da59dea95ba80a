"""What the board takes of an update, and what it refuses whoever sends it."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from firmware.boot import State, begin, load
from firmware.files import FileSystem
from firmware.slot_error import SlotError
from firmware.update import Update
from tests.firmware.releases import BOARD, digest_in, install, release, send

FILES = FileSystem()
NOT_UPDATABLE, ON_TRIAL, BAD_MANIFEST, WRONG_BOARD, BELOW_FLOOR, BAD_FILE, INCOMPLETE = range(0x81, 0x88)
BAD_LENGTH = 0x01


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A reader that runs 0.2.0 from slot b and accepts nothing below 0.1.5."""
    install(FILES, f"{tmp_path}/", *release("0.2.0", floor="0.1.5"))
    begin(FILES.open, FILES.rename, f"{tmp_path}/")
    return f"{tmp_path}/"


def offered(update: Update, manifest: bytes, announced: bytes = b"") -> int:
    """Takes the whole manifest."""
    update.begin(len(manifest), hashlib.sha256(announced or manifest).digest())
    held = 0
    while held < len(manifest):
        held = update.write(0, held, manifest[held : held + 200])
    return held


def refusal(call: object, *arguments: object) -> int:
    with pytest.raises(SlotError) as caught:
        call(*arguments)  # type: ignore[operator]
    return caught.value.error


def test_a_release_is_tried_three_times_and_then_given_up(root: str) -> None:
    send(Update(FILES, root, BOARD), *release("0.3.0"))
    slots = [begin(FILES.open, FILES.rename, root) for _ in range(5)]
    assert slots == ["a", "a", "a", "b", "b"]
    state = load(FILES.open, root)
    assert (state.confirmed, state.trial, state.starts) == ("b", "-", 6)


def test_a_reader_says_why_it_started(root: str) -> None:
    update = Update(FILES, root, BOARD)
    assert update.state.reason == "power"
    update.note_restart()
    begin(FILES.open, FILES.rename, root)
    update = Update(FILES, root, BOARD)
    assert update.state.reason == "restart"
    send(update, *release("0.3.0"))
    reasons = []
    for _ in range(5):
        begin(FILES.open, FILES.rename, root)
        reasons.append(load(FILES.open, root).reason)
    assert reasons == ["update", "power", "power", "reverted", "power"]


def test_what_is_on_trial_is_kept_when_confirmed(root: str) -> None:
    send(Update(FILES, root, BOARD), *release("0.3.0", floor="0.3.0"))
    begin(FILES.open, FILES.rename, root)
    update = Update(FILES, root, BOARD)
    assert (update.slot, update.on_trial, update.floor) == ("a", True, "0.3.0")
    assert refusal(update.begin, 10, b"0" * 32) == ON_TRIAL, "the way back is still needed"
    update.confirm()
    assert [begin(FILES.open, FILES.rename, root) for _ in range(5)] == ["a"] * 5
    assert offered(Update(FILES, root, BOARD), release("0.4.0")[0])


def test_confirming_what_did_not_start_keeps_nothing(root: str) -> None:
    update = Update(FILES, root, BOARD)
    send(update, *release("0.3.0"))
    update.confirm()
    assert load(FILES.open, root).confirmed == "b"


def test_another_release_takes_the_place_of_one_that_waits_for_its_first_start(root: str) -> None:
    update = Update(FILES, root, BOARD)
    send(update, *release("0.3.0"))
    offered(update, release("0.4.0")[0])
    assert load(FILES.open, root).trial == "-"
    assert begin(FILES.open, FILES.rename, root) == "b"


def test_nothing_is_tried_that_was_not_checked(root: str) -> None:
    manifest, contents = release("0.3.0")
    update = Update(FILES, root, BOARD)
    assert refusal(update.finish) == INCOMPLETE
    assert refusal(update.write, 1, 0, b"x") == INCOMPLETE
    offered(update, manifest)
    assert refusal(update.finish) == INCOMPLETE
    for which, path in enumerate(sorted(contents), start=1):
        if contents[path]:
            assert refusal(update.check, which) == INCOMPLETE
        update.write(which, 0, contents[path])
        assert refusal(update.finish) == INCOMPLETE
        update.check(which)
    assert refusal(update.check, 0) == refusal(update.check, 5) == INCOMPLETE
    update.finish()


def test_a_damaged_file_is_taken_away_and_can_be_sent_again(root: str) -> None:
    manifest, contents = release("0.3.0")
    update = Update(FILES, root, BOARD)
    offered(update, manifest)
    (which,) = [n for n, path in enumerate(sorted(contents), start=1) if path == "firmware/version.py"]
    good = contents["firmware/version.py"]
    update.write(which, 0, good[:-2] + b"1\n")
    assert refusal(update.check, which) == BAD_FILE
    assert update.write(which, 0, b"") == 0
    assert refusal(update.write, which, 0, good + b" ") == BAD_LENGTH
    update.write(which, 0, good)
    update.check(which)


def test_only_what_follows_on_is_written(root: str) -> None:
    update = Update(FILES, root, BOARD)
    offered(update, release("0.3.0")[0])
    assert update.write(2, 0, b"abc") == 3
    assert [update.write(2, offset, b"def") for offset in (0, 2, 4)] == [3, 3, 3]
    assert update.write(2, 3, b"def") == 6


def test_the_same_manifest_goes_on_and_another_begins_anew(root: str) -> None:
    manifest = release("0.3.0")[0]
    update = Update(FILES, root, BOARD)
    offered(update, manifest)
    update.write(2, 0, b"abc")
    update = Update(FILES, root, BOARD)
    assert update.begin(len(manifest), hashlib.sha256(manifest).digest()) == len(manifest)
    assert update.write(2, 0, b"") == 3
    offered(update, release("0.4.0")[0])
    assert update.write(2, 0, b"") == 0


def altered(**changes: object) -> bytes:
    return json.dumps(json.loads(release("0.3.0")[0]) | changes).encode()


def file_at(path: object, size: object = 1, sha256: object = "00" * 32) -> bytes:
    return altered(files=[{"path": path, "size": size, "sha256": sha256}])


REFUSED = {
    "below the floor": (release("0.1.4")[0], BELOW_FLOOR),
    "far below the floor": (release("0.0.10")[0], BELOW_FLOOR),
    "of another board": (altered(board="pico"), WRONG_BOARD),
    "no JSON": (b"{", BAD_MANIFEST),
    "no object": (b"[]", BAD_MANIFEST),
    "no version": (altered(version="3"), BAD_MANIFEST),
    "a version of other digits": (altered(version="1.2.²"), BAD_MANIFEST),
    "a number for a version": (altered(version=3), BAD_MANIFEST),
    "no floor": (altered(floor="abc"), BAD_MANIFEST),
    "a floor too long to tell": (altered(floor="0" * 300), BAD_MANIFEST),
    "nested": (b"[" * 9000, BAD_MANIFEST),
    "no files": (altered(files=[]), BAD_MANIFEST),
    "above the slot": (file_at("../state.py"), BAD_MANIFEST),
    "above the slot, deeper": (file_at("firmware/../../b/main.py"), BAD_MANIFEST),
    "absolute": (file_at("/main.py"), BAD_MANIFEST),
    "itself": (file_at("manifest.json"), BAD_MANIFEST),
    "hidden": (file_at("firmware/.py"), BAD_MANIFEST),
    "no text": (file_at(7), BAD_MANIFEST),
    "no size": (file_at("firmware/main.py", size="1"), BAD_MANIFEST),
    "no hash": (file_at("firmware/main.py", sha256="zz"), BAD_MANIFEST),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_manifest_that_cannot_be_followed_is_refused(root: str, name: str) -> None:
    manifest, error = REFUSED[name]
    update = Update(FILES, root, BOARD)
    before = digest_in(FILES, f"{root}b/")
    assert refusal(offered, update, manifest) == error
    assert refusal(update.finish) == INCOMPLETE
    assert FILES.size(f"{root}a/manifest.json") is None
    assert digest_in(FILES, f"{root}b/") == before


def test_a_manifest_that_arrives_damaged_is_refused(root: str) -> None:
    manifest = release("0.3.0")[0]
    assert refusal(offered, Update(FILES, root, BOARD), manifest, manifest + b" ") == BAD_MANIFEST


@pytest.mark.parametrize("version", ["0.1.5", "0.1.10", "0.2.0", "1.0.0"])
def test_the_floor_itself_and_all_above_it_are_taken(root: str, version: str) -> None:
    assert offered(Update(FILES, root, BOARD), release(version)[0])


def test_a_release_with_a_lower_floor_does_not_lower_it(root: str) -> None:
    send(Update(FILES, root, BOARD), *release("0.1.6", floor="0.1.0"))
    begin(FILES.open, FILES.rename, root)
    Update(FILES, root, BOARD).confirm()
    update = Update(FILES, root, BOARD)
    assert (update.slot, update.floor) == ("a", "0.1.5")
    assert refusal(offered, update, release("0.1.4")[0]) == BELOW_FLOOR
    assert offered(update, release("0.1.5")[0])


def test_a_floor_is_compared_by_number(root: str) -> None:
    send(Update(FILES, root, BOARD), *release("0.10.0", floor="0.10.0"))
    begin(FILES.open, FILES.rename, root)
    Update(FILES, root, BOARD).confirm()
    assert Update(FILES, root, BOARD).floor == "0.10.0"


def test_without_file_slots_there_is_no_update() -> None:
    update = Update(FILES, None, BOARD)
    assert (update.slot, update.on_trial, update.floor) == ("-", False, "0.0.0")
    assert refusal(update.begin, 10, b"0" * 32) == NOT_UPDATABLE
    assert refusal(update.finish) == refusal(update.confirm) == refusal(update.note_restart) == NOT_UPDATABLE


@pytest.mark.parametrize("text", ["", "a", "c - 0 1 power power", "a c 0 1 power power", "a - x 1 power power"])
def test_a_reader_without_a_sensible_state_starts_slot_a(root: str, text: str) -> None:
    Path(f"{root}state").write_text(text)
    assert begin(FILES.open, FILES.rename, root) == "a"
    Path(f"{root}state").unlink()
    assert begin(FILES.open, FILES.rename, root) == "a"


def test_the_state_is_as_described() -> None:
    assert State("b", "a", 2, 17, "update", "power").to_text() == "b a 2 17 update power\n"
    assert vars(State.from_text("b a 2 17 update power\n")) == vars(State("b", "a", 2, 17, "update", "power"))


MACHINE = """
WDT_RESET, PWRON_RESET = 3, 1

def reset_cause():
    return {cause}

def reset():
    print("reset")
    raise SystemExit(0)
"""

WITHOUT_A_FILE_NAME = "import sys; sys.argv.clear(); exec(open('main.py').read(), {'__name__': '__main__'})"
"""As MicroPython's rp2 port runs `main.py`: it has no `__file__`."""


@pytest.mark.parametrize(("cause", "reason"), [("WDT_RESET", "watchdog"), ("PWRON_RESET", "power")])
@pytest.mark.parametrize("body", ["return", "raise OSError(5)"])
@pytest.mark.parametrize("program", [["main.py"], ["-c", WITHOUT_A_FILE_NAME]], ids=["named", "unnamed"])
def test_on_a_chip_every_end_is_a_reset(tmp_path: Path, cause: str, reason: str, body: str, program: list[str]) -> None:
    (tmp_path / "a/firmware").mkdir(parents=True)
    (tmp_path / "a/firmware/__init__.py").touch()
    (tmp_path / "a/firmware/main.py").write_text(f"def main(arguments, root):\n    print(*arguments)\n    {body}\n")
    (tmp_path / "machine.py").write_text(MACHINE.format(cause=cause))
    (tmp_path / "arguments").write_text("pico_front_end\n")
    boot = (Path(__file__).parents[2] / "firmware/boot.py").read_text()
    (tmp_path / "main.py").write_text(boot.replace("PAUSE_S = 1 ", "PAUSE_S = 0 "))
    done = subprocess.run([sys.executable, *program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "pico_front_end\nreset\n"
    state = load(FILES.open, f"{tmp_path}/")
    assert (state.starts, state.reason) == (1, reason)
    assert state.next_reason == ("power" if body == "return" else "OSError")
