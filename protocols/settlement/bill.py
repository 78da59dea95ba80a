"""A bill and its split: the shapes that counter, journal, centre and integrators share."""

from typing import Annotated, Literal

import msgspec

ChrgitmLv = Literal["01", "02", "03"]
"""甲, 乙, 丙 or self-pay (settlement.md B.6)."""
AcctScope = Literal["all", "in_scope", "none"]
"""What the personal account may pay: the whole personal part, only 自付一, nothing (settlement.md C.1)."""
Rounding = Literal["line", "bill"]
Fen = Annotated[int, msgspec.Meta(ge=-4 * 10**16, le=4 * 10**16)]
"""An amount of money: room for the largest bill (16,2) on top of the largest sum, and for every store."""


class FeeLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One line of a bill under the names of settlement.md B.4; decimals are text.

    `pric` yuan with at most 6 decimals, `cnt` at most 4, `selfpay_prop` 0 to 1 with at most 4, `pric_uplmt_amt` as
    `pric`. `lmt_used_flag` "1" marks a restricted item, which `hosp_appr_flag` "1" opens.
    """

    chrgitm_lv: ChrgitmLv
    pric: str
    cnt: str
    selfpay_prop: str | None = None
    pric_uplmt_amt: str | None = None
    med_list_codg: Annotated[str, msgspec.Meta(max_length=50)] | None = None
    medins_list_name: Annotated[str, msgspec.Meta(max_length=200)] | None = None
    lmt_used_flag: Literal["0", "1"] = "0"
    hosp_appr_flag: Literal["0", "1", "2"] = "0"


class Accumulators(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In-scope amount and fund payment of one person, insurance kind and year, in fen."""

    inscope: Fen
    big: Fen


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A split bill in fen, under the names of settlement.md B.5 and of the vectors in C.4.

    `big` is the large-amount or pooling fund of the profile, `supp` the supplement, `self1` 自付一, `self2` 自付二,
    `self_out` 自费. `balc` is the account balance after, absent where no account is known.
    """

    medfee_sumamt: Fen
    fulamt_ownpay_amt: Fen
    overlmt_selfpay: Fen
    preselfpay_amt: Fen
    inscp_scp_amt: Fen
    act_pay_dedc: Fen
    big: Fen
    supp: Fen
    fund_pay_sumamt: Fen
    self1: Fen
    self1_ratio: Fen
    self1_above_cap: Fen
    self2: Fen
    self_out: Fen
    psn_part_amt: Fen
    acct_pay: Fen
    psn_cash_pay: Fen
    balc: Fen | None = None
    after_inscope: Fen
    after_big: Fen
