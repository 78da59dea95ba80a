"""Writes the reference page of all faults: `python -m hardware.virtual.faults_page > docs/card-faults.md`."""

from hardware.virtual.chips import MARK, TARGET
from hardware.virtual.faults import FAULTS
from hardware.virtual.faulty_card import Fault

HEAD = f"""# Faults of simulated cards

Made by `make gen` from `hardware/virtual/faults.py`. Each breaks one rule of the card and leaves every other as it
is, and makes one check of [`ssc card conformance`](card-conformance.md) fail.

A card file whose name ends in `{MARK}` and a fault has it, in this process and in the folder of a virtual reader alike:

```sh
ssc virtual card make hardware/virtual/people/employee.toml --output employee{MARK}counter_stays.card
ssc card conformance --reader virtual:employee{MARK}counter_stays.card --keys simulated --destructive
```

`ssc virtual card run FILE --fault NAME` gives one to a card of another name. A fault with a file below is about that
file, or about another that is named behind it: `free_read{TARGET}DF04_EF05`. What a fault remembers, it remembers until
the card leaves its reader, in this process until it is powered off.

| fault | 说明 · what is wrong | file |
|---|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    return HEAD + "".join(map(_row, FAULTS))


def _row(fault: Fault) -> str:
    return f"| `{fault.name}` | {fault.zh}<br>{fault.en} | {fault.file} |\n"


if __name__ == "__main__":
    print(page(), end="")
