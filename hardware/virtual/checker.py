"""Compare independent records of a stopped site event by event, to the cent: paper, journals, ledger, receipts.

Standard library only, run as `python -I checker.py FOLDER`, so that nothing of the product can vouch for itself.
Prints one JSON object; exit 1 where anything differs. FOLDER holds `centre/centre.db` and one folder a terminal with
`state/journal.db`, `paper/*.txt` and, where the screen was recorded, `shown.txt`.
"""

import argparse
import hashlib
import json
import re
import sqlite3
import sys
import tomllib
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

EVENT_HASH = b"ssc-event-1"
SLIP = re.compile(r"^#(\S+/\d+/\d+) (-?\d+) (-?\d+) (-?\d+) (-?\d+) ([0-9a-f]{16})$", re.MULTILINE)
REPRINT = "补打"
PAYERS = {"fund_pay_sumamt": ("big", "supp"), "acct_pay": ("acct",), "psn_cash_pay": ("cash",)}
MONEY = ("settlement", "refund")
NO_CENTRE = {f"S-{number}" for number in range(117, 126)}
"""Why a bill was paid in full cash where the centre would have been needed (`protocols/texts/counter.toml`)."""


class Amounts(NamedTuple):
    """Fen of one event: the bill and who pays it."""

    medfee_sumamt: int
    fund_pay_sumamt: int
    acct_pay: int
    psn_cash_pay: int


class Record(NamedTuple):
    """One event in a record: `digest` may be the first part of the hash only.

    `inscope` fen went into the person's accumulators; `big` whether what the fund paid did.
    """

    kind: str
    amounts: Amounts
    digest: str
    offline: bool = False
    inscope: int = 0
    big: bool = False


class Receipt(NamedTuple):
    """A receipt on the wire, and whether the ledger had its event, committed, when it passed the tap."""

    terminal: str
    epoch: int
    seq: int
    hash: str
    booked: bool


class Ledger(NamedTuple):
    """The centre's record: money and hash of what is booked, the hash of what has its place in the chain.

    `twice` events or visits are booked more than once; `unbalanced` counts bookings and persons whose sums are wrong.
    """

    booked: dict[str, Record]
    hashes: dict[str, str]
    twice: int
    adjusted: int
    unbalanced: int


class Problems(list[str]):
    """What differs, in words."""

    def expect(self, holds: bool, what: str) -> bool:
        """Note `what` unless it holds; whether it does."""
        if not holds:
            self.append(what)
        return holds


def read_only(path: Path) -> sqlite3.Connection:
    """A database that the checker cannot change."""
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)


def read_journal(path: Path, problems: Problems) -> tuple[dict[str, Record], set[tuple[str, str]]]:
    """All events of a journal by id, and the event (id and hash) of its mark, if it has one.

    The hash chain from the enrolment record on is computed anew.
    """
    with read_only(path) as journal:
        (enrolment,) = journal.execute("SELECT record FROM enrolment").fetchone()
        rows = journal.execute("SELECT seq, id, hash, prev, data FROM event ORDER BY seq").fetchall()
        mark, mark_hash = journal.execute("SELECT mark_seq, mark_hash FROM state").fetchone()
    before = hashlib.sha256(enrolment).hexdigest()
    hashes = {0: before}
    found: dict[str, Record] = {}
    for count, (seq, name, digest, prev, data) in enumerate(rows, start=1):
        event = json.loads(data)
        computed = hashlib.sha256(EVENT_HASH + data).hexdigest()
        problems.expect(seq == count, f"{name}: number {seq}, expected {count}")
        problems.expect(digest == computed, f"{name}: stored hash is not that of the bytes")
        problems.expect(prev == before == event["prev"], f"{name}: the chain is broken")
        problems.expect(event["id"] == name, f"{name}: bytes say {event['id']}")
        before = hashes[seq] = computed
        original = found.get(event["data"].get("original"))
        found[name] = record_of(name, event["data"], computed, original, problems)
    problems.expect(mark == len(rows), f"{path}: receipted up to {mark} of {len(rows)}")
    problems.expect(hashes.get(mark) == mark_hash, f"{path}: the receipt's hash is not the journal's")
    return found, {(rows[mark - 1][1], mark_hash)} if 0 < mark <= len(rows) else set()


