"""The virtual card as a chip: T=0, the status words of each command, the try counter that no pull gives back."""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hardware.virtual.card import CardFileError, CardImage, Pin, VirtualCard
from hardware.virtual.people import DEFAULT_PERSON, card_image, load_person
from protocols.iso7816.apdu import CommandApdu

VECTORS = Path(__file__).parents[2] / "vectors" / "sscard"
SHEET: dict[str, Any] = tomllib.loads((VECTORS / "files_2.00.toml").read_text("utf-8"))
SSSE = "00A404000F7378312E73682EC9E7BBE1B1A3D5CF"
DF04 = "00A4040006D15600000503"
PIN_OF_EMPLOYEE = "135790"


@pytest.fixture
def card(tmp_path: Path) -> VirtualCard:
    return VirtualCard.create(tmp_path / "employee.card", card_image(load_person(DEFAULT_PERSON)))


def send(card: VirtualCard, apdu: str) -> str:
    """One answer, data and status word in hexadecimal."""
    return card.command(CommandApdu.from_bytes(bytes.fromhex(apdu))).to_bytes().hex().upper()


def verify(card: VirtualCard, digits: str) -> str:
    return send(card, f"00200000{len(digits) // 2:02X}{digits}")


def tries_on_disk(card: VirtualCard) -> int:
    pin = VirtualCard.open(card.path).image.pin
    assert pin is not None
    return pin.tries


# ATR, SELECT, GET RESPONSE


def test_answer_to_reset(card: VirtualCard) -> None:
    """ssc-card.md 2: 3B 6D 00 00 and 13 historical bytes, region digits in T8 and T9."""
    atr = card.reset()
    assert atr[:4] == bytes.fromhex("3B6D0000")
    assert len(atr) == 17
    assert atr[11:13].hex() == "9901"


def test_select_ssse_gives_the_30_bytes_of_3_1(card: VirtualCard) -> None:
    assert send(card, SSSE) == "611E"
    assert send(card, "00C0000000") == "6C1E"
    assert send(card, "00C000001F") == "6C1E"
    assert send(card, "00C000001E") == "6F1C840F7378312E73682EC9E7BBE1B1A3D5CFA50988011E9F0C03860101" + "9000"
    assert send(card, "00C000001E") == "6F00"


def test_get_response_in_pieces(card: VirtualCard) -> None:
    send(card, SSSE)
    assert send(card, "00C0000004") == "6F1C840F" + "611A"
    assert send(card, "00C000001A")[-4:] == "9000"


def test_another_command_drops_what_waits(card: VirtualCard) -> None:
    send(card, SSSE)
    send(card, "00200000")
    assert send(card, "00C000001E") == "6F00"


@pytest.mark.parametrize("apdu", [DF04, "00A4000002DF04"])
def test_select_df04_by_name_and_fid(card: VirtualCard, apdu: str) -> None:
    assert send(card, apdu) == "610A"
    assert send(card, "00C000000A") == "6F088406D15600000503" + "9000"


@pytest.mark.parametrize("apdu", ["00A4000002EF05", "00A4020002EF05"])
def test_select_ef_both_forms(card: VirtualCard, apdu: str) -> None:
    assert send(card, apdu) == "9000"
    assert send(card, "00B2020403") == "020133" + "9000"


@pytest.mark.parametrize("apdu", ["00A40000023F00", "00A40000", "00A4000000"])
def test_back_to_the_mf(card: VirtualCard, apdu: str) -> None:
    send(card, DF04)
    assert send(card, apdu) == "611E"
    assert send(card, "00B2022C03") == "020133" + "9000"


@pytest.mark.parametrize(
    ("apdu", "sw"),
    [
        ("00A4040004D1560000", "6700"),
        ("00A4040011" + "D1" * 17, "6700"),
        ("00A4000001EF", "6700"),
        ("00A4000003EF0500", "6700"),
        ("00A40200", "6700"),
        ("00A4020001EF", "6700"),
        ("00A4020002", "6700"),
        ("00A40402067378312E7368", "6A81"),
        ("00A4040006D15600000509", "6A82"),
        ("00A404000E7378312E73682EC9E7BBE1B1A3D5", "6A82"),
        ("00A4000002EF0B", "6A82"),
        ("00A4020002DF04", "6A82"),
        ("00A4000002DF09", "6A82"),
        ("00A4010002EF05", "6A86"),
        ("00A4080002EF05", "6A86"),
        ("00A4000102EF05", "6A86"),
        ("80A4000002EF05", "6E00"),
        ("04A4000002EF05", "6E00"),
    ],
)
def test_select_errors(card: VirtualCard, apdu: str, sw: str) -> None:
    assert send(card, apdu) == sw


