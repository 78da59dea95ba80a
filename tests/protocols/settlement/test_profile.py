"""City profiles: what the notices say about Beijing, the simulated city, dates, and profiles that are refused."""

import re
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from protocols.settlement import city_file, profile
from protocols.settlement.city_file import CITIES, CityFile, ProfileError, city_versions
from protocols.settlement.money import fen
from protocols.settlement.profile import City, NotOffered, city_of_version, find_rules, load_city
from protocols.texts.catalogue import texts

DAY = date(2026, 11, 21)
SOURCE = re.compile(r"(00[0-4]-\d+(\.\d+)?|A\.6|B\.\d+|C\.\d( D\d+)?|P\d)")


@pytest.fixture
def beijing() -> City:
    return load_city("110000", DAY, simulated=False)


@pytest.fixture
def demo_city() -> City:
    return load_city("990101", DAY, simulated=True)


@pytest.fixture
def own_cities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder of profiles in place of the real one."""
    caches = (city_versions, city_of_version)
    monkeypatch.setattr(city_file, "CITIES", tmp_path)
    for cached in caches:
        cached.cache_clear()
    yield tmp_path
    for cached in caches:
        cached.cache_clear()


def test_every_value_has_its_source() -> None:
    """A rule of settlement.md beside each value; `simulated` in overlays and nowhere else."""
    seen = 0

    def walk(values: dict[str, Any], simulated: bool) -> None:
        nonlocal seen
        for value in values.values():
            if isinstance(value, dict) and "value" in value:
                seen += 1
                if simulated:
                    assert value["source"] == "simulated"
                else:
                    assert all(SOURCE.fullmatch(rule) for rule in value["source"].split(", ")), value
                    assert "mark" in value or value["source"][0] == "0"
            elif isinstance(value, dict):
                walk(value, simulated)

    for path in CITIES.glob("*.toml"):
        walk(tomllib.loads(path.read_text(encoding="utf-8")), path.stem.endswith("+simulated"))
    assert seen > 80


@pytest.mark.parametrize("simulated", [False, True])
def test_every_profile_loads(simulated: bool) -> None:
    """Under its own name, with splits whose names no other city has."""
    names: list[str] = []
    for division, day in city_versions(simulated=simulated):
        city = load_city(division, day, simulated=simulated)
        assert city.versions_name.startswith(f"{division}@{day}")
        assert city_of_version(city.versions_name).versions_name == city.versions_name
        assert city.simulated == city.versions_name.endswith("+simulated")
        names += city.split_names
    assert len(names) == len(set(names))
    assert {"BJ-E", "BJ-R1", "BJ-R2", "BJ-N", "BJ-REG"} <= set(names)
    assert ("GEN-R" in names) == simulated


@pytest.mark.parametrize(
    ("name", "deductible", "ratio", "cap", "supplement"),
    [
        ("BJ-E", "1800.00", "0.70", "20000.00", None),
        ("BJ-R1", "1300.00", "0.70", "20000.00", "0.50"),
        ("BJ-R2", "1300.00", "0.80", "20000.00", "0.50"),
        ("BJ-N", "550.00", "0.50", "4000.00", None),
        ("GEN-R", "50.00", "0.55", "600.00", None),
    ],
)
def test_figures_of_the_sheet(name: str, deductible: str, ratio: str, cap: str, supplement: str | None) -> None:
    """settlement.md C.2."""
    rules = find_rules(name)
    assert (rules.deductible, rules.ratio, rules.cap, rules.supplement) == (
        fen(deductible),
        ratio,
        fen(cap),
        supplement,
    )
    assert rules.deductible_per == ("visit" if name == "GEN-R" else "year")
    assert rules.simulated == (name == "GEN-R")


def test_consultation() -> None:
    """003-2.6: 2 yuan."""
    rules = find_rules("BJ-REG", False)
    assert (rules.fixed, rules.ratio, rules.deductible, rules.cap) == (200, None, None, None)


@pytest.mark.parametrize(
    ("insutype", "psn_type", "age", "med_type", "name"),
    [
        ("310", "1101", 38, "11", "BJ-E"),
        ("310", "1103", 61, "13", "BJ-E"),
        ("310", "1201", 69, "11", "BJ-R1"),
        ("310", "1201", 70, "11", "BJ-R2"),
        ("310", "1202", 101, "13", "BJ-R2"),
        ("390", "1401", 6, "11", "BJ-N"),
        ("390", "1501", 44, "11", "BJ-N"),
        ("310", "1101", 38, "12", "BJ-REG"),
        ("390", "1501", 44, "12", "BJ-REG"),
    ],
)
def test_split_of_a_person(beijing: City, *, insutype: str, psn_type: str, age: int, med_type: str, name: str) -> None:
    assert beijing.split_for(insutype, psn_type, age, med_type).name == name


@pytest.mark.parametrize(
    ("insutype", "psn_type", "med_type", "key", "reason"),
    [
        ("310", "1101", "41", "not_offered_pharmacy", "003-3.3"),
        ("310", "1101", "51", "not_offered_maternity", "003-2.4"),
        ("310", "1101", "21", "not_offered_inpatient", "004-02"),
        ("310", "1101", "14", "not_offered", ""),
        ("310", "1501", "11", "not_offered", ""),
        ("510", "1101", "11", "not_offered", ""),
    ],
)
def test_care_that_is_not_settled_by_card(
    beijing: City, *, insutype: str, psn_type: str, med_type: str, key: str, reason: str
) -> None:
    """Each with a text and, where a notice says so, its rule."""
    with pytest.raises(NotOffered) as caught:
        beijing.split_for(insutype, psn_type, 40, med_type)
    assert (caught.value.key, caught.value.reason) == (key, reason)
    assert key in texts()


def test_beijing_without_simulation(beijing: City) -> None:
    """What A.6 gives, and nothing that no source gives."""
    assert (beijing.name.zh, beijing.versions_name, beijing.simulated) == ("北京市", "110000@2026-01-01", False)
    assert not any(beijing.pin_asked(med_type) for med_type in ("11", "12", "13", "41"))
    assert beijing.acct_scope("310", "11") == "none"
    assert beijing.hotline == "96102"
    assert "服务网点" in beijing.pin_reset_place.zh
    assert "service point" in beijing.pin_reset_place.en
    assert beijing.default_pins == ("last_six",)
    assert beijing.rounding == "bill"
    assert beijing.offline_limits is None
    assert beijing.offline("11", "310") == "full_cash"


def test_beijing_with_simulation(beijing: City) -> None:
    """The overlay adds settlement without the centre, and changes nothing."""
    overlaid = load_city("110000", DAY, simulated=True)
    assert (overlaid.versions_name, overlaid.simulated) == ("110000@2026-01-01+simulated", True)
    assert overlaid.offline("11", "310") == overlaid.offline("11", "390") == "provisional"
    assert overlaid.offline("13", "310") == "full_cash"
    assert overlaid.offline("11", "510") == "full_cash"
    assert overlaid.offline_limits is not None
    assert all(limit > 0 for limit in overlaid.offline_limits)
    assert [overlaid.rules(name) for name in overlaid.split_names] == [
        beijing.rules(name) for name in beijing.split_names
    ]


def test_demo_city(demo_city: City) -> None:
    """A PIN is asked for, and the account pays all at the pharmacy (vector D8a)."""
    assert demo_city.simulated
    assert demo_city.pin_asked("41")
    assert not demo_city.default_pin_may_pay
    assert demo_city.pin_change_place is not None
    assert demo_city.acct_scope("310", "41") == "all"
    assert demo_city.acct_scope("390", "41") == "none"
    employee = demo_city.split_for("310", "1101", 38, "41")
    same = msgspec.structs.replace(
        find_rules("BJ-E"), name="SF-E", fund=employee.fund, acct_scope="all", simulated=True
    )
    assert employee == same
    assert demo_city.split_for("390", "1401", 6, "11").name == "GEN-R"
    assert demo_city.offline("41", "310") == "provisional"


@pytest.mark.parametrize("med_type", ["21", "22", "23", "24", "52"])
def test_inpatient_care_never_without_the_centre(demo_city: City, med_type: str) -> None:
    assert demo_city.offline(med_type, "310") == "refuse"


def test_simulated_city_needs_simulation() -> None:
    with pytest.raises(KeyError):
        load_city("990101", DAY, simulated=False)
    with pytest.raises(KeyError):
        find_rules("GEN-R", False)
    with pytest.raises(KeyError):
        find_rules("BJ-X")


@pytest.mark.parametrize(
    ("admdvs", "on"), [("130300", DAY), ("110000", date(2025, 12, 31)), ("", DAY), ("../../x", DAY), ("11", DAY)]
)
def test_unknown_city(admdvs: str, on: date) -> None:
    with pytest.raises(KeyError):
        load_city(admdvs, on, simulated=True)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "110000",
        "110000@2026-01-01+",
        "110000@2026-01-01+real",
        "110000@2026-13-01",
        "../cities/110000@2026-01-01",
        "990101@2026-01-01",
        "110000@2026-01-01\n",
    ],
)
def test_unknown_version(name: str) -> None:
    with pytest.raises(KeyError):
        city_of_version(name)


@pytest.mark.parametrize(("admdvs", "name"), [("110102", "110000"), ("530602", "530600"), ("430199", "430100")])
def test_a_district_has_its_citys_profile(admdvs: str, name: str) -> None:
    """settlement.md D.3."""
    assert load_city(admdvs, DAY, simulated=True).versions_name.startswith(name)


@pytest.mark.parametrize(
    ("admdvs", "default", "place"),
    [("530600", "000000", "county agency"), ("430100", "666666", "card centre")],
)
def test_pin_of_other_cities(admdvs: str, default: str, place: str) -> None:
    """A.6: the place follows the card's city, which need not settle anything here."""
    city = load_city(admdvs, DAY, simulated=False)
    assert city.default_pins == (default,)
    assert place in city.pin_reset_place.en
    with pytest.raises(NotOffered):
        city.split_for("310", "1101", 38, "11")


