"""`ssc split`: one bill in, its split out, for integrators who check their arithmetic."""

import json
import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
import typer

from protocols.settlement.bill import AcctScope, Accumulators, ChrgitmLv, FeeLine, Rounding, Split
from protocols.settlement.money import fen, yuan
from protocols.settlement.profile import find_rules
from protocols.settlement.split import MAX_FEN, BillError, SplitRules, split_bill
from protocols.texts.catalogue import texts

MAX_BYTES = 4 * 1024 * 1024
BILL_FIELDS = ("profile", "before", "account", "acct_scope", "lines")
BILL_OPTIONAL = ("rounding", "id", "expect")
BEFORE_FIELDS = ("inscope", "big")
LINE_FIELDS = ("lv", "pric", "cnt")
LINE_OPTIONAL = ("prop", "uplmt")
OWN_NAMES = {"selfpay_prop": "prop", "pric_uplmt_amt": "uplmt"}
"""Names of settlement.md B.4 that C.4 has shorter."""


def split(
    _json: Annotated[bool, typer.Option("--json", help="输出总是 JSON · the output is JSON anyway")] = False,
) -> None:
    """分割一张账单 · Split one bill.

    Standard input: one JSON object with profile (BJ-E, BJ-R1, BJ-R2, BJ-N, BJ-REG, GEN-R …), before
    {inscope, big}, account (or null), acct_scope (all, in_scope, none or null), lines [{lv, pric, cnt, prop,
    uplmt}] and rounding (line or bill). Amounts are text in yuan. Output: the split; or exit 2 and
    {"error": …}, lines counted from 1.
    """
    try:
        rules, result = split_document(_read())
    except BillError as error:
        _print(error_document(error))
        raise typer.Exit(2) from None
    if rules.simulated:
        typer.echo(f"模拟数据 · simulated figures: {rules.name}", err=True)
    amounts = msgspec.structs.asdict(result)
    _print({name: yuan(amount) for name, amount in amounts.items() if amount is not None})


def split_document(data: bytes) -> tuple[SplitRules, Split]:
    """A JSON bill in the shape of settlement.md C.4, split; `BillError` where it is none."""
    bill = _object(_decoded(data), BILL_FIELDS, BILL_OPTIONAL, None)
    before = _object(bill["before"], BEFORE_FIELDS, (), None, within="before")
    if not isinstance(bill["lines"], list):
        raise BillError("bill_field_wrong", field="lines")
    try:
        rules = find_rules(_typed(bill["profile"], str, "profile"))
    except KeyError:
        raise BillError("bill_profile_unknown", field="profile") from None
    lines = [_line(line, number) for number, line in enumerate(bill["lines"], 1)]
    accumulators = Accumulators(*(_amount(before[name], f"before.{name}") for name in BEFORE_FIELDS))
    account = None if bill["account"] is None else _amount(bill["account"], "account")
    acct_scope = _typed(bill["acct_scope"], AcctScope | None, "acct_scope")
    rounding = _typed(bill.get("rounding", "line"), Rounding, "rounding")
    try:
        result = split_bill(lines, rules, accumulators, account=account, acct_scope=acct_scope, rounding=rounding)
    except BillError as error:
        field = OWN_NAMES.get(error.field or "", error.field)
        raise BillError(error.code, line=error.line, field=field) from None
    return rules, result


def error_document(error: BillError) -> dict[str, object]:
    """The one JSON error: catalogue number, both languages, line from 1 and field where they are known."""
    text = texts()[error.code]
    return {
        "error": {
            "number": text.number,
            "zh": text.zh.fill(error.facts).what,
            "en": text.en.fill(error.facts).what,
            "line": error.line,
            "field": error.field,
        }
    }


def _print(answer: Mapping[str, object]) -> None:
    typer.echo(json.dumps(answer, ensure_ascii=False).encode())


def _read() -> bytes:
    """Standard input, a byte more than allowed at most; empty where it is closed or unreadable."""
    try:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    except (AttributeError, OSError):
        return b""


def _decoded(data: bytes) -> object:
    """One JSON document in UTF-8 without repeated names, NaN or infinities."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = dict(pairs)
        if len(names) != len(pairs):
            raise ValueError("a name twice")
        return names

    def refuse(constant: str) -> object:
        raise ValueError(constant)

    try:
        if len(data) > MAX_BYTES:
            raise ValueError("too long")
        return json.loads(data.decode(), object_pairs_hook=unique, parse_constant=refuse)
    except (ValueError, RecursionError):
        raise BillError("bill_not_json") from None


def _object(
    value: object, required: Iterable[str], optional: Iterable[str], line: int | None, within: str = ""
) -> dict[str, Any]:
    """A JSON object with these fields; those of `line`, or of the bill or its object `within`."""
    kind, path = ("bill" if line is None else "line"), f"{within}." if within else ""
    if not isinstance(value, dict):
        if line is None and not within:
            raise BillError("bill_not_json")
        raise BillError(f"{kind}_field_wrong", line=line, field=within or "lines")
    for name in required:
        if name not in value:
            raise BillError(f"{kind}_field_missing", line=line, field=path + name)
    for name in value:
        if name not in {*required, *optional}:
            shown = name.encode(errors="backslashreplace").decode()[:40]
            raise BillError(f"{kind}_field_unknown", line=line, field=path + shown)
    return value


def _line(value: object, number: int) -> FeeLine:
    fields = _object(value, LINE_FIELDS, LINE_OPTIONAL, number)
    return FeeLine(
        chrgitm_lv=_typed(fields["lv"], ChrgitmLv, "lv", number),
        pric=_typed(fields["pric"], str, "pric", number),
        cnt=_typed(fields["cnt"], str, "cnt", number),
        selfpay_prop=_typed(fields.get("prop"), str | None, "prop", number),
        pric_uplmt_amt=_typed(fields.get("uplmt"), str | None, "uplmt", number),
    )


def _typed(value: object, kind: Any, field: str, line: int | None = None) -> Any:
    """The value, if it is of this type."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        code = "bill_field_wrong" if line is None else "line_field_wrong"
        raise BillError(code, line=line, field=field) from None


def _amount(value: object, field: str) -> int:
    """Fen of an amount of format 16,2 that is not negative."""
    text = _typed(value, str, field)
    try:
        amount = fen(text)
    except ValueError:
        amount = -1
    if text.startswith("-") or not 0 <= amount <= MAX_FEN:
        raise BillError("bill_field_wrong", field=field)
    return amount