def test_a_failed_select_changes_nothing(card: VirtualCard) -> None:
    send(card, "00A4020002EF05")
    send(card, "00A4020002EF09")
    send(card, "00A4040006D15600000509")
    assert send(card, "00B2020403") == "020133" + "9000"


# READ RECORD


@pytest.mark.parametrize(("ef", "sfi"), [("EF05", 0x28), ("EF06", 0x30)])
def test_every_record_by_number_tag_and_sfi(card: VirtualCard, ef: str, sfi: int) -> None:
    rows = next(file["items"] for file in SHEET["directory"][0]["file"] if file["ef"] == ef)
    for row in rows:
        by_sfi = send(card, f"00B2{row['no']:02X}{sfi | 4:02X}{row['le']:02X}")
        assert by_sfi[-4:] == "9000"
        assert by_sfi.startswith(f"{row['tag']:02X}{row['len']:02X}")
        assert send(card, f"00B2{row['tag']:02X}{sfi:02X}{row['le']:02X}") == by_sfi
        send(card, f"00A4020002{ef}")
        assert send(card, f"00B2{row['no']:02X}04{row['le']:02X}") == by_sfi
        assert send(card, f"00B2{row['tag']:02X}00{row['le']:02X}") == by_sfi
    assert send(card, f"00B2{len(rows) + 1:02X}{sfi | 4:02X}00") == "6A83"


def test_ranges(card: VirtualCard) -> None:
    """ssc-card.md 9.1: all of EF05 is 40 bytes, all of EF06 5B; 110 goes from the last record down."""
    send(card, "00A4020002EF05")
    whole = send(card, "00B2010540")
    assert len(whole) == 2 * 0x40 + 4
    assert whole[-4:] == "9000"
    assert send(card, "00B201355B")[-4:] == "9000"
    assert send(card, "00B206" + "2D" + "11") == send(card, "00B2062C06")[:-4] + send(card, "00B2072C0B")
    assert send(card, "00B206" + "2E" + "11") == send(card, "00B2072C0B")[:-4] + send(card, "00B2062C06")
    assert send(card, "00B2080500") == "6A83"


def test_wrong_le_tells_the_true_one(card: VirtualCard) -> None:
    send(card, "00A4020002EF05")
    for le in ("00", "11", "13", "FF"):
        assert send(card, f"00B20104{le}") == "6C12"
    assert send(card, "00B20104") == "6C12"
    assert send(card, "00B2010500") == "6C40"


def test_next_and_previous_by_tag_move_a_pointer_that_numbers_leave_alone(card: VirtualCard) -> None:
    send(card, "00A4020002EF05")
    assert send(card, "00B2000400") == "6A83"
    assert send(card, "00B2030006")[:2] == "03"
    assert send(card, "00B2010412")[:2] == "01"
    assert send(card, "00B2000406")[:2] == "03"
    assert send(card, "00B2010200") == "6A83"
    assert send(card, "00B2040200") == "6C0E"
    assert send(card, "00B2010300") == "6C12"
    assert send(card, "00B2070100") == "6C0B"


@pytest.mark.parametrize(
    ("apdu", "sw"),
    [
        ("00B2010412", "6986"),
        ("00B2010012", "6986"),
        ("00B2013C00", "6981"),
        ("00B2014C00", "6A82"),
        ("00B201FC00", "6A82"),
        ("00B2012F12", "6A86"),
        ("00B2010712", "6A86"),
        ("00B2082C00", "6A83"),
        ("00B2FF2C00", "6A83"),
        ("00B2992800", "6A83"),
        ("80B2012C12", "6E00"),
    ],
)
def test_read_record_errors(card: VirtualCard, apdu: str, sw: str) -> None:
    assert send(card, apdu) == sw


def test_a_range_longer_than_an_answer_is_refused(card: VirtualCard) -> None:
    image = card.image
    files = {**image.files, "SSSE EF05": image.files["SSSE EF05"] + ("C0" + "FF" + "00" * 255,)}
    card = VirtualCard.create(card.path, msgspec.structs.replace(image, files=files))
    assert send(card, "00B2012D00") == "6A81"
    assert send(card, "00B2C02800") == "6A81"
    assert send(card, "00B2012C12")[-4:] == "9000"


# Access


def test_df04_opens_with_the_pin_only(card: VirtualCard) -> None:
    send(card, DF04)
    assert send(card, "00A4020002EF05") == "9000"
    for apdu in ("00B281000A", "00B201040A", "00B2012C0A", "00B2010500", "00B2990000"):
        assert send(card, apdu) == "6982"
    assert verify(card, PIN_OF_EMPLOYEE) == "9000"
    assert send(card, "00B281000A") == "81083331303030303030" + "9000"
    assert send(card, "00B2840005") == "8403110000" + "9000"
    assert send(card, "00B28C0003") == "8C0111" + "9000"