def test_the_year_of_the_accumulators(beijing: City) -> None:
    """D16: Beijing's is the year of the visit."""
    assert beijing.accumulator_year(date(2025, 12, 31), date(2026, 1, 1)) == 2025
    by_settlement = made({"accumulator_year": {"value": "settlement", "source": "C.1"}})
    assert by_settlement.accumulator_year(date(2025, 12, 31), date(2026, 1, 1)) == 2026


def test_profiles_change_by_date(own_cities: Path) -> None:
    """The newest one that is valid counts, and an event's own version can still be had."""
    for day, hotline in (("2025-01-01", "1"), ("2026-07-01", "2")):
        text = f'name = ["市", "City"]\nhotline = {{ value = "{hotline}", source = "A.6" }}\n'
        (own_cities / f"120000@{day}.toml").write_text(text, encoding="utf-8")
    assert load_city("120000", date(2026, 6, 30), simulated=True).hotline == "1"
    assert load_city("120000", date(2026, 7, 1), simulated=True).hotline == "2"
    assert city_of_version("120000@2025-01-01").hotline == "1"
    assert load_city("120000", DAY, simulated=True).versions_name == "120000@2026-07-01"


def test_a_split_with_a_simulated_figure_is_simulated(own_cities: Path) -> None:
    """Also where only one figure comes from the overlay."""
    split = (
        'name = ["市", "City"]\n[splits.X]\nfund = { value = ["基金", "Fund"], source = "C.2" }\n'
        'serves = { value = [], source = "C.2" }\nacct_scope = { value = "none", source = "C.2" }\n'
        'ratio = { value = "0.60", source = "C.2" }\n'
    )
    (own_cities / "120000@2026-01-01.toml").write_text(split, encoding="utf-8")
    overlay = '[splits.X]\ncap = { value = "9.00", source = "simulated" }\n'
    (own_cities / "120000@2026-01-01+simulated.toml").write_text(overlay, encoding="utf-8")
    plain, overlaid = (load_city("120000", DAY, simulated=simulated).rules("X") for simulated in (False, True))
    assert (plain.simulated, plain.cap) == (False, None)
    assert (overlaid.simulated, overlaid.cap) == (True, 900)


