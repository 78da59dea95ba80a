"""Simulated people of two cities; their citizen numbers begin with 99."""

import tomllib
from datetime import date
from pathlib import Path
from random import Random
from typing import NamedTuple

from protocols.sscard.identity import card_no_check, citizen_check

_KINDS = (("310", "1101", 1970), ("310", "1201", 1940), ("390", "1501", 1960), ("390", "1401", 2012))
"""Insurance, person kind, and the earliest year of birth."""


class Patient(NamedTuple):
    """Somebody the centre knows."""

    certno: str
    card_no: str
    brdy: date
    insuplc_admdvs: str


def write_people(folder: Path, count: int, random: Random) -> None:
    """Person files for import at the centre."""
    for number in range(count):
        insutype, psn_type, year = _KINDS[number % len(_KINDS)]
        city = ("110000", "990101")[number // len(_KINDS) % 2]
        brdy = date(year + random.randrange(10), random.randint(1, 12), random.randint(1, 28))
        digits = f"990101{brdy:%Y%m%d}{100 + number:03d}"
        card_no = f"S{number:07d}"
        balc = f'balc = "{random.randint(0, 900)}.50"\n' if city == "990101" else ""
        (folder / f"{number:03d}.toml").write_text(
            f'certno = "{digits}{citizen_check(digits)}"\n\n[card]\ncard_no = "{card_no}{card_no_check(card_no)}"\n\n'
            f'[insurance]\ninsutype = "{insutype}"\npsn_type = "{psn_type}"\ninsuplc_admdvs = "{city}"\n\n'
            f'[centre]\nyear = 2026\n{balc}inscope = "{random.randint(0, 1900)}.25"\n'
            f'big = "{random.randint(0, 90)}.00"\n'
        )


def read_people(folder: Path) -> list[Patient]:
    """The patients of person files."""
    people = []
    for path in sorted(folder.glob("*.toml")):
        person = tomllib.loads(path.read_text())
        certno = person["certno"]
        brdy = date(int(certno[6:10]), int(certno[10:12]), int(certno[12:14]))
        people.append(Patient(certno, person["card"]["card_no"], brdy, person["insurance"]["insuplc_admdvs"]))
    return people
