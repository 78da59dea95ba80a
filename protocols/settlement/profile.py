"""What a city lays down about splits, PIN, account and lost lines, as valid on a date."""

import re
from collections.abc import Iterator
from datetime import date
from functools import cache
from typing import Literal, NamedTuple

from protocols.settlement.bill import AcctScope, Rounding
from protocols.settlement.city_file import (
    CityFile,
    ProfileError,
    Where,
    city_versions,
    read_city,
    value_of,
    version_name,
)
from protocols.settlement.codes import Label
from protocols.settlement.money import fen
from protocols.settlement.split import SplitRules
from protocols.sscard.pad import MAX_FORBIDDEN
from protocols.sscard.pin import MAX_DIGITS, MIN_DIGITS

INPATIENT = ("21", "22", "23", "24", "52")
NEVER_PROVISIONAL = (*INPATIENT, "14", "51", "53")
"""Kinds of care that are never settled without the centre (settlement.md B.10, design 3.4)."""
LAST_SIX = "last_six"
"""A default PIN that is the end of the holder's social security number."""
_DEFAULT_PIN = re.compile(rf"{LAST_SIX}|\d{{{MIN_DIGITS},{MAX_DIGITS}}}", re.ASCII)

OfflineRule = Literal["refuse", "full_cash", "provisional"]


class NotOffered(LookupError):
    """No split of the city settles this care of this person: `key` of the text, `reason` the rule, if any."""

    def __init__(self, key: str, reason: str = "") -> None:
        super().__init__(f"{key} ({reason})" if reason else key)
        self.key = key
        self.reason = reason


class OfflineLimits(NamedTuple):
    """Up to where bills are settled without the centre; amounts in fen."""

    bill_fen: int
    card_day_fen: int
    backlog_fen: int
    backlog_count: int
    backlog_hours: int
    cache_hours: int