def record_of(name: str, data: dict[str, Any], digest: str, original: Record | None, problems: Problems) -> Record:
    """An event's money; the identities I1 to I3 and I6 of the split are checked on the way.

    `original` is what a refund takes back.
    """
    if data["kind"] not in MONEY:
        return Record(data["kind"], Amounts(0, 0, 0, 0), digest)
    split = data["split"]
    parts = ("fulamt_ownpay_amt", "overlmt_selfpay", "preselfpay_amt", "inscp_scp_amt")
    total, fund, personal = split["medfee_sumamt"], split["fund_pay_sumamt"], split["psn_part_amt"]
    problems.expect(total == sum(split[part] for part in parts), f"{name}: I1 does not hold")
    problems.expect(total == fund + personal, f"{name}: I2 does not hold")
    problems.expect(personal == split["acct_pay"] + split["psn_cash_pay"], f"{name}: I3 does not hold")
    problems.expect(total == fund + split["self1"] + split["self2"] + split["self_out"], f"{name}: I6 does not hold")
    amounts = Amounts(*(split[field] for field in Amounts._fields))
    if data["kind"] == "refund":
        problems.expect(original is not None, f"{name}: takes back what is not before it")
        inscope, big = (-original.inscope, original.big) if original else (0, False)
        return Record("refund", amounts, digest, False, inscope, big)
    alone = data["mode"] == "provisional" or data.get("reason") in NO_CENTRE
    before, counts = data["before"], data["mode"] != "full_cash"
    big = counts and split["after_big"] - before["big"] == split["big"]
    return Record("settlement", amounts, digest, alone, split["after_inscope"] - before["inscope"], big)


def read_paper(folder: Path, problems: Problems) -> tuple[dict[str, Record], int]:
    """Receipts by event id, and how many events were printed twice without saying so."""
    found: dict[str, Record] = {}
    originals: set[str] = set()
    twice = 0
    for slip in sorted(folder.glob("*.txt")):
        text = slip.read_text()
        for name, *amounts, digest in SLIP.findall(text):
            found[name] = Record("", Amounts(*map(int, amounts)), digest)
            if REPRINT not in text:
                twice += name in originals
                originals.add(name)
        problems.expect(bool(SLIP.search(text)) or "指引" in text, f"{slip.name}: no line that names its event")
    return found, twice


def read_shown(path: Path) -> list[tuple[str, Record]]:
    """Results as the screen had them, by event id."""
    lines = SLIP.findall(path.read_text()) if path.exists() else []
    return [(name, Record("", Amounts(*map(int, amounts)), digest)) for name, *amounts, digest in lines]


def read_ledger(path: Path, opening: Path | None, journal: dict[str, Record], problems: Problems) -> Ledger:
    """The centre's record; `opening` has the files of the persons it started with."""
    with read_only(path) as ledger:
        events = ledger.execute("SELECT terminal, epoch, seq, hash, data, state FROM events").fetchall()
        booked = ledger.execute("SELECT id, terminal, epoch, seq, kind, mdtrt_id, original_id FROM bookings").fetchall()
        lines = ledger.execute("SELECT booking_id, adjustment_id, account, amount_fen FROM ledger").fetchall()
        (adjusted,) = ledger.execute("SELECT count(*) FROM adjustments WHERE reverses IS NULL").fetchone()
        unbalanced = 0 if opening is None else wrong_persons(ledger, opening, journal, problems)
    hashes, placed = {}, {}
    for terminal, epoch, seq, digest, data, state in events:
        name = f"{terminal}/{epoch}/{seq}"
        hashes[name] = hashlib.sha256(EVENT_HASH + data).hexdigest()
        if state != "waiting":
            placed[name] = hashes[name]
        problems.expect(digest == hashes[name], f"{name}: the centre's hash is not that of its bytes")
        problems.expect(state == "booked", f"{name}: {state} at the centre")
    problems.expect(sum(line[3] for line in lines) == 0, "the ledger does not balance")
    totals: Counter[tuple[int, str]] = Counter()
    sums: Counter[tuple[int, int | None]] = Counter()
    for booking, adjustment, account, amount in lines:
        sums[booking, adjustment] += amount
        if adjustment is None:
            totals[booking, account] += amount
    for (booking, _), amount in sums.items():
        unbalanced += not problems.expect(amount == 0, f"booking {booking} does not balance")
    found: dict[str, Record] = {}
    happened: Counter[tuple[str, object]] = Counter()
    for booking, terminal, epoch, seq, kind, mdtrt_id, original in booked:
        name = f"{terminal}/{epoch}/{seq}"
        happened[kind, mdtrt_id if kind == "settlement" else original or name] += 1
        happened["event", name] += 1
        payers = {field: sum(totals[booking, account] for account in accounts) for field, accounts in PAYERS.items()}
        found[name] = Record(kind, Amounts(-totals[booking, "institution"], **payers), hashes.get(name, ""))
    twice = {what for what, times in happened.items() if times > 1}
    for kind, what in twice:
        problems.append(f"{kind} {what}: booked more than once")
    return Ledger(found, placed, len(twice), adjusted, unbalanced)


