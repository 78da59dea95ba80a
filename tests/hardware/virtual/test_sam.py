"""The simulated security module: 6.5 as APDUs, with the values of 6.6."""

import json
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from hardware.virtual.card_file import CardFileError
from hardware.virtual.sam import VirtualSam
from hardware.virtual.sam_commands import app
from hardware.virtual.sam_file import Environment, SamImage, SamKey, sam_image
from protocols.iso7816.apdu import CommandApdu
from protocols.sscard import sam, security
from protocols.sscard.files import card_files

VECTORS: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[2] / "vectors" / "sscard" / "security.toml").read_text("utf-8")
)
ALGORITHMS = pytest.mark.parametrize("vector", VECTORS["algorithm"], ids=lambda vector: vector["name"])
PROVINCE, CITY, CARD = VECTORS["factors"]
CHALLENGE, SOURCE, ROOT = VECTORS["challenge"], VECTORS["source"], VECTORS["root"]
OWN = "0F1E2D3C4B5A69788796A5B4C3D2E1F0"
APPLICATION = "00A4040006D15600000590"
ENVIRONMENT = {1: "00A404000F7378312E73682EC9E7BBE1B1A3D5CF", 3: "00A404000F7378322E73682EC9E7BBE1B1A3D5CF"}
READY = "BFEC00000199"


def image(*keys: SamKey) -> SamImage:
    made = sam_image("990100", 3, "counter")
    return msgspec.structs.replace(
        made, environments=tuple(Environment(algorithm, OWN, 3, keys) for algorithm in (1, 3))
    )


@pytest.fixture
def module(tmp_path: Path) -> VirtualSam:
    """Keys of the vectors: id 0A below the root, 2B below the province's, 2C below the city's key, 09 for both."""
    levels = {each["id"]: each["levels"] for each in VECTORS["algorithm"]}
    made = image()
    environments = tuple(
        Environment(
            algorithm,
            OWN,
            3,
            (
                SamKey(0x0A, 0x67, ROOT),
                SamKey(0x2B, 0x47, levels[algorithm][0]),
                SamKey(0x2C, 0x27, levels[algorithm][1]),
                SamKey(0x09, 0x68, ROOT),
                SamKey(0x10, 0x66, ROOT),
                SamKey(0x01, 0x62, ROOT),
                SamKey(0x02, 0x22, levels[algorithm][1]),
            ),
        )
        for algorithm in (1, 3)
    )
    path = tmp_path / "module.sam"
    return VirtualSam.create(path, msgspec.structs.replace(made, terminal_sequence=5, environments=environments))


def say(module: VirtualSam, *apdus: str) -> str:
    """The last answer, data and status word, `61xx` followed."""
    shown = ""
    for apdu in apdus:
        answer = module.command(CommandApdu.from_bytes(bytes.fromhex(apdu)))
        if answer.sw >> 8 == 0x61:
            answer = module.command(CommandApdu(0x00, 0xC0, 0x00, 0x00, le=answer.sw & 0xFF))
        shown = answer.data.hex().upper() + f"{answer.sw:04X}"
    return shown


def test_the_direction_of_every_instruction(module: VirtualSam) -> None:
    """Where T=0 puts data after the header: ssc-card.md 6.5. What it does not know has its answer at once."""
    assert {ins for ins in range(256) if module.takes_data(ins)} == {0xA4, 0x82, 0xEC, 0xDE, 0xFA, 0xD4, 0x70, 0x72}
    assert say(module, "00B2012D40") == "6D00"


def ready(module: VirtualSam, algorithm: int) -> None:
    assert say(module, ENVIRONMENT[algorithm]).endswith("9000")
    assert say(module, READY) == "9000"
    assert say(module, APPLICATION).endswith("9000")


def with_lc(header: str, data: str) -> str:
    return f"{header}{len(data) // 2:02X}{data}"


def challenge(algorithm: int) -> str:
    return str(CHALLENGE if algorithm == 1 else CHALLENGE + "00" * 8)