class City:
    """A city as it is on one date, with or without simulated values; read-only."""

    def __init__(self, versions_name: str, file: CityFile, *, simulated: bool) -> None:
        """`ProfileError` where the values do not go together or leave a person no way."""
        self.versions_name = versions_name
        self.simulated = simulated
        self._file = file
        try:
            self._rules = {name: split.rules(name) for name, split in file.splits.items()}
            self.offline_limits = self._offline_limits()
        except ValueError as error:
            raise ProfileError(f"{versions_name}: {error}") from error
        found = tuple(self._faults())
        if found:
            raise ProfileError(f"{versions_name}: {'; '.join(found)}")

    @property
    def name(self) -> Label:
        """Such as 北京市."""
        return self._file.name

    @property
    def hotline(self) -> str:
        """The number people call; 12333 in the whole country."""
        return value_of(self._file.hotline, "12333")

    @property
    def rounding(self) -> Rounding:
        """Per line, as the national interface has it, unless the city says otherwise (settlement.md C.1)."""
        return value_of(self._file.rounding, "line")

    @property
    def pin_reset_place(self) -> Label:
        """Where the city's cardholders have a PIN reset; the hotline where no rule names a place."""
        hotline = Label(f"请拨打 {self.hotline} 咨询", f"ask {self.hotline}")
        return value_of(self._file.pin.reset_place, hotline)

    @property
    def pin_change_place(self) -> Label | None:
        """Where a PIN can be changed, if a rule says so."""
        return value_of(self._file.pin.change_place, None)

    @property
    def pin_change_at_counter(self) -> bool:
        """Whether counters of this city change the PINs of its cardholders (001-20); no where no rule says so."""
        return value_of(self._file.pin.change_at_counter, False)

    @property
    def pin_min_digits(self) -> int:
        """How many digits a new PIN has at least; the card's own minimum where the city names none."""
        return value_of(self._file.pin.min_digits, MIN_DIGITS)

    @property
    def default_pins(self) -> tuple[str, ...]:
        """PINs of new cards: digits, or `last_six` of the social security number (003-2.23)."""
        return value_of(self._file.pin.defaults, ())

    def default_pins_of(self, certno: str) -> tuple[str, ...]:
        """The default PINs of one person as digits; a number that ends in X gives none of `last_six` (003-2.23)."""
        pins = (certno[-6:] if pin == LAST_SIX else pin for pin in self.default_pins)
        return tuple(pin for pin in pins if pin.isdecimal())

    @property
    def default_pin_may_pay(self) -> bool:
        """Whether a card that still has its default PIN may settle; yes where the city does not forbid it."""
        return value_of(self._file.pin.default_may_pay, True)

    @property
    def split_names(self) -> tuple[str, ...]:
        """The named splits of this city."""
        return tuple(self._rules)

    def rules(self, split_name: str) -> SplitRules:
        """A named split; `KeyError` where the city has none of that name."""
        return self._rules[split_name]

    def split_for(self, insutype: str, psn_type: str, age: int, med_type: str) -> SplitRules:
        """The split of this person and kind of care, or `NotOffered`."""
        for closed in self._file.closed.values():
            if med_type in closed.value.med_type:
                raise NotOffered(closed.value.text, closed.source)
        for name, where in self._served():
            if where.covers(med_type, insutype) and where.covers_person(psn_type, age):
                return self._rules[name]
        raise NotOffered("not_offered")

    def pin_asked(self, med_type: str) -> bool:
        """Whether the cardholder's PIN is asked for before this kind of care is settled."""
        return med_type in value_of(self._file.pin.asked, ())

    def acct_scope(self, insutype: str, med_type: str) -> AcctScope:
        """What the personal account may pay; all splits of this care and insurance agree on it."""
        for name, where in self._served():
            if where.covers(med_type, insutype):
                return self._rules[name].acct_scope
        return "none"

    def offline(self, med_type: str, insutype: str) -> OfflineRule:
        """What becomes of a bill while the centre is away (design 3.4)."""
        if med_type in INPATIENT:
            return "refuse"
        if any(where.covers(med_type, insutype) for where in value_of(self._file.offline.provisional, ())):
            return "provisional"
        return value_of(self._file.offline.otherwise, "full_cash")

    def accumulator_year(self, visit: date, settlement: date) -> int:
        """The year whose accumulators a settlement uses and changes (settlement.md C.1)."""
        return settlement.year if value_of(self._file.accumulator_year, "visit") == "settlement" else visit.year

    def _served(self) -> Iterator[tuple[str, Where]]:
        for name, split in self._file.splits.items():
            for where in split.serves.value:
                yield name, where

    def _offline_limits(self) -> OfflineLimits | None:
        limits = value_of(self._file.offline.limits, None)
        if limits is None:
            return None
        return OfflineLimits(
            fen(limits.bill),
            fen(limits.card_day),
            fen(limits.backlog),
            limits.backlog_count,
            limits.backlog_hours,
            limits.cache_hours,
        )

    def _faults(self) -> Iterator[str]:
        yield from self._pin_faults()
        yield from self._care_faults()

    def _pin_faults(self) -> Iterator[str]:
        if value_of(self._file.pin.asked, ()):
            changed = self.pin_change_at_counter or self.pin_change_place is not None
            if not self.default_pin_may_pay and not changed:
                yield "a default PIN may not pay and no place changes it"
            if self._file.pin.reset_place is None:
                yield "a PIN is asked for and no place resets it"
        if not MIN_DIGITS <= self.pin_min_digits <= MAX_DIGITS:
            yield "no PIN of a card is as long as the shortest one allowed"
        if not all(map(_DEFAULT_PIN.fullmatch, self.default_pins)):
            yield "a default PIN is neither digits nor last_six"
        if len(self.default_pins) > MAX_FORBIDDEN:
            yield "there are more default PINs than a PIN pad compares"

    def _care_faults(self) -> Iterator[str]:
        provisional = value_of(self._file.offline.provisional, ())
        if provisional and self.offline_limits is None:
            yield "bills are settled without the centre and nothing limits them"
        if any(med_type in NEVER_PROVISIONAL for where in provisional for med_type in where.med_type):
            yield "a kind of care is settled without the centre that never may be"
        shut = {med_type for closed in self._file.closed.values() for med_type in closed.value.med_type}
        served = list(self._served())
        for number, (name, where) in enumerate(served):
            if shut & set(where.med_type):
                yield f"{name} serves a kind of care that is closed"
            for other, elsewhere in served[:number]:
                scopes = {self._rules[name].acct_scope, self._rules[other].acct_scope}
                if where.pairs & elsewhere.pairs and len(scopes) > 1:
                    yield f"{name} and {other} serve the same care with another account scope"
                if where.overlaps(elsewhere):
                    yield f"{name} and {other} serve the same person"


@cache
def city_of_version(name: str) -> City:
    """The profile that an event names; `KeyError` where there is none, `ProfileError` where it is bad."""
    file, simulated = read_city(name)
    return City(name if simulated else name.partition("+")[0], file, simulated=simulated)


def load_city(admdvs: str, on: date, *, simulated: bool) -> City:
    """The profile of a division, or of the city or province it lies in, as valid on a date.

    With `simulated` the overlay's values are in it. `KeyError` where no profile is valid.
    """
    wider = (admdvs[:4] + "00", admdvs[:2] + "0000") if len(admdvs) == 6 else ()
    for division in (admdvs, *wider):
        days = [day for known, day in city_versions(simulated=simulated) if known == division and day <= on]
        if days:
            return city_of_version(version_name(division, max(days), simulated=simulated))
    raise KeyError(admdvs)


def find_rules(name: str, simulated: bool = True) -> SplitRules:
    """A split by its name, unique over all cities, as in its city's newest profile; `KeyError` else."""
    for division, day in reversed(city_versions(simulated=simulated)):
        city = city_of_version(version_name(division, day, simulated=simulated))
        if name in city.split_names:
            return city.rules(name)
    raise KeyError(name)