def test_the_pin_state_survives_selecting_and_ends_with_the_power(card: VirtualCard) -> None:
    assert verify(card, PIN_OF_EMPLOYEE) == "9000"
    send(card, SSSE)
    send(card, DF04)
    assert send(card, "00B28C2803") == "8C0111" + "9000"
    card.reset()
    send(card, DF04)
    assert send(card, "00B28C2803") == "6982"


def test_a_wrong_pin_ends_the_right(card: VirtualCard) -> None:
    verify(card, PIN_OF_EMPLOYEE)
    verify(card, "000000")
    send(card, DF04)
    assert send(card, "00B28C2803") == "6982"


# VERIFY


def test_wrong_pins_count_down_to_locked_and_the_power_does_not_help(card: VirtualCard) -> None:
    assert [verify(card, "000000") for _ in range(3)] == ["63C2", "63C1", "63C0"]
    assert verify(card, PIN_OF_EMPLOYEE) == "6983"
    again = VirtualCard.open(card.path)
    again.reset()
    assert verify(again, PIN_OF_EMPLOYEE) == "6983"
    assert send(again, "00200000") == "6983"


def test_a_right_pin_restores_the_tries(card: VirtualCard) -> None:
    verify(card, "000000")
    assert tries_on_disk(card) == 2
    assert verify(card, PIN_OF_EMPLOYEE) == "9000"
    assert tries_on_disk(card) == 3


@pytest.mark.parametrize("apdu", ["00200000", "0020000000"])
def test_empty_verify_asks_without_using_a_try(card: VirtualCard, apdu: str) -> None:
    verify(card, "000000")
    assert [send(card, apdu) for _ in range(3)] == ["63C2"] * 3
    assert tries_on_disk(card) == 2


def test_a_longer_or_shorter_pin_is_wrong_too(card: VirtualCard) -> None:
    assert verify(card, PIN_OF_EMPLOYEE + "FF") == "63C2"
    assert verify(card, PIN_OF_EMPLOYEE[:4]) == "63C1"


def test_a_card_without_pin(card: VirtualCard) -> None:
    """ssc-card.md 4.1: empty VERIFY 9000, with data 63Cx; files behind the PIN are open."""
    card = VirtualCard.create(card.path, msgspec.structs.replace(card.image, pin=None))
    assert send(card, "00200000") == "9000"
    assert verify(card, "123456")[:3] == "63C"
    send(card, DF04)
    assert send(card, "00B28C2803") == "8C0111" + "9000"


@pytest.mark.parametrize(
    ("apdu", "sw"),
    [
        ("002000000112", "6700"),
        ("0020000009" + "12" * 9, "6700"),
        ("0020000003", "6700"),
        ("0020010003123456", "6A86"),
        ("0020008103123456", "6A86"),
        ("8020000003123456", "6E00"),
    ],
)
def test_verify_errors_use_no_try(card: VirtualCard, apdu: str, sw: str) -> None:
    assert send(card, apdu) == sw
    assert tries_on_disk(card) == 3


@pytest.mark.parametrize("cla", ["00", "04", "80", "84"])
@pytest.mark.parametrize("ins", ["00", "1A", "D4", "E2", "FF"])
def test_unknown_instructions(card: VirtualCard, cla: str, ins: str) -> None:
    assert send(card, f"{cla}{ins}000000") == "6D00"
    assert send(card, f"B0{ins}000000") == "6E00"


def test_the_direction_of_every_instruction(card: VirtualCard) -> None:
    """Where T=0 puts data after the header: ssc-card.md 4.1, Lc column."""
    taking = (0xA4, 0xDC, 0xD6, 0x20, 0x5E, 0x24, 0x88, 0x82, 0x1E, 0x16)
    assert {ins for ins in range(256) if card.takes_data(ins)} == set(taking)


# Durability


class Pulled(OSError):
    """The file system stops in mid-write."""