def wrong_persons(ledger: sqlite3.Connection, opening: Path, journal: dict[str, Record], problems: Problems) -> int:
    """How many accumulators and accounts are not the opening value and what journals and ledger lines add to it."""
    people = {certno: key for key, certno in ledger.execute("SELECT id, certno FROM people")}
    sums: dict[tuple[int, str, int], list[int]] = {}
    accounts: Counter[int] = Counter()
    for path in opening.glob("*.toml"):
        person = tomllib.loads(path.read_text())
        key, centre = people[person["certno"]], person["centre"]
        sums[key, person["insurance"]["insutype"], centre["year"]] = [1, fen(centre["inscope"]), fen(centre["big"])]
        if "balc" in centre:
            accounts[key] = fen(centre["balc"])
    for terminal, epoch, seq, key, insutype, year, big, acct in ledger.execute(
        "SELECT terminal, epoch, seq, person_id, insutype, year, sum(amount_fen * (account = 'big')),"
        " sum(amount_fen * (account = 'acct')) FROM bookings LEFT JOIN ledger ON bookings.id = booking_id"
        " WHERE mode != 'full_cash' GROUP BY bookings.id"
    ):
        event = journal.get(f"{terminal}/{epoch}/{seq}")
        if event is not None:
            place = sums.setdefault((key, insutype, year), [0, 0, 0])
            place[:] = place[0] + 1, place[1] + event.inscope, place[2] + (big or 0) * event.big
            accounts[key] -= acct or 0
    kept = {
        (key, insutype, year): amounts
        for key, insutype, year, *amounts in ledger.execute(
            "SELECT person_id, insutype, year, version, inscope_fen, big_fen FROM accumulators"
        )
    }
    wrong = 0
    for where in sums.keys() | kept.keys():
        expected, found = sums.get(where), kept.get(where)
        wrong += not problems.expect(expected == found, f"person {where}: accumulators {found}, booked {expected}")
    balances = dict(ledger.execute("SELECT person_id, balc_fen FROM accounts"))
    for key, balance in balances.items():
        wrong += not problems.expect(accounts[key] == balance, f"person {key}: {balance}, booked {accounts[key]}")
    return wrong


def fen(yuan: str) -> int:
    """Fen of a decimal in yuan."""
    return int(Decimal(yuan) * 100)


def read_tap(path: Path) -> list[Receipt]:
    """The receipts as they left the centre, one JSON line each: `payload`, and `booked` as the tap saw it."""
    found = []
    for line in path.read_text().splitlines():
        tapped = json.loads(line)
        receipt = json.loads(tapped["payload"])["receipt"]
        terminal, epoch, seq, digest = (receipt[name] for name in Receipt._fields[:4])
        found.append(Receipt(terminal, epoch, seq, digest, tapped["booked"]))
    return found


def early_receipts(receipts: list[Receipt], ledger: Ledger, problems: Problems) -> int:
    """How many receipts stand for an event that the ledger had not committed then, or does not have now."""
    early = 0
    for each in receipts:
        name = f"{each.terminal}/{each.epoch}/{each.seq}"
        kept = each.seq == 0 or ledger.hashes.get(name) == each.hash
        early += not problems.expect(each.booked and kept, f"{name}: receipted before it was committed")
    return early