@ALGORITHMS
@pytest.mark.parametrize(
    ("header", "factors"),
    [("BFDE670A", CARD + CITY + PROVINCE), ("BFDE472B", CARD + CITY), ("BFDE272C", CARD)],
    ids=["level 3", "level 2", "level 1"],
)
def test_authentication_data_at_every_level(
    module: VirtualSam, vector: dict[str, Any], header: str, factors: str
) -> None:
    ready(module, vector["id"])
    assert say(module, with_lc(header, factors + challenge(vector["id"]))) == "9000"
    source = SOURCE if vector["id"] == 1 else SOURCE + "00" * 8
    answer = say(module, with_lc("80FA0000", source))
    assert answer.endswith("9000")
    data = bytes.fromhex(answer[:-4])
    wanted = data if vector["id"] == 1 else bytes(a ^ b for a, b in zip(data[:8], data[8:], strict=True))
    assert wanted.hex().upper() == vector["authentication_data"]
    assert say(module, with_lc("80FA0000", source)) == "6901"


@ALGORITHMS
@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_a_mac_in_one_piece_or_several(module: VirtualSam, vector: dict[str, Any], pieces: int) -> None:
    size = 8 if vector["id"] == 1 else 16
    for mac in vector["mac"]:
        ready(module, vector["id"])
        delivered = say(module, with_lc("BFDE6610", CARD + CITY + PROVINCE + challenge(vector["id"])))
        assert delivered == "9000"
        message = mac["message"] + "80"
        message += "00" * (-(len(message) // 2) % size)
        blocks = ["00" * size, *(message[at : at + 2 * size] for at in range(0, len(message), 2 * size))]
        if pieces == 1:
            answer = say(module, with_lc("80FA0500", "".join(blocks)))
        elif pieces == 2:
            answer = say(module, with_lc("80FA0700", blocks[0]), with_lc("80FA0100", "".join(blocks[1:])))
        else:
            between = [with_lc("80FA0300", each) for each in blocks[1:-1]]
            answer = say(module, with_lc("80FA0700", blocks[0]), *between, with_lc("80FA0100", blocks[-1]))
        assert answer == f"{mac['mac']}9000"


@pytest.mark.parametrize(
    ("apdu", "sw"),
    [
        (with_lc("BFDE670A", CARD + CITY + CHALLENGE), "6A80"),
        (with_lc("BFDE470A", CARD + CITY + CHALLENGE), "6A80"),
        (with_lc("BFDE680A", CARD + CITY + PROVINCE + CHALLENGE), "6A88"),
        (with_lc("BFDE670B", CARD + CITY + PROVINCE + CHALLENGE), "6A88"),
        (with_lc("BFDE670A", CHALLENGE), "6700"),
        (with_lc("BFDE670A", CARD + CHALLENGE + "00"), "6700"),
        ("BFEC0000020101", "6700"),
        ("BFEC000001AA", "6A80"),
        ("BFEC01000199", "6A86"),
        ("80FA00000801020304050607FF", "6901"),
        ("00A4040006D15600000599", "6A82"),
        ("00A4010002DF01", "6A86"),
        ("0084000005", "6700"),
        ("00C0000004", "6F00"),
        ("00B2010400", "6D00"),
        ("00DE000000", "6E00"),
        ("00B0000006", "6986"),
    ],
)
def test_refusals(module: VirtualSam, apdu: str, sw: str) -> None:
    ready(module, 1)
    assert say(module, apdu) == sw


def test_a_key_serves_its_type_only(module: VirtualSam) -> None:
    ready(module, 1)
    factors = CARD + CITY + PROVINCE + CHALLENGE
    assert say(module, with_lc("BFDE670A", factors), with_lc("80FA0500", "00" * 16)) == "6985"
    assert say(module, with_lc("BFDE6610", factors), with_lc("80FA0000", SOURCE)) == "6985"
    assert say(module, with_lc("BFDE6809", factors), with_lc("80FA0200", SOURCE)).endswith("9000")
    assert say(module, with_lc("80FA0500", "00" * 16)).endswith("9000")
    assert say(module, with_lc("BFDE6809", factors), with_lc("80FA0100", "00" * 8)) == "6985"
    assert say(module, with_lc("80FA0000", SOURCE[:-2])) == "6700"


def purchase(version: str = "01", algorithm: str = "01", factors: str = CARD + CITY + PROVINCE) -> str:
    """INIT SAM FOR PURCHASE with the values of 6.6, as 6.5 lays them out."""
    row = VECTORS["purchase"]
    data = row["random"] + row["sequence"] + row["amounts"] + row["type"] + row["time"] + version + algorithm + factors
    return with_lc("80700100", data)


def test_a_purchase(module: VirtualSam) -> None:
    row = VECTORS["purchase"]
    ready(module, 1)
    assert len(purchase()) // 2 - 5 == 0x34  # ssc-card.md 9.7
    assert say(module, purchase()) == f"{row['terminal_sequence']}{row['mac1']}9000"
    assert say(module, with_lc("80720000", row["mac2"])) == "9000"
    assert say(module, with_lc("80720000", row["mac2"])) == "6901"
    assert say(VirtualSam.open(module.path), APPLICATION, "00A40000020019", "00B0000004") == "000000069000"


def test_a_purchase_key_of_the_city_and_another_version(module: VirtualSam) -> None:
    """The levels that the module has taken already change nothing."""
    ready(module, 1)
    assert say(module, purchase("02", factors=CARD)).startswith(f"00000005{VECTORS['purchase']['mac1']}")


def test_a_terminal_sequence_serves_once_even_where_the_card_was_torn(module: VirtualSam) -> None:
    ready(module, 1)
    assert [say(module, purchase())[:8] for _ in range(2)] == ["00000005", "00000006"]
    last = msgspec.structs.replace(module.image, terminal_sequence=0xFFFFFFFF)
    worn = VirtualSam.create(module.path, last)
    ready(worn, 1)
    assert say(worn, purchase()) == "9402"


def test_mac2_is_for_the_purchase_just_before(module: VirtualSam) -> None:
    right = with_lc("80720000", VECTORS["purchase"]["mac2"])
    ready(module, 1)
    assert say(module, purchase(), with_lc("80720000", "FDD0BEDA")) == "9302"
    assert say(module, right) == "6901"
    ready(module, 1)
    assert say(module, purchase(), "0084000008", right) == "6901"
    assert say(module, purchase(), ENVIRONMENT[1], right) == "6901"


@pytest.mark.parametrize(
    ("apdu", "sw"),
    [
        (purchase("03"), "6A88"),
        (purchase("0A"), "6A88"),
        (purchase(algorithm="03"), "6A80"),
        (purchase(factors=CARD + CITY), "6A80"),
        (purchase(factors=""), "6700"),
        (purchase(factors=CARD + "00"), "6700"),
        (purchase().replace("80700100", "80700000"), "6A86"),
        ("807200000400000000", "6901"),
        ("8072000003000000", "6700"),
        ("807201000400000000", "6A86"),
    ],
)
def test_no_purchase(module: VirtualSam, apdu: str, sw: str) -> None:
    assert say(module, ENVIRONMENT[1], APPLICATION, purchase()) == "6985"
    ready(module, 1)
    assert say(module, apdu) == sw
    assert module.image.terminal_sequence == 5


def test_a_purchase_key_gives_nothing_else(module: VirtualSam) -> None:
    ready(module, 1)
    delivered = say(module, with_lc("BFDE6201", CARD + CITY + PROVINCE + CHALLENGE))
    assert delivered == "9000"
    assert say(module, with_lc("80FA0000", SOURCE)) == "6985"
    assert say(module, with_lc("80FA0500", "00" * 16)) == "6985"


def test_nothing_without_environment_and_application(module: VirtualSam) -> None:
    deliver = with_lc("BFDE670A", CARD + CITY + PROVINCE + CHALLENGE)
    assert say(module, ENVIRONMENT[1], APPLICATION, deliver) == "6985"
    assert say(module, ENVIRONMENT[1], READY, deliver) == "6985"
    ready(module, 1)
    assert say(module, deliver, ENVIRONMENT[3], with_lc("80FA0000", SOURCE)) == "6901"
    ready(module, 1)
    assert say(module, deliver) == "9000"
    module.reset()
    assert say(module, with_lc("80FA0000", SOURCE)) == "6901"


def test_files_of_the_module(module: VirtualSam) -> None:
    assert say(module, "00A40000020016", "00B0000006") == "9901000000019000"
    assert say(module, "00B0960006") == "9901000000019000"
    assert say(module, "00B0950001") == "6C0F"
    assert say(module, "00B095000F") == f"{module.image.public_data}9000"
    assert say(module, "00A40000020019") == "6A82"
    assert say(module, "00B09A000A") == "6A82"
    assert say(module, APPLICATION, "00A40000020019", "00B0000004") == "000000059000"
    assert say(module, "00B0000404") == "6B00"


@pytest.mark.parametrize("sfi", ["9A", "9B", "9C"])
@pytest.mark.parametrize("key_version", [1, 3])
def test_national_province_and_city_data_name_the_version(tmp_path: Path, sfi: str, key_version: int) -> None:
    module = VirtualSam.create(tmp_path / "v.sam", sam_image("990100", 3, "counter", key_version))
    told = say(module, APPLICATION, f"00B0{sfi}000A")
    assert told == f"01{key_version:02X}20150101209912319000"


@pytest.mark.parametrize(
    ("key_id", "sfi"), [(0x08, 0x1A), (0x12, 0x1B), (0x1F, 0x1C), (0x2D, 0x1A), (0x49, 0x1B), (0xB4, 0x1C)]
)
def test_which_file_is_about_a_key(key_id: int, sfi: int) -> None:
    """ssc-card.md 6.5: 08-0F and 20-3F national, 10-17 and 40-7F province, 18-1F and 80-BF city."""
    assert sam.area_data(key_id) == sfi


def loading(module: VirtualSam, mode: int, record: str, own: str = OWN, algorithm: int = 1) -> str:
    """CREATE KEY or CHANGE KEY as its issuer sends it."""
    key = bytes.fromhex(own)
    cipher = security.encrypt_data(algorithm, key, bytes.fromhex(record))
    given = bytes.fromhex(say(module, "0084000008")[:-4])
    header = bytes((0x84, 0xD4, mode, 0x11, len(cipher) + 4))
    return say(module, (header + cipher + sam.loading_mac(algorithm, key, given, header + cipher)).hex())


def prove_own_key(module: VirtualSam, own: str = OWN, algorithm: int = 1) -> str:
    given = bytes.fromhex(say(module, "0084000008")[:-4])
    session = security.session_key(algorithm, bytes.fromhex(own), given)
    proof = security.authentication_data(algorithm, session, bytes(8))
    return say(module, with_lc("00820000", proof.hex() + "00" * 8))


@pytest.mark.parametrize("algorithm", [1, 3])
def test_keys_are_loaded_under_the_own_key(module: VirtualSam, algorithm: int) -> None:
    say(module, ENVIRONMENT[algorithm])
    record = f"2D67{ROOT}"
    assert loading(module, 0, record, algorithm=algorithm) == "6982"
    assert prove_own_key(module, algorithm=algorithm) == "9000"
    assert loading(module, 1, record, algorithm=algorithm) == "6985"
    assert loading(module, 0, record, own=ROOT, algorithm=algorithm) == "6988"
    assert loading(module, 0, record, algorithm=algorithm) == "9000"
    assert loading(module, 0, record, algorithm=algorithm) == "6985"
    assert loading(module, 1, f"2D47{ROOT}", algorithm=algorithm) == "9000"
    single = loading(module, 1, f"2D67{ROOT[:16]}", algorithm=algorithm)
    assert single == ("9000" if algorithm == 1 else "6A80")
    assert loading(module, 1, f"2D47{ROOT}", algorithm=algorithm) == "9000"
    assert loading(module, 0, f"0362{ROOT}", algorithm=algorithm) == "9000"
    for wrong in (f"2D07{ROOT}", f"0767{ROOT}", f"C067{ROOT}", f"2D67{ROOT}00", f"0462{ROOT}", f"2D62{ROOT}"):
        assert loading(module, 1, wrong, algorithm=algorithm) == "6A80"
    again = VirtualSam.open(module.path)
    (environment,) = (each for each in again.image.environments if each.algorithm == algorithm)
    assert [key.usage for key in environment.keys if key.id == 0x2D] == [0x47]


def test_a_challenge_of_loading_serves_once(module: VirtualSam) -> None:
    prove_own_key(module)
    assert say(module, with_lc("84D40011", "00" * 12)) == "6984"


def test_the_own_key_locks(module: VirtualSam) -> None:
    for _ in range(3):
        assert prove_own_key(module, own=ROOT) == "6982"
    assert prove_own_key(VirtualSam.open(module.path)) == "6983"


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_counters_module_proves_reads_and_takes_part_in_purchases_only(level: int) -> None:
    counter, agency = sam_image("990100", level, "counter"), sam_image("990100", level, "agency")
    for environment, version in zip(counter.environments, ("2.00", "3.00"), strict=True):
        tables = card_files(version)
        named = {key.psam_id: key.name for key in tables.keys.rows if key.psam_id is not None}
        named |= dict.fromkeys((1, 2, 3), "DPK")
        names = {named[key.id] for key in environment.keys}
        assert {"IRK", "RKSSSE", "RK1DF04"} <= names
        assert {name for name in names if not name.startswith("RK")} == {"IRK", "DPK"}
        assert {key.usage >> 5 for key in environment.keys} == {level}
    names = {named[key.id] for key in agency.environments[1].keys}
    assert {"PUK", "STK", "UKSSSE", "IRK"} <= names


def test_keys_are_in_no_repr(module: VirtualSam) -> None:
    assert ROOT not in repr(module.image)
    assert OWN not in repr(module.image)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"format":1}'])
def test_a_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "module.sam"
    with pytest.raises(CardFileError):
        VirtualSam.open(path)
    path.write_bytes(content)
    with pytest.raises(CardFileError):
        VirtualSam.open(path)


@pytest.mark.parametrize(
    ("environments", "reason"),
    [
        ((Environment(1, OWN, 3, ()), Environment(1, OWN, 3, ())), "twice"),
        ((Environment(1, OWN, 3, (SamKey(10, 0x67, ROOT), SamKey(10, 0x47, ROOT))),), "twice"),
        ((Environment(3, OWN, 3, (SamKey(10, 0x67, ROOT[:16]),)),), "length"),
    ],
)
def test_a_file_whose_keys_cannot_be(tmp_path: Path, environments: tuple[Environment, ...], reason: str) -> None:
    path = tmp_path / "module.sam"
    VirtualSam.create(path, msgspec.structs.replace(image(), environments=environments))
    with pytest.raises(CardFileError, match=reason):
        VirtualSam.open(path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cla=st.sampled_from([0x00, 0x80, 0x84, 0xBF]) | st.integers(0, 0xFF),
    ins=st.sampled_from([0xA4, 0xB0, 0x84, 0xC0, 0x82, 0xD4, 0xEC, 0xDE, 0xFA, 0x70, 0x72]) | st.integers(0, 0xFF),
    p1=st.integers(0, 0xFF),
    p2=st.sampled_from([0x00, 0x0A, 0x11]) | st.integers(0, 0xFF),
    data=st.binary(max_size=60),
)
def test_any_command_gets_a_status_word(
    module: VirtualSam, *, cla: int, ins: int, p1: int, p2: int, data: bytes
) -> None:
    try:
        command = CommandApdu(cla, ins, p1, p2, data)
    except ValueError:
        return
    ready(module, 1)
    assert 0x6000 <= module.command(command).sw <= 0x9FFF


def test_make_show_run(tmp_path: Path) -> None:
    runner, path = CliRunner(), tmp_path / "m.sam"
    options = ["--region", "990100", "--level", "2", "--key-version", "3", "--json"]
    made = runner.invoke(app, ["make", "-o", str(path), *options])
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["simulated"]
    assert path.stat().st_mode & 0o777 == 0o600
    shown = json.loads(runner.invoke(app, ["show", str(path), "--json"]).stdout)
    assert "47/0A" in shown["environments"]["3"]
    assert shown["key_version"] == 3
    keys = [key.value for each in VirtualSam.open(path).image.environments for key in each.keys]
    text = runner.invoke(app, ["show", str(path)]).stdout
    assert not any(key in text or key in json.dumps(shown) for key in keys)
    ran = runner.invoke(app, ["run", str(path)], input="00A40000020016\n00B0000006\n")
    assert ran.stdout.split() == ["9000", "9901000000019000"]


@pytest.mark.parametrize("wrong", [["--region", "99"], ["--region", "99010a"], ["--output", "m.card"]])
def test_make_refuses(tmp_path: Path, wrong: list[str]) -> None:
    options = {"--region": "990100", "--output": "m.sam"} | dict([wrong])
    arguments = [part for name, value in options.items() for part in (name, value)]
    assert CliRunner().invoke(app, ["make", *arguments]).exit_code == 2