def stops(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Let the `at`-th step of writing the card file (open, fsync, replace, fsync of the folder …) fail."""
    steps = iter(range(at, -1, -1))

    def counted(real: Any) -> Any:
        def step(*arguments: Any, **options: Any) -> Any:
            if next(steps, 1) == 0:
                raise Pulled("stopped")
            return real(*arguments, **options)

        return step

    monkeypatch.setattr(os, "fsync", counted(os.fsync))
    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    monkeypatch.setattr(Path, "open", counted(Path.open))


STEPS = range(1, 9)
"""Each VERIFY writes at most twice, each write has four steps."""


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("digits", ["000000", PIN_OF_EMPLOYEE])
def test_a_card_pulled_while_writing_never_gives_a_try_back(
    card: VirtualCard, monkeypatch: pytest.MonkeyPatch, step: int, digits: str
) -> None:
    verify(card, "000000")
    before = tries_on_disk(card)
    answer: str | None = None
    told = str(card.path)
    with monkeypatch.context() as patch:
        stops(patch, step)
        try:
            answer = verify(card, digits)
        except CardFileError as error:
            told = str(error)
    assert str(card.path) in told
    assert PIN_OF_EMPLOYEE not in told
    after = tries_on_disk(card)
    if digits == PIN_OF_EMPLOYEE:
        assert after in (before, before - 1, 3)
        assert answer is None or (answer == "9000" and after == 3)
    else:
        assert after in (before, before - 1)
        assert answer is None or after == before - 1
    if answer is None:
        send(card, DF04)
        assert send(card, "00B28C2803") == "6982"


def test_no_answer_to_a_guess_before_its_try_is_gone(card: VirtualCard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pulling the card as soon as anything could be learnt leaves one try less, however often it is done."""
    for left in (2, 1, 0):
        with monkeypatch.context() as patch:
            written: list[int] = []
            real = Path.replace

            def replace(source: Path, target: Path, written: list[int] = written, real: Any = real) -> Path:
                written.append(1)
                if len(written) == 2:
                    raise Pulled("stopped")
                return Path(real(source, target))

            patch.setattr(Path, "replace", replace)
            with pytest.raises(CardFileError):
                verify(card, PIN_OF_EMPLOYEE)
        assert tries_on_disk(card) == left
        card = VirtualCard.open(card.path)
    assert verify(card, PIN_OF_EMPLOYEE) == "6983"


def test_a_card_file_taken_away_is_not_made_again(card: VirtualCard) -> None:
    card.path.unlink()
    with pytest.raises(CardFileError):
        verify(card, PIN_OF_EMPLOYEE)
    assert not card.path.exists()


# Card files


def test_a_card_comes_back_from_its_file(card: VirtualCard) -> None:
    assert VirtualCard.open(card.path).image == card.image


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CardFileError, match=r"gone\.card"):
        VirtualCard.open(tmp_path / "gone.card")


def spoilt(image: CardImage) -> Iterator[tuple[str, bytes]]:
    def encoded(**change: object) -> bytes:
        return msgspec.json.encode(msgspec.structs.replace(image, **change))

    records = image.files["SSSE EF05"]
    yield "empty", b""
    yield "not json", b"\x00\xff"
    yield "a list", b"[]"
    yield "cut", encoded()[:-20]
    yield "unknown field", encoded().replace(b'"version"', b'"x":1,"version"')
    yield "future format", encoded().replace(b'"format":1', b'"format":2')
    yield "unknown version", encoded(version="9.00")
    yield "bad ATR", encoded(atr="3B6D")
    yield "ATR not hex", encoded(atr="zz")
    yield "missing file", encoded(files={"SSSE EF05": records})
    yield "extra file", encoded(files={**image.files, "SSSE EF09": ()})
    yield "record not hex", encoded(files={**image.files, "SSSE EF05": ("0x",)})
    yield "empty record", encoded(files={**image.files, "SSSE EF05": ("",)})
    yield "more tries than the limit", encoded(pin=Pin("135790", 3, 4))
    yield "negative tries", encoded(pin=Pin("135790", 3, -1))
    yield "limit that 63Cx cannot say", encoded(pin=Pin("135790", 16, 16))
    yield "PIN too short", encoded(pin=Pin("135", 3, 3))
    yield "PIN no digits", encoded(pin=Pin("13579x", 3, 3))


def test_corrupt_files_are_named_and_not_repeated(card: VirtualCard) -> None:
    for reason, content in spoilt(card.image):
        card.path.write_bytes(content)
        with pytest.raises(CardFileError) as caught:
            VirtualCard.open(card.path)
        assert str(caught.value).startswith(str(card.path)), reason
        assert "13579" not in str(caught.value), reason


@given(content=st.binary(max_size=200))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_file_is_a_card_or_a_card_file_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.card"
    path.write_bytes(content)
    with pytest.raises(CardFileError):
        VirtualCard.open(path)


def test_a_folder_that_is_not_there(tmp_path: Path, card: VirtualCard) -> None:
    with pytest.raises(CardFileError):
        VirtualCard.create(tmp_path / "none" / "x.card", card.image)
