"""The session on virtual cards, on spoilt ones, and on things that are no card."""

import contextlib
from collections.abc import Callable
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardware.virtual.card import VirtualCard
from host_bridge.card import errors
from host_bridge.card.session import CardSession, Holder, Insurance, Issuer
from host_bridge.readers.reader import CardRemoved
from host_bridge.readers.virtual import VirtualConnection
from protocols.iso7816.apdu import CommandApdu, ResponseApdu
from protocols.iso7816.atr import Atr

Make = Callable[..., VirtualCard]
Connect = Callable[[VirtualCard], VirtualConnection]

ON = date(2026, 11, 21)
ATR = bytes.fromhex("3B6D0000008154310086609901") + bytes(4)
SSSE_FCI = "6F1C840F7378312E73682EC9E7BBE1B1A3D5CFA50988011E9F0C03860101"


class Scripted:
    """A card that answers from a list, and then for ever with its last answer."""

    def __init__(self, answers: list[ResponseApdu], atr: bytes = ATR) -> None:
        self._answers, self._atr = answers, Atr.from_bytes(atr)
        self.seen: list[CommandApdu] = []

    @property
    def atr(self) -> Atr:
        return self._atr

    def transmit(self, command: CommandApdu) -> ResponseApdu:
        self.seen.append(command)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def reset(self) -> Atr:
        return self._atr

    def disconnect(self) -> None:
        return


def scripted(*answers: str, atr: bytes = ATR) -> Scripted:
    return Scripted([ResponseApdu.from_bytes(bytes.fromhex(answer)) for answer in answers], atr)


def replaced(card: VirtualCard, key: str, tag: int, record: str | None) -> dict[str, tuple[str, ...]]:
    """The card's files with one record replaced, or taken out."""
    records = [record if int(each[:2], 16) == tag else each for each in card.image.files[key]]
    return {**card.image.files, key: tuple(each for each in records if each is not None)}


# What is on a card


def test_issuer_and_holder_need_no_pin(make: Make, connect: Connect) -> None:
    session = CardSession(connect(make()))
    assert session.read_issuer() == Issuer(
        card_id="990101D15600000501234567FFFFFFFF",
        card_class="3",
        version="2.00",
        issue_date=date(2024, 3, 1),
        expiry_date=date(2034, 2, 28),
        card_no="A12345674",
    )
    assert session.read_holder() == Holder("990101198802290036", "李建华", "1", "01", date(1988, 2, 29))


def test_holder_first_reads_the_version_by_itself(make: Make, connect: Connect) -> None:
    assert CardSession(connect(make("rare_name"))).read_holder().name == "孙䶮"


@pytest.mark.parametrize(
    ("person", "pin", "insurance"),
    [
        ("employee", b"135790", Insurance("310", "1101", "110000", "11", "00000")),
        ("retired", b"246801", Insurance("310", "1201", "110000", "21", "00000")),
        ("not_updated", b"161803", Insurance("310", "1101", "110000", "11", "00000")),
        ("child", b"577215", Insurance("390", "1401", "110000", "91", "00000")),
        ("resident", b"314159", Insurance("390", "1501", "110000", "91", "00000")),
        ("pharmacy", b"271828", Insurance("310", "1101", "990101", "11", "00000")),
    ],
)
def test_insurance_after_the_pin(make: Make, connect: Connect, person: str, pin: bytes, insurance: Insurance) -> None:
    session = CardSession(connect(make(person)))
    with pytest.raises(errors.AccessRefused) as caught:
        session.read_insurance(ON)
    assert caught.value.sw == 0x6982
    session.verify_pin(bytearray(pin))
    assert session.read_insurance(ON) == insurance
    assert session.read_holder().certno.startswith("99")


def test_a_card_without_pin_opens_its_insurance(make: Make, connect: Connect) -> None:
    session = CardSession(connect(make(pin=None)))
    assert session.pin_tries() is None
    assert session.read_insurance(ON).insutype == "310"


def test_items_we_do_not_know_do_not_matter(make: Make, connect: Connect) -> None:
    """ssc-card.md 3.2: files may gain items; record numbers shift, tags do not."""
    files = make().image.files
    gain = ("SSSE EF05", "SSSE EF06", "DF04 EF05")
    more = {key: ("C703414243", *records, "C80102") if key in gain else records for key, records in files.items()}
    session = CardSession(connect(make(files=more)))
    assert session.read_issuer().card_no == "A12345674"
    assert session.read_holder().name == "李建华"


def test_a_name_goes_on_in_its_extension_and_may_have_none(make: Make, connect: Connect) -> None:
    full = "091E" + "CABE" * 14 + "41C0"
    extended = replaced(make(), "SSSE EF06", 0x09, full)
    extended["SSSE EF06"] = tuple(
        "4E14" + "EE".ljust(40, "0") if each.startswith("4E") else each for each in extended["SSSE EF06"]
    )
    assert CardSession(connect(make(files=extended))).read_holder().name == "示" * 14 + "A李"
    without = replaced(make(), "SSSE EF06", 0x4E, None)
    assert CardSession(connect(make(files=without))).read_holder().name == "李建华"