@pytest.mark.parametrize(
    ("base", "overlay", "fault"),
    [
        ("name = [", "", "Invalid value"),
        ('name = ["市", "City"]\nhotlime = { value = "1", source = "A.6" }', "", "hotlime"),
        ('name = ["市", "City"]\nhotline = { value = 1, source = "A.6" }', "", "hotline"),
        ('name = ["市", "City"]\nhotline = { value = "1", source = "simulated" }', "", "simulated"),
        ('name = ["市", "City"]', 'hotline = { value = "1", source = "A.6" }', "simulated"),
        (
            'name = ["市", "City"]\nhotline = { value = "1", source = "A.6" }',
            'hotline = { value = "2", source = "simulated" }',
            "twice",
        ),
    ],
)
def test_malformed_files(own_cities: Path, base: str, overlay: str, fault: str) -> None:
    """The error names file and fault."""
    (own_cities / "120000@2026-01-01.toml").write_text(base, encoding="utf-8")
    (own_cities / "120000@2026-01-01+simulated.toml").write_text(overlay, encoding="utf-8")
    with pytest.raises(ProfileError, match=f"(?s)120000@2026-01-01.*{fault}"):
        load_city("120000", DAY, simulated=True)


def made(values: dict[str, Any]) -> City:
    """A city of these values and a name."""
    return City("000000@2026-01-01", msgspec.convert({"name": ["市", "City"]} | values, CityFile), simulated=False)


