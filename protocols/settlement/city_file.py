"""City profiles as files: the TOML in `cities/`, its shapes, and the overlay of simulated values.

A file is named as events record it, `<division>@<valid from>.toml`; beside each value stands the rule of
settlement.md it comes from and, where the sheet gives one, its confidence mark. What no source gives is
absent. `<name>+simulated.toml` is an overlay that adds made-up values and changes none; a city may consist
of it alone.
"""

import re
import tomllib
from datetime import date
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import msgspec

from protocols.settlement.bill import AcctScope, Rounding
from protocols.settlement.codes import Label
from protocols.settlement.money import fen
from protocols.settlement.split import SplitRules

CITIES = Path(__file__).with_name("cities")
SIMULATED = "simulated"
_NAME = re.compile(r"(\d{6})@(\d{4}-\d\d-\d\d)(\+simulated)?", re.ASCII)

Value = TypeVar("Value")
Value_co = TypeVar("Value_co", covariant=True)
Other = TypeVar("Other")


class ProfileError(ValueError):
    """A city profile that is malformed or leaves a person no way; names the file and the fault."""


class Sourced(msgspec.Struct, Generic[Value_co], frozen=True, forbid_unknown_fields=True):
    """A value, the rule it comes from and the mark of settlement.md B and C; founding rules carry no mark."""

    value: Value_co
    source: str
    mark: Literal["A", "B", "C", "D"] | None = None


def value_of(sourced: Sourced[Value] | None, otherwise: Other) -> Value | Other:
    """The value alone, or `otherwise` where no source gives one."""
    return otherwise if sourced is None else sourced.value


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Kinds of care, of insurance, of persons (groups of `psn_type`), and ages in years."""

    med_type: tuple[str, ...]
    insutype: tuple[str, ...]
    psn_type: tuple[str, ...] = ("",)
    age_from: int = 0
    age_below: int = 200

    def covers(self, med_type: str, insutype: str) -> bool:
        """Whether it is about this care under this insurance."""
        return med_type in self.med_type and insutype in self.insutype

    def covers_person(self, psn_type: str, age: int) -> bool:
        """Whether it is about this person."""
        return psn_type.startswith(self.psn_type) and self.age_from <= age < self.age_below

    @property
    def pairs(self) -> frozenset[tuple[str, str]]:
        """Every kind of care with every insurance."""
        return frozenset(product(self.med_type, self.insutype))

    def overlaps(self, other: "Where") -> bool:
        """Whether some person and care are covered by both."""
        kinds = product(self.psn_type, other.psn_type)
        return (
            bool(self.pairs & other.pairs)
            and any(one.startswith(two) or two.startswith(one) for one, two in kinds)
            and max(self.age_from, other.age_from) < min(self.age_below, other.age_below)
        )


class SplitFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named split: whom it serves, and the figures of `SplitRules` in yuan."""

    fund: Sourced[Label]
    serves: Sourced[tuple[Where, ...]]
    acct_scope: Sourced[AcctScope]
    fixed: Sourced[str] | None = None
    deductible: Sourced[str] | None = None
    deductible_per: Sourced[Literal["year", "visit"]] | None = None
    ratio: Sourced[str] | None = None
    cap: Sourced[str] | None = None
    limit: Sourced[str] | None = None
    supplement: Sourced[str] | None = None

    def rules(self, name: str) -> SplitRules:
        """The figures alone; `ValueError` unless they go together."""

        def amount(value: Sourced[str] | None) -> int | None:
            return None if value is None else fen(value.value)

        given = [value for value in msgspec.structs.astuple(self) if value is not None]
        return SplitRules(
            name=name,
            fund=self.fund.value,
            simulated=any(value.source == SIMULATED for value in given),
            acct_scope=self.acct_scope.value,
            fixed=amount(self.fixed),
            deductible=amount(self.deductible),
            deductible_per=value_of(self.deductible_per, "year"),
            ratio=value_of(self.ratio, None),
            cap=amount(self.cap),
            limit=amount(self.limit),
            supplement=value_of(self.supplement, None),
        )


class Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Kinds of care the city keeps off the card, and the text that says so."""

    med_type: tuple[str, ...]
    text: str


class PinFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Kinds of care that ask for a PIN; what a PIN is at first and how short it may be; where it is changed and reset.

    `change_at_counter`: the counters of this city change the PINs of its own cardholders.
    """

    asked: Sourced[tuple[str, ...]] | None = None
    defaults: Sourced[tuple[str, ...]] | None = None
    default_may_pay: Sourced[bool] | None = None
    min_digits: Sourced[int] | None = None
    change_at_counter: Sourced[bool] | None = None
    change_place: Sourced[Label] | None = None
    reset_place: Sourced[Label] | None = None


class LimitsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to where bills are settled without the centre; amounts in yuan."""

    bill: str
    card_day: str
    backlog: str
    backlog_count: int
    backlog_hours: int
    cache_hours: int


class OfflineFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of bills while the centre is away: those settled provisionally, and all others."""

    otherwise: Sourced[Literal["refuse", "full_cash"]] | None = None
    provisional: Sourced[tuple[Where, ...]] | None = None
    limits: Sourced[LimitsFile] | None = None


class CityFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that a city lays down."""

    name: Label
    hotline: Sourced[str] | None = None
    rounding: Sourced[Rounding] | None = None
    accumulator_year: Sourced[Literal["visit", "settlement"]] | None = None
    pin: PinFile = PinFile()
    offline: OfflineFile = OfflineFile()
    closed: dict[str, Sourced[Closed]] = {}
    splits: dict[str, SplitFile] = {}


def version_name(division: str, valid_from: date, *, simulated: bool) -> str:
    """`110000@2026-01-01` or `110000@2026-01-01+simulated`."""
    return f"{division}@{valid_from}{'+' + SIMULATED if simulated else ''}"


@cache
def city_versions(*, simulated: bool) -> tuple[tuple[str, date], ...]:
    """Division and first day of every profile, in order; those of overlay alone only with `simulated`."""
    names = (_NAME.fullmatch(path.stem) for path in CITIES.glob("*.toml"))
    return tuple(
        sorted({(name[1], date.fromisoformat(name[2])) for name in names if name and (simulated or not name[3])})
    )


def read_city(name: str) -> tuple[CityFile, bool]:
    """The profile of a version name and whether simulated values are in it.

    `KeyError` where there is none; `ProfileError` where a file is malformed.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        raise KeyError(name)
    plain = name.removesuffix(match[3] or "")
    paths = [CITIES / f"{stem}.toml" for stem in dict.fromkeys((plain, name))]
    paths = [path for path in paths if path.is_file()]
    if not paths:
        raise KeyError(name)
    values: dict[str, Any] = {}
    try:
        for path in paths:
            part = tomllib.loads(path.read_text(encoding="utf-8"))
            add_values(values, part, simulated=path.stem != plain)
        return msgspec.convert(values, CityFile), paths[-1].stem != plain
    except ValueError as error:
        raise ProfileError(f"{name}: {error}") from error


def add_values(values: dict[str, Any], part: dict[str, Any], *, simulated: bool) -> None:
    """Add a file's values; `ValueError` where one is there already or is simulated in the wrong file."""
    for key, value in part.items():
        if isinstance(value, dict) and "value" not in value:
            add_values(values.setdefault(key, {}), value, simulated=simulated)
            continue
        if key in values:
            raise ValueError(f"{key} is given twice")
        if isinstance(value, dict) and (value.get("source") == SIMULATED) != simulated:
            raise ValueError(f"{key}: simulated values stand in overlays, and only they do")
        values[key] = value