def test_the_odd_version_and_an_amendment(make: Make, connect: Connect) -> None:
    for record, version in (("0304322E3000", "2.0"), ("0304322E3031", "2.01")):
        session = CardSession(connect(make(files=replaced(make(), "SSSE EF05", 0x03, record))))
        assert session.read_issuer().version == version
        assert session.read_holder().naty == "01"


def test_a_card_without_expiry_date(make: Make, connect: Connect) -> None:
    session = CardSession(connect(make(files=replaced(make(), "SSSE EF05", 0x06, "0604FFFFFFFF"))))
    assert session.read_issuer().expiry_date is None


# PIN


def test_tries_are_known_before_and_after(make: Make, connect: Connect) -> None:
    session = CardSession(connect(make()))
    assert session.pin_tries() == 3
    with pytest.raises(errors.PinWrong) as wrong:
        session.verify_pin(bytearray(b"000000"))
    assert (wrong.value.tries, wrong.value.sw) == (2, 0x63C2)
    assert session.pin_tries() == 2
    session.verify_pin(bytearray(b"135790"))
    assert session.pin_tries() == 3


def test_the_last_wrong_pin_locks_and_power_does_not_help(make: Make, connect: Connect) -> None:
    card = make()
    session = CardSession(connect(card))
    for _ in range(2):
        with pytest.raises(errors.PinWrong):
            session.verify_pin(bytearray(b"000000"))
    with pytest.raises(errors.PinLocked) as locked:
        session.verify_pin(bytearray(b"000000"))
    assert locked.value.sw == 0x63C0
    session = CardSession(connect(card))
    assert session.pin_tries() == 0
    with pytest.raises(errors.PinLocked) as locked:
        session.verify_pin(bytearray(b"135790"))
    assert (locked.value.sw, locked.value.tries) == (0x6983, 0)


@pytest.mark.parametrize("entered", [b"", b"123", b"12345678901234567", b"12345a", "１２３４".encode()])
def test_what_is_no_pin_never_reaches_the_card(make: Make, connect: Connect, entered: bytes) -> None:
    session, digits = CardSession(connect(make())), bytearray(entered)
    with pytest.raises(errors.PinFormat):
        session.verify_pin(digits)
    assert digits == bytes(len(entered))
    assert session.pin_tries() == 3


@pytest.mark.parametrize("answer", ["9000", "63C1", "63C0", "6983", "6700", "6E00", "9303"])
def test_the_digits_are_wiped_and_never_told(answer: str) -> None:
    card, digits = scripted(SSSE_FCI + "9000", answer), bytearray(b"135790")
    told = ""
    try:
        CardSession(card).verify_pin(digits)
    except errors.CardError as error:
        told = f"{error} {error!r} {error.facts}"
    assert "135790" not in told
    assert bool(told) is (answer != "9000")
    assert digits == bytes(6)


def test_the_digits_are_wiped_when_the_card_is_pulled(make: Make, connect: Connect) -> None:
    card = make()
    session, digits = CardSession(connect(card)), bytearray(b"135790")
    session.read_issuer()
    card.path.unlink()
    with pytest.raises(CardRemoved):
        session.verify_pin(digits)
    assert digits == bytes(6)


# What is no good card


@pytest.mark.parametrize("atr", ["3B00", "3B6800000081543100866099", "3B6E0000" + "00" * 14])
def test_another_atr_is_a_wrong_card_and_hears_nothing(atr: str) -> None:
    card = scripted("9000", atr=bytes.fromhex(atr))
    with pytest.raises(errors.WrongCard):
        CardSession(card).read_issuer()
    assert card.seen == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("6A82", errors.WrongCard),
        ("6F088406D156000005039000", errors.WrongCard),
        ("6F009000", errors.WrongCard),
        ("6F059000", errors.WrongCard),
        ("009000", errors.WrongCard),
        ("9303", errors.ApplicationBlocked),
        ("6A81", errors.CardBlocked),
        ("6982", errors.AccessRefused),
        ("6D00", errors.UnexpectedStatus),
        ("6100", errors.UnexpectedStatus),
        ("6C00", errors.UnexpectedStatus),
    ],
)
def test_the_answer_to_select(answer: str, error: type[errors.CardError]) -> None:
    for step in (CardSession.read_issuer, CardSession.read_holder, CardSession.pin_tries):
        with pytest.raises(error):
            step(CardSession(scripted(answer)))


@pytest.mark.parametrize(
    "record",
    [
        "0110110105D15600000501234567FFFFFFFF",  # region of another city than the chip's
        "0110990101D15600000401234567FFFFFFFF",
        "0110A90101D15600000501234567FFFFFFFF",
        "0110" + "FF" * 16,
        "0110" + "00" * 16,
        "0100",
    ],
)
def test_a_malformed_card_id(make: Make, connect: Connect, record: str) -> None:
    with pytest.raises(errors.CardIdMalformed):
        CardSession(connect(make(files=replaced(make(), "SSSE EF05", 0x01, record)))).read_issuer()