def sourced(value: Any) -> dict[str, Any]:
    return {"value": value, "source": "C.2"}


def ratio_split(*where: dict[str, Any], acct_scope: str = "none", **figures: str) -> dict[str, Any]:
    """A split that pays 70 % to whom it serves."""
    return {
        "fund": sourced(["基金", "Fund"]),
        "serves": sourced(list(where)),
        "acct_scope": sourced(acct_scope),
    } | {name: sourced(figure) for name, figure in ({"ratio": "0.70"} | figures).items()}


EMPLOYEES = {"med_type": ["11"], "insutype": ["310"], "psn_type": ["11"]}
RETIRED = {"med_type": ["11"], "insutype": ["310"], "psn_type": ["12"]}
PROVISIONAL = {"med_type": ["11"], "insutype": ["310"]}
LIMITS = {
    "bill": "1.00",
    "card_day": "1.00",
    "backlog": "1.00",
    "backlog_count": 1,
    "backlog_hours": 1,
    "cache_hours": 1,
}
RESET = {"reset_place": sourced(["所", "office"])}


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"pin": RESET | {"asked": sourced(["11"]), "default_may_pay": sourced(False)}}, "no place changes it"),
        ({"pin": {"asked": sourced(["11"])}}, "no place resets it"),
        ({"pin": {"min_digits": sourced(3)}}, "shortest one allowed"),
        ({"pin": {"min_digits": sourced(17)}}, "shortest one allowed"),
        ({"pin": {"defaults": sourced(["last_four"])}}, "neither digits nor last_six"),
        ({"pin": {"defaults": sourced(["123"])}}, "neither digits nor last_six"),
        ({"pin": {"defaults": sourced(["１２３４"])}}, "neither digits nor last_six"),
        ({"pin": {"defaults": sourced([f"{number:06}" for number in range(9)])}}, "more default PINs"),
        ({"offline": {"provisional": sourced([PROVISIONAL])}}, "nothing limits"),
        (
            {
                "offline": {
                    "provisional": sourced([PROVISIONAL | {"med_type": ["11", "51"]}]),
                    "limits": sourced(LIMITS),
                }
            },
            "never may be",
        ),
        ({"offline": {"limits": sourced(LIMITS | {"bill": "1.001"})}}, "1.001"),
        ({"splits": {"A": ratio_split(EMPLOYEES), "B": ratio_split(EMPLOYEES)}}, "same person"),
        (
            {
                "splits": {
                    "A": ratio_split(RETIRED | {"age_below": 71}),
                    "B": ratio_split(RETIRED | {"age_from": 70}),
                }
            },
            "same person",
        ),
        (
            {"splits": {"A": ratio_split(EMPLOYEES), "B": ratio_split(RETIRED, acct_scope="all")}},
            "another account scope",
        ),
        (
            {
                "closed": {"x": sourced({"med_type": ["11"], "text": "not_offered"})},
                "splits": {"A": ratio_split(EMPLOYEES)},
            },
            "closed",
        ),
        ({"splits": {"A": ratio_split(EMPLOYEES, fixed="2.00")}}, "either a ratio or a fixed amount"),
        ({"splits": {"A": ratio_split(EMPLOYEES, cap="many")}}, "many"),
    ],
)
def test_profiles_that_are_refused(values: dict[str, Any], fault: str) -> None:
    """Values that do not go together or leave a person no way."""
    with pytest.raises(ProfileError, match=f"000000@2026-01-01: .*{fault}"):
        made(values)


