"""Writes the reference page: `python -m host_bridge.conformance.reader.page > docs/reader-conformance.md`."""

from hardware.virtual.reader_faults import FAULTS
from host_bridge.conformance.case import Case
from host_bridge.conformance.reader.bench import ABILITIES
from host_bridge.conformance.reader.suite import CASES, SUITE

HEAD = """# Checking a reader

Made by `make gen` from `host_bridge/conformance/reader/` and `hardware/virtual/reader_faults.py`.

```sh
mkdir slot
ssc virtual card make-test --output slot/card.test
ssc virtual reader run --slot slot --link reader          # in another window; or a reader of yours
ssc reader conformance --reader serial:reader --slot-folder slot --html report.html
ssc reader conformance --reader "pcsc:Alcor Micro AU9540 00 00" --by-hand
```

| option | what it does |
|---|---|
| `--reader ADDRESS` | which reader, see [terminal.md](terminal.md) |
| `--slot-folder DIR` | the folder that is the slot of a virtual reader: its card is taken out and put in |
| `--by-hand` | a person is asked to do so |
| `--group NAME` | these groups only; may be given several times |
| `--seed N` | the random numbers of another run again; every report tells its own |
| `--html FILE`, `--junit FILE` | a page to read, and JUnit XML for machines |
| `--json` | the last line is one object, see below; or `error`, where the run did not begin |

The object has `cases`, `passed`, `failed`, `skipped`, `card`, `seed`, `reader`, `results`, and `firmware` where the
reader tells it.

Exit code 0: nothing failed. 1: a check failed. 2: the run did not begin or the report could not be written.

A check that cannot be done is `skipped`, never passed, and says what is missing:

| missing | what it is |
|---|---|
"""

TEST_CARD = """
The test card answers, counts and misbehaves as APDUs tell it (`protocols/iso7816/test_card.py`): NULL bytes,
single-byte ACK, damaged characters, refused and altered PPS, silence, removal at a given character. It does so behind a
contact line: in the folder of a virtual reader. `virtual:FILE.test` and `ssc virtual card run FILE.test --vpcd` carry
whole APDUs and have none. Any other card is reset and selected and nothing else.

The contact line of a virtual reader carries characters, not bits: a damaged one stays damaged. What the error signal
repairs is not proven here.

"""

CHECKS = """
## Checks

Sources are sections of `reader.md`.

"""

FAULTY = """
## Readers that must fail

`ssc virtual reader run --slot DIR --reader-fault NAME` runs a reader with one fault. Each makes its own check fail and
no other.

| fault | 说明 · what is wrong | check |
|---|---|---|
"""


def page() -> str:
    """The page as Markdown."""
    missing = "".join(f"| `{name}` | {zh}<br>{en} |\n" for name, (zh, en) in ABILITIES.items())
    checks = "\n".join(map(_group, SUITE.groups))
    faults = "".join(f"| `{fault.name}` | {fault.zh}<br>{fault.en} | `{fault.fails}` |\n" for fault in FAULTS)
    return HEAD + missing + TEST_CARD + CHECKS.lstrip() + checks + FAULTY + faults


def _group(group: str) -> str:
    zh, en = SUITE.groups[group]
    head = f"### {group}: {zh} · {en}\n\n| check | 内容 · what | source | needs |\n|---|---|---|---|\n"
    return head + "".join(map(_row, (case for case in CASES if case.group == group)))


def _row(case: Case) -> str:
    return f"| `{case.id}` | {case.zh}<br>{case.en} | {case.fact} | {', '.join(case.needs)} |\n"


if __name__ == "__main__":
    print(page(), end="")
