"""The item catalogue: what a counter can put on a bill (`catalogue.toml`, all of it made up)."""

from functools import cache
from pathlib import Path

import msgspec

from protocols.settlement.bill import ChrgitmLv, FeeLine
from protocols.settlement.split import BillError


class Item(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One item: decimals as in `FeeLine`, `pinyin` the initials of its name, `prop` and `uplmt` as in C.4."""

    code: str
    name: str
    pinyin: str
    lv: ChrgitmLv
    pric: str
    unit: str
    prop: str | None = None
    uplmt: str | None = None

    def rank(self, text: str) -> int | None:
        """How well this answers a search, 0 best; None where it does not."""
        keys = (self.code.casefold(), self.pinyin, self.name.casefold())
        if text in keys:
            return 0
        if any(key.startswith(text) for key in keys):
            return 1
        return 2 if any(text in key for key in keys) else None


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All items under the version that events record."""

    version: str
    items: tuple[Item, ...]

    def search(self, text: str) -> tuple[Item, ...]:
        """Items by code, pinyin initials or part of the name, best first; all of them for an empty text."""
        wanted = text.strip().casefold()
        ranked = [(rank, item) for item in self.items if (rank := item.rank(wanted)) is not None]
        return tuple(item for _, item in sorted(ranked, key=lambda found: found[0]))

    def line(self, code: str, cnt: str) -> FeeLine:
        """A bill's line of `cnt` units; `BillError` where the code is not in the catalogue."""
        for item in self.items:
            if item.code == code:
                return FeeLine(
                    chrgitm_lv=item.lv,
                    pric=item.pric,
                    cnt=cnt,
                    selfpay_prop=item.prop,
                    pric_uplmt_amt=item.uplmt,
                    med_list_codg=item.code,
                    medins_list_name=item.name,
                )
        raise BillError("item_unknown", field="code")


@cache
def load_catalogue() -> Catalogue:
    """The catalogue this terminal and its centre hold."""
    return msgspec.toml.decode(Path(__file__).with_name("catalogue.toml").read_bytes(), type=Catalogue)