def test_a_default_pin_that_may_not_pay_needs_a_place_to_change_it() -> None:
    """With the place it is a way."""
    pin = RESET | {
        "asked": sourced(["11"]),
        "default_may_pay": sourced(False),
        "change_place": sourced(["药店", "pharmacy"]),
    }
    assert not made({"pin": pin}).default_pin_may_pay


def test_a_default_pin_that_may_not_pay_can_be_changed_at_the_counter() -> None:
    """That is a way too, where no place is named."""
    pin = RESET | {"asked": sourced(["11"]), "default_may_pay": sourced(False), "change_at_counter": sourced(True)}
    assert made({"pin": pin}).pin_change_at_counter


def test_where_counters_change_pins(beijing: City, demo_city: City) -> None:
    """001-20: at designated institutions of the city; 003-2.24 and 002-12 name other places only."""
    assert load_city("530600", DAY, simulated=False).pin_change_at_counter
    assert not beijing.pin_change_at_counter
    assert not load_city("430100", DAY, simulated=False).pin_change_at_counter
    assert (demo_city.pin_change_at_counter, demo_city.pin_min_digits) == (True, 6)
    assert beijing.pin_min_digits == 4  # no source: the card's own minimum (ssc-card.md 5)


@pytest.mark.parametrize(
    ("division", "certno", "pins"),
    [
        ("110000", "990101198802290036", ("290036",)),
        ("110000", "99010119900101006X", ()),  # 003-2.23: ends in X, no six digits
        ("430100", "990101198802290036", ("666666",)),
        ("530600", "99010119900101006X", ("000000",)),
    ],
)
def test_default_pins_of_a_person(division: str, certno: str, pins: tuple[str, ...]) -> None:
    """003-2.23, 002-12, 001-20."""
    assert load_city(division, DAY, simulated=False).default_pins_of(certno) == pins


def test_a_city_that_says_nothing() -> None:
    """National ways, and 12333."""
    city = made({})
    assert (city.rounding, city.hotline, city.default_pins) == ("line", "12333", ())
    assert city.default_pin_may_pay
    assert not city.pin_asked("11")
    assert (city.pin_min_digits, city.pin_change_at_counter) == (4, False)
    assert "12333" in city.pin_reset_place.zh
    assert city.offline("11", "310") == "full_cash"


@pytest.mark.parametrize("path", sorted(CITIES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_closed_kind_of_care_has_a_text(path: Path) -> None:
    """The key is in the catalogue."""
    closed = tomllib.loads(path.read_text(encoding="utf-8")).get("closed", {})
    assert {rule["value"]["text"] for rule in closed.values()} <= texts().keys()


def test_find_rules_is_the_newest(own_cities: Path) -> None:
    """By name over all cities."""
    for day, ratio in (("2025-01-01", "0.60"), ("2026-07-01", "0.65")):
        split = (
            '[splits.X]\nfund = { value = ["基金", "Fund"], source = "C.2" }\n'
            'serves = { value = [], source = "C.2" }\nacct_scope = { value = "none", source = "C.2" }\n'
            f'ratio = {{ value = "{ratio}", source = "C.2" }}\n'
        )
        (own_cities / f"120000@{day}.toml").write_text(f'name = ["市", "City"]\n{split}', encoding="utf-8")
    assert profile.find_rules("X").ratio == "0.65"
    assert city_of_version("120000@2025-01-01").rules("X").ratio == "0.60"
