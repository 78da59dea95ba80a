"""Every line of settlement.md C.5, and what marks a receipt."""

import re
from typing import Any

import msgspec
import pytest

from host_bridge.printer.layout import WIDTH, Line, cells, centred, pair
from host_bridge.printer.receipt import Bearer, guide_lines, receipt_lines
from protocols.events.events import Versions
from protocols.settlement.bill import FeeLine
from protocols.texts.catalogue import texts
from tests.host_bridge.printer.slips import cash_settlement, event_of, refund, settlement

BEARER = Bearer("李＊华", "1", "990101********0036")
INSTITUTION = "示范社区卫生服务中心"


def printed(data: Any = None, **options: Any) -> list[str]:
    event, digest = event_of(data or settlement())
    return [line.text for line in receipt_lines(event, digest, INSTITUTION, **{"bearer": BEARER, **options})]


def value(lines: list[str], label: str) -> str:
    """What stands at the right of a label."""
    (found,) = [line for line in lines if re.match(rf" *{label} ", line)]
    return found.split()[-1]


@pytest.mark.parametrize(
    ("label", "amount"),
    [
        ("票据号", "110102-0012/1/42"),
        ("姓名", "李＊华"),
        ("性别", "男"),
        ("险种", "职工基本医疗保险"),
        ("社会保障号码", "990101********0036"),
        ("本次医保范围内金额", "400.00"),
        ("累计医保内范围金额", "2050.35"),
        ("年度门诊大额累计支付", "175.25"),
        ("基金支付", "175.25"),
        ("门诊大额支付", "175.25"),
        ("退休补充支付", "0.00"),
        ("残军补助支付", "0.00"),
        ("单位补充险支付", "0.00"),
        ("个人支付", "241.42"),
        ("自付一", "224.75"),
        ("起付金额", "149.65"),
        ("超封顶金额", "0.00"),
        ("自付二", "16.67"),
        ("自费", "0.00"),
        ("个人账户支付", "0.00"),
        ("现金支付", "241.42"),
        ("本次支付后个人账户余额", "--"),
        ("合计", "￥416.67"),
        ("大写", "肆佰壹拾陆元陆角柒分"),
        ("收费员", "05"),
    ],
)
def test_d2_has_every_line(label: str, amount: str) -> None:
    """Labels of settlement.md C.5, amounts of vector D2."""
    assert value(printed(), label) == amount


def test_institution_kind_trade_number_date_and_items() -> None:
    lines = printed()
    text = "\n".join(lines)
    assert [line.strip() for line in lines[:3]] == [INSTITUTION, "定点医疗机构", "普通门诊收费凭条"]
    assert "H11010200012ABCDEF0100000001" in text
    assert "2026-11-21 09:58:00" in text
    at = lines.index("阿奇霉素片")
    assert lines[at + 1].split() == ["乙", "83.335", "×", "2", "166.67"]


def test_the_last_line_is_for_machines() -> None:
    event, digest = event_of(settlement())
    last = receipt_lines(event, digest, INSTITUTION)[-1].text
    assert last == f"#110102-0012/1/42 41667 17525 0 24142 {digest[:16]}"
    assert last.isascii()


def test_no_mark_without_a_reason() -> None:
    text = "\n".join(printed())
    assert not re.search("补打|模拟|临时|全额现金|退费", text)


def test_marks() -> None:
    simulated = settlement(versions=Versions("110000@2026-01-01+simulated", "1", "1"))
    assert "【模拟数据】" in "\n".join(printed(simulated))
    assert "【补打 2】" in "\n".join(printed(copy=2))
    provisional = "\n".join(printed(settlement(mode="provisional")))
    assert "临时结算，待中心确认" in provisional
    assert value(provisional.splitlines(), "临时结算序号") == "110102-0012/1/42"


def test_full_cash_says_why() -> None:
    lines = printed(cash_settlement("S-159"))
    text = "".join(lines)
    assert "全额现金结算" in text
    assert "S-159 工伤" in text
    assert value(lines, "现金支付") == "416.67"
    assert value(lines, "基金支付") == "0.00"
    assert "累计医保内范围金额" not in text


def test_a_refund_names_its_original_and_all_amounts_are_negative() -> None:
    original = settlement()
    lines = printed(refund(original), original=original)
    assert value(lines, "原票据号") == "110102-0012/1/41"
    assert value(lines, "现金支付") == "-241.42"
    assert value(lines, "累计医保内范围金额") == "1650.35"
    assert lines[2].strip() == "普通门诊退费凭条"
    assert value(lines, "大写") == "负肆佰壹拾陆元陆角柒分"


def test_a_refund_without_its_original_has_no_receipt() -> None:
    event, digest = event_of(refund(settlement()))
    with pytest.raises(ValueError, match="original"):
        receipt_lines(event, digest, INSTITUTION)


def test_who_is_not_known_is_hidden() -> None:
    lines = printed(bearer=Bearer())
    assert [value(lines, label) for label in ("姓名", "性别", "社会保障号码")] == ["＊", "＊", "＊"]


@pytest.mark.parametrize("data", [settlement(), settlement(mode="provisional"), cash_settlement("S-150")])
def test_no_line_is_wider_than_the_paper(data: Any) -> None:
    longest = FeeLine("01", "1234567.123456", "12345.1234", medins_list_name="很长" * 40 + "x" * 50)
    event, digest = event_of(msgspec.structs.replace(data, lines=(*data.lines, longest)), f"{'t' * 32}/12345/1234567")
    lines = receipt_lines(event, digest, "示范" * 30, bearer=BEARER, copy=3)
    assert [line.text for line in lines[:-1] if cells(line.text) > WIDTH] == []


@pytest.mark.parametrize("key", sorted(key for key in texts() if key.startswith(("visit_", "cash_", "pin_", "card_"))))
def test_every_guide_fits_the_paper(key: str) -> None:
    text = texts()[key]
    lines = guide_lines(INSTITUTION, text.number, text.zh, "2026-11-21T09:58:00.123+08:00")
    assert [line for line in lines if cells(line.text) > WIDTH] == []
    assert text.number in "".join(line.text for line in lines)


def test_cells() -> None:
    assert [cells(text) for text in ("abc", "自付一", "￥1", "＊", "×")] == [3, 6, 3, 2, 2]
    assert pair("左", "右") == [Line("左" + " " * 28 + "右")]
    assert pair("左" * 10, "右" * 10) == [Line("左" * 10), Line(" " * 12 + "右" * 10)]
    assert centred("中") == [Line(" " * 15 + "中")]
