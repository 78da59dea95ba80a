"""Challenge, authentication, key counters, PIN unblock and blocking on a virtual card (ssc-card.md 4.1, 4.4, 6.3)."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from hardware.virtual.card import CardFileError, CardKey, Pin, VirtualCard
from protocols.sscard import commands, security
from tests.hardware.virtual.key_terminal import PIN, SOURCE, KeyTerminal, image_of

VERSIONS = ("1.00", "2.00", "3.00")
Start = Callable[..., KeyTerminal]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """A terminal with a new card of a version."""

    def started(version: str = "2.00", **choices: str) -> KeyTerminal:
        return KeyTerminal(VirtualCard.create(tmp_path / "x.card", image_of(version, **choices)))

    return started


def on_disk(terminal: KeyTerminal) -> VirtualCard:
    return VirtualCard.open(terminal.card.path)


def tries_of(terminal: KeyTerminal, name: str) -> int:
    return on_disk(terminal).image.keys[name].tries


# Challenge


@pytest.mark.parametrize(("le", "length"), [("04", 4), ("08", 8), ("10", 16)])
def test_challenges_have_these_lengths_and_no_other(start: Start, le: str, length: int) -> None:
    terminal = start()
    answers = {terminal.send(f"00840000{le}") for _ in range(2)}
    assert len(answers) == 2
    assert {len(answer) for answer in answers} == {2 * length + 4}


@pytest.mark.parametrize(
    ("apdu", "sw"),
    [
        ("0084000000", "6700"),
        ("0084000007", "6700"),
        ("0084010008", "6A86"),
        ("0084000108", "6A86"),
        ("8084000008", "6E00"),
    ],
)
def test_challenge_errors(start: Start, apdu: str, sw: str) -> None:
    assert start().send(apdu) == sw


def test_randomness_is_given(tmp_path: Path) -> None:
    given = iter((b"\x01" * 8, b"\x02" * 16))
    terminal = KeyTerminal(VirtualCard.create(tmp_path / "x.card", image_of("2.00"), lambda _: next(given)))
    assert terminal.send("0084000008") == "01" * 8 + "9000"
    assert terminal.send("0084000010") == "02" * 16 + "9000"


@pytest.mark.parametrize("ending", ["used", "used wrongly", "another directory", "power", "never"])
def test_a_challenge_serves_once_here_and_now(start: Start, ending: str) -> None:
    """ssc-card.md 4.1: usable once, only inside the current application; 4.4: 6984 without."""
    terminal = start()
    session = terminal.session(terminal.key("RKSSSE"))
    proof = security.authentication_data(terminal.algorithm, session, SOURCE)
    command = commands.external_authentication(0x0A, proof, SOURCE)
    if ending == "used":
        assert terminal.send(command) == "9000"
    elif ending == "used wrongly":
        assert terminal.send(commands.external_authentication(0x0A, bytes(8), SOURCE)) == "63C2"
    elif ending == "another directory":
        terminal.enter("DF01")
        terminal.enter("SSSE")
    elif ending == "power":
        terminal.card.reset()
    else:
        terminal = start()
    assert terminal.send(command) == "6984"


def test_a_challenge_outlives_what_does_not_use_it(start: Start) -> None:
    terminal = start()
    session = terminal.session(terminal.key("RKSSSE"))
    proof = security.authentication_data(terminal.algorithm, session, SOURCE)
    terminal.send("00B2012C12")
    terminal.send("0088000010" + "01" * 16)
    terminal.enter("SSSE")
    assert terminal.send(commands.external_authentication(0x0A, proof, SOURCE)) == "9000"


@pytest.mark.parametrize(("version", "length", "sw"), [("2.00", 4, "9000"), ("2.00", 16, "6984"), ("3.00", 16, "9000")])
def test_a_cipher_takes_at_most_a_block_of_challenge(start: Start, version: str, length: int, sw: str) -> None:
    terminal = start(version)
    proof = bytes(8)
    challenge = terminal.challenge(length)
    if sw == "9000":
        session = security.session_key(terminal.algorithm, terminal.key("RKSSSE"), challenge)
        proof = security.authentication_data(terminal.algorithm, session, SOURCE)
    assert terminal.send(commands.external_authentication(0x0A, proof, SOURCE)) == sw


# Internal authentication


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("key_version", [None, 1, 2, 3])
def test_the_card_proves_itself(start: Start, version: str, key_version: int | None) -> None:
    terminal = start(version)
    factor = bytes.fromhex("0102030405060708")
    assert terminal.send(commands.internal_authentication(factor, SOURCE, key_version)) == "6108"
    session = security.session_key(terminal.algorithm, terminal.key("IRK", key_version or 1), factor)
    proof = security.authentication_data(terminal.algorithm, session, SOURCE)
    assert terminal.send("00C0000008") == proof.hex().upper() + "9000"


@pytest.mark.parametrize(
    ("apdu", "sw"),
    [
        ("008800000F" + "00" * 15, "6700"),
        ("0088000012" + "00" * 18, "6700"),
        ("0088000000", "6700"),
        ("0088010010" + "00" * 16, "6A86"),
        ("0088000110" + "00" * 16, "6A86"),
        ("0088000011" + "00" * 16 + "04", "6A88"),
        ("0088000011" + "00" * 16 + "00", "6A88"),
        ("8088000010" + "00" * 16, "6E00"),
    ],
)
def test_internal_authentication_errors(start: Start, apdu: str, sw: str) -> None:
    assert start().send(apdu) == sw


# External authentication


@pytest.mark.parametrize("version", VERSIONS)
def test_every_key_of_the_table_opens_with_every_version_of_it(start: Start, version: str) -> None:
    terminal = start(version)
    for key in terminal.files.keys.rows:
        if key.external and key.id is not None:
            terminal.enter(key.directory)
            for key_version in (None, 1, 2, 3):
                assert terminal.authenticate(key.name, key_version) == "9000", key.name
            assert terminal.authenticate(key.name, wrong=True)[:3] == "63C", key.name


@pytest.mark.parametrize(
    ("apdu", "sw"),
    [
        ("0082010A10" + "00" * 16, "6A86"),
        ("0082000A0F" + "00" * 15, "6700"),
        ("0082000A12" + "00" * 18, "6700"),
        ("0082000A10", "6700"),
        ("0082000B10" + "00" * 16, "6A88"),
        ("0082000010" + "00" * 16, "6A88"),
        ("0082008410" + "00" * 16, "6A88"),
        ("0082000A11" + "00" * 16 + "04", "6A88"),
        ("8082000A10" + "00" * 16, "6E00"),
    ],
)
def test_external_authentication_errors_use_no_try(start: Start, apdu: str, sw: str) -> None:
    terminal = start()
    terminal.challenge()
    assert terminal.send(apdu) == sw
    assert tries_of(terminal, "RKSSSE") == 3


def test_a_card_without_the_key(start: Start) -> None:
    terminal = start()
    image = msgspec.structs.replace(terminal.card.image, keys={})
    bare = KeyTerminal(VirtualCard.create(terminal.card.path, image))
    assert bare.authenticate("RKSSSE") == "6A88"
    assert bare.send("0088000010" + "00" * 16) == "6A88"
    inferred = start(inferred_key_ids="none")
    inferred.enter("DF01")
    inferred.challenge()
    assert inferred.send("0082008810" + "00" * 16) == "6A88"


def test_a_right_proof_restores_the_tries_and_wrong_ones_block_for_ever(start: Start) -> None:
    terminal = start()
    assert [terminal.authenticate("RKSSSE", wrong=True) for _ in range(2)] == ["63C2", "63C1"]
    assert tries_of(terminal, "RKSSSE") == 1
    assert terminal.authenticate("RKSSSE") == "9000"
    assert tries_of(terminal, "RKSSSE") == 3
    assert [terminal.authenticate("RKSSSE", wrong=True) for _ in range(3)] == ["63C2", "63C1", "63C0"]
    terminal = KeyTerminal(on_disk(terminal))
    assert terminal.authenticate("RKSSSE") == "6983"
    assert terminal.authenticate("PUK") == "9000"


def test_the_keys_for_blocking_lock_nothing(start: Start) -> None:
    """ssc-card.md 4.1: a failure in block commands does not lock the key."""
    terminal = start()
    assert [terminal.authenticate("BK", wrong=True) for _ in range(5)] == ["63C3"] * 5
    assert terminal.authenticate("BK") == "9000"


def test_a_pull_before_the_answer_gives_no_try_back(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, real = start(), Path.replace
    for left in (2, 1, 0):
        written: list[int] = []
        with monkeypatch.context() as patch:

            def replace(source: Path, target: Path, written: list[int] = written) -> Path:
                written.append(1)
                if len(written) == 2:
                    raise OSError("pulled")
                return real(source, target)

            patch.setattr(Path, "replace", replace)
            with pytest.raises(CardFileError):
                terminal.authenticate("RKSSSE")
        terminal = KeyTerminal(on_disk(terminal))
        assert tries_of(terminal, "RKSSSE") == left
    assert terminal.authenticate("RKSSSE") == "6983"


# Rights


def test_rights_from_a_key_of_a_df_end_with_it(start: Start) -> None:
    terminal = start()
    terminal.enter("DF04")
    assert terminal.authenticate("RK1DF04") == "9000"
    terminal.enter("DF04")
    assert terminal.send("00B28C2803")[-4:] == "9000"
    terminal.enter("SSSE")
    terminal.enter("DF04")
    assert terminal.send("00B28C2803") == "6982"


def test_rights_from_a_key_of_the_ssse_end_with_the_power(start: Start) -> None:
    terminal = start("3.00")
    assert terminal.authenticate("RKSSSE") == "9000"
    terminal.enter("DF01")
    terminal.enter("SSSE")
    assert terminal.send("00B20A3003") == "0A01319000"
    terminal.card.reset()
    assert terminal.send("00B20A3003") == "6982"


def test_a_right_of_one_df_is_none_in_another(start: Start) -> None:
    """ssc-card.md 8, FIREWALL."""
    terminal = start()
    terminal.enter("DF03")
    assert terminal.authenticate("RK1DF03") == "9000"
    terminal.enter("DF04")
    assert terminal.send("00B28C2803") == "6982"


def test_a_wrong_proof_ends_the_right(start: Start) -> None:
    terminal = start("3.00")
    assert terminal.authenticate("RKSSSE") == "9000"
    assert terminal.authenticate("RKSSSE", wrong=True) == "63C2"
    assert terminal.send("00B20A3003") == "6982"


# PIN unblock and reset


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("answer", ["STK", "PUK"])
def test_unblocking_and_resetting_a_pin(start: Start, version: str, answer: str) -> None:
    terminal = start(version, pin_mac_key=answer)
    other = {"STK": "PUK", "PUK": "STK"}[answer]
    for _ in range(3):
        terminal.send("0020000003000000")
    assert terminal.send(PIN) == "6983"
    assert terminal.authenticate("PUK") == "9000"
    assert terminal.maced(commands.unblock_pin(), other) == "6988"
    assert terminal.maced(commands.unblock_pin(), answer) == "9000"
    assert on_disk(terminal).image.pin == Pin("135790", 3, 3)
    assert terminal.send(PIN) == "9000"
    assert terminal.reset_pin(b"\x65\x43\x21", other) == "6988"
    assert terminal.reset_pin(b"\x65\x43\x21", answer) == "9000"
    assert on_disk(terminal).image.pin == Pin("654321", 3, 3)
    assert terminal.send("0020000003654321") == "9000"
    assert terminal.reset_pin(b"", answer) == "9000"
    assert on_disk(terminal).image.pin is None
    assert terminal.maced(commands.unblock_pin(), answer) == "6985"
    assert terminal.reset_pin(bytes.fromhex("1234567890123456"), answer) == "9000"
    assert on_disk(terminal).image.pin == Pin("1234567890123456", 3, 3)


def test_pin_unblock_errors_change_nothing(start: Start) -> None:
    terminal = start()
    terminal.send("0020000003000000")
    before = on_disk(terminal).image
    assert terminal.maced(commands.unblock_pin(), "STK") == "6982"
    assert terminal.authenticate("PUK") == "9000"
    before = on_disk(terminal).image
    assert terminal.maced(commands.unblock_pin(), "STK", wrong=True) == "6988"
    for apdu, sw in (
        ("8424000004CCCCCCCC", "6984"),
        ("8424010004CCCCCCCC", "6A86"),
        ("8424000204CCCCCCCC", "6A86"),
        ("8424000003CCCCCC", "6700"),
        ("842400000C" + "CC" * 12, "6700"),
        ("842400010B" + "CC" * 11, "6700"),
        ("842400011C" + "CC" * 28, "6700"),
        ("8424000000", "6700"),
        ("8024000004CCCCCCCC", "6E00"),
        ("0024000004CCCCCCCC", "6E00"),
    ):
        assert terminal.send(apdu) == sw
    for block in ("65", "65432A", "6543FF", "F54321"):
        assert terminal.reset_pin(bytes.fromhex(block)) == "6A80"
    session = terminal.session(terminal.key("STK"))
    command = commands.reset_pin(bytes(8))
    mac = security.command_mac(terminal.algorithm, session, commands.mac_message(command))
    assert terminal.send(commands.with_mac(command, mac)) == "6A80"
    assert on_disk(terminal).image == before


# Blocking


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("name", "authority"), [("DF04", "LKDF04"), ("DF04", "BK"), ("DF01", "BK")])
def test_a_blocked_application_is_gone_for_ever(start: Start, version: str, name: str, authority: str) -> None:
    terminal = start(version)
    terminal.send(PIN)
    terminal.enter(name)
    assert terminal.maced(commands.application_block(), f"STK{name}") == "6982"
    assert terminal.authenticate(authority) == "9000"
    assert terminal.maced(commands.application_block(), f"STK{name}", wrong=True) == "6988"
    assert terminal.maced(commands.application_block(), "STK") == "6988"
    assert terminal.maced(commands.application_block(), f"STK{name}") == "9000"
    assert terminal.send("841E000104CCCCCCCC") == "9000"
    for apdu in ("00B2012C0A", PIN, "0084000008", "00A4020002EF05", "00C0000008"):
        assert terminal.send(apdu) == "9303"
    terminal = KeyTerminal(on_disk(terminal))
    assert terminal.enter(name) == "9303"
    assert terminal.send("00B2012C12")[-4:] == "9000"
    assert terminal.enter("DF02")[:2] == "61"


def test_the_ssse_takes_those_below_along(start: Start) -> None:
    terminal = start()
    assert terminal.authenticate("BK") == "9000"
    assert terminal.maced(commands.application_block(), "STK") == "9000"
    terminal = KeyTerminal(on_disk(terminal))
    assert [terminal.enter(name) for name in ("SSSE", "DF01", "DF04")] == ["9303"] * 3
    assert terminal.send("00B2012C12") == "9303"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_blocked_card_says_6a81_to_everything(start: Start, version: str) -> None:
    terminal = start(version)
    assert terminal.maced(commands.card_block(), "STK") == "6982"
    assert terminal.authenticate("BK") == "9000"
    assert terminal.send("8416000004CCCCCCCC") == "6984"
    assert terminal.maced(commands.card_block(), "STK", wrong=True) == "6988"
    assert terminal.maced(commands.card_block(), "STK") == "9000"
    terminal = KeyTerminal(on_disk(terminal))
    for apdu in (PIN, "00B2012C12", "0084000008", "8416000004CCCCCCCC", "841E000104CCCCCCCC", "FFFF000000"):
        assert terminal.send(apdu) == "6A81"
    assert terminal.enter("SSSE") == "6A81"


@pytest.mark.parametrize(
    ("apdu", "sw"),
    [
        ("841E000004CCCCCCCC", "6A86"),
        ("841E010104CCCCCCCC", "6A86"),
        ("841E000103CCCCCC", "6700"),
        ("841E000105CCCCCCCCCC", "6700"),
        ("841E000104CCCCCCCC", "6984"),
        ("041E000104CCCCCCCC", "6E00"),
        ("8416010004CCCCCCCC", "6A86"),
        ("8416000104CCCCCCCC", "6A86"),
        ("8416000003CCCCCC", "6700"),
        ("0016000004CCCCCCCC", "6E00"),
    ],
)
def test_block_errors_block_nothing(start: Start, apdu: str, sw: str) -> None:
    terminal = start()
    assert terminal.authenticate("BK") == "9000"
    assert terminal.send(apdu) == sw
    assert (on_disk(terminal).image.blocked, on_disk(terminal).image.card_blocked) == ((), False)


# Card files


def test_the_card_file_has_the_cards_own_keys_and_no_root(start: Start) -> None:
    for version in VERSIONS:
        terminal = start(version)
        kept = terminal.card.image.keys
        assert kept.keys() == {key.name for key in terminal.files.keys.rows}
        for name, key in kept.items():
            assert [bytes.fromhex(value) for value in key.values] == [terminal.key(name, each) for each in (1, 2, 3)]
        assert all(value not in repr(terminal.card.image) for value in kept["PUK"].values)


@pytest.mark.parametrize(
    "change",
    [
        {"keys": {"RKSSSE": CardKey(("00" * 15,), 3, 3)}},
        {"keys": {"RKSSSE": CardKey(("zz" * 16,), 3, 3)}},
        {"keys": {"RKSSSE": CardKey((), 3, 3)}},
        {"keys": {"RKSSSE": CardKey(("00" * 16,) * 4, 3, 3)}},
        {"keys": {"RKSSSE": CardKey(("00" * 16,), 3, 4)}},
        {"keys": {"RKSSSE": CardKey(("00" * 16,), 16, 16)}},
        {"keys": {"STK": CardKey(("00" * 16,), 3, 3)}},
        {"keys": {"RK9DF09": CardKey(("00" * 16,), 3, 3)}},
        {"blocked": ("DF09",)},
    ],
)
def test_a_file_with_impossible_keys_makes_no_card(start: Start, change: dict[str, object]) -> None:
    card = start().card
    with pytest.raises(CardFileError) as caught:
        VirtualCard.create(card.path, msgspec.structs.replace(card.image, **change))
    assert "0000" not in str(caught.value)
