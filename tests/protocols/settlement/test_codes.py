"""Labels of the national codes."""

import pytest

from protocols.settlement.codes import code_tables, label


@pytest.mark.parametrize(
    ("table", "code", "zh", "en"),
    [
        ("insutype", "310", "职工基本医疗保险", "Employees' basic medical insurance"),
        ("insutype", "390", "城乡居民基本医疗保险", "Residents' basic medical insurance"),
        ("psn_type", "1101", "在职", "In service"),
        ("psn_type", "1201", "退休", "Retired"),
        ("psn_type", "1401", "居民（未成年）", "Resident, minor"),
        ("med_type", "11", "普通门诊", "Outpatient"),
        ("med_type", "41", "定点药店购药", "Pharmacy purchase"),
        ("chrgitm_lv", "02", "乙类", "Class B"),
        ("gend", "2", "女", "Female"),
        ("psn_insu_stas", "1", "正常参保", "Insured"),
        ("admdvs", "110000", "北京市", "Beijing"),
        ("insutype", "777", "777", "777"),
        ("psn_type", "", "", ""),
    ],
)
def test_label(table: str, code: str, zh: str, en: str) -> None:
    """settlement.md B.6; a code that is in no table stands for itself."""
    assert label(table, code) == (zh, en)


def test_unknown_table() -> None:
    with pytest.raises(KeyError):
        label("colour", "1")


def test_every_label_has_both_languages() -> None:
    for labels in code_tables().values():
        for zh, en in labels.values():
            assert zh
            assert en.isascii()