@pytest.mark.parametrize("record", ["0304342E3030", "0304302E3030", "0304392E3939", "030441424344", "0304322E3078"])
def test_a_version_without_table(make: Make, connect: Connect, record: str) -> None:
    session = CardSession(connect(make(files=replaced(make(), "SSSE EF05", 0x03, record))))
    with pytest.raises(errors.NotSupported) as caught:
        session.read_issuer()
    assert caught.value.tag == 0x03
    with pytest.raises(errors.NotSupported):
        session.read_holder()


@pytest.mark.parametrize(
    ("tag", "record"),
    [
        (0x05, "050420241301"),
        (0x05, "0504FFFFFFFF"),
        (0x05, "05032024FF"),
        (0x06, "060420340230"),
        (0x07, "0709000000000000000000"),
        (0x07, "07FF41"),
        (0x02, None),
        (0x03, "030400000000"),
        (0x03, "0304FFFFFFFF"),
    ],
)
def test_a_malformed_issuer_file(make: Make, connect: Connect, tag: int, record: str | None) -> None:
    session = CardSession(connect(make(files=replaced(make(), "SSSE EF05", tag, record))))
    with pytest.raises(errors.MalformedFile) as caught:
        session.read_issuer()
    assert (caught.value.file, caught.value.tag) == ("SSSE EF05", tag)


@pytest.mark.parametrize(
    ("tag", "record"),
    [
        (0x08, "0812" + "00" * 18),
        (0x08, "081139"),
        (0x09, "091E" + "81FF".ljust(60, "0")),
        (0x09, "091E" + "00" * 30),
        (0x0B, "0B01FF"),
        (0x0B, "0B01A1"),
        (0x0D, "0D0419900231"),
        (0x0D, None),
    ],
)
def test_a_malformed_holder_file(make: Make, connect: Connect, tag: int, record: str | None) -> None:
    session = CardSession(connect(make(files=replaced(make(), "SSSE EF06", tag, record))))
    with pytest.raises(errors.MalformedFile) as caught:
        session.read_holder()
    assert caught.value.tag == tag
    assert "李建华" not in str(caught.value)


@pytest.mark.parametrize(
    ("tag", "record", "error"),
    [
        (0x8C, "8C0131", errors.NotSupported),
        (0x8C, "8C01FF", errors.MalformedFile),
        (0x81, "8108" + "00" * 8, errors.MalformedFile),
        (0x84, None, errors.MalformedFile),
        (0x84, "840311A000", errors.MalformedFile),
    ],
)
def test_a_malformed_insurance_file(
    make: Make, connect: Connect, tag: int, record: str | None, error: type[errors.CardError]
) -> None:
    session = CardSession(connect(make(files=replaced(make(), "DF04 EF05", tag, record))))
    session.verify_pin(bytearray(b"135790"))
    with pytest.raises(error):
        session.read_insurance(ON)


def test_another_records_answer_is_not_taken(make: Make) -> None:
    card = scripted(SSSE_FCI + "9000", "9000", "0201339000")
    with pytest.raises(errors.MalformedFile):
        CardSession(card).read_issuer()


def test_a_card_pulled_in_mid_read(make: Make, connect: Connect) -> None:
    card = make()
    session = CardSession(connect(card))
    session.read_issuer()
    card.path.unlink()
    with pytest.raises(CardRemoved):
        session.read_holder()


ANSWERS = st.lists(
    st.builds(
        ResponseApdu,
        st.one_of(
            st.binary(max_size=40),
            st.sampled_from([bytes.fromhex(SSSE_FCI), bytes.fromhex("0304322E3030"), b"\x01\x10" + b"\x99" * 16]),
        ),
        st.one_of(
            st.just(0x9000),
            st.sampled_from([0x6100, 0x6C00, 0x6C10, 0x63C0, 0x63C5, 0x6982, 0x6983, 0x6A83, 0x9303]),
            st.integers(0, 0xFFFF),
        ),
    ),
    min_size=1,
    max_size=25,
)
STEPS: list[Callable[[CardSession], object]] = [
    CardSession.read_issuer,
    CardSession.read_holder,
    CardSession.pin_tries,
    lambda session: session.verify_pin(bytearray(b"135790")),
    lambda session: session.read_insurance(ON),
]


@given(ANSWERS, st.sampled_from(STEPS))
@settings(deadline=None)
def test_any_answers_end_in_a_result_or_a_card_error(
    answers: list[ResponseApdu], step: Callable[[CardSession], object]
) -> None:
    card = Scripted(answers)
    with contextlib.suppress(errors.CardError):
        step(CardSession(card))
    assert len(card.seen) < 500


@given(st.binary(max_size=48), st.sampled_from(["SSSE EF05", "SSSE EF06"]))
@settings(deadline=None)
def test_any_record_content_ends_in_a_result_or_a_card_error(content: bytes, file: str) -> None:
    """The real card's flow with one record's bytes replaced by anything."""
    record = content.hex()
    card = scripted(SSSE_FCI + "9000", "9000", f"{record}9000")
    session = CardSession(card)
    with contextlib.suppress(errors.CardError):
        session.read_issuer() if file == "SSSE EF05" else session.read_holder()