def compare(folder: Path, visits: int | None, tap: Path | None, opening: Path | None) -> dict[str, Any]:
    """The result object; `problems` is empty where the records agree."""
    problems = Problems()
    journal: dict[str, Record] = {}
    paper: dict[str, Record] = {}
    shown: list[tuple[str, Record]] = []
    marks: set[tuple[str, str]] = set()
    printed_twice = 0
    for path in sorted(folder.glob("*/state/journal.db")):
        events, mark = read_journal(path, problems)
        journal |= events
        marks |= mark
        slips, twice = read_paper(path.parent.parent / "paper", problems)
        paper |= slips
        shown += read_shown(path.parent.parent / "shown.txt")
        printed_twice += twice
    ledger = read_ledger(folder / "centre" / "centre.db", opening, journal, problems)
    early = 0
    if tap is not None:
        receipts = read_tap(tap)
        early = early_receipts(receipts, ledger, problems)
        sent = {(f"{each.terminal}/{each.epoch}/{each.seq}", each.hash) for each in receipts}
        for name, _ in marks - sent:
            problems.append(f"{name}: the journal's mark, which no receipt gave")

    lost = unbalanced = 0
    for name in sorted(ledger.booked.keys() - journal.keys()):
        problems.append(f"{name}: in the ledger, in no journal")
    for where, results in (("on paper", paper.items()), ("on the screen", shown)):
        for name, said in results:
            known = journal.get(name)
            if known is None:
                lost += 1
                problems.append(f"{name}: {where}, in no journal")
                continue
            problems.expect(said.amounts == known.amounts, f"{name}: {known.amounts} {where} as {said.amounts}")
            problems.expect(known.digest.startswith(said.digest), f"{name}: another hash {where}")
    for name, event in journal.items():
        booked = ledger.booked.get(name)
        if booked is None:
            lost += 1
            problems.append(f"{name}: in the journal, not in the ledger")
            continue
        problems.expect(booked.digest == event.digest, f"{name}: other bytes at the centre")
        problems.expect(booked.kind == event.kind, f"{name}: {event.kind} booked as {booked.kind}")
        if event.kind in MONEY:
            same = booked.amounts == event.amounts
            unbalanced += not problems.expect(same, f"{name}: {event.amounts} booked as {booked.amounts}")
            problems.expect(name in paper, f"{name}: journalled, no receipt on paper")

    kinds = Counter(event.kind for event in journal.values())
    ended = kinds.total() - kinds["pin"]
    money = [event for event in journal.values() if event.kind in MONEY]
    result: dict[str, Any] = {
        "visits": ended if visits is None else visits,
        "settled": kinds["settlement"],
        "refunded": kinds["refund"],
        "refused": kinds["refusal"],
        "offline": sum(event.offline for event in money),
        "journalled": len(money),
        "ledgered": sum(event.kind in MONEY for event in ledger.booked.values()),
        "adjusted": ledger.adjusted,
        "duplicates": ledger.twice + printed_twice,
        "lost": lost,
        "early_receipts": early,
        "unbalanced": ledger.unbalanced + unbalanced,
        "fund_fen": sum(event.amounts.fund_pay_sumamt for event in money),
        "cash_fen": sum(event.amounts.psn_cash_pay for event in money),
    }
    problems.expect(printed_twice == 0, f"{printed_twice} printed twice")
    problems.expect(visits in (None, ended), f"{visits} visits played, {ended} journalled")
    return result | {"problems": list(problems)}


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Compare the records of a stopped simulated site.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--visits", type=int, help="how many visits were played, where that is known")
    parser.add_argument("--tap", type=Path, help="receipts as they left the centre, where a wire tap recorded them")
    parser.add_argument("--opening", type=Path, help="folder of the person files the centre began with")
    given = parser.parse_args()
    result = compare(given.folder, given.visits, given.tap, given.opening)
    print(json.dumps(result, ensure_ascii=False))
    return 1 if result["problems"] else 0


if __name__ == "__main__":
    sys.exit(main())
